//! Role-based access control: the roles and bindings of the store, evaluated.

use serde_json::{Value, json};

use super::auth::{Attributes, Identity};
use super::server::Server;
use crate::store::{Key, ResourceKey};

const GROUP: &str = "rbac.authorization.k8s.io";

impl Server {
    /// Whether a user may do something. Members of `system:masters` may do everything.
    pub fn allows(&self, identity: &Identity, attributes: &Attributes<'_>) -> bool {
        if identity.groups.iter().any(|group| group == "system:masters") {
            return true;
        }
        // Anyone who is known may ask what they may do.
        if attributes.group == "authorization.k8s.io"
            && attributes.resource.starts_with("selfsubject")
            && attributes.verb == "create"
        {
            return true;
        }
        self.rules_of(identity, attributes.namespace)
            .iter()
            .any(|rule| rule_allows(rule, attributes))
    }

    /// Rules that apply to a user in a namespace; only cluster-wide ones if it is empty.
    pub fn rules_of(&self, identity: &Identity, namespace: &str) -> Vec<Value> {
        if identity.groups.iter().any(|group| group == "system:masters") {
            return vec![
                json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
                json!({"verbs": ["*"], "nonResourceURLs": ["*"]}),
            ];
        }
        let mut rules = Vec::new();
        let key = |plural: &str| ResourceKey::from(format!("{plural}.{GROUP}"));
        let mut collect = |binding: &Value, space: &str| {
            let bound = binding["subjects"].as_array().into_iter().flatten();
            if !bound.into_iter().any(|subject| subject_is(subject, identity, space)) {
                return;
            }
            let name = binding["roleRef"]["name"].as_str().unwrap_or_default();
            let role = match binding["roleRef"]["kind"].as_str() {
                Some("ClusterRole") => self.store.get(&Key::new(&key("clusterroles"), "", name)),
                _ => self.store.get(&Key::new(&key("roles"), space, name)),
            };
            if let Some(role) = role {
                rules.extend(self.role_rules(&role.value()));
            }
        };
        for binding in self
            .store
            .list(&key("clusterrolebindings"), None, None, usize::MAX, |_| true)
            .items
        {
            collect(&binding.value(), "");
        }
        if !namespace.is_empty() {
            for binding in self
                .store
                .list(&key("rolebindings"), Some(namespace), None, usize::MAX, |_| true)
                .items
            {
                collect(&binding.value(), namespace);
            }
        }
        rules
    }

    /// Rules of a role; those of an aggregated cluster role are the rules of the roles it selects.
    fn role_rules(&self, role: &Value) -> Vec<Value> {
        let mut rules = role["rules"].as_array().cloned().unwrap_or_default();
        let selectors = role["aggregationRule"]["clusterRoleSelectors"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for selector in selectors {
            let selector = super::selectors::LabelSelector::from_map(&selector["matchLabels"]);
            let key = ResourceKey::from(format!("clusterroles.{GROUP}"));
            for other in self
                .store
                .list(&key, None, None, usize::MAX, |other| selector.matches(&other.fields))
                .items
            {
                rules.extend(other.value()["rules"].as_array().cloned().unwrap_or_default());
            }
        }
        rules
    }
}

fn subject_is(subject: &Value, identity: &Identity, namespace: &str) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str() {
        Some("User") => identity.user == name,
        Some("Group") => identity.groups.iter().any(|group| group == name),
        Some("ServiceAccount") => {
            let space = subject["namespace"].as_str().unwrap_or(namespace);
            identity.user == format!("system:serviceaccount:{space}:{name}")
        }
        _ => false,
    }
}

fn rule_allows(rule: &Value, asked: &Attributes<'_>) -> bool {
    let has = |field: &str, wanted: &str| {
        let list = rule[field].as_array().into_iter().flatten();
        list.into_iter().any(|item| item == "*" || item == wanted)
    };
    let resource = match asked.subresource {
        "" => has("resources", asked.resource),
        subresource => {
            has("resources", &format!("{}/{subresource}", asked.resource))
                || has("resources", &format!("*/{subresource}"))
        }
    };
    let names = rule["resourceNames"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = names.is_empty() || (!asked.name.is_empty() && names.iter().any(|name| name == asked.name));
    has("verbs", asked.verb) && has("apiGroups", asked.group) && resource && named
}

/// The cluster roles every Kubernetes has: name and rules.
pub fn default_roles() -> Vec<(&'static str, Value)> {
    let read = json!(["get", "list", "watch"]);
    let write = json!(["create", "delete", "deletecollection", "patch", "update"]);
    let core = json!([
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "serviceaccounts",
        "services",
        "endpoints"
    ]);
    let shared = |verbs: &Value| {
        vec![
            json!({"apiGroups": [""], "resources": core, "verbs": verbs}),
            json!({"apiGroups": ["apps"], "resources": ["daemonsets", "deployments", "replicasets", "statefulsets", "deployments/scale", "statefulsets/scale", "replicasets/scale"], "verbs": verbs}),
            json!({"apiGroups": ["batch"], "resources": ["cronjobs", "jobs"], "verbs": verbs}),
            json!({"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "networkpolicies"], "verbs": verbs}),
            json!({"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": verbs}),
            json!({"apiGroups": ["sparkoperator.k8s.io"], "resources": ["*"], "verbs": verbs}),
        ]
    };
    let mut view = shared(&read);
    view.push(json!({"apiGroups": [""], "resources": ["events", "limitranges", "namespaces", "pods/log", "pods/status", "resourcequotas"], "verbs": read}));
    view.push(json!({"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read}));
    view.push(json!({"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": read}));
    let mut edit = view.clone();
    edit.extend(shared(&write));
    edit.push(json!({"apiGroups": [""], "resources": ["secrets", "pods/exec", "pods/portforward", "pods/attach", "pods/proxy", "services/proxy"], "verbs": ["get", "list", "watch", "create", "delete", "deletecollection", "patch", "update"]}));
    edit.push(json!({"apiGroups": [""], "resources": ["pods/eviction", "serviceaccounts/token"], "verbs": ["create"]}));
    edit.push(json!({"apiGroups": [""], "resources": ["events"], "verbs": write}));
    edit.push(json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list", "watch", "create", "delete", "deletecollection", "patch", "update"]}));
    let mut admin = edit.clone();
    admin.push(json!({"apiGroups": [GROUP], "resources": ["roles", "rolebindings"], "verbs": ["*"]}));
    admin.push(
        json!({"apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"]}),
    );
    let all =
        json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}]);
    vec![
        ("cluster-admin", all),
        ("admin", admin.into()),
        ("edit", edit.into()),
        ("view", view.into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_verbs_groups_resources_and_names() {
        let rule =
            json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "pods/log"], "resourceNames": ["a"]});
        let asked = Attributes {
            verb: "get",
            group: "",
            resource: "pods",
            subresource: "",
            namespace: "n",
            name: "a",
        };
        assert!(rule_allows(&rule, &asked));
        assert!(rule_allows(
            &rule,
            &Attributes {
                subresource: "log",
                ..asked
            }
        ));
        assert!(!rule_allows(
            &rule,
            &Attributes {
                subresource: "exec",
                ..asked
            }
        ));
        assert!(!rule_allows(&rule, &Attributes { verb: "list", ..asked }));
        assert!(!rule_allows(&rule, &Attributes { name: "b", ..asked }));
        assert!(!rule_allows(&rule, &Attributes { group: "apps", ..asked }));
    }
}
