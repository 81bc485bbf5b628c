//! Workloads that keep pods running: what Deployments, ReplicaSets, StatefulSets, DaemonSets and ReplicationControllers may leave out,
//! and the status each starts with.

use serde_json::{Value, json};

use super::{items_mut, pod_defaults, set_missing, storage};

/// Fills what a Deployment may leave out.
pub(super) fn default_deployment(deployment: &mut Value) {
    let Some(spec) = spec_of(deployment) else { return };
    set_missing(spec, "replicas", || 1.into());
    set_missing(spec, "strategy", || json!({}));
    set_missing(&mut spec["strategy"], "type", || "RollingUpdate".into());
    if spec["strategy"]["type"] == "RollingUpdate" {
        set_missing(&mut spec["strategy"], "rollingUpdate", || json!({}));
        set_missing(&mut spec["strategy"]["rollingUpdate"], "maxUnavailable", || {
            "25%".into()
        });
        set_missing(&mut spec["strategy"]["rollingUpdate"], "maxSurge", || "25%".into());
    }
    set_missing(spec, "revisionHistoryLimit", || 10.into());
    set_missing(spec, "progressDeadlineSeconds", || 600.into());
    default_template(spec);
}

/// Fills what a ReplicaSet may leave out.
pub(super) fn default_replica_set(set: &mut Value) {
    let Some(spec) = spec_of(set) else { return };
    set_missing(spec, "replicas", || 1.into());
    default_template(spec);
}

/// Fills what a ReplicationController may leave out: its selector and labels are those of its template.
pub(super) fn default_replication_controller(controller: &mut Value) {
    let labels = controller["spec"]["template"]["metadata"]["labels"].clone();
    let Some(spec) = spec_of(controller) else { return };
    set_missing(spec, "replicas", || 1.into());
    default_template(spec);
    if labels.is_object() {
        let empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
        if empty(&controller["spec"]["selector"]) {
            controller["spec"]["selector"] = labels.clone();
        }
        if empty(&controller["metadata"]["labels"]) {
            controller["metadata"]["labels"] = labels;
        }
    }
}

/// Fills what a StatefulSet may leave out.
pub(super) fn default_stateful_set(set: &mut Value) {
    let Some(spec) = spec_of(set) else { return };
    set_missing(spec, "replicas", || 1.into());
    set_missing(spec, "podManagementPolicy", || "OrderedReady".into());
    set_missing(spec, "serviceName", || "".into());
    if spec["ordinals"].is_object() {
        set_missing(&mut spec["ordinals"], "start", || 0.into());
    }
    set_missing(spec, "updateStrategy", || json!({}));
    let strategy = &mut spec["updateStrategy"];
    // Only a strategy that is not named is given whole.
    if strategy["type"].is_null() {
        strategy["type"] = "RollingUpdate".into();
        set_missing(strategy, "rollingUpdate", || json!({}));
    }
    if strategy["type"] == "RollingUpdate" && strategy["rollingUpdate"].is_object() {
        set_missing(&mut strategy["rollingUpdate"], "partition", || 0.into());
    }
    set_missing(spec, "revisionHistoryLimit", || 10.into());
    set_missing(spec, "persistentVolumeClaimRetentionPolicy", || json!({}));
    for moment in ["whenDeleted", "whenScaled"] {
        set_missing(&mut spec["persistentVolumeClaimRetentionPolicy"], moment, || {
            "Retain".into()
        });
    }
    for claim in items_mut(spec, "/volumeClaimTemplates") {
        set_missing(claim, "apiVersion", || "v1".into());
        set_missing(claim, "kind", || "PersistentVolumeClaim".into());
        storage::default_claim(claim);
        set_missing(claim, "status", || json!({"phase": "Pending"}));
    }
    default_template(spec);
}

/// Fills what a DaemonSet may leave out.
pub(super) fn default_daemon_set(set: &mut Value) {
    let Some(spec) = spec_of(set) else { return };
    set_missing(spec, "updateStrategy", || json!({}));
    set_missing(&mut spec["updateStrategy"], "type", || "RollingUpdate".into());
    if spec["updateStrategy"]["type"] == "RollingUpdate" {
        set_missing(&mut spec["updateStrategy"], "rollingUpdate", || json!({}));
        set_missing(&mut spec["updateStrategy"]["rollingUpdate"], "maxUnavailable", || {
            1.into()
        });
        set_missing(&mut spec["updateStrategy"]["rollingUpdate"], "maxSurge", || 0.into());
    }
    set_missing(spec, "revisionHistoryLimit", || 10.into());
    default_template(spec);
}

/// The status a new object of a kind has.
pub(super) fn first_status(resource: &str) -> Option<Value> {
    match resource {
        "deployments.apps" | "jobs.batch" | "cronjobs.batch" => Some(json!({})),
        "replicasets.apps" | "replicationcontrollers" => Some(json!({"replicas": 0})),
        "statefulsets.apps" => Some(json!({"replicas": 0, "availableReplicas": 0})),
        "daemonsets.apps" => Some(json!({"currentNumberScheduled": 0, "numberMisscheduled": 0,
            "desiredNumberScheduled": 0, "numberReady": 0})),
        _ => None,
    }
}

fn spec_of(object: &mut Value) -> Option<&mut Value> {
    object.get_mut("spec").filter(|spec| spec.is_object())
}

/// Fills what the template of a workload's pods may leave out.
pub(super) fn default_template(spec: &mut Value) {
    if spec["template"].is_object() {
        pod_defaults::default(&mut spec["template"]);
    }
}
