//! Faults of Spark Connect servers. A greeting is answered by a program of ours in the pod; real servers are greeted in the end-to-end tests.

use libtest_mimic::Failed;
use serde_json::{Value, json};
use stoke_observe::runbook::{Ending, Kind};

use super::drill::{Drill, Given, no_one};
use super::of_stage;
use super::served::{CONNECT, Call, HANG, answers};
use super::stage::Stage;

const POD: &str = "notebooks-server";

/// A server that was Ready and greeted.
async fn server(stage: &Stage, annotations: Value) -> Result<Given, Failed> {
    let server = json!({"cores": 1, "memory": "512m", "template": {"spec": {"terminationGracePeriodSeconds": 1}}});
    let spec = json!({
        "sparkVersion": "4.1.4", "image": "shell:1", "server": server, "executor": {"instances": 1, "cores": 1, "memory": "512m"},
    });
    let metadata = json!({"name": "notebooks", "annotations": annotations});
    stage
        .create(Kind::SparkConnect, json!({"metadata": metadata, "spec": spec}))
        .await?;
    stage
        .until("the server is greeted", async || Ok(!is_silent(stage).await?))
        .await?;
    stage
        .until("it is Ready", async || {
            let connect = stage.get(Kind::SparkConnect, "notebooks").await?;
            Ok(connect["status"]["state"] == "Ready")
        })
        .await?;
    Ok(vec![("connect", "notebooks".to_owned())])
}

/// Whether a client gets no answer.
async fn is_silent(stage: &Stage) -> Result<bool, Failed> {
    let pod = stage.get(Kind::Pod, POD).await?;
    let ip = pod["status"]["podIP"].as_str().unwrap_or_default();
    Ok(
        ip.is_empty()
            || pod["metadata"]["deletionTimestamp"].is_string()
            || !answers(ip, CONNECT, Call::Greeting).await,
    )
}

pub fn drills() -> Vec<Drill> {
    vec![
        Drill {
            runbook: "connect-trouble",
            branch: "hangs",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                let given = server(stage, json!({})).await?;
                stage.exec(POD, &HANG).await?;
                Ok(given)
            }),
            symptom: of_stage!(stage, is_silent(stage).await),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "connect-trouble",
            branch: "idle",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                let given = server(stage, json!({"stoke.dev/idle-timeout": "5s"})).await?;
                stage
                    .until("it is stopped", async || Ok(stage.get(Kind::Pod, POD).await?.is_null()))
                    .await?;
                // Once it is asked for it shall stay.
                let longer = json!({"metadata": {"annotations": {"stoke.dev/idle-timeout": "1h"}}});
                stage.patch(Kind::SparkConnect, "notebooks", longer).await?;
                Ok(given)
            }),
            symptom: of_stage!(stage, is_silent(stage).await),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
    ]
}
