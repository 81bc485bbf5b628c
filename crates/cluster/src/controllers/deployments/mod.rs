//! Deployments: the pods of a template, replaced step by step when it changes.
//!
//! In: a Deployment, its ReplicaSets and the pods they have left. Out: ReplicaSets made, scaled and deleted, and the status. [`decide`]
//! says what as a pure function; [`scale`] holds the arithmetic, [`revisions`] which ReplicaSet is which, [`status`] the conditions.
//! It never touches a pod: that is the ReplicaSets' work.

mod actions;
mod decide;
mod facts;
pub(super) mod revisions;
mod scale;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::facts::{PodFacts, read};
use super::ownership::{claimed, owners_concerned};
use super::work::{Controller, Settled};
use crate::apimachinery::selectors::LabelSelector;
use crate::apimachinery::status::Status;
use crate::registry::Registry;
use crate::store::{Event, EventKind, Interest, Key, ResourceKey, Store};
use actions::Action;
use decide::{Observed, decide};
use facts::{Deployment, Set};
use revisions::is_new;

const SETS: &str = "replicasets.apps";
const DEPLOYMENTS: &str = "deployments.apps";

/// The controller of Deployments.
pub(super) struct Deployments {
    client: Client,
}

impl Deployments {
    /// A controller of this server's Deployments.
    pub fn new(registry: &Arc<Registry>) -> Deployments {
        Deployments {
            client: Client::new(registry, "deployment-controller"),
        }
    }

    async fn settle(&self, key: Key) -> Settled {
        let store = &self.client.registry.store;
        let Some(object) = store.get(&key) else { return Ok(None) };
        let Some(deployment) = read::<Deployment>(&object) else {
            return Ok(None);
        };
        let mut value = object.value();
        let selector = LabelSelector::from_selector(&value["spec"]["selector"]);
        if selector.is_empty() {
            return Ok(None);
        }
        let claimed = claimed::<Set>(&self.client, &value, &selector, SETS, |_| true).await?;
        let mut sets: Vec<Set> = claimed.into_iter().map(|(_, set)| set).collect();
        sets.sort_by(|one, other| {
            let key = |set: &Set| (set.metadata.creation_timestamp, set.metadata.name.clone());
            key(one).cmp(&key(other))
        });
        let pods = if deployment.spec.strategy.kind == "Recreate" {
            self.pods_of(&sets, &key.namespace)
        } else {
            BTreeMap::new()
        };
        let observed = Observed {
            deployment: &deployment,
            value: &value,
            sets: &sets,
            pods: &pods,
        };
        let decision = decide(&observed, crate::clock::now());
        for (warning, reason, message) in decision.events {
            self.client.event(&value, warning, reason, message);
        }
        let acted = !decision.actions.is_empty();
        let mut failure = None;
        for action in decision.actions {
            if let Err(refusal) = self.act(&value, &deployment, &sets, action).await {
                failure = Some(refusal);
                break;
            }
        }
        let mut wanted = decision.status.unwrap_or_else(|| value["status"].clone());
        if let Some(refusal) = &failure {
            if refusal.namespace_ends() {
                return Ok(None);
            }
            if refusal.reason == "Collision" {
                wanted["collisionCount"] = (deployment.status.collision_count.unwrap_or(0) + 1).into();
            } else if let Some(conditions) = wanted["conditions"].as_array_mut() {
                for condition in conditions
                    .iter_mut()
                    .filter(|condition| condition["reason"] == "NewReplicaSetCreated")
                {
                    condition["status"] = "False".into();
                    condition["reason"] = "ReplicaSetCreateError".into();
                    condition["message"] = refusal.message.clone().into();
                }
            }
        }
        if wanted != value["status"] {
            // An annotation may just have been set: the status goes onto the newest version.
            if let Some(newest) = store.get(&key) {
                value["metadata"] = newest.value()["metadata"].clone();
            }
            value["status"] = wanted;
            match self.client.update_status(DEPLOYMENTS, &value).await {
                Err(refusal) if matches!(refusal.code, 404 | 409) => {}
                other => drop(other?),
            }
        }
        if let Some(refusal) = failure {
            return Err(refusal.message);
        }
        // The news of what was done may come before this look has ended.
        let later = decision.later.and_then(|time| Duration::try_from(time).ok());
        Ok(if acted { Some(Duration::ZERO) } else { later })
    }

