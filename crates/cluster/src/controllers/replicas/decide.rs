//! How many pods a ReplicaSet needs, which go first, and what its status says: pure.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::controllers::facts::{Condition, PodFacts};

/// Pods made or deleted in one look.
pub(super) const MOST_AT_ONCE: usize = 500;
/// What a pod's deletion costs compared with the others'.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Pods that are missing (positive) or too many (negative).
pub(super) fn change(wanted: i64, active: usize) -> i64 {
    wanted - i64::try_from(active).unwrap_or(i64::MAX)
}

/// The pods to delete, the least useful first: without a node, not running, not ready, cheap to delete, doubled on a node, ready for a
/// shorter time, restarted more often, younger.
pub(in crate::controllers) fn deletions(pods: &[PodFacts], count: usize, now: Timestamp) -> Vec<&PodFacts> {
    let mut on_node: HashMap<&str, usize> = HashMap::new();
    for node in pods.iter().filter_map(|pod| pod.spec.node_name.as_deref()) {
        *on_node.entry(node).or_default() += 1;
    }
    let rank = |pod: &PodFacts| {
        let node = pod.spec.node_name.as_deref().filter(|node| !node.is_empty());
        let phase = match pod.phase() {
            "Pending" => 0,
            "Running" => 2,
            _ => 1,
        };
        let cost: i64 = pod
            .metadata
            .annotations
            .get(DELETION_COST)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let crowd = node.and_then(|node| on_node.get(node)).copied().unwrap_or(0);
        (node.is_some(), phase, pod.ready(), cost, Reverse(crowd))
    };
    let mut order: Vec<&PodFacts> = pods.iter().collect();
    order.sort_by(|one, other| {
        rank(one)
            .cmp(&rank(other))
            .then_with(|| youngest(one.ready_since(), other.ready_since(), now))
            .then_with(|| other.restarts().cmp(&one.restarts()))
            .then_with(|| youngest(one.metadata.creation_timestamp, other.metadata.creation_timestamp, now))
            .then_with(|| one.metadata.uid.cmp(&other.metadata.uid))
    });
    order.truncate(count);
    order
}

/// The younger first; ages are compared by their order of magnitude, so that among equals chance decides.
fn youngest(one: Option<Timestamp>, other: Option<Timestamp>, now: Timestamp) -> Ordering {
    let magnitude = |time: Option<Timestamp>| {
        let age = time
            .map_or(SignedDuration::ZERO, |time| now.duration_since(time))
            .as_secs()
            .max(0);
        age.checked_ilog2().map_or(0, |log| log + 1)
    };
    magnitude(one).cmp(&magnitude(other))
}

