//! Runs of jobs, out of attempts that event logs, a cluster or a file tell of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::objective::Selector;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Succeeded,
    Failed,
    /// It has not ended.
    Running,
    /// It ended, and nothing says how.
    Unknown,
}

/// One attempt. Times are milliseconds since 1970; in a file they may be texts of RFC 3339.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attempt {
    /// The job it belongs to: the schedule, else the application.
    pub job: String,
    /// What all attempts of one run share: the name of an application that a schedule made. Without it, an attempt that soon follows a failed one is its retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Spark's id of the application.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// When it was due, where its name says so.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_moment"
    )]
    pub due: Option<i64>,
    #[serde(deserialize_with = "moment")]
    pub start: i64,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_moment"
    )]
    pub end: Option<i64>,
    pub outcome: Outcome,
    /// In the currency of the price table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// The share of the time of executors' cores that ran tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub efficiency: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Milliseconds(i64),
    Text(Timestamp),
}

fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    Ok(match Moment::deserialize(from)? {
        Moment::Milliseconds(time) => time,
        Moment::Text(time) => time.as_millisecond(),
    })
}

fn optional_moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    moment(from).map(Some)
}

/// Attempts out of a text with a JSON object on each line; empty lines are left out. What is wrong comes with the number of its line.
///
/// # Errors
/// At the first line that is not an attempt.
pub fn read_lines(text: &str) -> Result<Vec<Attempt>, (usize, String)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read =
        |(number, line): (usize, &str)| serde_json::from_str(line).map_err(|error| (number + 1, error.to_string()));
    lines.map(read).collect()
}

/// A run: what is to be done once, in one attempt or several.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// When it was due; when it began, where that is not known.
    pub due: i64,
    pub start: i64,
    pub end: Option<i64>,
    /// That of the last attempt, or success when any succeeded.
    pub outcome: Outcome,
    pub attempts: u32,
    /// Of all attempts; none when one is not known.
    pub cost: Option<f64>,
    /// Of the last attempt.
    pub efficiency: Option<f64>,
}

/// An attempt that begins so soon after a failed one of its job is a retry, in milliseconds.
pub const RETRY_WITHIN: i64 = 10 * 60 * 1000;

impl Selector {
    #[must_use]
    pub fn fits(&self, attempt: &Attempt) -> bool {
        let job = self.job.as_deref().is_none_or(|pattern| matches(pattern, &attempt.job));
        let namespace = self.namespace.is_none() || self.namespace == attempt.namespace;
        let label = |(key, value): (&String, &String)| attempt.labels.get(key) == Some(value);
        job && namespace && self.labels.iter().all(label)
    }
}

/// Whether a name has the form of a pattern with stars.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

/// The runs of attempts of one job, in the order of their start.
#[must_use]
pub fn runs_of(attempts: &[&Attempt]) -> Vec<Run> {
    let mut sorted = attempts.to_vec();
    sorted.sort_by(|one, other| (one.start, &one.id).cmp(&(other.start, &other.id)));
    // Copies of one log tell of one attempt.
    sorted.dedup_by(|one, other| !one.id.is_empty() && (&one.id, one.start) == (&other.id, other.start));
    let mut runs: Vec<Run> = Vec::new();
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    for attempt in sorted {
        let known = match attempt.run.as_deref() {
            Some(name) => named.get(name).copied(),
            None => retried(&runs, attempt),
        };
        match known.and_then(|at| runs.get_mut(at)) {
            Some(run) => run.add(attempt),
            None => {
                runs.push(Run::of(attempt));
                named.extend(attempt.run.as_deref().map(|name| (name, runs.len() - 1)));
            }
        }
    }
    runs
}

/// The run that this attempt is a retry of.
fn retried(runs: &[Run], attempt: &Attempt) -> Option<usize> {
    let last = runs.last()?;
    let end = last.end.filter(|_| last.outcome == Outcome::Failed)?;
    let waited = attempt.start.saturating_sub(end);
    (0..=RETRY_WITHIN).contains(&waited).then(|| runs.len() - 1)
}

impl Run {
    fn of(attempt: &Attempt) -> Run {
        Run {
            due: attempt.due.unwrap_or(attempt.start),
            start: attempt.start,
            end: attempt.end,
            outcome: attempt.outcome,
            attempts: 1,
            cost: attempt.cost,
            efficiency: attempt.efficiency,
        }
    }

    fn add(&mut self, attempt: &Attempt) {
        self.attempts += 1;
        self.cost = self.cost.zip(attempt.cost).map(|(one, other)| one + other);
        if self.outcome != Outcome::Succeeded {
            self.outcome = attempt.outcome;
            self.end = attempt.end;
            self.efficiency = attempt.efficiency;
        }
    }

    /// From the start of the first attempt to the end of the last, in milliseconds.
    #[must_use]
    pub fn duration(&self) -> Option<i64> {
        Some(self.end?.saturating_sub(self.start).max(0))
    }
}
