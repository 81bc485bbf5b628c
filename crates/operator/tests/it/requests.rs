//! The exact requests of an application's life, and what refusals become.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::FakeApi;
use super::world::{Running, application, phase, until, until_state};

fn config_map(api: &FakeApi) -> String {
    api.names()
        .into_iter()
        .find(|name| name.starts_with("configmaps/"))
        .unwrap()
}

#[tokio::test]
async fn a_run_costs_seven_requests() {
    let api = FakeApi::default();
    let operator = Running::start(&api);
    api.put("sparkapplications", application(json!({})));
    until_state(&api, "SUBMITTED").await;
    let submission = api.log();
    let (first, mut owned) = (submission[..2].to_vec(), submission[2..4].to_vec());
    owned.sort();
    assert_eq!(
        first,
        ["PATCH sparkapplications/pi/status", "POST pods/pi-driver"],
        "the intent is written first"
    );
    assert_eq!(
        owned,
        [format!("PATCH {}", config_map(&api)), "PATCH services/pi-ui-svc".into()],
        "then all it owns"
    );
    assert_eq!(submission[4..], ["PATCH sparkapplications/pi/status"]);
    let pod = api.get("pods", "pi-driver").unwrap();
    assert_eq!(
        pod["spec"]["containers"][0]["env"].as_array().unwrap().len(),
        2,
        "duplicate names survive"
    );
    assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "SparkApplication");
    let service = api.get("services", "pi-ui-svc").unwrap();
    assert_eq!(service["metadata"]["ownerReferences"][0]["uid"], pod["metadata"]["uid"]);

    api.clear_log();
    phase(&api, "pi-driver", "Running", None);
    until_state(&api, "RUNNING").await;
    phase(&api, "pi-driver", "Succeeded", Some(0));
    until_state(&api, "COMPLETED").await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(
        api.log(),
        ["PATCH sparkapplications/pi/status", "PATCH sparkapplications/pi/status"]
    );
    let reasons: Vec<Value> = api.all("events").iter().map(|event| event["reason"].clone()).collect();
    for reason in [
        "SparkApplicationSubmitted",
        "SparkDriverRunning",
        "SparkDriverCompleted",
        "SparkApplicationCompleted",
    ] {
        assert!(reasons.contains(&json!(reason)), "{reason} in {reasons:?}");
    }
    assert_eq!(reasons.len(), 4);
    operator.kill().await;
}

#[tokio::test]
async fn what_the_api_server_refuses_fails_the_submission_with_its_words_and_leaves_nothing() {
    for refused in ["POST pods/", "PATCH configmaps/"] {
        let api = FakeApi::default();
        api.refuse(refused, 403, "exceeded quota: compute");
        let operator = Running::start(&api);
        api.put("sparkapplications", application(json!({})));
        until_state(&api, "FAILED").await;
        let app = api.get("sparkapplications", "pi").unwrap();
        let message = app["status"]["applicationState"]["errorMessage"].as_str().unwrap();
        assert!(
            message.contains("failed to run spark-submit") && message.contains("exceeded quota: compute"),
            "{message}"
        );
        assert!(api.get("pods", "pi-driver").is_none(), "no driver that could only hang");
        assert!(!app["status"]["terminationTime"].is_null());
        operator.kill().await;
    }
}

#[tokio::test]
async fn an_overloaded_api_server_is_asked_again_and_nothing_fails() {
    let api = FakeApi::default();
    for _ in 0..2 {
        api.refuse("POST pods/", 500, "etcdserver: leader changed");
    }
    let operator = Running::start(&api);
    api.put("sparkapplications", application(json!({})));
    until_state(&api, "SUBMITTED").await;
    let app = api.get("sparkapplications", "pi").unwrap();
    assert_eq!(app["status"]["submissionAttempts"], 1, "the same attempt, not another");
    operator.kill().await;
}

#[tokio::test]
async fn a_refused_configuration_says_so_without_touching_the_cluster() {
    let api = FakeApi::default();
    let operator = Running::start(&api);
    api.put(
        "sparkapplications",
        application(json!({"sparkConf": {"spark.master": "local"}})),
    );
    until_state(&api, "FAILED").await;
    let app = api.get("sparkapplications", "pi").unwrap();
    assert!(
        app["status"]["applicationState"]["errorMessage"]
            .as_str()
            .unwrap()
            .contains("is not allowed")
    );
    assert!(
        !api.log().iter().any(|request| request.contains("pods")),
        "{:?}",
        api.log()
    );
    operator.kill().await;
}

