//! Faults of what stands beside applications: History Server, metastore, shuffle workers, Connect servers.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use libtest_mimic::Failed;
use serde_json::json;
use stoke_laptop::runbook::{Edge, Outside};
use stoke_observe::runbook::{Ending, Input, Kind, Read};
use tokio::net::TcpListener;

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
    let mut all = vec![
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
    ];
    all.extend(connect());
    all
}

fn connect() -> Vec<Drill> {
    vec![
        Drill {
            runbook: "connect-trouble",
            branch: "hangs",
            quick: false,
            inject: of_stage!(stage, {
                server(stage, "3600s").await?;
                stand_in(stage, true);
                is_ready_to_serve(stage).await?;
                Ok(vec![("connect", "lab".to_owned())])
            }),
            symptom: silent,
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "connect-trouble",
            branch: "idle",
            quick: false,
            inject: of_stage!(stage, {
                server(stage, "5s").await?;
                stand_in(stage, false);
                is_ready_to_serve(stage).await?;
                stage
                    .until("it is stopped for want of use", async || {
                        let lab = stage.get(Kind::SparkConnect, "lab").await?;
                        Ok(lab["status"]["state"] == "NotReady" && lab["status"]["conditions"][0]["reason"] == "Idle")
                    })
                    .await?;
                // It shall stay when it is started.
                stage
                    .patch(
                        Kind::SparkConnect,
                        "lab",
                        json!({"metadata": {"annotations": {"stoke.dev/idle-timeout": "3600s"}}}),
                    )
                    .await?;
                Ok(vec![("connect", "lab".to_owned())])
            }),
            symptom: silent,
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
    ]
}

async fn server(stage: &Stage, idle: &str) -> Result<(), Failed> {
    let spec = json!({
        "sparkVersion": "4.1.4", "image": "shell:1", "server": {"cores": 1, "memory": "512m"},
        "executor": {"instances": 1, "cores": 1, "memory": "512m"},
    });
    let metadata = json!({"name": "lab", "annotations": {"stoke.dev/idle-timeout": idle}});
    stage
        .create(Kind::SparkConnect, json!({"metadata": metadata, "spec": spec}))
        .await
        .map(drop)
}

/// Whether a client gets no answer.
fn silent<'a>(stage: &'a Stage) -> LocalBoxFuture<'a, Result<bool, Failed>> {
    Box::pin(async move {
        let edge = Edge {
            session: &stage.session,
            home: &stage.home,
            access: stage.access.lock().unwrap().clone(),
            secrets: stage.secrets.clone(),
        };
        let input = Input {
            namespace: "default".into(),
            parameters: [("connect".to_owned(), "lab".to_owned())].into(),
            secrets: Vec::new(),
        };
        let answer = edge.read(Read::Handshake, &input, "").await?;
        Ok(answer[0]["ok"] != true)
    })
}

async fn is_ready_to_serve(stage: &Stage) -> Result<(), Failed> {
    stage
        .until("it is ready", async || {
            Ok(stage.get(Kind::SparkConnect, "lab").await?["status"]["state"] == "Ready")
        })
        .await
}

/// Listens at the address of every server pod: pods have addresses of this machine. It serves the greeting of Spark Connect, for the first pod only
/// what a probe of its port needs when that one hangs.
fn stand_in(stage: &Stage, first_hangs: bool) {
    let client = stage.session.client.clone();
    let task = tokio::spawn(async move {
        let mut pods = Vec::new();
        loop {
            let request = http::Request::get("/api/v1/namespaces/default/pods/lab-server")
                .body(Vec::new())
                .unwrap();
            let pod: Option<serde_json::Value> = client.request(request).await.ok();
            if let Some(pod) = pod
                && let Some(address) = pod["status"]["podIP"].as_str()
                && let Ok(address) = address.parse::<Ipv4Addr>()
                && !pods.contains(&pod["metadata"]["uid"])
                && let Ok(listener) = TcpListener::bind((address, 15002)).await
            {
                let hangs = first_hangs && pods.is_empty();
                pods.push(pod["metadata"]["uid"].clone());
                tokio::spawn(async move {
                    match hangs {
                        true => while listener.accept().await.is_ok() {},
                        false => greet(listener).await,
                    }
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    stage.keep(Aborted(task));
}

struct Aborted(tokio::task::JoinHandle<()>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Answers every call with the version of Spark.
async fn greet(listener: TcpListener) {
    const VERSION: &[u8] = b"\x00\x00\x00\x00\x09\x42\x07\x0a\x05\x34\x2e\x31\x2e\x34";
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let Ok(mut connection) = h2::server::handshake(stream).await else {
                return;
            };
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let head = http::Response::builder()
                    .header("content-type", "application/grpc")
                    .body(())
                    .unwrap();
                let Ok(mut body) = respond.send_response(head, false) else {
                    return;
                };
                let _ = body.send_data(bytes::Bytes::from_static(VERSION), false);
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
                let _ = body.send_trailers(trailers);
            }
        });
    }
}
