//! Controllers of pods.

use serde_json::Value;

use super::pods::{containers, images};
use super::{AGE, Column, NAME, count, label_selector, list, number, or, pairs, plain, text, wide};
use crate::apimachinery::kinds::autoscaler;

const CONTAINERS: Column = wide("Containers", |object, _| containers(&object["spec"]["template"]));
const IMAGES: Column = wide("Images", |object, _| images(&object["spec"]["template"]));
const SELECTOR: Column = wide("Selector", |object, _| label_selector(&object["spec"]["selector"]));
const DESIRED: Column = number("Desired", |object, _| count(&object["spec"]["replicas"]));
const CURRENT: Column = number("Current", |object, _| count(&object["status"]["replicas"]));
const READY: Column = number("Ready", |object, _| count(&object["status"]["readyReplicas"]));
const READY_OF: Column = text("Ready", |object, _| {
    let (ready, wanted) = (
        count(&object["status"]["readyReplicas"]),
        count(&object["spec"]["replicas"]),
    );
    format!("{ready}/{wanted}").into()
});

pub(super) const REPLICATION_CONTROLLERS: &[Column] = &[
    NAME,
    DESIRED,
    CURRENT,
    READY,
    AGE,
    CONTAINERS,
    IMAGES,
    wide("Selector", |object, _| pairs(&object["spec"]["selector"])),
];

pub(super) const REPLICA_SETS: &[Column] = &[NAME, DESIRED, CURRENT, READY, AGE, CONTAINERS, IMAGES, SELECTOR];

pub(super) const DEPLOYMENTS: &[Column] = &[
    NAME,
    READY_OF,
    text("Up-to-date", |object, _| {
        count(&object["status"]["updatedReplicas"]).to_string().into()
    }),
    text("Available", |object, _| {
        count(&object["status"]["availableReplicas"]).to_string().into()
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) const STATEFUL_SETS: &[Column] = &[NAME, READY_OF, AGE, CONTAINERS, IMAGES];

pub(super) const DAEMON_SETS: &[Column] = &[
    NAME,
    number("Desired", |object, _| {
        count(&object["status"]["desiredNumberScheduled"])
    }),
    number("Current", |object, _| {
        count(&object["status"]["currentNumberScheduled"])
    }),
    number("Ready", |object, _| count(&object["status"]["numberReady"])),
    number("Up-to-date", |object, _| {
        count(&object["status"]["updatedNumberScheduled"])
    }),
    number("Available", |object, _| count(&object["status"]["numberAvailable"])),
    text("Node Selector", |object, _| {
        pairs(&object["spec"]["template"]["spec"]["nodeSelector"])
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) const REVISIONS: &[Column] = &[
    NAME,
    text("Controller", |object, _| {
        let owner = list(&object["metadata"]["ownerReferences"])
            .iter()
            .find(|owner| owner["controller"] == true);
        owner.map_or_else(|| "<none>".into(), |owner| controller(owner).into())
    }),
    text("Revision", |object, _| count(&object["revision"]).to_string().into()),
    AGE,
];

/// `statefulset.apps/web`.
fn controller(owner: &Value) -> String {
    let (kind, name) = (plain(&owner["kind"]).to_lowercase(), plain(&owner["name"]));
    match plain(&owner["apiVersion"]).split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

pub(super) const AUTOSCALERS: &[Column] = &[
    NAME,
    text("Reference", |object, _| {
        let target = &object["spec"]["scaleTargetRef"];
        format!("{}/{}", plain(&target["kind"]), plain(&target["name"])).into()
    }),
    text("Targets", |object, _| targets(object).into()),
    text("MinPods", |object, _| or(&object["spec"]["minReplicas"], "<unset>")),
    text("MaxPods", |object, _| {
        count(&object["spec"]["maxReplicas"]).to_string().into()
    }),
    text("Replicas", |object, _| {
        count(&object["status"]["currentReplicas"]).to_string().into()
    }),
    AGE,
];

/// Current and wanted value of each metric; two are shown.
fn targets(object: &Value) -> String {
    let mut seen = object.clone();
    if object["apiVersion"] == "autoscaling/v1" {
        autoscaler::to_v2(&mut seen);
    }
    let metrics = list(&seen["spec"]["metrics"]);
    let shown: Vec<String> = metrics
        .iter()
        .take(2)
        .map(|metric| {
            let kind = plain(&metric["type"]);
            let field = kind[..1.min(kind.len())].to_lowercase() + kind.get(1..).unwrap_or_default();
            let target = &metric[field.as_str()]["target"];
            let name = plain(&metric[field.as_str()]["name"]);
            let wanted = match &target["averageUtilization"] {
                Value::Null => plain(if target["averageValue"].is_null() {
                    &target["value"]
                } else {
                    &target["averageValue"]
                }),
                percent => format!("{percent}%"),
            };
            let name = if name.is_empty() { name } else { format!("{name}: ") };
            format!("{name}<unknown>/{wanted}")
        })
        .collect();
    match metrics.len() {
        0 => "<none>".to_owned(),
        1 | 2 => shown.join(", "),
        more => format!("{} + {} more...", shown.join(", "), more - 2),
    }
}
