//! What to do about one application. Pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::{Map, Value, json};
use stoke_model::crd::{ApplicationStateType as State, SparkApplicationSpec, SparkApplicationStatus};
use stoke_model::names as published;

use super::text;
use crate::admission::defaulting::application_digest;
use crate::application::{DriverPod, Progress};
use crate::names;

/// What is known about one application.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The application as stored.
    pub app: DynamicObject,
    /// Pods of its namespace that are its drivers by their labels, or by the name in its status.
    pub drivers: Vec<Pod>,
    /// Services, ingresses and disruption budgets that the application itself owns, as stored.
    pub companions: Vec<Value>,
}

/// Whether an application is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// It is, by the steps of the plan.
    Adopt,
    /// It has been, or our operator made it: nothing is to be done.
    Adopted,
    /// It is left as it is: our operator does the right thing with it, or nothing can be done here.
    Leave,
}

/// What is seen of an application, and what is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub namespace: String,
    pub name: String,
    /// Its state as the status has it.
    pub state: State,
    /// Its driver pod and how far that is: `pi-driver (running)`.
    pub driver: Option<String>,
    /// The submission of the driver pod.
    pub submission_id: Option<String>,
    /// What to do.
    pub intent: Intent,
    /// Why, and what follows.
    pub why: String,
    /// The writes, in order.
    pub steps: Vec<Step>,
}

/// One write. Each may be done twice with the effect of once.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Server-side apply of owner and labels to the driver pod of this UID.
    Pod {
        /// Name of the pod.
        name: String,
        /// What is applied.
        body: Value,
    },
    /// Merge patch of the owners of a service, an ingress or a disruption budget, so that an operator's server-side apply can own it.
    Companion {
        /// API version of the object.
        api_version: String,
        /// Kind of the object.
        kind: String,
        /// Name of the object.
        name: String,
        /// The patch.
        body: Value,
    },
    /// Merge patch of the application's status, at the version that was seen.
    Status {
        /// The patch.
        body: Value,
    },
}

impl Step {
    /// Group, version and kind of the object written to.
    pub(super) fn kind(&self) -> (&str, &str, &str) {
        match self {
            Self::Pod { .. } => ("", "v1", "Pod"),
            Self::Status { .. } => (published::GROUP, "v1beta2", "SparkApplication"),
            Self::Companion { api_version, kind, .. } => {
                let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
                (group, version, kind)
            }
        }
    }

    /// What it does, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Pod { name, .. } => format!("pod {name}: owner and labels"),
            Self::Companion { kind, name, .. } => format!("{} {name}: owner", kind.to_lowercase()),
            Self::Status { body } => {
                let fields: Vec<&str> = body["status"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.as_str())
                    .collect();
                format!("status: {}", fields.join(", "))
            }
        }
    }
}

/// Decides about one application.
#[must_use]
pub fn judge(facts: &Facts) -> Plan {
    let app = &facts.app;
    let (namespace, name) = (app.namespace().unwrap_or_default(), app.name_any());
    let status = app.data.get("status").cloned().unwrap_or_default();
    let known: Result<SparkApplicationStatus, _> = if status.is_null() {
        Ok(SparkApplicationStatus::default())
    } else {
        serde_json::from_value(status.clone())
    };
    let mut plan = Plan {
        namespace,
        name,
        state: State::New,
        driver: None,
        submission_id: None,
        intent: Intent::Leave,
        why: String::new(),
        steps: Vec::new(),
    };
    let known = match known {
        Ok(known) => known,
        Err(error) => {
            plan.why = format!("its status cannot be read: {error}");
            return plan;
        }
    };
    plan.state = known.app_state.state;
    let spec: SparkApplicationSpec = app
        .data
        .get("spec")
        .cloned()
        .and_then(|spec| serde_json::from_value(spec).ok())
        .unwrap_or_default();
    let pod_name = known
        .driver_info
        .pod_name
        .clone()
        .unwrap_or_else(|| published::driver_pod(&plan.name, &spec));
    let uid = app.uid().unwrap_or_default();
    let found = facts.drivers.iter().find(|pod| pod.name_any() == pod_name);
    let stranger = found.filter(|pod| belongs_to_another(pod, &uid));
    let driver = found
        .filter(|_| stranger.is_none())
        .map(|pod| (pod, DriverPod::read(pod)));
    if let Some((_, pod)) = &driver {
        plan.driver = Some(format!("{} ({})", pod.name, progress(pod)));
        plan.submission_id.clone_from(&pod.submission_id);
    }
    if let Some(pod) = stranger {
        plan.why = format!(
            "pod {} belongs to another application, or to one of the same name that was deleted; delete the pod",
            pod.name_any()
        );
        return plan;
    }
    if app.metadata.deletion_timestamp.is_some() {
        plan.why = "it is being deleted".to_owned();
        return plan;
    }
    let (change, why) = match status_of(&known, driver.as_ref(), app, &pod_name) {
        Verdict::Leave(why) => {
            plan.why = why;
            return plan;
        }
        Verdict::Take(change, why) => (change, why),
    };
    plan.steps
        .extend(companion_steps(facts, driver.as_ref().map(|(pod, _)| *pod), &uid));
    if let Some((pod, _)) = &driver {
        plan.steps.extend(pod_step(pod, app, &uid));
    }
    let change = crate::act::status::difference(&status, &with(&status, change));
    if let Some(change) = change {
        let version = app.resource_version().unwrap_or_default();
        plan.steps.push(Step::Status {
            body: json!({"metadata": {"resourceVersion": version}, "status": change}),
        });
    }
    (plan.intent, plan.why) = if plan.steps.is_empty() {
        (
            Intent::Adopted,
            "nothing is missing; the operator goes on with it".to_owned(),
        )
    } else {
        (Intent::Adopt, why)
    };
    plan
}

