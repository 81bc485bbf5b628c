//! A group of faults is injected, its alerts fire, it is repaired, and they are over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::Value;
use stoke_observe::pack::alert::Severity;
use stoke_observe::pack::alerts;

use super::count::{Seen, note};
use super::stage::Stage;
use super::{Alert, Fault, Group};
use crate::common::Context;

/// How long the alerts of a round may take to fire, and to be over. On a busy machine drivers alone take a minute to start.
const FIRES: Duration = Duration::from_secs(200);
const CLEARS: Duration = Duration::from_secs(100);
/// How often Alertmanager is asked.
const OFTEN: Duration = Duration::from_millis(200);

pub fn drive(context: &Context, group: &Group) -> Result<(), Failed> {
    let stage = (group.stage)(context)?;
    let mut failed = Vec::new();
    for faults in group.rounds {
        round(&stage, faults, &mut failed);
    }
    if !failed.is_empty() {
        return Err(failed.join("\n").into());
    }
    stage.down()
}

/// Faults that are there at the same time.
fn round(stage: &Stage, faults: &[Fault], failed: &mut Vec<String>) {
    let mut open: BTreeMap<&Alert, Instant> = BTreeMap::new();
    for fault in faults {
        let before = stage.servers.alerts();
        for alert in fault.alerts {
            if before.as_ref().is_some_and(|all| is_on(alert, all)) {
                failed.push(format!("{alert} was there before {}", fault.name));
            }
        }
        match (fault.inject)(stage) {
            Ok(()) => open.extend(fault.alerts.iter().map(|alert| (alert, Instant::now()))),
            Err(error) => failed.push(format!("{}: {}", fault.name, message(&error))),
        }
    }
    let fired = wait(stage, &open, true, FIRES);
    for alert in open.keys().filter(|alert| !fired.contains_key(*alert)) {
        failed.push(format!("{alert} does not fire within {} s", FIRES.as_secs()));
    }
    one_page(stage, faults, failed);
    for fault in faults {
        if let Some(meanwhile) = fault.meanwhile
            && let Err(error) = meanwhile(stage)
        {
            failed.push(format!("{}: {}", fault.name, message(&error)));
        }
    }
    let mut repaired = BTreeMap::new();
    for fault in faults {
        if let Err(error) = (fault.repair)(stage) {
            failed.push(format!("repair of {}: {}", fault.name, message(&error)));
        }
        let those = fault.alerts.iter().filter(|alert| fired.contains_key(alert));
        repaired.extend(those.map(|alert| (alert, Instant::now())));
    }
    let over = wait(stage, &repaired, false, CLEARS);
    for (alert, fired) in &fired {
        match over.get(alert) {
            Some(over) => {
                println!(
                    "{alert} fires {:.1} s after its fault, is over {:.1} s after the repair",
                    fired.as_secs_f64(),
                    over.as_secs_f64()
                );
                note(
                    alert.name,
                    Seen {
                        fired: *fired,
                        over: *over,
                    },
                );
            }
            None => failed.push(format!("{alert} goes on {} s after the repair", CLEARS.as_secs())),
        }
    }
}

fn message(error: &Failed) -> String {
    error.message().unwrap_or("failed").to_owned()
}

/// Waits until each alert is there, or is not; how long that took.
fn wait<'a>(
    stage: &Stage,
    wanted: &BTreeMap<&'a Alert, Instant>,
    on: bool,
    within: Duration,
) -> BTreeMap<&'a Alert, Duration> {
    let deadline = Instant::now() + within;
    let mut seen = BTreeMap::new();
    while seen.len() < wanted.len() && Instant::now() < deadline {
        // When Alertmanager does not answer, nothing is known.
        if let Some(all) = stage.servers.alerts() {
            for (alert, since) in wanted {
                if is_on(alert, &all) == on {
                    seen.entry(*alert).or_insert_with(|| since.elapsed());
                }
            }
        }
        std::thread::sleep(OFTEN);
    }
    seen
}

fn has_label(alert: &Value, pair: &str) -> bool {
    pair.split_once('=')
        .is_none_or(|(label, value)| alert["labels"][label] == value)
}

fn severity(name: &str) -> Option<Severity> {
    alerts::all()
        .find(|alert| alert.name == name)
        .map(|alert| alert.severity)
}

/// Whether an alert says that something is wrong: it is there; the heartbeat, when it is not.
fn is_on(alert: &Alert, all: &[Value]) -> bool {
    let there = all
        .iter()
        .any(|one| one["labels"]["alertname"] == alert.name && has_label(one, alert.label));
    there != (severity(alert.name) == Some(Severity::Heartbeat))
}

fn is_silenced(alert: &Value) -> bool {
    alert["status"]["inhibitedBy"]
        .as_array()
        .is_some_and(|by| !by.is_empty())
}

/// Who is woken is woken by these faults alone, and what a cause explains is silent.
fn one_page(stage: &Stage, faults: &[Fault], failed: &mut Vec<String>) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let expected = |name: &Value| {
        faults
            .iter()
            .flat_map(|fault| {
                fault
                    .alerts
                    .iter()
                    .map(|alert| alert.name)
                    .chain(fault.also.iter().copied())
            })
            .any(|known| name == known)
    };
    loop {
        let all = stage.servers.alerts().unwrap_or_default();
        let mut wrong = Vec::new();
        for alert in all
            .iter()
            .filter(|alert| alert["labels"]["severity"] == "page" && !is_silenced(alert))
        {
            if !expected(&alert["labels"]["alertname"]) {
                wrong.push(format!("a page that no fault of the round is for: {}", alert["labels"]));
            }
        }
        for silent in faults.iter().flat_map(|fault| fault.silences) {
            let of = all
                .iter()
                .filter(|one| one["labels"]["alertname"] == silent.name && has_label(one, silent.label));
            let of: Vec<&Value> = of.collect();
            if of.is_empty() || !of.iter().all(|one| is_silenced(one)) {
                wrong.push(format!("{silent} is not silenced by its cause: {of:?}"));
            }
        }
        if wrong.is_empty() {
            let silences = faults.iter().flat_map(|fault| fault.silences);
            for silent in silences {
                println!("{silent} is silent: its cause has fired");
            }
            return;
        }
        if Instant::now() > deadline {
            failed.extend(wrong);
            return;
        }
        std::thread::sleep(OFTEN);
    }
}
