//! Which runs are due for a receiver, and what it took of them.
//!
//! The record is a file of JSON lines. Its first line says from when on runs are sent; each further one is about a run. A line that cannot be
//! read, as after a crash, counts for nothing: its run is sent once more, with the same spans.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stoke_history::listing::{Attempt, Listed};

/// Milliseconds without a change after which a log that has no end is taken as that of a run whose driver is gone.
pub const ABANDONED: i64 = 3600 * 1000;

/// A run by Spark's id of it and, where there is one, of its attempt.
pub type Key = String;

/// The key of an attempt.
#[must_use]
pub fn key(application: &str, attempt: &Attempt) -> Key {
    match &attempt.id {
        Some(attempt) => format!("{application}/{attempt}"),
        None => application.to_owned(),
    }
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Taken, with its end.
    Ended,
    /// Taken as that of a run whose driver is gone. Should it end after all, it is sent again.
    Abandoned,
    /// Refused for good.
    Refused,
}

impl Fate {
    const ALL: [(Fate, &'static str); 3] = [
        (Fate::Ended, "ended"),
        (Fate::Abandoned, "abandoned"),
        (Fate::Refused, "refused"),
    ];

    fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(fate, _)| *fate == self)
            .map_or("", |(_, word)| word)
    }

    fn of(word: &str) -> Option<Fate> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == word)
            .map(|(fate, _)| *fate)
    }
}

/// A run that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub key: Key,
    pub attempt: Attempt,
    /// What it becomes when it is taken.
    pub fate: Fate,
}

/// What is known of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Runs that ended before are left alone. Milliseconds since 1970.
    pub since: i64,
    runs: BTreeMap<Key, Fate>,
}

impl Known {
    /// Nothing yet: runs are sent that end from now on.
    #[must_use]
    pub fn from(now: i64) -> Self {
        Self {
            since: now,
            runs: BTreeMap::new(),
        }
    }

    /// What these lines say; none when the first does not say from when on.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap_or_default());
        let mut known = Self::from(lines.next()?["since"].as_i64()?);
        for line in lines {
            if let (Some(run), Some(fate)) = (line["run"].as_str(), line["fate"].as_str().and_then(Fate::of)) {
                known.runs.insert(run.to_owned(), fate);
            }
        }
        Some(known)
    }

    /// The same as lines.
    #[must_use]
    pub fn text(&self) -> String {
        let first = format!("{}\n", json!({"since": self.since}));
        self.runs
            .iter()
            .fold(first, |text, (key, fate)| text + &line(key, *fate))
    }

    /// Forgets runs that are not listed any more.
    fn keep(&mut self, listed: &[Listed]) {
        let there: std::collections::BTreeSet<Key> = listed
            .iter()
            .flat_map(|one| one.attempts.iter().map(|attempt| key(&one.id, attempt)))
            .collect();
        self.runs.retain(|key, _| there.contains(key));
    }

    /// The runs that are due, those first that ended first. `changed` says when the log of an attempt changed last; all times are milliseconds since
    /// 1970.
    #[must_use]
    pub fn due(&self, listed: &[Listed], now: i64, changed: impl Fn(&Attempt) -> Option<i64>) -> Vec<Due> {
        let mut due: Vec<(i64, Due)> = Vec::new();
        for one in listed {
            for attempt in &one.attempts {
                let key = key(&one.id, attempt);
                let found = match (attempt.completed, self.runs.get(&key)) {
                    (_, Some(Fate::Ended | Fate::Refused)) | (false, Some(Fate::Abandoned)) => None,
                    (true, _) => Some((attempt.end.max(attempt.start), Fate::Ended)),
                    (false, None) => changed(attempt)
                        .filter(|changed| now - changed >= ABANDONED)
                        .map(|changed| (changed, Fate::Abandoned)),
                };
                if let Some((at, fate)) = found
                    && at >= self.since
                {
                    due.push((
                        at,
                        Due {
                            key,
                            attempt: attempt.clone(),
                            fate,
                        },
                    ));
                }
            }
        }
        due.sort_by(|(one, a), (other, b)| (one, &a.key).cmp(&(other, &b.key)));
        due.into_iter().map(|(_, due)| due).collect()
    }
}

fn line(key: &str, fate: Fate) -> String {
    format!("{}\n", json!({"run": key, "fate": fate.word()}))
}

/// What is known, and the file that keeps it.
#[derive(Debug)]
pub struct Record {
    known: Known,
    /// None: it is forgotten when the process ends.
    path: Option<PathBuf>,
}

