//! No one grants what they do not hold, unless a rule lets them: the verbs `escalate` on roles and `bind` on what a binding refers to.

use serde_json::{Value, json};

use super::GROUP;
use super::rule::{Rule, missing, quoted};
use crate::apimachinery::status::Status;
use crate::registry::identity::Attributes;
use crate::registry::{Registry, Request};

impl Registry {
    /// Refuses a role or binding by which a user would grant more than they hold. `old` is what is stored now.
    pub fn check_escalation(&self, request: &Request, old: Option<&Value>, new: &Value) -> Result<(), Status> {
        let resource = request.resource();
        if resource.group != GROUP
            || request.identity.is_master()
            || old.is_some_and(|old| same_but_for_owners(old, new))
        {
            return Ok(());
        }
        let name = new["metadata"]["name"].as_str().unwrap_or_default();
        match resource.plural.as_str() {
            "roles" | "clusterroles" => self.check_role(request, name, old, new),
            "rolebindings" | "clusterrolebindings" => self.check_binding(request, name, new),
            _ => Ok(()),
        }
    }

    fn check_role(&self, request: &Request, name: &str, old: Option<&Value>, new: &Value) -> Result<(), Status> {
        if self.may(request, "escalate", &request.resource().plural, name) {
            return Ok(());
        }
        self.must_hold(request, name, &Rule::all(&new["rules"]))?;
        let gathers = |role: &Value| role["aggregationRule"].is_object();
        let changed = old.is_none_or(|old| old["aggregationRule"] != new["aggregationRule"]);
        if changed && (gathers(new) || old.is_some_and(gathers)) {
            // What it will gather is not known: one must hold everything.
            let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}]);
            return self.must_hold(request, name, &Rule::all(&all)).map_err(|error| {
                let why = error.message.split_once("is forbidden: ").map_or("", |(_, why)| why);
                Status::forbidden(
                    &request.qualified(),
                    name,
                    format!("must have cluster-admin privileges to use an aggregationRule: {why}"),
                )
            });
        }
        Ok(())
    }

    fn check_binding(&self, request: &Request, name: &str, new: &Value) -> Result<(), Status> {
        let kind = new["roleRef"]["kind"].as_str().unwrap_or_default();
        let role = new["roleRef"]["name"].as_str().unwrap_or_default();
        let plural = if kind == "ClusterRole" { "clusterroles" } else { "roles" };
        if self.may(request, "bind", plural, role) {
            return Ok(());
        }
        let wanted = self.policy(|policy| policy.rules(kind, request.namespace(), role).map(<[Rule]>::to_vec));
        let wanted = wanted.ok_or_else(|| Status::not_found(&format!("{plural}.{GROUP}"), role))?;
        self.must_hold(request, name, &wanted)
    }

    fn may(&self, request: &Request, verb: &str, resource: &str, name: &str) -> bool {
        let asked = Attributes {
            verb,
            group: GROUP,
            resource,
            subresource: "",
            namespace: request.namespace(),
            name,
        };
        self.allows(&request.identity, &asked)
    }

    fn must_hold(&self, request: &Request, name: &str, wanted: &[Rule]) -> Result<(), Status> {
        let missing = missing(&self.held(&request.identity, request.namespace()), wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let why = format!(
            "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            request.identity.user,
            quoted(&request.identity.groups),
            missing.join("\n")
        );
        Err(Status::forbidden(&request.qualified(), name, why))
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
