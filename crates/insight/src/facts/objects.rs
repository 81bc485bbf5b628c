//! Facts of a cluster out of objects as the API server gives them.
//!
//! A field that is missing, or is something else than the Kubernetes API says, is read as if it were not there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stoke_model::names;

use super::cluster::{Cluster, Condition, Container, Event, Node, Pod, Role, State};

/// Objects about one application, each whole. Lists may be the items or `List` objects' `items`; the caller chooses what belongs to the
/// application.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Objects {
    /// The `SparkApplication`, or null.
    pub application: Value,
    /// Pods of the driver and the executors.
    pub pods: Vec<Value>,
    /// Events, of `v1` or `events.k8s.io/v1`.
    pub events: Vec<Value>,
    /// `ResourceQuota`s of the namespace.
    pub quotas: Vec<Value>,
    /// `NetworkPolicy`s of the namespace.
    pub network_policies: Vec<Value>,
    /// `PersistentVolumeClaim`s the pods name.
    pub claims: Vec<Value>,
    /// `Node`s.
    pub nodes: Vec<Value>,
}

impl Cluster {
    /// The facts these objects tell. Pods that are neither a driver nor an executor (label `spark-role`) are left out; pods are ordered: the
    /// driver's, then executors' by number; events by the time they were seen last.
    pub fn of_objects(objects: Objects) -> Cluster {
        let mut pods: Vec<Pod> = objects.pods.iter().filter_map(pod).collect();
        pods.sort_by_cached_key(|pod| (order(&pod.role), pod.created, pod.name.clone()));
        let mut events: Vec<Event> = objects.events.iter().map(event).collect();
        events.sort_by_key(|event| (event.last, event.first));
        Cluster {
            application: objects.application,
            pods,
            events,
            quotas: objects.quotas,
            network_policies: objects.network_policies,
            claims: objects.claims,
            nodes: objects.nodes.iter().map(node).collect(),
        }
    }
}

/// The driver, then executors as numbers count.
fn order(role: &Role) -> (u8, u64, String) {
    match role {
        Role::Driver => (0, 0, String::new()),
        Role::Executor(id) => (1, id.parse().unwrap_or(u64::MAX), id.clone()),
    }
}

fn pod(value: &Value) -> Option<Pod> {
    let labels = &value["metadata"]["labels"];
    let role = match labels[names::LABEL_SPARK_ROLE].as_str()? {
        // A Connect server is the driver of its sessions.
        names::ROLE_DRIVER | names::ROLE_CONNECT_SERVER => Role::Driver,
        names::ROLE_EXECUTOR => Role::Executor(text(&labels[names::LABEL_SPARK_EXEC_ID])),
        _ => return None,
    };
    let usual = match role {
        Role::Driver => names::DRIVER_CONTAINER,
        Role::Executor(_) => names::EXECUTOR_CONTAINER,
    };
    let status = &value["status"];
    Some(Pod {
        name: text(&value["metadata"]["name"]),
        labels: map(labels),
        role,
        // A pod no node has seen yet has no phase.
        phase: status["phase"]
            .as_str()
            .filter(|phase| !phase.is_empty())
            .unwrap_or("Pending")
            .to_owned(),
        reason: text(&status["reason"]),
        message: text(&status["message"]),
        node: value["spec"]["nodeName"].as_str().map(str::to_owned),
        created: time(&value["metadata"]["creationTimestamp"]),
        deleted: time(&value["metadata"]["deletionTimestamp"]),
        conditions: items(&status["conditions"]).map(condition).collect(),
        containers: containers(value, usual),
        spec: value["spec"].clone(),
    })
}

/// Spark's container first (by its usual name, else the first), then the others, then those that ran before them.
fn containers(pod: &Value, usual: &str) -> Vec<Container> {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let mut main = merged(&spec["containers"], &status["containerStatuses"], false);
    if let Some(place) = main.iter().position(|container| container.name == usual) {
        main[..=place].rotate_right(1);
    }
    main.extend(merged(&spec["initContainers"], &status["initContainerStatuses"], true));
    main
}

/// Containers as the specification orders them, each with its status; a status without a specification comes last.
fn merged(specs: &Value, statuses: &Value, init: bool) -> Vec<Container> {
    let nothing = Value::Null;
    let named = |list: &'_ Value, name: &str| list.as_array()?.iter().find(|item| item["name"] == name).cloned();
    let mut containers: Vec<Container> = items(specs)
        .map(|spec| {
            let status = spec["name"].as_str().and_then(|name| named(statuses, name));
            container(spec, status.as_ref().unwrap_or(&nothing), init)
        })
        .collect();
    let rest =
        items(statuses).filter(|status| status["name"].as_str().is_some_and(|name| named(specs, name).is_none()));
    containers.extend(rest.map(|status| container(&nothing, status, init)));
    containers
}

