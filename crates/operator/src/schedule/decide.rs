//! The transition function of a schedule: facts in, decision out.
//!
//! A run is begun in two writes around one creation: first `lastRun` and `lastRunName` are recorded while `nextRun` still is the same time,
//! then the application of that name is created, then `nextRun` moves on. Cut off anywhere, the next round takes it up: as long as `lastRun`
//! equals `nextRun` the application of that name is created, or found created.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use stoke_model::crd::{
    ApplicationStateType, ConcurrencyPolicy, ScheduleState, ScheduledSparkApplication, ScheduledSparkApplicationStatus,
};

use super::Schedule;
use crate::application::EventNote;
use crate::names;

/// Everything [`decide`] may look at.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The schedule: metadata, spec with defaults applied, and the status last written.
    pub schedule: ScheduledSparkApplication,
    /// Its applications, in any order.
    pub children: Vec<Child>,
    /// True in the round after [`Action::Create`] was answered.
    pub created: bool,
}

/// An application a schedule began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its state.
    pub state: ApplicationStateType,
    /// True when its deletion was asked for.
    pub deleting: bool,
}

/// What is to be written, done, said, and when to look again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The status to write, before any action.
    pub status: ScheduledSparkApplicationStatus,
    /// What to do, in order.
    pub actions: Vec<Action>,
    /// When to look again even if nothing happens.
    pub requeue_at: Option<Timestamp>,
    /// What to tell people.
    pub events: Vec<EventNote>,
}

/// Something only the outside can do. Each may be done twice with the effect of once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create the application of this name from the template, or find it created. Then decide again with [`Facts::created`].
    Create(String),
    /// Delete the application of this name.
    Delete(String),
}

/// Decides what follows from `facts` at the time `now`.
#[must_use]
pub fn decide(facts: &Facts, now: Timestamp) -> Decision {
    let spec = &facts.schedule.spec;
    let mut decision = Decision {
        status: facts.schedule.status.clone().unwrap_or_default(),
        ..Decision::default()
    };
    if facts.schedule.metadata.deletion_timestamp.is_some() {
        return decision;
    }
    trim_history(facts, &mut decision);
    let schedule = match Schedule::parse(&spec.schedule, spec.time_zone.as_deref().unwrap_or_default()) {
        Ok(schedule) => schedule,
        Err(error) => {
            let status = &mut decision.status;
            if status.reason != error.to_string() {
                decision
                    .events
                    .push(note(true, "ScheduleInvalid", "Validate", error.to_string()));
            }
            status.schedule_state = ScheduleState::FailedValidation;
            status.reason = error.to_string();
            status.next_run = None;
            return decision;
        }
    };
    decision.status.schedule_state = ScheduleState::Scheduled;
    decision.status.reason.clear();
    let begun = decision.status.next_run.is_some() && decision.status.next_run == decision.status.last_run;
    if begun {
        finish_beginning(facts, &schedule, now, &mut decision);
    } else if spec.suspend == Some(true) {
        // What would have run meanwhile is not made up for.
        decision.status.next_run = None;
    } else {
        let next = decision
            .status
            .next_run
            .as_ref()
            .map(|time| time.0)
            .filter(|next| still_wanted(&schedule, *next, now));
        match next {
            Some(next) if next <= now => run_is_due(facts, &schedule, next, now, &mut decision),
            Some(_) => {}
            None => decision.status.next_run = schedule.after(now).map(Time),
        }
    }
    if decision
        .actions
        .iter()
        .all(|action| !matches!(action, Action::Create(_)))
    {
        decision.requeue_at = decision.status.next_run.as_ref().map(|time| time.0);
    }
    decision
}

/// False for a time that another schedule left behind.
fn still_wanted(schedule: &Schedule, next: Timestamp, now: Timestamp) -> bool {
    schedule.contains(next) && schedule.after(now).is_none_or(|following| next <= following)
}

