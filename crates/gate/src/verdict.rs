//! What the gates say together.

use std::time::Instant;

use serde::Serialize;
use stoke_diagnostics::{Diagnostic, Severity};

use crate::cores::in_order;
use crate::job::Job;
use crate::waivers::Waivers;
use crate::{Finding, Gate};
use crate::{Settings, gates};

/// What a gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// There was nothing for it to look at.
    NotApplicable,
    /// It runs something, and no one asked for that.
    NotAsked,
    /// Nothing is wrong.
    Pass,
    /// What is wrong is waived.
    Waived,
    /// Something is wrong.
    Fail,
    /// Something it needs is missing; this does not pass.
    CannotTell,
}

impl Verdict {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verdict::NotApplicable => "not applicable",
            Verdict::NotAsked => "not asked",
            Verdict::Pass => "pass",
            Verdict::Waived => "waived",
            Verdict::Fail => "fail",
            Verdict::CannotTell => "cannot tell",
        }
    }

    /// True for what stops a job.
    #[must_use]
    pub fn stops(self) -> bool {
        matches!(self, Verdict::Fail | Verdict::CannotTell)
    }
}

/// What one gate found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GateReport {
    pub gate: Gate,
    /// What it says.
    pub verdict: Verdict,
    /// How many things it looked at: documents, statements, files, by the gate.
    pub looked_at: usize,
    /// What of that, in words: `3 documents`.
    pub what: String,
    /// What it found, in the order of the files.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub milliseconds: u64,
}

/// What all gates found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The worst verdict of a gate, `fail` before `cannot-tell`.
    pub verdict: Verdict,
    /// One for each gate that ran, in their order.
    pub gates: Vec<GateReport>,
    /// What is wrong with the waivers themselves, and which of them have expired.
    pub waivers: Vec<Diagnostic>,
}

impl Report {
    /// Exit code of a process: 0 passed or waived, 1 something is wrong, 3 nothing is known to be wrong but a gate could not tell.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Fail => 1,
            Verdict::CannotTell => 3,
            _ => 0,
        }
    }

    /// Lets warnings fail, too.
    pub fn be_strict(&mut self) {
        for gate in &mut self.gates {
            for finding in &mut gate.findings {
                finding.diagnostic.severity = Severity::Error;
            }
            if gate.verdict != Verdict::NotAsked {
                gate.verdict = verdict(gate.looked_at, &gate.findings);
            }
        }
        self.verdict = worst(&self.gates, &self.waivers);
    }

    /// All findings with their gates.
    pub fn findings(&self) -> impl Iterator<Item = (Gate, &Finding)> {
        let all = self.gates.iter();
        all.flat_map(|report| report.findings.iter().map(|finding| (report.gate, finding)))
    }
}

/// Runs the gates that are asked for over a job.
#[must_use]
pub fn check(job: &Job, settings: &Settings, waivers: &Waivers) -> Report {
    let asked = |gate: &Gate| settings.gates.is_empty() || settings.gates.contains(gate);
    let mut used = waivers.unused();
    let mut reports: Vec<GateReport> = Vec::new();
    let asked: Vec<Gate> = Gate::ALL.iter().copied().filter(asked).collect();
    let looked = in_order(&asked, 1, |gate| {
        let begun = Instant::now();
        (gates::look(*gate, job, settings), begun.elapsed())
    });
    for (gate, (mut looked, took)) in asked.into_iter().zip(looked) {
        looked
            .findings
            .sort_by(|one, other| (&one.file, one.line, one.column).cmp(&(&other.file, other.line, other.column)));
        let findings: Vec<Finding> = looked
            .findings
            .into_iter()
            .map(|diagnostic| Finding {
                waived: waivers.waive(&diagnostic, settings.today, &mut used),
                diagnostic,
            })
            .collect();
        reports.push(GateReport {
            gate,
            verdict: if looked.not_requested {
                Verdict::NotAsked
            } else {
                verdict(looked.count, &findings)
            },
            looked_at: looked.count,
            what: looked.what,
            findings,
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
    }
    let all_gates = settings.gates.is_empty();
    let about_waivers = waivers.findings(settings.today, &used, all_gates);
    Report {
        verdict: worst(&reports, &about_waivers),
        gates: reports,
        waivers: about_waivers,
    }
}

/// The worst of all verdicts.
fn worst(gates: &[GateReport], waivers: &[Diagnostic]) -> Verdict {
    let verdicts = gates.iter().map(|report| report.verdict);
    let verdicts = verdicts.chain(waivers.iter().any(Diagnostic::is_error).then_some(Verdict::Fail));
    // A failure is known; what cannot be determined is not.
    let rank = |verdict: &Verdict| match verdict {
        Verdict::NotApplicable | Verdict::NotAsked => 0,
        Verdict::Pass => 1,
        Verdict::Waived => 2,
        Verdict::CannotTell => 3,
        Verdict::Fail => 4,
    };
    verdicts.max_by_key(rank).unwrap_or(Verdict::NotApplicable)
}

fn verdict(looked_at: usize, findings: &[Finding]) -> Verdict {
    let failing = || findings.iter().filter(|finding| finding.fails());
    if failing().any(|finding| !finding.cannot_tell) {
        Verdict::Fail
    } else if failing().next().is_some() {
        Verdict::CannotTell
    } else if findings.iter().any(|finding| finding.waived.is_some()) {
        Verdict::Waived
    } else if looked_at == 0 {
        Verdict::NotApplicable
    } else {
        Verdict::Pass
    }
}