impl Record {
    /// Reads the record of a file, or begins it. Runs that are not listed any more are left out of it.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(path: Option<&Path>, listed: &[Listed], now: i64) -> io::Result<Self> {
        let Some(path) = path else {
            return Ok(Self {
                known: Known::from(now),
                path: None,
            });
        };
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let mut known = Known::read(&text).unwrap_or_else(|| Known::from(now));
        known.keep(listed);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let partial = path.with_extension("partial");
        std::fs::write(&partial, known.text())?;
        std::fs::rename(&partial, path)?;
        Ok(Self {
            known,
            path: Some(path.to_owned()),
        })
    }

    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Notes what became of a run. It counts in this process also when it cannot be written.
    ///
    /// # Errors
    /// When the file cannot be written: after a restart the run is sent again.
    pub fn note(&mut self, due: &Due, fate: Fate) -> io::Result<()> {
        self.known.runs.insert(due.key.clone(), fate);
        let Some(path) = &self.path else { return Ok(()) };
        let mut file = std::fs::File::options().append(true).create(true).open(path)?;
        file.write_all(line(&due.key, fate).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(id: Option<&str>, end: i64) -> Attempt {
        Attempt {
            id: id.map(str::to_owned),
            start: 10,
            end,
            last_updated: 0,
            duration: 0,
            user: String::new(),
            completed: end >= 0,
            spark_version: String::new(),
            exit_code: None,
            log: String::new(),
            place: String::new(),
        }
    }

    fn application(id: &str, attempts: Vec<Attempt>) -> Listed {
        Listed {
            id: id.to_owned(),
            name: String::new(),
            attempts,
        }
    }

    fn due(known: &Known, listed: &[Listed], now: i64, changed: i64) -> Vec<String> {
        let due = known.due(listed, now, |_| Some(changed));
        due.into_iter()
            .map(|due| format!("{} {}", due.key, due.fate.word()))
            .collect()
    }

    #[test]
    fn runs_that_end_are_due_once_and_those_without_an_end_after_an_hour() {
        let listed = [
            application("old", vec![attempt(None, 99)]),
            application("new", vec![attempt(None, 300)]),
            application("twice", vec![attempt(Some("2"), 200), attempt(Some("1"), 150)]),
            application("running", vec![attempt(None, -1)]),
        ];
        let mut known = Known::from(100);
        assert_eq!(
            due(&known, &listed, 400, 390),
            ["twice/1 ended", "twice/2 ended", "new ended"]
        );
        known.runs.insert("new".to_owned(), Fate::Ended);
        known.runs.insert("twice/1".to_owned(), Fate::Refused);
        assert_eq!(due(&known, &listed, 400, 390), ["twice/2 ended"]);
        let later = 390 + ABANDONED;
        assert_eq!(due(&known, &listed, later, 390), ["twice/2 ended", "running abandoned"]);
        assert_eq!(
            due(&known, &listed, later, 99),
            ["twice/2 ended"],
            "its log is from before"
        );
        known.runs.insert("running".to_owned(), Fate::Abandoned);
        known.runs.insert("twice/2".to_owned(), Fate::Ended);
        assert!(due(&known, &listed, later, 390).is_empty());
        let ended = [application("running", vec![attempt(None, 500)])];
        assert_eq!(due(&known, &ended, later, 390), ["running ended"], "it ended after all");
    }

    #[test]
    fn a_record_outlives_its_process_and_a_torn_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/record");
        let listed = [
            application("a", vec![attempt(None, 200)]),
            application("b", vec![attempt(None, 300)]),
        ];
        let mut record = Record::open(Some(&path), &listed, 100).unwrap();
        let both = record.known().due(&listed, 400, |_| None);
        record.note(&both[0], Fate::Ended).unwrap();
        let mut torn = std::fs::read_to_string(&path).unwrap();
        torn.push_str("{\"run\":\"b\",\"fa");
        std::fs::write(&path, torn).unwrap();
        let again = Record::open(Some(&path), &listed, 900).unwrap();
        assert_eq!(again.known().since, 100);
        assert_eq!(due(again.known(), &listed, 1000, 0), ["b ended"]);
        // Runs whose logs were deleted are forgotten, so that it does not grow for ever.
        let fewer = Record::open(Some(&path), &listed[1..], 900).unwrap();
        assert_eq!(fewer.known().text(), "{\"since\":100}\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"since\":100}\n");
        assert_eq!(Known::read("nonsense"), None);
    }
}
