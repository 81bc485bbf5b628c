//! Facts about one server, and how they are read from pods.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use stoke_model::crd::SparkConnect;
use stoke_model::names;

use super::usage::Usage;

/// Annotation of a server pod: digest of the spec it was made of.
pub const SPEC_DIGEST: &str = "stoke.dev/spec-digest";
/// Annotation of a server pod: how many servers there were before it for the same object, plus one.
pub const ATTEMPT: &str = "stoke.dev/attempt";

/// Everything [`decide`](super::decide::decide) may look at.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The object, with its status as known.
    pub connect: SparkConnect,
    /// Digest of the spec as stored.
    pub spec_digest: String,
    /// The server pod.
    pub server: Server,
    /// Executors by phase, in lower case.
    pub executors: BTreeMap<String, i32>,
    /// What came of the last action.
    pub outcome: Option<Outcome>,
    /// When this operator last looked how much the server is used.
    pub counted_at: Option<Timestamp>,
}

/// The server pod, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Server {
    /// No watch has told of it. It may be there all the same.
    #[default]
    NotCached,
    /// The API server itself says that there is none.
    Gone,
    /// It is there.
    Present(ServerPod),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerPod {
    /// UID of the pod.
    pub uid: String,
    /// UIDs of its owners.
    pub owners: Vec<String>,
    /// Address; empty before it has one.
    pub ip: String,
    /// Digest of the spec it was made of.
    pub spec_digest: String,
    /// How many servers there were, with this one.
    pub attempt: u32,
    /// Where it stands.
    pub phase: Phase,
    /// Whether its readiness probe says that the port is open.
    pub ready: bool,
    /// Whether its deletion was asked for.
    pub deleting: bool,
    /// When it was created.
    pub created_at: Option<Timestamp>,
}

/// Where a server pod stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    /// Not started, with the reason when Kubernetes gives one.
    #[default]
    Pending,
    /// Waits for something that is told.
    Waiting(String),
    /// Runs.
    Running,
    /// Ended, and how.
    Ended(String),
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All objects of the server are there; the address clients are given.
    Created {
        /// `sc://…`.
        url: String,
    },
    /// The server cannot be.
    Refused {
        /// Place, cause and fix.
        message: String,
        /// True when trying again without an edit cannot help.
        permanent: bool,
    },
    /// The server told its version.
    Answered {
        /// What it said, for people.
        says: String,
    },
    /// The server did not answer a client.
    Silent {
        /// Why.
        message: String,
    },
    /// How much the server is used.
    Counted(Usage),
}

impl ServerPod {
    /// Reads a pod as the API server stores it.
    #[must_use]
    pub fn read(pod: &Pod) -> Self {
        let annotation = |name: &str| {
            let annotations = pod.metadata.annotations.as_ref()?;
            annotations.get(name).cloned()
        };
        let status = pod.status.clone().unwrap_or_default();
        let owners = pod.metadata.owner_references.iter().flatten();
        Self {
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            owners: owners.map(|owner| owner.uid.clone()).collect(),
            ip: status.pod_ip.clone().unwrap_or_default(),
            spec_digest: annotation(SPEC_DIGEST).unwrap_or_default(),
            attempt: annotation(ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(1),
            phase: phase(pod),
            ready: status
                .conditions
                .iter()
                .flatten()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            created_at: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
        }
    }
}

fn phase(pod: &Pod) -> Phase {
    let Some(status) = &pod.status else {
        return Phase::Pending;
    };
    let container = status
        .container_statuses
        .iter()
        .flatten()
        .find(|container| container.name == names::DRIVER_CONTAINER);
    let state = container.and_then(|container| container.state.as_ref());
    // A sidecar may keep the pod running after the server has ended.
    if let Some(ended) = state.and_then(|state| state.terminated.as_ref()) {
        let reason = ended.reason.as_deref().unwrap_or("Error");
        return Phase::Ended(format!(
            "the server ended with exit code {}, reason {reason}",
            ended.exit_code
        ));
    }
    let words = |reason: &Option<String>, message: &Option<String>| {
        let words = [reason.as_deref(), message.as_deref()];
        let words: Vec<&str> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
        words.join(": ")
    };
    match status.phase.as_deref() {
        Some("Running") => Phase::Running,
        Some("Failed" | "Succeeded") => {
            let why = words(&status.reason, &status.message);
            Phase::Ended(format!(
                "the server pod ended: {}",
                if why.is_empty() { "no reason was given" } else { &why }
            ))
        }
        _ => {
            let waiting = state
                .and_then(|state| state.waiting.as_ref())
                .map(|waiting| words(&waiting.reason, &waiting.message))
                .filter(|why| !why.starts_with("ContainerCreating") && !why.starts_with("PodInitializing"));
            let unscheduled = || {
                let scheduled = status
                    .conditions
                    .iter()
                    .flatten()
                    .find(|condition| condition.type_ == "PodScheduled")?;
                (scheduled.status == "False").then(|| words(&scheduled.reason, &scheduled.message))
            };
            waiting
                .or_else(unscheduled)
                .filter(|why| !why.is_empty())
                .map_or(Phase::Pending, Phase::Waiting)
        }
    }
}
