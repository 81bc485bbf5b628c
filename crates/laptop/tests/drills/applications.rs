//! Faults of one application.

use serde_json::json;
use stoke_observe::runbook::{Ending, Kind};

use super::drill::{Drill, no_one};
use super::of_stage;

const FIX: &str = r#"{"spec":{"arguments":["sleep 100000"]}}"#;

fn fix() -> (&'static str, String) {
    ("fix", FIX.to_owned())
}

fn etl() -> (&'static str, String) {
    ("application", "etl".to_owned())
}

pub fn drills() -> Vec<Drill> {
    vec![
        Drill {
            runbook: "driver-crash-loop",
            branch: "looping",
            quick: true,
            needs: None,
            inject: of_stage!(stage, {
                let policy = json!({"type": "OnFailure", "onFailureRetries": 100, "onFailureRetryInterval": 1});
                stage
                    .application("etl", "exit 3", json!({"restartPolicy": policy}))
                    .await?;
                stage
                    .until("it loops", async || {
                        let etl = stage.get(Kind::SparkApplication, "etl").await?;
                        Ok(etl["status"]["executionAttempts"].as_i64() >= Some(2))
                    })
                    .await?;
                Ok(vec![etl(), fix()])
            }),
            symptom: of_stage!(stage, Ok(stage.state("etl").await? != "RUNNING")),
            person: no_one,
            second: Ending::NothingToDo,
            undone: true,
        },
        Drill {
            runbook: "driver-crash-loop",
            branch: "ended",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage.application("etl", "exit 3", json!({})).await?;
                stage.until_state("etl", "FAILED").await?;
                Ok(vec![etl(), fix()])
            }),
            symptom: of_stage!(stage, {
                let etl = stage.get(Kind::SparkApplication, "etl").await?;
                let left = etl["metadata"]["annotations"]["stoke.dev/on-edit"].is_string();
                Ok(stage.state("etl").await? != "RUNNING" || left)
            }),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "executor-failures",
            branch: "node",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage.spare_node().await?;
                stage
                    .application(
                        "etl",
                        "sleep 100000",
                        json!({"driver": {"nodeSelector": {"kubernetes.io/hostname": super::stage::NODE}}}),
                    )
                    .await?;
                stage.until_state("etl", "RUNNING").await?;
                for (number, script) in [(1, "exit 1"), (2, "exit 1"), (3, "sleep 100000")] {
                    let pod = executor_on(stage, number, script).await?;
                    stage
                        .until_phase(
                            &pod,
                            if script.starts_with("exit") {
                                "Failed"
                            } else {
                                "Running"
                            },
                        )
                        .await?;
                }
                Ok(vec![etl()])
            }),
            symptom: of_stage!(stage, {
                let node = stage.get(Kind::Node, super::stage::NODE).await?;
                let live = stage.get(Kind::Pod, "etl-0123456789abcdef-exec-3").await?;
                Ok(node["spec"]["unschedulable"] != true || !live.is_null())
            }),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "executor-failures",
            branch: "settings",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                let ends = "while test ! -e /tmp/broken; do sleep 0.1; done; exit 1";
                stage.application("etl", ends, json!({})).await?;
                stage.until_state("etl", "RUNNING").await?;
                let pod = stage.executor("etl", 1, "exit 1").await?;
                stage.until_phase(&pod, "Failed").await?;
                stage.exec("etl-driver", &["touch", "/tmp/broken"]).await?;
                stage.until_state("etl", "FAILED").await?;
                Ok(vec![etl(), fix()])
            }),
            symptom: of_stage!(stage, Ok(stage.state("etl").await? != "RUNNING")),
            person: no_one,
            second: Ending::Resolved,
            undone: false,
        },
        Drill {
            runbook: "out-of-memory",
            branch: "driver",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                let eats = "exec python3 -c 'import time; held = bytearray(150 << 20); time.sleep(100000)'";
                stage
                    .application(
                        "etl",
                        eats,
                        json!({"driver": {"memory": "64m", "memoryOverhead": "64m"}}),
                    )
                    .await?;
                stage.until_state("etl", "FAILED").await?;
                Ok(vec![etl()])
            }),
            symptom: of_stage!(stage, Ok(stage.state("etl").await? != "RUNNING")),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "stuck-run",
            branch: "hangs",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage
                    .application("etl", "test -e /tmp/never || sleep 100000", json!({}))
                    .await?;
                let etl_object = stage.until_state("etl", "RUNNING").await?;
                stage.note(
                    "submission",
                    etl_object["status"]["submissionID"].as_str().unwrap_or_default(),
                );
                stage
                    .until("it runs for six seconds", async || Ok(ran(stage).await? >= 6))
                    .await?;
                Ok(vec![etl(), ("after", "6".to_owned())])
            }),
            symptom: of_stage!(stage, {
                let etl = stage.get(Kind::SparkApplication, "etl").await?;
                Ok(etl["status"]["submissionID"] == stage.noted("submission").as_str()
                    || etl["status"]["applicationState"]["state"] != "RUNNING")
            }),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "task-failures",
            branch: "program",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage.schedule("nightly", "0 3 * * *", TRACEBACK).await?;
                let run = stage.trigger("nightly").await?;
                stage.until_state(&run, "FAILED").await?;
                Ok(vec![("application", run)])
            }),
            symptom: of_stage!(stage, {
                let schedule = stage.get(Kind::ScheduledSparkApplication, "nightly").await?;
                Ok(schedule["spec"]["suspend"] != true)
            }),
            person: no_one,
            second: Ending::Resolved,
            undone: true,
        },
        Drill {
            runbook: "task-failures",
            branch: "settings",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage.application("etl", TRACEBACK, json!({})).await?;
                stage.until_state("etl", "FAILED").await?;
                Ok(vec![etl(), fix()])
            }),
            symptom: of_stage!(stage, Ok(stage.state("etl").await? != "RUNNING")),
            person: no_one,
            // What was given is put there again, and finds it so; the run begins again.
            second: Ending::Resolved,
            undone: false,
        },
        Drill {
            runbook: "pending-pods",
            branch: "settings",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage
                    .application("etl", "sleep 100000", json!({"image": "registry.invalid/gone:1"}))
                    .await?;
                stage
                    .until("its image cannot be had", async || {
                        let driver = stage.get(Kind::Pod, "etl-driver").await?;
                        Ok(driver["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                            .as_str()
                            .is_some_and(|reason| reason.contains("Pull")))
                    })
                    .await?;
                Ok(vec![etl(), ("image", "shell:1".to_owned())])
            }),
            symptom: of_stage!(stage, Ok(stage.state("etl").await? != "RUNNING")),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "pending-pods",
            branch: "given up",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage
                    .application("etl", "sleep 100000", json!({"image": "registry.invalid/gone:1"}))
                    .await?;
                stage.patch(Kind::SparkApplication, "etl", json!({"metadata": {"annotations": {"stoke.dev/pending-timeout": "2s", "stoke.dev/start-timeout": "2s"}}})).await?;
                stage.until_state("etl", "FAILED").await?;
                Ok(vec![etl(), ("image", "shell:1".to_owned())])
            }),
            symptom: of_stage!(stage, Ok(stage.state("etl").await? != "RUNNING")),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "performance",
            branch: "given",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage.application("etl", "sleep 100000", json!({})).await?;
                let etl_object = stage.until_state("etl", "RUNNING").await?;
                stage.note(
                    "submission",
                    etl_object["status"]["submissionID"].as_str().unwrap_or_default(),
                );
                Ok(vec![
                    etl(),
                    (
                        "fix",
                        r#"{"spec":{"sparkConf":{"spark.sql.shuffle.partitions":"64"}}}"#.to_owned(),
                    ),
                ])
            }),
            symptom: of_stage!(stage, {
                let etl = stage.get(Kind::SparkApplication, "etl").await?;
                let goes_on = etl["status"]["submissionID"] == stage.noted("submission").as_str();
                Ok(etl["spec"]["sparkConf"]["spark.sql.shuffle.partitions"] != "64" || !goes_on)
            }),
            person: no_one,
            second: Ending::NothingToDo,
            undone: true,
        },
        Drill {
            runbook: "quota",
            branch: "driver",
            quick: true,
            needs: None,
            inject: of_stage!(stage, {
                stage
                    .create(
                        Kind::ResourceQuota,
                        json!({"metadata": {"name": "team"}, "spec": {"hard": {"requests.cpu": "500m"}}}),
                    )
                    .await?;
                let policy = json!({"type": "OnFailure", "onSubmissionFailureRetries": 100, "onSubmissionFailureRetryInterval": 3600});
                stage
                    .application("etl", "sleep 100000", json!({"restartPolicy": policy}))
                    .await?;
                stage.until_state("etl", "SUBMISSION_FAILED").await?;
                Ok(vec![etl()])
            }),
            symptom: of_stage!(stage, Ok(stage.state("etl").await? != "RUNNING")),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "scale-up",
            branch: "application",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage.application("etl", "sleep 100000", json!({})).await?;
                stage.until_state("etl", "RUNNING").await?;
                let pod = stage.executor("etl", 1, "sleep 100000").await?;
                stage.until_phase(&pod, "Running").await?;
                Ok(vec![etl(), ("executors", "4".to_owned())])
            }),
            symptom: of_stage!(stage, {
                let etl = stage.get(Kind::SparkApplication, "etl").await?;
                Ok(
                    etl["spec"]["executor"]["instances"] != 4
                        || etl["status"]["applicationState"]["state"] != "RUNNING",
                )
            }),
            person: no_one,
            second: Ending::NothingToDo,
            undone: true,
        },
        Drill {
            runbook: "scale-down",
            branch: "application",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage
                    .application("etl", "sleep 100000", json!({"executor": {"instances": 4}}))
                    .await?;
                stage.until_state("etl", "RUNNING").await?;
                Ok(vec![etl(), ("executors", "2".to_owned())])
            }),
            symptom: of_stage!(stage, {
                let etl = stage.get(Kind::SparkApplication, "etl").await?;
                Ok(
                    etl["spec"]["executor"]["instances"] != 2
                        || etl["status"]["applicationState"]["state"] != "RUNNING",
                )
            }),
            person: no_one,
            second: Ending::NothingToDo,
            undone: true,
        },
    ]
}

