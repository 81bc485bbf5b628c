//! What containers ask for and may use.

use serde_json::Value;

use super::{Complaints, entries, items, text, words};
use crate::apimachinery::quantity;
use crate::apimachinery::schema::Path;

const UNIT: i128 = 1_000_000_000;

/// Resources of a container; `claims` are the names of the pod's resource claims.
pub(super) fn check(container: &Value, pod: &Value, at: &Path<'_>, said: &mut Complaints) {
    let resources = &container["resources"];
    let base = at.field("resources");
    for part in ["limits", "requests"] {
        for (name, quantity) in entries(&resources[part]) {
            check_one(name, quantity, &base.field(part).named(name), said);
        }
    }
    let requests = base.field("requests");
    for (name, request) in entries(&resources["requests"]) {
        let limit = &resources["limits"][name];
        if limit.is_null() {
            if is_whole(name) {
                let detail = "Limit must be set for non overcommitable resources";
                said.required(&base.field("limits"), detail);
            }
            continue;
        }
        let amounts = amount(request).zip(amount(limit));
        let words = match amounts {
            Some((request, limit)) if is_whole(name) && request != limit => "must be equal to",
            Some((request, limit)) if request > limit => "must be less than or equal to",
            _ => continue,
        };
        let detail = format!("{words} {name} limit of {}", shown(limit));
        said.invalid(&requests, request.clone(), &detail);
    }
    let claims = base.field("claims");
    for (index, claim) in items(&resources["claims"]) {
        let name = text(&claim["name"]);
        let known: Vec<&str> = items(&pod["resourceClaims"])
            .map(|(_, claim)| text(&claim["name"]))
            .collect();
        let at = claims.item(index);
        if name.is_empty() {
            said.required(&at, "");
        } else if !known.contains(&name) {
            let which = if known.is_empty() {
                "pod.spec.resourceClaims which is empty".to_owned()
            } else {
                "pod.spec.resourceClaims".to_owned()
            };
            let detail = format!("must be one of the names in {which}");
            said.not_found(&at, name);
            if let Some(last) = said.0.last_mut() {
                last.message = format!("{}: {detail}", last.message);
            }
        }
    }
}

/// Resources of a whole pod are checked as those of a container.
pub(super) fn check_one(name: &str, quantity: &Value, at: &Path<'_>, said: &mut Complaints) {
    said.text(at, name, words::qualified(name));
    if !name.contains('/') {
        if !is_container_resource(name) {
            said.invalid(at, name, "must be a standard resource for containers");
            if !is_standard(name) {
                said.invalid(at, name, "must be a standard resource type or fully qualified");
            }
        }
    } else if !name
        .split('/')
        .next()
        .is_some_and(|prefix| prefix.ends_with("kubernetes.io"))
        && !is_extended(name)
    {
        said.invalid(at, name, "doesn't follow extended resource name standard");
    }
    let Some(number) = amount(quantity) else {
        return;
    };
    if number < 0 {
        said.invalid(at, quantity.clone(), "must be greater than or equal to 0");
    }
    if is_extended(name) && number % UNIT != 0 {
        said.invalid(at, quantity.clone(), "must be an integer");
    }
    if let Some(size) = name.strip_prefix("hugepages-") {
        let size = quantity::parse(size).filter(|size| *size > 0);
        if size.is_none_or(|size| number % size != 0) {
            let detail = format!("{} is not positive integer multiple of {name}", shown(quantity));
            said.invalid(at, quantity.clone(), &detail);
        }
    }
}

/// Billionths; `None` for what is not a quantity: decoding refuses it.
pub fn amount(quantity: &Value) -> Option<i128> {
    match quantity {
        Value::String(text) => quantity::parse(text),
        Value::Number(number) => quantity::parse(&number.to_string()),
        _ => None,
    }
}

fn shown(quantity: &Value) -> String {
    match quantity {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_container_resource(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-")
}

/// Names without a group that Kubernetes knows, of containers, claims or quotas.
pub fn is_standard(name: &str) -> bool {
    const OTHERS: &[&str] = &[
        "pods",
        "storage",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    ];
    is_container_resource(name) || OTHERS.contains(&name) || name.starts_with("requests.hugepages-")
}

/// Devices and the like: counted, and never more asked for than is had.
fn is_extended(name: &str) -> bool {
    name.split_once('/').is_some_and(|(prefix, _)| {
        !prefix.ends_with("kubernetes.io") && !name.starts_with("requests.") && words::qualified(name).is_empty()
    })
}

fn is_whole(name: &str) -> bool {
    is_extended(name) || name.starts_with("hugepages-")
}
