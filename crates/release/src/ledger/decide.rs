//! Whether a release may go to an environment: a function of the ledger, the environments, the time and what others say.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use stoke_diagnostics::{Diagnostic, Evidence, Severity};
use stoke_model::units::people;

use super::approval::{Approver, approvers};
use super::compared;
pub use super::entry::Step;
use super::entry::Verdict;
use super::history::{History, Place};
use crate::environment::{Environment, Environments};
use crate::oci::Digest;

/// How far the clock of this machine may be behind the ledger's last entry: machines differ a little. The ledger's time holds then.
pub const SKEW: SignedDuration = SignedDuration::from_secs(10);

/// What others say.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What speaks against a release by its error budget; none when it was not asked for.
    pub budget: Option<Vec<Diagnostic>>,
    /// The release repairs what spent the budget.
    pub repair: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub release: Digest,
    pub environment: String,
    pub step: Step,
    /// What is there now.
    pub replaces: Option<Digest>,
    pub standing: Standing,
    /// The time that the ledger will have.
    pub now: Timestamp,
    /// Who approved.
    pub approvers: Vec<Approver>,
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is there already.
    Done,
    /// Nothing was begun; an intent that ran out is to be given up first.
    New { abandon: Option<u64> },
    /// This intent was written, and its end was not.
    Resume { intent: u64 },
}

/// Whether a release may be promoted.
///
/// # Errors
/// All that speaks against it.
pub fn promote(
    history: &History,
    environments: &Environments,
    release: &Digest,
    target: &str,
    now: Timestamp,
    facts: &Facts,
) -> Result<Plan, Vec<Diagnostic>> {
    let environment = environment(environments, target)?;
    let now = clock(history, now)?;
    let empty = Place::default();
    let place = history.place(target).unwrap_or(&empty);
    let plan = |standing, approvers| Plan {
        release: release.clone(),
        environment: target.to_owned(),
        step: Step::Promote,
        replaces: place.current().cloned(),
        standing,
        now,
        approvers,
    };
    // What was begun was allowed then; it is brought to its end.
    if let Some(open) = place
        .open
        .as_ref()
        .filter(|open| open.release == *release && open.step == Step::Promote)
    {
        return Ok(plan(Standing::Resume { intent: open.sequence }, Vec::new()));
    }
    if place.current() == Some(release) && place.open.is_none() {
        return Ok(plan(Standing::Done, Vec::new()));
    }
    let mut reasons = Vec::new();
    let abandon = lock(place, target, now, &mut reasons);
    origin(history, environment, release, &mut reasons);
    let mut missing = Vec::new();
    let agreed = approved(environment, release, place, &mut missing);
    let skips = environment.approvals.as_ref().is_some_and(|approvals| {
        approvals.may_skip_verification
            && agreed.iter().filter(|one| one.skips_verification).count() >= approvals.needed
    });
    if !skips {
        soak(history, environment, release, now, &mut reasons);
        gates(history, environment, release, &mut reasons);
        compared::ask(history, environment, release, place.current(), now, &mut reasons);
    }
    reasons.append(&mut missing);
    freezes(environment, now, &mut reasons);
    budget(environment, facts, &mut reasons);
    match reasons.is_empty() {
        true => Ok(plan(Standing::New { abandon }, agreed)),
        false => Err(reasons),
    }
}

/// Back to the last release that was good here. Freezes, approvals and budgets do not hold it up.
///
/// # Errors
/// There is nothing to go back to, or something else is under way.
pub fn rollback(
    history: &History,
    environments: &Environments,
    target: &str,
    now: Timestamp,
) -> Result<Plan, Vec<Diagnostic>> {
    environment(environments, target)?;
    let now = clock(history, now)?;
    let empty = Place::default();
    let place = history.place(target).unwrap_or(&empty);
    let plan = |release: &Digest, standing| Plan {
        release: release.clone(),
        environment: target.to_owned(),
        step: Step::Rollback,
        replaces: place.current().cloned(),
        standing,
        now,
        approvers: Vec::new(),
    };
    match &place.open {
        Some(open) if open.step == Step::Rollback => {
            return Ok(plan(&open.release, Standing::Resume { intent: open.sequence }));
        }
        // A promotion that hangs must not hold up the way back: what it replaces may be half gone, and is the last good.
        Some(open) => {
            if let Some(current) = place.current() {
                return Ok(plan(
                    current,
                    Standing::New {
                        abandon: Some(open.sequence),
                    },
                ));
            }
        }
        None => {}
    }
    match place.last_good() {
        Some(good) => Ok(plan(good, Standing::New { abandon: None })),
        None => Err(vec![refusal(
            "release-no-good",
            format!("{target}: no release was there before that no rollback ended"),
            "promote a release that is good",
        )]),
    }
}

fn environment<'a>(environments: &'a Environments, name: &str) -> Result<&'a Environment, Vec<Diagnostic>> {
    environments.get(name).ok_or_else(|| {
        let names: Vec<&str> = environments.names().collect();
        let fix = match stoke_model::manifest::nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.join(", ")),
        };
        vec![refusal(
            "release-no-environment",
            format!("there is no environment `{name}`"),
            fix,
        )]
    })
}

/// The time of what is written next: never before what is written.
///
/// # Errors
/// The clock is behind the ledger.
pub fn clock(history: &History, now: Timestamp) -> Result<Timestamp, Vec<Diagnostic>> {
    match history.last {
        Some(last) if now < last => {
            let behind = now.duration_until(last);
            match behind <= SKEW {
                true => Ok(last),
                false => Err(vec![refusal(
                    "release-clock",
                    format!(
                        "the clock of this machine says {now}, {} before the last entry of the ledger ({last})",
                        time(behind.as_secs())
                    ),
                    "set the clock of this machine; when it is right, the machine that wrote the entry was wrong, and promotions go on when that time has come",
                )]),
            }
        }
        _ => Ok(now),
    }
}

