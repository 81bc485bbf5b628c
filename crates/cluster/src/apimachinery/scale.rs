//! The Scale of an object: how many pods it wants and has, in one form for every kind that can be scaled.

use serde_json::{Value, json};

use super::resources::Resource;
use super::selectors::LabelSelector;

/// Where a kind keeps what a Scale shows, as JSON pointers; the selector is text already or structured.
pub struct Paths {
    /// Pods wanted.
    pub replicas: String,
    /// Pods there are.
    pub current: String,
    /// Selector of the pods.
    pub selector: Option<String>,
}

/// The paths of a kind; `None` if it cannot be scaled.
pub fn paths(resource: &Resource) -> Option<Paths> {
    if let Some(custom) = &resource.custom {
        let scale = custom.scale.clone()?;
        return Some(Paths {
            replicas: scale.replicas,
            current: scale.current,
            selector: scale.selector,
        });
    }
    let known = [
        "deployments.apps",
        "replicasets.apps",
        "statefulsets.apps",
        "replicationcontrollers",
    ];
    known.contains(&&*resource.key).then(|| Paths {
        replicas: "/spec/replicas".into(),
        current: "/status/replicas".into(),
        selector: Some("/spec/selector".into()),
    })
}

/// What a Scale shows of an object.
pub fn scale_of(object: &Value, paths: &Paths) -> Value {
    let at = |pointer: &str| object.pointer(pointer).cloned().unwrap_or(0.into());
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if !object["metadata"][field].is_null() {
            metadata[field] = object["metadata"][field].clone();
        }
    }
    let mut scale = json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": at(&paths.replicas)}, "status": {"replicas": at(&paths.current)}});
    let selector = paths.selector.as_ref().and_then(|pointer| object.pointer(pointer));
    if let Some(selector) = selector {
        scale["status"]["selector"] = match selector {
            Value::String(text) => text.clone(),
            map if map["matchLabels"].is_null() && map["matchExpressions"].is_null() => {
                LabelSelector::from_map(map).to_string()
            }
            selector => LabelSelector::from_selector(selector).to_string(),
        }
        .into();
    }
    scale
}
