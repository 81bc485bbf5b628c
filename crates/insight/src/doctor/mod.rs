//! What is wrong with a run, ranked, the root cause first.
//!
//! A rule is a function of [`Facts`](crate::facts::Facts) that gives findings. Rules about failures look at what ended the run; rules about
//! speed look at how it ran. A healthy run gives none.

pub mod failures;
mod finding;
pub mod performance;

use std::cmp::Reverse;

pub use finding::{Evidence, Finding, Fix, Gain, Rule, Severity};

use crate::facts::Facts;

/// Everything that is found, the most severe first and the root cause at the top. Of what is as severe, failures come before advice about
/// speed, each in the order its own rules give.
///
/// Cost: linear in the tasks of the run and the lines of its logs, for each rule.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut slow = performance::findings(facts);
    slow.sort_by_key(|finding| Reverse(finding.weight));
    let mut findings = failures::findings(facts);
    findings.append(&mut slow);
    findings.sort_by_key(|finding| finding.severity);
    findings
}
