//! Alert policies and their conditions: their keys are checked, and they are not used.

use stoke_model::manifest::{Fields, Node, join};

pub(super) fn alert_policy(node: &Node, path: &str, fields: &mut Fields<'_>) {
    if node.as_str().is_some() {
        return;
    }
    if !fields.keys(node, path, &["alertPolicyRef", "kind", "metadata", "spec"]) {
        return;
    }
    if let Some(spec) = node.get("spec") {
        policy(spec, &join(path, "spec"), fields);
    }
}

/// The policy of a vendor-neutral file says when to alert; here the method is fixed.
pub(super) fn policy(spec: &Node, path: &str, fields: &mut Fields<'_>) {
    let keys = [
        "description",
        "alertWhenNoData",
        "alertWhenResolved",
        "alertWhenBreaching",
        "conditions",
        "notificationTargets",
    ];
    if !fields.keys(spec, path, &keys) {
        return;
    }
    for (path, item) in fields.list(spec, "conditions", path) {
        if fields.keys(item, &path, &["conditionRef", "kind", "metadata", "spec"])
            && let Some(spec) = item.get("spec")
        {
            condition(spec, &join(&path, "spec"), fields);
        }
    }
}

pub(super) fn condition(spec: &Node, path: &str, fields: &mut Fields<'_>) {
    if !fields.keys(spec, path, &["description", "severity", "condition"]) {
        return;
    }
    let Some(condition) = spec.get("condition") else { return };
    let path = join(path, "condition");
    fields.keys(
        condition,
        &path,
        &["kind", "op", "threshold", "lookbackWindow", "alertAfter"],
    );
    let message =
        "this condition is not used: services have the standard windows of burn rates, runs have evidence".to_owned();
    fields.warn(
        "slo-condition-unused",
        condition.place,
        &path,
        message,
        "`stoke slo rules` shows the rules; route them in Alertmanager",
    );
}