fn lock(place: &Place, target: &str, now: Timestamp, reasons: &mut Vec<Diagnostic>) -> Option<u64> {
    let open = place.open.as_ref()?;
    if now < open.until {
        reasons.push(refusal(
            "release-busy",
            format!(
                "{target}: {} brings {} there, until {} at most",
                open.by, open.release, open.until
            ),
            "wait for its end; when it died, give its command again, which goes on where it stopped",
        ));
    }
    Some(open.sequence)
}

fn origin(history: &History, environment: &Environment, release: &Digest, reasons: &mut Vec<Diagnostic>) {
    if !history.knows(release) {
        reasons.push(refusal(
            "release-origin",
            format!("the ledger has no creation of {release}"),
            "create it with `stoke release create`",
        ));
    }
    if history
        .place(&environment.name)
        .is_some_and(|place| place.went_bad(release))
    {
        reasons.push(refusal(
            "release-rolled-back",
            format!("{release} was rolled back in {}", environment.name),
            "repair what was wrong, and create a release of it",
        ));
    }
    let Some(from) = &environment.from else { return };
    let place = history.place(from);
    if !place.is_some_and(|place| place.was_here(release)) {
        reasons.push(refusal(
            "release-origin",
            format!(
                "{}: a release comes from {from}, and {release} never was there",
                environment.name
            ),
            format!("promote it to {from} first; no approval stands in for that"),
        ));
    } else if place.is_some_and(|place| place.went_bad(release)) {
        reasons.push(refusal(
            "release-rolled-back",
            format!("{release} was rolled back in {from}"),
            "repair what was wrong, and create a release of it",
        ));
    }
}

fn soak(history: &History, environment: &Environment, release: &Digest, now: Timestamp, reasons: &mut Vec<Diagnostic>) {
    let Some(from) = environment.from.as_ref().filter(|_| environment.soak_seconds > 0) else {
        return;
    };
    let was = history.place(from).map_or(0, |place| place.was_current(release, now)) / 1000;
    if was < environment.soak_seconds {
        reasons.push(refusal(
            "release-soak",
            format!(
                "{release} was current in {from} for {}, and {} are wanted",
                time(was),
                time(environment.soak_seconds)
            ),
            format!(
                "let it run there for {} more; only time in which it is current there counts",
                time(environment.soak_seconds - was)
            ),
        ));
    }
}

fn gates(history: &History, environment: &Environment, release: &Digest, reasons: &mut Vec<Diagnostic>) {
    for gate in &environment.gates {
        match history.verdicts.get(&(release.clone(), gate.clone())) {
            Some(Verdict::Pass | Verdict::Waived) => {}
            Some(Verdict::Fail) => reasons.push(refusal(
                "release-gate",
                format!("the gate {gate} fails for {release}"),
                "repair what it found, and create a release of it",
            )),
            None => reasons.push(
                refusal(
                    "release-gate",
                    format!("the gate {gate} said nothing about {release}"),
                    format!("run it, and record what it says with `stoke release record --gate {gate}`"),
                )
                .unknown(),
            ),
        }
    }
}

fn approved(
    environment: &Environment,
    release: &Digest,
    place: &Place,
    reasons: &mut Vec<Diagnostic>,
) -> Vec<Approver> {
    let Some(approvals) = &environment.approvals else {
        return Vec::new();
    };
    let agreed = approvers(release, environment, approvals, place);
    if agreed.len() < approvals.needed {
        let all: Vec<&str> = approvals.keys.iter().map(|key| key.name.as_str()).collect();
        let names: Vec<&str> = agreed.iter().map(|one| one.name.as_str()).collect();
        let who = if names.is_empty() {
            "no one".to_owned()
        } else {
            names.join(", ")
        };
        reasons.push(
            refusal(
                "release-approvals",
                format!("{}: {} of {} approvals of {release}", environment.name, agreed.len(), approvals.needed),
                format!("{} approve with `stoke release approve`; an approval holds for one release under the rules it was given for", all.join(", ")),
            )
            .with_evidence(vec![Evidence::new("approved by", who)]),
        );
    }
    agreed
}

fn freezes(environment: &Environment, now: Timestamp, reasons: &mut Vec<Diagnostic>) {
    for freeze in &environment.freezes {
        if let Some(until) = freeze.until(now) {
            reasons.push(refusal(
                "release-freeze",
                format!("{}: {} until {until}", environment.name, freeze.name()),
                "wait for its end; a rollback is possible now",
            ));
        }
    }
}

fn budget(environment: &Environment, facts: &Facts, reasons: &mut Vec<Diagnostic>) {
    if !environment.error_budget || facts.repair {
        return;
    }
    match &facts.budget {
        None => reasons.push(
            refusal(
                "release-budget",
                format!("{}: the error budget is not known", environment.name),
                "name the objectives with --objectives, and where their runs are",
            )
            .unknown(),
        ),
        Some(against) => reasons.extend(against.iter().filter(|one| one.severity == Severity::Error).cloned()),
    }
}

pub(super) fn refusal(code: &'static str, message: String, fix: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Severity::Error, code, message).with_fix(fix.into())
}

pub(super) fn time(seconds: i64) -> String {
    people::duration(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000))
}
