//! The list of applications: attempts put together under their application, in the order Spark lists them.

use serde::{Deserialize, Serialize};
use stoke_eventlog::{Glance, Log};

/// An application and its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Application id.
    pub id: String,
    pub name: String,
    /// The newest first.
    pub attempts: Vec<Attempt>,
}

/// An attempt of an application. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id, where the cluster manager counts attempts.
    pub id: Option<String>,
    /// When it started.
    pub start: i64,
    /// When it ended, or -1.
    pub end: i64,
    /// When its log was changed last.
    pub last_updated: i64,
    /// How long it ran, in milliseconds.
    pub duration: i64,
    /// Who ran it.
    pub user: String,
    /// Whether it ended.
    pub completed: bool,
    /// The Spark it ran on.
    pub spark_version: String,
    /// The driver's exit code.
    pub exit_code: Option<i32>,
    /// Where its log is, below the directory of logs.
    pub log: String,
    /// The place of logs.
    pub place: String,
}

/// What a log adds to the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Application id.
    pub id: String,
    pub name: String,
    pub attempt: Attempt,
}

/// What a look at a log tells; nothing when its application has not started or has no id.
///
/// What has not ended was, as Spark sees it, updated last when it was looked at: at `now`, in milliseconds since 1970.
pub fn found(log: &Log, glance: &Glance, place: &str, now: i64) -> Option<Found> {
    let start = glance.start.as_ref()?;
    let end = glance.end.as_ref();
    let last_updated = if end.is_some() { log.modified() } else { now };
    Some(Found {
        id: start.id.clone()?,
        name: start.name.clone(),
        attempt: Attempt {
            id: start.attempt.clone(),
            start: start.time,
            end: end.map_or(-1, |end| end.time),
            last_updated,
            duration: end.map_or(0, |end| end.time.wrapping_sub(start.time)),
            user: start.user.clone(),
            completed: end.is_some(),
            spark_version: glance.spark_version.clone(),
            exit_code: end.and_then(|end| end.exit_code),
            log: log.path.clone(),
            place: place.to_owned(),
        },
    })
}

/// Puts attempts together and orders applications: those that ended last first, those that run at the end.
pub fn listed(found: impl IntoIterator<Item = Found>) -> Vec<Listed> {
    let mut by_id = std::collections::BTreeMap::<String, Listed>::new();
    for one in found {
        let listed = by_id.entry(one.id.clone()).or_insert_with(|| Listed {
            id: one.id,
            name: String::new(),
            attempts: Vec::new(),
        });
        // The name is the newest attempt's.
        if listed.attempts.iter().all(|attempt| attempt.start <= one.attempt.start) {
            listed.name = one.name;
        }
        // Two logs of one attempt, as after a copy: the one changed last counts.
        match listed.attempts.iter_mut().find(|attempt| attempt.id == one.attempt.id) {
            Some(known) if known.last_updated > one.attempt.last_updated => {}
            Some(known) => *known = one.attempt,
            None => listed.attempts.push(one.attempt),
        }
    }
    let mut all: Vec<Listed> = by_id.into_values().collect();
    for listed in &mut all {
        listed.attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.start));
    }
    let end = |listed: &Listed| listed.attempts.first().map_or(-1, |attempt| attempt.end);
    all.sort_by(|a, b| (end(b), &b.id).cmp(&(end(a), &a.id)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str, attempt: Option<&str>, start: i64, end: i64) -> Found {
        Found {
            id: id.to_owned(),
            name: format!("name {start}"),
            attempt: Attempt {
                id: attempt.map(str::to_owned),
                start,
                end,
                last_updated: start,
                duration: 0,
                user: String::new(),
                completed: end > 0,
                spark_version: String::new(),
                exit_code: None,
                log: String::new(),
                place: String::new(),
            },
        }
    }

    #[test]
    fn attempts_are_put_together_and_the_last_to_end_is_first() {
        let all = listed([
            one("a", None, 1, 5),
            one("b", Some("1"), 2, 3),
            one("b", Some("2"), 4, 9),
            one("c", None, 5, -1),
        ]);
        let ids: Vec<_> = all.iter().map(|listed| listed.id.as_str()).collect();
        assert_eq!(ids, ["b", "a", "c"]);
        assert_eq!(all[0].attempts[0].id.as_deref(), Some("2"));
        assert_eq!(all[0].name, "name 4");
    }
}
