use serde_json::{Value, json};

use super::*;

/// Pod, events; reason, words of the whole text, seconds from which on it counts.
type Case = (Pod, Vec<Event>, &'static str, &'static [&'static str], i64);

fn pod(spec: Value, status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "pi-driver", "namespace": "jobs", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec, "status": status,
    }))
    .unwrap()
}

fn event(kind: &str, reason: &str, message: &str, at: &str) -> Event {
    serde_json::from_value(json!({
        "metadata": {}, "type": kind, "reason": reason, "message": message,
        "involvedObject": {"kind": "Pod", "name": "pi-driver"},
        "firstTimestamp": "2026-01-01T00:00:02Z", "lastTimestamp": at,
    }))
    .unwrap()
}

fn on_node(containers: Value, init: Value) -> Pod {
    pod(
        json!({"containers": [], "nodeName": "n1"}),
        json!({
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"}],
            "containerStatuses": containers, "initContainerStatuses": init,
        }),
    )
}

fn container(state: Value) -> Value {
    json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state})
}

fn waits(reason: &str, message: &str) -> Value {
    container(json!({"waiting": {"reason": reason, "message": message}}))
}

fn unscheduled(reason: &str, message: &str) -> Pod {
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:01Z"});
    pod(
        json!({"containers": []}),
        json!({"phase": "Pending", "conditions": [condition]}),
    )
}

#[test]
fn what_a_pod_waits_for_has_a_reason_a_time_and_a_fix() {
    let creating = || on_node(json!([waits("ContainerCreating", "")]), Value::Null);
    let mount = |message: &str| event("Warning", "FailedMount", message, "2026-01-01T00:00:09Z");
    let scheduler = |name: &str| {
        pod(
            json!({"containers": [], "schedulerName": name}),
            json!({"phase": "Pending"}),
        )
    };
    let cases: Vec<Case> = vec![
        (
            scheduler("yunikorn"),
            vec![],
            "NoScheduler",
            &[
                "by the name yunikorn",
                "since 2026-01-01T00:00:00Z",
                "leave out spec.batchScheduler",
            ],
            5,
        ),
        (
            scheduler("mine"),
            vec![],
            "NoScheduler",
            &["scheduler mine started", "leave out schedulerName"],
            5,
        ),
        (
            scheduler(""),
            vec![],
            "NoScheduler",
            &["default-scheduler", "kube-scheduler"],
            5,
        ),
        (
            unscheduled("Unschedulable", "0/3 nodes are available: 3 Insufficient cpu."),
            vec![],
            "Unschedulable",
            &["3 Insufficient cpu (since", "ask for less"],
            0,
        ),
        (
            unscheduled(
                "Unschedulable",
                "0/3 nodes are available: 3 node(s) had untolerated taint {a: b}.",
            ),
            vec![],
            "Unschedulable",
            &["tolerate the taint"],
            0,
        ),
        (
            unscheduled(
                "Unschedulable",
                "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
            ),
            vec![],
            "Unschedulable",
            &["correct nodeSelector"],
            0,
        ),
        (
            unscheduled(
                "Unschedulable",
                "0/1 nodes are available: persistentvolumeclaim \"data\" not found.",
            ),
            vec![],
            "Unschedulable",
            &["create the claim data in the namespace jobs"],
            0,
        ),
        (
            unscheduled(
                "Unschedulable",
                "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
            ),
            vec![],
            "Unschedulable",
            &["storage class"],
            0,
        ),
        (
            unscheduled(
                "SchedulingGated",
                "Scheduling is blocked due to non-empty scheduling gates",
            ),
            vec![],
            "SchedulingGated",
            &["whoever set"],
            0,
        ),
        (
            creating(),
            vec![mount(
                "MountVolume.SetUp failed for volume \"c\" : configmap \"nope\" not found",
            )],
            "FailedMount",
            &[
                "since 2026-01-01T00:00:02Z",
                "create the ConfigMap nope in the namespace jobs",
            ],
            0,
        ),
        (
            creating(),
            vec![mount(
                "MountVolume.SetUp failed for volume \"c\" : secrets \"s\" not found",
            )],
            "FailedMount",
            &["create the Secret s"],
            0,
        ),
        (
            creating(),
            vec![mount(
                "MountVolume.SetUp failed for volume \"c\" : references non-existent config key: k",
            )],
            "FailedMount",
            &["add the key"],
            0,
        ),
        (
            creating(),
            vec![mount("MountVolume.SetUp failed for volume \"c\" : rpc error")],
            "FailedMount",
            &["kubectl describe pod -n jobs pi-driver"],
            0,
        ),
        (
            creating(),
            vec![event(
                "Warning",
                "FailedAttachVolume",
                "Multi-Attach error",
                "2026-01-01T00:00:09Z",
            )],
            "FailedAttachVolume",
            &["released"],
            0,
        ),
        (
            creating(),
            vec![event(
                "Warning",
                "FailedCreatePodSandBox",
                "no IP addresses",
                "2026-01-01T00:00:09Z",
            )],
            "FailedCreatePodSandBox",
            &["administrator"],
            0,
        ),
        (
            creating(),
            vec![event(
                "Normal",
                "Pulling",
                "Pulling image \"spark:4\"",
                "2026-01-01T00:00:09Z",
            )],
            "Pulling",
            &["image \"spark:4\"", "minutes"],
            17,
        ),
        (creating(), vec![], "NodeNotReporting", &["node n1"], 31),
        (
            on_node(Value::Null, Value::Null),
            vec![],
            "NodeNotReporting",
            &["node n1"],
            31,
        ),
        (
            on_node(
                json!([waits("ImagePullBackOff", "Back-off pulling image \"x\"")]),
                Value::Null,
            ),
            vec![],
            "ImagePullBackOff",
            &["Back-off", "imagePullSecrets"],
            0,
        ),
        (
            on_node(json!([waits("InvalidImageName", "couldn't parse")]), Value::Null),
            vec![],
            "InvalidImageName",
            &["correct the image"],
            0,
        ),
        (
            on_node(
                json!([waits("CreateContainerConfigError", "secret \"s\" not found")]),
                Value::Null,
            ),
            vec![],
            "CreateContainerConfigError",
            &["create the Secret s"],
            0,
        ),
        (
            on_node(
                json!([waits("PodInitializing", "")]),
                json!([waits("CrashLoopBackOff", "back-off 10s")]),
            ),
            vec![],
            "CrashLoopBackOff",
            &[
                "init container c: back-off",
                "kubectl logs -n jobs pi-driver -c c --previous",
            ],
            0,
        ),
        (
            on_node(
                json!([waits("PodInitializing", "")]),
                json!([container(json!({"running": {"startedAt": "2026-01-01T00:00:03Z"}}))]),
            ),
            vec![],
            "InitContainer",
            &[
                "init container c has not ended (since 2026-01-01T00:00:03Z)",
                "kubectl logs -n jobs pi-driver -c c`",
            ],
            18,
        ),
    ];
    let begun: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for (pod, events, reason, words, from) in cases {
        let waiting = of_pod(&pod, &events).unwrap();
        let text = waiting.to_string();
        assert_eq!(waiting.reason, reason, "{text}");
        assert!(text.starts_with(reason) && !text.contains(".;"), "{text}");
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
        let at = |seconds| begun + SignedDuration::from_secs(seconds);
        assert!(
            waiting.counts(at(from)) && (from == 0 || !waiting.counts(at(from - 1))),
            "{from}: {waiting:?}"
        );
    }
}

