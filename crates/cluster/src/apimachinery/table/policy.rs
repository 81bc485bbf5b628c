//! What allows, limits and ranks: quotas, budgets, priorities, bindings, admission.

use serde_json::Value;

use super::{AGE, Column, NAME, column, count, joined, list, number, or, plain, text, wide};

pub(super) const QUOTAS: &[Column] = &[
    NAME,
    text("Request", |quota, _| used(quota, false)),
    text("Limit", |quota, _| used(quota, true)),
    AGE,
];

/// `pods: 1/4`, by name; limits on limits stand apart.
fn used(quota: &Value, limits: bool) -> Value {
    let hard = quota["status"]["hard"]
        .as_object()
        .or(quota["spec"]["hard"].as_object());
    let mut hard: Vec<(&String, &Value)> = hard.into_iter().flatten().collect();
    hard.sort_by_key(|(name, _)| *name);
    let shown = hard
        .into_iter()
        .filter(|(name, _)| name.starts_with("limits.") == limits)
        .map(|(name, hard)| {
            let used = or(&quota["status"]["used"][name.as_str()], "0");
            format!("{name}: {}/{}", plain(&used), plain(hard))
        });
    joined(shown, ", ", "")
}

pub(super) const BUDGETS: &[Column] = &[
    NAME,
    text("Min Available", |budget, _| or(&budget["spec"]["minAvailable"], "N/A")),
    text("Max Unavailable", |budget, _| {
        or(&budget["spec"]["maxUnavailable"], "N/A")
    }),
    number("Allowed Disruptions", |budget, _| {
        count(&budget["status"]["disruptionsAllowed"])
    }),
    AGE,
];

pub(super) const PRIORITIES: &[Column] = &[
    NAME,
    number("Value", |class, _| count(&class["value"])),
    column("Global-Default", "boolean", 0, |class, _| {
        class["globalDefault"].as_bool().unwrap_or(false).into()
    }),
    AGE,
    wide("PreemptionPolicy", |class, _| {
        or(&class["preemptionPolicy"], "PreemptLowerPriority")
    }),
];

pub(super) const RUNTIMES: &[Column] = &[NAME, text("Handler", |class, _| plain(&class["handler"]).into()), AGE];

pub(super) const BINDINGS: &[Column] = &[
    NAME,
    text("Role", |binding, _| {
        let role = &binding["roleRef"];
        format!("{}/{}", plain(&role["kind"]), plain(&role["name"])).into()
    }),
    AGE,
    wide("Users", |binding, _| subjects(binding, "User")),
    wide("Groups", |binding, _| subjects(binding, "Group")),
    wide("ServiceAccounts", |binding, _| subjects(binding, "ServiceAccount")),
];

fn subjects(binding: &Value, kind: &str) -> Value {
    let subjects = list(&binding["subjects"])
        .iter()
        .filter(|subject| subject["kind"] == kind);
    let names = subjects.map(|subject| match subject["namespace"].as_str() {
        Some(namespace) if kind == "ServiceAccount" => format!("{namespace}/{}", plain(&subject["name"])),
        _ => plain(&subject["name"]),
    });
    joined(names, ", ", "")
}

pub(super) const WEBHOOKS: &[Column] = &[
    NAME,
    number("Webhooks", |object, _| list(&object["webhooks"]).len().into()),
    AGE,
];

pub(super) const ADMISSION_POLICIES: &[Column] = &[
    NAME,
    number("Validations", |policy, _| {
        list(&policy["spec"]["validations"]).len().into()
    }),
    text("ParamKind", |policy, _| match &policy["spec"]["paramKind"] {
        Value::Null => "<unset>".into(),
        kind => format!("{}/{}", plain(&kind["apiVersion"]), plain(&kind["kind"])).into(),
    }),
    AGE,
];

pub(super) const ADMISSION_BINDINGS: &[Column] = &[
    NAME,
    text("PolicyName", |binding, _| plain(&binding["spec"]["policyName"]).into()),
    text("ParamRef", |binding, _| match &binding["spec"]["paramRef"] {
        Value::Null => "<unset>".into(),
        reference => match (plain(&reference["namespace"]), or(&reference["name"], "*")) {
            (namespace, name) if namespace.is_empty() => name,
            (namespace, name) => format!("{namespace}/{}", plain(&name)).into(),
        },
    }),
    AGE,
];
