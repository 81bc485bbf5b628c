//! What is known about one application when a decision is made: plain values, read at the edge, never looked up again.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use stoke_model::crd::{ExecutorState, SparkApplication};
use stoke_model::names;
use stoke_model::waiting::{self, NORMAL_WAITING, Waiting};

use super::limits::Limits;
use crate::logs::Which;
use crate::quality::{CheckPod, Refused};

/// Everything [`decide`](super::decide) may look at.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The application: metadata, spec with defaults applied, and the status last written.
    pub app: SparkApplication,
    /// Digest of the spec with its defaults, without `suspend` and `timeToLiveSeconds`: equal digests ask for the same pods.
    pub spec_digest: String,
    /// What the operator allows where the application's annotations say nothing.
    pub limits: Limits,
    /// The driver pod.
    pub driver: Driver,
    /// What Kubernetes' events say of a driver that does not start, where they were asked for.
    pub events_say: Option<Waiting>,
    /// The executor pods of this application, of every attempt, in any order.
    pub executors: Vec<ExecutorPod>,
    /// The answer to [`Action::Submit`](super::Action::Submit), in the round that follows it.
    pub submission: Option<Outcome>,
    /// Pods of this application that check data, of every attempt, in any order.
    pub checks: Vec<CheckPod>,
    /// Why the check that was asked for could not be made, in the round that follows.
    pub check_refused: Option<Refused>,
    /// True while policies are to be asked before the next submission.
    pub unjudged: bool,
    /// How long news of executors alone has waited for more of it; none while none waits.
    pub gathering: Option<SignedDuration>,
    /// How far the logs of the run are kept; none where none are.
    pub logs: Option<Logs>,
}

/// Logs that are kept of one run of an application, as far as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logs {
    /// Which are kept of applications that say nothing.
    pub which: Which,
    /// How long the application waits for them at most.
    pub hold: SignedDuration,
    /// URL of the directory of this application's runs.
    pub place: String,
    /// Directory of the run that the rest is about: `<attempt>-<trace id>`.
    pub run: String,
    /// How far each file is.
    pub copies: BTreeMap<String, LogCopy>,
    /// True when at least one was kept, even if its pod is gone and it is not among the copies.
    pub any_kept: bool,
    /// How long the application has waited; none before it waits.
    pub waited: Option<SignedDuration>,
    /// True when [`Action::ReportMissingLogs`](super::Action::ReportMissingLogs) was done.
    pub reported: bool,
    /// True when the wait is the last one, before the application itself goes.
    pub last: bool,
}

impl Logs {
    /// URL of a run's directory.
    #[must_use]
    pub fn url(&self, run: &str) -> String {
        format!("{}/{run}", self.place)
    }

    /// Where logs are kept, when at least one is.
    #[must_use]
    pub fn kept(&self) -> Option<String> {
        self.any_kept.then(|| self.url(&self.run))
    }
}

/// How far one log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogCopy {
    /// It is being copied; why it failed the last time, when it did.
    UnderWay(Option<String>),
    /// It is in the store.
    Kept {
        /// Its pod is being removed, or needs not be.
        removed: bool,
    },
    /// There is none: the pod or its container is gone, or never began.
    Absent,
    /// It will not be kept; why, with the file.
    Failed(String),
}

impl Facts {
    /// What a driver that does not run waits for, when it is worth telling at this time.
    #[must_use]
    pub fn driver_waits(&self, now: Timestamp) -> Option<&Waiting> {
        let Driver::Present(pod) = &self.driver else {
            return None;
        };
        let told = self.events_say.as_ref().filter(|_| pod.is_on_node());
        let waits = told.or(pod.waits.as_deref());
        waits.filter(|waits| matches!(pod.progress, Progress::Pending(_)) && waits.counts(now))
    }

    /// The driver's pod, when only events can say why its node has not started it for a while.
    pub(crate) fn asks_for_events(&self, now: Timestamp) -> Option<&str> {
        let Driver::Present(pod) = &self.driver else {
            return None;
        };
        let quiet = pod.scheduled_at.and_then(|at| at.checked_add(QUIET).ok());
        let is_due = pod.is_on_node() && quiet.is_some_and(|quiet| quiet <= now);
        is_due.then_some(pod.name.as_str())
    }
}

