//! What a rule found.

use serde::Serialize;
use serde_json::Value;

/// How much a finding matters, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It ended the run, or keeps it from going on.
    Fatal,
    /// It cost time or attempts and may end the next run.
    Warning,
    /// It costs time or money.
    Advice,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// A stable code, `executor-oom-killed`; documented in `docs/reference/doctor.md` under that heading.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What happened, in one sentence with its numbers.
    pub cause: String,
    /// What shows it, the strongest first. Never empty.
    pub evidence: Vec<Evidence>,
    /// The rule that says so.
    pub rule: Rule,
    /// What to do.
    pub fix: Fix,
    /// What doing it is expected to give, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<Gain>,
    /// Within its severity, what comes first: the closer to the root of the trouble, or the more time it costs, the higher.
    #[serde(skip)]
    pub weight: u64,
}

/// What shows a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Where: `stage 3 (attempt 0)`, `task 17 of stage 3`, `pod etl-driver`, `log etl-driver:120`, `event FailedScheduling`, `spark.executor.memory`.
    pub place: String,
    /// What is seen there, with units; a line of a log as it stands.
    pub seen: String,
}

impl Evidence {
    /// A piece of evidence.
    pub fn new(place: impl Into<String>, seen: impl Into<String>) -> Evidence {
        Evidence {
            place: place.into(),
            seen: seen.into(),
        }
    }
}

/// The rule behind a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// What it says, with its thresholds.
    pub text: &'static str,
    /// Where it comes from: an address, or the name of a configuration key of Spark's documentation.
    pub source: &'static str,
}

/// What to do about a finding.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Fix {
    /// In words.
    pub text: String,
    /// As a JSON merge patch of the `SparkApplication` (RFC 7386), where a change of the manifest fixes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<Value>,
}

/// What a fix is expected to give.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gain {
    /// In words, with how it was computed.
    pub text: String,
    /// Milliseconds of the run's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}
