//! What a list shows of an application, and whether it needs attention. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::DynamicObject;
use stoke_model::crd::{ApplicationStateType as Phase, ExecutorState, SparkApplicationStatus};
use stoke_model::names;

use crate::page::State;

/// A new application that no operator has taken for so long waits in vain, in milliseconds.
const UNTAKEN: i64 = 30_000;
/// A start takes a while: what waits longer is said, in milliseconds.
const STARTING: i64 = 60_000;
/// An application may be without executors for so long, in milliseconds.
const ALONE: i64 = 120_000;
/// A failure is news for so long, in milliseconds.
const NEWS: i64 = 3 * 86_400_000;

/// An application. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub namespace: String,
    pub name: String,
    /// The schedule it belongs to.
    pub schedule: Option<String>,
    /// When it was created.
    pub created: i64,
    /// Its state, as the operator has it.
    pub phase: Phase,
    /// When it came into this state.
    pub since: i64,
    /// Why it failed, or why it waits.
    pub message: String,
    /// Spark's own id of it.
    pub spark: Option<String>,
    /// When the last attempt was submitted.
    pub submitted: Option<i64>,
    /// When the last attempt ended.
    pub ended: Option<i64>,
    /// Attempts begun.
    pub attempts: i32,
    /// Executors that run.
    pub running: usize,
    /// Executors that wait.
    pub pending: usize,
    /// What its driver waits for: the reason of the condition `DriverReady` while it is not True.
    pub waits: Option<String>,
    /// Spark's version.
    pub version: String,
}

/// Why an application needs attention, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    Failed,
    Stuck,
    Refused,
    Untaken,
    Waits,
    Alone,
}

impl Need {
    /// Its name in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Need::Failed => "failed",
            Need::Stuck => "stuck",
            Need::Refused => "submissionRefused",
            Need::Untaken => "noOperator",
            Need::Waits => "driverWaits",
            Need::Alone => "noExecutors",
        }
    }
}

/// Milliseconds since 1970.
pub fn millis(time: &Time) -> i64 {
    time.0.as_millisecond()
}

impl Row {
    /// Of an object; a status that cannot be read is as none.
    pub fn of(object: &DynamicObject) -> Row {
        let text = |field: &str| object.data["spec"][field].as_str().unwrap_or_default().to_owned();
        let status = status(object);
        let executors =
            |wanted: ExecutorState| status.executor_state.values().filter(|state| **state == wanted).count();
        let ready = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == "DriverReady");
        let created = object.creation_timestamp().as_ref().map_or(0, millis);
        let last = status.transitions.last().map(|last| millis(&last.time));
        Row {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            schedule: object.labels().get(names::LABEL_SCHEDULED_APP_NAME).cloned(),
            created,
            phase: status.app_state.state,
            since: last.unwrap_or(created),
            spark: status.spark_application_id.clone(),
            submitted: status.last_submission_attempt_time.as_ref().map(millis),
            ended: status.termination_time.as_ref().map(millis),
            attempts: status.execution_attempts,
            running: executors(ExecutorState::Running),
            pending: executors(ExecutorState::Pending),
            waits: ready
                .filter(|ready| ready.status != "True" && !ready.reason.is_empty())
                .map(|ready| ready.reason.clone()),
            version: text("sparkVersion"),
            message: status.app_state.error_message,
        }
    }

    /// How it stands.
    pub fn state(&self) -> State {
        state_of(self.phase)
    }

    /// From the submission, or the creation, to the end or until now; in milliseconds.
    pub fn lasted(&self, now: i64) -> i64 {
        let from = self.submitted.unwrap_or(self.created);
        let until = self.ended.filter(|_| self.phase.is_terminal()).unwrap_or(now);
        (until - from).max(0)
    }

    /// Why it needs attention, if it does.
    pub fn need(&self, now: i64) -> Option<Need> {
        let waited = now - self.since;
        match self.phase {
            Phase::Failed if waited < NEWS => Some(Need::Failed),
            Phase::SubmissionFailed => Some(Need::Refused),
            Phase::Unknown => Some(Need::Stuck),
            _ if self.phase.is_terminal() => None,
            _ if self.waits.as_deref() == Some("DriverStuckTerminating") => Some(Need::Stuck),
            Phase::New if waited > UNTAKEN => Some(Need::Untaken),
            Phase::Submitted if waited > STARTING => Some(Need::Waits),
            Phase::Running if self.running == 0 && self.pending > 0 && waited > ALONE => Some(Need::Alone),
            _ => None,
        }
    }
}

/// The status of an object; one that cannot be read is as none.
pub fn status(object: &DynamicObject) -> SparkApplicationStatus {
    serde_json::from_value(object.data["status"].clone()).unwrap_or_default()
}

/// How an application stands in this state.
pub fn state_of(phase: Phase) -> State {
    match phase {
        Phase::Running | Phase::Succeeding => State::Running,
        Phase::Completed => State::Succeeded,
        Phase::Failed | Phase::SubmissionFailed | Phase::Failing => State::Failed,
        Phase::Suspending | Phase::Suspended => State::Killed,
        Phase::Unknown => State::Gone,
        Phase::New | Phase::Submitted | Phase::PendingRerun | Phase::Invalidating | Phase::Resuming => State::Pending,
    }
}