/// How long a start may say nothing before events are asked for.
pub(crate) const QUIET: SignedDuration = SignedDuration::from_secs(5);

/// What is known about the driver pod.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "one for a turn of one application, and that is the large one"
)]
pub enum Driver {
    /// The cache does not have it. That alone proves nothing: caches lag.
    #[default]
    NotCached,
    /// The API server itself said that it does not exist.
    Gone,
    /// It exists and belongs to this application.
    Present(DriverPod),
}

/// The fields of a driver pod that decisions depend on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DriverPod {
    /// Name of the pod.
    pub name: String,
    pub uid: String,
    /// UIDs of its owners.
    pub owners: Vec<String>,
    /// Its submission, from the label `sparkoperator.k8s.io/submission-id`.
    pub submission_id: Option<String>,
    /// Spark's application id, from the label `spark-app-selector`.
    pub application_id: Option<String>,
    /// Containers that have begun, Spark's first; empty when that is the only one and has its usual name.
    pub containers: Vec<String>,
    /// How far it got.
    pub progress: Progress,
    /// True when its condition `Ready` is true.
    pub ready: bool,
    /// When a node was found for it.
    pub scheduled_at: Option<Timestamp>,
    /// True when its node says that volumes, network or sandbox are not ready for its containers (`PodReadyToStartContainers`, Kubernetes 1.29).
    pub unprepared: bool,
    /// What it waits for, by its status alone.
    pub waits: Option<Box<Waiting>>,
    /// True when its deletion was asked for.
    pub deleting: bool,
    /// When it should be gone, its grace period over.
    pub gone_by: Option<Timestamp>,
    /// Who must let go of it: its node and its finalizers.
    pub held_by: String,
    /// True when the API server itself said all this a moment ago; false when a cache did.
    pub live: bool,
}

/// How far a driver got.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Progress {
    /// It does not run yet; the reason, when waiting alone will hardly help.
    Pending(Option<PendingReason>),
    /// The Spark container runs.
    Running,
    /// The Spark container ended with exit code 0, whatever its sidecars do.
    Succeeded {
        /// When, if the node said so.
        at: Option<Timestamp>,
    },
    /// The Spark container ended otherwise, or the pod was ended from outside.
    Failed {
        /// When, if the node said so.
        at: Option<Timestamp>,
        /// What the status tells people: contains `driver container failed`.
        message: String,
    },
    /// The node does not report.
    #[default]
    Unknown,
}

impl Progress {
    /// True when the Spark container has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self, Self::Succeeded { .. } | Self::Failed { .. })
    }
}

/// Why a pod does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingReason {
    /// As Kubernetes calls it: `ImagePullBackOff`, `Unschedulable`, ….
    pub reason: String,
    /// Kubernetes' explanation.
    pub message: String,
    /// True when a node has the pod and cannot start it; false when no node was found.
    pub on_node: bool,
}

impl std::fmt::Display for PendingReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.message.is_empty() {
            true => f.write_str(&self.reason),
            false => write!(f, "{}: {}", self.reason, self.message),
        }
    }
}

/// The fields of an executor pod that decisions depend on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecutorPod {
    /// Name of the pod.
    pub name: String,
    /// Spark's executor id, from the label `spark-exec-id`.
    pub id: Option<u64>,
    /// Its submission, from the label `sparkoperator.k8s.io/submission-id`.
    pub submission_id: Option<String>,
    /// Its state in the words of the published status.
    pub state: ExecutorState,
    /// Exit code and reason, or the reason for waiting, when there is one.
    pub detail: String,
    /// As of a driver.
    pub containers: Vec<String>,
    /// True when Spark is done with it and left the pod (`spark-exec-inactive`).
    pub let_go: bool,
}

/// What came of a submission.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The driver pod and everything it owns exist.
    Submitted(Submitted),
    /// The submission cannot be: by our own rules, or the API server refused an object. Nothing of it is left.
    Refused {
        /// Stable code in UpperCamelCase.
        code: String,
        /// Place, cause and fix.
        message: String,
        /// True when trying again without an edit cannot help.
        permanent: bool,
    },
    /// A pod with the driver's name is in the way.
    Blocked {
        /// Which, and what is being waited for.
        message: String,
    },
}

