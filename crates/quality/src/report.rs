//! What a run found.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stoke_model::units::people::counted;

use crate::contract::{At, Format, Severity};

/// Rows of each check that are shown.
pub const EXAMPLES: usize = 20;
/// Checks that a summary names.
const NAMED: usize = 5;

/// What was found of data by a contract.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Name of the contract.
    pub contract: String,
    pub format: Format,
    pub data: DataSummary,
    /// When.
    pub at: Timestamp,
    /// Fail when a check of severity error fails or cannot be determined, and is not waived.
    pub verdict: Verdict,
    /// Percent: the mean over the checks of the share of rows that are as wanted; of checks that are not of rows 0 or 100. A check that cannot be determined is 0.
    /// Warnings and checks that still learn are left out. None without checks.
    pub score: Option<f64>,
    /// Each check.
    pub checks: Vec<CheckResult>,
    /// What was set aside, when that was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<QuarantineSummary>,
    /// Why nothing was set aside, although that was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine_refused: Option<String>,
}

/// The data of a run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataSummary {
    /// Where.
    pub place: String,
    /// `parquet`, `csv`, `json` or `delta`.
    pub layout: &'static str,
    /// Version of a Delta table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    pub files: usize,
    pub bytes: u64,
    /// Rows; none when a file cannot be read.
    pub rows: Option<u64>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// As the contract says.
    Pass,
    /// Not so.
    Fail,
    /// It could not be found out; counts as a failure.
    CannotTell,
    /// It failed, or could not be determined, and that is accepted until some day.
    Waived,
    /// There are not yet enough earlier runs to compare with.
    Learning,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    pub id: String,
    /// What its format calls it.
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    pub severity: Severity,
    /// Where it is written.
    pub at: At,
    /// How it ended.
    pub verdict: Verdict,
    /// Why it could not be determined, or what else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was wanted, in words.
    pub expected: String,
    /// What was found, where that is a single value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<Value>,
    /// Rows looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub considered: Option<u64>,
    /// Of them rows that are otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unexpected: Option<u64>,
    /// These in percent of those; none of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unexpected_percent: Option<f64>,
    /// Of a check of freshness: the moment of the latest value, and how old it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
    /// The first of these rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// How fresh data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Freshness {
    /// The moment of the latest value.
    pub latest: Timestamp,
    /// Seconds.
    pub max_age: i64,
}

impl Freshness {
    /// Until when this value is fresh enough; none beyond the years of the calendar.
    pub fn until(&self) -> Option<Timestamp> {
        self.latest
            .checked_add(jiff::SignedDuration::from_secs(self.max_age))
            .ok()
    }

    /// Whether the value is too old at a moment.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.until().is_some_and(|until| now > until)
    }
}

/// A row that is otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    pub file: String,
    /// The row in it, from 1; the header of CSV does not count.
    pub row: u64,
    /// The values of the check's columns.
    pub values: Map<String, Value>,
}

/// What was set aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantineSummary {
    /// The directory.
    pub place: String,
    /// Rows that break a check.
    pub quarantined: u64,
    /// All others.
    pub passed: u64,
    /// Of the checks that can tell rows apart, how many rows each set aside; a row may be counted by several.
    pub reasons: Map<String, Value>,
}

