//! StatefulSets: pods with names and volumes of their own, made and replaced in order.
//!
//! In: a set, its ControllerRevisions and its pods. Out: claims and pods made, pods deleted, the status. [`decide`] says what as a pure
//! function. A pod and its claims are named by the set and the ordinal, so that making one twice finds it made.

mod decide;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::facts::{Meta, PodFacts, controller_reference, pod_from_template, read};
use super::history::{Revision, forget, revisions};
use super::ownership::{claimed, owners_concerned};
use super::work::{Controller, Settled};
use crate::apimachinery::selectors::LabelSelector;
use crate::apimachinery::status::Status;
use crate::registry::Registry;
use crate::store::{Event, Interest, Key, ResourceKey, Store};
use decide::{Action, HASH, Set, decide};

const SETS: &str = "statefulsets.apps";
const CLAIMS: &str = "persistentvolumeclaims";

/// The controller of StatefulSets.
pub(super) struct StatefulSets {
    client: Client,
}

impl StatefulSets {
    /// A controller of this server's StatefulSets.
    pub fn new(registry: &Arc<Registry>) -> StatefulSets {
        StatefulSets {
            client: Client::new(registry, "statefulset-controller"),
        }
    }

    async fn settle(&self, key: Key) -> Settled {
        let Some(object) = self.client.registry.store.get(&key) else {
            return Ok(None);
        };
        let Some(set) = read::<Set>(&object) else {
            return Ok(None);
        };
        let mut value = object.value();
        let selector = LabelSelector::from_selector(&value["spec"]["selector"]);
        if object.fields.deleting || selector.is_empty() {
            return Ok(None);
        }
        let revisions = match revisions(&self.client, &value).await {
            Err(refusal) if refusal.namespace_ends() => return Ok(None),
            other => other?,
        };
        let ours = |pod: &PodFacts| set.ordinal(&pod.metadata.name).is_some();
        let claimed = claimed::<PodFacts>(&self.client, &value, &selector, "pods", ours).await?;
        let pods: Vec<PodFacts> = claimed.into_iter().map(|(_, pod)| pod).collect();
        let decision = decide(&set, &revisions, &pods, crate::clock::now());
        let mut failure = None;
        for action in &decision.actions {
            if let Err(refusal) = self.act(&value, &set, &revisions, &pods, action).await {
                failure = Some(refusal);
                break;
            }
        }
        let staying: Vec<&PodFacts> = pods
            .iter()
            .filter(|pod| !decision.actions.contains(&Action::Condemn(pod.metadata.name.clone())))
            .collect();
        self.keep_claims(&value, &set, &staying).await?;
        if decision.status != value["status"] {
            value["status"] = decision.status.clone();
            match self.client.update_status(SETS, &value).await {
                Err(refusal) if matches!(refusal.code, 404 | 409) => return Ok(Some(Duration::ZERO)),
                other => drop(other?),
            }
        }
        let mut used: Vec<&str> = pods
            .iter()
            .filter_map(|pod| pod.metadata.labels.get(HASH).map(String::as_str))
            .collect();
        for field in ["currentRevision", "updateRevision"] {
            used.extend(decision.status[field].as_str());
        }
        let limit = set
            .spec
            .revision_history_limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(10);
        forget(&self.client, &revisions, &used, limit).await?;
        match failure {
            Some(refusal) if !refusal.namespace_ends() => Err(refusal.message),
            _ => Ok(decision.later.and_then(|time| Duration::try_from(time).ok())),
        }
    }

