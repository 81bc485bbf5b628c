//! Roles and bindings, parsed, following the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::GROUP;
use super::rule::Rule;
use crate::registry::identity::Identity;
use crate::store::{EventKind, Interest, Object, ResourceKey, Store};

/// Events read at once.
const BATCH: usize = 1024;
const RESOURCES: [&str; 4] = ["roles", "clusterroles", "rolebindings", "clusterrolebindings"];

/// The policy of a store, brought up to date before every question.
#[derive(Default)]
pub struct Policies(RwLock<Current>);

struct Current {
    policy: Policy,
    /// Revision up to which the policy knows everything; 0 before the first look.
    seen: u64,
    interest: Interest,
}

impl Default for Current {
    fn default() -> Current {
        Current {
            policy: Policy::default(),
            seen: 0,
            interest: Interest::Of(RESOURCES.map(|plural| format!("{plural}.{GROUP}").into()).into()),
        }
    }
}

impl Policies {
    /// Asks the policy as it is now.
    pub(super) fn with<R>(&self, store: &Store, ask: impl FnOnce(&Policy) -> R) -> R {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if current.seen > 0 && current.seen >= store.latest(&current.interest) {
            return ask(&current.policy);
        }
        drop(current);
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        current.follow(store);
        ask(&current.policy)
    }
}

impl Current {
    /// Applies what happened since the last time, or reads everything where that is no longer known.
    fn follow(&mut self, store: &Store) {
        while self.seen > 0 {
            let Ok((events, complete)) = store.events_after(&self.interest, self.seen, BATCH) else {
                break;
            };
            for event in &events {
                self.policy.apply(&event.object, event.kind == EventKind::Deleted);
            }
            self.seen = self.seen.max(complete);
            if events.len() < BATCH {
                return;
            }
        }
        self.policy = Policy::default();
        // A change between two of these lists is applied again by the next question.
        self.seen = store.revision();
        for plural in RESOURCES {
            let key = ResourceKey::from(format!("{plural}.{GROUP}"));
            for object in store.list(&key, None, None, usize::MAX, |_| true).items {
                self.policy.apply(&object, false);
            }
        }
    }
}

/// Namespace (empty for the cluster's own) and name.
type Name = (Arc<str>, Arc<str>);

/// Rules by role, bindings by namespace.
#[derive(Default)]
pub(super) struct Policy {
    roles: HashMap<Name, Vec<Rule>>,
    bindings: HashMap<Arc<str>, BTreeMap<Arc<str>, Binding>>,
}

struct Binding {
    role_kind: String,
    role: Name,
    subjects: Vec<Subject>,
}

struct Subject {
    kind: String,
    /// As an identity has it: for an account its user name.
    name: String,
    /// As people read it.
    shown: String,
}

impl Policy {
    fn apply(&mut self, object: &Object, deleted: bool) {
        let Some(plural) = object
            .key
            .resource
            .strip_suffix(GROUP)
            .and_then(|rest| rest.strip_suffix('.'))
        else {
            return;
        };
        let (namespace, name) = (object.key.namespace.clone(), object.key.name.clone());
        match (plural, deleted) {
            ("roles" | "clusterroles", true) => drop(self.roles.remove(&(namespace, name))),
            ("roles" | "clusterroles", false) => {
                self.roles
                    .insert((namespace, name), Rule::all(&object.value()["rules"]));
            }
            ("rolebindings" | "clusterrolebindings", true) => {
                if let Some(bindings) = self.bindings.get_mut(&namespace) {
                    bindings.remove(&name);
                    if bindings.is_empty() {
                        self.bindings.remove(&namespace);
                    }
                }
            }
            ("rolebindings" | "clusterrolebindings", false) => {
                let binding = Binding::parse(&object.value(), &namespace);
                self.bindings.entry(namespace).or_default().insert(name, binding);
            }
            _ => {}
        }
    }

    /// Rules of a role that a binding in a namespace refers to.
    pub(super) fn rules(&self, kind: &str, namespace: &str, name: &str) -> Option<&[Rule]> {
        let namespace = if kind == "ClusterRole" { "" } else { namespace };
        self.roles.get(&(namespace.into(), name.into())).map(Vec::as_slice)
    }

    /// The binding that brings the first rule a test accepts: those of the cluster, then those of the namespace.
    pub(super) fn find(
        &self,
        identity: &Identity,
        namespace: &str,
        mut accepts: impl FnMut(&Rule) -> bool,
    ) -> Option<String> {
        let own = if namespace.is_empty() {
            None
        } else {
            self.bindings.get(namespace)
        };
        for (space, bindings) in [("", self.bindings.get("")), (namespace, own)] {
            for (name, binding) in bindings.into_iter().flatten() {
                let Some(subject) = binding.subjects.iter().find(|subject| subject.is(identity)) else {
                    continue;
                };
                let rules = self.roles.get(&binding.role).map(Vec::as_slice).unwrap_or_default();
                if rules.iter().any(&mut accepts) {
                    return Some(binding.describe(space, name, subject));
                }
            }
        }
        None
    }
}

impl Binding {
    fn parse(binding: &Value, namespace: &Arc<str>) -> Binding {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let role_kind = text(&binding["roleRef"]["kind"]);
        let place = if role_kind == "ClusterRole" {
            Arc::from("")
        } else {
            namespace.clone()
        };
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        Binding {
            role: (place, text(&binding["roleRef"]["name"]).into()),
            role_kind,
            subjects: subjects
                .map(|subject| {
                    let (kind, name) = (text(&subject["kind"]), text(&subject["name"]));
                    let space = subject["namespace"].as_str().unwrap_or(namespace);
                    if kind == "ServiceAccount" {
                        let shown = format!("{name}/{space}");
                        let name = format!("system:serviceaccount:{space}:{name}");
                        Subject { kind, name, shown }
                    } else {
                        let shown = name.clone();
                        Subject { kind, name, shown }
                    }
                })
                .collect(),
        }
    }

    fn describe(&self, namespace: &str, name: &str, subject: &Subject) -> String {
        let own = if namespace.is_empty() {
            format!("ClusterRoleBinding {name:?}")
        } else {
            format!("RoleBinding {:?}", format!("{name}/{namespace}"))
        };
        format!(
            "RBAC: allowed by {own} of {} {:?} to {} {:?}",
            self.role_kind, self.role.1, subject.kind, subject.shown
        )
    }
}

impl Subject {
    fn is(&self, identity: &Identity) -> bool {
        match self.kind.as_str() {
            "Group" => identity.groups.contains(&self.name),
            _ => identity.user == self.name,
        }
    }
}
