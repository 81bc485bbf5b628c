//! A case for every state the other operator may leave.

use kube::core::DynamicObject;
use serde_json::{Value, json};
use stoke_model::crd::ApplicationStateType as State;

use super::*;

fn app(status: Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
        "metadata": {"name": "pi", "namespace": "jobs", "uid": "app", "generation": 3, "resourceVersion": "7"},
        "spec": {"image": "a"}, "status": status,
    }))
    .unwrap()
}

fn pod(id: &str, phase: &str, owner: Option<&str>) -> k8s_openapi::api::core::v1::Pod {
    let owners: Vec<Value> = owner
        .map(
            |uid| json!({"apiVersion": "v1", "kind": "SparkApplication", "name": "pi", "uid": uid, "controller": true}),
        )
        .into_iter()
        .collect();
    serde_json::from_value(json!({
        "metadata": {
            "name": "pi-driver", "namespace": "jobs", "uid": "pod", "creationTimestamp": "2026-01-01T00:00:00Z", "ownerReferences": owners,
            "labels": {
                "sparkoperator.k8s.io/app-name": "pi", "sparkoperator.k8s.io/submission-id": id, "spark-role": "driver",
                "sparkoperator.k8s.io/launched-by-spark-operator": "true", "spark-app-selector": "spark-1",
            },
        },
        "status": {"phase": phase},
    }))
    .unwrap()
}

fn status(state: &str, id: &str) -> Value {
    json!({
        "applicationState": {"state": state, "errorMessage": "e"}, "submissionID": id, "executionAttempts": 1, "submissionAttempts": 1,
        "lastSubmissionAttemptTime": "2026-01-01T00:00:00Z", "driverInfo": {"podName": "pi-driver", "webUIPort": 4040},
    })
}

fn judged(status: Value, drivers: Vec<k8s_openapi::api::core::v1::Pod>) -> Plan {
    judge(&Facts {
        app: app(status),
        drivers,
        companions: Vec::new(),
    })
}

fn written(plan: &Plan) -> Value {
    let status = plan.steps.iter().find_map(|step| match step {
        Step::Status { body } => Some(body["status"].clone()),
        _ => None,
    });
    status.unwrap_or_default()
}

#[test]
fn every_state_has_its_answer() {
    let mine = |phase: &str| vec![pod("s1", phase, Some("app"))];
    let other = |phase: &str| vec![pod("s2", phase, Some("app"))];
    let table = [
        ("RUNNING", mine("Running"), Intent::Adopt, "undisturbed"),
        ("SUBMITTED", mine("Pending"), Intent::Adopt, "waits"),
        ("RUNNING", mine("Succeeded"), Intent::Adopt, "completes"),
        ("RUNNING", mine("Failed"), Intent::Adopt, "restart policy"),
        ("RUNNING", vec![], Intent::Adopt, "gone"),
        ("UNKNOWN", mine("Running"), Intent::Adopt, "undisturbed"),
        ("FAILING", mine("Failed"), Intent::Adopt, "restart policy"),
        ("SUCCEEDING", mine("Succeeded"), Intent::Adopt, "completes"),
        ("PENDING_RERUN", vec![], Intent::Adopt, "submits it again"),
        ("PENDING_RERUN", mine("Failed"), Intent::Adopt, "submits it again"),
        ("PENDING_RERUN", other("Running"), Intent::Adopt, "SUBMITTED"),
        ("SUBMISSION_FAILED", other("Running"), Intent::Adopt, "SUBMITTED"),
        ("SUBMISSION_FAILED", vec![], Intent::Adopt, "no driver"),
        ("INVALIDATING", mine("Running"), Intent::Adopt, "removed"),
        ("SUSPENDING", mine("Running"), Intent::Adopt, "removed"),
        ("SUSPENDED", vec![], Intent::Adopt, "suspended"),
        ("COMPLETED", mine("Succeeded"), Intent::Leave, "ended"),
        ("FAILED", mine("Failed"), Intent::Leave, "ended"),
        ("FAILED", other("Running"), Intent::Leave, "has not"),
        ("", vec![], Intent::Leave, "begins it"),
        ("", other("Running"), Intent::Adopt, "SUBMITTED"),
        (
            "RUNNING",
            vec![pod("s1", "Running", Some("deleted"))],
            Intent::Leave,
            "delete the pod",
        ),
    ];
    for (state, drivers, intent, why) in table {
        let plan = judged(status(state, "s1"), drivers.clone());
        assert_eq!(plan.intent, intent, "{state} {plan:?}");
        assert!(plan.why.contains(why), "{state}: {}", plan.why);
        assert_eq!(plan.steps.is_empty(), intent == Intent::Leave, "{state}");
        // The version that was seen is the one that is written to.
        assert!(
            plan.steps
                .iter()
                .all(|step| !matches!(step, Step::Status { body } if body["metadata"]["resourceVersion"] != "7"))
        );
        // Once more, when all of it is done: nothing.
        let mut stored = status(state, "s1");
        merge(&mut stored, &written(&plan));
        let again = judged(stored, drivers);
        assert_ne!(again.intent, Intent::Adopt, "{state}: {again:?}");
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return };
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().shift_remove(key)),
            Value::Object(_) if target[key].is_object() => merge(&mut target[key], value),
            _ => target[key] = value.clone(),
        }
    }
}

