//! The annotations that people write on our kinds: what the published fields have no place for.
//!
//! One table says which there are, on which kinds, and what may be written. A schedule passes those of applications on to its runs.
//! - [`quality`]: the text of the one that is a document

pub mod quality;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::duration;

/// What the names of all of them begin with. Everything else is someone else's.
pub const PREFIX: &str = "stoke.dev/";
/// What an edit of a running application does: `Restart`, `NextRun` or `Reject`.
pub const ON_EDIT: &str = "stoke.dev/on-edit";
/// How long the driver may be pending in all, for a node to be found too, `10m`; `none` for no limit.
pub const PENDING_TIMEOUT: &str = "stoke.dev/pending-timeout";
/// How long a node that has the driver may be unable to start it, `10m`; `none` for no limit.
pub const START_TIMEOUT: &str = "stoke.dev/start-timeout";
/// Seconds an application may be active from its first submission on, retries included, as in a Job.
pub const ACTIVE_DEADLINE: &str = "stoke.dev/active-deadline-seconds";
/// Which logs are kept: `driver`, `all` or `none`.
pub const KEEP_LOGS: &str = "stoke.dev/keep-logs";
/// Data contracts that a run is held against, before and after; see [`quality`].
pub const QUALITY: &str = "stoke.dev/quality";
/// The preset that the manifest was written with, `etl@1`: `stoke check` holds it against what the preset locks.
pub const PRESET: &str = "stoke.dev/preset";
/// Name of the file that a team keeps its presets in, beside its jobs.
pub const PRESETS_FILE: &str = "stoke-presets.yaml";
/// Of a schedule: seconds after its time within which a run may still be begun, as in a CronJob.
pub const STARTING_DEADLINE: &str = "stoke.dev/starting-deadline-seconds";
/// Of a schedule: every new value begins one run now.
pub const TRIGGER: &str = "stoke.dev/trigger";
/// Of a SparkConnect: how long nothing may be computed before its server is stopped, `30m`; `none` for never.
pub const IDLE_TIMEOUT: &str = "stoke.dev/idle-timeout";
/// Of a SparkConnect: when someone last asked for its server, an RFC 3339 time.
pub const WAKE: &str = "stoke.dev/wake";

/// What may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A duration as Go writes it, of at least so many seconds and longer than nothing, or `none`.
    Timeout(i64),
    /// A whole number of seconds, zero included.
    Seconds,
    /// One of these words.
    Words(&'static [&'static str]),
    /// An RFC 3339 time.
    Time,
    /// Steps of data quality.
    Quality,
    /// Anything.
    Text,
}

/// One annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Its whole name.
    pub name: &'static str,
    /// Kinds on which it has an effect.
    pub kinds: &'static [&'static str],
    /// What may be written.
    pub form: Form,
}

const EVERY: &[&str] = &["SparkApplication", "ScheduledSparkApplication", "SparkConnect"];
const RUNS: &[&str] = &["SparkApplication", "ScheduledSparkApplication"];
const SCHEDULES: &[&str] = &["ScheduledSparkApplication"];
const SERVERS: &[&str] = &["SparkConnect"];

/// All of them.
pub const ALL: &[Annotation] = &[
    of(ON_EDIT, RUNS, Form::Words(&["Restart", "NextRun", "Reject"])),
    of(PENDING_TIMEOUT, RUNS, Form::Timeout(0)),
    of(START_TIMEOUT, RUNS, Form::Timeout(0)),
    of(ACTIVE_DEADLINE, RUNS, Form::Seconds),
    of(KEEP_LOGS, RUNS, Form::Words(&["driver", "all", "none"])),
    of(QUALITY, RUNS, Form::Quality),
    of(PRESET, EVERY, Form::Text),
    of(STARTING_DEADLINE, SCHEDULES, Form::Seconds),
    of(TRIGGER, SCHEDULES, Form::Text),
    of(IDLE_TIMEOUT, SERVERS, Form::Timeout(5)),
    of(WAKE, SERVERS, Form::Time),
];

const fn of(name: &'static str, kinds: &'static [&'static str], form: Form) -> Annotation {
    Annotation { name, kinds, form }
}

/// The annotation of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Annotation> {
    ALL.iter().find(|annotation| annotation.name == name)
}

/// Those that a schedule passes on to its runs.
#[must_use]
pub fn of_runs(annotations: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let passed_on = |name: &str| find(name).is_some_and(|annotation| annotation.kinds == RUNS);
    let all = annotations.iter().filter(|(name, _)| passed_on(name));
    all.map(|(name, text)| (name.clone(), text.clone())).collect()
}

