//! The scheduler: which pod runs where, decided by what is free.
//!
//! In: pods without a node, nodes, claims, through watches of `kube::Client`. Out: bindings; or, for a pod that fits nowhere, the condition
//! `PodScheduled=False` and the event `FailedScheduling` in the real scheduler's words. Every change that may free room is a new try, at
//! once. The decision itself is pure: [`decide`] asks [`fit`] of each node, by `selection` of the room `model` (selectors and taints), [`room`] (requests and host ports) and
//! [`neighbours`] (affinity and spread), then [`score`] (preferences) or [`preempt`] (who goes for a more important pod). A pod that was
//! refused is not looked at again before something changed that could help it; what was decided of one holds for all that ask the same.
//! Pods of another `schedulerName` and pods with scheduling gates are left alone.

mod decide;
mod fit;
mod neighbours;
mod preempt;
mod room;
mod score;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Binding, Namespace, Node, ObjectReference, PersistentVolumeClaim, Pod, PodCondition};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::seconds;
use crate::events::{Component, Recorder};
use crate::node::claim_of;
use crate::watched::watched;
use decide::{Claims, Decision, schedule};
use neighbours::{Budget, Surroundings};
use preempt::priority;
use room::holds_resources;
pub(crate) use stoke_model::kubernetes::selection::tolerated;

/// The name pods ask for.
const NAME: &str = "default-scheduler";

/// A running scheduler; dropping it stops it.
#[derive(Debug)]
pub struct Scheduler {
    tasks: Vec<JoinHandle<()>>,
}

