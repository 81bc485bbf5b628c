//! The cluster roles and bindings every Kubernetes has.

use serde_json::{Value, json};

use super::{GROUP, aggregated_rules};

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const ALL: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

/// What users of a namespace work with.
fn shared(verbs: &[&str]) -> Vec<Value> {
    let core = [
        "configmaps",
        "endpoints",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "serviceaccounts",
        "services",
    ];
    let apps = [
        "daemonsets",
        "deployments",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
        "statefulsets",
        "statefulsets/scale",
    ];
    vec![
        rule("", &core, verbs),
        rule("apps", &apps, verbs),
        rule("autoscaling", &["horizontalpodautoscalers"], verbs),
        rule("batch", &["cronjobs", "jobs"], verbs),
        rule("networking.k8s.io", &["ingresses", "networkpolicies"], verbs),
        rule("policy", &["poddisruptionbudgets"], verbs),
        rule("sparkoperator.k8s.io", &["*"], verbs),
    ]
}

fn view() -> Vec<Value> {
    let core = [
        "bindings",
        "events",
        "limitranges",
        "namespaces",
        "namespaces/status",
        "persistentvolumeclaims/status",
        "pods/log",
        "pods/status",
        "replicationcontrollers/status",
        "resourcequotas",
        "resourcequotas/status",
        "services/status",
    ];
    let apps = [
        "controllerrevisions",
        "daemonsets/status",
        "deployments/status",
        "replicasets/status",
        "statefulsets/status",
    ];
    let mut rules = shared(READ);
    rules.extend([
        rule("", &core, READ),
        rule("apps", &apps, READ),
        rule("autoscaling", &["horizontalpodautoscalers/status"], READ),
        rule("batch", &["cronjobs/status", "jobs/status"], READ),
        rule("discovery.k8s.io", &["endpointslices"], READ),
        rule("events.k8s.io", &["events"], READ),
        rule("networking.k8s.io", &["ingresses/status"], READ),
        rule("policy", &["poddisruptionbudgets/status"], READ),
    ]);
    rules
}

fn edit() -> Vec<Value> {
    let reach = [
        "pods/attach",
        "pods/exec",
        "pods/portforward",
        "pods/proxy",
        "secrets",
        "services/proxy",
    ];
    let mut rules = shared(WRITE);
    rules.extend([
        rule("", &reach, ALL),
        rule("", &["pods/eviction", "serviceaccounts/token"], &["create"]),
        rule("", &["serviceaccounts"], &["impersonate"]),
        rule("", &["events"], WRITE),
        rule("apps", &["deployments/rollback"], WRITE),
        rule("coordination.k8s.io", &["leases"], ALL),
    ]);
    rules
}

fn admin() -> Vec<Value> {
    vec![
        rule(GROUP, &["rolebindings", "roles"], ALL),
        rule("authorization.k8s.io", &["localsubjectaccessreviews"], &["create"]),
    ]
}

/// The cluster's own components that ask over the API: name of the role, who has it, what it may.
fn components() -> impl Iterator<Item = (&'static str, Value, Vec<Value>)> {
    let user = |name: &str| json!({"apiGroup": GROUP, "kind": "User", "name": name});
    let nodes = json!({"apiGroup": GROUP, "kind": "Group", "name": "system:nodes"});
    let write = ["create", "patch", "update"];
    let change = ["patch", "update"];
    let events = || ["", "events.k8s.io"].map(|group| rule(group, &["events"], &write));
    let scheduler = [
        rule(
            "",
            &[
                "namespaces",
                "nodes",
                "persistentvolumeclaims",
                "persistentvolumes",
                "services",
            ],
            READ,
        ),
        rule("", &["replicationcontrollers"], READ),
        rule("", &["pods"], &["delete", "get", "list", "watch"]),
        rule("", &["bindings", "pods/binding"], &["create"]),
        rule("", &["pods/status"], &change),
        rule("apps", &["replicasets", "statefulsets"], READ),
        rule("policy", &["poddisruptionbudgets"], READ),
        rule("storage.k8s.io", &["storageclasses"], READ),
        rule(
            "coordination.k8s.io",
            &["leases"],
            &["create", "get", "list", "update", "watch"],
        ),
    ];
    let node = [
        rule("authentication.k8s.io", &["tokenreviews"], &["create"]),
        rule(
            "authorization.k8s.io",
            &["localsubjectaccessreviews", "subjectaccessreviews"],
            &["create"],
        ),
        rule("", &["services"], READ),
        rule("", &["nodes"], &["create", "get", "list", "patch", "update", "watch"]),
        rule("", &["nodes/status", "pods/status"], &change),
        rule("", &["pods"], &["create", "delete", "get", "list", "watch"]),
        rule("", &["pods/eviction", "serviceaccounts/token"], &["create"]),
        rule("", &["configmaps", "secrets", "serviceaccounts"], READ),
        rule("", &["persistentvolumeclaims", "persistentvolumes"], &["get"]),
        rule(
            "coordination.k8s.io",
            &["leases"],
            &["create", "delete", "get", "patch", "update"],
        ),
    ];
    let proxy = [
        rule("", &["endpoints", "services"], &["list", "watch"]),
        rule("", &["nodes"], READ),
        rule("discovery.k8s.io", &["endpointslices"], &["list", "watch"]),
    ];
    let aggregation =
        json!({"kind": "ServiceAccount", "name": "clusterrole-aggregation-controller", "namespace": "kube-system"});
    let roles = ["escalate", "get", "list", "patch", "update", "watch"];
    [
        (
            "system:kube-scheduler",
            user("system:kube-scheduler"),
            events().into_iter().chain(scheduler).collect(),
        ),
        ("system:node", nodes.clone(), events().into_iter().chain(node).collect()),
        (
            "system:node-proxier",
            nodes,
            events().into_iter().chain(proxy).collect(),
        ),
        (
            "system:controller:clusterrole-aggregation-controller",
            aggregation,
            vec![rule(GROUP, &["clusterroles"], &roles)],
        ),
    ]
    .into_iter()
}

