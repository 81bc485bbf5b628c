//! Failures that Kubernetes tells of: objects as the API server gives them, each with what is found first.
//!
//! The objects are written by hand after the Kubernetes API reference; messages are those of the scheduler, the kubelet and the API server.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_insight::doctor::failures;
use stoke_insight::facts::cluster::Role;
use stoke_insight::facts::{Cluster, Facts, Log, Objects};

fn application(state: &str, message: &str) -> Value {
    json!({
        "metadata": {"name": "etl", "namespace": "team-a"},
        "spec": {
            "type": "Python", "image": "registry.example.com/etl:2", "sparkVersion": "4.1.4",
            "driver": {"memory": "2g", "serviceAccount": "spark"},
            "executor": {"instances": 2, "memory": "4g", "cores": 2},
        },
        "status": {"applicationState": {"state": state, "errorMessage": message}},
    })
}

fn pod(role: &str, id: &str, status: Value) -> Value {
    let (name, container) = match role {
        "driver" => ("etl-driver".to_owned(), "spark-kubernetes-driver"),
        _ => (format!("etl-exec-{id}"), "spark-kubernetes-executor"),
    };
    json!({
        "metadata": {"name": name, "labels": {"spark-role": role, "spark-exec-id": id}},
        "spec": {"containers": [{"name": container, "image": "registry.example.com/etl:2",
            "resources": {"requests": {"cpu": "2", "memory": "5734Mi"}, "limits": {"memory": "5734Mi"}}}]},
        "status": status,
    })
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"phase": "Pending", "containerStatuses": [
        {"name": "spark-kubernetes-driver", "state": {"waiting": {"reason": reason, "message": message}}}]})
}

fn ended(container: &str, reason: &str, code: i32) -> Value {
    json!({"phase": if code == 0 { "Succeeded" } else { "Failed" }, "containerStatuses": [
        {"name": container, "state": {"terminated": {"reason": reason, "exitCode": code}}}]})
}

fn event(name: &str, reason: &str, message: &str) -> Value {
    json!({"involvedObject": {"kind": "Pod", "name": name}, "type": "Warning", "reason": reason, "message": message})
}

fn facts(objects: Objects, driver_log: &str, executor_log: &str) -> Facts {
    let log = |role, source: &str, text: &str| (!text.is_empty()).then(|| Log::of_lines(role, source, text.lines()));
    let logs = [
        log(Role::Driver, "etl-driver", driver_log),
        log(Role::Executor("1".into()), "etl-exec-1", executor_log),
    ];
    Facts {
        cluster: Some(Cluster::of_objects(objects)),
        logs: logs.into_iter().flatten().collect(),
        ..Facts::default()
    }
}

fn first(objects: Objects, driver_log: &str, executor_log: &str) -> Diagnostic {
    let findings = failures::findings(&facts(objects, driver_log, executor_log));
    let told: Vec<_> = findings
        .iter()
        .map(|finding| (finding.severity, &finding.code, &finding.message))
        .collect();
    assert!(!findings.is_empty());
    let fatal = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    assert!(fatal <= 1, "{told:?}");
    findings.into_iter().next().unwrap()
}

#[test]
fn a_driver_whose_scheduler_is_not_there() {
    for (scheduler, status, found) in [
        ("yunikorn", json!({"phase": "Pending"}), true),
        ("default-scheduler", json!({"phase": "Pending"}), false),
        (
            "yunikorn",
            json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]}),
            false,
        ),
    ] {
        let mut driver = pod("driver", "", status);
        driver["spec"]["schedulerName"] = json!(scheduler);
        let objects = Objects {
            application: application("SUBMITTED", ""),
            pods: vec![driver],
            ..Objects::default()
        };
        let findings = failures::findings(&facts(objects, "", ""));
        let told = findings.iter().find(|finding| finding.code == "scheduler-missing");
        assert_eq!(told.is_some(), found, "{scheduler}");
        assert!(
            told.is_none_or(|told| told.message.contains("the scheduler yunikorn")
                && told.fix_text().contains("spec.batchScheduler"))
        );
    }
}

