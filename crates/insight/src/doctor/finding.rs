//! What a rule found.

use serde::Serialize;
pub use stoke_diagnostics::{Evidence, Fix, Gain, Rule};

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
