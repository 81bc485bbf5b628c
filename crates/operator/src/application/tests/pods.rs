//! What is read from pods.

use k8s_openapi::api::core::v1::Pod;

use super::*;
use stoke_model::crd::ExecutorState;

fn pod(status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "pi-driver", "labels": {"sparkoperator.k8s.io/submission-id": "s", "spark-exec-id": "3"}},
        "spec": {"containers": [{"name": "sidecar"}, {"name": "spark-kubernetes-driver"}]},
        "status": status,
    }))
    .unwrap()
}

fn progress(status: Value) -> Progress {
    DriverPod::read(&pod(status)).progress
}

fn ended(name: &str, code: i32, reason: &str) -> Value {
    json!({"name": name, "ready": false, "restartCount": 0, "image": "i", "imageID": "",
        "state": {"terminated": {"exitCode": code, "reason": reason, "finishedAt": "2026-01-01T00:00:05Z"}}})
}

fn waiting(name: &str, reason: &str) -> Value {
    json!({"name": name, "ready": false, "restartCount": 0, "image": "i", "imageID": "",
        "state": {"waiting": {"reason": reason, "message": "m"}}})
}

fn alive(name: &str) -> Value {
    json!({"name": name, "ready": true, "restartCount": 0, "image": "i", "imageID": "", "state": {"running": {}}})
}

#[test]
fn a_finished_driver_beside_a_living_sidecar_is_finished() {
    let status = |code, reason| json!({"phase": "Running", "containerStatuses": [alive("sidecar"), ended("spark-kubernetes-driver", code, reason)]});
    assert_eq!(
        progress(status(0, "Completed")),
        Progress::Succeeded { at: Some(at(5)) }
    );
    assert_eq!(
        progress(status(137, "OOMKilled")),
        Progress::Failed {
            at: Some(at(5)),
            message: "driver container failed with ExitCode: 137, Reason: OOMKilled".into()
        }
    );
}

#[test]
fn a_failed_pod_whose_driver_exited_well_succeeded() {
    let status = json!({"phase": "Failed", "containerStatuses": [ended("sidecar", 1, "Error"), ended("spark-kubernetes-driver", 0, "Completed")]});
    assert_eq!(progress(status), Progress::Succeeded { at: Some(at(5)) });
}

#[test]
fn a_container_name_kept_from_a_template_is_found() {
    let mut pod = pod(json!({"phase": "Running", "containerStatuses": [alive("sidecar"), ended("mine", 3, "Error")]}));
    pod.spec.as_mut().unwrap().containers[1].name = "mine".into();
    assert!(
        matches!(DriverPod::read(&pod).progress, Progress::Failed { message, .. } if message.contains("ExitCode: 3"))
    );
}

#[test]
fn a_pod_ended_from_outside_says_by_whom() {
    let message = |status| match progress(status) {
        Progress::Failed { message, .. } => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        message(json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."})),
        "driver container failed: Evicted: The node was low on memory."
    );
    assert_eq!(
        message(
            json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: ephemeral-storage. ",
            "containerStatuses": [alive("sidecar"), ended("spark-kubernetes-driver", 143, "Error")]})
        ),
        "driver container failed with ExitCode: 143, Reason: Error: Evicted: The node was low on resource: ephemeral-storage."
    );
    assert_eq!(
        message(json!({"phase": "Failed"})),
        "driver container failed: driver container status missing"
    );
}

#[test]
fn reasons_for_waiting() {
    let reason = |status| match progress(status) {
        Progress::Pending(reason) => reason.map(|reason| reason.reason),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(json!(null)), None);
    assert_eq!(
        reason(
            json!({"phase": "Pending", "containerStatuses": [waiting("spark-kubernetes-driver", "ContainerCreating")]})
        ),
        None
    );
    for name in [
        "ErrImagePull",
        "ImagePullBackOff",
        "CreateContainerConfigError",
        "InvalidImageName",
    ] {
        let status = json!({"phase": "Pending", "containerStatuses": [waiting("spark-kubernetes-driver", name)]});
        assert_eq!(reason(status).as_deref(), Some(name));
    }
    let init = json!({"phase": "Pending", "initContainerStatuses": [waiting("prepare", "ErrImagePull")],
        "containerStatuses": [waiting("spark-kubernetes-driver", "PodInitializing")]});
    assert_eq!(reason(init).as_deref(), Some("ErrImagePull"));
    let unscheduled = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]});
    assert_eq!(reason(unscheduled).as_deref(), Some("Unschedulable"));
}

#[test]
fn executors_speak_of_their_exit() {
    let read = |status| {
        let read = ExecutorPod::read(&pod(status));
        assert_eq!((read.id, read.submission_id.as_deref()), (Some(3), Some("s")));
        (read.state, read.detail)
    };
    let oom = json!({"phase": "Failed", "containerStatuses": [ended("spark-kubernetes-executor", 137, "OOMKilled")]});
    assert_eq!(
        read(oom),
        (ExecutorState::Failed, "ExitCode: 137, Reason: OOMKilled".into())
    );
    assert_eq!(read(json!({"phase": "Running"})).0, ExecutorState::Running);
    assert_eq!(read(json!({"phase": "Succeeded"})).0, ExecutorState::Completed);
    assert_eq!(read(json!({"phase": "Unknown"})).0, ExecutorState::Unknown);
}