/// A submission that exists at the API server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Submitted {
    /// Spark's application id.
    pub application_id: String,
    /// Service of the Spark UI, with its port.
    pub web_ui: Option<(String, i32)>,
    /// Ingress or route of the Spark UI, with the address it is reached at.
    pub web_ui_ingress: Option<(String, String)>,
}

impl DriverPod {
    /// True when its node has it and its status does not say why it does not run.
    pub(crate) fn is_on_node(&self) -> bool {
        let is_pending = matches!(self.progress, Progress::Pending(None));
        is_pending
            && self
                .waits
                .as_ref()
                .is_some_and(|waits| waits.reason == waiting::ON_NODE)
    }

    /// Reads a driver pod as the API server stores it.
    #[must_use]
    pub fn read(pod: &Pod) -> Self {
        let label = |key: &str| label(pod, key);
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            owners: owners(pod),
            submission_id: label(names::LABEL_SUBMISSION_ID),
            application_id: label(names::LABEL_SPARK_APP_SELECTOR),
            containers: containers(pod, names::DRIVER_CONTAINER),
            progress: progress(pod),
            ready: condition(pod, "Ready").is_some_and(|ready| ready.status == "True"),
            scheduled_at: condition(pod, "PodScheduled")
                .filter(|scheduled| scheduled.status == "True")
                .and_then(|scheduled| scheduled.last_transition_time.as_ref())
                .map(|time| time.0),
            unprepared: condition(pod, "PodReadyToStartContainers").is_some_and(|ready| ready.status == "False"),
            waits: waiting::of_pod(pod, &[]).map(Box::new),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            gone_by: pod.metadata.deletion_timestamp.as_ref().map(|time| time.0),
            held_by: held_by(pod),
            live: false,
        }
    }
}

impl ExecutorPod {
    /// Reads an executor pod as the API server stores it.
    #[must_use]
    pub fn read(pod: &Pod) -> Self {
        let terminated = spark_container(pod, names::EXECUTOR_CONTAINER)
            .and_then(|status| status.state.as_ref()?.terminated.as_ref());
        let (state, detail) = match (phase(pod), terminated) {
            (_, Some(ended)) => {
                let detail = format!(
                    "ExitCode: {}, Reason: {}",
                    ended.exit_code,
                    ended.reason.as_deref().unwrap_or("")
                );
                match ended.exit_code {
                    0 => (ExecutorState::Completed, detail),
                    _ => (ExecutorState::Failed, detail),
                }
            }
            ("Pending", None) => (
                ExecutorState::Pending,
                pending_reason(pod).map(|reason| reason.to_string()).unwrap_or_default(),
            ),
            ("Running", None) => (ExecutorState::Running, String::new()),
            ("Succeeded", None) => (ExecutorState::Completed, String::new()),
            ("Failed", None) => (ExecutorState::Failed, pod_reason(pod)),
            _ => (ExecutorState::Unknown, String::new()),
        };
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            id: label(pod, names::LABEL_SPARK_EXEC_ID).and_then(|id| id.parse().ok()),
            submission_id: label(pod, names::LABEL_SUBMISSION_ID),
            containers: containers(pod, names::EXECUTOR_CONTAINER),
            let_go: label(pod, names::LABEL_SPARK_EXEC_INACTIVE).is_some_and(|label| label == "true"),
            state,
            detail,
        }
    }
}

fn progress(pod: &Pod) -> Progress {
    let container = spark_container(pod, names::DRIVER_CONTAINER);
    let ended = container.and_then(|status| status.state.as_ref()?.terminated.as_ref());
    match (phase(pod), ended) {
        ("Pending", None) => Progress::Pending(pending_reason(pod)),
        ("Running", None) => Progress::Running,
        ("Succeeded", _) => Progress::Succeeded {
            at: ended.and_then(|e| e.finished_at.as_ref()).map(|t| t.0),
        },
        (_, Some(ended)) if ended.exit_code == 0 => Progress::Succeeded {
            at: ended.finished_at.as_ref().map(|t| t.0),
        },
        (_, Some(ended)) => {
            let reason = ended.reason.as_deref().unwrap_or("Error");
            let mut message = format!(
                "driver container failed with ExitCode: {}, Reason: {reason}",
                ended.exit_code
            );
            // The container's own last words, and why its pod was ended (an eviction, a node that shuts down).
            for text in [ended.message.as_deref().unwrap_or_default(), &pod_reason(pod)] {
                if !text.trim().is_empty() {
                    message.push_str(": ");
                    message.push_str(text.trim());
                }
            }
            Progress::Failed {
                at: ended.finished_at.as_ref().map(|t| t.0),
                message,
            }
        }
        ("Failed", None) => {
            let why = pod_reason(pod);
            let why = if why.is_empty() {
                "driver container status missing".to_owned()
            } else {
                why
            };
            Progress::Failed {
                at: None,
                message: format!("driver container failed: {why}"),
            }
        }
        _ => Progress::Unknown,
    }
}