/// A timeout of at least so many seconds; none for `none`.
///
/// # Errors
/// What to write instead.
pub fn timeout(text: &str, least: i64) -> Result<Option<SignedDuration>, String> {
    if text == "none" {
        return Ok(None);
    }
    match duration::parse_go(text) {
        Ok(limit) if limit.is_positive() && limit >= SignedDuration::from_secs(least) => Ok(Some(limit)),
        _ => Err(Form::Timeout(least).wanted()),
    }
}

/// A whole number of seconds.
///
/// # Errors
/// What to write instead.
pub fn seconds(text: &str) -> Result<SignedDuration, String> {
    let seconds = text.parse::<u32>().map_err(|_| Form::Seconds.wanted())?;
    Ok(SignedDuration::from_secs(i64::from(seconds)))
}

/// A time.
///
/// # Errors
/// What to write instead.
pub fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| Form::Time.wanted())
}

/// The sentence for what may not be written.
#[must_use]
pub fn refusal(name: &str, text: &str, wanted: &str) -> String {
    match text.contains('\n') {
        true => format!("annotation {name} is not allowed; {wanted}"),
        false => format!("annotation {name}: {text:?} is not allowed; {wanted}"),
    }
}

impl Form {
    /// What to write.
    #[must_use]
    pub fn wanted(self) -> String {
        match self {
            Form::Timeout(0) => "write a duration such as 90s, 10m or 1h30m, or none".to_owned(),
            Form::Timeout(least) => {
                format!("write a duration of at least {least}s such as 30m or 1h30m, or none")
            }
            Form::Seconds => "write a whole number of seconds such as 3600".to_owned(),
            Form::Words(words) => match words {
                [others @ .., last] if !others.is_empty() => format!("write {} or {last}", others.join(", ")),
                words => format!("write {}", words.concat()),
            },
            Form::Time => "write a time such as 2026-11-21T20:37:07Z".to_owned(),
            Form::Quality => quality::shape(),
            Form::Text => "write any text".to_owned(),
        }
    }

    /// Whether a text is one that may be written.
    ///
    /// # Errors
    /// What to write instead; of a document, what is wrong in it.
    pub fn check(self, text: &str) -> Result<(), String> {
        let allowed = match self {
            Form::Timeout(least) => timeout(text, least).is_ok(),
            Form::Seconds => seconds(text).is_ok(),
            Form::Words(words) => words.contains(&text),
            Form::Time => time(text).is_ok(),
            Form::Quality => return quality::read(text).map(drop),
            Form::Text => true,
        };
        if allowed { Ok(()) } else { Err(self.wanted()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_written() {
        for (form, right, wrong) in [
            (
                Form::Timeout(0),
                &["90s", "10m", "1h30m", "none"][..],
                &["", "10", "-5m", "0s", "soon", "None"][..],
            ),
            (Form::Timeout(5), &["5s", "30m", "none"], &["4s", "0s", "soon"]),
            (Form::Seconds, &["0", "60"], &["", "-1", "1m", "soon", "99999999999"]),
            (
                Form::Words(&["driver", "all"]),
                &["driver", "all"],
                &["Driver", "", "driver "],
            ),
            (Form::Time, &["2026-11-21T20:37:07Z"], &["now", "2026-11-21", ""]),
            (Form::Text, &["", "x"], &[]),
        ] {
            assert!(right.iter().all(|text| form.check(text).is_ok()), "{form:?}");
            assert!(!wrong.iter().any(|text| form.check(text).is_ok()), "{form:?}");
        }
        assert_eq!(
            find(KEEP_LOGS).map(|annotation| annotation.form.wanted()).as_deref(),
            Some("write driver, all or none")
        );
    }

    #[test]
    fn all_are_ours_and_each_stands_once() {
        for (index, annotation) in ALL.iter().enumerate() {
            assert!(annotation.name.starts_with(PREFIX), "{}", annotation.name);
            assert!(ALL[..index].iter().all(|other| other.name != annotation.name));
            assert!(annotation.kinds.iter().all(|kind| crate::crd::KINDS.contains(kind)));
        }
    }

    #[test]
    fn a_schedule_passes_on_what_applications_read() {
        let given = [
            (KEEP_LOGS, "all"),
            (TRIGGER, "1"),
            ("team", "a"),
            (ACTIVE_DEADLINE, "60"),
        ];
        let given = given.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let passed_on = of_runs(&given);
        assert_eq!(passed_on.keys().collect::<Vec<_>>(), [ACTIVE_DEADLINE, KEEP_LOGS]);
    }
}
