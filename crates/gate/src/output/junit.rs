//! The report as JUnit XML: one suite per gate.

use std::time::Duration;

use stoke_diagnostics::junit::{self, Suite};

use crate::finding::Finding;
use crate::verdict::{Report, Verdict};
use crate::waivers::Waived;

/// The report as JUnit XML. Waived findings are skipped.
#[must_use]
pub fn junit(report: &Report) -> String {
    let mut suites: Vec<Suite<'_>> = report
        .gates
        .iter()
        .map(|gate| Suite {
            name: gate.gate.name(),
            time: Duration::from_millis(gate.milliseconds),
            skipped: match gate.verdict {
                Verdict::NotApplicable => Some("nothing to look at"),
                Verdict::NotAsked => Some("not asked for"),
                _ => None,
            },
            cases: gate.findings.iter().map(case).collect(),
        })
        .collect();
    if !report.waivers.is_empty() {
        suites.push(Suite {
            name: "waivers",
            time: Duration::ZERO,
            skipped: None,
            cases: report.waivers.iter().map(|found| (found, None)).collect(),
        });
    }
    junit::junit("stoke check", "the job", &suites)
}

fn case(finding: &Finding) -> (&stoke_diagnostics::Diagnostic, Option<String>) {
    let why = |waived: &Waived| {
        let Waived { owner, reason, expires } = waived;
        format!("waived until {expires} by {owner}: {reason}")
    };
    (&finding.diagnostic, finding.waived.as_ref().map(why))
}
