//! What came of tests.

use std::fmt;

use serde::Serialize;
use stoke_model::units::people::counted;

use crate::outcome::Violation;
use crate::problem::Problem;

/// Everything that was run.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestReport {
    /// Why policies, tests or examples could not be read.
    pub problems: Vec<Problem>,
    /// Rules `test_…`.
    pub tests: Vec<TestResult>,
    /// Files below `allowed` and `denied`.
    pub examples: Vec<ExampleResult>,
    /// Each definition of a rule that decides.
    pub rules: Vec<RuleResult>,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is true.
    Passed,
    /// It is not true, or could not be evaluated.
    Failed,
    /// Its name begins with `todo_test_`.
    Skipped,
}

/// One rule `test_…`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// Its path, `data.a_test.test_b`.
    pub name: String,
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// How it ended.
    pub verdict: Verdict,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it printed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub printed: Vec<String>,
}

/// What is expected of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// No one has anything against it.
    Allowed,
    /// Someone has something against it.
    Denied,
}

/// One example.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExampleResult {
    pub file: String,
    /// What is expected.
    pub expected: Expected,
    /// Whether it came so.
    pub passed: bool,
    /// What policies beside it have against it.
    pub violations: Vec<Violation>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One definition of a rule that decides.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleResult {
    /// The package, or `Kind` of a template.
    pub policy: String,
    pub rule: String,
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// Where it was seen firing: a file of an example, or a test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_in: Option<String>,
}

impl TestReport {
    /// True when nothing failed and every rule was seen firing.
    pub fn passed(&self) -> bool {
        self.failures() == 0
    }

    /// How much failed.
    pub fn failures(&self) -> usize {
        let tests = self.tests.iter().filter(|test| test.verdict == Verdict::Failed).count();
        let examples = self.examples.iter().filter(|example| !example.passed).count();
        let rules = self.rules.iter().filter(|rule| rule.seen_in.is_none()).count();
        self.problems.len() + tests + examples + rules
    }
}

impl fmt::Display for TestReport {
    /// Failures with their places, and a last line with counts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        for test in self.tests.iter().filter(|test| test.verdict == Verdict::Failed) {
            let why = test.message.as_deref().unwrap_or("it is not true");
            writeln!(f, "FAIL {}:{}: {}: {why}", test.file, test.line, test.name)?;
            for line in &test.printed {
                writeln!(f, "     printed {line}")?;
            }
        }
        for example in self.examples.iter().filter(|example| !example.passed) {
            let why = example.message.as_deref().unwrap_or(match example.expected {
                Expected::Allowed => "it is expected to be allowed",
                Expected::Denied => "it is expected to be denied, and nothing denies it",
            });
            writeln!(f, "FAIL {}: {why}", example.file)?;
            for violation in &example.violations {
                writeln!(f, "     {violation}")?;
            }
        }
        for rule in self.rules.iter().filter(|rule| rule.seen_in.is_none()) {
            writeln!(
                f,
                "FAIL {}:{}: {}.{} was never seen firing: add an example below `denied` that it denies, or a test that fails without it",
                rule.file, rule.line, rule.policy, rule.rule
            )?;
        }
        let skipped = self
            .tests
            .iter()
            .filter(|test| test.verdict == Verdict::Skipped)
            .count();
        let skipped = if skipped == 0 {
            String::new()
        } else {
            format!(" ({skipped} skipped)")
        };
        let failed = match self.failures() {
            0 => "all passed".to_owned(),
            count => format!("{count} failed"),
        };
        write!(
            f,
            "{}{skipped}, {}, {}: {failed}",
            counted(self.tests.len(), "test"),
            counted(self.examples.len(), "example"),
            counted(self.rules.len(), "rule definition"),
        )
    }
}