#[test]
fn a_driver_that_waits() {
    let pending = |message: &str| json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]});
    for (status, id) in [
        (
            pending("0/1 nodes are available: 1 Insufficient cpu."),
            "unschedulable-cpu",
        ),
        (
            pending("0/1 nodes are available: persistentvolumeclaim \"data\" not found."),
            "volume-claim-missing",
        ),
        (
            waiting("InvalidImageName", "Failed to apply default image tag"),
            "image-name-invalid",
        ),
        (
            waiting(
                "ErrImagePull",
                "failed to resolve reference: registry.example.com/etl:2: not found",
            ),
            "image-not-found",
        ),
        (
            waiting("CreateContainerConfigError", "configmap \"etl\" not found"),
            "config-map-missing",
        ),
        (
            waiting("CreateContainerConfigError", "secret \"keys\" not found"),
            "secret-missing",
        ),
        (
            waiting(
                "CreateContainerConfigError",
                "couldn't find key user in Secret team-a/keys",
            ),
            "config-key-missing",
        ),
        (
            waiting(
                "CreateContainerConfigError",
                "container has runAsNonRoot and image will run as root",
            ),
            "container-cannot-start",
        ),
    ] {
        let objects = Objects {
            application: application("SUBMITTED", ""),
            pods: vec![pod("driver", "", status.clone())],
            ..Objects::default()
        };
        let found = first(objects, "", "");
        assert_eq!((&*found.code, found.severity), (id, Severity::Error), "{status}");
    }
}

#[test]
fn what_an_image_lacks_stands_in_its_event() {
    let objects = Objects {
        application: application("SUBMITTED", ""),
        pods: vec![pod(
            "driver",
            "",
            waiting(
                "ImagePullBackOff",
                "Back-off pulling image \"registry.example.com/etl:2\"",
            ),
        )],
        events: vec![event(
            "etl-driver",
            "Failed",
            "Failed to pull image \"registry.example.com/etl:2\": failed to do request: dial tcp: lookup registry.example.com: no such host",
        )],
        ..Objects::default()
    };
    assert_eq!(first(objects, "", "").code, "registry-unreachable");
}

#[test]
fn a_driver_that_was_given_up_is_explained_by_what_it_waited_for() {
    let message = "driver pod did not start within 10m (stoke.dev/start-timeout): ImagePullBackOff: failed to resolve reference: not found";
    let objects = Objects {
        application: application("FAILED", message),
        ..Objects::default()
    };
    assert_eq!(first(objects, "", "").code, "image-not-found");
}

#[test]
fn submissions_that_were_refused() {
    for (message, id) in [
        (
            "pods \"etl-driver\" is forbidden: exceeded quota: team, requested: requests.cpu=2, used: requests.cpu=15, limited: requests.cpu=16",
            "quota-exceeded",
        ),
        (
            "pods \"etl-driver\" is forbidden: error looking up service account team-a/spark: serviceaccount \"spark\" not found",
            "service-account-missing",
        ),
        (
            "pods \"etl-driver\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"spark-kubernetes-driver\" must set securityContext.allowPrivilegeEscalation=false)",
            "pod-security-denied",
        ),
        (
            "admission webhook \"validate.policy.example.com\" denied the request: images must come from registry.corp",
            "admission-denied",
        ),
        (
            "pods is forbidden: User \"system:serviceaccount:stoke:operator\" cannot create resource \"pods\" in API group \"\" in the namespace \"team-a\"",
            "rbac-denied",
        ),
        ("spec.driver.cores must be positive", "submission-failed"),
    ] {
        let objects = Objects {
            application: application("FAILED", &format!("failed to run spark-submit: {message}")),
            ..Objects::default()
        };
        let found = first(objects, "", "");
        assert_eq!((&*found.code, found.severity), (id, Severity::Error), "{message}");
    }
}