/// What a Python program that fails prints.
const TRACEBACK: &str = "printf 'Traceback (most recent call last):\\n  File \"/opt/app/main.py\", line 7, in <module>\\n    total = price / count\\nZeroDivisionError: division by zero\\n' >&2; exit 1";

async fn executor_on(stage: &super::stage::Stage, number: u32, script: &str) -> Result<String, libtest_mimic::Failed> {
    let before = stage.get(Kind::Node, "spare").await?;
    // The spare node runs nothing: executors are placed while it takes no pods.
    if !before.is_null() {
        stage
            .patch(Kind::Node, "spare", json!({"spec": {"unschedulable": true}}))
            .await?;
    }
    let name = stage.executor("etl", number, script).await?;
    stage
        .until("it has a node", async || {
            Ok(stage.get(Kind::Pod, &name).await?["spec"]["nodeName"].is_string())
        })
        .await?;
    stage
        .patch(Kind::Node, "spare", json!({"spec": {"unschedulable": null}}))
        .await?;
    Ok(name)
}

/// Seconds since the application was submitted.
async fn ran(stage: &super::stage::Stage) -> Result<i64, libtest_mimic::Failed> {
    let etl = stage.get(Kind::SparkApplication, "etl").await?;
    let since: Option<jiff::Timestamp> = etl["status"]["lastSubmissionAttemptTime"]
        .as_str()
        .and_then(|time| time.parse().ok());
    Ok(since.map_or(0, |since| jiff::Timestamp::now().duration_since(since).as_secs()))
}