impl Scheduler {
    /// Starts scheduling.
    pub fn start(client: &Client) -> Scheduler {
        let (sender, changes) = mpsc::unbounded_channel();
        let recorder = Recorder::start(client.clone(), Component::Scheduler);
        let tasks = vec![
            tokio::spawn(follow(
                watch::<Pod>(client),
                sender.clone(),
                Change::Pod,
                Change::PodGone,
                Change::Pods,
            )),
            tokio::spawn(follow(
                watch::<Node>(client),
                sender.clone(),
                Change::Node,
                Change::NodeGone,
                Change::Nodes,
            )),
            tokio::spawn(follow(
                watch(client),
                sender.clone(),
                Change::Claim,
                Change::ClaimGone,
                Change::Claims,
            )),
            tokio::spawn(follow(
                watch(client),
                sender.clone(),
                Change::Space,
                Change::SpaceGone,
                Change::Spaces,
            )),
            tokio::spawn(follow(
                watch(client),
                sender,
                Change::Budget,
                Change::BudgetGone,
                Change::Budgets,
            )),
            tokio::spawn(work(client.clone(), recorder, changes)),
        ];
        Scheduler { tasks }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What the watches report.
enum Change {
    Pod(Box<Pod>),
    PodGone(Box<Pod>),
    Pods(Vec<Pod>),
    Node(Box<Node>),
    NodeGone(Box<Node>),
    Nodes(Vec<Node>),
    Claim(Box<PersistentVolumeClaim>),
    ClaimGone(Box<PersistentVolumeClaim>),
    Claims(Vec<PersistentVolumeClaim>),
    Space(Box<Namespace>),
    SpaceGone(Box<Namespace>),
    Spaces(Vec<Namespace>),
    Budget(Box<PodDisruptionBudget>),
    BudgetGone(Box<PodDisruptionBudget>),
    Budgets(Vec<PodDisruptionBudget>),
}

fn watch<K>(client: &Client) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    watched(Api::<K>::all(client.clone()), watcher::Config::default())
}

/// Passes a watch on, complete lists as one change.
async fn follow<K>(
    stream: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send,
    sender: mpsc::UnboundedSender<Change>,
    applied: fn(Box<K>) -> Change,
    deleted: fn(Box<K>) -> Change,
    listed: fn(Vec<K>) -> Change,
) {
    futures::pin_mut!(stream);
    let mut list = Vec::new();
    while let Some(event) = stream.next().await {
        let change = match event {
            Ok(Event::Init) => {
                list.clear();
                continue;
            }
            Ok(Event::InitApply(object)) => {
                list.push(object);
                continue;
            }
            Ok(Event::InitDone) => listed(std::mem::take(&mut list)),
            Ok(Event::Apply(object)) => applied(Box::new(object)),
            Ok(Event::Delete(object)) => deleted(Box::new(object)),
            Err(error) => {
                tracing::debug!(%error, "a watch of the scheduler was interrupted");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        if sender.send(change).is_err() {
            return;
        }
    }
}

/// Everything the decision needs.
#[derive(Default)]
struct World {
    pods: BTreeMap<String, Pod>,
    nodes: BTreeMap<String, Node>,
    claims: HashMap<(String, String), PersistentVolumeClaim>,
    /// Pods we bound whose watch does not show it yet.
    assumed: HashMap<String, String>,
    /// What was said about pods that fit nowhere, so as not to repeat it.
    told: HashMap<String, String>,
    /// Pods that were refused, and the count of [`World::changed`] then.
    parked: HashMap<String, u64>,
    /// How often something changed that could help a pod that was refused.
    changed: u64,
    spaces: BTreeMap<String, BTreeMap<String, String>>,
    budgets: HashMap<(String, String), PodDisruptionBudget>,
    /// Whether each kind has been listed: nothing is decided on half of the facts.
    listed: [bool; 5],
}

async fn work(client: Client, recorder: Recorder, mut changes: mpsc::UnboundedReceiver<Change>) {
    let mut world = World::default();
    while let Some(change) = changes.recv().await {
        world.take(change);
        while let Ok(change) = changes.try_recv() {
            world.take(change);
        }
        if world.listed != [true; 5] {
            continue;
        }
        let mut round = None;
        for uid in world.waiting() {
            let Some(pod) = world.pods.get(&uid).cloned() else {
                continue;
            };
            let round = round.get_or_insert_with(|| world.round());
            match world.decide(&pod, round) {
                Decision::Bind(node) => {
                    if bind(&client, &pod, &node).await {
                        let (namespace, name) = names(&pod);
                        world.assumed.insert(uid.clone(), node.clone());
                        round.bind(&pod, &node);
                        world.told.remove(&uid);
                        let message = format!("Successfully assigned {namespace}/{name} to {node}");
                        recorder.pod(&pod, false, "Scheduled", message);
                    }
                }
                Decision::Preempt { node, victims, message } => {
                    let first = world.told.get(&uid) != Some(&message);
                    if first {
                        recorder.pod(&pod, true, "FailedScheduling", message.clone());
                    }
                    mark_unschedulable(&client, &pod, &message, Some(&node)).await;
                    world.told.insert(uid.clone(), message);
                    for victim in victims.iter().filter_map(|victim| world.pods.get(victim)) {
                        preempt_pod(&client, victim).await;
                        recorder.pod(
                            victim,
                            false,
                            "Preempted",
                            format!("Preempted by pod {uid} on node {node}"),
                        );
                    }
                }
                Decision::Unschedulable(message) => {
                    world.parked.insert(uid.clone(), world.changed);
                    if world.told.get(&uid) != Some(&message) {
                        recorder.pod(&pod, true, "FailedScheduling", message.clone());
                        mark_unschedulable(&client, &pod, &message, None).await;
                        world.told.insert(uid, message);
                    }
                }
            }
        }
    }
}

impl World {
    fn take(&mut self, change: Change) {
        let name = |meta: &ObjectMeta| meta.name.clone().unwrap_or_default();
        let key = |meta: &ObjectMeta| {
            (
                meta.namespace.clone().unwrap_or_default(),
                meta.name.clone().unwrap_or_default(),
            )
        };
        // Of pods and nodes only some changes matter; of the rest, all.
        if !matches!(change, Change::Pod(_) | Change::PodGone(_) | Change::Node(_)) {
            self.changed += 1;
        }
        match change {
            Change::Pod(pod) => self.put_pod(*pod),
            Change::PodGone(pod) => {
                let uid = pod.metadata.uid.unwrap_or_default();
                self.pods.remove(&uid);
                self.assumed.remove(&uid);
                self.told.remove(&uid);
                if self.parked.remove(&uid).is_none() {
                    self.changed += 1;
                }
            }
            Change::Pods(pods) => {
                self.listed[0] = true;
                self.pods.clear();
                self.parked.clear();
                for pod in pods {
                    self.put_pod(pod);
                }
                let pods = &self.pods;
                self.assumed.retain(|uid, _| pods.contains_key(uid));
                self.told.retain(|uid, _| pods.contains_key(uid));
            }
            Change::Node(node) => {
                let before = self.nodes.insert(name(&node.metadata), *node.clone());
                if before.is_none_or(|before| offers(&before) != offers(&node)) {
                    self.changed += 1;
                }
            }
            Change::NodeGone(node) => drop(self.nodes.remove(&name(&node.metadata))),
            Change::Nodes(nodes) => {
                self.listed[1] = true;
                self.nodes = nodes.into_iter().map(|node| (name(&node.metadata), node)).collect();
            }
            Change::Claim(claim) => drop(self.claims.insert(key(&claim.metadata), *claim)),
            Change::ClaimGone(claim) => drop(self.claims.remove(&key(&claim.metadata))),
            Change::Claims(claims) => {
                self.listed[2] = true;
                self.claims = claims.into_iter().map(|claim| (key(&claim.metadata), claim)).collect();
            }
            Change::Space(space) => {
                let labels = space.metadata.labels.clone().unwrap_or_default();
                self.spaces.insert(name(&space.metadata), labels);
            }
            Change::SpaceGone(space) => drop(self.spaces.remove(&name(&space.metadata))),
            Change::Spaces(spaces) => {
                self.listed[3] = true;
                let entry = |space: Namespace| (name(&space.metadata), space.metadata.labels.unwrap_or_default());
                self.spaces = spaces.into_iter().map(entry).collect();
            }
            Change::Budget(budget) => drop(self.budgets.insert(key(&budget.metadata), *budget)),
            Change::BudgetGone(budget) => drop(self.budgets.remove(&key(&budget.metadata))),
            Change::Budgets(budgets) => {
                self.listed[4] = true;
                self.budgets = budgets
                    .into_iter()
                    .map(|budget| (key(&budget.metadata), budget))
                    .collect();
            }
        }
    }

    fn put_pod(&mut self, pod: Pod) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let before = self.pods.get(&uid);
        let same = before.is_some_and(|before| {
            before.metadata.labels == pod.metadata.labels
                && before.spec == pod.spec
                && holds_resources(before) == holds_resources(&pod)
                && nominated(before) == nominated(&pod)
        });
        if node_of(&pod).is_some() {
            self.assumed.remove(&uid);
            self.told.remove(&uid);
            self.parked.remove(&uid);
            self.changed += u64::from(!same);
        } else if !same {
            self.parked.remove(&uid);
            self.changed += u64::from(before.is_some());
        }
        self.pods.insert(uid, pod);
    }

    /// Pods to schedule, the most important first, then the oldest.
    fn waiting(&self) -> Vec<String> {
        let mut waiting: Vec<&Pod> = self
            .pods
            .values()
            .filter(|pod| {
                let spec = pod.spec.as_ref();
                let ours = spec.and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or(NAME) == NAME;
                let gated =
                    spec.is_some_and(|spec| spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()));
                let uid = pod.metadata.uid.as_deref().unwrap_or_default();
                ours && !gated
                    && node_of(pod).is_none()
                    && pod.metadata.deletion_timestamp.is_none()
                    && !self.assumed.contains_key(uid)
                    && self.parked.get(uid) != Some(&self.changed)
                    && !matches!(
                        pod.status.as_ref().and_then(|s| s.phase.as_deref()),
                        Some("Succeeded" | "Failed")
                    )
            })
            .collect();
        waiting.sort_by_key(|pod| {
            let priority = pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0);
            let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (std::cmp::Reverse(priority), created, pod.metadata.name.clone())
        });
        waiting.into_iter().filter_map(|pod| pod.metadata.uid.clone()).collect()
    }