const OOM: &str = "26/11/22 03:10:00 ERROR TaskSchedulerImpl: Lost executor 1 on 10.0.0.7: \nThe executor with id 1 exited with exit code 137(SIGKILL, possible container OOM).\n\n\n\nThe API gave the following container statuses:\n\n\n\t container name: spark-kubernetes-executor\n\t container image: registry.example.com/etl:2\n\t container state: terminated\n\t exit code: 137\n\t termination reason: OOMKilled\n      \n26/11/22 03:10:00 WARN TaskSetManager: Lost task 3.0 in stage 2.0 (TID 17) (10.0.0.7 executor 1): ExecutorLostFailure (executor 1 exited caused by one of the running tasks) Reason: \n26/11/22 03:10:09 WARN TaskSetManager: Lost task 0.0 in stage 3.0 (TID 19) (10.0.0.8 executor 2): FetchFailed(BlockManagerId(1, 10.0.0.7, 7079, None), shuffleId=0, mapIndex=2, mapId=2, reduceId=0, message=\norg.apache.spark.shuffle.FetchFailedException\n";
const ABORTED: &str = "Traceback (most recent call last):\n  File \"/app/etl.py\", line 12, in <module>\n    frame.count()\npy4j.protocol.Py4JJavaError: An error occurred while calling o71.count.\n: org.apache.spark.SparkException: Job aborted due to stage failure: Task 3 in stage 2.0 failed 4 times, most recent failure: Lost task 3.3 in stage 2.0 (TID 23) (10.0.0.9 executor 4): ExecutorLostFailure (executor 4 exited caused by one of the running tasks) Reason: \nThe executor with id 4 exited with exit code 137(SIGKILL, possible container OOM).\n";

#[test]
fn an_oom_explains_all_that_follows() {
    let objects = Objects {
        application: application("FAILED", "driver container failed with ExitCode: 1, Reason: Error"),
        pods: vec![pod("driver", "", ended("spark-kubernetes-driver", "Error", 1))],
        ..Objects::default()
    };
    let log = format!("{OOM}{ABORTED}");
    let found = failures::findings(&facts(objects, &log, ""));
    let ids: Vec<_> = found.iter().map(|finding| (&*finding.code, finding.severity)).collect();
    assert_eq!(ids, [("executor-oom-killed", Severity::Error)], "{found:#?}");
    // 4 GiB of heap for Python: 1638 MiB of overhead, and twice that in steps of 256 MiB is proposed.
    let patch = found[0].patch().unwrap();
    assert_eq!(patch, &json!({"spec": {"executor": {"memoryOverhead": "3328m"}}}));
}

#[test]
fn an_oom_that_was_survived_is_a_warning() {
    let objects = Objects {
        application: application("COMPLETED", ""),
        ..Objects::default()
    };
    let found = first(objects, OOM, "");
    assert_eq!(
        (&*found.code, found.severity),
        ("executor-oom-killed", Severity::Warning)
    );
}

#[test]
fn drivers_that_ended() {
    for (status, id) in [
        (ended("spark-kubernetes-driver", "OOMKilled", 137), "driver-oom-killed"),
        (ended("spark-kubernetes-driver", "Error", 137), "driver-killed"),
        (ended("spark-kubernetes-driver", "Error", 139), "native-crash"),
        (ended("spark-kubernetes-driver", "Error", 101), "driver-exit-code"),
        (ended("spark-kubernetes-driver", "Error", 143), "driver-pod-deleted"),
        (
            json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: ephemeral-storage."}),
            "driver-evicted",
        ),
    ] {
        let objects = Objects {
            application: application("FAILED", "driver container failed"),
            pods: vec![pod("driver", "", status.clone())],
            ..Objects::default()
        };
        assert_eq!(first(objects, "", "").code, id, "{status}");
    }
    let objects = Objects {
        application: application("FAILED", "driver pod not found"),
        ..Objects::default()
    };
    assert_eq!(first(objects, "", "").code, "driver-pod-deleted");
}

