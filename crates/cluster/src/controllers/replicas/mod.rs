//! ReplicaSets and ReplicationControllers: as many pods as asked for.
//!
//! In: the set and its pods. Out: pods made from its template or deleted, and its status. [`decide`] says what, this file does it.
//! It never changes a pod that runs, and never counts one that ended.

pub(super) mod decide;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;

use super::client::{AT_ONCE, Client};
use super::facts::{Condition, Meta, PodFacts, pod_from_template};
use super::ownership::{claimed, owners_concerned};
use super::work::{Controller, Settled};
use crate::apimachinery::selectors::LabelSelector;
use crate::apimachinery::status::Status;
use crate::registry::Registry;
use crate::store::{Event, Interest, Key, ResourceKey, Store};
use decide::{MOST_AT_ONCE, change, deletions, status};

/// One of the two kinds.
pub(super) struct Replicas {
    client: Client,
    resource: ResourceKey,
    kind: &'static str,
}

impl Replicas {
    /// The controller of ReplicaSets.
    pub fn sets(registry: &Arc<Registry>) -> Replicas {
        Replicas {
            client: Client::new(registry, "replicaset-controller"),
            resource: "replicasets.apps".into(),
            kind: "ReplicaSet",
        }
    }

    /// The controller of ReplicationControllers.
    pub fn controllers(registry: &Arc<Registry>) -> Replicas {
        Replicas {
            client: Client::new(registry, "replication-controller"),
            resource: "replicationcontrollers".into(),
            kind: "ReplicationController",
        }
    }

    async fn remove(&self, set: &Value, pods: Vec<Meta>) -> Result<(), Status> {
        let removed = futures::stream::iter(pods).map(|meta: Meta| async move {
            let done = self
                .client
                .delete("pods", &meta.namespace, &meta.name, &meta.uid, "Background")
                .await;
            match &done {
                Ok(()) => {
                    let message = format!("Deleted pod: {}", meta.name);
                    self.client.event(set, false, "SuccessfulDelete", message);
                }
                Err(refusal) => {
                    let message = format!("Error deleting: {refusal}");
                    self.client.event(set, true, "FailedDelete", message);
                }
            }
            done
        });
        let results: Vec<Result<(), Status>> = removed.buffer_unordered(AT_ONCE).collect().await;
        results.into_iter().collect()
    }

    /// Brings the number of pods in order; the condition tells a failure.
    async fn manage(&self, set: &Value, pods: &[PodFacts]) -> Option<Condition> {
        let wanted = set["spec"]["replicas"].as_i64().unwrap_or(1);
        let difference = change(wanted, pods.len());
        let (done, reason) = if difference > 0 {
            let count = usize::try_from(difference).unwrap_or(0).min(MOST_AT_ONCE);
            {
                let namespace = set["metadata"]["namespace"].as_str().unwrap_or_default();
                let prefix = format!("{}-", set["metadata"]["name"].as_str().unwrap_or_default());
                let pods = (0..count).map(|_| pod_from_template(&set["spec"]["template"], set, &prefix));
                let made = self.client.create_pods(set, namespace, pods.collect()).await;
                (made, "FailedCreate")
            }
        } else if difference < 0 {
            let count = usize::try_from(-difference).unwrap_or(0).min(MOST_AT_ONCE);
            let chosen = deletions(pods, count, crate::clock::now());
            let chosen = chosen.into_iter().map(|pod| pod.metadata.clone()).collect();
            (self.remove(set, chosen).await, "FailedDelete")
        } else {
            return None;
        };
        let refusal = done.err()?;
        Some(Condition::new(
            "ReplicaFailure",
            "True",
            reason,
            refusal.message,
            crate::clock::now(),
        ))
    }

    async fn settle(&self, key: Key) -> Settled {
        let Some(object) = self.client.registry.store.get(&key) else {
            return Ok(None);
        };
        let mut set = object.value();
        let selector = if self.kind == "ReplicaSet" {
            LabelSelector::from_selector(&set["spec"]["selector"])
        } else {
            LabelSelector::from_map(&set["spec"]["selector"])
        };
        let active = |pod: &PodFacts| pod.active();
        let claimed = claimed::<PodFacts>(&self.client, &set, &selector, "pods", active).await?;
        let pods: Vec<PodFacts> = claimed.into_iter().map(|(_, pod)| pod).collect();
        let failure = if object.fields.deleting {
            None
        } else {
            self.manage(&set, &pods).await
        };
        let now = crate::clock::now();
        let (wanted, later) = status(&set, &pods, failure.clone(), now);
        if wanted != set["status"] {
            set["status"] = wanted;
            match self.client.update_status(&self.resource, &set).await {
                // Someone changed it: the news of that brings us back.
                Err(refusal) if matches!(refusal.code, 404 | 409) => {}
                other => drop(other?),
            }
        }
        match failure {
            Some(failure) => Err(failure.message),
            None => Ok(later.and_then(|time| Duration::try_from(time).ok())),
        }
    }
}

impl Controller for Replicas {
    const NAME: &'static str = "replicas";

    fn resource(&self) -> ResourceKey {
        self.resource.clone()
    }

    fn sources(&self) -> Interest {
        Interest::of(&["pods"])
    }

    fn concerns(&self, store: &Store, event: &Event) -> Vec<Key> {
        if &*event.object.key.resource != "pods" {
            return Vec::new();
        }
        owners_concerned(store, event, self.kind, &self.resource)
    }

    async fn settle(self: Arc<Self>, key: Key) -> Settled {
        Replicas::settle(&self, key).await
    }
}
