//! For people: each finding like a compiler's diagnostic, then one line per gate.

use std::fmt::Write;

use stoke_diagnostics::Severity;
use stoke_diagnostics::render::{self, Style, printable};

use crate::finding::Finding;
use crate::verdict::{Report, Verdict};

/// How a part of the text is meant, for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    Good,
    Bad,
    /// To be seen.
    Strong,
    /// May be overlooked.
    Dim,
}

/// The report as text; `paint` colours a part of what is not a diagnostic.
#[must_use]
pub fn text(report: &Report, style: Style, paint: &dyn Fn(Tone, &str) -> String) -> String {
    let mut out = String::new();
    let open = report.gates.iter().flat_map(|gate| &gate.findings);
    let open = open.filter(|finding| finding.waived.is_none());
    let open = open.map(|finding| &finding.diagnostic);
    for diagnostic in open.chain(&report.waivers) {
        let _ = writeln!(out, "{}\n", render::text(diagnostic, style));
    }
    for finding in report.gates.iter().flat_map(|gate| &gate.findings) {
        if let Some(waived) = &finding.waived {
            let line = format!(
                "waived [{}] {}: {} (until {}, {})",
                finding.code,
                if finding.file.is_empty() {
                    "the job".to_owned()
                } else {
                    finding.place()
                },
                printable(&waived.reason),
                waived.expires,
                printable(&waived.owner)
            );
            let _ = writeln!(out, "{}", paint(Tone::Dim, &line));
        }
    }
    for gate in report.gates.iter().filter(|gate| gate.verdict != Verdict::NotAsked) {
        let tone = match gate.verdict {
            Verdict::Pass => Tone::Good,
            Verdict::Fail | Verdict::CannotTell => Tone::Bad,
            Verdict::Waived => Tone::Strong,
            Verdict::NotApplicable | Verdict::NotAsked => Tone::Dim,
        };
        let verdict = format!("{:<14}", gate.verdict.name());
        let what = if gate.looked_at == 0 {
            "nothing to look at"
        } else {
            gate.what.as_str()
        };
        let _ = writeln!(
            out,
            "{} {:<14}{what}{}",
            paint(tone, &verdict),
            gate.gate.name(),
            counted(&gate.findings)
        );
    }
    let not_requested = report.gates.iter().filter(|gate| gate.verdict == Verdict::NotAsked);
    let flags: Vec<String> = not_requested.map(|gate| format!("--{}", gate.gate.name())).collect();
    if !flags.is_empty() {
        let verdict = format!("{:<14}", Verdict::NotAsked.name());
        let _ = writeln!(out, "{} {}", paint(Tone::Dim, &verdict), flags.join(", "));
    }
    out
}

/// `, 2 errors, 1 warning, 1 waived`.
fn counted(findings: &[Finding]) -> String {
    let count = |which: &dyn Fn(&&Finding) -> bool| findings.iter().filter(which).count();
    let open = |severity| {
        move |finding: &&Finding| finding.waived.is_none() && finding.severity == severity && !finding.cannot_tell
    };
    let counts = [
        (count(&open(Severity::Error)), "error"),
        (
            count(&|finding: &&Finding| finding.cannot_tell && finding.waived.is_none()),
            "not known",
        ),
        (count(&open(Severity::Warning)), "warning"),
        (count(&|finding: &&Finding| finding.waived.is_some()), "waived"),
    ];
    let parts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| {
        let many = *count > 1 && matches!(*what, "error" | "warning");
        format!(", {count} {what}{}", if many { "s" } else { "" })
    });
    parts.collect()
}
