//! What a pod that does not start waits for, since when, and who can change it; and what [executors that are not even made](refused) do.
//!
//! In: the pod, and events about it where they were asked for. Out: a [`Waiting`], or none while all goes as always. The clock stays outside: a
//! [`Waiting`] says from when on it is worth telling.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod, PodCondition};

pub mod refused;

/// Reasons of a waiting container that are part of every normal start.
pub const NORMAL_WAITING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// The reason of a pod whose node is at work on it, or says nothing: events may tell more.
pub const ON_NODE: &str = "NodeNotReporting";

/// A scheduler that is there looks at a pod at once.
const UNCLAIMED: SignedDuration = SignedDuration::from_secs(5);
/// Pulling an image, mounting and an init container may take a while.
const PREPARING: SignedDuration = SignedDuration::from_secs(15);

/// What a pod waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// As Kubernetes calls it (`Unschedulable`, `FailedMount`, `ImagePullBackOff`, …), or `NoScheduler`, `InitContainer`, `NodeNotReporting`.
    pub reason: String,
    /// In words, Kubernetes' own where it has some.
    pub message: String,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// From when on it is worth telling; none when at once.
    pub after: Option<Timestamp>,
    /// What to do, and who can.
    pub fix: String,
}

impl Waiting {
    /// True when it is worth telling at this time.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> bool {
        self.after.is_none_or(|after| after <= now)
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.reason)?;
        if !self.message.is_empty() {
            write!(out, ": {}", self.message.trim_end_matches('.'))?;
        }
        if let Some(since) = self.since {
            write!(out, " (since {since:.0})")?;
        }
        write!(out, "; {}", self.fix)
    }
}

/// What a pod waits for, by its status and the events about it. Events may be none: then what only they tell is not told.
#[must_use]
pub fn of_pod(pod: &Pod, events: &[Event]) -> Option<Waiting> {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if !matches!(phase, "" | "Pending") || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let scheduled = condition(pod, "PodScheduled");
    let scheduled_at = scheduled
        .filter(|scheduled| scheduled.status == "True")
        .and_then(|scheduled| time(scheduled.last_transition_time.as_ref()));
    let place = Place::of(pod);
    if let Some(waiting) = containers(pod).find_map(|container| cannot_start(container, scheduled_at, &place)) {
        return Some(waiting);
    }
    if let Some(condition) = scheduled.filter(|scheduled| scheduled.status == "False") {
        let since = time(condition.last_transition_time.as_ref());
        let message = condition.message.clone().unwrap_or_default();
        let reason = condition.reason.clone().filter(|reason| !reason.is_empty());
        return Some(place.waiting(reason.unwrap_or_else(|| "Unschedulable".into()), message, since, None));
    }
    let spec = pod.spec.as_ref();
    let node = spec.and_then(|spec| spec.node_name.as_deref());
    let Some(node) = node.filter(|node| !node.is_empty()) else {
        return scheduled.is_none().then(|| unclaimed(pod, &place));
    };
    if let Some(waiting) = containers(pod).find_map(|container| initializing(container, &place)) {
        return Some(waiting);
    }
    if let Some(waiting) = of_events(&place, events) {
        return Some(waiting);
    }
    let message = format!("node {node} has not made its image, volumes and network ready");
    Some(place.waiting(ON_NODE, message, scheduled_at, later(scheduled_at, PREPARING * 2)))
}

/// Where a pod is.
struct Place {
    namespace: String,
    pod: String,
}

impl Place {
    fn of(pod: &Pod) -> Self {
        Self {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            pod: pod.metadata.name.clone().unwrap_or_default(),
        }
    }

    fn waiting(
        &self,
        reason: impl Into<String>,
        message: String,
        since: Option<Timestamp>,
        after: Option<Timestamp>,
    ) -> Waiting {
        let reason = reason.into();
        Waiting {
            fix: fix(&reason, &message, self),
            reason,
            message,
            since,
            after,
        }
    }
}

