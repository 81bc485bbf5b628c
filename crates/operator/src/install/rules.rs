//! Rights: API groups, resources and verbs.

use serde_json::{Value, json};
use stoke_model::names;

/// What the operator may do in the namespaces of applications: API group, resources, verbs.
pub const RULES: [(&str, &[&str], &[&str]); 18] = [
    (
        names::GROUP,
        &["sparkapplications"],
        &["get", "list", "watch", "create", "delete"],
    ),
    (names::GROUP, &["sparkapplications/status"], &["patch"]),
    // For clusters that check who may block the deletion of an owner (OwnerReferencesPermissionEnforcement).
    (
        names::GROUP,
        &[
            "sparkapplications/finalizers",
            "scheduledsparkapplications/finalizers",
            "sparkconnects/finalizers",
        ],
        &["update"],
    ),
    (names::GROUP, &["scheduledsparkapplications"], &["get", "list", "watch"]),
    (names::GROUP, &["scheduledsparkapplications/status"], &["patch"]),
    (names::GROUP, &["sparkconnects"], &["get", "list", "watch"]),
    (names::GROUP, &["sparkconnects/status"], &["patch"]),
    ("", &["pods"], &["get", "list", "watch", "create", "delete"]),
    // Used only where logs are kept.
    ("", &["pods/log"], &["get"]),
    ("", &["configmaps"], &["get", "create", "patch"]),
    ("", &["services"], &["create", "patch", "delete"]),
    ("", &["secrets", "persistentvolumeclaims"], &["create", "patch"]),
    // Read only of a driver that does not start.
    ("", &["events"], &["list", "create"]),
    ("networking.k8s.io", &["ingresses"], &["create", "patch", "delete"]),
    (
        "gateway.networking.k8s.io",
        &["httproutes"],
        &["create", "patch", "delete"],
    ),
    ("policy", &["poddisruptionbudgets"], &["create", "patch", "delete"]),
    ("scheduling.volcano.sh", &["podgroups"], &["create", "patch"]),
    ("scheduling.x-k8s.io", &["podgroups"], &["create", "patch"]),
];

/// What the operator may do in its own namespace.
pub const OWN_RULES: [(&str, &[&str], &[&str]); 1] = [(
    "coordination.k8s.io",
    &["leases"],
    &["list", "create", "update", "delete"],
)];

/// What a selector of namespaces needs.
pub const NAMESPACE_RULES: [(&str, &[&str], &[&str]); 1] = [("", &["namespaces"], &["list", "watch"])];

/// What drivers may do in their namespace: Spark creates, watches and deletes executors and what they mount.
pub const DRIVER_RULES: [(&str, &[&str], &[&str]); 1] = [(
    "",
    &["pods", "configmaps", "services", "persistentvolumeclaims"],
    &[
        "get",
        "list",
        "watch",
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
    ],
)];

/// What the operator may do in the namespaces of applications, besides the rest.
pub const JOB_RULES: [(&str, &[&str], &[&str]); 1] = [("", &["limitranges", "resourcequotas"], &["list"])];

/// What it may do with its Secret. It is not there at first, and a name cannot be demanded of what is created.
pub const SECRET_RULES: [(&str, &[&str], &[&str]); 1] = [("", &["secrets"], &["get", "update"])];
/// See [`SECRET_RULES`].
pub const NEW_SECRET_RULES: [(&str, &[&str], &[&str]); 1] = [("", &["secrets"], &["create"])];

/// What it may do with its configurations, in the whole cluster.
pub const CONFIGURATION_RULES: [(&str, &[&str], &[&str]); 1] = [(
    "admissionregistration.k8s.io",
    &["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
    &["get", "patch"],
)];

/// What the operator may do in its own namespace, where ConfigMaps hold policies.
pub const POLICY_RULES: [(&str, &[&str], &[&str]); 2] = [
    ("", &["configmaps"], &["list", "watch"]),
    ("", &["events"], &["create"]),
];

/// What it may do in the namespaces of applications: policies see the Namespace. A Role in a namespace is enough to read that one.
pub const POLICY_JOB_RULES: [(&str, &[&str], &[&str]); 1] = [("", &["namespaces"], &["get"])];

/// What the Job that brings the definitions up to date may do with them.
pub const DEFINITION_RULES: [(&str, &[&str], &[&str]); 1] = [(
    "apiextensions.k8s.io",
    &["customresourcedefinitions"],
    &["get", "patch"],
)];
/// A name cannot be demanded of what is created.
pub const NEW_DEFINITION_RULES: [(&str, &[&str], &[&str]); 1] =
    [("apiextensions.k8s.io", &["customresourcedefinitions"], &["create"])];

/// Rules as RBAC writes them.
#[must_use]
pub fn rules_of(rules: &[(&str, &[&str], &[&str])]) -> Value {
    let rule = |(group, resources, verbs): &(&str, &[&str], &[&str])| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    rules.iter().map(rule).collect()
}

/// Rules for objects of these names only.
pub(super) fn named(rules: Value, names: &[String]) -> Value {
    let mut rules = rules;
    for rule in rules.as_array_mut().into_iter().flatten() {
        rule["resourceNames"] = json!(names);
    }
    rules
}

/// All rules by whom they are for, as the chart reads them.
#[must_use]
pub fn all_rules() -> Value {
    json!({
        "controller": rules_of(&RULES), "leases": rules_of(&OWN_RULES), "namespaces": rules_of(&NAMESPACE_RULES), "driver": rules_of(&DRIVER_RULES),
        "admission": rules_of(&JOB_RULES), "secret": rules_of(&SECRET_RULES), "newSecret": rules_of(&NEW_SECRET_RULES),
        "configurations": rules_of(&CONFIGURATION_RULES), "policies": rules_of(&POLICY_RULES), "judging": rules_of(&POLICY_JOB_RULES),
        "definitions": rules_of(&DEFINITION_RULES), "newDefinitions": rules_of(&NEW_DEFINITION_RULES),
    })
}