fn container(spec: &Value, status: &Value, init: bool) -> Container {
    let first = |path: &str| {
        let of = |value: &Value| value[path].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        of(spec).or_else(|| of(status)).unwrap_or_default()
    };
    Container {
        name: first("name"),
        image: first("image"),
        init,
        state: state(&status["state"]),
        last: state(&status["lastState"]),
        restarts: number(&status["restartCount"]),
        requests: map(&spec["resources"]["requests"]),
        limits: map(&spec["resources"]["limits"]),
    }
}

fn state(value: &Value) -> State {
    if let Some(ended) = value.get("terminated").filter(|ended| ended.is_object()) {
        return State::Terminated {
            reason: text(&ended["reason"]),
            message: text(&ended["message"]),
            exit_code: ended["exitCode"]
                .as_i64()
                .and_then(|code| i32::try_from(code).ok())
                .unwrap_or_default(),
            started: time(&ended["startedAt"]),
            finished: time(&ended["finishedAt"]),
        };
    }
    if let Some(waiting) = value.get("waiting").filter(|waiting| waiting.is_object()) {
        return State::Waiting {
            reason: text(&waiting["reason"]),
            message: text(&waiting["message"]),
        };
    }
    match value.get("running").filter(|running| running.is_object()) {
        Some(running) => State::Running {
            since: time(&running["startedAt"]),
        },
        None => State::Unknown,
    }
}

fn condition(value: &Value) -> Condition {
    Condition {
        kind: text(&value["type"]),
        status: text(&value["status"]),
        reason: text(&value["reason"]),
        message: text(&value["message"]),
    }
}

/// An event of either API: `v1` has `involvedObject`, `message`, `count`, `firstTimestamp`, `lastTimestamp`; `events.k8s.io/v1` has
/// `regarding`, `note`, `series`, `eventTime` and the former names with the prefix `deprecated`.
fn event(value: &Value) -> Event {
    let object = match value["involvedObject"].is_object() {
        true => &value["involvedObject"],
        false => &value["regarding"],
    };
    let either = |one: &str, other: &str| match text(&value[one]) {
        said if said.is_empty() => text(&value[other]),
        said => said,
    };
    let times = |names: &[&str]| names.iter().find_map(|name| time(&value[*name]));
    let series = &value["series"];
    let made = time(&value["metadata"]["creationTimestamp"]);
    let first = times(&["firstTimestamp", "deprecatedFirstTimestamp", "eventTime"]).or(made);
    let last = time(&series["lastObservedTime"])
        .or_else(|| times(&["lastTimestamp", "deprecatedLastTimestamp", "eventTime"]))
        .or(first);
    let count = [&series["count"], &value["count"], &value["deprecatedCount"]]
        .into_iter()
        .map(number)
        .max();
    Event {
        kind: text(&object["kind"]),
        name: text(&object["name"]),
        level: text(&value["type"]),
        reason: text(&value["reason"]),
        message: either("message", "note"),
        count: count.unwrap_or_default().max(1),
        first,
        last,
    }
}