    /// What the pods of one round are decided on.
    fn round(&self) -> Round {
        let bound = self.pods.values().filter(|other| node_of(other).is_some()).cloned();
        let mut round = Round {
            nodes: self.nodes.values().cloned().collect(),
            bound: bound.collect(),
            // Room that was made for a pod as important is not given away.
            promised: self
                .pods
                .values()
                .filter_map(|pod| on(pod, nominated(pod).filter(|_| node_of(pod).is_none())?))
                .collect(),
            around: Surroundings {
                namespaces: self.spaces.clone(),
                budgets: self.budgets.values().map(budget_of).collect(),
            },
            refused: HashMap::new(),
        };
        for (uid, node) in &self.assumed {
            round.bound.extend(self.pods.get(uid).and_then(|pod| on(pod, node)));
        }
        round
    }

    fn decide(&self, pod: &Pod, round: &mut Round) -> Decision {
        let (claims, missing) = self.claims_of(pod);
        let shape = (claims == Claims::Fine).then(|| shape(pod));
        if let Some(message) = shape.as_ref().and_then(|shape| round.refused.get(shape)) {
            return Decision::Unschedulable(message.clone());
        }
        let keeps = |other: &&Pod| other.metadata.uid != pod.metadata.uid && priority(other) >= priority(pod);
        let kept: Vec<Pod> = round.promised.iter().filter(keeps).cloned().collect();
        let others = if kept.is_empty() {
            &round.bound
        } else {
            &round.bound.iter().cloned().chain(kept).collect()
        };
        let decision = schedule(pod, &round.nodes, others, claims, missing.as_deref(), &round.around);
        if let (Some(shape), Decision::Unschedulable(message)) = (shape, &decision) {
            round.refused.insert(shape, message.clone());
        }
        decision
    }