/// The cluster roles every Kubernetes has, complete: those that gather rules have them already.
pub fn default_roles() -> Vec<Value> {
    let role = |name: &str, gathered_by: &str, rules: Vec<Value>| {
        let mut role = json!({"metadata": {"name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}}, "rules": rules});
        if !gathered_by.is_empty() {
            role["metadata"]["labels"][format!("{GROUP}/aggregate-to-{gathered_by}")] = "true".into();
        }
        role
    };
    let gathers = |name: &str, gathered_by: &str| {
        let mut role = role(name, gathered_by, Vec::new());
        let labels = json!({format!("{GROUP}/aggregate-to-{name}"): "true"});
        role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": labels}]});
        role
    };
    let everything = vec![
        rule("*", &["*"], &["*"]),
        json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    ];
    let discovery = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let public = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    let mut roles = vec![
        role("cluster-admin", "", everything),
        role("system:aggregate-to-admin", "admin", admin()),
        role("system:aggregate-to-edit", "edit", edit()),
        role("system:aggregate-to-view", "view", view()),
        role(
            "system:auth-delegator",
            "",
            vec![
                rule("authentication.k8s.io", &["tokenreviews"], &["create"]),
                rule("authorization.k8s.io", &["subjectaccessreviews"], &["create"]),
            ],
        ),
        role(
            "system:basic-user",
            "",
            vec![
                rule("authorization.k8s.io", &reviews, &["create"]),
                rule("authentication.k8s.io", &["selfsubjectreviews"], &["create"]),
            ],
        ),
        role(
            "system:discovery",
            "",
            vec![json!({"nonResourceURLs": discovery, "verbs": ["get"]})],
        ),
        role(
            "system:public-info-viewer",
            "",
            vec![json!({"nonResourceURLs": public, "verbs": ["get"]})],
        ),
    ];
    roles.extend(components().map(|(name, _, rules)| role(name, "", rules)));
    // Each gathers what the one before it has, too.
    for (name, gathered_by) in [("view", "edit"), ("edit", "admin"), ("admin", "")] {
        let mut gatherer = gathers(name, gathered_by);
        gatherer["rules"] = aggregated_rules(&gatherer, &roles).into();
        roles.push(gatherer);
    }
    roles
}

/// The cluster role bindings every Kubernetes has.
pub fn default_bindings() -> Vec<Value> {
    let bind = |name: &str, subjects: Vec<Value>| {
        json!({"metadata": {"name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}, "subjects": subjects})
    };
    let groups = |names: &[&str]| {
        let group = |name: &&str| json!({"apiGroup": GROUP, "kind": "Group", "name": name});
        names.iter().map(group).collect()
    };
    let everyone = ["system:authenticated", "system:unauthenticated"];
    let mut bindings = vec![
        bind("cluster-admin", groups(&["system:masters"])),
        bind("system:basic-user", groups(&["system:authenticated"])),
        bind("system:discovery", groups(&["system:authenticated"])),
        bind("system:public-info-viewer", groups(&everyone)),
    ];
    bindings.extend(components().map(|(name, subject, _)| bind(name, vec![subject])));
    bindings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_default_role_holds_what_the_weaker_one_does() {
        let roles = default_roles();
        let rules = |name: &str| {
            let role = roles.iter().find(|role| role["metadata"]["name"] == name).unwrap();
            role["rules"].as_array().unwrap().clone()
        };
        let (view, edit, admin) = (rules("view"), rules("edit"), rules("admin"));
        assert!(view.iter().all(|rule| edit.contains(rule)) && edit.iter().all(|rule| admin.contains(rule)));
        let secrets = |rules: &[Value]| {
            rules
                .iter()
                .any(|rule| rule["resources"].as_array().unwrap().contains(&json!("secrets")))
        };
        assert!(!secrets(&view) && secrets(&edit));
    }
}
