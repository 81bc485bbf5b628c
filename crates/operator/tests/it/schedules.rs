//! Schedules: runs are begun once each, ended ones are trimmed, and a crash at any request begins none twice.

use serde_json::{Value, json};

use super::api::{Cut, FakeApi};
use super::world::{Running, until};

fn schedule(api: &FakeApi, spec: Value) {
    let mut whole = json!({"schedule": "@every 1s", "template": {}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    api.put(
        "scheduledsparkapplications",
        json!({
            "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication",
            "metadata": {"name": "report", "generation": 1, "labels": {"team": "a"}}, "spec": whole,
        }),
    );
}

fn runs(api: &FakeApi) -> Vec<Value> {
    api.all("sparkapplications")
}

fn status(api: &FakeApi) -> Value {
    api.get("scheduledsparkapplications", "report").unwrap()["status"].clone()
}

#[tokio::test]
async fn a_run_belongs_to_its_schedule_and_is_run() {
    let api = FakeApi::default();
    let operator = Running::start(&api);
    schedule(&api, json!({}));
    until(&api, "a driver", || !api.all("pods").is_empty()).await;
    let run = runs(&api)[0].clone();
    assert!(run["metadata"]["name"].as_str().unwrap().starts_with("report-"));
    assert_eq!(
        run["metadata"]["labels"]["sparkoperator.k8s.io/scheduled-app-name"],
        "report"
    );
    assert_eq!(run["metadata"]["labels"]["team"], "a");
    let owner = &run["metadata"]["ownerReferences"][0];
    assert_eq!(
        (owner["kind"].as_str(), owner["controller"].is_null()),
        (Some("ScheduledSparkApplication"), true)
    );
    operator.kill().await;
}

#[tokio::test]
async fn ended_runs_are_trimmed_to_the_limits() {
    let api = FakeApi::default();
    let operator = Running::start(&api);
    schedule(&api, json!({"schedule": "@hourly", "successfulRunHistoryLimit": 1}));
    let uid = api.get("scheduledsparkapplications", "report").unwrap()["metadata"]["uid"].clone();
    for (name, created) in [("old", "2026-01-01T00:00:00Z"), ("new", "2026-01-01T01:00:00Z")] {
        api.put(
            "sparkapplications",
            json!({"metadata": {"name": name, "generation": 1, "creationTimestamp": created,
                "labels": {"sparkoperator.k8s.io/scheduled-app-name": "report"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "ScheduledSparkApplication", "name": "report", "uid": uid}]},
                "spec": {}, "status": {"applicationState": {"state": "COMPLETED"}, "terminationTime": created}}),
        );
    }
    until(&api, "deletion of the old run", || {
        api.get("sparkapplications", "old").is_none()
    })
    .await;
    until(&api, "the new run in the status", || {
        status(&api)["pastSuccessfulRunNames"] == json!(["new"])
    })
    .await;
    assert!(api.get("sparkapplications", "new").is_some());
    operator.kill().await;
}

#[tokio::test]
async fn an_invalid_schedule_and_a_malformed_one_say_why() {
    for (spec, reason) in [
        (json!({"schedule": "61 * * * *"}), "between 0 and 59"),
        (json!({"template": {"driver": 5}}), "spec"),
    ] {
        let api = FakeApi::default();
        let operator = Running::start(&api);
        schedule(&api, spec);
        until(&api, "a reason", || {
            status(&api)["reason"]
                .as_str()
                .is_some_and(|text| text.contains(reason))
        })
        .await;
        assert_eq!(status(&api)["scheduleState"], "FailedValidation");
        operator.kill().await;
    }
}

#[tokio::test]
async fn a_crash_at_any_request_begins_no_run_twice() {
    let cuts = (1..=4).flat_map(|number| [Cut::Before(number), Cut::After(number)]);
    futures::future::join_all(cuts.map(begins_no_run_twice)).await;
}

async fn begins_no_run_twice(cut: Cut) {
    let api = FakeApi::default();
    api.cut_at(cut);
    let operator = Running::start(&api);
    // Suspended applications: only the schedule's own requests are made.
    schedule(&api, json!({"template": {"suspend": true}}));
    tokio::time::timeout(std::time::Duration::from_secs(10), api.cut.notified())
        .await
        .unwrap();
    api.cut_nowhere();
    operator.kill().await;
    let operator = Running::start(&api);
    until(&api, "a run that is done beginning", || {
        let status = status(&api);
        !status["lastRun"].is_null() && status["lastRun"] != status["nextRun"]
    })
    .await;
    operator.kill().await;
    let names: Vec<String> = runs(&api)
        .iter()
        .map(|run| run["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    let mut times = names.clone();
    times.sort();
    times.dedup();
    assert_eq!(times.len(), names.len(), "{cut:?}");
    // Every run stands for another second; a duplicate would share one.
    let seconds: std::collections::BTreeSet<String> = names
        .iter()
        .map(|name| name["report-".len()..][..10].to_owned())
        .collect();
    assert_eq!(seconds.len(), names.len(), "{cut:?}: {names:?}");
    let status = status(&api);
    let last = status["lastRunName"].as_str().unwrap().to_owned();
    let under_way = status["lastRun"] == status["nextRun"];
    assert!(
        under_way || names.contains(&last),
        "{cut:?}: {last} is recorded but was not created: {names:?}"
    );
}