#[tokio::test]
async fn a_malformed_application_says_so_and_disturbs_no_other() {
    let api = FakeApi::default();
    let operator = Running::start(&api);
    let mut bad = application(json!({"driver": {"cores": "many"}}));
    bad["metadata"]["name"] = json!("bad");
    api.put("sparkapplications", bad);
    api.put("sparkapplications", application(json!({})));
    until_state(&api, "SUBMITTED").await;
    until(&api, "a status of bad", || {
        !api.get("sparkapplications", "bad").unwrap()["status"].is_null()
    })
    .await;
    let status = &api.get("sparkapplications", "bad").unwrap()["status"];
    assert_eq!(status["applicationState"]["state"], "FAILED");
    assert!(
        status["applicationState"]["errorMessage"]
            .as_str()
            .unwrap()
            .contains("many"),
        "{status}"
    );
    // Fixed, it runs.
    api.change(
        "sparkapplications",
        "bad",
        json!({"metadata": {"generation": 2}, "spec": {"driver": {"cores": 1}}}),
    );
    until(&api, "a driver of bad", || api.get("pods", "bad-driver").is_some()).await;
    operator.kill().await;
}

#[tokio::test]
async fn a_foreign_pod_with_the_driver_s_name_is_neither_adopted_nor_removed() {
    let api = FakeApi::default();
    api.put(
        "pods",
        json!({"metadata": {"name": "pi-driver", "labels": {}}, "spec": {"containers": []}}),
    );
    let operator = Running::start(&api);
    api.put("sparkapplications", application(json!({})));
    until_state(&api, "FAILED").await;
    let message = api.get("sparkapplications", "pi").unwrap()["status"]["applicationState"]["errorMessage"].clone();
    assert!(
        message
            .as_str()
            .unwrap()
            .contains("does not belong to this application"),
        "{message}"
    );
    assert!(api.get("pods", "pi-driver").is_some());
    operator.kill().await;
}

#[tokio::test]
async fn a_retry_waits_for_the_old_driver_and_creates_a_new_one() {
    let api = FakeApi::default();
    api.let_pods_linger();
    let operator = Running::start(&api);
    let policy = json!({"restartPolicy": {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 0}});
    api.put("sparkapplications", application(policy));
    until_state(&api, "SUBMITTED").await;
    let first = api.get("pods", "pi-driver").unwrap()["metadata"]["uid"].clone();
    phase(&api, "pi-driver", "Failed", Some(1));
    until(&api, "deletion of the first driver", || {
        !api.get("pods", "pi-driver").unwrap()["metadata"]["deletionTimestamp"].is_null()
    })
    .await;
    api.remove("pods", "pi-driver");
    until(&api, "a second driver", || {
        api.get("pods", "pi-driver")
            .is_some_and(|pod| pod["metadata"]["uid"] != first)
    })
    .await;
    until_state(&api, "SUBMITTED").await;
    phase(&api, "pi-driver", "Failed", Some(1));
    until_state(&api, "FAILED").await;
    let app = api.get("sparkapplications", "pi").unwrap();
    assert_eq!(app["status"]["executionAttempts"], 2);
    assert!(
        app["status"]["applicationState"]["errorMessage"]
            .as_str()
            .unwrap()
            .contains("driver container failed with ExitCode: 1")
    );
    operator.kill().await;
}

#[tokio::test]
async fn an_ended_application_whose_time_is_over_is_deleted() {
    let api = FakeApi::default();
    let operator = Running::start(&api);
    api.put("sparkapplications", application(json!({"timeToLiveSeconds": 1})));
    until_state(&api, "SUBMITTED").await;
    phase(&api, "pi-driver", "Succeeded", Some(0));
    until(&api, "deletion", || api.get("sparkapplications", "pi").is_none()).await;
    operator.kill().await;
}

