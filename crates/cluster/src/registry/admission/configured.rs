//! The configurations of the store, read and compiled once per change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures::future::BoxFuture;
use serde_json::Value;

use super::policy::{Binding, Policy, programs};
use super::rules::Cover;
use crate::apimachinery::cel::Program;
use crate::registry::Registry;
use crate::store::{Key, Object, ResourceKey, Store};

pub(super) const MUTATING: &str = "mutatingwebhookconfigurations.admissionregistration.k8s.io";
pub(super) const VALIDATING: &str = "validatingwebhookconfigurations.admissionregistration.k8s.io";
pub(super) const POLICIES: &str = "validatingadmissionpolicies.admissionregistration.k8s.io";
pub(super) const BINDINGS: &str = "validatingadmissionpolicybindings.admissionregistration.k8s.io";

/// Calls webhooks; who has the registry says how.
pub trait WebhookCaller: Send + Sync {
    /// Posts a review to a webhook, by its client configuration, and gives its answer; why not, in Kubernetes' words.
    fn call<'a>(
        &'a self,
        registry: &'a Registry,
        target: &'a Value,
        review: &'a Value,
        seconds: u64,
    ) -> BoxFuture<'a, Result<Value, String>>;
}

/// One webhook of a configuration.
pub(super) struct Webhook {
    pub name: String,
    pub cover: Cover,
    pub conditions: Vec<(String, Program)>,
    pub ignore_failure: bool,
    pub again: bool,
    pub seconds: u64,
    pub dry_run: bool,
    pub target: Value,
}

/// A compiled object of a configuration resource.
#[derive(Clone)]
enum Compiled {
    Webhooks(Arc<Vec<Arc<Webhook>>>),
    Policy(Arc<Policy>),
    Binding(Arc<Binding>),
}

/// Compiled configurations by their object, with the revision they were compiled from.
#[derive(Default)]
pub struct Configured {
    compiled: Mutex<HashMap<Key, (u64, Compiled)>>,
    caller: OnceLock<Arc<dyn WebhookCaller>>,
}

impl Configured {
    /// Says how webhooks are called. The first stays.
    pub fn set_caller(&self, caller: Arc<dyn WebhookCaller>) {
        let _ = self.caller.set(caller);
    }

    pub(super) fn caller(&self) -> Option<&dyn WebhookCaller> {
        self.caller.get().map(|caller| &**caller)
    }

    /// Whether there is any configuration.
    pub(in crate::registry) fn any(&self, store: &Store) -> bool {
        [MUTATING, VALIDATING, BINDINGS].iter().any(|key| {
            !store
                .list(&ResourceKey::from(*key), None, None, 1, |_| true)
                .items
                .is_empty()
        })
    }

    fn all(&self, store: &Store, resource: &str, compile: impl Fn(&Object) -> Compiled) -> Vec<Compiled> {
        let mut known = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let page = store.list(&resource.into(), None, None, usize::MAX, |_| true);
        if page.items.is_empty() {
            known.retain(|key, _| &*key.resource != resource);
        }
        page.items
            .iter()
            .map(|object| {
                let entry = known
                    .get(&object.key)
                    .filter(|(revision, _)| *revision == object.revision);
                if let Some((_, compiled)) = entry {
                    return compiled.clone();
                }
                let compiled = compile(object);
                known.insert(object.key.clone(), (object.revision, compiled.clone()));
                compiled
            })
            .collect()
    }

    /// Webhooks in the order they are called: by configuration's name, then as listed.
    pub(super) fn webhooks(&self, store: &Store, resource: &str) -> Vec<Arc<Webhook>> {
        let all = self.all(store, resource, |object| {
            let value = object.value();
            let list = value["webhooks"].as_array().into_iter().flatten();
            Compiled::Webhooks(Arc::new(list.map(|json| Arc::new(read_webhook(json))).collect()))
        });
        let lists = all.into_iter().filter_map(|compiled| match compiled {
            Compiled::Webhooks(list) => Some(list),
            _ => None,
        });
        lists
            .flat_map(|list| list.iter().cloned().collect::<Vec<_>>())
            .collect()
    }

    pub(super) fn policies(&self, store: &Store) -> Vec<Arc<Policy>> {
        let all = self.all(store, POLICIES, |object| {
            Compiled::Policy(Arc::new(Policy::read(&object.value())))
        });
        all.into_iter()
            .filter_map(|compiled| match compiled {
                Compiled::Policy(policy) => Some(policy),
                _ => None,
            })
            .collect()
    }

    pub(super) fn bindings(&self, store: &Store) -> Vec<Arc<Binding>> {
        let all = self.all(store, BINDINGS, |object| {
            Compiled::Binding(Arc::new(Binding::read(&object.value())))
        });
        all.into_iter()
            .filter_map(|compiled| match compiled {
                Compiled::Binding(binding) => Some(binding),
                _ => None,
            })
            .collect()
    }
}

fn read_webhook(json: &Value) -> Webhook {
    Webhook {
        name: json["name"].as_str().unwrap_or_default().to_owned(),
        cover: Cover::read(json, "rules"),
        conditions: programs(&json["matchConditions"]),
        ignore_failure: json["failurePolicy"] == "Ignore",
        again: json["reinvocationPolicy"] == "IfNeeded",
        seconds: json["timeoutSeconds"].as_u64().unwrap_or(10),
        dry_run: matches!(json["sideEffects"].as_str(), Some("None" | "NoneOnDryRun")),
        target: json["clientConfig"].clone(),
    }
}
