//! Pod Security: what the labels of a namespace forbid.

use futures::future::BoxFuture;
use serde_json::Value;

use super::{Admission, Attempt, Operation, ready};
use crate::apimachinery::allowance::security;
use crate::apimachinery::status::Status;
use crate::registry::ledger::Reservation;
use crate::store::Key;

/// Refuses a pod that its namespace's level forbids; says what would be warned of, also of the templates of workloads.
pub(super) struct PodSecurity;

impl Admission for PodSecurity {
    fn handles(&self, attempt: &Attempt<'_>) -> bool {
        attempt.operation == Operation::Create
            && matches!(
                &*attempt.resource.key,
                "pods"
                    | "cronjobs.batch"
                    | "podtemplates"
                    | "deployments.apps"
                    | "replicasets.apps"
                    | "statefulsets.apps"
                    | "daemonsets.apps"
                    | "jobs.batch"
                    | "replicationcontrollers"
            )
    }

    fn validate<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
        object: Option<&'a Value>,
        warnings: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<Option<Reservation>, Status>> {
        let found = object.map_or(Ok(None), |object| check(attempt, object));
        ready(found.map(|warning| {
            warnings.extend(warning);
            None
        }))
    }
}

/// What is warned of.
fn check(attempt: &Attempt<'_>, object: &Value) -> Result<Option<String>, Status> {
    let template = match &*attempt.resource.key {
        "pods" => object,
        "cronjobs.batch" => &object["spec"]["jobTemplate"]["spec"]["template"],
        "podtemplates" => &object["template"],
        _ => &object["spec"]["template"],
    };
    let key = Key::new(&"namespaces".into(), "", attempt.namespace);
    let Some(space) = attempt.registry.store.get(&key) else {
        return Ok(None);
    };
    let space = space.value();
    let says = |mode: &str| security::violation(&space, mode, &template["metadata"], &template["spec"]);
    if &*attempt.resource.key == "pods"
        && let Some(why) = says("enforce")
    {
        let why = why.replacen("violate", "violates", 1);
        return Err(Status::forbidden("pods", attempt.name, why));
    }
    Ok(says("warn").map(|why| format!("would {why}")))
}
