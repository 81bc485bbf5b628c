//! What the watches have told of servers: the objects, their server pods, and the phase of each executor.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::core::DynamicObject;
use stoke_model::names;

use super::facts::{Facts, Server, ServerPod};
use super::usage::Usage;
use crate::controller::Key;

/// Shared by watches and workers.
#[derive(Clone, Default)]
pub(super) struct Cache(Arc<Mutex<HashMap<Key, Entry>>>);

#[derive(Default)]
struct Entry {
    object: Option<DynamicObject>,
    server: Option<ServerPod>,
    executors: HashMap<String, String>,
    /// The last look at the server's use.
    counted: Option<(Timestamp, Usage)>,
}

impl Cache {
    /// The object as last told, and the facts about its pods.
    pub(super) fn facts(&self, key: &Key) -> Option<(DynamicObject, Facts)> {
        let entries = self.lock();
        let entry = entries.get(key)?;
        let mut executors = BTreeMap::new();
        for phase in entry.executors.values() {
            *executors.entry(phase.clone()).or_insert(0) += 1;
        }
        let facts = Facts {
            server: entry.server.clone().map_or(Server::NotCached, Server::Present),
            executors,
            counted_at: entry.counted.as_ref().map(|(at, _)| *at),
            ..Facts::default()
        };
        Some((entry.object.clone()?, facts))
    }

    /// How much the server was used when it was looked at.
    pub(super) fn counted(&self, key: &Key, at: Timestamp, usage: &Usage) {
        if let Some(entry) = self.lock().get_mut(key) {
            entry.counted = Some((at, usage.clone()));
        }
    }

    /// What the last look said.
    pub(super) fn last_counted(&self, key: &Key) -> Option<Usage> {
        let entries = self.lock();
        let (_, usage) = entries.get(key)?.counted.as_ref()?;
        Some(usage.clone())
    }

    pub(super) fn object_seen(&self, object: &DynamicObject) -> Option<Key> {
        let key = object_key(object)?;
        self.lock().entry(key.clone()).or_default().object = Some(object.clone());
        Some(key)
    }

    /// The newer of what is known and what the API server just answered.
    pub(super) fn object_answered(&self, object: &DynamicObject) {
        let version = |object: &DynamicObject| object.resource_version().and_then(|text| text.parse::<u64>().ok());
        let Some(key) = object_key(object) else { return };
        if let Some(entry) = self.lock().get_mut(&key)
            && entry.object.as_ref().and_then(version) < version(object)
        {
            entry.object = Some(object.clone());
        }
    }

    pub(super) fn object_gone(&self, object: &DynamicObject) {
        if let Some(key) = object_key(object) {
            self.lock().entry(key.clone()).or_default().object = None;
            self.drop_empty(&key);
        }
    }

    pub(super) fn pod_seen(&self, pod: &Pod) -> Option<Key> {
        let key = pod_key(pod)?;
        let mut entries = self.lock();
        let entry = entries.entry(key.clone()).or_default();
        match pod.labels().get(names::LABEL_SPARK_ROLE).map(String::as_str) {
            Some(names::ROLE_CONNECT_SERVER) => entry.server = Some(ServerPod::read(pod)),
            Some(names::ROLE_EXECUTOR) => {
                let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
                let phase = phase.unwrap_or("Unknown").to_ascii_lowercase();
                entry.executors.insert(pod.name_any(), phase);
            }
            _ => return None,
        }
        Some(key)
    }

    pub(super) fn pod_gone(&self, pod: &Pod) -> Option<Key> {
        let key = pod_key(pod)?;
        if let Some(entry) = self.lock().get_mut(&key) {
            let uid = pod.uid().unwrap_or_default();
            if entry.server.as_ref().is_some_and(|server| server.uid == uid) {
                entry.server = None;
            }
            entry.executors.remove(&pod.name_any());
        }
        self.drop_empty(&key);
        Some(key)
    }

    /// After a whole list of objects: the others of the scope are gone.
    pub(super) fn objects_listed(&self, scope: &str, listed: &HashSet<Key>) {
        let mut entries = self.lock();
        for (key, entry) in entries.iter_mut() {
            if in_scope(scope, key) && !listed.contains(key) {
                entry.object = None;
            }
        }
    }

    /// After a whole list of pods, by name: the others of the scope are gone. Gives the keys they belonged to.
    pub(super) fn pods_listed(&self, scope: &str, listed: &HashSet<(Key, String)>) -> Vec<Key> {
        let mut touched = Vec::new();
        for (key, entry) in self.lock().iter_mut().filter(|(key, _)| in_scope(scope, key)) {
            let before = (entry.server.is_some(), entry.executors.len());
            entry
                .executors
                .retain(|name, _| listed.contains(&(key.clone(), name.clone())));
            if !listed.contains(&(key.clone(), names::connect_server(&key.name))) {
                entry.server = None;
            }
            if before != (entry.server.is_some(), entry.executors.len()) {
                touched.push(key.clone());
            }
        }
        touched
    }

    fn drop_empty(&self, key: &Key) {
        let mut entries = self.lock();
        let is_empty = |entry: &Entry| entry.object.is_none() && entry.server.is_none() && entry.executors.is_empty();
        if entries.get(key).is_some_and(is_empty) {
            entries.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_scope(scope: &str, key: &Key) -> bool {
    scope.is_empty() || scope == key.namespace
}

/// Namespace and name of an object.
pub(super) fn object_key(object: &DynamicObject) -> Option<Key> {
    Some(Key {
        namespace: object.metadata.namespace.clone()?,
        name: object.metadata.name.clone()?,
    })
}

/// The object a pod belongs to.
pub(super) fn pod_key(pod: &Pod) -> Option<Key> {
    Some(Key {
        namespace: pod.metadata.namespace.clone()?,
        name: pod.labels().get(names::LABEL_CONNECT_NAME)?.clone(),
    })
}