enum Verdict {
    Leave(String),
    /// The fields of the status that change (null removes one), and why.
    Take(Map<String, Value>, String),
}

/// What the status has to say so that our operator goes on from where the other one was.
fn status_of(
    known: &SparkApplicationStatus,
    driver: Option<&(&Pod, DriverPod)>,
    app: &DynamicObject,
    pod_name: &str,
) -> Verdict {
    let live = driver.filter(|(_, pod)| !pod.deleting);
    let same = live.is_some_and(|(_, pod)| pod.submission_id == known.submission_id);
    match known.app_state.state {
        State::Completed => Verdict::Leave("it has ended".to_owned()),
        State::Failed => Verdict::Leave(match live.filter(|(_, pod)| !pod.progress.is_finished()) {
            Some((_, pod)) => format!(
                "it has ended, but its driver {} has not: delete the pod, or let it run to its end",
                pod.name
            ),
            None => "it has ended".to_owned(),
        }),
        // The driver was made, and the other operator did not get to write that down; or a second submission met the first one's driver.
        State::New | State::PendingRerun | State::SubmissionFailed | State::Resuming if live.is_some() && !same => {
            let Some((pod, read)) = live else {
                return Verdict::Leave(String::new());
            };
            let mut change = recorded(known, app);
            let begun = created(pod);
            change.extend([
                (
                    "applicationState".to_owned(),
                    json!({"state": State::Submitted, "errorMessage": null}),
                ),
                ("submissionID".to_owned(), json!(read.submission_id)),
                ("sparkApplicationId".to_owned(), json!(read.application_id)),
                ("driverInfo".to_owned(), json!({"podName": pod_name})),
                ("lastSubmissionAttemptTime".to_owned(), json!(begun)),
                (
                    "startTime".to_owned(),
                    json!(known.start_time.clone().map_or(begun, |time| Some(time.0))),
                ),
                ("terminationTime".to_owned(), Value::Null),
                (
                    "executionAttempts".to_owned(),
                    json!(known.execution_attempts.saturating_add(1)),
                ),
                ("submissionAttempts".to_owned(), json!(known.submission_attempts.max(1))),
            ]);
            Verdict::Take(
                change,
                "its driver was created and the status does not know; it goes on from SUBMITTED".to_owned(),
            )
        }
        State::New => Verdict::Leave("it was not submitted; the operator begins it".to_owned()),
        // The name of a driver that was never made would be taken for one that is about to be.
        State::SubmissionFailed if live.is_none() => {
            let mut change = recorded(known, app);
            if known.driver_info.pod_name.is_some() {
                change.insert("driverInfo".to_owned(), json!({"podName": null}));
            }
            Verdict::Take(
                change,
                "the submission failed and left no driver; the retries of its spec follow".to_owned(),
            )
        }
        State::PendingRerun | State::SubmissionFailed | State::Resuming => {
            Verdict::Take(recorded(known, app), "the operator submits it again".to_owned())
        }
        State::Suspended => Verdict::Take(recorded(known, app), "it is suspended and stays so".to_owned()),
        State::Invalidating | State::Suspending => Verdict::Take(
            recorded(known, app),
            "its driver is being removed; the operator goes on with that".to_owned(),
        ),
        State::Submitted | State::Running | State::Unknown | State::Succeeding | State::Failing => {
            let mut change = recorded(known, app);
            let begun = live.and_then(|(pod, _)| created(pod));
            if known.driver_info.pod_name.is_none() {
                change.insert("driverInfo".to_owned(), json!({"podName": pod_name}));
            }
            if known.last_submission_attempt_time.is_none() && begun.is_some() {
                change.insert("lastSubmissionAttemptTime".to_owned(), json!(begun));
            }
            let Some((_, pod)) = driver else {
                return Verdict::Take(
                    change,
                    "its driver pod is gone; the operator makes sure of that and follows the restart policy".to_owned(),
                );
            };
            if pod.submission_id != known.submission_id {
                change.insert("submissionID".to_owned(), json!(pod.submission_id));
            }
            if known.spark_application_id.is_none() && pod.application_id.is_some() {
                change.insert("sparkApplicationId".to_owned(), json!(pod.application_id));
            }
            let why = match pod.progress {
                _ if pod.deleting => "its driver is being deleted; the operator follows the restart policy",
                Progress::Succeeded { .. } => "its driver has succeeded; the operator completes it",
                Progress::Failed { .. } => "its driver has failed; the operator follows the restart policy",
                Progress::Pending(_) => "its driver waits; the operator waits with it",
                Progress::Running | Progress::Unknown => "its driver goes on undisturbed",
            };
            Verdict::Take(change, why.to_owned())
        }
    }
}

