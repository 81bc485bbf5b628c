//! Roles and what binds them.

use serde_json::Value;

use super::{Complaints, is_empty, items, text, words};
use crate::apimachinery::meta::{NameRule, check_name};
use crate::apimachinery::schema::Path;

const GROUP: &str = "rbac.authorization.k8s.io";

/// The rules of a Role (`namespaced`) or a ClusterRole.
pub fn check_role(role: &Value, namespaced: bool, said: &mut Complaints) {
    let list = Path::Start("rules");
    for (index, rule) in items(&role["rules"]) {
        let at = list.item(index);
        if is_empty(&rule["verbs"]) {
            said.required(&at.field("verbs"), "verbs must contain at least one value");
        }
        if !is_empty(&rule["nonResourceURLs"]) {
            let at = at.field("nonResourceURLs");
            if namespaced {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                said.invalid(&at, rule["nonResourceURLs"].clone(), detail);
            }
            let others = ["apiGroups", "resources", "resourceNames"];
            if others.iter().any(|field| !is_empty(&rule[*field])) {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                said.invalid(&at, rule["nonResourceURLs"].clone(), detail);
            }
            continue;
        }
        if is_empty(&rule["apiGroups"]) {
            let detail = "resource rules must supply at least one api group";
            said.required(&at.field("apiGroups"), detail);
        }
        if is_empty(&rule["resources"]) {
            let detail = "resource rules must supply at least one resource";
            said.required(&at.field("resources"), detail);
        }
    }
    let list = Path::Start("aggregationRule.clusterRoleSelectors");
    if role["aggregationRule"].is_object() && !namespaced && is_empty(&role["aggregationRule"]["clusterRoleSelectors"])
    {
        said.required(
            &list,
            "at least one clusterRoleSelector required if aggregationRule is non-nil",
        );
    }
    for (index, selector) in items(&role["aggregationRule"]["clusterRoleSelectors"]) {
        let before = said.0.len();
        super::scheduling::check_selector(selector, &list.item(index), said);
        if said.0.len() > before {
            said.invalid(&list.item(index), Value::Null, "invalid label selector.");
        }
    }
}

/// A RoleBinding (`namespaced`) or a ClusterRoleBinding.
pub fn check_binding(binding: &Value, namespaced: bool, said: &mut Complaints) {
    let role = &binding["roleRef"];
    let at = Path::Start("roleRef");
    if text(&role["apiGroup"]) != GROUP {
        said.unsupported(&at.field("apiGroup"), text(&role["apiGroup"]), &[GROUP]);
    }
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    if !kinds.contains(&text(&role["kind"])) {
        said.unsupported(&at.field("kind"), text(&role["kind"]), kinds);
    }
    match text(&role["name"]) {
        "" => said.required(&at.field("name"), ""),
        name => {
            let place = at.field("name").to_string();
            said.0.extend(check_name(NameRule::PathSegment, &place, name));
        }
    }
    let list = Path::Start("subjects");
    for (index, subject) in items(&binding["subjects"]) {
        let at = list.item(index);
        let (name, group) = (text(&subject["name"]), text(&subject["apiGroup"]));
        if name.is_empty() {
            said.required(&at.field("name"), "");
        }
        let expected = match text(&subject["kind"]) {
            "ServiceAccount" => {
                if !name.is_empty() {
                    said.text(&at.field("name"), name, words::subdomain(name));
                }
                // Of a RoleBinding it is the binding's own.
                if !namespaced && text(&subject["namespace"]).is_empty() {
                    said.required(&at.field("namespace"), "");
                }
                ""
            }
            "User" | "Group" => GROUP,
            other => {
                said.unsupported(&at.field("kind"), other, &["ServiceAccount", "User", "Group"]);
                continue;
            }
        };
        if group != expected {
            said.unsupported(&at.field("apiGroup"), group, &[expected]);
        }
    }
}