#[test]
fn nothing_is_said_of_a_pod_that_runs_ended_or_goes() {
    let mut going = unscheduled("Unschedulable", "m");
    going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
    let phases = ["Running", "Succeeded", "Failed", "Unknown"];
    let pods = phases.map(|phase| pod(json!({"containers": [], "nodeName": "n"}), json!({"phase": phase})));
    assert!(pods.iter().chain([&going]).all(|pod| of_pod(pod, &[]).is_none()));
}

#[test]
fn what_is_over_is_not_told() {
    let pod = on_node(json!([waits("ContainerCreating", "")]), Value::Null);
    let events = [
        event(
            "Warning",
            "FailedMount",
            "configmap \"c\" not found",
            "2026-01-01T00:00:03Z",
        ),
        event("Normal", "Pulled", "Successfully pulled", "2026-01-01T00:00:05Z"),
    ];
    assert_eq!(of_pod(&pod, &events).unwrap().reason, "NodeNotReporting");
    let mut other = events[0].clone();
    other.involved_object.name = Some("other".into());
    assert_eq!(of_pod(&pod, &[other]).unwrap().reason, "NodeNotReporting");
}

/// A line of Spark 4.1.4's driver, at a time, about this executor.
fn refused_line(executor: u32, said: &str) -> String {
    format!(
        "io.fabric8.kubernetes.client.KubernetesClientException: Failure executing: POST at: https://kubernetes.default.svc:443/api/v1/namespaces/jobs/pods. Message: pods \"pi-exec-{executor}\" is forbidden: {said}. Received status: Status(apiVersion=v1, code=403)."
    )
}

