//! One test per arrow of the published state machine, and one per fault of it that we do not have.

mod arrows;
mod faults;
mod limits;
mod logs;
mod model;
mod pods;
mod quality;
mod table;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use stoke_model::crd::{ApplicationStateType as State, SparkApplication};

use super::*;

/// A moment to count from: 2026-01-01T00:00:00Z.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

/// Facts about an application with this spec that nothing was done for yet.
pub(super) fn fresh(spec: Value) -> Facts {
    let app: SparkApplication = serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {"name": "pi", "namespace": "default", "uid": "6d5e", "generation": 1},
        "spec": spec.clone(),
    }))
    .unwrap();
    Facts {
        app,
        spec_digest: crate::names::spec_digest(&spec),
        ..Facts::default()
    }
}

/// Takes the decision's status into the facts, as writing it would.
pub(super) fn write(facts: &mut Facts, decision: &Decision) {
    facts.app.status = Some(decision.status.clone());
    facts.submission = None;
}

/// What a decision asks of the outside. What is about to be created is on record before.
pub(super) fn asked(decision: &Decision) -> Vec<Action> {
    let at = |wanted: &Action| decision.actions.iter().position(|action| action == wanted);
    let is_outside = |action: &&Action| action.asks() || **action == Action::DeleteApplication;
    let first = decision.actions.iter().position(|action| is_outside(&action));
    if let (Some(write), Some(first)) = (at(&Action::Write), first) {
        assert!(write < first, "{:?}", decision.actions);
    }
    decision.actions.iter().filter(is_outside).cloned().collect()
}

/// Decides and writes.
pub(super) fn round(facts: &mut Facts, now: Timestamp) -> Decision {
    let decision = decide(facts, now);
    write(facts, &decision);
    decision
}

/// Facts about an application that was submitted at `at(0)`.
pub(super) fn submitted(spec: Value) -> Facts {
    let mut facts = fresh(spec);
    let intent = decide(&facts, at(0));
    assert_eq!(asked(&intent), [Action::Submit]);
    write(&mut facts, &intent);
    facts.submission = Some(accepted());
    facts.driver = driver(&facts, Progress::Pending(None));
    let done = decide(&facts, at(0));
    assert_eq!(state(&done), State::Submitted);
    write(&mut facts, &done);
    facts
}

/// Facts about an application whose driver runs since `at(10)`.
pub(super) fn running(spec: Value) -> Facts {
    let mut facts = submitted(spec);
    facts.driver = driver(&facts, Progress::Running);
    let decision = decide(&facts, at(10));
    assert_eq!(state(&decision), State::Running);
    write(&mut facts, &decision);
    facts
}

/// The driver of the recorded submission.
pub(super) fn driver(facts: &Facts, progress: Progress) -> Driver {
    Driver::Present(DriverPod {
        name: "pi-driver".into(),
        submission_id: facts
            .app
            .status
            .as_ref()
            .and_then(|status| status.submission_id.clone()),
        progress,
        ..DriverPod::default()
    })
}

pub(super) fn accepted() -> Outcome {
    Outcome::Submitted(Submitted {
        application_id: "spark-0".into(),
        web_ui: Some(("pi-ui-svc".into(), 4040)),
        web_ui_ingress: None,
    })
}

pub(super) fn refused() -> Outcome {
    Outcome::Refused {
        code: "Forbidden".into(),
        message: "pods is forbidden".into(),
        permanent: false,
    }
}

pub(super) fn failed() -> Progress {
    Progress::Failed {
        at: None,
        message: "driver container failed with ExitCode: 1, Reason: Error".into(),
    }
}

pub(super) fn succeeded() -> Progress {
    Progress::Succeeded { at: None }
}

pub(super) fn state(decision: &Decision) -> State {
    decision.status.app_state.state
}

/// Value and reason of a condition.
pub(super) fn condition(decision: &Decision, type_: &str) -> Option<(String, String)> {
    let conditions = &decision.status.conditions;
    let found = conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((found.status.clone(), found.reason.clone()))
}

/// What such a condition is to be.
pub(super) fn is(status: &str, reason: &str) -> Option<(String, String)> {
    Some((status.into(), reason.into()))
}

/// The states entered since the facts' status, in order.
pub(super) fn path(facts: &Facts, decision: &Decision) -> Vec<State> {
    let known = facts.app.status.as_ref().map_or(0, |status| status.transitions.len());
    decision.status.transitions[known..]
        .iter()
        .map(|transition| transition.state)
        .collect()
}

pub(super) fn delete_driver() -> Vec<Action> {
    vec![Action::DeleteDriver("pi-driver".into())]
}

pub(super) fn confirm_driver() -> Vec<Action> {
    vec![Action::ConfirmDriver("pi-driver".into())]
}

pub(super) fn never() -> Value {
    json!({"restartPolicy": {"type": "Never"}})
}

pub(super) fn always() -> Value {
    json!({"restartPolicy": {"type": "Always", "onFailureRetryInterval": 7}})
}

pub(super) fn on_failure(retries: i32, interval: i64) -> Value {
    json!({"restartPolicy": {
        "type": "OnFailure",
        "onFailureRetries": retries, "onFailureRetryInterval": interval,
        "onSubmissionFailureRetries": retries, "onSubmissionFailureRetryInterval": interval,
    }})
}

pub(super) fn edit(facts: &mut Facts) {
    facts.app.metadata.generation = Some(facts.app.metadata.generation.unwrap_or(0) + 1);
    facts.spec_digest.push('x');
}

pub(super) fn annotate(facts: &mut Facts, key: &str, value: &str) {
    facts
        .app
        .metadata
        .annotations
        .get_or_insert_default()
        .insert(key.into(), value.into());
}

pub(super) fn suspend(facts: &mut Facts, suspend: bool) {
    facts.app.spec.suspend = Some(suspend);
    facts.app.metadata.generation = Some(facts.app.metadata.generation.unwrap_or(0) + 1);
}

pub(super) fn set_state(facts: &mut Facts, state: State) {
    facts.app.status.get_or_insert_default().app_state.state = state;
}

pub(super) fn wait(seconds: i64) -> Option<Timestamp> {
    Some(at(0) + SignedDuration::from_secs(seconds))
}

pub(super) fn time(seconds: i64) -> Option<Time> {
    Some(Time(at(seconds)))
}
