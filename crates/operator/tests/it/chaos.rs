//! What API servers, nodes, clocks and people do to an operator. It recovers by itself every time, on a paused clock.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use stoke_operator::Clock;

use super::api::FakeApi;
use super::crashes::End;
use super::scenarios::{Node, SCENARIOS};
use super::world::{Running, application, clock, phase, state, until, until_state};

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn named(name: &str) -> serde_json::Value {
    let mut app = application(json!({}));
    app["metadata"]["name"] = json!(name);
    app
}

fn state_of(api: &FakeApi, name: &str) -> String {
    let app = api.get("sparkapplications", name).unwrap_or_default();
    app["status"]["applicationState"]["state"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Lives a scenario on a paused clock while `disturb` does what it does, at every step, with a number for each.
async fn live(scenario: &super::scenarios::Scenario, operators: usize, disturb: impl Fn(&FakeApi, usize)) -> End {
    let api = FakeApi::default();
    let clock = clock();
    let running: Vec<Running> = (0..operators).map(|_| Running::start_at(&api, clock.clone())).collect();
    scenario.begin(&api);
    let mut node = Node::default();
    let mut step = 0;
    while !scenario.act(&api, &mut node) {
        step += 1;
        assert!(
            step < 20_000,
            "{}: stuck: {:#?} {:#?}",
            scenario.name,
            api.log(),
            api.all("sparkapplications")
        );
        disturb(&api, step);
        let changed = api.changed.notified();
        let _ = tokio::time::timeout(Duration::from_millis(200), changed).await;
    }
    pass(20).await;
    for operator in running {
        operator.kill().await;
    }
    End::of(scenario, &api, &node)
}

#[tokio::test(start_paused = true)]
async fn every_life_survives_410_storms() {
    for scenario in &SCENARIOS {
        let undisturbed = live(scenario, 1, |_, _| {}).await;
        let stormed = live(scenario, 1, |api, step| {
            if step % 3 == 0 && step < 60 {
                api.forget_history(2);
            }
        });
        assert_eq!(stormed.await, undisturbed, "{}", scenario.name);
    }
}

#[tokio::test(start_paused = true)]
async fn every_life_survives_conflict_storms() {
    for scenario in &SCENARIOS {
        let undisturbed = live(scenario, 1, |_, _| {}).await;
        let stormed = live(scenario, 1, |api, step| {
            if step < 60 {
                api.conflict(4);
            }
        });
        assert_eq!(stormed.await, undisturbed, "{}", scenario.name);
    }
}

#[tokio::test(start_paused = true)]
async fn two_operators_at_once_create_nothing_twice() {
    for scenario in &SCENARIOS {
        let undisturbed = live(scenario, 1, |_, _| {}).await;
        assert_eq!(live(scenario, 2, |_, _| {}).await, undisturbed, "{}", scenario.name);
    }
}

#[tokio::test(start_paused = true)]
async fn every_life_survives_an_api_server_that_takes_half_a_second() {
    for scenario in &SCENARIOS {
        let undisturbed = live(scenario, 1, |_, _| {}).await;
        let slow = live(scenario, 1, |api, _| api.slow(Duration::from_millis(500)));
        assert_eq!(slow.await, undisturbed, "{}", scenario.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_api_server_delays_each_application_by_its_own_requests_only() {
    let api = FakeApi::default();
    api.slow(Duration::from_millis(500));
    let operator = Running::start_at(&api, clock());
    pass(5).await;
    let begun = tokio::time::Instant::now();
    for number in 0..50 {
        api.put("sparkapplications", named(&format!("pi-{number}")));
    }
    until(&api, "50 drivers", || api.all("pods").len() == 50).await;
    // Intent, pod: two requests, side by side for all.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    operator.kill().await;
}

#[tokio::test(start_paused = true)]
async fn expired_credentials_are_waited_out() {
    let api = FakeApi::default();
    let operator = Running::start_at(&api, clock());
    pass(1).await;
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        api.deny(method, 401, "Unauthorized");
    }
    api.put("sparkapplications", application(json!({})));
    pass(120).await;
    assert!(api.all("pods").is_empty());
    api.allow_all();
    until_state(&api, "SUBMITTED").await;
    let app = api.get("sparkapplications", "pi").unwrap();
    assert_eq!(app["status"]["submissionAttempts"], 1, "not the application's fault");
    operator.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_definition_stops_only_its_own_kind() {
    let api = FakeApi::default();
    api.deny(
        "GET scheduledsparkapplications",
        404,
        "the server could not find the requested resource",
    );
    let operator = Running::start_at(&api, clock());
    pass(60).await;
    api.put("sparkapplications", application(json!({})));
    until_state(&api, "SUBMITTED").await;
    operator.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_is_installed_later_is_served_then() {
    let api = FakeApi::default();
    api.deny(
        "GET sparkapplications",
        404,
        "the server could not find the requested resource",
    );
    let operator = Running::start_at(&api, clock());
    pass(300).await;
    api.allow_all();
    api.put("sparkapplications", application(json!({})));
    until_state(&api, "SUBMITTED").await;
    operator.kill().await;
}

#[tokio::test(start_paused = true)]
async fn malformed_objects_of_every_kind_disturb_no_other() {
    let api = FakeApi::default();
    api.put("sparkapplications", {
        let mut bad = named("bad");
        bad["spec"] = json!({"driver": {"cores": [1]}});
        bad
    });
    api.put(
        "scheduledsparkapplications",
        json!({"metadata": {"name": "bad", "generation": 1}, "spec": {"schedule": 5}}),
    );
    api.put(
        "pods",
        json!({"metadata": {"name": "bad", "labels": {"sparkoperator.k8s.io/launched-by-spark-operator": "true"}}, "spec": 7}),
    );
    let operator = Running::start_at(&api, clock());
    for number in 0..20 {
        api.put("sparkapplications", named(&format!("good-{number}")));
    }
    until(&api, "20 drivers", || api.all("pods").len() == 21).await;
    until(&api, "a word about the bad one", || state_of(&api, "bad") == "FAILED").await;
    operator.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_neither_loses_nor_repeats_anything() {
    for jump in [SignedDuration::from_hours(3), SignedDuration::from_hours(-3)] {
        let api = FakeApi::default();
        let jumped = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let honest = clock();
        let skewed = Clock::new({
            let jumped = jumped.clone();
            move || match jumped.load(std::sync::atomic::Ordering::SeqCst) {
                true => honest.now() + jump,
                false => honest.now(),
            }
        });
        let operator = Running::start_at(&api, skewed);
        let policy =
            json!({"restartPolicy": {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 30}});
        api.put("sparkapplications", application(policy));
        until_state(&api, "SUBMITTED").await;
        let first = api.get("pods", "pi-driver").unwrap()["metadata"]["uid"].clone();
        phase(&api, "pi-driver", "Failed", Some(1));
        until_state(&api, "FAILING").await;
        jumped.store(true, std::sync::atomic::Ordering::SeqCst);
        let begun = tokio::time::Instant::now();
        until(&api, "a second driver", || {
            api.get("pods", "pi-driver")
                .is_some_and(|pod| pod["metadata"]["uid"] != first)
        })
        .await;
        assert!(
            begun.elapsed() <= Duration::from_secs(65),
            "{jump}: {:?}",
            begun.elapsed()
        );
        until_state(&api, "SUBMITTED").await;
        phase(&api, "pi-driver", "Succeeded", Some(0));
        until_state(&api, "COMPLETED").await;
        assert_eq!(
            api.get("sparkapplications", "pi").unwrap()["status"]["executionAttempts"],
            2
        );
        operator.kill().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_gone_is_said_and_waited_for_and_no_second_driver_runs_beside_the_first() {
    let api = FakeApi::default();
    api.let_pods_linger();
    let operator = Running::start_at(&api, clock());
    let policy = json!({"restartPolicy": {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 5}});
    api.put("sparkapplications", application(policy));
    until_state(&api, "SUBMITTED").await;
    phase(&api, "pi-driver", "Running", None);
    until_state(&api, "RUNNING").await;
    // The node stops reporting; the taint manager deletes the pod; no one is there to end it.
    api.change(
        "pods",
        "pi-driver",
        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:05:00Z"}, "spec": {"nodeName": "worker-3"},
            "status": {"phase": "Unknown", "containerStatuses": null}}),
    );
    until_state(&api, "UNKNOWN").await;
    pass(600).await;
    assert_eq!((state(&api).as_str(), api.all("pods").len()), ("UNKNOWN", 1));
    let conditions = api.get("sparkapplications", "pi").unwrap()["status"]["conditions"].clone();
    let ready = conditions
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "DriverReady")
        .unwrap();
    assert_eq!(ready["reason"], "DriverStuckTerminating");
    assert!(ready["message"].as_str().unwrap().contains("node worker-3"), "{ready}");
    // The node is removed, and with it the pod.
    api.remove("pods", "pi-driver");
    until(&api, "a second driver", || api.get("pods", "pi-driver").is_some()).await;
    until_state(&api, "SUBMITTED").await;
    operator.kill().await;
}
