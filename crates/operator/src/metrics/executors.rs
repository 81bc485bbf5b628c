//! Executors that ended without having been asked to.

use std::sync::PoisonError;

use k8s_openapi::api::core::v1::Pod;
use stoke_model::names as published;

use super::{Metrics, catalogue};
use crate::application::facts::{phase, pod_reason};
use crate::names::TEAM;

/// Spark's exit code of an executor that ran out of heap (`SparkExitCode.OOM`).
const HEAP: i32 = 52;

/// Why an executor was lost; none while it lives, ended well or was asked to end.
fn lost(pod: &Pod) -> Option<&'static str> {
    let status = pod.status.as_ref()?;
    let disrupted = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    if let Some(disrupted) = disrupted {
        return Some(match disrupted.reason.as_deref().unwrap_or_default() {
            "PreemptionByScheduler" => "Preempted",
            "EvictionByEvictionAPI" => "Drained",
            "TerminationByKubelet" => "Evicted",
            _ => "NodeLost",
        });
    }
    // Spark takes away what it needs no longer, and Kubernetes what has no owner.
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let ended = status
        .container_statuses
        .iter()
        .flatten()
        .find(|container| container.name == published::EXECUTOR_CONTAINER)
        .and_then(|container| container.state.as_ref()?.terminated.as_ref());
    let told = pod_reason(pod);
    if phase(pod) == "Failed" && !told.is_empty() {
        return Some(match told.split(':').next().unwrap_or_default() {
            "Evicted" => "Evicted",
            "Preempting" => "Preempted",
            "NodeShutdown" | "Shutdown" | "Terminated" | "NodeLost" => "NodeLost",
            _ => "Error",
        });
    }
    match ended {
        Some(ended) if ended.exit_code == 0 => None,
        Some(ended) if ended.reason.as_deref() == Some("OOMKilled") => Some("OOMKilled"),
        Some(ended) if ended.exit_code == HEAP => Some("HeapOutOfMemory"),
        Some(ended) if ended.exit_code == 137 => Some("Killed"),
        Some(_) => Some("Error"),
        None => (phase(pod) == "Failed").then_some("Error"),
    }
}

impl Metrics {
    /// A pod was told by a watch; it is news unless it is part of a first list.
    pub(crate) fn executor_told(&self, pod: &Pod, is_news: bool) {
        let labels = pod.metadata.labels.as_ref();
        let label = |name: &str| labels.and_then(|labels| labels.get(name)).map(String::as_str);
        if label(published::LABEL_SPARK_ROLE) != Some(published::ROLE_EXECUTOR) {
            return;
        }
        let (Some(reason), Some(uid)) = (lost(pod), pod.metadata.uid.clone()) else {
            return;
        };
        let is_first = self.0.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(uid);
        if !(is_first && is_news) {
            return;
        }
        let app = label(published::LABEL_SCHEDULED_APP_NAME).or(label(published::LABEL_APP_NAME));
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let values = [
            namespace,
            app.unwrap_or_default(),
            label(TEAM).unwrap_or_default(),
            reason,
        ];
        self.with(|registry| registry.add(&catalogue::EXECUTORS_LOST, &values, 1.0));
    }

    /// A pod is gone.
    pub(crate) fn executor_gone(&self, pod: &Pod) {
        if let Some(uid) = &pod.metadata.uid {
            self.0.lost.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value, deleting: bool) -> Pod {
        let deleted = deleting.then_some("2026-01-01T00:00:00Z");
        let labels = json!({"spark-role": "executor", published::LABEL_APP_NAME: "pi", "team": "etl"});
        let metadata =
            json!({"name": "e", "namespace": "jobs", "uid": "u", "labels": labels, "deletionTimestamp": deleted});
        serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap()
    }

    fn ended(code: i32, reason: &str) -> Value {
        let state = json!({"terminated": {"exitCode": code, "reason": reason}});
        json!({"phase": "Failed", "containerStatuses": [{"name": published::EXECUTOR_CONTAINER, "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": state}]})
    }

    #[test]
    fn a_lost_executor_has_a_reason_and_one_that_was_asked_to_end_has_none() {
        for (status, deleting, expected) in [
            (json!({"phase": "Running"}), false, None),
            (ended(0, "Completed"), false, None),
            (ended(137, "OOMKilled"), false, Some("OOMKilled")),
            (ended(137, "Error"), false, Some("Killed")),
            (ended(52, "Error"), false, Some("HeapOutOfMemory")),
            (ended(1, "Error"), false, Some("Error")),
            (ended(143, "Error"), true, None),
            (
                json!({"phase": "Failed", "reason": "Evicted", "message": "disk"}),
                false,
                Some("Evicted"),
            ),
            (
                json!({"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]}),
                true,
                Some("Drained"),
            ),
            (
                json!({"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]}),
                true,
                Some("NodeLost"),
            ),
        ] {
            assert_eq!(lost(&pod(status.clone(), deleting)), expected, "{status}");
        }
    }

    #[test]
    fn each_is_counted_once_and_none_of_those_that_were_lost_before() {
        let metrics = Metrics::default();
        let one = pod(ended(137, "OOMKilled"), false);
        metrics.executor_told(&one, true);
        metrics.executor_told(&one, true);
        let mut old = one.clone();
        old.metadata.uid = Some("before".into());
        metrics.executor_told(&old, false);
        metrics.executor_told(&old, true);
        let line = r#"stoke_executors_lost_total{namespace="jobs",app="pi",team="etl",reason="OOMKilled"} 1"#;
        assert!(metrics.text().lines().any(|known| known == line), "{}", metrics.text());
        metrics.executor_gone(&one);
        assert_eq!(metrics.0.lost.lock().unwrap().len(), 1);
    }
}
