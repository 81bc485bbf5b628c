//! CronJobs: a Job at every time of a schedule.
//!
//! In: a CronJob and its Jobs. Out: Jobs named by the time they were due, so that none is made twice, and the status. [`decide`] is pure;
//! when a run is due is read by [`stoke_model::cron`].

mod decide;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::facts::{controller_reference, read};
use super::ownership::owners_concerned;
use super::work::{Controller, Settled};
use crate::registry::Registry;
use crate::store::{Event, Interest, Key, ResourceKey, Store};
use decide::{Child, Cron, decide};

const CRONS: &str = "cronjobs.batch";
const JOBS: &str = "jobs.batch";
/// When a Job was due.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// The controller of CronJobs.
pub(super) struct Crons {
    client: Client,
}

impl Crons {
    /// A controller of this server's CronJobs.
    pub fn new(registry: &Arc<Registry>) -> Crons {
        Crons {
            client: Client::new(registry, "cronjob-controller"),
        }
    }

    async fn settle(&self, key: Key) -> Settled {
        let store = &self.client.registry.store;
        let Some(object) = store.get(&key) else { return Ok(None) };
        let Some(cron) = read::<Cron>(&object) else {
            return Ok(None);
        };
        let mut value = object.value();
        let owned = store.list(&JOBS.into(), Some(&key.namespace), None, usize::MAX, |job| {
            job.fields.owners.iter().any(|uid| **uid == *object.fields.uid)
        });
        let children: Vec<Child> = owned.items.iter().filter_map(|job| read::<Child>(job)).collect();
        let decision = decide(&cron, &children, crate::clock::now());
        for (warning, reason, message) in &decision.events {
            self.client.event(&value, *warning, reason, message.clone());
        }
        for (name, uid) in &decision.delete {
            self.client
                .delete(JOBS, &key.namespace, name, uid, "Background")
                .await?;
            self.client
                .event(&value, false, "SuccessfulDelete", format!("Deleted job {name}"));
        }
        let mut status = decision.status;
        if let Some(due) = &decision.start {
            let job = job(&value, &due.name, &due.written);
            let made = match self.client.create(JOBS, &key.namespace, &job).await {
                Ok(made) => {
                    self.client
                        .event(&value, false, "SuccessfulCreate", format!("Created job {}", due.name));
                    Some(made)
                }
                // Made by an earlier look whose status was not written.
                Err(refusal) if refusal.code == 409 => {
                    let there = store.get(&Key::new(&JOBS.into(), &key.namespace, &due.name));
                    there
                        .filter(|job| job.fields.owners.iter().any(|uid| **uid == *object.fields.uid))
                        .map(|job| job.value())
                }
                Err(refusal) if refusal.namespace_ends() => return Ok(None),
                Err(refusal) => {
                    self.client
                        .event(&value, true, "FailedCreate", format!("Error creating job: {refusal}"));
                    return Err(refusal.message);
                }
            };
            if let Some(made) = made {
                let reference = json!({"apiVersion": "batch/v1", "kind": "Job", "name": due.name, "namespace": &*key.namespace,
                    "uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]});
                status.active.retain(|known| known["uid"] != reference["uid"]);
                status.active.push(reference);
            }
            status.last_schedule_time = Some(due.time);
        }
        let mut wanted = json!(status);
        if let Some(fields) = wanted.as_object_mut() {
            fields.retain(|_, field| !field.is_null());
        }
        if wanted != value["status"] {
            value["status"] = wanted;
            match self.client.update_status(CRONS, &value).await {
                Err(refusal) if matches!(refusal.code, 404 | 409) => return Ok(Some(Duration::ZERO)),
                other => drop(other?),
            }
        }
        Ok(decision.later.and_then(|time| Duration::try_from(time).ok()))
    }
}

/// The Job of a time.
fn job(cron: &Value, name: &str, written: &str) -> Value {
    let template = &cron["spec"]["jobTemplate"];
    let mut annotations = template["metadata"]["annotations"].clone();
    annotations[SCHEDULED] = written.into();
    let mut metadata =
        json!({"name": name, "annotations": annotations, "ownerReferences": [controller_reference(cron)]});
    if !template["metadata"]["labels"].is_null() {
        metadata["labels"] = template["metadata"]["labels"].clone();
    }
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]})
}

impl Controller for Crons {
    const NAME: &'static str = "cronjobs";

    fn resource(&self) -> ResourceKey {
        CRONS.into()
    }

    fn sources(&self) -> Interest {
        Interest::of(&[JOBS])
    }

    fn concerns(&self, store: &Store, event: &Event) -> Vec<Key> {
        if &*event.object.key.resource != JOBS || event.object.fields.owners.is_empty() {
            return Vec::new();
        }
        owners_concerned(store, event, "CronJob", &CRONS.into())
    }

    async fn settle(self: Arc<Self>, key: Key) -> Settled {
        Crons::settle(&self, key).await
    }
}