fn time(time: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>) -> Option<Timestamp> {
    time.map(|time| time.0)
}

fn later(since: Option<Timestamp>, by: SignedDuration) -> Option<Timestamp> {
    since.and_then(|since| since.checked_add(by).ok())
}

fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Init containers first: they run first.
fn containers(pod: &Pod) -> impl Iterator<Item = (&ContainerStatus, bool)> {
    let status = pod.status.as_ref();
    let of = |statuses: Option<&'_ Vec<ContainerStatus>>| statuses.map_or(&[][..], Vec::as_slice).len();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let count = of(init);
    let own = status.and_then(|status| status.container_statuses.as_ref());
    let all = init.into_iter().chain(own).flatten().enumerate();
    all.map(move |(at, container)| (container, at < count))
}

/// A container that cannot be started, or an init container that ends badly again and again.
fn cannot_start(
    (container, init): (&ContainerStatus, bool),
    since: Option<Timestamp>,
    place: &Place,
) -> Option<Waiting> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting
        .reason
        .as_deref()
        .filter(|reason| !NORMAL_WAITING.contains(reason))?;
    let message = waiting.message.clone().unwrap_or_default();
    let name = &container.name;
    let message = match (init, message.is_empty()) {
        (false, _) => message,
        (true, true) => format!("init container {name}"),
        (true, false) => format!("init container {name}: {message}"),
    };
    let mut told = place.waiting(reason, message, since, None);
    if reason == "CrashLoopBackOff" {
        told.fix = logs_of(name, place, " --previous");
    }
    Some(told)
}

/// An init container that runs.
fn initializing((container, init): (&ContainerStatus, bool), place: &Place) -> Option<Waiting> {
    let running = container.state.as_ref()?.running.as_ref().filter(|_| init)?;
    // One that runs beside the others (a sidecar) delays nothing once it has started.
    if container.started == Some(true) {
        return None;
    }
    let since = time(running.started_at.as_ref());
    let message = format!("init container {} has not ended", container.name);
    let mut told = place.waiting("InitContainer", message, since, later(since, PREPARING));
    told.fix = logs_of(&container.name, place, "");
    Some(told)
}

fn logs_of(container: &str, place: &Place, option: &str) -> String {
    format!(
        "`kubectl logs -n {} {} -c {container}{option}` shows what it does",
        place.namespace, place.pod
    )
}

/// A pod no scheduler has looked at.
fn unclaimed(pod: &Pod, place: &Place) -> Waiting {
    let since = time(pod.metadata.creation_timestamp.as_ref());
    let scheduler = pod.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref());
    let scheduler = scheduler.filter(|name| !name.is_empty()).unwrap_or("default-scheduler");
    Waiting {
        reason: "NoScheduler".into(),
        message: format!("no scheduler by the name {scheduler} has taken the pod {}", place.pod),
        since,
        after: later(since, UNCLAIMED),
        fix: no_scheduler(scheduler),
    }
}

/// What to do about a scheduler that takes no pods.
#[must_use]
pub fn no_scheduler(name: &str) -> String {
    match name {
        "default-scheduler" => "see whether kube-scheduler runs (the cluster's administrator can)".into(),
        "volcano" | "yunikorn" => {
            format!("have {name} installed in this cluster (its administrator can), or leave out spec.batchScheduler")
        }
        _ => format!(
            "have the scheduler {name} started in this cluster (its administrator can), or leave out schedulerName and spec.batchScheduler"
        ),
    }
}

/// What the events about a pod say when its status says [`ON_NODE`] and no more.
#[must_use]
pub fn from_events(namespace: &str, pod: &str, events: &[Event]) -> Option<Waiting> {
    let place = Place {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
    };
    of_events(&place, events)
}

