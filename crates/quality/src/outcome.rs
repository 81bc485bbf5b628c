//! What is kept of a report for people: verdicts and counts, and no rows. Of what was kept before the last run only what did not pass.

use serde::{Deserialize, Serialize};
use stoke_diagnostics::Severity;

use crate::contract::Format;
use crate::report::{CheckResult, Freshness, QuarantineSummary, Report, Verdict};

/// A report without rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Name of the contract.
    pub contract: String,
    pub format: Format,
    /// Of the data, as a report names it.
    pub layout: String,
    pub files: usize,
    pub bytes: u64,
    /// In one line, as [`Report::summary`] has it.
    pub summary: String,
    pub counts: Counts,
    /// All checks of the last run of a contract, of earlier ones those that did not pass.
    pub checks: Vec<CheckOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<QuarantineSummary>,
    /// Why nothing was set aside, although that was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine_refused: Option<String>,
}

/// Checks by how they ended, those of severity warning among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    pub cannot_tell: usize,
    pub waived: usize,
    pub learning: usize,
}

/// A check without the rows and values that were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckOutcome {
    pub id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    pub severity: Severity,
    pub verdict: Verdict,
    /// What was wanted, in words.
    pub expected: String,
    /// Why it could not be determined, or what else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Rows looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub considered: Option<u64>,
    /// Of them rows that are otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexpected: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
}

impl Outcome {
    pub fn of(report: &Report) -> Self {
        Self {
            contract: report.contract.clone(),
            format: report.format,
            layout: report.data.layout.to_owned(),
            files: report.data.files,
            bytes: report.data.bytes,
            summary: report.summary(),
            counts: Counts::of(&report.checks),
            checks: report.checks.iter().map(CheckOutcome::of).collect(),
            quarantine: report.quarantine.clone(),
            quarantine_refused: report.quarantine_refused.clone(),
        }
    }

    /// Leaves out checks that passed: a history of many runs stays small.
    pub fn shorten(&mut self) {
        self.checks.retain(|check| check.verdict != Verdict::Pass);
    }
}

impl Counts {
    fn of(checks: &[CheckResult]) -> Self {
        let mut counts = Self::default();
        for check in checks {
            *match check.verdict {
                Verdict::Pass => &mut counts.passed,
                Verdict::Fail => &mut counts.failed,
                Verdict::CannotTell => &mut counts.cannot_tell,
                Verdict::Waived => &mut counts.waived,
                Verdict::Learning => &mut counts.learning,
            } += 1;
        }
        counts
    }
}

impl CheckOutcome {
    fn of(check: &CheckResult) -> Self {
        Self {
            id: check.id.clone(),
            columns: check.columns.clone(),
            severity: check.severity,
            verdict: check.verdict,
            expected: check.expected.clone(),
            reason: check.reason.clone(),
            considered: check.considered,
            unexpected: check.unexpected,
            freshness: check.freshness,
        }
    }

    /// Whether it fails the verdict.
    pub fn fails(&self) -> bool {
        self.severity == Severity::Error && matches!(self.verdict, Verdict::Fail | Verdict::CannotTell)
    }
}
