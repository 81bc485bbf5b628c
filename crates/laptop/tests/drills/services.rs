//! Faults of what stands beside applications: History Server, metastore, shuffle workers.

use libtest_mimic::Failed;
use serde_json::json;
use stoke_observe::runbook::{Ending, Kind};

use super::drill::{Drill, no_one};
use super::of_stage;
use super::stage::Stage;

/// Answers 200, and 500 while `/tmp/broken` is there.
const WEB: &str = "exec python3 -c 'import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(s):
        s.send_response(500 if os.path.exists(\"/tmp/broken\") else 200)
        s.end_headers()
        s.wfile.write(b\"[]\")
http.server.HTTPServer((os.environ[\"IP\"], 18080), H).serve_forever()'";
/// Takes connections and says nothing, as a metastore does; closes them at once while `/tmp/broken` is there.
const THRIFT: &str = "exec python3 -c 'import os, socket
s = socket.socket()
s.bind((os.environ[\"IP\"], 9083))
s.listen()
held = []
while True:
    c = s.accept()[0]
    c.close() if os.path.exists(\"/tmp/broken\") else held.append(c)'";

/// How an application of a service is shown to be well.
async fn is_ready(stage: &Stage, name: &str) -> Result<bool, Failed> {
    let kind = if name == "workers" {
        Kind::StatefulSet
    } else {
        Kind::Deployment
    };
    let object = stage.get(kind, name).await?;
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

fn history(port: u16) -> Vec<(&'static str, String)> {
    let name = if port == 9083 { "metastore" } else { "history" };
    vec![("workload", format!("deployment/{name}")), ("port", port.to_string())]
}

pub fn drills() -> Vec<Drill> {
    vec![
        Drill {
            runbook: "history-server",
            branch: "down",
            quick: false,
            inject: of_stage!(stage, {
                stage.workload(Kind::Deployment, "history", 1, WEB).await?;
                broken(stage, "history").await?;
                Ok(history(18080))
            }),
            symptom: of_stage!(stage, Ok(!is_ready(stage, "history").await?)),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "history-server",
            branch: "stopped",
            quick: false,
            inject: of_stage!(stage, {
                stage.workload(Kind::Deployment, "history", 0, WEB).await?;
                Ok(history(18080))
            }),
            symptom: of_stage!(stage, Ok(!is_ready(stage, "history").await?)),
            person: no_one,
            second: Ending::NothingToDo,
            undone: true,
        },
        Drill {
            runbook: "metastore-outage",
            branch: "down",
            quick: false,
            inject: of_stage!(stage, {
                stage.workload(Kind::Deployment, "metastore", 1, THRIFT).await?;
                stage.schedule("nightly", "0 3 * * *", "exit 0").await?;
                stage.application("etl", "exit 1", json!({})).await?;
                stage.until_state("etl", "FAILED").await?;
                broken(stage, "metastore").await?;
                // The program of the application asks the metastore: it fails while that is away.
                stage
                    .patch(
                        Kind::SparkApplication,
                        "etl",
                        json!({"spec": {"arguments": ["sleep 100000"]}}),
                    )
                    .await?;
                let mut given = history(9083);
                given.push(("application", "etl".to_owned()));
                Ok(given)
            }),
            symptom: of_stage!(stage, {
                let schedule = stage.get(Kind::ScheduledSparkApplication, "nightly").await?;
                let held = schedule["spec"]["suspend"] == true;
                Ok(!is_ready(stage, "metastore").await? || held || stage.state("etl").await? != "RUNNING")
            }),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "metastore-outage",
            branch: "stopped",
            quick: false,
            inject: of_stage!(stage, {
                stage.workload(Kind::Deployment, "metastore", 0, THRIFT).await?;
                stage.schedule("nightly", "0 3 * * *", "exit 0").await?;
                Ok(history(9083))
            }),
            symptom: of_stage!(stage, Ok(!is_ready(stage, "metastore").await?)),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "shuffle-fetch-failures",
            branch: "workers",
            quick: false,
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