fn run_is_due(facts: &Facts, schedule: &Schedule, next: Timestamp, now: Timestamp, decision: &mut Decision) {
    let (due, missed) = schedule.latest(next, now);
    if missed > 0 {
        let count = if missed >= 100 {
            "100 or more".to_owned()
        } else {
            missed.to_string()
        };
        decision.events.push(note(
            true,
            "ScheduledRunsMissed",
            "Schedule",
            format!("{count} runs from {next} on were missed"),
        ));
    }
    let active: Vec<&Child> = facts
        .children
        .iter()
        .filter(|child| !child.state.is_terminal() && !child.deleting)
        .collect();
    match (
        facts.schedule.spec.concurrency_policy.unwrap_or_default(),
        active.as_slice(),
    ) {
        (ConcurrencyPolicy::Forbid, [first, ..]) => {
            let message = format!("the run of {due} was skipped: {} has not ended", first.name);
            decision
                .events
                .push(note(true, "ScheduledRunSkipped", "Schedule", message));
            decision.status.next_run = schedule.after(now).map(Time);
            return;
        }
        (ConcurrencyPolicy::Replace, active) => {
            decision
                .actions
                .extend(active.iter().map(|child| Action::Delete(child.name.clone())));
        }
        _ => {}
    }
    let name = child_name(&facts.schedule.name_any(), due);
    decision.status.last_run = Some(Time(due));
    decision.status.next_run = Some(Time(due));
    decision.status.last_run_name = Some(name.clone());
    decision.actions.push(Action::Create(name));
}

fn finish_beginning(facts: &Facts, schedule: &Schedule, now: Timestamp, decision: &mut Decision) {
    let name = decision.status.last_run_name.clone().unwrap_or_default();
    if !facts.created && !facts.children.iter().any(|child| child.name == name) {
        decision.actions.push(Action::Create(name));
        return;
    }
    decision.events.push(note(
        false,
        "ScheduledRunStarted",
        "Schedule",
        format!("the run {name} was begun"),
    ));
    let last = decision.status.last_run.as_ref().map_or(now, |time| time.0);
    // After the run just begun, not after now: a time that came meanwhile is due, not lost.
    decision.status.next_run = schedule.after(last).map(Time);
}

/// Keeps the newest ended runs within the limits and lists them; deletes the others.
fn trim_history(facts: &Facts, decision: &mut Decision) {
    let spec = &facts.schedule.spec;
    let limit = |limit: Option<i32>| usize::try_from(limit.unwrap_or(1)).unwrap_or(0);
    let mut keep = |state: ApplicationStateType, limit: usize| -> Vec<String> {
        let mut ended: Vec<&Child> = facts
            .children
            .iter()
            .filter(|child| child.state == state && !child.deleting)
            .collect();
        ended.sort_by(|a, b| (b.created_at, &b.name).cmp(&(a.created_at, &a.name)));
        let surplus = ended.iter().skip(limit).map(|child| Action::Delete(child.name.clone()));
        decision.actions.extend(surplus);
        ended.iter().take(limit).map(|child| child.name.clone()).collect()
    };
    let successful = keep(
        ApplicationStateType::Completed,
        limit(spec.successful_run_history_limit),
    );
    let failed = keep(ApplicationStateType::Failed, limit(spec.failed_run_history_limit));
    decision.status.past_successful_run_names = successful;
    decision.status.past_failed_run_names = failed;
}

/// `<schedule>-<scheduled time in nanoseconds>`, shortened to what a label can hold.
fn child_name(schedule: &str, due: Timestamp) -> String {
    let suffix = format!("-{}", due.as_nanosecond());
    let room = stoke_model::names::LABEL_LIMIT - suffix.len();
    if schedule.len() <= room {
        return format!("{schedule}{suffix}");
    }
    let digest = &names::hex(schedule.as_bytes())[..8];
    let kept: String = schedule.chars().take(room - digest.len() - 1).collect();
    format!("{}-{digest}{suffix}", kept.trim_end_matches(['-', '.']))
}

fn note(warning: bool, reason: &'static str, action: &'static str, note: String) -> EventNote {
    EventNote {
        warning,
        reason,
        action,
        note,
    }
}