fn node(value: &Value) -> Node {
    let taint = |taint: &Value| match text(&taint["value"]) {
        none if none.is_empty() => format!("{}:{}", text(&taint["key"]), text(&taint["effect"])),
        said => format!("{}={said}:{}", text(&taint["key"]), text(&taint["effect"])),
    };
    Node {
        name: text(&value["metadata"]["name"]),
        allocatable: map(&value["status"]["allocatable"]),
        labels: map(&value["metadata"]["labels"]),
        taints: items(&value["spec"]["taints"]).map(taint).collect(),
        unschedulable: value["spec"]["unschedulable"] == true,
        conditions: items(&value["status"]["conditions"]).map(condition).collect(),
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u32 {
    value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or_default()
}

/// A map of texts; numbers are read as they are written, for `cpu: 1` is a quantity too.
fn map(value: &Value) -> BTreeMap<String, String> {
    let entry = |(key, value): (&String, &Value)| match value {
        Value::String(text) => Some((key.clone(), text.clone())),
        Value::Number(number) => Some((key.clone(), number.to_string())),
        _ => None,
    };
    value.as_object().into_iter().flatten().filter_map(entry).collect()
}

/// RFC 3339, in milliseconds since 1970.
fn time(value: &Value) -> Option<i64> {
    let time: jiff::Timestamp = value.as_str()?.parse().ok()?;
    Some(time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_pods(pods: Vec<Value>) -> Vec<Pod> {
        Cluster::of_objects(Objects {
            pods,
            ..Objects::default()
        })
        .pods
    }

    fn executor(name: &str, id: &str) -> Value {
        json!({"metadata": {"name": name, "labels": {"spark-role": "executor", "spark-exec-id": id}}})
    }

    #[test]
    fn pods_are_ordered_by_their_numbers_and_strangers_left_out() {
        let driver = json!({"metadata": {"name": "d", "labels": {"spark-role": "driver"}}});
        let stranger = json!({"metadata": {"name": "db", "labels": {"app": "db"}}});
        let pods = of_pods(vec![
            executor("e10", "10"),
            executor("e2", "2"),
            stranger,
            executor("odd", "EXECID"),
            driver,
        ]);
        let names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
        assert_eq!(names, ["d", "e2", "e10", "odd"]);
        assert_eq!(pods[0].phase, "Pending");
        assert_eq!(pods[1].role, Role::Executor("2".into()));
    }

    #[test]
    fn sparks_own_container_comes_first_with_its_status() {
        let pod = json!({
            "metadata": {"name": "e", "labels": {"spark-role": "executor", "spark-exec-id": "1"}, "creationTimestamp": "2026-11-21T02:30:41Z"},
            "spec": {
                "nodeName": "n1",
                "initContainers": [{"name": "fetch", "image": "busybox"}],
                "containers": [
                    {"name": "proxy", "image": "envoy"},
                    {"name": "spark-kubernetes-executor", "image": "spark:4.1.4",
                     "resources": {"limits": {"memory": "1408Mi"}, "requests": {"cpu": 1, "memory": "1408Mi"}}},
                ],
            },
            "status": {
                "phase": "Failed",
                "containerStatuses": [
                    {"name": "spark-kubernetes-executor", "restartCount": 2, "state": {"terminated": {
                        "exitCode": 137, "reason": "OOMKilled",
                        "startedAt": "2026-11-21T02:30:42Z", "finishedAt": "2026-11-21T02:30:50.250Z"}}},
                    {"name": "proxy", "state": {"running": {"startedAt": "2026-11-21T02:30:42Z"}}},
                ],
                "initContainerStatuses": [{"name": "fetch", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no"}}}],
            },
        });
        let pods = of_pods(vec![pod]);
        let containers = &pods[0].containers;
        let names: Vec<&str> = containers.iter().map(|container| container.name.as_str()).collect();
        assert_eq!(names, ["spark-kubernetes-executor", "proxy", "fetch"]);
        assert_eq!(containers[0].restarts, 2);
        assert_eq!(containers[0].requests["cpu"], "1");
        assert!(containers[2].init);
        let State::Terminated {
            reason,
            exit_code,
            started,
            finished,
            ..
        } = &containers[0].state
        else {
            panic!("{:?}", containers[0].state);
        };
        assert_eq!((reason.as_str(), *exit_code), ("OOMKilled", 137));
        assert_eq!(finished.unwrap() - started.unwrap(), 8_250);
        assert_eq!(pods[0].created, Some(1_795_228_241_000));
    }

    #[test]
    fn events_of_both_apis_are_one() {
        let old = json!({
            "involvedObject": {"kind": "Pod", "name": "d"}, "type": "Warning", "reason": "FailedScheduling", "message": "0/1 nodes",
            "count": 3, "firstTimestamp": "2026-11-21T02:30:00Z", "lastTimestamp": "2026-11-21T02:31:00Z", "eventTime": null,
        });
        let new = json!({
            "regarding": {"kind": "Pod", "name": "d"}, "type": "Warning", "reason": "FailedScheduling", "note": "0/1 nodes",
            "series": {"count": 3, "lastObservedTime": "2026-11-21T02:31:00.000000Z"}, "eventTime": "2026-11-21T02:30:00.000000Z",
        });
        let events = |event| {
            Cluster::of_objects(Objects {
                events: vec![event],
                ..Objects::default()
            })
            .events
        };
        assert_eq!(events(old.clone()), events(new));
        assert_eq!(events(old)[0].count, 3);
    }

    #[test]
    fn nodes_tell_their_taints() {
        let node = json!({
            "metadata": {"name": "n1", "labels": {"zone": "a"}},
            "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}, {"key": "cordoned", "effect": "NoExecute"}], "unschedulable": true},
            "status": {"allocatable": {"cpu": "2"}, "conditions": [{"type": "Ready", "status": "False"}]},
        });
        let cluster = Cluster::of_objects(Objects {
            nodes: vec![node],
            ..Objects::default()
        });
        assert_eq!(cluster.nodes[0].taints, ["gpu=yes:NoSchedule", "cordoned:NoExecute"]);
        assert!(cluster.nodes[0].unschedulable);
        assert_eq!(cluster.nodes[0].conditions[0].kind, "Ready");
    }

    #[test]
    fn anything_else_is_read_as_nothing() {
        for odd in [
            json!(null),
            json!(3),
            json!("x"),
            json!([]),
            json!({}),
            json!({"metadata": [], "spec": 1, "status": "x", "series": 2}),
        ] {
            let all = || vec![odd.clone()];
            let cluster = Cluster::of_objects(Objects {
                application: odd.clone(),
                pods: all(),
                events: all(),
                quotas: all(),
                network_policies: all(),
                claims: all(),
                nodes: all(),
            });
            assert!(cluster.pods.is_empty());
            assert_eq!(cluster.events[0].count, 1);
            assert_eq!(cluster.nodes[0], Node::default());
        }
        let odd = json!({"metadata": {"labels": {"spark-role": "executor"}}, "spec": {"containers": [1, {"name": 2}]},
            "status": {"containerStatuses": {"a": 1}, "conditions": [null], "phase": 4}});
        assert_eq!(of_pods(vec![odd])[0].containers.len(), 2);
    }
}