    async fn act(
        &self,
        value: &Value,
        set: &Set,
        revisions: &[Revision],
        pods: &[PodFacts],
        action: &Action,
    ) -> Result<(), Status> {
        let name = match action {
            Action::Create { ordinal, revision } => {
                return self.create(value, set, revisions, *ordinal, revision).await;
            }
            Action::Condemn(name) | Action::Replace(name) | Action::Recreate(name) => name,
        };
        let Some(pod) = pods.iter().find(|pod| pod.metadata.name == *name) else {
            return Ok(());
        };
        let meta = &pod.metadata;
        let namespace = &set.metadata.namespace;
        if matches!(action, Action::Condemn(_)) {
            self.hand_claims_to(set, meta).await?;
        }
        if matches!(action, Action::Recreate(_)) {
            let message = format!(
                "StatefulSet {namespace}/{} is recreating failed Pod {name}",
                set.metadata.name
            );
            self.client.event(value, true, "RecreatingFailedPod", message);
        }
        let done = self
            .client
            .delete("pods", namespace, name, &meta.uid, "Background")
            .await;
        let (warning, reason, message) = match &done {
            Ok(()) => (
                false,
                "SuccessfulDelete",
                format!("delete Pod {name} in StatefulSet {} successful", set.metadata.name),
            ),
            Err(refusal) => {
                let message = format!(
                    "delete Pod {name} in StatefulSet {} failed error: {refusal}",
                    set.metadata.name
                );
                (true, "FailedDelete", message)
            }
        };
        self.client.event(value, warning, reason, message);
        done
    }

    async fn create(
        &self,
        value: &Value,
        set: &Set,
        revisions: &[Revision],
        ordinal: i64,
        revision: &str,
    ) -> Result<(), Status> {
        let namespace = &set.metadata.namespace;
        let name = format!("{}-{ordinal}", set.metadata.name);
        for template in &set.spec.volume_claim_templates {
            let claim = claim(set, template, ordinal);
            let claim_name = claim["metadata"]["name"].as_str().unwrap_or_default();
            let key = Key::new(&CLAIMS.into(), namespace, claim_name);
            if self.client.registry.store.get(&key).is_some() {
                continue;
            }
            let what = format!(
                "create Claim {claim_name} Pod {name} in StatefulSet {}",
                set.metadata.name
            );
            match self.client.create(CLAIMS, namespace, &claim).await {
                Err(refusal) if refusal.code != 409 => {
                    self.client
                        .event(value, true, "FailedCreate", format!("{what} failed error: {refusal}"));
                    return Err(refusal);
                }
                _ => self
                    .client
                    .event(value, false, "SuccessfulCreate", format!("{what} success")),
            }
        }
        let template = revisions.iter().find(|known| known.metadata.name == revision);
        let template = template.map_or(&value["spec"]["template"], Revision::template);
        let pod = pod(value, set, template, ordinal, revision);
        let what = format!("create Pod {name} in StatefulSet {}", set.metadata.name);
        match self.client.create("pods", namespace, &pod).await {
            // The pod before it is still going; its end brings us back.
            Err(refusal) if refusal.code == 409 => Ok(()),
            Err(refusal) => {
                if !refusal.namespace_ends() {
                    self.client
                        .event(value, true, "FailedCreate", format!("{what} failed error: {refusal}"));
                }
                Err(refusal)
            }
            Ok(_) => {
                self.client
                    .event(value, false, "SuccessfulCreate", format!("{what} successful"));
                Ok(())
            }
        }
    }

    /// Claims that shall go with the set are owned by it.
    async fn keep_claims(&self, value: &Value, set: &Set, pods: &[&PodFacts]) -> Result<(), Status> {
        if set.spec.persistent_volume_claim_retention_policy["whenDeleted"] != "Delete" {
            return Ok(());
        }
        for pod in pods.iter().filter(|pod| !pod.metadata.deleting()) {
            let Some(ordinal) = set.ordinal(&pod.metadata.name) else {
                continue;
            };
            for template in &set.spec.volume_claim_templates {
                self.own(
                    &set.metadata.namespace,
                    &claim_name(set, template, ordinal),
                    &controller_reference(value),
                )
                .await?;
            }
        }
        Ok(())
    }

