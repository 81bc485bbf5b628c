//! The status of a pod: a pure function of the pod, what is observed, and the previous status.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodStatus, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::decide::phase;
use super::facts::{ContainerFacts, Ended, PodFacts, Role, State};

/// Where the pod is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Where<'a> {
    /// The pod's address, told once its first container is started.
    pub pod_address: Option<&'a str>,
    /// The node's address.
    pub host_address: &'a str,
    /// Whether the pod's volumes and names are in place and not yet taken down.
    pub ready_to_start: bool,
}

/// The status to publish. Transition times of `previous` are kept where a condition's status is the same.
pub(crate) fn status(pod: &Pod, facts: &PodFacts, place: Where<'_>, previous: &PodStatus, now: Timestamp) -> PodStatus {
    let phase = phase(facts);
    let spec = pod.spec.clone().unwrap_or_default();
    let terminal = matches!(phase, "Succeeded" | "Failed");
    let initialized = facts.initialized();
    let container_status = |container: &Container| {
        let facts = facts.containers.iter().find(|facts| facts.name == container.name)?;
        Some(container_status(
            container,
            facts,
            facts.role == Role::Main && !initialized,
        ))
    };
    let unready: Vec<&str> = facts
        .containers
        .iter()
        .filter(|c| c.role != Role::Init && !(matches!(c.state, State::Running(_)) && c.ready))
        .map(|c| c.name.as_str())
        .collect();
    let unready_message = || Some(format!("containers with unready status: [{}]", unready.join(" ")));
    let (ready, reason, message) = match phase {
        "Succeeded" => (false, Some("PodCompleted"), None),
        "Failed" => (false, Some("PodFailed"), None),
        _ if unready.is_empty() => (true, None, None),
        _ => (false, Some("ContainersNotReady"), unready_message()),
    };
    let incomplete: Vec<&str> = facts
        .containers
        .iter()
        .filter(|c| match c.role {
            Role::Init => c.ended().is_none_or(|ended| ended.exit_code != 0),
            Role::Sidecar => !c.started,
            Role::Main => false,
        })
        .map(|c| c.name.as_str())
        .collect();
    let (initialized, init_reason, init_message) = match (phase, initialized) {
        ("Succeeded", _) => (true, Some("PodCompleted"), None),
        (_, true) => (true, None, None),
        _ => (
            false,
            Some("ContainersNotInitialized"),
            Some(format!("containers with incomplete status: [{}]", incomplete.join(" "))),
        ),
    };
    let old = previous.conditions.as_deref().unwrap_or_default();
    let condition = |kind: &str, status: bool, reason: Option<&str>, message: Option<String>| {
        let status = if status { "True" } else { "False" };
        let before = old
            .iter()
            .find(|condition| condition.type_ == kind && condition.status == status);
        PodCondition {
            last_transition_time: before
                .and_then(|c| c.last_transition_time.clone())
                .or_else(|| Some(seconds(now))),
            message,
            observed_generation: pod.metadata.generation,
            reason: reason.map(str::to_owned),
            status: status.to_owned(),
            type_: kind.to_owned(),
            ..PodCondition::default()
        }
    };
    let mut conditions = vec![
        condition(
            "PodReadyToStartContainers",
            place.ready_to_start && !terminal,
            None,
            None,
        ),
        condition("Initialized", initialized, init_reason, init_message),
        condition("Ready", ready, reason, message.clone()),
        condition("ContainersReady", ready, reason, message),
        condition("PodScheduled", true, None, None),
    ];
    let ours: Vec<String> = conditions.iter().map(|condition| condition.type_.clone()).collect();
    conditions.extend(old.iter().filter(|condition| !ours.contains(&condition.type_)).cloned());

    let address = place.pod_address.map(str::to_owned);
    PodStatus {
        conditions: Some(conditions),
        container_statuses: Some(spec.containers.iter().filter_map(&container_status).collect()),
        init_container_statuses: spec
            .init_containers
            .as_ref()
            .filter(|list| !list.is_empty())
            .map(|list| list.iter().filter_map(&container_status).collect()),
        host_ip: Some(place.host_address.to_owned()),
        host_ips: Some(vec![HostIP {
            ip: place.host_address.to_owned(),
        }]),
        message: facts.failure.as_ref().map(|(_, message)| message.clone()),
        observed_generation: pod.metadata.generation,
        phase: Some(phase.to_owned()),
        pod_ips: address.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip: address,
        qos_class: previous.qos_class.clone(),
        reason: facts.failure.as_ref().map(|(reason, _)| reason.clone()),
        start_time: previous.start_time.clone().or_else(|| Some(seconds(now))),
        ..PodStatus::default()
    }
}

fn container_status(container: &Container, facts: &ContainerFacts, initializing: bool) -> ContainerStatus {
    let running = matches!(facts.state, State::Running(_));
    let begun = running || facts.ended().is_some();
    let mut state = ContainerState::default();
    match &facts.state {
        State::Waiting(reason) => {
            let usual = if initializing || facts.role == Role::Init {
                "PodInitializing"
            } else {
                "ContainerCreating"
            };
            let (reason, message) = reason.as_ref().map_or((usual, None), |(reason, message)| {
                (reason.as_str(), Some(message.clone()))
            });
            state.waiting = Some(ContainerStateWaiting {
                message,
                reason: Some(reason.to_owned()),
            });
        }
        State::Running(since) => {
            state.running = Some(ContainerStateRunning {
                started_at: Some(seconds(*since)),
            })
        }
        State::Ended(ended) => state.terminated = Some(terminated(ended)),
    }
    let resources = container
        .resources
        .clone()
        .filter(|resources| begun && *resources != Default::default());
    ContainerStatus {
        allocated_resources: resources.as_ref().and_then(|resources| resources.requests.clone()),
        container_id: Some(facts.id.clone()).filter(|id| !id.is_empty()),
        image: container.image.clone().unwrap_or_default(),
        image_id: facts.image_id.clone(),
        last_state: Some(
            facts
                .last
                .as_ref()
                .map_or_else(ContainerState::default, |ended| ContainerState {
                    terminated: Some(terminated(ended)),
                    ..ContainerState::default()
                }),
        ),
        name: facts.name.clone(),
        ready: match facts.role {
            Role::Init => facts.ended().is_some_and(|ended| ended.exit_code == 0),
            _ => running && facts.ready,
        },
        resources,
        restart_count: facts.restarts,
        started: Some(running && facts.started),
        state: Some(state),
        volume_mounts: container.volume_mounts.as_ref().map(|mounts| {
            let status = |mount: &k8s_openapi::api::core::v1::VolumeMount| VolumeMountStatus {
                mount_path: mount.mount_path.clone(),
                name: mount.name.clone(),
                read_only: mount.read_only.filter(|read_only| *read_only),
                recursive_read_only: mount
                    .read_only
                    .filter(|read_only| *read_only)
                    .map(|_| "Disabled".to_owned()),
            };
            mounts.iter().map(status).collect()
        }),
        ..ContainerStatus::default()
    }
}

fn terminated(ended: &Ended) -> ContainerStateTerminated {
    ContainerStateTerminated {
        container_id: Some(ended.container_id.clone()).filter(|id| !id.is_empty()),
        exit_code: ended.exit_code,
        finished_at: Some(seconds(ended.finished_at)),
        message: ended.message.clone(),
        reason: Some(ended.reason.clone()),
        signal: None,
        started_at: ended.started_at.map(seconds),
    }
}

/// A time in whole seconds, as Kubernetes keeps it.
pub(crate) fn seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}
