//! What the status API of a Spark version has that others have not.

/// A Spark version, as far as the status API differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// Reads `4.1.4`, `3.5.1-amzn-0` and the like. What cannot be read counts as the newest.
    pub fn of(text: &str) -> Version {
        let mut parts = text.split(['.', '-']).map(|part| part.parse().ok());
        match (parts.next().flatten(), parts.next().flatten()) {
            (Some(major), Some(minor)) => Version { major, minor },
            _ => Version { major: 4, minor: 3 },
        }
    }

    fn at_least(self, major: u32, minor: u32) -> bool {
        self >= Version { major, minor }
    }

    /// Peaks of executors tell of concurrent garbage collection, and tasks have stack traces of their own.
    pub fn is_4(self) -> bool {
        self.at_least(4, 0)
    }

    /// Attempts tell their log and the driver's exit code.
    pub fn names_log_sources(self) -> bool {
        self.at_least(4, 2)
    }

    /// SQL executions tell their query, root, error and changed configuration.
    pub fn tells_more_of_sql(self) -> bool {
        self.at_least(4, 2)
    }

    /// The page of SQL executions asks for its table.
    pub fn has_sql_table(self) -> bool {
        self.at_least(4, 2)
    }

    /// SQL executions are listed all when no length is asked for; before, 20.
    pub fn lists_all_executions(self) -> bool {
        self.at_least(4, 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered() {
        assert!(Version::of("4.3.0").tells_more_of_sql());
        assert!(!Version::of("4.1.4").tells_more_of_sql());
        assert!(!Version::of("3.5.1-amzn-0").names_log_sources());
        assert!(Version::of("").names_log_sources());
    }
}
