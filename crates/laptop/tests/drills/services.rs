//! Faults of what stands beside applications: a History Server (ours, whole), a metastore (a program that answers its one call; the real one is
//! in [`super::metastore`]), shuffle workers (Celeborn's cannot be had).

use libtest_mimic::Failed;
use serde_json::{Value, json};
use stoke_observe::runbook::{Ending, Kind};

use super::drill::{Drill, Given, no_one};
use super::of_stage;
use super::served::{Call, HANG, HISTORY, THRIFT, answers, script};
use super::stage::Stage;

/// The status API of the History Server.
fn of_http() -> Value {
    json!({"httpGet": {"path": "/api/v1/applications", "port": HISTORY}, "periodSeconds": 1, "failureThreshold": 1})
}

/// That a metastore takes connections, as its Deployments ask; one that hangs takes them, too.
fn of_tcp() -> Value {
    json!({"tcpSocket": {"port": THRIFT}, "periodSeconds": 1, "failureThreshold": 1})
}

async fn history_server(stage: &Stage, replicas: u32) -> Result<(), Failed> {
    let script = script("history");
    stage
        .service(Kind::Deployment, "history", replicas, &script, of_http(), json!({}))
        .await
}

async fn metastore(stage: &Stage, replicas: u32) -> Result<(), Failed> {
    let script = script("thrift");
    stage
        .service(Kind::Deployment, "metastore", replicas, &script, of_tcp(), json!({}))
        .await
}

/// Whether one of its pods answers.
pub async fn serves(stage: &Stage, name: &str, port: u16, call: Call) -> Result<bool, Failed> {
    for pod in stage.pods_of(name).await? {
        let pod = stage.get(Kind::Pod, &pod).await?;
        let ip = pod["status"]["podIP"].as_str().unwrap_or_default();
        if pod["status"]["phase"] == "Running" && answers(ip, port, call).await {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Stops the processes of a server, so that it hangs.
async fn hangs(stage: &Stage, name: &str, port: u16, call: Call) -> Result<(), Failed> {
    stage
        .until("it answers", async || serves(stage, name, port, call).await)
        .await?;
    for pod in stage.pods_of(name).await? {
        stage.exec(&pod, &HANG).await?;
    }
    Ok(())
}

/// How the workers of a shuffle service are shown to be well.
async fn is_ready(stage: &Stage, name: &str) -> Result<bool, Failed> {
    let object = stage.get(Kind::StatefulSet, name).await?;
    Ok(object["status"]["readyReplicas"].as_u64().unwrap_or(0) >= 1)
}

async fn broken(stage: &Stage, name: &str) -> Result<(), Failed> {
    for pod in stage.pods_of(name).await? {
        stage.exec(&pod, &["touch", "/tmp/broken"]).await?;
    }
    stage
        .until("it is broken", async || Ok(!is_ready(stage, name).await?))
        .await
}

fn given(name: &str, port: u16) -> Given {
    vec![("workload", format!("deployment/{name}")), ("port", port.to_string())]
}

pub fn drills() -> Vec<Drill> {
    vec![
        Drill {
            runbook: "history-server",
            branch: "hangs",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                history_server(stage, 1).await?;
                hangs(stage, "history", HISTORY, Call::Http).await?;
                Ok(given("history", HISTORY))
            }),
            symptom: of_stage!(stage, Ok(!serves(stage, "history", HISTORY, Call::Http).await?)),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "history-server",
            branch: "stopped",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                history_server(stage, 0).await?;
                Ok(given("history", HISTORY))
            }),
            symptom: of_stage!(stage, Ok(!serves(stage, "history", HISTORY, Call::Http).await?)),
            person: no_one,
            second: Ending::NothingToDo,
            undone: true,
        },
        Drill {
            runbook: "metastore-outage",
            branch: "hangs",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                metastore(stage, 1).await?;
                stage.schedule("nightly", "0 3 * * *", "exit 0").await?;
                stage.application("etl", "exit 1", json!({})).await?;
                stage.until_state("etl", "FAILED").await?;
                hangs(stage, "metastore", THRIFT, Call::Thrift).await?;
                // The program of the application asks the metastore: it fails while that is away.
                stage
                    .patch(
                        Kind::SparkApplication,
                        "etl",
                        json!({"spec": {"arguments": ["sleep 100000"]}}),
                    )
                    .await?;
                let mut given = given("metastore", THRIFT);
                given.push(("application", "etl".to_owned()));
                Ok(given)
            }),
            symptom: of_stage!(stage, {
                let schedule = stage.get(Kind::ScheduledSparkApplication, "nightly").await?;
                let held = schedule["spec"]["suspend"] == true;
                let serves = serves(stage, "metastore", THRIFT, Call::Thrift).await?;
                Ok(!serves || held || stage.state("etl").await? != "RUNNING")
            }),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "metastore-outage",
            branch: "stopped",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                metastore(stage, 0).await?;
                stage.schedule("nightly", "0 3 * * *", "exit 0").await?;
                Ok(given("metastore", THRIFT))
            }),
            symptom: of_stage!(stage, Ok(!serves(stage, "metastore", THRIFT, Call::Thrift).await?)),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "shuffle-fetch-failures",
            branch: "workers",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage.workload(Kind::StatefulSet, "workers", 1, "sleep 100000").await?;
                stage.application("etl", "sleep 100000", json!({})).await?;
                stage.until_state("etl", "RUNNING").await?;
                broken(stage, "workers").await?;
                Ok(vec![
                    ("application", "etl".to_owned()),
                    ("workload", "statefulset/workers".to_owned()),
                ])
            }),
            symptom: of_stage!(stage, Ok(!is_ready(stage, "workers").await?)),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "shuffle-fetch-failures",
            branch: "settings",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage.application("etl", "exit 1", json!({})).await?;
                stage.until_state("etl", "FAILED").await?;
                let fix = r#"{"spec":{"arguments":["sleep 100000"],"sparkConf":{"spark.shuffle.io.maxRetries":"10"}}}"#;
                Ok(vec![("application", "etl".to_owned()), ("fix", fix.to_owned())])
            }),
            symptom: of_stage!(stage, Ok(stage.state("etl").await? != "RUNNING")),
            person: no_one,
            second: Ending::Resolved,
            undone: false,
        },
    ]
}
