//! Whether policies do what they are for: their unit tests, their examples, and the proof that every rule can fire.
//!
//! A rule that never fires is worse than none, since it is believed in. So each definition of a rule that decides must be seen firing: in an example below
//! `denied` beside it, or in a unit test that fails when the definition is taken away.

mod coverage;
mod examples;
mod report;
mod units;

pub use report::{ExampleResult, Expected, RuleResult, TestReport, TestResult, Verdict};

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::files::PolicyFile;
use crate::load::{PolicySet, Settings};

/// What an application becomes, for examples that are applications.
#[derive(Clone, Debug, Default)]
pub struct Derived {
    /// Its effective configuration.
    pub conf: BTreeMap<String, String>,
    /// The driver it would get.
    pub driver: Value,
    /// An executor it would get.
    pub executor: Option<Value>,
}

/// Derives what an application becomes; `None` for one that shows only the part a policy is about, which is judged as it is written.
pub type Derive = dyn Fn(&Value) -> Result<Option<Derived>, String>;

/// How tests are run.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// How rules are evaluated.
    pub settings: Settings,
    /// Derives pods and configuration from an application; `Err` says why it cannot. Without it examples of applications are judged as they are written.
    pub derive: Option<&'a Derive>,
}

/// Runs everything there is to run of some policy files.
///
/// ```
/// use stoke_policy::{PolicyFile, test};
/// let policy = PolicyFile::new("p/p.rego", "package p\ndeny contains \"no\" if input.kind == \"Pod\"\n");
/// let denied = PolicyFile::new("p/denied/pod.yaml", "apiVersion: v1\nkind: Pod\n");
/// assert!(test::run(&[policy.clone(), denied], &test::Options::default()).passed());
/// // No one has seen this rule fire.
/// assert!(!test::run(&[policy], &test::Options::default()).passed());
/// ```
pub fn run(files: &[PolicyFile], options: &Options<'_>) -> TestReport {
    let mut report = TestReport::default();
    let loaded = PolicySet::load_with(files, &Map::new(), options.settings).and_then(PolicySet::not_empty);
    let set = match loaded {
        Ok(set) => set,
        Err(problems) => {
            report.problems = problems;
            return report;
        }
    };
    let (examples, problems) = examples::read(files, &set, options);
    report.problems.extend(problems);
    report.examples = examples.iter().map(|example| example.judge(&set)).collect();
    match units::Tests::of(&set) {
        Ok(tests) => {
            report.tests = tests.run();
            report.rules = coverage::prove(&set, &examples, &tests, &report.tests);
        }
        Err(problems) => report.problems.extend(problems),
    }
    report
}

#[cfg(test)]
mod tests;
