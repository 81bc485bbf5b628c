//! The life of an application's current attempt: when each step was reached, and where each second went. Pure.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use stoke_model::crd::{ApplicationStateType as Phase, SparkApplicationStatus};
use stoke_model::names;

use super::pods;
use super::row::millis;

/// A step of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Created,
    Submitted,
    Scheduled,
    Started,
    FirstExecutor,
    Ended,
}

impl Step {
    /// Its name in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Step::Created => "created",
            Step::Submitted => "submitted",
            Step::Scheduled => "driverScheduled",
            Step::Started => "driverStarted",
            Step::FirstExecutor => "firstExecutor",
            Step::Ended => "ended",
        }
    }
}

/// Steps that were reached and when, in milliseconds since 1970, in their order; clocks of several machines go back no further than the step before.
pub fn steps(created: i64, status: &SparkApplicationStatus, all: &[Pod]) -> Vec<(Step, i64)> {
    let current = |pod: &&Pod| {
        let of = pod.labels().get(names::LABEL_SUBMISSION_ID);
        status.submission_id.is_none() || of.is_none() || of == status.submission_id.as_ref()
    };
    let driver = all.iter().filter(current).find(|pod| pods::is_driver(pod));
    let executors = all
        .iter()
        .filter(current)
        .filter(|pod| pods::role(pod) == names::ROLE_EXECUTOR);
    let ended = status
        .termination_time
        .as_ref()
        .filter(|_| is_over(status.app_state.state));
    let reached = [
        (Step::Created, Some(created)),
        (
            Step::Submitted,
            status.last_submission_attempt_time.as_ref().map(millis),
        ),
        (Step::Scheduled, driver.and_then(pods::scheduled)),
        (Step::Started, driver.and_then(pods::started)),
        (Step::FirstExecutor, executors.filter_map(pods::started).min()),
        (Step::Ended, ended.map(millis)),
    ];
    let mut steps: Vec<(Step, i64)> = Vec::new();
    for (step, at) in reached {
        if let Some(at) = at {
            let before = steps.last().map_or(at, |(_, before)| *before);
            steps.push((step, at.max(before)));
        }
    }
    steps
}

fn is_over(phase: Phase) -> bool {
    phase.is_terminal() || matches!(phase, Phase::SubmissionFailed | Phase::Suspended)
}

/// From each step how long it was until the next one, or until now, in milliseconds. What ended is left out.
pub fn spans(steps: &[(Step, i64)], now: i64) -> Vec<(Step, i64)> {
    let until = |place: usize| steps.get(place + 1).map_or(now, |(_, at)| *at);
    let all = steps.iter().enumerate().filter(|(_, (step, _))| *step != Step::Ended);
    all.map(|(place, (step, at))| (*step, (until(place) - at).max(0)))
        .collect()
}

/// An attempt, as the transitions tell it. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1 on.
    pub number: i64,
    /// When it was submitted.
    pub submitted: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// The last state of it.
    pub phase: Phase,
    /// Why it ended, where the pod says it.
    pub reason: String,
}