/// What our operator keeps beside the published fields: what it compares edits and deadlines with.
fn recorded(known: &SparkApplicationStatus, app: &DynamicObject) -> Map<String, Value> {
    let mut fields = Map::new();
    if known.spec_digest.is_none() {
        let digest = application_digest(app.data.get("spec").unwrap_or(&Value::Null));
        fields.insert("specDigest".to_owned(), json!(digest));
        fields.insert("observedGeneration".to_owned(), json!(app.metadata.generation));
    }
    if let (None, Some(begun)) = (&known.start_time, &known.last_submission_attempt_time) {
        fields.insert("startTime".to_owned(), json!(begun));
    }
    fields
}

/// The status with these fields; a null removes one.
fn with(status: &Value, change: Map<String, Value>) -> Value {
    let mut changed = status.as_object().cloned().unwrap_or_default();
    for (key, value) in change {
        match (changed.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                for (key, value) in new {
                    if value.is_null() {
                        old.shift_remove(&key)
                    } else {
                        old.insert(key, value)
                    };
                }
            }
            (_, Value::Null) => {
                changed.shift_remove(&key);
            }
            (_, Value::Object(mut new)) => {
                new.retain(|_, value| !value.is_null());
                changed.insert(key, Value::Object(new));
            }
            (_, value) => {
                changed.insert(key, value);
            }
        }
    }
    Value::Object(changed)
}

fn created(pod: &Pod) -> Option<Timestamp> {
    pod.creation_timestamp().map(|time| time.0)
}

/// A pod that some other SparkApplication, living or deleted, owns.
fn belongs_to_another(pod: &Pod, uid: &str) -> bool {
    let owners = pod.owner_references();
    let controlled = owners.iter().find(|owner| owner.controller == Some(true));
    controlled.is_some_and(|owner| owner.uid != uid)
}

fn progress(pod: &DriverPod) -> &'static str {
    match pod.progress {
        _ if pod.deleting => "being deleted",
        Progress::Pending(_) => "pending",
        Progress::Running => "running",
        Progress::Succeeded { .. } => "succeeded",
        Progress::Failed { .. } => "failed",
        Progress::Unknown => "unknown",
    }
}

/// Owner and labels of a driver pod, as our own have them; none when it has them.
fn pod_step(pod: &Pod, app: &DynamicObject, uid: &str) -> Option<Step> {
    let name = app.name_any();
    let submission = pod.labels().get(published::LABEL_SUBMISSION_ID).cloned();
    let mut labels = published::app_labels(&name, submission.as_deref());
    labels.insert(published::LABEL_LAUNCHED_BY.to_owned(), "true".to_owned());
    labels.insert(
        published::LABEL_SPARK_ROLE.to_owned(),
        published::ROLE_DRIVER.to_owned(),
    );
    let owned = pod.owner_references().iter().any(|owner| owner.uid == uid);
    let labelled = labels.iter().all(|(key, value)| pod.labels().get(key) == Some(value));
    if owned && labelled {
        return None;
    }
    let owner = json!({
        "apiVersion": names::API_VERSION, "kind": "SparkApplication", "name": name, "uid": uid,
        "controller": true, "blockOwnerDeletion": true,
    });
    let body = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": pod.name_any(), "namespace": pod.namespace(), "uid": pod.uid(), "labels": labels, "ownerReferences": [owner],
        },
    });
    Some(Step::Pod {
        name: pod.name_any(),
        body,
    })
}

/// Objects that the application itself controls. Our operator has the driver pod control them, and there can be one controller only; so the
/// pod becomes an owner, without being the controller, and with no pod the application remains as such a one.
fn companion_steps(facts: &Facts, driver: Option<&Pod>, uid: &str) -> Vec<Step> {
    let controlled = facts.companions.iter().filter(|object| {
        let owners = object["metadata"]["ownerReferences"].as_array();
        owners
            .into_iter()
            .flatten()
            .any(|owner| owner["uid"] == uid && owner["controller"] == true)
    });
    let owner = match driver {
        Some(pod) => json!({"apiVersion": "v1", "kind": "Pod", "name": pod.name_any(), "uid": pod.uid()}),
        None => {
            json!({"apiVersion": names::API_VERSION, "kind": "SparkApplication", "name": facts.app.name_any(), "uid": uid})
        }
    };
    let step = |object: &Value| Step::Companion {
        api_version: text(&object["apiVersion"]).to_owned(),
        kind: text(&object["kind"]).to_owned(),
        name: text(&object["metadata"]["name"]).to_owned(),
        body: json!({"metadata": {"uid": object["metadata"]["uid"], "ownerReferences": [owner]}}),
    };
    controlled.map(step).collect()
}
