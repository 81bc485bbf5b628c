//! Conditions for `kubectl wait`: `DriverReady`, `Completed`, `Failed`, `Suspended`.
//!
//! `DriverReady` is there from the first submission on, with the reason for waiting while it is False. The others appear when they become
//! True and go when a new run begins.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use stoke_model::crd::{ApplicationStateType as State, SparkApplicationStatus};

use super::decide::seconds;
use super::facts::{Driver, Facts, Outcome, Progress};

/// Derives the conditions of a status; times change only where a condition's value does.
pub(super) fn update(status: &mut SparkApplicationStatus, facts: &Facts, now: Timestamp) {
    let state = status.app_state.state;
    if status.submission_attempts > 0 || !status.conditions.is_empty() {
        let (ready, reason, message) = driver_ready(status, facts);
        set(status, "DriverReady", ready, &reason, &message, now);
    }
    let message = status.app_state.error_message.clone();
    let endings = [
        ("Completed", state == State::Completed, "DriverSucceeded"),
        (
            "Failed",
            state == State::Failed,
            if status.execution_attempts == 0 {
                "SubmissionFailed"
            } else {
                "DriverFailed"
            },
        ),
        ("Suspended", state == State::Suspended, "SuspendRequested"),
    ];
    for (type_, holds, reason) in endings {
        match holds {
            true => set(status, type_, true, reason, &message, now),
            false => status.conditions.retain(|condition| condition.type_ != type_),
        }
    }
}

fn driver_ready(status: &SparkApplicationStatus, facts: &Facts) -> (bool, String, String) {
    let message = status.app_state.error_message.clone();
    let not = |reason: &str| (false, reason.to_owned(), message.clone());
    match (status.app_state.state, &facts.driver) {
        (State::Running, Driver::Present(pod)) if pod.ready => (true, "DriverReady".into(), String::new()),
        (State::Running, _) => not("DriverNotReady"),
        (State::Submitted, Driver::Present(pod)) => match &pod.progress {
            Progress::Pending(Some(reason)) => (false, reason_word(&reason.reason), reason.message.clone()),
            _ => not("DriverPending"),
        },
        (State::Submitted, _) => not("DriverPending"),
        (State::Completed | State::Succeeding, _) => not("DriverSucceeded"),
        (State::Failed | State::Failing, _) if status.execution_attempts > 0 => not("DriverFailed"),
        (State::Suspended | State::Suspending, _) => not("Suspended"),
        (State::SubmissionFailed | State::Failed, _) => match &facts.submission {
            Some(Outcome::Refused { code, .. }) => (false, reason_word(code), message),
            // Said in the round of the refusal; later rounds do not know better.
            _ => match status
                .conditions
                .iter()
                .find(|c| c.type_ == "DriverReady" && c.message == message)
            {
                Some(said) => not(&said.reason),
                None => not("SubmissionFailed"),
            },
        },
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

fn set(status: &mut SparkApplicationStatus, type_: &str, holds: bool, reason: &str, message: &str, now: Timestamp) {
    let value = if holds { "True" } else { "False" };
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
