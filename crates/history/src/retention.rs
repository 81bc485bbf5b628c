//! Which logs may go: a decision over what is there, made before anything is deleted, so that it can be shown first.

use stoke_eventlog::{Log, Source, StorageError};

use crate::listing::Attempt;

/// What is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Logs that were changed longer ago than this many milliseconds may go.
    pub older_than: Option<i64>,
    /// Of the logs of applications that have ended, this many stay: those changed last.
    pub at_most: Option<usize>,
}

/// A log that may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The file, or the directory of a rolling log.
    pub log: String,
    /// Its files. The one that makes it a log comes last: a deletion that is interrupted is taken up again.
    pub files: Vec<String>,
    /// Whether it is a directory.
    pub directory: bool,
    /// Bytes it takes.
    pub bytes: u64,
    /// When it was changed last, in milliseconds since 1970.
    pub modified: i64,
    /// Why it may go.
    pub why: Why,
}

/// Why a log may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is older than what is kept.
    Old,
    /// There are more than are kept.
    TooMany,
}

impl Deletion {
    /// The deletion of a log.
    pub fn of(log: &Log, why: Why) -> Deletion {
        let all = log
            .superseded
            .iter()
            .chain(&log.parts)
            .map(|part| &part.entry)
            .chain(&log.status);
        Deletion {
            log: log.path.clone(),
            files: all.clone().map(|entry| entry.path.clone()).collect(),
            directory: log.rolling,
            bytes: all.map(|entry| entry.size).sum(),
            modified: log.modified(),
            why,
        }
    }
}

/// What may go of these logs at `now`, in milliseconds since 1970; the oldest first. A log that is still written to is changed often, so
/// age alone decides about it, as in Spark; the count concerns only what has ended.
pub fn plan(logs: &[(Log, Option<Attempt>)], rules: Rules, now: i64) -> Vec<Deletion> {
    let mut newest_first: Vec<&(Log, Option<Attempt>)> = logs.iter().collect();
    newest_first.sort_by(|(a, _), (b, _)| (b.modified(), &b.path).cmp(&(a.modified(), &a.path)));
    let mut ended = 0;
    let mut gone = Vec::new();
    for (log, attempt) in newest_first {
        let old = rules
            .older_than
            .is_some_and(|age| log.modified() < now.saturating_sub(age));
        ended += usize::from(attempt.as_ref().is_some_and(|attempt| attempt.completed));
        let counted = attempt.as_ref().is_some_and(|attempt| attempt.completed);
        let too_many = counted && rules.at_most.is_some_and(|most| ended > most);
        let why = match (old, too_many) {
            (true, _) => Why::Old,
            (false, true) => Why::TooMany,
            (false, false) => continue,
        };
        gone.push(Deletion::of(log, why));
    }
    gone.reverse();
    gone
}

/// Deletes what a plan says.
///
/// # Errors
/// At the first file that cannot be deleted; doing it again goes on there.
pub fn delete(source: &Source, plan: &[Deletion]) -> Result<(), StorageError> {
    for deletion in plan {
        for file in &deletion.files {
            source.delete(file)?;
        }
        if deletion.directory {
            source.delete_directory(&deletion.log);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoke_eventlog::layout::{Entry, logs};

    fn log(path: &str, modified: i64, completed: Option<bool>) -> (Log, Option<Attempt>) {
        let entry = Entry {
            path: path.to_owned(),
            size: 10,
            modified,
            tag: None,
        };
        let attempt = completed.map(|completed| Attempt {
            id: None,
            start: 0,
            end: 0,
            last_updated: 0,
            duration: 0,
            user: String::new(),
            completed,
            spark_version: String::new(),
            exit_code: None,
            log: path.to_owned(),
            place: String::new(),
        });
        (logs([entry]).remove(0), attempt)
    }

    #[test]
    fn what_goes() {
        let all = [
            log("old", 100, Some(true)),
            log("older", 50, Some(false)),
            log("no-application", 60, None),
            log("new", 900, Some(true)),
            log("newer", 950, Some(true)),
            log("running", 990, Some(false)),
        ];
        type Case = (Option<i64>, Option<usize>, &'static [(&'static str, Why)]);
        let table: [Case; 5] = [
            (None, None, &[]),
            (
                Some(500),
                None,
                &[("older", Why::Old), ("no-application", Why::Old), ("old", Why::Old)],
            ),
            (None, Some(1), &[("old", Why::TooMany), ("new", Why::TooMany)]),
            (
                Some(925),
                Some(2),
                &[("older", Why::Old), ("no-application", Why::Old), ("old", Why::TooMany)],
            ),
            (
                Some(i64::MAX),
                Some(0),
                &[("old", Why::TooMany), ("new", Why::TooMany), ("newer", Why::TooMany)],
            ),
        ];
        for (older_than, at_most, expected) in table {
            let gone = plan(&all, Rules { older_than, at_most }, 1000);
            let told: Vec<_> = gone.iter().map(|one| (one.log.as_str(), one.why)).collect();
            assert_eq!(told, expected, "{older_than:?} {at_most:?}");
        }
    }

    #[test]
    fn a_rolling_log_goes_with_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("eventlog_v2_a");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("events_1_a"), "x").unwrap();
        std::fs::write(inner.join("appstatus_a"), "").unwrap();
        let source = Source::directory(directory.path());
        let found: Vec<_> = source.logs().unwrap().into_iter().map(|log| (log, None)).collect();
        let rules = Rules {
            older_than: Some(0),
            at_most: None,
        };
        let gone = plan(&found, rules, i64::MAX);
        assert_eq!(gone[0].files.last().unwrap(), "eventlog_v2_a/appstatus_a");
        delete(&source, &gone).unwrap();
        delete(&source, &gone).unwrap();
        assert!(!inner.exists());
    }
}
