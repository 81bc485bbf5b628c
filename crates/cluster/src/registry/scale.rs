//! The scale subresource: how many pods a workload has, in one form for every kind that can be scaled.

use serde_json::{Value, json};

use super::update::OnConflict;
use super::{Registry, Request};
use crate::apimachinery::fields::Manager;
use crate::apimachinery::resources::Resource;
use crate::apimachinery::selectors::LabelSelector;
use crate::apimachinery::status::{FieldError, Status};

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

impl Registry {
    /// The Scale of an object.
    ///
    /// # Errors
    /// It is not there.
    pub fn scale(&self, request: &Request, paths: &Paths) -> Result<Value, Status> {
        let object = self.store.get(&request.key());
        let object = object.ok_or_else(|| Status::not_found(&request.qualified(), request.name()))?;
        Ok(scale_of(&object.value(), paths))
    }

    /// Changes an object by its Scale, and gives the new one.
    ///
    /// # Errors
    /// A negative count, or what [`Registry::change`] refuses.
    pub async fn rescale(
        &self,
        request: &Request,
        paths: &Paths,
        manager: &Manager,
        on_conflict: OnConflict,
        edit: impl Fn(&Value) -> Result<Value, Status>,
        warnings: &mut Vec<String>,
    ) -> Result<Value, Status> {
        let change = |old: &Value, _: &Value| {
            let wanted = edit(&scale_of(old, paths))?;
            let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
            if replicas < 0 {
                let detail = "must be greater than or equal to 0";
                let error = FieldError::invalid("spec.replicas", &wanted["spec"]["replicas"], detail);
                return Err(Status::invalid("autoscaling", "Scale", request.name(), &[error]));
            }
            let mut new = old.clone();
            new["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"].clone();
            new["metadata"]["uid"] = match &wanted["metadata"]["uid"] {
                Value::Null => old["metadata"]["uid"].clone(),
                uid => uid.clone(),
            };
            set(&mut new, &paths.replicas, replicas.into());
            Ok(new)
        };
        let changed = self
            .change(request, Some(manager), on_conflict, change, warnings)
            .await?;
        Ok(scale_of(&changed.value(), paths))
    }
}

fn set(value: &mut Value, pointer: &str, field: Value) {
    let mut place = value;
    for part in pointer.split('/').skip(1) {
        place = &mut place[part];
    }
    *place = field;
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