const QUOTA: &str = "exceeded quota: team, requested: pods=1, used: pods=2, limited: pods=2";

#[test]
fn what_refuses_executors_is_told_with_who_can_change_it() {
    for (line, reason, words) in [
        (refused_line(1, QUOTA), "QuotaExceeded", &["limited: pods=2", "resourcequota team", "administers the namespace"][..]),
        (
            refused_line(1, "failed quota: team: must specify limits.memory for: spark-kubernetes-executor"),
            "QuotaExceeded",
            &["must specify limits.memory", "resourcequota team"],
        ),
        (
            refused_line(1, "violates PodSecurity \"restricted:latest\": runAsNonRoot != true"),
            "PodSecurityDenied",
            &["runAsNonRoot", "security context"],
        ),
        (
            refused_line(1, "maximum memory usage per Container is 256Mi, but limit is 896Mi"),
            "LimitRangeExceeded",
            &["256Mi", "LimitRange"],
        ),
        (
            "Caused by: Failure executing: POST at: https://k/api/v1/namespaces/jobs/pods. Message: admission webhook \"policy.corp\" denied the request: no team label. Received status: x".to_owned(),
            "AdmissionDenied",
            &["no team label", "make an exception"],
        ),
        (
            "Failure executing: POST at: https://k/api/v1/namespaces/jobs/pods. Message: Internal error occurred: failed calling webhook \"policy.corp\": connection refused. Received status: x".to_owned(),
            "WebhookFailed",
            &["policy.corp", "brought back"],
        ),
        (
            "Failure executing: POST at: https://k/api/v1/namespaces/jobs/pods. Message: pods is forbidden: User \"system:serviceaccount:jobs:spark\" cannot create resource \"pods\" in API group \"\" in the namespace \"jobs\". Received status: x".to_owned(),
            "Forbidden",
            &["system:serviceaccount:jobs:spark", "ServiceAccount"],
        ),
        // The structured log escapes its quotes.
        (refused_line(1, QUOTA).replace('"', "\\\""), "QuotaExceeded", &["limited: pods=2"]),
    ] {
        let mut refusals = refused::Refusals::default();
        let at = "2026-01-01T00:00:10Z".parse().ok();
        let told = refusals.line(&line, at, "jobs").unwrap();
        assert_eq!(told.reason, reason, "{line}");
        let text = told.to_string();
        for word in words.iter().chain(&["since 2026-01-01T00:00:10Z"]) {
            assert!(text.contains(word), "{text}");
        }
    }
}

#[test]
fn a_refusal_stands_until_an_executor_comes_and_is_told_once() {
    let at = |second: i64| Timestamp::from_second(second).ok();
    let mut refusals = refused::Refusals::default();
    for (second, line, told, stands) in [
        (1, "26/11/22 INFO SparkContext: Running Spark".to_owned(), false, None),
        (2, refused_line(1, QUOTA), true, Some(2)),
        // The next try fares the same, with other numbers: since when does not change.
        (3, refused_line(2, &QUOTA.replace("used: pods=2", "used: pods=3")), false, Some(2)),
        (4, refused_line(3, "exceeded quota: other, requested: a=1, used: a=1, limited: a=1"), true, Some(4)),
        (
            5,
            "INFO KubernetesDriverEndpoint: Registered executor NettyRpcEndpointRef(spark-client://Executor) (10.0.0.7) with ID 1".to_owned(),
            false,
            None,
        ),
        (6, refused_line(4, QUOTA), true, Some(6)),
        // Other objects, other verbs.
        (7, refused_line(4, QUOTA).replace("/pods.", "/configmaps."), false, Some(6)),
        (8, refused_line(4, QUOTA).replace("POST", "GET"), false, Some(6)),
    ] {
        assert_eq!(refusals.line(&line, at(second), "jobs").is_some(), told, "{second}");
        let since = refusals.standing().and_then(|waits| waits.since);
        assert_eq!(since, stands.and_then(at), "{second}");
    }
}

#[test]
fn a_log_with_times_tells_since_when() {
    let log = format!(
        "2026-01-01T00:00:01.5Z WARN ExecutorPodsSnapshotsStoreImpl: x\n2026-01-01T00:00:02.25Z {}\n2026-01-01T00:00:09Z \n\n2026-01-01T00:00:10Z {}",
        refused_line(1, QUOTA),
        refused_line(2, QUOTA)
    );
    let refusals = refused::Refusals::of_log(&log, "jobs");
    let waits = refusals.standing().unwrap();
    assert_eq!(waits.since, "2026-01-01T00:00:02.25Z".parse().ok());
    assert_eq!(waits.message, QUOTA);
}
