//! What fired and was over in this run of the tests, counted at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libtest_mimic::Failed;
use stoke_observe::pack::{alerts, dashboards};

use super::{GROUPS, WITHOUT_A_FAULT};
use crate::common::eventually;

/// How long an alert took to fire, and to be over.
#[derive(Clone, Copy)]
pub struct Seen {
    pub fired: Duration,
    pub over: Duration,
}

#[derive(Default)]
struct Ledger {
    /// Groups that have begun and not ended.
    open: usize,
    begun: BTreeSet<&'static str>,
    alerts: BTreeMap<&'static str, Seen>,
    panels: BTreeSet<&'static str>,
}

static LEDGER: Mutex<Option<Ledger>> = Mutex::new(None);

fn ledger(change: impl FnOnce(&mut Ledger)) {
    let mut ledger: MutexGuard<'_, Option<Ledger>> = LEDGER.lock().unwrap_or_else(PoisonError::into_inner);
    change(ledger.get_or_insert_default());
}

/// A group runs while this lives.
pub struct Begun;

impl Begun {
    pub fn of(group: &'static str) -> Self {
        ledger(|ledger| {
            ledger.open += 1;
            ledger.begun.insert(group);
        });
        Self
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        ledger(|ledger| ledger.open -= 1);
    }
}

/// An alert fired and was over.
pub fn note(alert: &'static str, seen: Seen) {
    ledger(|ledger| {
        ledger.alerts.insert(alert, seen);
    });
}

/// An expression of a panel has data.
pub fn note_panel(query: &'static str) {
    ledger(|ledger| {
        ledger.panels.insert(query);
    });
}

/// All expressions of panels.
pub fn queries() -> impl Iterator<Item = &'static str> {
    let panels = dashboards::all().iter().flat_map(|dashboard| dashboard.panels);
    panels.flat_map(|panel| panel.queries.iter().map(|(query, _)| *query))
}

/// What the table of faults says is what the alerts say of their faults, and each alert has one or a reason.
pub fn agree() -> Result<(), Failed> {
    let faults = GROUPS.iter().flat_map(|group| group.rounds.iter().copied().flatten());
    let here: BTreeSet<(&str, &str)> = faults
        .flat_map(|fault| fault.alerts.iter().map(|alert| (fault.name, alert.name)))
        .collect();
    let claimed: BTreeSet<(&str, &str)> = alerts::all()
        .filter_map(|alert| Some((alert.fault?, alert.name)))
        .collect();
    let different: Vec<_> = here.symmetric_difference(&claimed).collect();
    if !different.is_empty() {
        return Err(format!("the pack and the table of faults do not agree: {different:?}").into());
    }
    let without: BTreeSet<&str> = WITHOUT_A_FAULT.iter().map(|(name, _)| *name).collect();
    let lacking: BTreeSet<&str> = alerts::all()
        .filter(|alert| alert.fault.is_none())
        .map(|alert| alert.name)
        .collect();
    match lacking == without {
        true => Ok(()),
        false => Err(format!("alerts without a fault: {lacking:?}; with a reason: {without:?}").into()),
    }
}

/// Every alert fired and was over, and every expression of a panel had data, in this run.
pub fn counted() -> Result<(), Failed> {
    agree()?;
    // Groups stand before this in the list: each has begun, where it was asked for.
    eventually("the groups of faults have ended", Duration::from_secs(590), || {
        let mut open = 0;
        ledger(|ledger| open = ledger.open);
        open == 0
    })?;
    let mut wrong = Vec::new();
    ledger(|ledger| {
        for group in GROUPS.iter().filter(|group| !ledger.begun.contains(group.name)) {
            wrong.push(format!("the faults of `{}` were not injected in this run", group.name));
        }
        let excused = |name: &str| WITHOUT_A_FAULT.iter().find(|(known, _)| *known == name);
        for alert in alerts::all() {
            match (ledger.alerts.get(alert.name), excused(alert.name)) {
                (Some(seen), _) => println!(
                    "{}\t{}\tfires after {:.1} s\tis over after {:.1} s",
                    alert.name,
                    alert.fault.unwrap_or_default(),
                    seen.fired.as_secs_f64(),
                    seen.over.as_secs_f64()
                ),
                (None, Some((_, why))) => println!("{}\tno fault: {why}", alert.name),
                (None, None) => wrong.push(format!("{} did not fire and end", alert.name)),
            }
        }
        println!(
            "{} of {} alerts fired and were over",
            ledger.alerts.len(),
            alerts::all().count()
        );
        let all: BTreeSet<&str> = queries().collect();
        let empty: Vec<&&str> = all.difference(&ledger.panels).collect();
        println!(
            "{} of {} expressions of panels had data",
            all.len() - empty.len(),
            all.len()
        );
        wrong.extend(empty.iter().map(|query| format!("no data: {query}")));
    });
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}
