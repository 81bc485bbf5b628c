//! Classes of failures as data: what each is, how near to the root of trouble it is, and what it explains.

use std::cmp::Reverse;

use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Evidence, Fix, Rule, Severity};

/// A class of failures.
#[derive(Debug)]
pub(super) struct Class {
    /// The finding's code.
    pub id: &'static str,
    /// The nearer to the root, the higher. Only decides where no class explains another.
    pub rank: u32,
    pub rule: Rule,
    /// Codes of what follows from it: such findings are told as its evidence, not as findings of their own.
    pub explains: &'static [&'static [&'static str]],
}

/// A class, for the tables.
pub(super) const fn class(
    id: &'static str,
    rank: u32,
    text: &'static str,
    source: &'static str,
    explains: &'static [&'static [&'static str]],
) -> Class {
    Class {
        id,
        rank,
        rule: Rule { text, source },
        explains,
    }
}

/// What is told at the end of a run whatever ended it.
pub(super) const END: &[&str] = &[
    "job-aborted",
    "executors-excluded",
    "driver-exit-code",
    "context-not-started",
    "submission-failed",
];
/// What an exception in someone's code looks like when it is another one's fault.
pub(super) const THROWN: &[&str] = &[
    "python-exception",
    "jvm-exception",
    "sql-runtime-error",
    "context-stopped",
    "job-cancelled",
    "spark-internal-error",
    "stream-failed",
    "write-failed",
];
/// What follows when executors go.
pub(super) const LOST: &[&str] = &[
    "executor-lost",
    "executor-heartbeat-timeout",
    "executor-failure-limit",
    "fetch-failed-executor-lost",
    "fetch-failed",
    "task-result-lost",
    "python-worker-crashed",
];
/// What follows when executors never come.
pub(super) const NONE_COME: &[&str] = &[
    "no-executors",
    "executor-failure-limit",
    "start-timeout",
    "deadline-exceeded",
    "executor-lost",
];

/// A finding in the making.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub class: &'static Class,
    /// Whether it ended the run, or blocks it.
    pub fatal: bool,
    pub message: String,
    pub evidence: Vec<Evidence>,
    pub fix: Fix,
}

impl Found {
    pub fn new(class: &'static Class, fatal: bool, message: impl Into<String>, evidence: Evidence, fix: Fix) -> Found {
        Found {
            class,
            fatal,
            message: message.into(),
            evidence: vec![evidence],
            fix,
        }
    }

    /// Never itself: groups may name the class they stand at.
    fn explains(&self, other: &Found) -> bool {
        self.class.id != other.class.id && self.class.explains.iter().any(|group| group.contains(&other.class.id))
    }
}

/// A fix in words.
pub(super) fn words(text: impl Into<String>) -> Fix {
    Fix {
        text: text.into(),
        patch: None,
    }
}

/// A fix in words and as a patch.
pub(super) fn patch(text: impl Into<String>, patch: Value) -> Fix {
    Fix {
        text: text.into(),
        patch: Some(patch),
    }
}

/// Pieces of evidence told of one finding.
const KEPT: usize = 5;

/// Findings: those of one class are one, those that another explains are its evidence, and the root comes first.
pub(super) fn settle(found: Vec<Found>) -> Vec<Diagnostic> {
    let mut merged: Vec<Found> = Vec::new();
    for one in found {
        match merged.iter_mut().find(|known| known.class.id == one.class.id) {
            Some(known) => {
                known.fatal |= one.fatal;
                if known.fix.patch.is_none() && one.fix.patch.is_some() {
                    known.fix = one.fix;
                }
                for evidence in one.evidence {
                    if known.evidence.len() < KEPT
                        && !known.evidence.iter().any(|seen| alike(&seen.seen, &evidence.seen))
                    {
                        known.evidence.push(evidence);
                    }
                }
            }
            None => merged.push(one),
        }
    }
    // The nearest to the root first, so that what it explains is given to it and not to something between.
    merged.sort_by_key(|one| Reverse(one.class.rank));
    let mut roots: Vec<Found> = Vec::new();
    for one in merged {
        let root = roots.iter_mut().find(|root| root.explains(&one));
        let Some(root) = root else {
            roots.push(one);
            continue;
        };
        // The cause of what ended the run has ended it.
        root.fatal |= one.fatal;
        if root.evidence.len() < KEPT
            && let Some(evidence) = one.evidence.into_iter().next()
            && !root.evidence.iter().any(|known| alike(&known.seen, &evidence.seen))
        {
            root.evidence.push(evidence);
        }
    }
    roots.sort_by_key(|root| Reverse((root.fatal, root.class.rank)));
    roots.into_iter().map(diagnostic).collect()
}

/// Whether two texts say the same of other numbers: the next executor, a second later.
fn alike(one: &str, other: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    words(one) == words(other)
}

fn diagnostic(found: Found) -> Diagnostic {
    let severity = match found.fatal {
        true => Severity::Error,
        false => Severity::Warning,
    };
    Diagnostic::new(severity, found.class.id, found.message)
        .with_evidence(found.evidence)
        .with_rule(found.class.rule)
        .with_fix(found.fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_that_says_the_same_of_another_executor_is_left_out() {
        for (one, other, same) in [
            (
                "26/11/22 09:16:08 ERROR executor 1 exited with 137",
                "26/11/22 09:16:19 ERROR executor 12 exited with 137",
                true,
            ),
            ("executor 1 exited", "executor 1 was evicted", false),
            ("", "1", true),
        ] {
            assert_eq!(alike(one, other), same, "{one}: {other}");
        }
    }
}