    /// Pods of each ReplicaSet that have not ended.
    fn pods_of(&self, sets: &[Set], namespace: &str) -> BTreeMap<String, usize> {
        let pods: ResourceKey = "pods".into();
        let mut counts = BTreeMap::new();
        for set in sets {
            let owned = self
                .client
                .registry
                .store
                .list(&pods, Some(namespace), None, usize::MAX, |pod| {
                    pod.fields.owners.iter().any(|uid| **uid == *set.uid())
                });
            let running = owned
                .items
                .iter()
                .filter_map(|pod| read::<PodFacts>(pod))
                .filter(|pod| !pod.ended());
            counts.insert(set.uid().to_owned(), running.count());
        }
        counts
    }

    async fn act(&self, value: &Value, deployment: &Deployment, sets: &[Set], action: Action) -> Result<(), Status> {
        let namespace = &deployment.metadata.namespace;
        match action {
            Action::Create(set) => match self.client.create(SETS, namespace, &set).await {
                Err(refusal) if refusal.code == 409 => self.collided(deployment, &set, refusal),
                Err(refusal) => {
                    if !refusal.namespace_ends() {
                        let name = set["metadata"]["name"].as_str().unwrap_or_default();
                        let message = format!("Failed to create new replica set {name:?}: {refusal}");
                        self.client.event(value, true, "ReplicaSetCreateError", message);
                    }
                    Err(refusal)
                }
                Ok(_) => Ok(()),
            },
            Action::Change {
                name,
                replicas,
                annotations,
                minimum,
            } => {
                let uid = sets
                    .iter()
                    .find(|set| set.metadata.name == name)
                    .map(|set| set.uid().to_owned());
                let mut patch = json!({"metadata": {"uid": uid}});
                if !annotations.is_empty() {
                    patch["metadata"]["annotations"] = json!(annotations);
                }
                if let Some((_, to)) = replicas {
                    patch["spec"]["replicas"] = to.into();
                }
                if let Some(minimum) = minimum {
                    patch["spec"]["minReadySeconds"] = minimum.into();
                }
                self.client.patch(SETS, namespace, &name, &patch).await.map(drop)
            }
            Action::Delete { name, uid } => self.client.delete(SETS, namespace, &name, &uid, "Background").await,
            Action::Annotate(name, text) => {
                let patch = json!({"metadata": {"uid": deployment.metadata.uid, "annotations": {name: text}}});
                self.client
                    .patch(DEPLOYMENTS, namespace, &deployment.metadata.name, &patch)
                    .await
                    .map(drop)
            }
        }
    }

    /// A ReplicaSet of the name is there already: ours from before, or another template with the same hash.
    fn collided(&self, deployment: &Deployment, set: &Value, refusal: Status) -> Result<(), Status> {
        let name = set["metadata"]["name"].as_str().unwrap_or_default();
        let key = Key::new(&SETS.into(), &deployment.metadata.namespace, name);
        let there = self
            .client
            .registry
            .store
            .get(&key)
            .and_then(|object| read::<Set>(&object));
        let ours = there.is_some_and(|there| {
            is_new(&there, &deployment.spec.template)
                && there
                    .metadata
                    .controller()
                    .is_some_and(|owner| owner.uid == deployment.metadata.uid)
        });
        if ours {
            return Ok(());
        }
        Err(Status {
            reason: "Collision",
            ..refusal
        })
    }
}

impl Controller for Deployments {
    const NAME: &'static str = "deployments";

    fn resource(&self) -> ResourceKey {
        DEPLOYMENTS.into()
    }

    fn sources(&self) -> Interest {
        Interest::of(&[SETS, "pods"])
    }

    fn concerns(&self, store: &Store, event: &Event) -> Vec<Key> {
        match &*event.object.key.resource {
            SETS => owners_concerned(store, event, "Deployment", &DEPLOYMENTS.into()),
            // Recreation waits for the last pod of the old to go.
            "pods" if event.kind == EventKind::Deleted || ends(event) => {
                let pod = read::<PodFacts>(&event.object).unwrap_or_default();
                let set = pod.metadata.controller().filter(|owner| owner.kind == "ReplicaSet");
                let set =
                    set.and_then(|owner| store.get(&Key::new(&SETS.into(), &event.object.key.namespace, &owner.name)));
                let owner = set
                    .and_then(|set| read::<Set>(&set))
                    .and_then(|set| set.metadata.controller().cloned());
                let owner = owner.filter(|owner| owner.kind == "Deployment");
                owner
                    .map(|owner| Key::new(&DEPLOYMENTS.into(), &event.object.key.namespace, &owner.name))
                    .into_iter()
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    async fn settle(self: Arc<Self>, key: Key) -> Settled {
        Deployments::settle(&self, key).await
    }
}

/// Whether this change is the end of a pod that is being deleted.
fn ends(event: &Event) -> bool {
    event.object.fields.deleting && read::<PodFacts>(&event.object).is_some_and(|pod| pod.ended())
}
