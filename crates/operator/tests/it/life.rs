//! Whole lives of applications under the operator as it is shipped, with the real planner.

use std::time::Duration;

use serde_json::{Value, json};
use stoke_operator::{Operator, OperatorConfig};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::api::FakeApi;
use super::world::{clock, phase, until};

/// A running operator, until it is aborted.
pub fn operator(api: &FakeApi) -> JoinHandle<()> {
    operator_with(api, OperatorConfig::default())
}

/// One that keeps logs, or has another configuration.
pub fn operator_with(api: &FakeApi, config: OperatorConfig) -> JoinHandle<()> {
    let config = OperatorConfig {
        clock: clock(),
        ..config
    };
    let operator = Operator::new(api.client(), config);
    tokio::spawn(async move {
        let (_keep, stop) = watch::channel(false);
        operator.run(stop).await;
    })
}

/// As people write them: some configuration, labels, arguments.
pub fn application(name: &str) -> Value {
    let mut app: Value = serde_json::from_str(include_str!("data/typical.json")).unwrap();
    app["metadata"]["name"] = json!(name);
    app["metadata"]["generation"] = json!(1);
    app
}

pub async fn until_app(api: &FakeApi, name: &str, wanted: &str) {
    until(api, wanted, || {
        api.get("sparkapplications", name).unwrap()["status"]["applicationState"]["state"] == wanted
    })
    .await;
}

/// From its creation to its end. Executors are seen in every phase, and are gone in the end, as Spark removes them.
pub async fn run(api: &FakeApi, name: &str, executors: usize) {
    api.put("sparkapplications", application(name));
    until_app(api, name, "SUBMITTED").await;
    let driver = format!("{name}-driver");
    phase(api, &driver, "Running", None);
    until_app(api, name, "RUNNING").await;
    let pod = api.get("pods", &driver).unwrap();
    let mut labels = pod["metadata"]["labels"].clone();
    labels["spark-role"] = json!("executor");
    for phase in ["Pending", "Running", "Succeeded"] {
        for number in 1..=executors {
            labels["spark-exec-id"] = json!(number.to_string());
            let executor = json!({
                "metadata": {"name": format!("{name}-4f1a2b8f9d3c-exec-{number}"), "labels": labels,
                    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": driver, "uid": pod["metadata"]["uid"]}]},
                "status": {"phase": phase},
            });
            api.put("pods", executor);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    for number in 1..=executors {
        api.remove("pods", &format!("{name}-4f1a2b8f9d3c-exec-{number}"));
    }
    phase(api, &driver, "Succeeded", Some(0));
    until_app(api, name, "COMPLETED").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Ends one application with so many executors under an operator that then stops, and leaves so many copies of it beside it.
pub async fn leave_ended(api: &FakeApi, executors: usize, copies: usize) {
    let operator = operator(api);
    run(api, "ended", executors).await;
    operator.abort();
    let _ = operator.await;
    let ended = api.get("sparkapplications", "ended").unwrap();
    let pod = api.get("pods", "ended-driver").unwrap();
    for number in 0..copies {
        put_copy(api, &ended, &pod, number);
    }
}

/// Another application that is where `app` is, with its driver pod.
fn put_copy(api: &FakeApi, app: &Value, pod: &Value, number: usize) {
    let (of_app, of_pod) = (&app["metadata"], &pod["metadata"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (name, uid, pod_uid) = (text(&of_app["name"]), text(&of_app["uid"]), text(&of_pod["uid"]));
    let copied = |object: &Value| {
        let text = object.to_string();
        // The length of real UIDs.
        let text = text.replace(&uid, &format!("4d0f5c9a-0000-4000-8000-{number:012}"));
        let text = text.replace(&pod_uid, &format!("4d0f5c9a-0000-4000-9000-{number:012}"));
        serde_json::from_str::<Value>(&text.replace(&name, &format!("copy-{number}"))).unwrap()
    };
    api.put("pods", copied(pod));
    api.put("sparkapplications", copied(app));
}
