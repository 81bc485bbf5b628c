//! What of a pod may change.

use serde_json::{Value, json};

use super::{Complaints, entries, is_empty, items, text};
use crate::apimachinery::kinds::items_mut;
use crate::apimachinery::schema::Path;

const ELSE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const TERMS: &str = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";

/// Complaints about a change of a pod.
pub fn check_update(old: &Value, new: &Value, said: &mut Complaints) {
    let (before, after) = (&old["spec"], &new["spec"]);
    if before == after {
        return;
    }
    let policies = ["PreemptLowerPriority", "Never"];
    said.one_of(
        &Path::Start("spec.preemptionPolicy"),
        &after["preemptionPolicy"],
        &policies,
    );
    for list in ["containers", "initContainers"] {
        if items(&before[list]).count() != items(&after[list]).count() {
            let detail = "pod updates may not add or remove containers";
            said.forbidden(&Path::Field(&Path::Start("spec"), list), detail);
            return;
        }
    }
    check_deadline(&before["activeDeadlineSeconds"], &after["activeDeadlineSeconds"], said);
    check_tolerations(before, after, said);
    check_gates(before, after, said);
    let gated = !is_empty(&before["schedulingGates"]);
    if gated {
        check_narrowed(before, after, said);
    }
    if !only_allowed(before, after, gated) {
        said.forbidden(&Path::Start("spec"), ELSE);
    }
}

fn check_deadline(before: &Value, after: &Value, said: &mut Complaints) {
    let at = Path::Start("spec.activeDeadlineSeconds");
    match (before.as_i64(), after.as_i64()) {
        (_, Some(now)) if !(0..=i64::from(i32::MAX)).contains(&now) => {
            said.invalid(&at, now, "must be between 0 and 2147483647, inclusive");
        }
        (Some(was), Some(now)) if was < now => {
            said.invalid(&at, now, "must be less than or equal to previous value");
        }
        (Some(_), None) => {
            said.invalid(&at, Value::Null, "must not update from a positive integer to nil value");
        }
        _ => {}
    }
}

fn check_tolerations(before: &Value, after: &Value, said: &mut Complaints) {
    let without_time = |toleration: &Value| {
        let mut toleration = toleration.clone();
        toleration
            .as_object_mut()
            .map(|fields| fields.shift_remove("tolerationSeconds"));
        toleration
    };
    let now: Vec<Value> = items(&after["tolerations"])
        .map(|(_, toleration)| without_time(toleration))
        .collect();
    if !items(&before["tolerations"]).all(|(_, toleration)| now.contains(&without_time(toleration))) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        said.forbidden(&Path::Start("spec.tolerations"), detail);
    }
}

fn check_gates(before: &Value, after: &Value, said: &mut Complaints) {
    let known = |name: &str| items(&before["schedulingGates"]).any(|(_, gate)| gate["name"] == name);
    let list = Path::Start("spec.schedulingGates");
    for (index, gate) in items(&after["schedulingGates"]) {
        let name = text(&gate["name"]);
        if !known(name) {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            said.forbidden(&list.item(index).field("name"), &detail);
        }
    }
}

/// What a gated pod asks of its node can be narrowed down, never widened.
fn check_narrowed(before: &Value, after: &Value, said: &mut Complaints) {
    let kept = entries(&before["nodeSelector"]).all(|(key, value)| after["nodeSelector"].get(key) == Some(value));
    if !kept {
        let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        let at = Path::Start("spec.nodeSelector");
        said.invalid(&at, after["nodeSelector"].clone(), detail);
    }
    let Some(was) = before
        .pointer(TERMS)
        .and_then(Value::as_array)
        .filter(|was| !was.is_empty())
    else {
        return;
    };
    let place = format!("spec{}", TERMS.replace('/', "."));
    let at = Path::Start(&place);
    let now = after.pointer(TERMS).unwrap_or(&Value::Null);
    if now.as_array().map_or(0, Vec::len) != was.len() {
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        said.invalid(&at, now.clone(), detail);
        return;
    }
    for (index, (was, (_, now))) in was.iter().zip(items(now)).enumerate() {
        let grows = |field: &str| items(&was[field]).all(|(index, kept)| now[field].get(index) == Some(kept));
        if !grows("matchExpressions") || !grows("matchFields") {
            said.invalid(
                &at.item(index),
                shown(now),
                "only additions are allowed (no mutations or deletions)",
            );
        }
    }
}

/// A term as the real server writes it.
fn shown(term: &Value) -> Value {
    let list = |field: &str| {
        match &term[field] {
        Value::Array(list) => list
            .iter()
            .map(|item| json!({"Key": text(&item["key"]), "Operator": text(&item["operator"]), "Values": item["values"]}))
            .collect(),
        _ => Value::Null,
    }
    };
    json!({"MatchExpressions": list("matchExpressions"), "MatchFields": list("matchFields")})
}

/// Whether nothing else has changed than what may, or is complained of by itself.
fn only_allowed(before: &Value, after: &Value, gated: bool) -> bool {
    let mut allowed = after.clone();
    for list in ["initContainers", "containers"] {
        let images: Vec<&Value> = items(&before[list]).map(|(_, item)| &item["image"]).collect();
        for (container, image) in items_mut(&mut allowed, &format!("/{list}")).zip(images) {
            container["image"] = image.clone();
        }
    }
    let mut free = vec!["activeDeadlineSeconds", "tolerations", "schedulingGates"];
    let grace = before["terminationGracePeriodSeconds"].as_i64();
    if grace.is_some_and(|seconds| seconds < 0) && after["terminationGracePeriodSeconds"] == 1 {
        free.push("terminationGracePeriodSeconds");
    }
    if gated {
        free.push("nodeSelector");
        match before.pointer("/affinity/nodeAffinity") {
            Some(kept) => {
                allowed["affinity"]["nodeAffinity"] = kept.clone();
            }
            None => {
                allowed["affinity"]
                    .as_object_mut()
                    .map(|fields| fields.shift_remove("nodeAffinity"));
                if before["affinity"].is_null() && allowed["affinity"].as_object().is_none_or(serde_json::Map::is_empty)
                {
                    allowed.as_object_mut().map(|fields| fields.shift_remove("affinity"));
                }
            }
        }
    }
    for field in free {
        match before.get(field) {
            Some(value) => allowed[field] = value.clone(),
            None => {
                allowed.as_object_mut().map(|fields| fields.shift_remove(field));
            }
        }
    }
    allowed == *before
}