    fn claims_of(&self, pod: &Pod) -> (Claims, Option<String>) {
        let (namespace, pod_name) = names(pod);
        for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
            let Some(name) = claim_of(&pod_name, volume) else {
                continue;
            };
            let Some(claim) = self.claims.get(&(namespace.clone(), name.clone())) else {
                let said = if volume.ephemeral.is_some() {
                    format!("waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}")
                } else {
                    format!("persistentvolumeclaim {name:?} not found")
                };
                return (Claims::Missing, Some(said));
            };
            let mut owners = claim.metadata.owner_references.iter().flatten();
            let own = owners.any(|owner| Some(&owner.uid) == pod.metadata.uid.as_ref());
            if volume.ephemeral.is_some() && !own {
                let said = format!(
                    "PVC {:?} was not created for pod {:?} (pod is not owner)",
                    format!("{namespace}/{name}"),
                    format!("{namespace}/{pod_name}")
                );
                return (Claims::Missing, Some(said));
            }
            let bound = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound")
                || claim
                    .spec
                    .as_ref()
                    .is_some_and(|spec| spec.volume_name.as_ref().is_some_and(|name| !name.is_empty()));
            if !bound {
                return (Claims::Unbound, None);
            }
        }
        (Claims::Fine, None)
    }
}

/// The facts that all decisions of a round share, so that ten thousand waiting pods cost one copy of them.
struct Round {
    nodes: Vec<Node>,
    bound: Vec<Pod>,
    promised: Vec<Pod>,
    around: Surroundings,
    /// What was said of pods that ask for the same; forgotten when one is bound.
    refused: HashMap<String, String>,
}

