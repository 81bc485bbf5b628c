//! An object as stored: folded into the bytes that are kept, unfolded into the types that are decided on.
//!
//! An application that rests costs its bytes; the typed form, several times as large, lives for one turn. What no one reads (managed
//! fields, the copy `kubectl apply` leaves) is not kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use stoke_model::crd::{ApplicationStateType, ScheduledSparkApplication, SparkApplication};
use stoke_model::defaults;

use crate::admission::defaulting::application_digest;
use crate::metrics::class;
use crate::names::TEAM;
use crate::schedule::Child;

/// The annotation in which `kubectl apply` keeps the whole object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as it is kept.
#[derive(Debug)]
pub(crate) struct Folded {
    /// UID of the object.
    pub(crate) uid: Box<str>,
    /// Version the next write must find.
    pub(crate) resource_version: Box<str>,
    /// Generation of the spec.
    pub(crate) generation: Option<i64>,
    /// See [`crate::application::Facts::spec_digest`].
    pub(crate) spec_digest: Box<str>,
    /// What is counted.
    pub(crate) summary: Summary,
    /// UID of the schedule that began this application, and what the schedule wants to know of it.
    pub(super) run: Option<Box<(String, Child)>>,
    /// Metadata, spec and status, as JSON.
    parts: [Box<[u8]>; 3],
}

/// An application in short, for those who count them all.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) state: ApplicationStateType,
    /// Since when.
    pub(crate) since: Option<Timestamp>,
    /// Executors that run.
    pub(crate) executors: u32,
    /// The schedule that began it.
    pub(crate) schedule: Option<Box<str>>,
    /// Who looks after it, by its label `team`.
    pub(crate) team: Box<str>,
    pub(crate) created: Option<Timestamp>,
    /// When the run was submitted, and when it ended.
    pub(crate) ran: (Option<Timestamp>, Option<Timestamp>),
    /// What kind of failure its message tells of.
    pub(crate) class: &'static str,
    /// Whether its data held their contracts; none where no one looked.
    pub(crate) contract: Option<bool>,
    /// Spark's id of the run, when the manifest asks for an event log.
    pub(crate) application_id: Box<str>,
    /// Whether the manifest turns the event log on or off.
    pub(crate) event_log: Option<bool>,
}

fn bytes(value: &impl serde::Serialize) -> Box<[u8]> {
    // Objects that came as JSON can always be written as JSON.
    serde_json::to_vec(value).unwrap_or_default().into_boxed_slice()
}

impl Folded {
    /// Folds a stored object, well-formed or not. What was kept of it before saves the digest of a spec of the same generation.
    pub(crate) fn new(stored: &DynamicObject, before: Option<&Self>) -> Self {
        let mut metadata = stored.metadata.clone();
        metadata.managed_fields = None;
        if let Some(annotations) = &mut metadata.annotations {
            annotations.remove(LAST_APPLIED);
        }
        let spec = stored.data.get("spec").unwrap_or(&Value::Null);
        let status = stored.data.get("status").unwrap_or(&Value::Null);
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        let same = before.filter(|before| {
            let known = before.generation.is_some() && metadata.uid.as_deref() == Some(&before.uid);
            known && before.generation == metadata.generation
        });
        Self {
            uid: text(&metadata.uid),
            resource_version: text(&metadata.resource_version),
            generation: metadata.generation,
            spec_digest: match same {
                Some(before) => before.spec_digest.clone(),
                None => application_digest(spec).into(),
            },
            summary: Summary::new(&metadata, spec, status),
            run: run(&metadata, status).map(Box::new),
            parts: [bytes(&metadata), bytes(spec), bytes(status)],
        }
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let metadata: Option<ObjectMeta> = serde_json::from_slice(&self.parts[0]).ok();
        metadata.and_then(|metadata| metadata.labels).unwrap_or_default()
    }

    /// The object as its author wrote it, of this API version and kind; without a status.
    pub(crate) fn written(&self, api_version: &str, kind: &str) -> Value {
        let [metadata, spec, _] = &self.parts;
        let part = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
        serde_json::json!({"apiVersion": api_version, "kind": kind, "metadata": part(metadata), "spec": part(spec)})
    }

