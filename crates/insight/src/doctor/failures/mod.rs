//! What ended a run, or keeps it from going on.
//!
//! In: facts. Out: findings, the root cause first. Families of rules look at pods, at executors that were lost, at the event log and at
//! error texts; each rule gives findings of a class. Causality is data: a class says which others it explains
//! (a fetch failure by an executor that was OOMKilled, an aborted job by an exception in Python), and what is explained is told as
//! evidence of its cause. A run that ended well has findings only for what it survived and may not survive the next time.

mod access;
mod blocks;
mod class;
mod classpath;
mod code;
mod conditions;
mod connections;
mod context;
mod environment;
mod executors;
mod launch;
mod losses;
mod memory;
mod memory_settings;
mod network;
mod pods;
mod policies;
mod progress;
mod scheduling;
mod shuffle;
mod sql;
mod start;
mod storage;
mod tables;
mod texts;

use class::{Class, Found, settle};
use context::Context;

use stoke_diagnostics::{Diagnostic, Severity};

use crate::facts::Facts;

/// Findings about what failed: the root cause first; nothing when nothing did.
pub fn findings(facts: &Facts) -> Vec<Diagnostic> {
    let context = Context::new(facts);
    let mut found: Vec<Found> = Vec::new();
    pods::look(&context, &mut found);
    start::look(&context, &mut found);
    memory::look(&context, &mut found);
    storage::look(&context, &mut found);
    executors::look(&context, &mut found);
    shuffle::look(&context, &mut found);
    progress::look(&context, &mut found);
    texts::look(&context, &mut found);
    let mut findings = settle(found);
    // A run that failed has a cause: where nothing else is known to have ended it, it is what is nearest to the root.
    if context.failed()
        && findings.iter().all(|finding| !finding.is_error())
        && let Some(first) = findings.first_mut()
    {
        first.severity = Severity::Error;
    }
    findings
}

/// Whether one of these findings is why executors and their work were lost.
pub(super) fn explain_lost_work(findings: &[Diagnostic]) -> bool {
    let mut classes = classes().filter(|class| findings.iter().any(|finding| finding.code == class.id));
    classes.any(|class| class.explains.iter().any(|group| group.contains(&"executor-lost")))
}

/// Codes of all findings this room may give about failures, sorted.
pub fn codes() -> Vec<&'static str> {
    let mut codes: Vec<&'static str> = classes().map(|class| class.id).collect();
    codes.sort_unstable();
    codes
}

fn classes() -> impl Iterator<Item = &'static Class> {
    let families: [&'static [&'static Class]; 17] = [
        &access::CLASSES,
        &classpath::CLASSES,
        &code::CLASSES,
        &conditions::CLASSES,
        &connections::CLASSES,
        &environment::CLASSES,
        &executors::CLASSES,
        &launch::CLASSES,
        &memory::CLASSES,
        &network::CLASSES,
        &pods::CLASSES,
        &progress::CLASSES,
        &scheduling::CLASSES,
        &shuffle::CLASSES,
        &sql::CLASSES,
        &start::CLASSES,
        &tables::CLASSES,
    ];
    families.into_iter().flatten().chain(&storage::CLASSES).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_what_is_explained_exists() {
        let codes = codes();
        let unique: BTreeSet<&str> = codes.iter().copied().collect();
        assert_eq!(unique.len(), codes.len());
        for class in classes() {
            for explained in class.explains.iter().copied().flatten() {
                assert!(
                    unique.contains(explained),
                    "{} explains {explained}, which no class is",
                    class.id
                );
            }
        }
    }

    #[test]
    fn what_explains_is_nearer_to_the_root() {
        let rank = |id: &str| classes().find(|class| class.id == id).unwrap().rank;
        let mut wrong = Vec::new();
        for class in classes() {
            for explained in class.explains.iter().copied().flatten().filter(|id| **id != class.id) {
                if class.rank <= rank(explained) {
                    wrong.push(format!("{} explains {explained} and does not rank above it", class.id));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        assert_eq!(findings(&Facts::default()), []);
    }
}
