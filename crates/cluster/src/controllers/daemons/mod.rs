//! DaemonSets: one pod on every node that fits. Here that is at most one pod, and the rules are those of many nodes.
//!
//! In: a set, its ControllerRevisions, its pods and the nodes. Out: pods made and deleted, the status. [`decide`] says what as a pure
//! function; the scheduler places the pods, each of which is bound to its node by node affinity.

mod decide;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use super::client::Client;
use super::facts::{PodFacts, pod_from_template};
use super::history::{forget, revisions};
use super::ownership::{claimed, owners_concerned};
use super::work::{Controller, Settled};
use crate::apimachinery::selectors::LabelSelector;
use crate::registry::Registry;
use crate::scheduler::tolerated;
use crate::store::{Event, Interest, Key, ResourceKey, Store};
use decide::{HASH, NodeFacts, decide};

const SETS: &str = "daemonsets.apps";
/// The node a pod was made for, until the scheduler has bound it.
const TARGET: &str = "stoke.dev/daemon-node";

/// The controller of DaemonSets.
pub(super) struct DaemonSets {
    client: Client,
}

impl DaemonSets {
    /// A controller of this server's DaemonSets.
    pub fn new(registry: &Arc<Registry>) -> DaemonSets {
        DaemonSets {
            client: Client::new(registry, "daemonset-controller"),
        }
    }

    /// The nodes, and whether a pod of the set belongs on each.
    fn nodes(&self, template: &Value) -> Vec<NodeFacts> {
        let all = self
            .client
            .registry
            .store
            .list(&"nodes".into(), None, None, usize::MAX, |_| true)
            .items;
        let nodes = all
            .iter()
            .filter_map(|node| serde_json::from_slice::<Node>(&node.json).ok());
        let mut pod = json!({"metadata": {}, "spec": template["spec"]});
        tolerate(&mut pod["spec"]);
        let pod: Pod = serde_json::from_value(pod).unwrap_or_default();
        nodes
            .map(|node| {
                let (wants, keeps) = tolerated(&pod, &node);
                NodeFacts {
                    name: node.metadata.name.unwrap_or_default(),
                    wants,
                    keeps,
                }
            })
            .collect()
    }
}

/// What pods of a DaemonSet tolerate besides what they say.
fn tolerate(spec: &mut Value) {
    let mut list = spec["tolerations"].as_array().cloned().unwrap_or_default();
    for (key, effect) in [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ] {
        list.push(json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": effect}));
    }
    spec["tolerations"] = list.into();
}

/// A pod of the set for a node.
fn pod(set: &Value, hash: &str, node: &str) -> Value {
    let prefix = format!("{}-", set["metadata"]["name"].as_str().unwrap_or_default());
    let mut pod = pod_from_template(&set["spec"]["template"], set, &prefix);
    pod["metadata"]["labels"][HASH] = hash.into();
    pod["metadata"]["labels"]["pod-template-generation"] = set["metadata"]["generation"].to_string().into();
    pod["metadata"]["annotations"][TARGET] = node.into();
    let name =
        json!({"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]});
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = name;
    tolerate(&mut pod["spec"]);
    pod
}

impl Controller for DaemonSets {
    const NAME: &'static str = "daemonsets";

    fn resource(&self) -> ResourceKey {
        SETS.into()
    }

    fn sources(&self) -> Interest {
        Interest::of(&["pods", "nodes"])
    }

    fn concerns(&self, store: &Store, event: &Event) -> Vec<Key> {
        match &*event.object.key.resource {
            "pods" => owners_concerned(store, event, "DaemonSet", &SETS.into()),
            // A node's heartbeat changes nothing that matters here.
            "nodes" if changed(event) => {
                let all = store.list(&SETS.into(), None, None, usize::MAX, |_| true).items;
                all.iter().map(|set| set.key.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    async fn settle(self: Arc<Self>, key: Key) -> Settled {
        let Some(object) = self.client.registry.store.get(&key) else {
            return Ok(None);
        };
        let mut set = object.value();
        let selector = LabelSelector::from_selector(&set["spec"]["selector"]);
        if object.fields.deleting || selector.is_empty() {
            return Ok(None);
        }
        let revisions = match revisions(&self.client, &set).await {
            Err(refusal) if refusal.namespace_ends() => return Ok(None),
            other => other?,
        };
        let prefix = format!("{}-", key.name);
        let hash_of = |name: &str| name.strip_prefix(&prefix).unwrap_or(name).to_owned();
        let update = revisions
            .last()
            .map(|revision| hash_of(&revision.metadata.name))
            .unwrap_or_default();
        let claimed = claimed::<PodFacts>(&self.client, &set, &selector, "pods", |_| true).await?;
        let pods: Vec<PodFacts> = claimed.into_iter().map(|(_, pod)| pod).collect();
        let decision = decide(
            &set,
            &update,
            &self.nodes(&set["spec"]["template"]),
            &pods,
            crate::clock::now(),
        );
        for (names, failed) in [(&decision.failed, true), (&decision.remove, false)] {
            for name in names {
                let uid = pods
                    .iter()
                    .find(|pod| pod.metadata.name == *name)
                    .map_or("", |pod| pod.metadata.uid.as_str());
                if failed {
                    let message = format!("Found failed daemon pod {}/{name}, will try to kill it", key.namespace);
                    self.client.event(&set, true, "FailedDaemonPod", message);
                }
                self.client
                    .delete("pods", &key.namespace, name, uid, "Background")
                    .await?;
                self.client
                    .event(&set, false, "SuccessfulDelete", format!("Deleted pod: {name}"));
            }
        }
        let made = decision.make.iter().map(|node| pod(&set, &update, node)).collect();
        let failure = self.client.create_pods(&set, &key.namespace, made).await.err();
        if decision.status != set["status"] {
            set["status"] = decision.status;
            match self.client.update_status(SETS, &set).await {
                Err(refusal) if matches!(refusal.code, 404 | 409) => return Ok(Some(Duration::ZERO)),
                other => drop(other?),
            }
        }
        let hashes: Vec<&str> = pods
            .iter()
            .filter_map(|pod| pod.metadata.labels.get(HASH).map(String::as_str))
            .collect();
        let used: Vec<&str> = revisions
            .iter()
            .map(|revision| revision.metadata.name.as_str())
            .filter(|name| hashes.contains(&hash_of(name).as_str()) || hash_of(name) == update)
            .collect();
        let limit = set["spec"]["revisionHistoryLimit"]
            .as_u64()
            .and_then(|limit| usize::try_from(limit).ok());
        forget(&self.client, &revisions, &used, limit.unwrap_or(10)).await?;
        match failure {
            Some(refusal) if !refusal.namespace_ends() => Err(refusal.message),
            _ => Ok(decision.later.and_then(|time| Duration::try_from(time).ok())),
        }
    }
}

/// Whether a node came, went, or is another one to the scheduler.
fn changed(event: &Event) -> bool {
    let Some(before) = &event.previous else { return true };
    let facts = |value: Value| (value["metadata"]["labels"].clone(), value["spec"].clone());
    event.kind == crate::store::EventKind::Deleted
        || before.fields.labels != event.object.fields.labels
        || facts(before.value()) != facts(event.object.value())
}