#[test]
fn a_driver_that_was_told_to_stop_may_end_in_any_way() {
    let told = |message: &str| json!({"involvedObject": {"kind": "Pod", "name": "etl-driver"}, "type": "Normal", "reason": "Killing", "message": message});
    let mut failed = application("FAILED", "driver container failed with ExitCode: 1, Reason: Error");
    failed["status"]["driverInfo"] = json!({"podName": "etl-driver"});
    let log = "Traceback (most recent call last):\n  File \"/opt/app/main.py\", line 6, in <module>\n    x()\npy4j.protocol.Py4JJavaError: An error occurred\n";
    for (pods, message, id) in [
        (
            vec![],
            "Stopping container spark-kubernetes-driver",
            "driver-pod-deleted",
        ),
        (
            vec![pod("driver", "", ended("spark-kubernetes-driver", "Error", 1))],
            "Stopping container spark-kubernetes-driver",
            "driver-pod-deleted",
        ),
        // A sidecar, after the driver had ended by itself.
        (
            vec![pod("driver", "", ended("spark-kubernetes-driver", "Error", 1))],
            "Stopping container proxy",
            "python-exception",
        ),
    ] {
        let objects = Objects {
            application: failed.clone(),
            pods,
            events: vec![told(message)],
            ..Objects::default()
        };
        assert_eq!(first(objects, log, "").code, id, "{message}");
    }
}

#[test]
fn executors_that_were_evicted_or_taken_away() {
    for (status, id) in [
        (
            json!({"phase": "Failed", "reason": "Evicted", "message": "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."}),
            "executor-evicted-storage",
        ),
        (
            json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}),
            "executor-evicted-memory",
        ),
        (
            json!({"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "preempting to accommodate a higher priority pod"}]}),
            "executor-preempted",
        ),
        (
            json!({"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": "Taint manager: deleting due to NoExecute taint"}]}),
            "node-lost",
        ),
        (ended("spark-kubernetes-executor", "Error", 134), "native-crash"),
    ] {
        let objects = Objects {
            application: application("RUNNING", ""),
            pods: vec![
                pod("driver", "", json!({"phase": "Running"})),
                pod("executor", "1", status.clone()),
            ],
            ..Objects::default()
        };
        assert_eq!(first(objects, "", "").code, id, "{status}");
    }
}

