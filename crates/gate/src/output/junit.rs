//! JUnit's XML, which CI servers show as tests: one suite per gate, one case per finding, and one for the gate itself when nothing is wrong.

use std::fmt::Write;

use stoke_model::manifest::Severity;

use super::printable;
use crate::finding::Finding;
use crate::verdict::{Report, Verdict};

/// The report as JUnit XML. Errors are failures, what cannot be determined is an error, warnings pass with their text, waived findings are skipped.
#[must_use]
pub fn junit(report: &Report) -> String {
    let mut suites = String::new();
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    let of_waivers = Some(("waivers", &report.waivers, 0, None)).filter(|_| !report.waivers.is_empty());
    let gates = report
        .gates
        .iter()
        .map(|gate| (gate.gate.name(), &gate.findings, gate.milliseconds, Some(gate.verdict)));
    for (name, findings, milliseconds, verdict) in gates.chain(of_waivers) {
        let mut cases = String::new();
        let own = usize::from(findings.is_empty());
        if own == 1 {
            let skipped = match verdict {
                Some(Verdict::NotApplicable) => "<skipped message=\"nothing to look at\"/>",
                Some(Verdict::NotAsked) => "<skipped message=\"not asked for\"/>",
                _ => "",
            };
            let _ = writeln!(
                cases,
                "    <testcase classname=\"stoke.{name}\" name=\"{name}\">{skipped}</testcase>"
            );
        }
        for finding in findings {
            cases.push_str(&case(name, finding));
        }
        let fails = findings.iter().filter(|finding| finding.fails());
        let unknown = fails.clone().filter(|finding| finding.cannot_tell).count();
        let failed = fails.count() - unknown;
        let skipped = findings.iter().filter(|finding| finding.waived.is_some()).count()
            + usize::from(own == 1 && matches!(verdict, Some(Verdict::NotApplicable | Verdict::NotAsked)));
        let count = findings.len() + own;
        let seconds = std::time::Duration::from_millis(milliseconds).as_secs_f64();
        let _ = writeln!(
            suites,
            "  <testsuite name=\"{name}\" tests=\"{count}\" failures=\"{failed}\" errors=\"{unknown}\" skipped=\"{skipped}\" time=\"{seconds:.3}\">\n{cases}  </testsuite>"
        );
        (tests, failures, errors) = (tests + count, failures + failed, errors + unknown);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"stoke check\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">\n{suites}</testsuites>\n"
    )
}

fn case(gate: &str, finding: &Finding) -> String {
    let name = escaped(&format!("{} {}", finding.code, finding.place()));
    let file = if finding.file.is_empty() {
        String::new()
    } else {
        format!(" file=\"{}\"", escaped(&finding.file))
    };
    let line = if finding.line > 0 {
        format!(" line=\"{}\"", finding.line)
    } else {
        String::new()
    };
    let message = escaped(&finding.message);
    let mut more = escaped(&finding.place());
    if !finding.path.is_empty() {
        more = format!("{more}\n{}", escaped(&finding.path));
    }
    if let Some(fix) = &finding.fix {
        more = format!("{more}\n{}", escaped(fix));
    }
    let body = match (&finding.waived, finding.severity, finding.cannot_tell) {
        (Some(waived), ..) => {
            let why = format!("waived until {} by {}: {}", waived.expires, waived.owner, waived.reason);
            format!("<skipped message=\"{}\"/>", escaped(&why))
        }
        (None, _, true) => format!("<error message=\"{message}\" type=\"{}\">{more}</error>", finding.code),
        (None, Severity::Error, _) => format!(
            "<failure message=\"{message}\" type=\"{}\">{more}</failure>",
            finding.code
        ),
        (None, Severity::Warning, _) => format!("<system-out>warning: {message}\n{more}</system-out>"),
    };
    format!("    <testcase classname=\"stoke.{gate}\" name=\"{name}\"{file}{line}>{body}</testcase>\n")
}

fn escaped(text: &str) -> String {
    let text = text.lines().map(printable).collect::<Vec<_>>().join("\n");
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
