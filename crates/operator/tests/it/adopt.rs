//! Applications as the published operator leaves them are taken over at the embedded API server, and our operator goes on with them. A node
//! is played by patching statuses.

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use stoke_model::crd::{ApplicationStateType as State, SparkApplication};
use stoke_operator::adopt::{Carried, Intent, Plan, carry_out, judge, look};

use super::embedded::{World, world};

/// What the other operator drew at random.
const ID: &str = "0b8f3b8e-6f5e-4a27-9f5a-000000000001";

/// What is left: the state in the status, the phase of the driver if there is one, its submission, and whether the application owns it.
struct Left {
    state: &'static str,
    driver: Option<&'static str>,
    submission: &'static str,
    owned: bool,
}

impl Left {
    fn new(state: &'static str, driver: Option<&'static str>) -> Self {
        Self {
            state,
            driver,
            submission: ID,
            owned: true,
        }
    }
}

async fn leave(world: &World, left: &Left) -> Option<Pod> {
    let retries = json!({"restartPolicy": {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 1}});
    world.submit(retries).await;
    let app = world.app().await;
    if !left.state.is_empty() {
        let status = json!({"status": {
            "applicationState": {"state": left.state}, "submissionID": ID, "sparkApplicationId": "spark-theirs",
            "driverInfo": {"podName": "pi-driver", "webUIServiceName": "pi-ui-svc", "webUIPort": 4040},
            "executionAttempts": 1, "submissionAttempts": 1, "lastSubmissionAttemptTime": jiff::Timestamp::now(),
        }});
        let apps: Api<SparkApplication> = world.api();
        let parameters = PatchParams {
            field_manager: Some("controller".to_owned()),
            ..PatchParams::default()
        };
        apps.patch_status("pi", &parameters, &Patch::Merge(status))
            .await
            .unwrap();
    }
    let owner = json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "name": "pi", "uid": app.uid(),
        "controller": true, "blockOwnerDeletion": true,
    });
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "pi-ui-svc", "labels": {"sparkoperator.k8s.io/app-name": "pi"}, "ownerReferences": [owner]},
        "spec": {
            "selector": {"spark-role": "driver", "sparkoperator.k8s.io/app-name": "pi"},
            "ports": [{"name": "spark-driver-ui-port", "port": 4040, "targetPort": 4040}],
        },
    }))
    .unwrap();
    world.api().create(&PostParams::default(), &service).await.unwrap();
    let phase = left.driver?;
    let labels = |role: &str| {
        json!({
            "sparkoperator.k8s.io/app-name": "pi", "sparkoperator.k8s.io/launched-by-spark-operator": "true",
            "sparkoperator.k8s.io/submission-id": left.submission, "spark-role": role, "spark-app-selector": "spark-theirs",
        })
    };
    let owners = if left.owned { vec![owner] } else { Vec::new() };
    let driver: Pod = serde_json::from_value(json!({
        "metadata": {"name": "pi-driver", "labels": labels("driver"), "ownerReferences": owners},
        "spec": {"containers": [{"name": "spark-kubernetes-driver", "image": "apache/spark:4.1.4"}]},
    }))
    .unwrap();
    let driver = world
        .api::<Pod>()
        .create(&PostParams::default(), &driver)
        .await
        .unwrap();
    match phase {
        "Succeeded" => world.driver_ends(0).await,
        "Failed" => world.driver_ends(1).await,
        phase => world.report(json!({"phase": phase})).await,
    }
    Some(driver)
}

async fn plan(world: &World) -> Plan {
    let found = look(&world.client, None).await.unwrap();
    assert_eq!(found.len(), 1);
    judge(&found[0])
}

/// Adopts with an interruption after every step; what is left in the end is nothing.
async fn adopt_step_by_step(world: &World) -> Plan {
    let first = plan(world).await;
    assert_eq!(first.intent, Intent::Adopt, "{first:?}");
    for taken in 0.. {
        let mut next = plan(world).await;
        if next.intent != Intent::Adopt {
            assert_eq!(taken, first.steps.len(), "{first:?}");
            return first;
        }
        next.steps.truncate(1);
        assert_eq!(carry_out(&world.client, &next).await.unwrap(), Carried::Done);
    }
    first
}

async fn driver(world: &World) -> Option<Pod> {
    world.api().get_opt("pi-driver").await.unwrap()
}

