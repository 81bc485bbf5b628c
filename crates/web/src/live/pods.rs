//! What pods and nodes say of themselves, as pages need it. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerState, Node, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Raw;
use kube::ResourceExt;
use stoke_model::names;
use stoke_model::quantity::Quantity;

use super::row::millis;

/// The role of a pod: `driver`, `executor`, or what it is for.
pub fn role(pod: &Pod) -> String {
    pod.labels().get(names::LABEL_SPARK_ROLE).cloned().unwrap_or_default()
}

/// Whether it is a driver.
pub fn is_driver(pod: &Pod) -> bool {
    role(pod) == names::ROLE_DRIVER
}

/// The pod whose log is shown: the one that is wanted, else the driver that is the current one, else any driver. Only of these pods: an address
/// must not lead to another's.
pub fn of_log<'a>(all: &'a [Pod], wanted: Option<&str>, current: Option<&str>) -> Option<&'a Pod> {
    let named = |name: Option<&str>| {
        all.iter()
            .find(|pod| name.is_some() && pod.metadata.name.as_deref() == name)
    };
    match wanted {
        Some(_) => named(wanted),
        None => named(current).or_else(|| all.iter().find(|pod| is_driver(pod))),
    }
}

/// The container of a pod whose log is its log.
pub fn main_container(pod: &Pod) -> String {
    let containers = || pod.spec.iter().flat_map(|spec| &spec.containers);
    let spark =
        containers().find(|one| [names::DRIVER_CONTAINER, names::EXECUTOR_CONTAINER].contains(&one.name.as_str()));
    spark
        .or_else(|| containers().next())
        .map(|one| one.name.clone())
        .unwrap_or_default()
}

/// The state of its main container.
pub fn container_state(pod: &Pod) -> Option<&ContainerState> {
    let main = main_container(pod);
    let status = pod.status.as_ref()?;
    let all = status.container_statuses.as_ref()?;
    all.iter().find(|one| one.name == main)?.state.as_ref()
}

/// Its phase, or that it is being deleted.
pub fn phase(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "Terminating".to_owned();
    }
    let phase = pod.status.as_ref().and_then(|status| status.phase.clone());
    phase.unwrap_or_else(|| "Pending".to_owned())
}

/// Why its container waits or ended, with the exit code where there is one.
pub fn reason(pod: &Pod) -> String {
    let of_pod = || {
        pod.status
            .as_ref()
            .and_then(|status| status.reason.clone())
            .unwrap_or_default()
    };
    let Some(state) = container_state(pod) else {
        return of_pod();
    };
    if let Some(ended) = &state.terminated {
        let reason = ended.reason.clone().unwrap_or_default();
        return match ended.exit_code {
            0 => reason,
            code => format!("{reason} (exit code {code})").trim_start().to_owned(),
        };
    }
    let waiting = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
    waiting.unwrap_or_else(of_pod)
}

/// When its node was chosen.
pub fn scheduled(pod: &Pod) -> Option<i64> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions
        .iter()
        .find(|one| one.type_ == "PodScheduled" && one.status == "True")?;
    scheduled.last_transition_time.as_ref().map(millis)
}

/// When its main container started.
pub fn started(pod: &Pod) -> Option<i64> {
    let state = container_state(pod)?;
    let running = state.running.as_ref().and_then(|running| running.started_at.as_ref());
    let ended = || state.terminated.as_ref().and_then(|ended| ended.started_at.as_ref());
    running.or_else(ended).map(millis)
}

/// When its main container ended.
pub fn ended(pod: &Pod) -> Option<i64> {
    let ended = container_state(pod)?.terminated.as_ref()?;
    ended.finished_at.as_ref().map(millis)
}

/// How often its main container was started again.
pub fn restarts(pod: &Pod) -> i64 {
    let all = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    all.into_iter().flatten().map(|one| i64::from(one.restart_count)).sum()
}

/// Thousandths of a core and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Thousandths of a core.
    pub cores: i64,
    /// Bytes.
    pub memory: i64,
}

/// An amount as Kubernetes writes it, in thousandths; none when it cannot be read.
pub fn thousandths(raw: &Raw) -> i64 {
    let read: Result<Quantity, _> = raw.0.parse();
    read.map_or(0, |quantity| quantity.millis())
}

fn of_map(map: Option<&BTreeMap<String, Raw>>) -> Size {
    let of = |name: &str| map.and_then(|map| map.get(name));
    let bytes = |raw: &Raw| {
        let read: Result<Quantity, _> = raw.0.parse();
        read.map_or(0, |quantity| i64::try_from(quantity.bytes()).unwrap_or(i64::MAX))
    };
    Size {
        cores: of("cpu").map_or(0, thousandths),
        memory: of("memory").map_or(0, bytes),
    }
}

/// What a pod asks for.
pub fn requested(pod: &Pod) -> Size {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.fold(Size::default(), |sum, container| {
        let resources = container.resources.as_ref();
        let one = of_map(resources.and_then(|resources| resources.requests.as_ref()));
        Size {
            cores: sum.cores + one.cores,
            memory: sum.memory + one.memory,
        }
    })
}

/// What a node has for pods.
pub fn allocatable(node: &Node) -> Size {
    of_map(node.status.as_ref().and_then(|status| status.allocatable.as_ref()))
}

/// Whether a node is ready, and why not.
pub fn ready(node: &Node) -> Result<(), String> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().find(|one| one.type_ == "Ready");
    match ready {
        Some(ready) if ready.status == "True" => Ok(()),
        Some(ready) => Err(ready
            .message
            .clone()
            .or_else(|| ready.reason.clone())
            .unwrap_or_default()),
        None => Err("NotReady".to_owned()),
    }
}

/// The application a pod belongs to, by its label.
pub fn application(pod: &Pod) -> Option<&String> {
    pod.labels().get(names::LABEL_APP_NAME)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_pod_says() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "d", "labels": {"spark-role": "driver"}},
            "spec": {"containers": [
                {"name": "proxy", "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}}},
                {"name": "spark-kubernetes-driver", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}},
            ]},
            "status": {"phase": "Failed", "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-23T10:00:00Z"}],
                "containerStatuses": [
                    {"name": "proxy", "ready": true, "restartCount": 2, "image": "", "imageID": "", "state": {"running": {}}},
                    {"name": "spark-kubernetes-driver", "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": {"terminated":
                        {"exitCode": 137, "reason": "OOMKilled", "startedAt": "2026-11-23T10:00:05Z", "finishedAt": "2026-11-23T10:01:00Z"}}},
                ]},
        }))
        .unwrap();
        assert!(is_driver(&pod));
        assert_eq!(
            (phase(&pod).as_str(), reason(&pod).as_str()),
            ("Failed", "OOMKilled (exit code 137)")
        );
        assert_eq!(started(&pod).unwrap() - scheduled(&pod).unwrap(), 5000);
        assert_eq!(ended(&pod).unwrap() - started(&pod).unwrap(), 55_000);
        assert_eq!(restarts(&pod), 2);
        assert_eq!(
            requested(&pod),
            Size {
                cores: 1250,
                memory: (1024 + 64) << 20
            }
        );
        let bare = Pod::default();
        assert_eq!(
            (phase(&bare).as_str(), reason(&bare).as_str(), started(&bare)),
            ("Pending", "", None)
        );
    }
}
