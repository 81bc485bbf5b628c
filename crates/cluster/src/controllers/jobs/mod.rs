//! Jobs: pods that run until enough of them have succeeded.
//!
//! In: a Job and its pods. Out: pods made, dismissed and released, and the status. [`decide`] says what as a pure function; [`policy`]
//! judges failures, [`indexes`] reads sets of indexes. No pod that ended is lost: each is held by a finalizer until it is counted.

mod decide;
mod facts;
mod indexes;
mod policy;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::facts::{PodFacts, pod_from_template, read};
use super::ownership::{JustMeta, claimed, owners_concerned};
use super::work::{Controller, Settled};
use crate::apimachinery::selectors::LabelSelector;
use crate::apimachinery::status::Status;
use crate::registry::Registry;
use crate::store::{Event, Interest, Key, ResourceKey, Store};
use decide::{Decision, Make, decide};
use facts::{INDEX, INDEX_FAILURES, Job, TRACKING, tracked};

const JOBS: &str = "jobs.batch";
/// Who a Job's `managedBy` names when it is us.
const OURSELVES: &str = "kubernetes.io/job-controller";

/// The controller of Jobs.
pub(super) struct Jobs {
    client: Client,
}

impl Jobs {
    /// A controller of this server's Jobs.
    pub fn new(registry: &Arc<Registry>) -> Jobs {
        Jobs {
            client: Client::new(registry, "job-controller"),
        }
    }

    async fn settle(&self, key: Key) -> Settled {
        let store = &self.client.registry.store;
        let found = store.get(&key);
        let Some((object, job)) = found.and_then(|object| read::<Job>(&object).map(|job| (object, job))) else {
            self.let_strays_go(&key).await?;
            return Ok(None);
        };
        if job.spec.managed_by.as_deref().is_some_and(|name| name != OURSELVES) {
            return Ok(None);
        }
        let mut value = object.value();
        let selector = LabelSelector::from_selector(&value["spec"]["selector"]);
        let claimed = claimed::<PodFacts>(&self.client, &value, &selector, "pods", |_| true).await?;
        let pods: Vec<PodFacts> = claimed.into_iter().map(|(_, pod)| pod).collect();
        let decision = decide(&job, &pods, crate::clock::now());
        if decision.expired {
            self.client
                .delete(JOBS, &key.namespace, &key.name, &object.fields.uid, "Foreground")
                .await?;
            return Ok(None);
        }
        let failure = self.act(&value, &pods, &decision).await.err();
        let mut wanted = json!(decision.status);
        if let Some(fields) = wanted.as_object_mut() {
            fields.retain(|_, field| !field.is_null());
        }
        if failure.is_some() {
            // What was not done is not reported as done.
            wanted["active"] = pods.iter().filter(|pod| pod.active()).count().into();
        }
        if wanted != value["status"] {
            value["status"] = wanted;
            match self.client.update_status(JOBS, &value).await {
                Err(refusal) if matches!(refusal.code, 404 | 409) => return Ok(Some(Duration::ZERO)),
                other => drop(other?),
            }
            for (warning, reason, message) in &decision.events {
                self.client.event(&value, *warning, reason, message.clone());
            }
        }
        for name in &decision.release {
            self.release(&key.namespace, name, &pods).await?;
        }
        if let Some(refusal) = failure.filter(|refusal| !refusal.namespace_ends()) {
            return Err(refusal.message);
        }
        let later = decision.later.and_then(|time| Duration::try_from(time).ok());
        Ok(if decision.release.is_empty() {
            later
        } else {
            Some(Duration::ZERO)
        })
    }

    /// Deletes and makes pods.
    async fn act(&self, job: &Value, pods: &[PodFacts], decision: &Decision) -> Result<(), Status> {
        let namespace = job["metadata"]["namespace"].as_str().unwrap_or_default();
        for (names, counts) in [(&decision.dismiss, false), (&decision.stop, true)] {
            for name in names {
                if !counts {
                    self.release(namespace, name, pods).await?;
                }
                let uid = pods
                    .iter()
                    .find(|pod| pod.metadata.name == *name)
                    .map(|pod| pod.metadata.uid.as_str());
                self.client
                    .delete("pods", namespace, name, uid.unwrap_or_default(), "Background")
                    .await?;
                self.client
                    .event(job, false, "SuccessfulDelete", format!("Deleted pod: {name}"));
            }
        }
        let made = decision.make.iter().map(|make| pod(job, make)).collect();
        self.client.create_pods(job, namespace, made).await
    }

