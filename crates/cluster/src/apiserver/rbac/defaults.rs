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
    let bind = |name: &str, groups: &[&str]| {
        let subjects: Vec<Value> = groups
            .iter()
            .map(|group| json!({"apiGroup": GROUP, "kind": "Group", "name": group}))
            .collect();
        json!({"metadata": {"name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}, "subjects": subjects})
    };
    vec![
        bind("cluster-admin", &["system:masters"]),
        bind("system:basic-user", &["system:authenticated"]),
        bind("system:discovery", &["system:authenticated"]),
        bind(
            "system:public-info-viewer",
            &["system:authenticated", "system:unauthenticated"],
        ),
    ]
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