/// As a kubelet: a pod whose deletion was asked for goes.
async fn another_driver(world: &World, than: Option<&str>) -> Pod {
    for _ in 0..1000 {
        match driver(world).await {
            Some(pod) if pod.metadata.deletion_timestamp.is_some() => {
                let parameters = DeleteParams::default().grace_period(0);
                let _ = world.api::<Pod>().delete("pi-driver", &parameters).await;
            }
            Some(pod) if pod.uid().as_deref() != than => return pod,
            _ => {}
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("no other driver: {:#?}", world.app().await.status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drivers_that_live_or_succeeded_stay_the_only_ones() {
    let unknown = |state, submission| Left {
        submission,
        ..Left::new(state, Some("Running"))
    };
    let second = "0b8f3b8e-6f5e-4a27-9f5a-000000000002";
    let cases = [
        Left::new("RUNNING", Some("Running")),
        Left::new("SUBMITTED", Some("Pending")),
        Left::new("RUNNING", Some("Succeeded")),
        Left::new("UNKNOWN", Some("Running")),
        // No webhook set the owner.
        Left {
            owned: false,
            ..Left::new("RUNNING", Some("Running"))
        },
        // The driver was made and the status never written; a second submission met the first one's driver.
        unknown("", ID),
        unknown("PENDING_RERUN", second),
        unknown("SUBMISSION_FAILED", second),
    ];
    for left in cases {
        let world = world().await;
        let before = leave(&world, &left).await.unwrap();
        adopt_step_by_step(&world).await;
        let (operator, stop) = world.operator();
        if left.driver != Some("Succeeded") {
            world.report(json!({"phase": "Running"})).await;
            world.until_state(State::Running).await;
            let now = driver(&world).await.unwrap();
            assert_eq!(
                (now.uid(), now.metadata.deletion_timestamp),
                (before.uid(), None),
                "{}",
                left.state
            );
            world.driver_ends(0).await;
        }
        let app = world.until_state(State::Completed).await;
        let status = app.status.unwrap();
        assert_eq!(driver(&world).await.unwrap().uid(), before.uid(), "{}", left.state);
        assert_eq!(status.submission_id.as_deref(), Some(left.submission), "{}", left.state);
        assert!(
            status.execution_attempts <= 2 && status.submission_attempts == 1,
            "{}: {status:?}",
            left.state
        );
        // What stood beside the run ends with it, as with our own.
        let services = world.api::<Service>().list(&ListParams::default()).await.unwrap();
        assert!(
            services.iter().all(|service| service.name_any() != "pi-ui-svc"),
            "{}",
            left.state
        );
        stop.send(true).unwrap();
        operator.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_of_a_failed_or_vanished_driver_follow_the_spec() {
    for left in [
        Left::new("RUNNING", Some("Failed")),
        Left::new("FAILING", Some("Failed")),
        Left::new("RUNNING", None),
    ] {
        let world = world().await;
        let before = leave(&world, &left).await.and_then(|pod| pod.uid());
        adopt_step_by_step(&world).await;
        let (operator, stop) = world.operator();
        let second = another_driver(&world, before.as_deref()).await;
        let app = world.until_state(State::Submitted).await;
        assert_eq!(app.status.unwrap().execution_attempts, 2);
        // The service has the new driver as its one controller.
        let service: Service = world.api().get("pi-ui-svc").await.unwrap();
        let controllers: Vec<String> = service
            .owner_references()
            .iter()
            .filter(|owner| owner.controller == Some(true))
            .map(|owner| owner.uid.clone())
            .collect();
        assert_eq!(controllers, [second.uid().unwrap()]);
        // One retry is two tries.
        world.driver_ends(1).await;
        world.until_state(State::Failed).await;
        assert_eq!(driver(&world).await.unwrap().uid(), second.uid());
        stop.send(true).unwrap();
        operator.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_submission_without_a_driver_is_not_begun_beyond_its_retries() {
    let world = world().await;
    leave(&world, &Left::new("SUBMISSION_FAILED", None)).await;
    adopt_step_by_step(&world).await;
    let (operator, stop) = world.operator();
    // The policy has no retries of submissions.
    world.until_state(State::Failed).await;
    assert_eq!(driver(&world).await, None);
    stop.send(true).unwrap();
    operator.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_since_the_look_is_not_overwritten() {
    let world = world().await;
    leave(&world, &Left::new("RUNNING", Some("Running"))).await;
    let seen = plan(&world).await;
    let apps: Api<SparkApplication> = world.api();
    let change: Value = json!({"status": {"applicationState": {"state": "COMPLETED"}}});
    apps.patch_status("pi", &PatchParams::default(), &Patch::Merge(change))
        .await
        .unwrap();
    assert!(matches!(
        carry_out(&world.client, &seen).await.unwrap(),
        Carried::Changed(_)
    ));
    assert_eq!(plan(&world).await.intent, Intent::Leave);
}

/// That adoption is needed at all: without it a driver without an owner is not the application's, and a second one would be made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_adoption_an_unowned_driver_is_lost() {
    let world = world().await;
    let left = Left {
        owned: false,
        ..Left::new("RUNNING", Some("Running"))
    };
    leave(&world, &left).await;
    let (operator, stop) = world.operator();
    let app = world.until_state(State::Failing).await;
    assert_eq!(app.status.unwrap().app_state.error_message, "driver pod not found");
    stop.send(true).unwrap();
    operator.await.unwrap();
}