    /// Takes the finalizer off a pod.
    async fn release(&self, namespace: &str, name: &str, pods: &[PodFacts]) -> Result<(), Status> {
        let Some(pod) = pods.iter().find(|pod| pod.metadata.name == name && tracked(pod)) else {
            return Ok(());
        };
        self.take_finalizer(namespace, name, &pod.metadata.uid).await
    }

    async fn take_finalizer(&self, namespace: &str, name: &str, uid: &str) -> Result<(), Status> {
        let patch = json!({"metadata": {"uid": uid, "$deleteFromPrimitiveList/finalizers": [TRACKING]}});
        match self.client.patch("pods", namespace, name, &patch).await {
            Err(refusal) if !matches!(refusal.code, 404 | 409) => Err(refusal),
            _ => Ok(()),
        }
    }

    /// Pods whose Job is gone are held by no one.
    async fn let_strays_go(&self, job: &Key) -> Result<(), Status> {
        let pods: ResourceKey = "pods".into();
        let list = self
            .client
            .registry
            .store
            .list(&pods, Some(&job.namespace), None, usize::MAX, |pod| {
                !pod.fields.owners.is_empty()
            });
        for object in list.items {
            let pod = read::<JustMeta>(&object).unwrap_or_default().metadata;
            let of_job = pod
                .controller()
                .is_some_and(|owner| owner.kind == "Job" && *owner.name == *job.name);
            if of_job && pod.finalizers.iter().any(|name| name == TRACKING) {
                self.take_finalizer(&job.namespace, &pod.name, &pod.uid).await?;
            }
        }
        Ok(())
    }
}

/// A pod of a Job.
fn pod(job: &Value, make: &Make) -> Value {
    let name = job["metadata"]["name"].as_str().unwrap_or_default();
    let Some(index) = make.index else {
        let mut pod = pod_from_template(&job["spec"]["template"], job, &format!("{name}-"));
        hold(&mut pod);
        return pod;
    };
    let mut pod = pod_from_template(&job["spec"]["template"], job, &format!("{name}-{index}-"));
    hold(&mut pod);
    let text = index.to_string();
    pod["metadata"]["annotations"][INDEX] = text.clone().into();
    pod["metadata"]["labels"][INDEX] = text.into();
    if let Some(failures) = make.failures {
        pod["metadata"]["annotations"][INDEX_FAILURES] = failures.to_string().into();
    }
    if pod["spec"]["hostname"].is_null() {
        pod["spec"]["hostname"] = format!("{name}-{index}").into();
    }
    let variable = json!({"name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": format!("metadata.annotations['{INDEX}']")}}});
    for list in ["initContainers", "containers"] {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            let own = container["env"].as_array().cloned().unwrap_or_default();
            let given = own.iter().any(|known| known["name"] == "JOB_COMPLETION_INDEX");
            if !given {
                container["env"] = own.into_iter().chain([variable.clone()]).collect();
            }
        }
    }
    pod
}

fn hold(pod: &mut Value) {
    let finalizers = pod["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    pod["metadata"]["finalizers"] = finalizers.into_iter().chain([TRACKING.into()]).collect();
}

impl Controller for Jobs {
    const NAME: &'static str = "jobs";

    fn resource(&self) -> ResourceKey {
        JOBS.into()
    }

    fn sources(&self) -> Interest {
        Interest::of(&["pods"])
    }

    fn concerns(&self, store: &Store, event: &Event) -> Vec<Key> {
        if &*event.object.key.resource != "pods" {
            return Vec::new();
        }
        owners_concerned(store, event, "Job", &JOBS.into())
    }

    fn strays(&self, store: &Store) -> Vec<Key> {
        let jobs: ResourceKey = JOBS.into();
        let pods = store.list(&"pods".into(), None, None, usize::MAX, |pod| {
            !pod.fields.owners.is_empty()
        });
        let mut keys = Vec::new();
        for object in pods.items {
            let pod = read::<JustMeta>(&object).unwrap_or_default().metadata;
            if let Some(owner) = pod.controller().filter(|owner| owner.kind == "Job") {
                keys.push(Key::new(&jobs, &pod.namespace, &owner.name));
            }
        }
        keys
    }

    async fn settle(self: Arc<Self>, key: Key) -> Settled {
        Jobs::settle(&self, key).await
    }
}
