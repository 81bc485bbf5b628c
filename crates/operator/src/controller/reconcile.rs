//! One application, once: facts, decision, status, action, and again with the answer, until there is nothing to do now.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, ObjectReference};
use kube::api::{Api, DeleteParams, ListParams, Preconditions};
use serde_json::Value;
use stoke_model::crd::{ApplicationStateType, SparkApplication, SparkApplicationStatus};
use stoke_model::waiting::{self, Waiting};
use tracing::{Instrument, field};

use super::cache::Folded;
use super::queue::Worked;
use super::seen::Seen;
use super::turn::{self, Stop};
use super::{Context, Key, applications};
use crate::act::{is_code, pods, status, submission};
use crate::application::{Action, Decision, Driver, EventNote, Facts, Outcome, decide};
use crate::companions;
use crate::names::{self, API_VERSION};
use crate::quality::{self, CheckPod, Refused};

/// Decisions in one go; an application needs three to be submitted. More would mean that two of us disagree.
const ROUNDS: usize = 12;

/// Brings one application to where nothing can be done for it now.
pub(crate) async fn reconcile(context: Context, key: Key) -> Worked {
    let span = tracing::info_span!(
        "application", application = %key, namespace = %key.namespace, name = %key.name,
        attempt = field::Empty, trace_id = field::Empty
    );
    async move {
        let Some(app) = context.cache.app(&key) else {
            context.metrics.forget(&key);
            context.gathering.end(&key);
            if let Some(keeper) = &context.logs {
                keeper.forget(&key);
            }
            return Worked::Done(None);
        };
        let turn = Turn {
            context: &context,
            key: &key,
            app,
        };
        let learn = |stored: &Seen| drop(context.cache.app_answered(stored));
        turn::take(turn.run(), &context.clock, api(&context, &key), &key.name, learn).await
    }
    .instrument(span)
    .await
}

fn api(context: &Context, key: &Key) -> Api<Seen> {
    Api::namespaced_with(context.client.clone(), &key.namespace, &applications())
}

pub(super) struct Turn<'a> {
    pub(super) context: &'a Context,
    pub(super) key: &'a Key,
    pub(super) app: Arc<Folded>,
}