/// The status of the Spark container: by its usual name, else the last container of the spec, where Spark puts its own.
fn spark_container<'a>(pod: &'a Pod, usual: &str) -> Option<&'a ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let by_name = |name: &str| statuses.iter().find(|status| status.name == name);
    by_name(usual).or_else(|| by_name(&pod.spec.as_ref()?.containers.last()?.name))
}

/// See [`DriverPod::containers`].
fn containers(pod: &Pod, usual: &str) -> Vec<String> {
    let Some(spark) = spark_container(pod, usual).map(|status| status.name.as_str()) else {
        return Vec::new();
    };
    let status = pod.status.as_ref();
    let has_begun = |container: &&ContainerStatus| {
        let state = container.state.as_ref();
        state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    };
    let all = status.map(|status| [&status.init_container_statuses, &status.container_statuses]);
    let others = all.into_iter().flatten().flatten().flatten().filter(has_begun);
    let mut begun = vec![spark.to_owned()];
    begun.extend(
        others
            .map(|container| container.name.clone())
            .filter(|name| name != spark),
    );
    match begun.as_slice() {
        [only] if only == usual => Vec::new(),
        _ => begun,
    }
}

/// Why a pending pod does not start, if something stands in its way: not scheduled, or a container that cannot be started.
pub(crate) fn pending_reason(pod: &Pod) -> Option<PendingReason> {
    let status = pod.status.as_ref()?;
    let waiting = [&status.init_container_statuses, &status.container_statuses]
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|container| container.state.as_ref()?.waiting.as_ref())
        .find_map(|waiting| {
            let reason = waiting
                .reason
                .as_deref()
                .filter(|reason| !NORMAL_WAITING.contains(reason))?;
            Some(PendingReason {
                reason: reason.to_owned(),
                message: waiting.message.clone().unwrap_or_default(),
                on_node: true,
            })
        });
    let unscheduled = || {
        let scheduled = condition(pod, "PodScheduled").filter(|scheduled| scheduled.status == "False")?;
        Some(PendingReason {
            reason: scheduled.reason.clone().filter(|reason| !reason.is_empty())?,
            message: scheduled.message.clone().unwrap_or_default(),
            on_node: false,
        })
    };
    waiting.or_else(unscheduled)
}

pub(crate) fn pod_reason(pod: &Pod) -> String {
    let status = pod.status.as_ref();
    let part = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
    let reason = part(status.and_then(|s| s.reason.as_ref()));
    let message = part(status.and_then(|s| s.message.as_ref()));
    [reason, message].into_iter().flatten().collect::<Vec<_>>().join(": ")
}

fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Who a pod that is being deleted waits for; empty for any other.
fn held_by(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_none() {
        return String::new();
    }
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
    let finalizers = pod.metadata.finalizers.as_deref().unwrap_or_default();
    let node = node.map(|node| format!("node {node}"));
    let finalizers = (!finalizers.is_empty()).then(|| format!("finalizers {}", finalizers.join(", ")));
    node.into_iter().chain(finalizers).collect::<Vec<_>>().join(", ")
}

pub(crate) fn phase(pod: &Pod) -> &str {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    // A pod the node has not seen yet has no phase.
    phase.filter(|phase| !phase.is_empty()).unwrap_or("Pending")
}

/// UIDs of a pod's owners.
pub(crate) fn owners(pod: &Pod) -> Vec<String> {
    let all = pod.metadata.owner_references.iter().flatten();
    all.map(|owner| owner.uid.clone()).collect()
}

fn label(pod: &Pod, key: &str) -> Option<String> {
    let labels: Option<&BTreeMap<String, String>> = pod.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(key)).cloned()
}
