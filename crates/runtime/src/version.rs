//! Spark versions, and what each needs of the machine.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A Spark version, `4.1.4`. Ordered by its numbers; a pre-release (`4.2.0-preview1`) sorts before its release.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    numbers: (u32, u32, u32),
    pre_release: Option<String>,
}

/// Text that is not a Spark version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a Spark version; write it as major.minor.patch, like 4.1.4")]
pub struct InvalidVersion(pub String);

/// How the Python package index spells a version of Spark: `4.2.0-preview2` is `4.2.0.dev2` there.
pub fn index_version(version: &str) -> String {
    version.replace("-preview", ".dev")
}

impl Version {
    /// The release line: `(4, 1)` for 4.1.4.
    pub fn line(&self) -> (u32, u32) {
        (self.numbers.0, self.numbers.1)
    }

    /// The oldest Java that runs this Spark: 8 up to 3.5, 17 since 4.0 (class file version 61).
    pub fn minimum_java(&self) -> u32 {
        if self.numbers.0 >= 4 { 17 } else { 8 }
    }

    /// The newest Java this Spark is known to run on: what its own documentation lists. 4.1 and older do not run on 25 but for jobs without any
    /// file: their Hadoop (3.4.2 and older) calls `Subject.getSubject`, which Java 24 and newer refuse.
    pub fn maximum_java(&self) -> u32 {
        match self.line() {
            line if line >= (4, 2) => 25,
            (4, _) => 21,
            (3, 5) => 21,
            (3, 3 | 4) => 17,
            _ => 11,
        }
    }

    /// The Java from which on this Spark fails, where one is known: at the first file for 4.1 and older ([`Version::maximum_java`] has the reason).
    pub fn failing_java(&self) -> Option<u32> {
        (self.line() < (4, 2)).then_some(24)
    }

    /// The oldest Python 3 minor version this Spark's package accepts (`Requires-Python`).
    pub fn minimum_python(&self) -> (u32, u32) {
        match self.line() {
            line if line >= (4, 3) => (3, 11),
            line if line >= (4, 1) => (3, 10),
            line if line >= (4, 0) => (3, 9),
            line if line >= (3, 5) => (3, 8),
            _ => (3, 7),
        }
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidVersion(text.to_owned());
        let (numbers, pre_release) = match text.split_once('-') {
            Some((numbers, suffix)) if !suffix.is_empty() => (numbers, Some(suffix.to_owned())),
            Some(_) => return Err(invalid()),
            None => (text, None),
        };
        let mut parts = numbers.split('.').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u32>().ok()).flatten().ok_or_else(invalid)
        });
        let mut next = || parts.next().unwrap_or_else(|| Err(invalid()));
        let numbers = (next()?, next()?, next()?);
        match parts.next() {
            None => Ok(Version { numbers, pre_release }),
            Some(_) => Err(invalid()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        self.pre_release.iter().try_for_each(|suffix| write!(f, "-{suffix}"))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| match (&self.pre_release, &other.pre_release) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(mine), Some(theirs)) => mine.cmp(theirs),
            })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for Version {
    type Error = InvalidVersion;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed_printed_and_ordered() {
        for text in ["3.5.9", "4.1.4", "4.2.0-preview1", "10.0.0"] {
            assert_eq!(text.parse::<Version>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "4",
            "4.1",
            "4.1.",
            "4.1.4.1",
            "v4.1.4",
            "4.1.x",
            "+4.1.4",
            "4.1.4-",
            "4.1.99999999999",
        ] {
            assert_eq!(text.parse::<Version>(), Err(InvalidVersion(text.to_owned())), "{text}");
        }
        let mut all: Vec<Version> = ["4.1.4", "3.5.9", "4.1.10", "4.2.0", "4.2.0-preview1"]
            .iter()
            .map(|v| v.parse().unwrap())
            .collect();
        all.sort();
        let sorted: Vec<String> = all.iter().map(Version::to_string).collect();
        assert_eq!(sorted, ["3.5.9", "4.1.4", "4.1.10", "4.2.0-preview1", "4.2.0"]);
    }

    #[test]
    fn each_version_says_what_it_needs() {
        let needs = |text: &str| {
            let version: Version = text.parse().unwrap();
            (version.minimum_java(), version.minimum_python())
        };
        assert_eq!(needs("3.5.9"), (8, (3, 8)));
        assert_eq!(needs("4.0.5"), (17, (3, 9)));
        assert_eq!(needs("4.1.4"), (17, (3, 10)));
        assert_eq!(needs("4.3.0"), (17, (3, 11)));
    }
}