impl Report {
    /// True when the data are as the contract says, or what is not is waived.
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Pass
    }

    /// The verdict in one line without any value of the data: what may stand in the status of an application.
    pub fn summary(&self) -> String {
        let wrong: Vec<&CheckResult> = self
            .checks
            .iter()
            .filter(|check| {
                check.severity == Severity::Error && matches!(check.verdict, Verdict::Fail | Verdict::CannotTell)
            })
            .collect();
        if wrong.is_empty() {
            let score = self.score.map_or_else(String::new, |score| format!(", score {score}"));
            return format!("as the contract says: {}{score}", counted(self.checks.len(), "check"));
        }
        let told = |check: &&CheckResult| match (check.verdict, check.considered, check.unexpected) {
            (Verdict::CannotTell, ..) => format!("{} cannot be determined", check.id),
            (_, Some(considered), Some(unexpected)) => format!("{} ({unexpected} of {considered})", check.id),
            _ => check.id.clone(),
        };
        let mut named: Vec<String> = wrong.iter().take(NAMED).map(told).collect();
        if wrong.len() > NAMED {
            named.push(format!("and {} more", wrong.len() - NAMED));
        }
        format!(
            "{} of {} {} not hold: {}",
            wrong.len(),
            counted(self.checks.len(), "check"),
            if wrong.len() == 1 { "does" } else { "do" },
            named.join(", ")
        )
    }

    /// The verdict and score of checks.
    pub fn judge(checks: &[CheckResult]) -> (Verdict, Option<f64>) {
        let counted: Vec<&CheckResult> = checks
            .iter()
            .filter(|check| check.severity == Severity::Error && check.verdict != Verdict::Learning)
            .collect();
        let failed = counted
            .iter()
            .any(|check| matches!(check.verdict, Verdict::Fail | Verdict::CannotTell));
        let verdict = if failed { Verdict::Fail } else { Verdict::Pass };
        let share = |check: &CheckResult| match (check.verdict, check.considered, check.unexpected) {
            (Verdict::CannotTell, ..) => 0.0,
            (_, Some(considered), Some(unexpected)) if considered > 0 => 1.0 - unexpected as f64 / considered as f64,
            (Verdict::Pass | Verdict::Learning, ..) => 1.0,
            (Verdict::Fail | Verdict::Waived, ..) => 0.0,
        };
        let total: f64 = counted.iter().map(|check| share(check)).sum();
        let score = (!counted.is_empty()).then(|| (total / counted.len() as f64 * 100_000.0).round() / 1_000.0);
        (verdict, score)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::CannotTell => "CANNOT TELL",
            Self::Waived => "waived",
            Self::Learning => "learning",
        })
    }
}

/// The text a person reads: failures first, each with its place and some rows; then what passed in a line each.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DataSummary {
            place,
            layout,
            files,
            rows,
            ..
        } = &self.data;
        let rows = rows.map_or_else(|| "an unknown number of rows".to_owned(), |rows| counted(rows, "row"));
        let files = counted(*files, "file");
        writeln!(f, "{}: {place} ({layout}, {files}, {rows})", self.contract)?;
        let (passed, others): (Vec<_>, Vec<_>) = self.checks.iter().partition(|check| check.verdict == Verdict::Pass);
        for check in others {
            writeln!(f)?;
            let warning = if check.severity == Severity::Warning {
                ", a warning"
            } else {
                ""
            };
            writeln!(f, "{}: {} ({}{warning})", check.verdict, check.id, check.expected)?;
            writeln!(f, "  --> {}:{}:{}", check.at.file, check.at.line, check.at.column)?;
            if let Some(reason) = &check.reason {
                writeln!(f, "  {reason}")?;
            }
            writeln!(f, "  {}", Numbers(check))?;
            for example in check.examples.iter().take(5) {
                let values: Vec<String> = example
                    .values
                    .iter()
                    .map(|(column, value)| format!("{column} = {}", printable(value)))
                    .collect();
                writeln!(f, "    {} row {}: {}", example.file, example.row, values.join(", "))?;
            }
            if check.examples.len() > 5 {
                writeln!(f, "    and others")?;
            }
        }
        if !passed.is_empty() {
            writeln!(f)?;
        }
        for check in passed {
            writeln!(f, "pass: {} ({}): {}", check.id, check.expected, Numbers(check))?;
        }
        writeln!(f)?;
        if let Some(quarantine) = &self.quarantine {
            let QuarantineSummary {
                place,
                quarantined,
                passed,
                ..
            } = quarantine;
            writeln!(
                f,
                "{} set aside and {passed} passed: {place}",
                counted(*quarantined, "row")
            )?;
        }
        if let Some(refused) = &self.quarantine_refused {
            writeln!(f, "{refused}")?;
        }
        let count = |verdict: Verdict| self.checks.iter().filter(|check| check.verdict == verdict).count();
        let score = self.score.map_or_else(String::new, |score| format!(", score {score}"));
        writeln!(
            f,
            "{}: {} passed, {} failed, {} could not be determined, {} waived{score}",
            self.verdict,
            count(Verdict::Pass),
            count(Verdict::Fail),
            count(Verdict::CannotTell),
            count(Verdict::Waived),
        )
    }
}

struct Numbers<'a>(&'a CheckResult);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.considered, self.0.unexpected, &self.0.observed) {
            (Some(considered), Some(unexpected), _) => {
                write!(f, "{unexpected} of {} not as expected", counted(considered, "row"))?;
                match self.0.unexpected_percent {
                    Some(percent) if unexpected > 0 => write!(f, " ({percent:.3} %)"),
                    _ => Ok(()),
                }
            }
            (_, _, Some(observed)) => write!(f, "found {}", printable(observed)),
            _ => f.write_str("nothing was found"),
        }
    }
}

/// Control characters could command the terminal.
fn printable(value: &Value) -> String {
    value
        .to_string()
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
