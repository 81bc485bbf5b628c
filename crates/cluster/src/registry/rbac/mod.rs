//! Role-based access control: who may do what.
//!
//! In: an identity and what it asks for. Out: whether a rule allows it, and which binding brought that rule. Rules come from the roles and
//! bindings of the store, kept parsed in a [`Policy`] that follows the store's events, so that a question costs the bindings of one
//! namespace and those of the cluster, whatever else is stored. [`escalation`] keeps people from granting what they do not hold.
//! Members of `system:masters` may do everything, and nothing here is asked of them.

mod aggregate;
mod defaults;
mod escalation;
mod policy;
mod rule;

pub use aggregate::{aggregated_rules, is_aggregated};
pub use defaults::{default_bindings, default_roles};
pub use policy::Policies;

use serde_json::{Value, json};

use crate::apimachinery::status::Status;
use crate::registry::Registry;
use crate::registry::identity::{Attributes, Identity};
use policy::Policy;
use rule::Rule;

/// The API group.
pub const GROUP: &str = "rbac.authorization.k8s.io";

impl Identity {
    /// Whether everything is allowed.
    pub fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == "system:masters")
    }
}

impl Registry {
    fn policy<R>(&self, ask: impl FnOnce(&Policy) -> R) -> R {
        self.policies.with(&self.store, ask)
    }

    /// Whether a user may do something.
    pub fn allows(&self, identity: &Identity, attributes: &Attributes<'_>) -> bool {
        identity.is_master() || self.reason(identity, attributes).is_some()
    }

    /// Which binding allows it, in Kubernetes' words; nothing for masters, whom no binding needs to allow anything.
    pub fn reason(&self, identity: &Identity, attributes: &Attributes<'_>) -> Option<String> {
        self.policy(|policy| policy.find(identity, attributes.namespace, |rule| rule.allows(attributes)))
    }

    /// Whether a user may ask for a path that names no resource.
    pub fn allows_path(&self, identity: &Identity, verb: &str, path: &str) -> bool {
        identity.is_master() || self.path_reason(identity, verb, path).is_some()
    }

    /// Which binding allows a path.
    pub fn path_reason(&self, identity: &Identity, verb: &str, path: &str) -> Option<String> {
        self.policy(|policy| policy.find(identity, "", |rule| rule.allows_path(verb, path)))
    }

    /// Refuses a path that names no resource to those who may not ask for it.
    pub fn authorize_path(&self, identity: &Identity, verb: &str, path: &str) -> Result<(), Status> {
        if self.allows_path(identity, verb, path) {
            return Ok(());
        }
        let why = format!("User {:?} cannot {verb} path {path:?}", identity.user);
        Err(Status::forbidden("", "", why))
    }

    /// Rules that apply to a user in a namespace, as reviews show them; only cluster-wide ones if it is empty.
    pub fn rules_of(&self, identity: &Identity, namespace: &str) -> Vec<Value> {
        if identity.is_master() {
            return vec![
                json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
                json!({"verbs": ["*"], "nonResourceURLs": ["*"]}),
            ];
        }
        self.held(identity, namespace).iter().map(Rule::json).collect()
    }

    fn held(&self, identity: &Identity, namespace: &str) -> Vec<Rule> {
        let mut rules = Vec::new();
        self.policy(|policy| {
            policy.find(identity, namespace, |rule| {
                rules.push(rule.clone());
                false
            })
        });
        rules
    }
}
