//! Objects live in namespaces that exist and are not ending; some namespaces stay.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Admission, Attempt, Operation, ready};
use crate::apimachinery::status::Status;
use crate::store::Key;

/// Namespaces the cluster cannot do without.
const PROTECTED: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Refuses new objects in namespaces that are not there or ending, and the deletion of Kubernetes' own namespaces.
pub(super) struct NamespaceLifecycle;

impl Admission for NamespaceLifecycle {
    fn handles(&self, attempt: &Attempt<'_>) -> bool {
        match attempt.operation {
            Operation::Create => attempt.resource.namespaced,
            Operation::Update => false,
            Operation::Delete => &*attempt.resource.key == "namespaces",
        }
    }

    fn admit<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
        _: &'a mut Value,
        _: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<(), Status>> {
        ready(match attempt.operation {
            Operation::Delete => stays(attempt.name),
            _ => takes_objects(attempt),
        })
    }
}

fn stays(name: &str) -> Result<(), Status> {
    if PROTECTED.contains(&name) {
        return Err(Status::forbidden(
            "namespaces",
            name,
            "this namespace may not be deleted",
        ));
    }
    Ok(())
}

fn takes_objects(attempt: &Attempt<'_>) -> Result<(), Status> {
    let (registry, resource) = (attempt.registry, attempt.resource);
    let (namespace, name) = (attempt.namespace, attempt.name);
    let found = registry.store.get(&Key::new(&"namespaces".into(), "", namespace));
    let found = found.ok_or_else(|| Status::not_found("namespaces", namespace))?;
    if found.fields.deleting {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut error = Status::forbidden(&resource.qualified(), name, why);
        error.details["causes"] = json!([{"reason": "NamespaceTerminating", "message": format!("namespace {namespace} is being terminated"), "field": "metadata.namespace"}]);
        return Err(error);
    }
    Ok(())
}
