//! Conditions for `kubectl wait`: `DriverReady`, `Completed`, `Failed`, `Suspended`, `QualityBefore`, `QualityAfter`.
//!
//! `DriverReady` is there from the first submission on, with the reason for waiting while it is False. Those of data quality are there from the
//! moment a check is asked for, Unknown until it has ended. The others appear when they become True. All go when a new run begins.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use stoke_model::annotations::quality::Phase;
use stoke_model::crd::{ApplicationStateType as State, SparkApplicationStatus};

use super::decide::seconds;
use super::facts::{Driver, Facts, Outcome, Progress};
use super::note::EventNote;

/// Words for a failure that is not the driver's own doing; once said they stay.
const WORDS: [&str; 5] = [
    "DeadlineExceeded",
    "DriverNotFound",
    "PendingTimeout",
    "QualityFailed",
    "StartTimeout",
];
/// How long after its time a pod that is being deleted is said to be stuck.
const OVERDUE: SignedDuration = SignedDuration::from_secs(30);
const STUCK: &str = "DriverStuckTerminating";

/// Derives the conditions of a status; times change only where a condition's value does. `because` is the word for a failure of this round.
pub(super) fn update(
    status: &mut SparkApplicationStatus,
    facts: &Facts,
    because: Option<&'static str>,
    now: Timestamp,
    events: &mut Vec<EventNote>,
) {
    let state = status.app_state.state;
    let mut word = None;
    if status.submission_attempts > 0 || !status.conditions.is_empty() {
        let (ready, reason, message) = driver_ready(status, facts, because, now);
        if reason == STUCK && known(status).is_none_or(|said| said.reason != STUCK) {
            events.push(EventNote::stuck(&message));
        }
        word = WORDS.into_iter().find(|word| *word == reason);
        set(status, "DriverReady", ready, &reason, &message, now);
    }
    let message = status.app_state.error_message.clone();
    let failed = match word {
        Some(word) => word,
        None if status.execution_attempts == 0 => "SubmissionFailed",
        None => "DriverFailed",
    };
    let endings = [
        ("Completed", state == State::Completed, "DriverSucceeded"),
        ("Failed", state == State::Failed, failed),
        ("Suspended", state == State::Suspended, "SuspendRequested"),
    ];
    for (type_, holds, reason) in endings {
        match holds {
            true => set(status, type_, true, reason, &message, now),
            false => status.conditions.retain(|condition| condition.type_ != type_),
        }
    }
}

fn known(status: &SparkApplicationStatus) -> Option<&Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "DriverReady")
}

fn driver_ready(
    status: &SparkApplicationStatus,
    facts: &Facts,
    because: Option<&'static str>,
    now: Timestamp,
) -> (bool, String, String) {
    let message = status.app_state.error_message.clone();
    let not = |reason: &str| (false, reason.to_owned(), message.clone());
    if let Driver::Present(pod) = &facts.driver
        && !status.app_state.state.is_terminal()
        && pod
            .gone_by
            .is_some_and(|by| by.saturating_add(OVERDUE).is_ok_and(|end| end <= now))
    {
        let by = pod.gone_by.map(|by| seconds(by).0.to_string()).unwrap_or_default();
        let held = if pod.held_by.is_empty() {
            "no one known"
        } else {
            &pod.held_by
        };
        let text = format!(
            "driver pod {} should be gone since {by} and is held by {held}; when its node is known to be down, remove it with \
             kubectl delete pod {} --grace-period=0 --force",
            pod.name, pod.name
        );
        return (false, STUCK.to_owned(), text);
    }
    match (status.app_state.state, &facts.driver) {
        (State::Running, Driver::Present(pod)) if pod.ready => (true, "DriverReady".into(), String::new()),
        (State::Running, _) => not("DriverNotReady"),
        (State::Submitted, Driver::Present(pod)) => match (facts.driver_waits(now), &pod.progress) {
            (Some(waits), _) => (false, reason_word(&waits.reason), waits.message.clone()),
            (None, Progress::Pending(Some(reason))) => (false, reason_word(&reason.reason), reason.message.clone()),
            _ => not("DriverPending"),
        },
        (State::Submitted, _) => not("DriverPending"),
        (State::Completed | State::Succeeding, _) => not("DriverSucceeded"),
        (State::Suspended | State::Suspending, _) => not("Suspended"),
        (State::SubmissionFailed | State::Failing | State::Failed, _) => {
            let otherwise = if status.execution_attempts > 0 && status.app_state.state != State::SubmissionFailed {
                "DriverFailed"
            } else {
                "SubmissionFailed"
            };
            match (because, &facts.submission, known(status)) {
                (Some(because), ..) => not(because),
                (None, Some(Outcome::Refused { code, .. }), _) => (false, reason_word(code), message),
                // Said in the round of the failure; later rounds do not know better.
                (None, _, Some(said)) if said.message == message => not(&said.reason),
                _ => not(otherwise),
            }
        }
        (State::Unknown, _) => not("DriverUnknown"),
        _ => not("NotSubmitted"),
    }
}

/// A condition's reason must be one word of letters, digits and underscores that begins with a letter.
fn reason_word(text: &str) -> String {
    let word: String = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    match word.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => word,
        false => "DriverPending".to_owned(),
    }
}

/// Whether data are as a contract says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Yes,
    No,
    Unknown,
}

fn of_phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Before => "QualityBefore",
        Phase::After => "QualityAfter",
    }
}

/// Says what is known of the data of a phase; the Event for people when that is an answer and news.
pub(super) fn quality(
    status: &mut SparkApplicationStatus,
    phase: Phase,
    held: Held,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Option<EventNote> {
    let type_ = of_phase(phase);
    let value = match held {
        Held::Yes => "True",
        Held::No => "False",
        Held::Unknown => "Unknown",
    };
    let known = status.conditions.iter().find(|condition| condition.type_ == type_);
    let news = known.is_none_or(|known| known.status != value || known.message != message);
    set_to(status, type_, value, reason, message, now);
    (news && held != Held::Unknown).then(|| EventNote::quality(phase, reason != "Passed", held == Held::Yes, message))
}

/// A new run knows nothing of its data yet.
pub(super) fn forget_quality(status: &mut SparkApplicationStatus, phase: Phase) {
    status.conditions.retain(|condition| condition.type_ != of_phase(phase));
}

fn set(status: &mut SparkApplicationStatus, type_: &str, holds: bool, reason: &str, message: &str, now: Timestamp) {
    set_to(
        status,
        type_,
        if holds { "True" } else { "False" },
        reason,
        message,
        now,
    );
}

fn set_to(status: &mut SparkApplicationStatus, type_: &str, value: &str, reason: &str, message: &str, now: Timestamp) {
    let observed_generation = status.observed_generation;
    let kept = status.conditions.iter().find(|c| c.type_ == type_ && c.status == value);
    let last_transition_time = kept.map_or_else(|| seconds(now), |kept| kept.last_transition_time.clone());
    let condition = Condition {
        type_: type_.to_owned(),
        status: value.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time,
        observed_generation,
    };
    match status.conditions.iter_mut().find(|c| c.type_ == type_) {
        Some(old) => *old = condition,
        None => status.conditions.push(condition),
    }
}
