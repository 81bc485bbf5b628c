//! Runtime classes: there are none here.

use futures::future::BoxFuture;
use serde_json::Value;

use super::{Admission, Attempt, ready};
use crate::apimachinery::status::Status;

/// Refuses pods that need a runtime class, as where one is missing.
pub(super) struct RuntimeClass;

impl Admission for RuntimeClass {
    fn handles(&self, attempt: &Attempt<'_>) -> bool {
        attempt.creates("pods")
    }

    fn admit<'a>(
        &'a self,
        _: &'a Attempt<'_>,
        object: &'a mut Value,
        _: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<(), Status>> {
        ready(check_runtime(object))
    }
}

/// There are no runtime classes here: what needs one is refused as where one is missing.
fn check_runtime(pod: &Value) -> Result<(), Status> {
    let why = match (&pod["spec"]["runtimeClassName"], &pod["spec"]["overhead"]) {
        (Value::String(name), _) => format!("pod rejected: RuntimeClass {name:?} not found"),
        (_, Value::Object(_)) => {
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead".to_owned()
        }
        _ => return Ok(()),
    };
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    Err(Status::forbidden("pods", name, why))
}