impl Round {
    fn bind(&mut self, pod: &Pod, node: &str) {
        self.bound.extend(on(pod, node));
        self.refused.clear();
    }
}

/// A pod as if it were on a node.
fn on(pod: &Pod, node: &str) -> Option<Pod> {
    let mut pod = pod.clone();
    pod.spec.as_mut()?.node_name = Some(node.to_owned());
    Some(pod)
}

/// Everything a decision looks at, of pods without a place of their own promised: pods of one shape fit alike.
fn shape(pod: &Pod) -> String {
    let own = nominated(pod).and(pod.metadata.uid.as_ref());
    json!([pod.metadata.namespace, pod.metadata.labels, pod.spec, own]).to_string()
}

fn nominated(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.nominated_node_name.as_deref()
}

/// What of a node matters to pods.
fn offers(node: &Node) -> impl PartialEq + '_ {
    let status = node.status.as_ref();
    (
        &node.metadata.labels,
        node.spec.as_ref().map(|spec| (&spec.taints, spec.unschedulable)),
        status.map(|status| (&status.allocatable, &status.capacity)),
    )
}

fn budget_of(budget: &PodDisruptionBudget) -> Budget {
    Budget {
        namespace: budget.metadata.namespace.clone().unwrap_or_default(),
        selector: budget.spec.as_ref().and_then(|spec| spec.selector.clone()),
        allowed: budget.status.as_ref().map_or(0, |status| status.disruptions_allowed),
    }
}

/// Ends a pod to make room: first it is told why, then deleted.
async fn preempt_pod(client: &Client, pod: &Pod) {
    let (namespace, name) = names(pod);
    let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
        "message": format!("{NAME}: preempting to accommodate a higher priority pod"),
        "lastTransitionTime": seconds(crate::clock::now())});
    let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}});
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    if let Err(error) = api
        .patch_status(&name, &PatchParams::default(), &Patch::Strategic(&patch))
        .await
    {
        tracing::debug!(%error, pod = name, "a pod's condition could not be written");
    }
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: pod.metadata.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    if let Err(error) = api.delete(&name, &parameters).await {
        tracing::debug!(%error, pod = name, "a pod could not be preempted");
    }
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

fn names(pod: &Pod) -> (String, String) {
    (
        pod.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        pod.metadata.name.clone().unwrap_or_default(),
    )
}

/// Binds the pod; false when that must be tried again or the pod is gone.
async fn bind(client: &Client, pod: &Pod, node: &str) -> bool {
    let (namespace, name) = names(pod);
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace.clone()),
            uid: pod.metadata.uid.clone(),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            ..ObjectReference::default()
        },
    };
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let parameters = PostParams::default();
    match api
        .create_subresource::<_, serde_json::Value>("binding", &name, &parameters, &binding)
        .await
    {
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(%error, pod = name, "a pod could not be bound");
            false
        }
    }
}

async fn mark_unschedulable(client: &Client, pod: &Pod, message: &str, nominated: Option<&str>) {
    let (namespace, name) = names(pod);
    let now = seconds(crate::clock::now());
    let old = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.clone())
        .unwrap_or_default();
    let before = old.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    let condition = PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("Unschedulable".to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: before
            .and_then(|condition| condition.last_transition_time.clone())
            .or(Some(now)),
        ..PodCondition::default()
    };
    let mut conditions: Vec<PodCondition> = old.into_iter().filter(|c| c.type_ != "PodScheduled").collect();
    conditions.push(condition);
    let mut patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": conditions}});
    if let Some(node) = nominated {
        patch["status"]["nominatedNodeName"] = node.into();
    }
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    if let Err(error) = api
        .patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
    {
        tracing::debug!(%error, pod = name, "a pod's condition could not be written");
    }
}