/// What a node could not do for a pod, as the last of its events says.
fn of_events(place: &Place, events: &[Event]) -> Option<Waiting> {
    const TOLD: [&str; 7] = [
        "FailedMount",
        "FailedAttachVolume",
        "FailedMapVolume",
        "FailedCreatePodSandBox",
        "NetworkNotReady",
        "FailedCreatePodContainer",
        "Pulling",
    ];
    let about = |event: &&Event| {
        let object = &event.involved_object;
        object.name.as_ref().is_none_or(|name| *name == place.pod)
            && object.kind.as_deref().is_none_or(|kind| kind == "Pod")
    };
    let last = |event: &Event| {
        let seen = time(event.last_timestamp.as_ref()).or_else(|| event.event_time.as_ref().map(|time| time.0));
        seen.or_else(|| time(event.metadata.creation_timestamp.as_ref()))
    };
    let event = events.iter().filter(about).filter(|event| {
        let reason = event.reason.as_deref().unwrap_or_default();
        TOLD.contains(&reason) || reason == "Pulled"
    });
    let event = event.max_by_key(|event| last(event))?;
    let first = time(event.first_timestamp.as_ref()).or_else(|| last(event));
    let message = event.message.clone().unwrap_or_default();
    match event.reason.as_deref()? {
        "Pulled" => None,
        "Pulling" => Some(Waiting {
            fix: "a large image takes minutes the first time; wait, or use one that the nodes have".into(),
            ..place.waiting("Pulling", message, first, later(first, PREPARING))
        }),
        reason => Some(place.waiting(reason, message, first, None)),
    }
}

/// What to do, and who can.
fn fix(reason: &str, message: &str, place: &Place) -> String {
    let namespace = &place.namespace;
    let missing = [
        ("configmap", "ConfigMap"),
        ("secret", "Secret"),
        ("persistentvolumeclaim", "claim"),
    ];
    for (word, kind) in missing {
        if let Some(name) = missing_object(message, word) {
            return format!(
                "create the {kind} {name} in the namespace {namespace}, or correct its name in the manifest"
            );
        }
    }
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let text = if reason.contains("Image") || reason == "RegistryUnavailable" {
        "correct the image in the manifest, name imagePullSecrets that may pull it, or have it pushed to that registry"
    } else if reason == "SchedulingGated" {
        "whoever set the pod's scheduling gates must remove them"
    } else if has(&["non-existent config key", "couldn't find key"]) {
        "add the key to the object, or correct it in the manifest"
    } else if has(&[
        "unbound immediate PersistentVolumeClaims",
        "volume node affinity",
        "available persistent volumes",
    ]) {
        "see `kubectl describe pvc`: the claim needs a storage class with a provisioner, or a volume (the cluster's administrator can)"
    } else if has(&["taint"]) && !has(&["Insufficient"]) {
        "tolerate the taint in the manifest, or have nodes added without it"
    } else if has(&["node affinity/selector", "node selector"]) && !has(&["Insufficient"]) {
        "correct nodeSelector or affinity in the manifest, or have a node labelled so"
    } else if reason == "Unschedulable" {
        "ask for less in the manifest, wait until others end, or have nodes added"
    } else if matches!(reason, "FailedCreatePodSandBox" | "NetworkNotReady") {
        "the node's network or container runtime must be fixed (by the cluster's administrator)"
    } else if matches!(reason, "FailedAttachVolume" | "FailedMapVolume") {
        "the volume must be released or its storage fixed (`kubectl describe pvc`; by the cluster's administrator)"
    } else {
        return format!("`kubectl describe pod -n {namespace} {}` shows its events", place.pod);
    };
    text.into()
}

/// `X` of `configmap "X" not found`, also in the plural and with the object's group.
fn missing_object<'a>(message: &'a str, kind: &str) -> Option<&'a str> {
    let lower = message.to_ascii_lowercase();
    let at = lower
        .find(&format!("{kind} \""))
        .or_else(|| lower.find(&format!("{kind}s \"")))?;
    let (_, rest) = message.get(at..)?.split_once('"')?;
    let (name, rest) = rest.split_once('"')?;
    rest.trim_start().starts_with("not found").then_some(name)
}

#[cfg(test)]
mod tests;