    /// The stored status, as it is.
    pub(crate) fn status(&self) -> Value {
        serde_json::from_slice(&self.parts[2]).unwrap_or_default()
    }

    /// The object with defaults applied, or why it cannot be read: a malformed one must not stop the watch.
    pub(crate) fn read<T: Read>(&self) -> Result<T, String> {
        let [metadata, spec, status] = &self.parts;
        let metadata = part("metadata", metadata)?;
        let spec = part("spec", spec)?;
        let status = part("status", status)?;
        Ok(T::read(metadata, spec, status))
    }
}

impl Summary {
    fn new(metadata: &ObjectMeta, spec: &Value, status: &Value) -> Self {
        let entered = status["transitions"].as_array().and_then(|list| list.last());
        let entered = entered.and_then(|last| last["time"].as_str()?.parse().ok());
        let executors = status["executorState"].as_object().into_iter().flatten();
        let running = executors.filter(|(_, state)| *state == "RUNNING").count();
        Self {
            state: state(status),
            since: entered.or_else(|| metadata.creation_timestamp.as_ref().map(|time| time.0)),
            executors: u32::try_from(running).unwrap_or(u32::MAX),
            schedule: metadata
                .owner_references
                .iter()
                .flatten()
                .find(|owner| owner.kind == "ScheduledSparkApplication")
                .map(|owner| owner.name.as_str().into()),
            team: team(metadata).into(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            ran: (
                instant(&status["lastSubmissionAttemptTime"]),
                instant(&status["terminationTime"]),
            ),
            class: class(status["applicationState"]["errorMessage"].as_str().unwrap_or_default()),
            contract: contract(status),
            application_id: status["sparkApplicationId"].as_str().unwrap_or_default().into(),
            event_log: match &spec["sparkConf"]["spark.eventLog.enabled"] {
                Value::String(text) => Some(text == "true"),
                Value::Bool(on) => Some(*on),
                _ => None,
            },
        }
    }
}

/// Who looks after an application.
fn team(metadata: &ObjectMeta) -> &str {
    let labels = metadata.labels.as_ref();
    let team = labels.and_then(|labels| labels.get(TEAM));
    team.map_or("", String::as_str)
}

fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// Whether every contract that was looked at held.
fn contract(status: &Value) -> Option<bool> {
    let conditions = status["conditions"].as_array()?.iter();
    let looked = conditions.filter(|condition| {
        condition["type"]
            .as_str()
            .is_some_and(|kind| kind.starts_with("Quality"))
    });
    let known = looked.filter_map(|condition| match condition["status"].as_str() {
        Some("True") => Some(true),
        Some("False") => Some(false),
        _ => None,
    });
    known.reduce(|all, holds| all && holds)
}

/// The state a status says; new when it says none that is known.
fn state(status: &Value) -> ApplicationStateType {
    ApplicationStateType::deserialize(&status["applicationState"]["state"]).unwrap_or_default()
}

fn run(metadata: &ObjectMeta, status: &Value) -> Option<(String, Child)> {
    let owners = metadata.owner_references.as_ref()?;
    let schedule = owners.iter().find(|owner| owner.kind == "ScheduledSparkApplication")?;
    let child = Child {
        name: metadata.name.clone()?,
        created_at: metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0)
            .unwrap_or_default(),
        state: state(status),
        deleting: metadata.deletion_timestamp.is_some(),
    };
    Some((schedule.uid.clone(), child))
}

/// What can be read from a stored spec and status.
pub(crate) trait Read: Sized {
    type Spec: DeserializeOwned;
    type Status: DeserializeOwned;

    fn read(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self;
}

impl Read for SparkApplication {
    type Spec = stoke_model::crd::SparkApplicationSpec;
    type Status = stoke_model::crd::SparkApplicationStatus;

    fn read(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self {
        let spec = defaults::application(spec);
        Self { metadata, spec, status }
    }
}

impl Read for ScheduledSparkApplication {
    type Spec = stoke_model::crd::ScheduledSparkApplicationSpec;
    type Status = stoke_model::crd::ScheduledSparkApplicationStatus;

    fn read(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self {
        let spec = defaults::scheduled(spec);
        Self { metadata, spec, status }
    }
}

fn part<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("{what} cannot be read: {error}"))
}
