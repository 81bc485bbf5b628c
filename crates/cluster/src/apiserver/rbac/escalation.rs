//! No one grants what they do not hold, unless a rule lets them: the verbs `escalate` on roles and `bind` on what a binding refers to.

use serde_json::{Value, json};

use super::GROUP;
use super::rule::{Rule, missing, quoted};
use crate::apiserver::auth::Attributes;
use crate::apiserver::server::{Call, Server};
use crate::apiserver::status::ApiError;

impl Server {
    /// Refuses a role or binding by which a user would grant more than they hold. `old` is what is stored now.
    pub fn check_escalation(&self, call: &Call, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
        let resource = call.resource();
        if resource.group != GROUP || call.identity.is_master() || old.is_some_and(|old| same_but_for_owners(old, new))
        {
            return Ok(());
        }
        let name = new["metadata"]["name"].as_str().unwrap_or_default();
        match resource.plural.as_str() {
            "roles" | "clusterroles" => self.check_role(call, name, old, new),
            "rolebindings" | "clusterrolebindings" => self.check_binding(call, name, new),
            _ => Ok(()),
        }
    }

    fn check_role(&self, call: &Call, name: &str, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
        if self.may(call, "escalate", &call.resource().plural, name) {
            return Ok(());
        }
        self.must_hold(call, name, &Rule::all(&new["rules"]))?;
        let gathers = |role: &Value| role["aggregationRule"].is_object();
        let changed = old.is_none_or(|old| old["aggregationRule"] != new["aggregationRule"]);
        if changed && (gathers(new) || old.is_some_and(gathers)) {
            // What it will gather is not known: one must hold everything.
            let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}]);
            return self.must_hold(call, name, &Rule::all(&all)).map_err(|error| {
                let why = error.message.split_once("is forbidden: ").map_or("", |(_, why)| why);
                ApiError::forbidden(
                    &call.qualified(),
                    name,
                    format!("must have cluster-admin privileges to use an aggregationRule: {why}"),
                )
            });
        }
        Ok(())
    }

    fn check_binding(&self, call: &Call, name: &str, new: &Value) -> Result<(), ApiError> {
        let kind = new["roleRef"]["kind"].as_str().unwrap_or_default();
        let role = new["roleRef"]["name"].as_str().unwrap_or_default();
        let plural = if kind == "ClusterRole" { "clusterroles" } else { "roles" };
        if self.may(call, "bind", plural, role) {
            return Ok(());
        }
        let wanted = self.policy(|policy| policy.rules(kind, call.namespace(), role).map(<[Rule]>::to_vec));
        let wanted = wanted.ok_or_else(|| ApiError::not_found(&format!("{plural}.{GROUP}"), role))?;
        self.must_hold(call, name, &wanted)
    }

    fn may(&self, call: &Call, verb: &str, resource: &str, name: &str) -> bool {
        let asked = Attributes {
            verb,
            group: GROUP,
            resource,
            subresource: "",
            namespace: call.namespace(),
            name,
        };
        self.allows(&call.identity, &asked)
    }

    fn must_hold(&self, call: &Call, name: &str, wanted: &[Rule]) -> Result<(), ApiError> {
        let missing = missing(&self.held(&call.identity, call.namespace()), wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let why = format!(
            "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            call.identity.user,
            quoted(&call.identity.groups),
            missing.join("\n")
        );
        Err(ApiError::forbidden(&call.qualified(), name, why))
    }
}

/// Whether two objects differ in nothing but what their garbage collection needs.
fn same_but_for_owners(old: &Value, new: &Value) -> bool {
    let rest = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in [
                "ownerReferences",
                "finalizers",
                "managedFields",
                "resourceVersion",
                "generation",
            ] {
                metadata.shift_remove(field);
            }
        }
        object
    };
    rest(old) == rest(new)
}