/// An executor whose pod is gone, as a drain leaves it; what is seen of its node, words of the cause.
#[test]
fn an_executor_that_went_with_its_node() {
    let log = "26/11/23 16:28:50 ERROR TaskSchedulerImpl: Lost executor 1 on 10.0.0.7: The executor with id 1 was deleted by a user or the framework.\n26/11/23 16:28:50 WARN TaskSetManager: Lost task 0.0 in stage 0.0 (TID 0) (10.0.0.7 executor 1): ExecutorLostFailure (executor 1 exited unrelated to the running tasks) Reason: The executor with id 1 was deleted by a user or the framework.\n";
    let of_node = |name: &str, reason: &str, message: &str| json!({"involvedObject": {"kind": "Node", "name": name}, "type": "Normal", "reason": reason, "message": message});
    let assigned = json!({"involvedObject": {"kind": "Pod", "name": "etl-0123456789abcdef-exec-1"}, "type": "Normal", "reason": "Scheduled",
        "message": "Successfully assigned team-a/etl-0123456789abcdef-exec-1 to n1"});
    let node = |spec: Value| json!({"metadata": {"name": "n1"}, "spec": spec});
    for (nodes, event, id, words) in [
        (
            vec![node(json!({"unschedulable": true}))],
            None,
            "executor-preempted",
            "drained",
        ),
        (
            vec![node(
                json!({"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}),
            )],
            None,
            "executor-preempted",
            "taken out of service",
        ),
        (
            vec![],
            Some(of_node("n1", "SpotInterruption", "Spot Interruption event received")),
            "executor-preempted",
            "spot or preemptible",
        ),
        (
            vec![],
            Some(of_node(
                "n1",
                "NodeNotSchedulable",
                "Node n1 status is now: NodeNotSchedulable",
            )),
            "executor-preempted",
            "drained",
        ),
        // Another node's trouble is none of its.
        (
            vec![],
            Some(of_node("n2", "NodeNotSchedulable", "")),
            "executor-pod-deleted",
            "someone",
        ),
        (
            vec![node(json!({}))],
            Some(of_node("n1", "NodeReady", "")),
            "executor-pod-deleted",
            "someone",
        ),
    ] {
        let objects = Objects {
            application: application("FAILED", "driver container failed"),
            events: [Some(assigned.clone()), event.clone()].into_iter().flatten().collect(),
            nodes,
            ..Objects::default()
        };
        let found = first(objects, log, "");
        assert_eq!(found.code, id, "{event:?}: {}", found.message);
        assert!(found.message.contains(words), "{event:?}: {}", found.message);
    }
}

#[test]
fn a_volume_that_held_too_much_is_named_and_only_sparks_own_is_patched() {
    for (message, words, patched) in [
        (
            "Usage of EmptyDir volume \"data\" exceeds the limit \"20Mi\". ",
            "the volume data held more than its limit of 20Mi",
            false,
        ),
        (
            "Usage of EmptyDir volume \"spark-local-dir-1\" exceeds the limit \"1Gi\". ",
            "the volume spark-local-dir-1 held more than its limit of 1Gi",
            true,
        ),
        (
            "Container spark-kubernetes-executor exceeded its local ephemeral storage limit \"2Gi\". ",
            "more than its limit of 2Gi",
            true,
        ),
        (
            "The node was low on resource: ephemeral-storage. ",
            "or the node's disk ran full",
            true,
        ),
    ] {
        let objects = Objects {
            application: application("RUNNING", ""),
            pods: vec![pod(
                "executor",
                "1",
                json!({"phase": "Failed", "reason": "Evicted", "message": message}),
            )],
            ..Objects::default()
        };
        let found = first(objects, "", "");
        assert_eq!(found.code, "executor-evicted-storage");
        assert!(found.message.contains(words), "{}", found.message);
        assert_eq!(found.patch().is_some(), patched, "{message}");
    }
}

#[test]
fn the_driver_that_may_not_make_executors() {
    let log = "26/11/22 03:10:00 ERROR SparkContext: Error initializing SparkContext.\norg.apache.spark.SparkException: External scheduler cannot be instantiated\n\tat org.apache.spark.SparkContext$.createTaskScheduler(SparkContext.scala:3204)\nCaused by: io.fabric8.kubernetes.client.KubernetesClientException: Failure executing: GET at: https://kubernetes.default.svc/api/v1/namespaces/team-a/pods/etl-driver. Message: pods \"etl-driver\" is forbidden: User \"system:serviceaccount:team-a:default\" cannot get resource \"pods\" in API group \"\" in the namespace \"team-a\". Received status: Status(apiVersion=v1, code=403)\n\tat io.fabric8.kubernetes.client.dsl.internal.OperationSupport.requestFailure(OperationSupport.java:1)\nException in thread \"main\" org.apache.spark.SparkException: External scheduler cannot be instantiated\n\tat org.apache.spark.SparkContext$.createTaskScheduler(SparkContext.scala:3204)\nCaused by: io.fabric8.kubernetes.client.KubernetesClientException: Failure executing: GET at: https://kubernetes.default.svc/api/v1/namespaces/team-a/pods/etl-driver. Message: pods \"etl-driver\" is forbidden: User \"system:serviceaccount:team-a:default\" cannot get resource \"pods\" in API group \"\" in the namespace \"team-a\". Received status: Status(apiVersion=v1, code=403)\n";
    let objects = Objects {
        application: application("FAILED", "driver container failed with ExitCode: 1, Reason: Error"),
        pods: vec![pod("driver", "", ended("spark-kubernetes-driver", "Error", 1))],
        ..Objects::default()
    };
    let found = first(objects, log, "");
    assert_eq!(found.code, "rbac-denied");
    assert_eq!(
        found.message,
        "The ServiceAccount team-a/default may not get pods in the namespace team-a"
    );
}

#[test]
fn executors_that_cannot_reach_the_driver() {
    for (line, id) in [
        (
            "Caused by: java.io.IOException: Failed to connect to etl-0123-driver-svc.team-a.svc/10.96.1.2:7078",
            "driver-unreachable",
        ),
        (
            "Caused by: java.net.UnknownHostException: etl-0123-driver-svc.team-a.svc",
            "driver-name-unresolved",
        ),
    ] {
        let log = format!(
            "26/11/22 03:10:00 ERROR KubernetesExecutorBackend: x\nException in thread \"main\" java.lang.reflect.UndeclaredThrowableException\n\tat a.b(C.java:1)\n{line}\n"
        );
        let objects = Objects {
            application: application("RUNNING", ""),
            pods: vec![
                pod("driver", "", json!({"phase": "Running"})),
                pod("executor", "1", ended("spark-kubernetes-executor", "Error", 1)),
            ],
            network_policies: vec![json!({"metadata": {"name": "deny-all"}})],
            ..Objects::default()
        };
        let found = first(objects, "", &log);
        assert_eq!(found.code, id, "{}", found.message);
        // It takes nothing in, and does not say who may be asked for names.
        assert_eq!(
            found
                .message
                .contains("the network policy deny-all isolates the driver"),
            id == "driver-unreachable",
            "{}",
            found.message
        );
    }
}

#[test]
fn healthy_runs_have_no_findings() {
    // Executors that were scaled down, asked to go, or waited for a mount while the run went on; a driver's pod that waited for its ConfigMap.
    let lost = "26/11/22 03:10:00 ERROR TaskSchedulerImpl: Lost executor 3 on 10.0.0.9: Executor decommission finished: spark scale down\n26/11/22 03:10:00 WARN ExecutorPodsWatchSnapshotSource: Kubernetes client has been closed.\n26/11/22 03:10:00 WARN TaskSchedulerImpl: Initial job has not accepted any resources; check your cluster UI\n";
    let objects = Objects {
        application: application("COMPLETED", ""),
        pods: vec![
            pod("driver", "", ended("spark-kubernetes-driver", "Completed", 0)),
            pod("executor", "1", ended("spark-kubernetes-executor", "Error", 143)),
        ],
        events: vec![
            event(
                "etl-driver",
                "FailedMount",
                "MountVolume.SetUp failed for volume \"spark-conf-volume-driver\" : configmap \"spark-drv-1-conf-map\" not found",
            ),
            event(
                "etl-exec-2",
                "FailedScheduling",
                "0/1 nodes are available: 1 Insufficient cpu.",
            ),
        ],
        ..Objects::default()
    };
    assert_eq!(
        failures::findings(&facts(
            objects,
            lost,
            "26/11/22 03:10:00 ERROR CoarseGrainedExecutorBackend: RECEIVED SIGNAL TERM"
        )),
        []
    );
    let running = Objects {
        application: application("RUNNING", ""),
        pods: vec![
            pod("driver", "", json!({"phase": "Running"})),
            pod("executor", "1", json!({"phase": "Running"})),
        ],
        ..Objects::default()
    };
    assert_eq!(failures::findings(&facts(running, "", "")), []);
}

#[test]
fn executors_that_a_running_driver_cannot_get() {
    let log = "26/11/22 05:30:20 WARN ExecutorPodsSnapshotsStoreImpl: Exception when notifying snapshot subscriber.\n\
               io.fabric8.kubernetes.client.KubernetesClientException: Failure executing: POST at: https://kubernetes.default.svc/api/v1/namespaces/team-a/pods. \
               Message: pods \"etl-0123456789abcdef-exec-1\" is forbidden: exceeded quota: small, requested: limits.memory=896Mi, used: limits.memory=896Mi, \
               limited: limits.memory=1Gi. Received status: Status(code=403)\n\
               \tat io.fabric8.kubernetes.client.dsl.internal.OperationSupport.requestFailure(OperationSupport.java:507)";
    let running = json!({"phase": "Running", "containerStatuses": [
        {"name": "spark-kubernetes-driver", "state": {"running": {}}}]});
    let objects = |executors: &[Value]| Objects {
        application: application("RUNNING", ""),
        pods: [&[pod("driver", "", running.clone())], executors].concat(),
        ..Objects::default()
    };
    let found = first(objects(&[]), log, "");
    assert_eq!((&*found.code, found.severity), ("quota-exceeded", Severity::Error));
    assert!(found.message.contains("small"), "{}", found.message);
    // With an executor it goes on, if slower.
    let executor = pod("executor", "1", running.clone());
    assert_eq!(failures::findings(&facts(objects(&[executor]), log, "")), []);
}