/// The status of a set, and after which time it may change by itself.
pub(super) fn status(
    set: &Value,
    pods: &[PodFacts],
    failure: Option<Condition>,
    now: Timestamp,
) -> (Value, Option<SignedDuration>) {
    let minimum = set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
    let template = set["spec"]["template"]["metadata"]["labels"].as_object();
    let labelled = |pod: &&PodFacts| {
        template
            .into_iter()
            .flatten()
            .all(|(key, value)| pod.metadata.labels.get(key).map(String::as_str) == value.as_str())
    };
    let ready: Vec<&PodFacts> = pods.iter().filter(|pod| pod.ready()).collect();
    let available = ready.iter().filter(|pod| pod.available(minimum, now)).count();
    let mut status = json!({"replicas": pods.len()});
    for (field, count) in [
        ("fullyLabeledReplicas", pods.iter().filter(labelled).count()),
        ("readyReplicas", ready.len()),
        ("availableReplicas", available),
    ] {
        if count > 0 {
            status[field] = count.into();
        }
    }
    status["observedGeneration"] = set["metadata"]["generation"].clone();
    let mut conditions: Vec<Condition> = set["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|condition| serde_json::from_value(condition.clone()).ok())
        .collect();
    let known = Condition::find(&conditions, "ReplicaFailure").cloned();
    let wanted = match (known, failure) {
        (Some(known), Some(failure)) if known.reason == failure.reason => Some(known),
        (_, failure) => failure,
    };
    conditions.retain(|condition| condition.kind != "ReplicaFailure");
    conditions.extend(wanted);
    if !conditions.is_empty() {
        status["conditions"] = json!(conditions);
    }
    let waits = ready
        .iter()
        .filter(|pod| !pod.available(minimum, now))
        .filter_map(|pod| pod.ready_since())
        .map(|since| SignedDuration::from_secs(minimum) - now.duration_since(since))
        .min();
    (status, waits.map(|wait| wait.max(SignedDuration::from_millis(10))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, value: Value) -> PodFacts {
        let mut value = value;
        value["metadata"]["name"] = name.into();
        serde_json::from_value(value).unwrap()
    }

    fn ready(since: &str) -> Value {
        json!({"metadata": {}, "spec": {"nodeName": "n"}, "status": {"phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}]}})
    }

    #[test]
    fn the_least_useful_pods_go_first() {
        let now = "2026-01-01T10:00:00Z".parse().unwrap();
        let mut cheap = ready("2026-01-01T00:00:00Z");
        cheap["metadata"]["annotations"][DELETION_COST] = "-5".into();
        let mut restarted = ready("2026-01-01T00:00:00Z");
        restarted["status"]["containerStatuses"] = json!([{"name": "c", "restartCount": 4}]);
        let pods = [
            pod("old", ready("2026-01-01T00:00:00Z")),
            pod("young", ready("2026-01-01T09:59:00Z")),
            pod("cheap", cheap),
            pod("restarted", restarted),
            pod(
                "unready",
                json!({"metadata": {}, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}}),
            ),
            pod(
                "pending",
                json!({"metadata": {}, "spec": {"nodeName": "n"}, "status": {"phase": "Pending"}}),
            ),
            pod(
                "unscheduled",
                json!({"metadata": {}, "spec": {}, "status": {"phase": "Pending"}}),
            ),
        ];
        let order: Vec<&str> = deletions(&pods, 7, now)
            .iter()
            .map(|pod| pod.metadata.name.as_str())
            .collect();
        assert_eq!(
            order,
            [
                "unscheduled",
                "pending",
                "unready",
                "cheap",
                "young",
                "restarted",
                "old"
            ]
        );
        assert_eq!(deletions(&pods, 2, now).len(), 2);
    }

    #[test]
    fn the_status_counts_and_wakes_when_a_pod_becomes_available() {
        let now = "2026-01-01T00:00:05Z".parse().unwrap();
        let set = json!({"metadata": {"generation": 3}, "spec": {"minReadySeconds": 8, "template": {"metadata": {"labels": {"a": "b"}}}}});
        let mut labelled = ready("2026-01-01T00:00:00Z");
        labelled["metadata"]["labels"] = json!({"a": "b"});
        let (status, later) = status(&set, &[pod("p", labelled)], None, now);
        assert_eq!(
            status,
            json!({"replicas": 1, "fullyLabeledReplicas": 1, "readyReplicas": 1, "observedGeneration": 3})
        );
        assert_eq!(later, Some(SignedDuration::from_secs(3)));
    }

    #[test]
    fn a_failure_is_a_condition_until_it_is_over() {
        let now = "2026-01-01T00:00:05Z".parse().unwrap();
        let failure = Condition::new("ReplicaFailure", "True", "FailedCreate", "no", now);
        let mut set = json!({"metadata": {"generation": 1}, "spec": {"template": {}}});
        let (first, _) = status(&set, &[], Some(failure.clone()), now);
        assert_eq!(first["conditions"][0]["reason"], "FailedCreate");
        set["status"] = first;
        assert!(status(&set, &[], None, now).0["conditions"].is_null());
        assert_eq!((change(3, 1), change(0, 2), change(1, 1)), (2, -2, 0));
    }
}
