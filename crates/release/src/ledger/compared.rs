//! Comparisons with what is there, as conditions of a promotion: a shadow run, an A/B.

use jiff::Timestamp;
use stoke_diagnostics::Diagnostic;

use super::decide::{refusal, time};
use super::{History, Verdict};
use crate::environment::{Comparison, Environment};
use crate::oci::Digest;
use crate::{ab, shadow};

/// A gate that compares.
struct Gate {
    name: &'static str,
    code: &'static str,
    /// What is asked for, with its article and without.
    one: &'static str,
    bare: &'static str,
}

const SHADOW: Gate = Gate {
    name: shadow::GATE,
    code: "release-shadow",
    one: "a shadow run",
    bare: "shadow run",
};

const AB: Gate = Gate {
    name: ab::GATE,
    code: "release-ab",
    one: "an A/B",
    bare: "A/B",
};

/// The last comparison of this release passes, was against what is there now, and is not too old. Where nothing is, there is nothing to compare with.
pub(super) fn ask(
    history: &History,
    environment: &Environment,
    release: &Digest,
    current: Option<&Digest>,
    now: Timestamp,
    reasons: &mut Vec<Diagnostic>,
) {
    let Some(current) = current else { return };
    for (gate, wanted) in [(SHADOW, &environment.shadow), (AB, &environment.ab)] {
        if let Some(wanted) = wanted {
            of_gate(
                &gate,
                wanted,
                history,
                &environment.name,
                (release, current),
                now,
                reasons,
            );
        }
    }
}

fn of_gate(
    gate: &Gate,
    wanted: &Comparison,
    history: &History,
    name: &str,
    (release, current): (&Digest, &Digest),
    now: Timestamp,
    reasons: &mut Vec<Diagnostic>,
) {
    let (one, bare) = (gate.one, gate.bare);
    let again = format!(
        "`stoke release {} {} --against {}`",
        gate.name,
        release.short(),
        current.short()
    );
    let mut say = |message: String, fix: String, unknown: bool| {
        let reason = refusal(gate.code, message, fix);
        reasons.push(if unknown { reason.unknown() } else { reason });
    };
    let of_gate = || history.comparisons.iter().rev().filter(|one| one.gate == gate.name);
    let Some(last) = of_gate().find(|one| one.release == *release) else {
        let message = match of_gate().next() {
            Some(other) => format!(
                "{name} asks for {one} of {release}; the last one is of {}, which says nothing of it",
                other.release
            ),
            None => format!("{name} asks for {one} of {release}, and there is none"),
        };
        return say(message, format!("run it: {again}"), true);
    };
    match (&last.against, last.verdict) {
        (_, Verdict::Fail) => {
            let message = format!("the last {bare} of {release} says that it is worse");
            let fix = format!(
                "`stoke release show {}` names its record; repair what differs, and create a release of it",
                release.short()
            );
            say(message, fix, false);
        }
        (None, _) => {
            let message = format!("the {bare} verdict about {release} does not say what it was compared with");
            say(
                message,
                format!("run it, or record its record as evidence: {again}"),
                true,
            );
        }
        (Some(against), _) if wanted.against_current && against != current => {
            let message = format!("{release} was compared with {against}, and {current} is in {name} now");
            say(message, format!("compare it with what it replaces: {again}"), true);
        }
        _ => {}
    }
    let age = now.duration_since(last.time).as_secs();
    if let Some(most) = wanted.max_age_seconds.filter(|most| age > *most) {
        let message = format!(
            "the {bare} of {release} is {} old, and {name} takes {} at most",
            time(age),
            time(most)
        );
        say(message, format!("run it again, on the data of today: {again}"), true);
    }
}
