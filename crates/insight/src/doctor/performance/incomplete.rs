//! What could not be read of the log: every other finding knows only the rest.

use super::Finding;
use crate::facts::Run;
use stoke_diagnostics::{Diagnostic, Evidence, Rule, Severity};
use stoke_model::units::people::counted;

const RULE: Rule = Rule {
    text: "The log of a run that ended has lines that are not events, or stops in the middle of one.",
    source: "https://spark.apache.org/docs/latest/monitoring.html#viewing-after-the-fact (spark.eventLog)",
};

pub(super) fn rule(run: &Run) -> Vec<Finding> {
    let reading = &run.reading;
    // A log that still grows may well stop in the middle of a line.
    if reading.bad_lines == 0 && !(reading.truncated && run.ended.is_some()) {
        return Vec::new();
    }
    let mut evidence: Vec<Evidence> = reading
        .faults
        .iter()
        .take(3)
        .map(|fault| Evidence::new("event log", fault.clone()))
        .collect();
    if evidence.is_empty() {
        evidence.push(Evidence::new(
            "event log",
            format!("{} cannot be read as events", counted(reading.bad_lines, "line")),
        ));
    }
    vec![Finding {
        diagnostic: Diagnostic::new(
            Severity::Advice,
            "event-log-incomplete",
            format!(
                "The event log is not whole: {} could be read, and findings cover only \
                those.",
                counted(reading.events, "event")
            ),
        )
        .with_evidence(evidence)
        .with_rule(RULE)
        .with_fix(
            "Keep the log on storage that takes all of it: a full disk or a store that was away \
            loses events, and a driver that was killed leaves its last ones unwritten.",
        ),
        weight: 0,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_still_grows_is_whole() {
        for (bad_lines, truncated, ended, told) in [
            (0, false, Some(5), false),
            (0, true, None, false),
            (0, true, Some(5), true),
            (2, false, None, true),
        ] {
            let mut run = Run {
                ended,
                ..Run::default()
            };
            run.reading.bad_lines = bad_lines;
            run.reading.truncated = truncated;
            assert_eq!(rule(&run).len(), usize::from(told));
        }
    }
}
