//! The operator is killed before and after every single request of a scenario and started again. The end and the set of objects created
//! are those of the undisturbed run.

use serde_json::{Value, json};

use super::api::{Cut, FakeApi};
use super::world::{Running, application, phase, state};

/// What a scenario left: names of objects, state, counters, and how often each kind of pod was created.
#[derive(Debug, PartialEq)]
struct End {
    names: Vec<String>,
    state: String,
    runs: Value,
    submissions: Value,
    drivers: usize,
}

/// Runs an application to its end under a node that lets its first `failures` drivers fail; kills the operator at `cut`.
async fn life(spec: Value, failures: usize, cut: Option<Cut>) -> (End, usize) {
    let api = FakeApi::default();
    if let Some(cut) = cut {
        api.cut_at(cut);
    }
    let mut operator = Running::start(&api);
    api.put("sparkapplications", application(spec));
    let mut drivers: Vec<Value> = Vec::new();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while !["COMPLETED", "FAILED"].contains(&state(&api).as_str()) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{cut:?}: stuck: {:#?} {:#?}",
            api.log(),
            api.get("sparkapplications", "pi")
        );
        let changed = api.changed.notified();
        tokio::select! {
            () = api.cut.notified() => {
                api.cut_nowhere();
                operator.kill().await;
                operator = Running::start(&api);
            }
            () = changed => {}
            () = tokio::time::sleep(std::time::Duration::from_millis(5)) => {}
        }
        let Some(pod) = api.get("pods", "pi-driver") else {
            continue;
        };
        if !drivers.contains(&pod["metadata"]["uid"]) {
            drivers.push(pod["metadata"]["uid"].clone());
        }
        // As a kubelet: without its ConfigMap the pod does not start.
        let owned = api
            .all("configmaps")
            .iter()
            .any(|map| map["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["uid"]);
        if pod["status"]["phase"].is_null() && owned {
            match drivers.len() <= failures {
                true => phase(&api, "pi-driver", "Failed", Some(1)),
                false => phase(&api, "pi-driver", "Succeeded", Some(0)),
            }
        }
    }
    operator.kill().await;
    let app = api.get("sparkapplications", "pi").unwrap();
    // Names of attempts depend on UIDs, which differ from life to life; their number does not.
    let mut names: Vec<String> = api
        .names()
        .into_iter()
        .map(|name| {
            if name.starts_with("configmaps/conf-") {
                "configmaps/conf".into()
            } else {
                name
            }
        })
        .collect();
    names.sort();
    let end = End {
        names,
        state: state(&api),
        runs: app["status"]["executionAttempts"].clone(),
        submissions: app["status"]["submissionAttempts"].clone(),
        drivers: drivers.len(),
    };
    (end, api.log().len())
}

async fn survives(spec: Value, failures: usize) {
    let (undisturbed, requests) = life(spec.clone(), failures, None).await;
    assert!(requests >= 6, "{requests}");
    for number in 1..=requests {
        for cut in [Cut::Before(number), Cut::After(number)] {
            let (end, _) = life(spec.clone(), failures, Some(cut)).await;
            assert_eq!(end, undisturbed, "{cut:?}");
        }
    }
}

#[tokio::test]
async fn a_run_survives_a_crash_at_every_request() {
    survives(json!({}), 0).await;
}

#[tokio::test]
async fn a_retried_run_survives_a_crash_at_every_request() {
    survives(
        json!({"restartPolicy": {"type": "OnFailure", "onFailureRetries": 2, "onFailureRetryInterval": 0}}),
        1,
    )
    .await;
}