/// The name of a state as Kubernetes shows it.
pub fn phase_name(phase: Phase) -> String {
    let value = serde_json::to_value(phase).unwrap_or_default();
    match value.as_str().unwrap_or_default() {
        "" => "NEW".to_owned(),
        name => name.to_owned(),
    }
}

/// Rows that need attention, the most urgent first, the newest of the same kind first. A failure that a later run of the same schedule or name has
/// made good needs no one.
pub fn in_need(rows: &[Row], now: i64) -> Vec<(&Row, Need)> {
    let family = |row: &Row| {
        (
            row.namespace.clone(),
            row.schedule.clone().unwrap_or_else(|| row.name.clone()),
        )
    };
    let mut good = std::collections::HashMap::new();
    for row in rows.iter().filter(|row| row.phase == Phase::Completed) {
        let latest = good.entry(family(row)).or_insert(row.created);
        *latest = row.created.max(*latest);
    }
    let is_good = |row: &Row| good.get(&family(row)).is_some_and(|at| *at > row.created);
    let mut found: Vec<(&Row, Need)> = rows
        .iter()
        .filter_map(|row| Some((row, row.need(now)?)))
        .filter(|(row, need)| *need != Need::Failed || !is_good(row))
        .collect();
    found.sort_by_key(|(row, need)| (*need, std::cmp::Reverse(row.since)));
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn at(seconds: i64) -> String {
        jiff::Timestamp::from_millisecond(NOW - seconds * 1000)
            .unwrap()
            .to_string()
    }

    fn row(name: &str, seconds: i64, labels: &Value, status: &Value) -> Row {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
            "metadata": {"name": name, "namespace": "n", "creationTimestamp": at(seconds), "labels": labels},
            "spec": {"sparkVersion": "4.1.4"}, "status": status,
        }))
        .unwrap();
        Row::of(&object)
    }

    fn in_state(state: &str, more: Value) -> Value {
        let mut status = json!({"applicationState": {"state": state}});
        status
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        status
    }

    #[test]
    fn what_needs_attention() {
        let waits = |reason: &str| json!({"conditions": [{"type": "DriverReady", "status": "False", "reason": reason, "message": "", "lastTransitionTime": at(9)}]});
        let executors = |state: &str| json!({"executorState": {"e-1": state}});
        for (seconds, status, need) in [
            (10, json!({}), None),
            (31, json!({}), Some(Need::Untaken)),
            (59, in_state("SUBMITTED", json!({})), None),
            (61, in_state("SUBMITTED", waits("Unschedulable")), Some(Need::Waits)),
            (
                5,
                in_state("RUNNING", waits("DriverStuckTerminating")),
                Some(Need::Stuck),
            ),
            (500, in_state("RUNNING", executors("RUNNING")), None),
            (500, in_state("RUNNING", json!({})), None),
            (100, in_state("RUNNING", executors("PENDING")), None),
            (130, in_state("RUNNING", executors("PENDING")), Some(Need::Alone)),
            (5, in_state("FAILED", json!({})), Some(Need::Failed)),
            (4 * 86_400, in_state("FAILED", json!({})), None),
            (5, in_state("SUBMISSION_FAILED", json!({})), Some(Need::Refused)),
            (5, in_state("UNKNOWN", json!({})), Some(Need::Stuck)),
            (5000, in_state("COMPLETED", json!({})), None),
            (5000, in_state("SUSPENDED", json!({})), None),
            // A status that is not as it should be.
            (5, json!("x"), None),
        ] {
            let row = row("a", seconds, &json!({}), &status);
            assert_eq!(row.need(NOW), need, "{seconds} {status}");
        }
    }

    #[test]
    fn the_most_urgent_come_first_and_what_was_made_good_does_not_come() {
        let schedule = json!({names::LABEL_SCHEDULED_APP_NAME: "etl"});
        let rows = [
            row("waits", 70, &json!({}), &in_state("SUBMITTED", json!({}))),
            row("etl-1", 500, &schedule, &in_state("FAILED", json!({}))),
            row("etl-2", 400, &schedule, &in_state("COMPLETED", json!({}))),
            row("old", 300, &json!({}), &in_state("FAILED", json!({}))),
            row("new", 200, &json!({}), &in_state("FAILED", json!({}))),
            row("etl-3", 100, &schedule, &in_state("FAILED", json!({}))),
        ];
        let found: Vec<&str> = in_need(&rows, NOW).iter().map(|(row, _)| row.name.as_str()).collect();
        assert_eq!(found, ["etl-3", "new", "old", "waits"]);
    }

    #[test]
    fn times_and_counts() {
        let status = in_state(
            "COMPLETED",
            json!({
                "sparkApplicationId": "spark-1", "lastSubmissionAttemptTime": at(90), "terminationTime": at(30), "executionAttempts": 2,
                "executorState": {"a": "RUNNING", "b": "PENDING", "c": "FAILED"},
            }),
        );
        let row = row("a", 100, &json!({}), &status);
        assert_eq!(
            (row.lasted(NOW), row.running, row.pending, row.attempts),
            (60_000, 1, 1, 2)
        );
        assert_eq!((row.spark.as_deref(), row.version.as_str()), (Some("spark-1"), "4.1.4"));
        assert_eq!(phase_name(Phase::New), "NEW");
        assert_eq!(phase_name(Phase::PendingRerun), "PENDING_RERUN");
    }
}