/// The attempts that the transitions still tell of, the newest first. They are bounded in number: the first may be of a later attempt.
pub fn attempts(status: &SparkApplicationStatus) -> Vec<Attempt> {
    let mut found: Vec<Attempt> = Vec::new();
    for transition in &status.transitions {
        let at = millis(&transition.time);
        let over = is_over(transition.state)
            || matches!(
                transition.state,
                Phase::Succeeding | Phase::Failing | Phase::PendingRerun | Phase::Invalidating
            );
        match (transition.state, found.last_mut()) {
            (Phase::Submitted, _) => found.push(Attempt {
                number: 0,
                submitted: at,
                ended: None,
                phase: Phase::Submitted,
                reason: String::new(),
            }),
            (Phase::New | Phase::Resuming, _) | (_, None) => {}
            (phase, Some(last)) => {
                last.phase = if phase == Phase::PendingRerun {
                    last.phase
                } else {
                    phase
                };
                if over {
                    last.ended = last.ended.or(Some(at));
                }
                if !transition.reason.is_empty() {
                    last.reason.clone_from(&transition.reason);
                }
            }
        }
    }
    let last = i64::from(status.execution_attempts).max(found.len() as i64);
    let first = last - found.len() as i64;
    for (place, attempt) in found.iter_mut().enumerate() {
        attempt.number = first + place as i64 + 1;
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(value: Value) -> SparkApplicationStatus {
        serde_json::from_value(value).unwrap()
    }

    fn at(second: i64) -> String {
        jiff::Timestamp::from_second(1000 + second).unwrap().to_string()
    }

    fn pod(role: &str, submission: &str, scheduled: i64, started: i64) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "labels": {"spark-role": role, "sparkoperator.k8s.io/submission-id": submission}},
            "spec": {"containers": [{"name": "c"}]},
            "status": {"conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": at(scheduled)}],
                "containerStatuses": [{"name": "c", "ready": true, "restartCount": 0, "image": "", "imageID": "", "state": {"running": {"startedAt": at(started)}}}]},
        }))
        .unwrap()
    }

    #[test]
    fn every_second_is_of_one_step() {
        let status = status(json!({
            "submissionID": "s2", "lastSubmissionAttemptTime": at(10), "terminationTime": at(100), "applicationState": {"state": "COMPLETED"},
        }));
        let pods = [
            pod("driver", "s2", 12, 15),
            pod("executor", "s2", 29, 31),
            pod("executor", "s2", 28, 30),
            // Of the attempt before.
            pod("executor", "s1", 1, 2),
        ];
        let steps = steps(1_000_000, &status, &pods);
        let spans = spans(&steps, i64::MAX);
        let seconds: Vec<(&str, i64)> = spans
            .iter()
            .map(|(step, millis)| (step.name(), millis / 1000))
            .collect();
        assert_eq!(
            seconds,
            [
                ("created", 10),
                ("submitted", 2),
                ("driverScheduled", 3),
                ("driverStarted", 15),
                ("firstExecutor", 70)
            ]
        );
        assert_eq!(spans.iter().map(|(_, millis)| millis).sum::<i64>(), 100_000);
    }

    #[test]
    fn what_is_not_over_lasts_until_now_and_clocks_do_not_go_back() {
        let status = status(
            json!({"lastSubmissionAttemptTime": at(10), "applicationState": {"state": "RUNNING"}, "terminationTime": at(3)}),
        );
        let steps = steps(1_000_000, &status, &[pod("driver", "", 9, 15)]);
        let seconds: Vec<i64> = spans(&steps, 1_060_000)
            .iter()
            .map(|(_, millis)| millis / 1000)
            .collect();
        assert_eq!(seconds, [10, 0, 5, 45]);
    }

    #[test]
    fn attempts_of_transitions() {
        let transition =
            |state: &str, second: i64, reason: &str| json!({"state": state, "time": at(second), "reason": reason});
        let status = status(json!({
            "executionAttempts": 3, "applicationState": {"state": "RUNNING"},
            "transitions": [
                transition("SUBMITTED", 1, ""), transition("RUNNING", 2, ""), transition("FAILING", 5, "exit code 1"), transition("PENDING_RERUN", 6, ""),
                transition("SUBMITTED", 9, ""), transition("RUNNING", 11, ""),
            ],
        }));
        let found = attempts(&status);
        assert_eq!(found.iter().map(|one| one.number).collect::<Vec<_>>(), [3, 2]);
        assert_eq!((found[0].phase, found[0].ended), (Phase::Running, None));
        assert_eq!(
            (found[1].phase, found[1].reason.as_str()),
            (Phase::Failing, "exit code 1")
        );
        assert_eq!(found[1].ended, Some(1_005_000));
        assert!(attempts(&SparkApplicationStatus::default()).is_empty());
    }
}