/// An executor of the run `id`, as Spark labels it.
fn put_executor(api: &FakeApi, number: usize, id: &Value, phase: &str) {
    api.put(
        "pods",
        json!({"metadata": {"name": format!("pi-exec-{number}"), "labels": {
            "spark-role": "executor", "spark-exec-id": number.to_string(), "sparkoperator.k8s.io/app-name": "pi",
            "sparkoperator.k8s.io/launched-by-spark-operator": "true", "sparkoperator.k8s.io/submission-id": id}},
            "status": {"phase": phase}}),
    );
}

#[tokio::test]
async fn executors_show_in_the_status() {
    let api = FakeApi::default();
    let operator = Running::start(&api);
    api.put("sparkapplications", application(json!({})));
    until_state(&api, "SUBMITTED").await;
    phase(&api, "pi-driver", "Running", None);
    let id = api.get("sparkapplications", "pi").unwrap()["status"]["submissionID"].clone();
    put_executor(&api, 1, &id, "Running");
    let executor = || api.get("sparkapplications", "pi").unwrap()["status"]["executorState"]["pi-exec-1"].clone();
    until(&api, "a running executor", || executor() == "RUNNING").await;
    phase(&api, "pi-driver", "Succeeded", Some(0));
    api.remove("pods", "pi-exec-1");
    until(&api, "a completed executor", || executor() == "COMPLETED").await;
    until_state(&api, "COMPLETED").await;
    operator.kill().await;
}

#[tokio::test(start_paused = true)]
async fn executors_cost_requests_by_what_happens_to_them_not_by_their_number() {
    for executors in [1, 5, 50] {
        let api = FakeApi::default();
        let operator = Running::start(&api);
        api.put("sparkapplications", application(json!({})));
        until_state(&api, "SUBMITTED").await;
        phase(&api, "pi-driver", "Running", None);
        until_state(&api, "RUNNING").await;
        api.clear_log();
        let id = api.get("sparkapplications", "pi").unwrap()["status"]["submissionID"].clone();
        for state in ["Pending", "Running", "Succeeded"] {
            for number in 1..=executors {
                put_executor(&api, number, &id, state);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(api.log(), ["PATCH sparkapplications/pi/status"; 3], "{executors}");
        let told = api.all("events");
        let told: Vec<&str> = told.iter().filter_map(|event| event["reason"].as_str()).collect();
        let executor_events = told.iter().filter(|reason| reason.starts_with("SparkExecutor")).count();
        assert_eq!(executor_events, 3, "{executors}: {told:?}");
        phase(&api, "pi-driver", "Succeeded", Some(0));
        until_state(&api, "COMPLETED").await;
        operator.kill().await;
    }
}

#[tokio::test(start_paused = true)]
async fn news_of_executors_wait_half_a_second_however_many_come() {
    let api = FakeApi::default();
    let operator = Running::start(&api);
    api.put("sparkapplications", application(json!({})));
    until_state(&api, "SUBMITTED").await;
    phase(&api, "pi-driver", "Running", None);
    until_state(&api, "RUNNING").await;
    let id = api.get("sparkapplications", "pi").unwrap()["status"]["submissionID"].clone();
    let begun = tokio::time::Instant::now();
    let mut seen = None;
    for number in 1..=200 {
        put_executor(&api, number, &id, "Running");
        tokio::time::sleep(Duration::from_millis(10)).await;
        let shown = api.get("sparkapplications", "pi").unwrap()["status"]["executorState"].is_object();
        if shown && seen.is_none() {
            seen = Some(begun.elapsed());
        }
    }
    let seen = seen.expect("some while others still come");
    assert!((500..600).contains(&seen.as_millis()), "{seen:?}");
    operator.kill().await;
}

#[tokio::test(start_paused = true)]
async fn no_timer_and_no_poll_lies_between_an_application_and_its_driver_pod() {
    let api = FakeApi::default();
    let operator = Running::start(&api);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = tokio::time::Instant::now();
    for run in 0..20 {
        let mut app = application(json!({}));
        app["metadata"]["name"] = json!(format!("pi-{run}"));
        api.put("sparkapplications", app);
        let pod = format!("pi-{run}-driver");
        // The paused clock goes on only while everybody waits for a timer.
        until(&api, "a driver", || api.get("pods", &pod).is_some()).await;
    }
    assert!(begun.elapsed() < Duration::from_millis(20), "{:?}", begun.elapsed());
    operator.kill().await;
}