#[test]
fn a_driver_the_status_does_not_know_is_recorded_as_submitted() {
    let plan = judged(status("SUBMISSION_FAILED", "s1"), vec![pod("s2", "Running", None)]);
    let written = written(&plan);
    assert_eq!(
        written["applicationState"],
        json!({"state": "SUBMITTED", "errorMessage": null})
    );
    assert_eq!(
        (&written["submissionID"], &written["executionAttempts"]),
        (&json!("s2"), &json!(2))
    );
    assert_eq!(written["sparkApplicationId"], "spark-1");
    assert_eq!(written["startTime"], "2026-01-01T00:00:00Z");
    assert_eq!(plan.state, State::SubmissionFailed);
    let Step::Pod { body, .. } = &plan.steps[0] else {
        panic!("{plan:?}")
    };
    assert_eq!(
        (&body["metadata"]["uid"], &body["metadata"]["ownerReferences"][0]["uid"]),
        (&json!("pod"), &json!("app"))
    );
    let without_status = judge(&Facts {
        app: app(Value::Null),
        drivers: vec![pod("s2", "Running", Some("app"))],
        companions: Vec::new(),
    });
    assert_eq!(without_status.intent, Intent::Adopt);
}

#[test]
fn a_submission_that_left_nothing_is_not_taken_for_one_in_progress() {
    let written = written(&judged(status("SUBMISSION_FAILED", "s1"), Vec::new()));
    assert_eq!(written["driverInfo"], json!({"podName": null}));
}

#[test]
fn what_the_application_controls_goes_to_the_driver() {
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "pi-ui-svc", "uid": "svc", "ownerReferences": [{"kind": "SparkApplication", "name": "pi", "uid": "app", "controller": true}]},
    });
    let facts = |drivers| Facts {
        app: app(status("RUNNING", "s1")),
        drivers,
        companions: vec![service.clone()],
    };
    let owner = |plan: &Plan| match &plan.steps[0] {
        Step::Companion { body, .. } => body["metadata"]["ownerReferences"][0].clone(),
        other => panic!("{other:?}"),
    };
    let with_driver = owner(&judge(&facts(vec![pod("s1", "Running", Some("app"))])));
    assert_eq!(
        (&with_driver["uid"], &with_driver["controller"]),
        (&json!("pod"), &Value::Null)
    );
    let without = owner(&judge(&facts(Vec::new())));
    assert_eq!((&without["uid"], &without["controller"]), (&json!("app"), &Value::Null));
}
