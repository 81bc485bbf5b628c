//! ResourceQuotas say what is used of them.
//!
//! In: a quota, and every change in its namespace. Out: its status. What new objects add is booked when they are stored; what goes or
//! changes is counted again, under the lock that new objects are checked with.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::client::Client;
use super::work::{Controller, Settled};
use crate::apimachinery::allowance::quota::usage;
use crate::apimachinery::allowance::resources::{read, written};
use crate::registry::Registry;
use crate::registry::ledger::limits;
use crate::store::{Event, EventKind, Interest, Key, ResourceKey, Store};

const QUOTAS: &str = "resourcequotas";

/// The controller of ResourceQuotas.
pub(super) struct Quotas {
    client: Client,
    /// Quotas to count again.
    stale: Mutex<HashSet<Key>>,
}

impl Quotas {
    /// A controller of this server's quotas.
    pub fn new(registry: &Arc<Registry>) -> Quotas {
        Quotas {
            client: Client::new(registry, "resourcequota-controller"),
            stale: Mutex::default(),
        }
    }
}

impl Controller for Quotas {
    const NAME: &'static str = "quotas";

    fn resource(&self) -> ResourceKey {
        QUOTAS.into()
    }

    fn sources(&self) -> Interest {
        Interest::All
    }

    fn concerns(&self, store: &Store, event: &Event) -> Vec<Key> {
        let object = &event.object;
        if object.key.namespace.is_empty() || &*object.key.resource == "events" {
            return Vec::new();
        }
        let quotas = store
            .list(&QUOTAS.into(), Some(&object.key.namespace), None, usize::MAX, |_| true)
            .items;
        if quotas.is_empty() {
            return Vec::new();
        }
        let resources = self.client.registry.resources();
        let Some(resource) = resources.by_key(&object.key.resource) else {
            return Vec::new();
        };
        let before = event.previous.as_ref().map(|previous| previous.value());
        let changed = match (event.kind, &before) {
            (EventKind::Added, _) => false,
            (EventKind::Deleted, _) => true,
            (EventKind::Modified, Some(before)) => {
                let after = object.value();
                let same = usage(&resource, before) == usage(&resource, &after)
                    && before["spec"]["activeDeadlineSeconds"] == after["spec"]["activeDeadlineSeconds"];
                if same {
                    return Vec::new();
                }
                true
            }
            (EventKind::Modified, None) => true,
        };
        let concerned = quotas.iter().filter(|quota| {
            let hard: Value = quota.value()["spec"]["hard"].clone();
            limits(&read(&hard), &resource)
        });
        let keys: Vec<Key> = concerned.map(|quota| quota.key.clone()).collect();
        if changed {
            let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
            stale.extend(keys.iter().cloned());
        }
        keys
    }

    async fn settle(self: Arc<Self>, key: Key) -> Settled {
        let registry = &self.client.registry;
        let again = self.stale.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let Some(object) = registry.store.get(&key) else {
            return Ok(None);
        };
        let mut quota = object.value();
        let resources = registry.resources();
        let used = if again {
            registry
                .ledger
                .recount(&registry.store, &resources, &key.namespace, &quota)
                .await
        } else {
            registry
                .ledger
                .used(&registry.store, &resources, &key.namespace, &quota)
                .await
        };
        let hard = &quota["spec"]["hard"];
        let shown: Value = hard
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| (name.clone(), written(name, used.get(name).copied().unwrap_or(0)).into()))
            .collect::<serde_json::Map<String, Value>>()
            .into();
        let status = if hard.is_null() {
            json!({})
        } else {
            json!({"hard": hard, "used": shown})
        };
        if status == quota["status"] || (hard.is_null() && quota["status"].is_null()) {
            return Ok(None);
        }
        quota["status"] = status;
        match self.client.update_status(QUOTAS, &quota).await {
            Err(refusal) if matches!(refusal.code, 404 | 409) => Ok(None),
            other => Ok(other.map(|_| None)?),
        }
    }
}
