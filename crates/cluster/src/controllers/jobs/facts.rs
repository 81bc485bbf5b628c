//! What is read of a Job, and what its pods are to it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::controllers::facts::{Condition, Meta, PodFacts, nullable};

/// Holds a pod until its end is counted.
pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// The index a pod of an Indexed Job works on.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// How often the index had failed when the pod was made.
pub(super) const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Job {
    pub metadata: Meta,
    pub spec: JobSpec,
    #[serde(deserialize_with = "nullable")]
    pub status: JobStatus,
}

/// What is asked of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct JobSpec {
    pub parallelism: Option<i64>,
    pub completions: Option<i64>,
    pub active_deadline_seconds: Option<i64>,
    pub backoff_limit: Option<i64>,
    pub backoff_limit_per_index: Option<i64>,
    pub max_failed_indexes: Option<i64>,
    pub completion_mode: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub suspend: bool,
    pub ttl_seconds_after_finished: Option<i64>,
    pub pod_failure_policy: Value,
    pub success_policy: Value,
    pub pod_replacement_policy: Option<String>,
    pub managed_by: Option<String>,
    pub template: Value,
}

/// How it was at the last look; written back whole.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct JobStatus {
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "is_zero")]
    pub active: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub succeeded: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: i64,
    pub terminating: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub completed_indexes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_indexes: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub uncounted_terminated_pods: Uncounted,
    pub ready: Option<i64>,
}

/// Pods that ended and are not in the counts yet, by UID.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default)]
pub(super) struct Uncounted {
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeSet::is_empty")]
    pub succeeded: BTreeSet<String>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeSet::is_empty")]
    pub failed: BTreeSet<String>,
}

impl Uncounted {
    /// Whether every end is counted.
    pub fn is_empty(&self) -> bool {
        self.succeeded.is_empty() && self.failed.is_empty()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Job {
    /// Whether every pod works on an index of its own.
    pub fn indexed(&self) -> bool {
        self.spec.completion_mode.as_deref() == Some("Indexed")
    }

    /// Pods at the same time.
    pub fn parallelism(&self) -> i64 {
        self.spec.parallelism.unwrap_or(1)
    }

    /// Whether pods are replaced only when they have ended, not already when they are being deleted.
    pub fn replaces_only_failed(&self) -> bool {
        self.spec.pod_replacement_policy.as_deref() == Some("Failed")
    }

    /// Whether it is over.
    pub fn finished(&self) -> bool {
        let conditions = &self.status.conditions;
        Condition::holds(conditions, "Complete") || Condition::holds(conditions, "Failed")
    }

    /// Whether a pod counts as failed.
    pub fn counts_as_failed(&self, pod: &PodFacts) -> bool {
        match pod.phase() {
            "Failed" => true,
            "Succeeded" => false,
            // A pod without a node ends with its deletion: no one will tell of its end.
            _ => pod.metadata.deleting() && (!self.replaces_only_failed() || pod.spec.node_name.is_none()),
        }
    }
}

/// Whether a pod's end is still to be counted.
pub(super) fn tracked(pod: &PodFacts) -> bool {
    pod.metadata.finalizers.iter().any(|name| name == TRACKING)
}

/// The index of a pod.
pub(super) fn index_of(pod: &PodFacts) -> Option<i64> {
    pod.metadata.annotations.get(INDEX)?.parse().ok()
}

/// How often the pod's index had failed before it.
pub(super) fn failures_before(pod: &PodFacts) -> i64 {
    let text = pod.metadata.annotations.get(INDEX_FAILURES);
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// When a pod ended.
pub(super) fn ended_at(pod: &PodFacts) -> Option<Timestamp> {
    let ends = pod
        .status
        .container_statuses
        .iter()
        .filter_map(|status| status.state.terminated.as_ref()?.finished_at);
    let ready = Condition::find(&pod.status.conditions, "Ready").and_then(|ready| ready.last_transition_time);
    ends.max()
        .or(ready)
        .or(pod.metadata.deletion_timestamp)
        .or(pod.metadata.creation_timestamp)
}
