//! The scale subresource: how many pods a workload has, in one form for every kind that can be scaled.

use axum::response::Response;
use serde_json::{Value, json};

use super::modify::{Changed, modify};
use super::objects::{json_response, parse_body, parse_yaml};
use super::respond;
use crate::apiserver::fields;
use crate::apiserver::patch::{json_patch, merge_patch};
use crate::apiserver::resources::Resource;
use crate::apiserver::selectors::LabelSelector;
use crate::apiserver::server::Call;
use crate::apiserver::status::{ApiError, FieldError};

/// Where a kind keeps what a Scale shows, as JSON pointers; the selector is text already or structured.
pub(super) struct Paths {
    /// Pods wanted.
    pub replicas: String,
    /// Pods there are.
    pub current: String,
    /// Selector of the pods.
    pub selector: Option<String>,
}

/// The paths of a kind; `None` if it cannot be scaled.
pub(super) fn paths(resource: &Resource) -> Option<Paths> {
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

/// Handles every verb of `scale`.
pub(super) async fn handle(verb: &str, call: Call) -> Result<Response, ApiError> {
    let paths = paths(call.resource()).ok_or_else(ApiError::no_such_path)?;
    match verb {
        "get" => {
            let object = call.server.store.get(&call.key());
            let object = object.ok_or_else(|| ApiError::not_found(&call.qualified(), call.name()))?;
            Ok(respond(&call, 200, json_response(&scale_of(&object.value(), &paths))))
        }
        "update" => {
            let wanted = parse_body(&call)?;
            change(call, &paths, move |_| Ok(wanted.clone())).await
        }
        "patch" => {
            let patch = parse_yaml(&call.body)
                .map_err(|cause| ApiError::bad_request(format!("error decoding patch: {cause}")))?;
            let kind = call.content_type.clone();
            change(call, &paths, move |scale| match kind.as_str() {
                "application/json-patch+json" => json_patch(scale, &patch),
                // A Scale has no lists: both merges are the same, and what is applied is what is set.
                "application/merge-patch+json"
                | "application/strategic-merge-patch+json"
                | "application/apply-patch+yaml" => {
                    let mut scale = scale.clone();
                    merge_patch(&mut scale, &patch);
                    Ok(scale)
                }
                _ => {
                    let message = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml";
                    Err(ApiError::new(415, "UnsupportedMediaType", message))
                }
            })
            .await
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

async fn change(
    call: Call,
    paths: &Paths,
    edit: impl Fn(&Value) -> Result<Value, ApiError>,
) -> Result<Response, ApiError> {
    let operation = if call.content_type.starts_with("application/apply-patch") {
        "Apply"
    } else {
        "Update"
    };
    let manager = fields::manager_of(&call, operation);
    let changed = modify(&call, Some(&manager), |old, _| {
        let wanted = edit(&scale_of(old, paths))?;
        let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
        if replicas < 0 {
            let detail = "must be greater than or equal to 0";
            let error = FieldError::invalid("spec.replicas", &wanted["spec"]["replicas"], detail);
            return Err(ApiError::invalid("autoscaling", "Scale", call.name(), &[error]));
        }
        let mut new = old.clone();
        new["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"].clone();
        new["metadata"]["uid"] = match &wanted["metadata"]["uid"] {
            Value::Null => old["metadata"]["uid"].clone(),
            uid => uid.clone(),
        };
        set(&mut new, &paths.replicas, replicas.into());
        Ok(new)
    })
    .await?;
    let value = match changed {
        Changed::Stored(object) => object.value(),
        Changed::DryRun(value) => *value,
    };
    Ok(respond(&call, 200, json_response(&scale_of(&value, paths))))
}

fn set(value: &mut Value, pointer: &str, field: Value) {
    let mut place = value;
    for part in pointer.split('/').skip(1) {
        place = &mut place[part];
    }
    *place = field;
}

pub(super) fn scale_of(object: &Value, paths: &Paths) -> Value {
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
