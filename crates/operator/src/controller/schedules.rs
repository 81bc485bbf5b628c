//! One schedule, once: facts, decision, status, actions, and again when a run was created.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use kube::core::{ApiResource, DynamicObject};
use serde_json::{Value, json};
use stoke_model::annotations;
use stoke_model::crd::{ScheduleState, ScheduledSparkApplication, ScheduledSparkApplicationStatus};
use stoke_model::names as published;
use tracing::Instrument;

use super::cache::Folded;
use super::queue::Worked;
use super::turn::{self, Stop};
use super::{Context, Key, applications};
use crate::act::{is_code, refusal, status};
use crate::application::EventNote;
use crate::names::{self, API_VERSION, COMPONENT};
use crate::schedule::{Action, Facts, decide};

/// The resource `ScheduledSparkApplication`.
pub(super) fn resource() -> ApiResource {
    super::resource("ScheduledSparkApplication", "scheduledsparkapplications")
}

/// Brings one schedule to where nothing can be done for it now.
pub(super) async fn reconcile(context: Context, key: Key) -> Worked {
    let span = tracing::info_span!("schedule", namespace = %key.namespace, name = %key.name);
    async move {
        let Some(stored) = context.cache.schedule(&key) else {
            return Worked::Done(None);
        };
        let turn = Turn {
            context: &context,
            key: &key,
            stored,
        };
        let learn = |stored: &DynamicObject| drop(context.cache.schedule_seen(stored, false));
        let taken = async { turn.run().await.map_err(Stop::of_own) };
        turn::take(taken, &context.clock, api(&context, &key), &key.name, learn).await
    }
    .instrument(span)
    .await
}

fn api(context: &Context, key: &Key) -> Api<DynamicObject> {
    Api::namespaced_with(context.client.clone(), &key.namespace, &resource())
}

struct Turn<'a> {
    context: &'a Context,
    key: &'a Key,
    stored: Arc<Folded>,
}

impl Turn<'_> {
    async fn run(mut self) -> Result<Option<Timestamp>, kube::Error> {
        let schedule: ScheduledSparkApplication = match self.stored.read() {
            Ok(schedule) => schedule,
            Err(reason) => return self.report_malformed(&reason).await,
        };
        let mut facts = Facts {
            // Of this very schedule, not of an earlier one of the same name.
            children: self.context.cache.runs(&self.stored.uid),
            schedule,
            created: false,
        };
        loop {
            let decision = decide(&facts, self.context.clock.now());
            self.write(&facts, &decision.status).await?;
            facts.schedule.status = Some(decision.status);
            for note in &decision.events {
                self.publish(note);
            }
            facts.created = false;
            for action in &decision.actions {
                match action {
                    Action::Create(name) => {
                        self.create(&facts.schedule, name).await?;
                        facts.created = true;
                    }
                    Action::Delete(name) => {
                        self.delete(name).await?;
                        let deleted = facts.children.iter_mut().find(|child| child.name == *name);
                        deleted.into_iter().for_each(|child| child.deleting = true);
                    }
                }
            }
            if !facts.created {
                return Ok(decision.requeue_at);
            }
        }
    }

    async fn write(&mut self, facts: &Facts, new: &ScheduledSparkApplicationStatus) -> Result<(), kube::Error> {
        let old = match &facts.schedule.status {
            Some(old) if old == new => return Ok(()),
            Some(old) => serde_json::to_value(old).map_err(kube::Error::SerdeError)?,
            None => Value::Null,
        };
        let new = serde_json::to_value(new).map_err(kube::Error::SerdeError)?;
        let api = api(self.context, self.key);
        if let Some(stored) = status::write(&api, &self.key.name, &self.stored.resource_version, &old, &new).await? {
            self.context.cache.schedule_seen(&stored, false);
            self.stored = Arc::new(Folded::new(&stored, Some(&self.stored)));
        }
        Ok(())
    }

    /// Creates the run of this name, finds it created, or says why it cannot be.
    async fn create(&self, schedule: &ScheduledSparkApplication, name: &str) -> Result<(), kube::Error> {
        let mut labels = schedule.metadata.labels.clone().unwrap_or_default();
        let parent = names::shortened(&self.key.name, published::LABEL_LIMIT);
        labels.insert(published::LABEL_SCHEDULED_APP_NAME.to_owned(), parent);
        let application = json!({
            "apiVersion": API_VERSION,
            "kind": "SparkApplication",
            "metadata": {
                "name": name,
                "namespace": self.key.namespace,
                "labels": labels,
                "annotations": annotations::of_runs(schedule.annotations()),
                "ownerReferences": [{
                    "apiVersion": API_VERSION, "kind": "ScheduledSparkApplication",
                    "name": self.key.name, "uid": self.stored.uid, "blockOwnerDeletion": true,
                }],
            },
            "spec": schedule.spec.template,
        });
        let application: DynamicObject = serde_json::from_value(application).map_err(kube::Error::SerdeError)?;
        let parameters = PostParams {
            field_manager: Some(COMPONENT.to_owned()),
            ..PostParams::default()
        };
        match self.applications().create(&parameters, &application).await {
            Ok(_) => {
                if let Some(due) = schedule.status.as_ref().and_then(|status| status.last_run.as_ref()) {
                    self.context.metrics.scheduled(due.0, self.context.clock.now());
                }
                tracing::info!(application = name, "a run was created");
            }
            Err(error) if is_code(&error, 409) => tracing::info!(application = name, "a run was found created"),
            Err(error) => match refusal(&error) {
                // Asking again for the same would be refused again; the next time comes.
                Some(status) => {
                    let note = format!("the run {name} was refused: {}", status.message);
                    tracing::warn!(note);
                    self.publish(&EventNote {
                        warning: true,
                        reason: "ScheduledRunRefused",
                        action: "Schedule",
                        note,
                    });
                }
                None => return Err(error),
            },
        }
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), kube::Error> {
        match self.applications().delete(name, &DeleteParams::background()).await {
            Ok(_) => tracing::info!(application = name, "a run was deleted"),
            Err(error) if is_code(&error, 404) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn applications(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.context.client.clone(), &self.key.namespace, &applications())
    }

    async fn report_malformed(&mut self, reason: &str) -> Result<Option<Timestamp>, kube::Error> {
        let known: ScheduledSparkApplicationStatus = serde_json::from_value(self.stored.status()).unwrap_or_default();
        if known.reason == reason {
            return Ok(None);
        }
        tracing::warn!(reason, "malformed schedule");
        let status = ScheduledSparkApplicationStatus {
            schedule_state: ScheduleState::FailedValidation,
            reason: reason.to_owned(),
            next_run: None,
            ..known
        };
        let facts = Facts::default();
        self.write(&facts, &status).await?;
        self.publish(&EventNote {
            warning: true,
            reason: "ScheduleInvalid",
            action: "Read",
            note: reason.to_owned(),
        });
        Ok(None)
    }

    fn publish(&self, note: &EventNote) {
        let regarding = ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some("ScheduledSparkApplication".to_owned()),
            name: Some(self.key.name.clone()),
            namespace: Some(self.key.namespace.clone()),
            uid: Some(self.stored.uid.to_string()),
            resource_version: Some(self.stored.resource_version.to_string()),
            field_path: None,
        };
        self.context
            .publisher
            .publish(&regarding, &self.stored.spec_digest, note);
    }
}
