//! The transition function of a schedule: facts in, decision out.
//!
//! A run is begun in two writes around one creation: first `lastRun` and `lastRunName` are recorded while `nextRun` still is the same time,
//! then the application of that name is created, then `nextRun` moves on. Cut off anywhere, the next round takes it up: as long as `lastRun`
//! equals `nextRun` the application of that name is created, or found created. A run asked for by the annotation `stoke.dev/trigger` goes the
//! same way, with the moment it was seen for its time.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use stoke_model::annotations::{STARTING_DEADLINE, TRIGGER};
use stoke_model::crd::{
    ApplicationStateType, ConcurrencyPolicy, ScheduleState, ScheduledSparkApplication, ScheduledSparkApplicationStatus,
};
use stoke_model::units::people::counted;

use super::Schedule;
use crate::application::EventNote;
use crate::application::limits::seconds;
use crate::names;

/// How far a clock may have been ahead for its times to be believed.
const CLOCK_ERROR: SignedDuration = SignedDuration::from_hours(26);

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
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
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
        Err(error) => return invalid(decision, error.to_string()),
    };
    let annotation = |name: &str| facts.schedule.annotations().get(name).cloned();
    let starting_deadline = match seconds(annotation(STARTING_DEADLINE).as_deref(), STARTING_DEADLINE) {
        Ok(limit) => limit,
        Err(reason) => return invalid(decision, reason),
    };
    decision.status.schedule_state = ScheduleState::Scheduled;
    decision.status.reason.clear();
    decision.status.time_zone = Some(schedule.zone().to_owned());
    let trigger = annotation(TRIGGER).filter(|trigger| decision.status.last_trigger.as_ref() != Some(trigger));
    let begun = decision.status.next_run.is_some() && decision.status.next_run == decision.status.last_run;
    if begun {
        finish_beginning(facts, &schedule, now, &mut decision);
    } else if let Some(trigger) = trigger {
        let due = triggered_at(&trigger, now);
        decision.status.last_trigger = Some(trigger);
        begin(facts, &schedule, due, now, &mut decision);
    } else if spec.suspend == Some(true) {
        // What would have run meanwhile is not made up for.
        decision.status.next_run = None;
    } else {
        let following = following(&schedule, &decision.status, now);
        let next = decision
            .status
            .next_run
            .as_ref()
            .map(|time| time.0)
            .filter(|next| schedule.contains(*next) && following.is_none_or(|following| *next <= following));
        match next {
            Some(next) if next <= now => run_is_due(facts, &schedule, next, now, starting_deadline, &mut decision),
            Some(_) => {}
            None => decision.status.next_run = following.map(Time),
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

fn invalid(mut decision: Decision, reason: String) -> Decision {
    let status = &mut decision.status;
    if status.reason != reason {
        let event = note(true, "ScheduleInvalid", "Validate", reason.clone());
        decision.events.push(event);
    }
    status.schedule_state = ScheduleState::FailedValidation;
    status.reason = reason;
    status.next_run = None;
    decision
}

/// The next time to come. A clock that was set back does not bring back a time that had its run.
fn following(schedule: &Schedule, status: &ScheduledSparkApplicationStatus, now: Timestamp) -> Option<Timestamp> {
    let last = status.last_run.as_ref().map_or(now, |time| time.0);
    // A last run far in the future is a clock's error, not a reason to rest for years.
    let from = if last > now && last.duration_since(now) <= CLOCK_ERROR {
        last
    } else {
        now
    };
    schedule.after(from)
}

/// The time of a run that was asked for: this second, and of it the part that belongs to this trigger alone.
fn triggered_at(trigger: &str, now: Timestamp) -> Timestamp {
    let digest = u32::from_str_radix(&names::hex(trigger.as_bytes())[..7], 16).unwrap_or_default();
    let part = i32::try_from(1 + digest % 999_999_999).unwrap_or(1);
    Timestamp::new(now.as_second(), part).unwrap_or(now)
}

fn run_is_due(
    facts: &Facts,
    schedule: &Schedule,
    next: Timestamp,
    now: Timestamp,
    starting_deadline: Option<SignedDuration>,
    decision: &mut Decision,
) {
    let (due, mut missed) = schedule.latest(next, now);
    let too_late = starting_deadline.is_some_and(|limit| now.duration_since(due) > limit);
    if too_late {
        missed += 1;
    }
    if missed > 0 {
        let were = if missed == 1 { "was" } else { "were" };
        let count = if missed >= 100 {
            "100 or more runs".to_owned()
        } else {
            counted(missed, "run")
        };
        decision.events.push(note(
            true,
            "ScheduledRunsMissed",
            "Schedule",
            format!("{count} from {next} on {were} missed"),
        ));
        let status = &mut decision.status;
        status.missed_runs = status
            .missed_runs
            .saturating_add(i32::try_from(missed).unwrap_or(i32::MAX));
    }
    if too_late {
        decision.status.next_run = schedule.after(now).map(Time);
        return;
    }
    begin(facts, schedule, due, now, decision);
}

/// Begins the run of `due`, as the concurrency policy allows.
fn begin(facts: &Facts, schedule: &Schedule, due: Timestamp, now: Timestamp, decision: &mut Decision) {
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
            decision.status.skipped_runs = decision.status.skipped_runs.saturating_add(1);
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
    let room = stoke_model::names::LABEL_LIMIT.saturating_sub(suffix.len());
    format!("{}{suffix}", names::shortened(schedule, room))
}

fn note(warning: bool, reason: &'static str, action: &'static str, note: String) -> EventNote {
    EventNote {
        warning,
        reason,
        action,
        note,
    }
}
