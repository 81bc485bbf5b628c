//! Priority classes: what they give pods, and that one of them at most is the default.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Admission, Attempt, ready};
use crate::apimachinery::status::Status;
use crate::registry::Registry;
use crate::store::Key;

const CLASSES: &str = "priorityclasses.scheduling.k8s.io";

/// Gives pods the priority of their class, and refuses a second default class.
pub(super) struct Priority;

impl Admission for Priority {
    fn handles(&self, attempt: &Attempt<'_>) -> bool {
        attempt.creates("pods") || attempt.creates(CLASSES)
    }

    fn admit<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
        object: &'a mut Value,
        _: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<(), Status>> {
        ready(if attempt.creates("pods") {
            set_priority(attempt.registry, attempt.name, &mut object["spec"])
        } else {
            one_default_priority(attempt.registry, object)
        })
    }
}

fn set_priority(registry: &Registry, pod: &str, spec: &mut Value) -> Result<(), Status> {
    let key = CLASSES.into();
    let class = match spec["priorityClassName"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => {
            let class = registry.store.get(&Key::new(&key, "", name));
            let why = || format!("no PriorityClass with name {name} was found");
            Some(class.ok_or_else(|| Status::forbidden("pods", pod, why()))?.value())
        }
        None => {
            let all = registry.store.list(&key, None, None, usize::MAX, |_| true).items;
            all.iter()
                .map(|class| class.value())
                .find(|class| class["globalDefault"] == true)
        }
    };
    let class = class.unwrap_or_else(|| json!({"value": 0}));
    if spec["priority"].is_number() && spec["priority"] != class["value"] {
        let why = format!(
            "the integer value of priority ({}) must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass name",
            spec["priority"], class["value"]
        );
        return Err(Status::forbidden("pods", pod, why));
    }
    spec["priority"] = class["value"].clone();
    if class["metadata"]["name"].is_string() {
        spec["priorityClassName"] = class["metadata"]["name"].clone();
    }
    let policy = class["preemptionPolicy"].as_str().unwrap_or("PreemptLowerPriority");
    if let Some(given) = spec["preemptionPolicy"].as_str().filter(|given| *given != policy) {
        let why = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        );
        return Err(Status::forbidden("pods", pod, why));
    }
    spec["preemptionPolicy"] = policy.into();
    Ok(())
}

/// Refuses a second priority class that is the default of all pods.
fn one_default_priority(registry: &Registry, class: &Value) -> Result<(), Status> {
    if class["globalDefault"] != true {
        return Ok(());
    }
    let key = CLASSES.into();
    let others = registry.store.list(&key, None, None, usize::MAX, |_| true).items;
    let other = others.iter().find(|other| other.value()["globalDefault"] == true);
    let name = class["metadata"]["name"].as_str().unwrap_or_default();
    match other.filter(|other| *other.key.name != *name) {
        None => Ok(()),
        Some(other) => {
            let why = format!(
                "PriorityClass {} is already marked as default. Only one default can exist",
                other.key.name
            );
            Err(Status::forbidden("priorityclasses.scheduling.k8s.io", name, why))
        }
    }
}