    /// Claims of a pod that is scaled away go with it, if that is asked for.
    async fn hand_claims_to(&self, set: &Set, pod: &Meta) -> Result<(), Status> {
        if set.spec.persistent_volume_claim_retention_policy["whenScaled"] != "Delete" {
            return Ok(());
        }
        let Some(ordinal) = set.ordinal(&pod.name) else {
            return Ok(());
        };
        let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid});
        for template in &set.spec.volume_claim_templates {
            let name = claim_name(set, template, ordinal);
            self.own(&set.metadata.namespace, &name, &owner).await?;
            // The set itself no longer keeps it.
            let release = json!({"metadata": {"ownerReferences": [{"$patch": "delete", "uid": set.metadata.uid}]}});
            self.patch_claim(&set.metadata.namespace, &name, &release).await?;
        }
        Ok(())
    }

    async fn own(&self, namespace: &str, claim: &str, owner: &Value) -> Result<(), Status> {
        let key = Key::new(&CLAIMS.into(), namespace, claim);
        let Some(there) = self.client.registry.store.get(&key) else {
            return Ok(());
        };
        let uid = owner["uid"].as_str().unwrap_or_default();
        if there.fields.owners.iter().any(|known| **known == *uid) {
            return Ok(());
        }
        self.patch_claim(namespace, claim, &json!({"metadata": {"ownerReferences": [owner]}}))
            .await
    }

    async fn patch_claim(&self, namespace: &str, claim: &str, patch: &Value) -> Result<(), Status> {
        match self.client.patch(CLAIMS, namespace, claim, patch).await {
            Err(refusal) if refusal.code != 404 => Err(refusal),
            _ => Ok(()),
        }
    }
}

fn claim_name(set: &Set, template: &Value, ordinal: i64) -> String {
    let template = template["metadata"]["name"].as_str().unwrap_or_default();
    format!("{template}-{}-{ordinal}", set.metadata.name)
}

/// The claim of an ordinal.
fn claim(set: &Set, template: &Value, ordinal: i64) -> Value {
    let mut claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim_name(set, template, ordinal)}, "spec": template["spec"]});
    for field in ["labels", "annotations"] {
        if template["metadata"][field].is_object() {
            claim["metadata"][field] = template["metadata"][field].clone();
        }
    }
    for (key, label) in set.spec.selector["matchLabels"].as_object().into_iter().flatten() {
        claim["metadata"]["labels"][key] = label.clone();
    }
    claim
}

/// The pod of an ordinal.
fn pod(value: &Value, set: &Set, template: &Value, ordinal: i64, revision: &str) -> Value {
    let name = format!("{}-{ordinal}", set.metadata.name);
    let mut pod = pod_from_template(template, value, &name);
    let labels = &mut pod["metadata"]["labels"];
    labels[HASH] = revision.into();
    labels["statefulset.kubernetes.io/pod-name"] = name.clone().into();
    labels["apps.kubernetes.io/pod-index"] = ordinal.to_string().into();
    pod["spec"]["hostname"] = name.into();
    if !set.spec.service_name.is_empty() {
        pod["spec"]["subdomain"] = set.spec.service_name.clone().into();
    }
    let claimed = |volume: &Value| {
        set.spec
            .volume_claim_templates
            .iter()
            .any(|template| template["metadata"]["name"] == volume["name"])
    };
    let own = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    let claims = set.spec.volume_claim_templates.iter().map(|template| {
        json!({"name": template["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim_name(set, template, ordinal)}})
    });
    let volumes: Vec<Value> = claims
        .chain(own.into_iter().filter(|volume| !claimed(volume)))
        .collect();
    if !volumes.is_empty() {
        pod["spec"]["volumes"] = volumes.into();
    }
    pod
}

impl Controller for StatefulSets {
    const NAME: &'static str = "statefulsets";

    fn resource(&self) -> ResourceKey {
        SETS.into()
    }

    fn sources(&self) -> Interest {
        Interest::of(&["pods"])
    }

    fn concerns(&self, store: &Store, event: &Event) -> Vec<Key> {
        if &*event.object.key.resource != "pods" {
            return Vec::new();
        }
        owners_concerned(store, event, "StatefulSet", &SETS.into())
    }

    async fn settle(self: Arc<Self>, key: Key) -> Settled {
        StatefulSets::settle(&self, key).await
    }
}