impl Turn<'_> {
    async fn run(mut self) -> Result<Option<Timestamp>, Stop> {
        let object: SparkApplication = match self.app.read() {
            Ok(object) => object,
            Err(reason) => return self.report_malformed(&reason).await,
        };
        let mut facts = self.context.cache.facts(self.key, &self.app, object);
        facts.limits = self.context.limits;
        if let Some(status) = &facts.app.status {
            identify(status);
        }
        if let Some(pod) = facts.asks_for_events(self.context.clock.now()) {
            facts.events_say = self.events_of(pod).await;
        }
        facts.unjudged = self.asks_first();
        for _ in 0..ROUNDS {
            facts.gathering = self.context.gathering.waited(self.key);
            facts.logs = self.context.logs.as_ref().map(|keeper| keeper.facts(self.key));
            let decision = decide(&facts, self.context.clock.now());
            (facts.submission, facts.check_refused) = (None, None);
            for action in &decision.actions {
                self.act(&mut facts, action, &decision).await?;
            }
            if !decision.actions.iter().any(Action::asks) {
                return Ok(decision.requeue_at);
            }
        }
        tracing::warn!("no rest after {ROUNDS} decisions; looking again soon");
        Ok(Some(self.context.clock.now() + jiff::SignedDuration::from_secs(5)))
    }

    /// What events say of a pod. Who may not read them says less; that is no reason to stop.
    async fn events_of(&self, pod: &str) -> Option<Waiting> {
        let namespace = &self.key.namespace;
        let events: Api<Event> = Api::namespaced(self.context.client.clone(), namespace);
        let about = format!("involvedObject.kind=Pod,involvedObject.name={pod}");
        match events.list(&ListParams::default().fields(&about)).await {
            Ok(list) => waiting::from_events(namespace, pod, &list.items),
            Err(error) => {
                tracing::debug!(%error, pod, "events cannot be read");
                None
            }
        }
    }

    async fn write(&mut self, facts: &mut Facts, new: &SparkApplicationStatus) -> Result<(), Stop> {
        let old = facts.app.status.clone().unwrap_or_default();
        // A status that is not there yet is written whole.
        let known = if facts.app.status.is_none() {
            Value::Null
        } else {
            value(&old)?
        };
        self.patch(&known, &value(new)?).await?;
        let metrics = &self.context.metrics;
        metrics.changed(self.key, &facts.app, &old, new, self.context.clock.now());
        if old.app_state.state != new.app_state.state {
            tracing::info!(
                from = ?old.app_state.state, to = ?new.app_state.state, attempt = new.execution_attempts,
                submission = new.submission_id, trace_id = trace_id(new), "state"
            );
        }
        facts.app.status = Some(new.clone());
        Ok(())
    }

    fn publish(&self, facts: &Facts, events: &[EventNote]) {
        let status = facts.app.status.as_ref();
        let submission = status.and_then(|status| status.submission_id.as_deref());
        let occasion = format!(
            "{}/{}",
            submission.unwrap_or_default(),
            facts.app.metadata.generation.unwrap_or_default()
        );
        for note in events {
            self.context.publisher.publish(&self.regarding(), &occasion, note);
        }
    }

    async fn remove_companions(&self, facts: &Facts) -> Result<(), Stop> {
        // What cannot be planned was never created.
        let Ok(plan) = self.context.planner.plan(&facts.app) else {
            return Ok(());
        };
        companions::remove(&self.context.client, &self.key.namespace, plan.companions).await?;
        Ok(())
    }

    async fn patch(&mut self, old: &Value, new: &Value) -> Result<(), Stop> {
        let api = api(self.context, self.key);
        match status::write(&api, &self.key.name, &self.app.resource_version, old, new).await {
            Ok(None) => Ok(()),
            Ok(Some(stored)) => {
                if let Some(app) = self.context.cache.app_answered(&stored) {
                    self.app = app;
                }
                Ok(())
            }
            Err(error) if is_code(&error, 409) => Err(Stop::Outdated),
            Err(error) if is_code(&error, 404) => Err(Stop::Gone),
            Err(error) => Err(error.into()),
        }
    }

    async fn act(&mut self, facts: &mut Facts, action: &Action, decision: &Decision) -> Result<(), Stop> {
        let (client, namespace) = (&self.context.client, self.key.namespace.as_str());
        match action {
            Action::Gather => self.context.gathering.begin(self.key),
            Action::EndGathering => self.context.gathering.end(self.key),
            Action::CopyLogs { .. }
            | Action::HoldForLogs { .. }
            | Action::RemoveSpent { .. }
            | Action::ReportMissingLogs { .. }
            | Action::ForgetCopies(_)
            | Action::ForgetLogs => self.keep_logs(action),
            Action::RemoveCompanions => self.remove_companions(facts).await?,
            Action::Write => self.write(facts, &decision.status).await?,
            Action::Publish => self.publish(facts, &decision.events),
            Action::Judge => match self.judged(facts).await? {
                Some(refused) => facts.submission = Some(refused),
                None => facts.unjudged = false,
            },
            Action::Submit => {
                facts.unjudged = self.asks_first();
                let app = match self.images_admitted(facts).await {
                    Ok(app) => app,
                    Err(refused) => {
                        facts.submission = Some(refused);
                        return Ok(());
                    }
                };
                let answer = submission::submit(client, &app, self.context.planner.as_ref()).await?;
                if let Some(pod) = &answer.pod {
                    self.context.cache.pod_answered(&self.context.scopes, pod);
                }
                if let Some(driver) = answer.driver {
                    facts.driver = driver;
                }
                facts.submission = Some(answer.outcome);
            }
            Action::ConfirmDriver(pod) => facts.driver = pods::look(client, namespace, pod, &self.app.uid).await?,
            Action::DeleteDriver(pod) => {
                let uid = match &facts.driver {
                    Driver::Present(known) if known.name == *pod => Some(known.uid.as_str()),
                    _ => None,
                };
                facts.driver = pods::delete(client, namespace, pod, uid, &self.app.uid).await?;
            }
            Action::Check(phase) => {
                let (planner, runner) = (self.context.planner.as_ref(), self.context.quality.as_deref());
                // It has the application's image, and reads data by its rights.
                let app = match self.images_admitted(facts).await {
                    Ok(app) => app,
                    Err(Outcome::Refused { message, permanent, .. }) => {
                        facts.check_refused = Some(Refused { message, permanent });
                        return Ok(());
                    }
                    // Not known now: the turn is taken again.
                    Err(Outcome::Blocked { message }) => return Err(kube::Error::Service(message.into()).into()),
                    Err(Outcome::Submitted(_)) => return Ok(()),
                };
                match quality::make(client, &app, planner, runner, *phase).await? {
                    Ok(pod) => {
                        self.context.cache.pod_answered(&self.context.scopes, &pod);
                        facts.checks.push(CheckPod::read(&pod));
                    }
                    Err(refused) => facts.check_refused = Some(refused),
                }
            }
            Action::DeleteCheck(pod) => {
                let known = facts.checks.iter().find(|check| check.name == *pod);
                let uid = known.map(|check| check.uid.as_str());
                pods::delete(client, namespace, pod, uid, &self.app.uid).await?;
                // The watch will say when it is gone; nothing waits for that.
                facts.checks.retain(|check| check.name != *pod);
            }
            Action::DeleteApplication => {
                let preconditions = Some(Preconditions {
                    uid: Some(self.app.uid.to_string()),
                    resource_version: None,
                });
                let parameters = DeleteParams {
                    preconditions,
                    ..DeleteParams::background()
                };
                tracing::info!("time to live is over: deleting the application");
                match api(self.context, self.key).delete(&self.key.name, &parameters).await {
                    Ok(_) => {}
                    Err(error) if is_code(&error, 404) || is_code(&error, 409) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn keep_logs(&self, action: &Action) {
        let Some(keeper) = &self.context.logs else { return };
        let (key, regarding) = (self.key, self.regarding());
        match action {
            Action::CopyLogs { run, logs } => keeper.copy(key, &regarding, run, logs.clone()),
            Action::HoldForLogs { run, last } => keeper.hold(key, run, *last),
            Action::RemoveSpent { run, pod, files } => keeper.remove(key, &regarding, run, pod.clone(), files),
            Action::ReportMissingLogs { run, why } => keeper.report(key, &regarding, run, why),
            Action::ForgetCopies(files) => keeper.forget_copies(key, files),
            Action::ForgetLogs => keeper.forget(key),
            _ => {}
        }
    }

    /// An application that cannot be read says so in its own status; fixing it is an edit, and what never ran is run after an edit.
    async fn report_malformed(&mut self, reason: &str) -> Result<Option<Timestamp>, Stop> {
        let message = format!("this SparkApplication cannot be run as it is written: {reason}");
        let known: SparkApplicationStatus = serde_json::from_value(self.app.status()).unwrap_or_default();
        // A run in progress is not ended by an edit that cannot be read; it is looked at again when it can.
        let running = known.execution_attempts > 0 && !known.app_state.state.is_terminal();
        if known.app_state.error_message == message {
            return Ok(None);
        }
        let mut status = known.clone();
        status.app_state.error_message.clone_from(&message);
        if !running {
            status.app_state.state = ApplicationStateType::Failed;
            status.spec_digest = Some(self.app.spec_digest.to_string());
            status.observed_generation = self.app.generation;
            status
                .termination_time
                .get_or_insert_with(|| k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.context.clock.now()));
        }
        tracing::warn!(reason, "malformed application");
        let old = if self.app.status().is_object() {
            value(&known)?
        } else {
            Value::Null
        };
        self.patch(&old, &value(&status)?).await?;
        let note = EventNote {
            warning: true,
            reason: "SparkApplicationInvalid",
            action: "Read",
            note: message,
        };
        self.context
            .publisher
            .publish(&self.regarding(), &self.app.spec_digest, &note);
        Ok(None)
    }

    pub(super) fn regarding(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some("SparkApplication".to_owned()),
            name: Some(self.key.name.clone()),
            namespace: Some(self.key.namespace.clone()),
            uid: Some(self.app.uid.to_string()),
            resource_version: Some(self.app.resource_version.to_string()),
            field_path: None,
        }
    }
}

/// Which run the lines of the log are about.
fn identify(status: &SparkApplicationStatus) {
    if let Some(id) = trace_id(status) {
        let span = tracing::Span::current();
        span.record("attempt", status.execution_attempts);
        span.record("trace_id", id);
    }
}

fn trace_id(status: &SparkApplicationStatus) -> Option<String> {
    status.submission_id.as_deref().map(names::trace_id)
}

fn value(status: &SparkApplicationStatus) -> Result<Value, Stop> {
    serde_json::to_value(status).map_err(|error| Stop::Api(kube::Error::SerdeError(error)))
}
