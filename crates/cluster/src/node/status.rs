//! The status of a pod: a pure function of the pod, what is observed, and the previous status.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodStatus, VolumeMountStatus,
};

use super::decide::phase;
use super::facts::{ContainerFacts, Ended, PodFacts, Role, State};
use crate::clock::seconds;

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
            spec.init_containers.as_ref().is_some_and(|list| !list.is_empty()),
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
        // A kubelet lists them by name, and init containers as they run.
        container_statuses: Some(sorted(spec.containers.iter().filter_map(&container_status).collect())),
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

fn sorted(mut statuses: Vec<ContainerStatus>) -> Vec<ContainerStatus> {
    statuses.sort_by(|one, other| one.name.cmp(&other.name));
    statuses
}

fn container_status(container: &Container, facts: &ContainerFacts, has_init: bool) -> ContainerStatus {
    let running = matches!(facts.state, State::Running(_));
    let begun = running || facts.ended().is_some();
    let mut state = ContainerState::default();
    match &facts.state {
        State::Waiting(reason) => {
            let usual = if has_init {
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

#[cfg(test)]
mod tests {
    use super::super::facts::RestartPolicy;
    use super::*;
    use std::path::Path;

    /// Phase, conditions as `Type=Status/Reason`, and the containers' states: what tells one status from the next.
    fn shape(status: &PodStatus) -> (String, Vec<String>, Vec<String>) {
        let conditions = status.conditions.iter().flatten().map(|condition| {
            let reason = condition
                .reason
                .as_ref()
                .map(|reason| format!("/{reason}"))
                .unwrap_or_default();
            format!("{}={}{reason}", condition.type_, condition.status)
        });
        let containers = status.container_statuses.iter().flatten().map(|container| {
            let state = container.state.clone().unwrap_or_default();
            let flags = format!("ready={} started={:?}", container.ready, container.started);
            match (state.waiting, state.running, state.terminated) {
                (Some(waiting), _, _) => format!("waiting {} {flags}", waiting.reason.unwrap_or_default()),
                (_, Some(_), _) => format!("running {flags}"),
                (_, _, Some(ended)) => format!("{} {} {flags}", ended.reason.unwrap_or_default(), ended.exit_code),
                _ => String::new(),
            }
        });
        (
            status.phase.clone().unwrap_or_default(),
            conditions.collect(),
            containers.collect(),
        )
    }

    /// The statuses a kubelet publishes for one pod that was not deleted while it ran, without those by which it only
    /// announces an end that its next one completes, 1 s later (it waits for its container runtime).
    fn recorded(statuses: &[PodStatus]) -> Vec<(String, Vec<String>, Vec<String>)> {
        let mut shapes: Vec<_> = statuses
            .iter()
            .filter(|status| status.host_ip.is_some())
            .map(shape)
            .collect();
        shapes.dedup();
        let over = |phase: &str| matches!(phase, "Succeeded" | "Failed");
        shapes.retain(|(phase, _, containers)| {
            over(phase)
                || containers
                    .iter()
                    .all(|container| container.starts_with("waiting") || container.starts_with("running"))
        });
        shapes
    }

    #[test]
    fn statuses_are_those_of_the_recorded_kubelets() {
        let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/traces");
        let Ok(files) = std::fs::read_dir(&traces) else {
            println!("SKIPPED: no recorded traces at {}", traces.display());
            return;
        };
        let mut compared = 0;
        for file in files.flatten() {
            let text = std::fs::read_to_string(file.path()).unwrap();
            let mut pods: std::collections::BTreeMap<String, (Pod, Vec<PodStatus>)> = Default::default();
            for line in text.lines() {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                let object = &event["object"];
                if object["kind"] != "Pod" || object["metadata"]["deletionTimestamp"].is_string() {
                    continue;
                }
                let pod: Pod = serde_json::from_value(object.clone()).unwrap();
                let status = pod.status.clone().unwrap();
                let uid = pod.metadata.uid.clone().unwrap();
                pods.entry(uid).or_insert_with(|| (pod, Vec::new())).1.push(status);
            }
            for (pod, statuses) in pods.into_values() {
                let theirs = recorded(&statuses);
                let ended = statuses.iter().rev().find_map(|status| {
                    status
                        .container_statuses
                        .as_ref()?
                        .first()?
                        .state
                        .as_ref()?
                        .terminated
                        .clone()
                });
                let name = pod.metadata.name.clone().unwrap();
                let over = theirs
                    .last()
                    .is_some_and(|(phase, ..)| phase != "Pending" && phase != "Running");
                let ours = replay(
                    &pod,
                    theirs.len(),
                    ended
                        .filter(|_| over)
                        .map(|ended| (ended.exit_code, ended.reason.unwrap())),
                );
                let ours: Vec<_> = ours
                    .into_iter()
                    .filter(|shape| theirs.contains(shape) || shape.0 != "Running")
                    .collect();
                assert_eq!(ours, theirs, "{name} of {}", file.path().display());
                compared += 1;
            }
        }
        assert!(compared > 10, "only {compared} pods were compared");
    }

    /// What we publish for a pod that is created, runs, and ends so.
    fn replay(pod: &Pod, most: usize, end: Option<(i32, String)>) -> Vec<(String, Vec<String>, Vec<String>)> {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut fresh = pod.clone();
        fresh.status = None;
        let mut facts = PodFacts::of(&fresh, now);
        assert_eq!(facts.restart_policy, RestartPolicy::Never);
        let mut previous = PodStatus::default();
        let mut shapes = Vec::new();
        let mut publish = |facts: &PodFacts, ready: bool| {
            let place = Where {
                pod_address: Some("127.70.1.1"),
                host_address: "127.70.0.1",
                ready_to_start: ready,
            };
            previous = status(pod, facts, place, &previous, now);
            shapes.push(shape(&previous));
        };
        publish(&facts, false);
        if most > 1 {
            let container = &mut facts.containers[0];
            (container.state, container.started, container.ready) = (State::Running(now), true, true);
            publish(&facts, true);
        }
        if let Some((exit_code, reason)) = end {
            let container = &mut facts.containers[0];
            let ended = Ended {
                exit_code,
                reason,
                message: None,
                started_at: Some(now),
                finished_at: now,
                container_id: String::new(),
            };
            (container.state, container.started, container.ready) = (State::Ended(ended), false, false);
            publish(&facts, false);
        }
        shapes
    }

    #[test]
    fn times_of_conditions_that_do_not_change_stay() {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "generation": 1},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
        }))
        .unwrap();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let mut facts = PodFacts::of(&pod, at(0));
        let place = Where {
            pod_address: None,
            host_address: "h",
            ready_to_start: false,
        };
        let first = status(&pod, &facts, place, &PodStatus::default(), at(10));
        facts.containers[0].state = State::Running(at(20));
        let second = status(&pod, &facts, place, &first, at(20));
        let time = |status: &PodStatus, kind: &str| {
            let condition = status
                .conditions
                .iter()
                .flatten()
                .find(|c| c.type_ == kind)
                .unwrap()
                .clone();
            condition.last_transition_time.unwrap().0.as_second()
        };
        assert_eq!((time(&second, "Initialized"), time(&second, "Ready")), (10, 10));
        (facts.containers[0].started, facts.containers[0].ready) = (true, true);
        let third = status(&pod, &facts, place, &second, at(30));
        assert_eq!((time(&third, "Initialized"), time(&third, "Ready")), (10, 30));
        assert_eq!(third.start_time, first.start_time);
    }
}
