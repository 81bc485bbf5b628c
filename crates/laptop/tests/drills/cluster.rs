//! Faults of nodes, of room and of schedules.

use serde_json::json;
use stoke_observe::runbook::{Ending, Kind};

use super::drill::{Drill, no_one};
use super::of_stage;
use super::stage::NODE;

pub fn drills() -> Vec<Drill> {
    vec![
        Drill {
            runbook: "pending-pods",
            branch: "cordoned",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage
                    .patch(Kind::Node, NODE, json!({"spec": {"unschedulable": true}}))
                    .await?;
                stage.application("etl", "sleep 100000", json!({})).await?;
                stage.until_phase("etl-driver", "Pending").await?;
                Ok(vec![("application", "etl".to_owned())])
            }),
            symptom: of_stage!(
                stage,
                Ok(stage.get(Kind::Pod, "etl-driver").await?["spec"]["nodeName"].is_null())
            ),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "capacity",
            branch: "cordoned",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage
                    .patch(Kind::Node, NODE, json!({"spec": {"unschedulable": true}}))
                    .await?;
                stage.pod("waits", "sleep 100000", json!({}), json!({})).await?;
                stage.until_phase("waits", "Pending").await?;
                Ok(vec![])
            }),
            symptom: of_stage!(
                stage,
                Ok(stage.get(Kind::Pod, "waits").await?["spec"]["nodeName"].is_null())
            ),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "capacity",
            branch: "full",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                let requests = json!({"containers": [{"name": "main", "image": "shell:1", "resources": {"requests": {"cpu": "100"}}}]});
                stage.pod("large", "sleep 1", json!({}), requests).await?;
                stage.until_phase("large", "Pending").await?;
                Ok(vec![])
            }),
            symptom: of_stage!(stage, Ok(stage.phase("large").await? == "Pending")),
            person: |stage, step| {
                Box::pin(async move {
                    assert_eq!(step, "more-nodes");
                    if !stage.get(Kind::Pod, "large").await?.is_null() {
                        stage.delete(Kind::Pod, "large").await?;
                    }
                    Ok(())
                })
            },
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "node-maintenance",
            branch: "drain and back",
            quick: true,
            needs: None,
            inject: of_stage!(stage, {
                stage.application("etl", "sleep 100000", json!({})).await?;
                stage.until_state("etl", "RUNNING").await?;
                stage.executor("etl", 1, "sleep 100000").await?;
                stage.pod("other", "sleep 100000", json!({}), json!({})).await?;
                for pod in ["etl-0123456789abcdef-exec-1", "other"] {
                    stage.until_phase(pod, "Running").await?;
                }
                stage.spare_node().await?;
                Ok(vec![("node", NODE.to_owned())])
            }),
            symptom: of_stage!(stage, {
                let pods = stage.list(Kind::Pod).await?;
                let node = stage.get(Kind::Node, NODE).await?;
                let there = pods
                    .iter()
                    .any(|pod| pod["spec"]["nodeName"] == NODE && pod["status"]["phase"] == "Running");
                Ok(there || node["spec"]["unschedulable"] == true)
            }),
            person: |stage, step| {
                Box::pin(async move {
                    assert_eq!(step, "maintained");
                    let node = stage.get(Kind::Node, NODE).await?;
                    // What a person works on takes no pods.
                    match node["spec"]["unschedulable"] == true {
                        true => Ok(()),
                        false => Err("the node takes pods while it is worked on".into()),
                    }
                })
            },
            // It is asked for again, and nothing is on it.
            second: Ending::Resolved,
            undone: false,
        },
        Drill {
            runbook: "cost-spike",
            branch: "executors",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage
                    .application("etl", "sleep 100000", json!({"executor": {"instances": 4}}))
                    .await?;
                stage.until_state("etl", "RUNNING").await?;
                for number in 1..=4 {
                    let pod = stage.executor("etl", number, "sleep 100000").await?;
                    stage.until_phase(&pod, "Running").await?;
                }
                Ok(vec![("cores", "3".to_owned())])
            }),
            symptom: of_stage!(stage, {
                let pods = stage.list(Kind::Pod).await?;
                let live = pods.iter().filter(|pod| pod["status"]["phase"] == "Running").count();
                let etl = stage.get(Kind::SparkApplication, "etl").await?;
                Ok(live > 3 || etl["spec"]["executor"]["instances"] != 2)
            }),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "schedule-missed",
            branch: "suspended",
            quick: true,
            needs: None,
            inject: of_stage!(stage, {
                stage.schedule("nightly", "*/5 * * * *", "exit 0").await?;
                stage
                    .patch(
                        Kind::ScheduledSparkApplication,
                        "nightly",
                        json!({"spec": {"suspend": true}}),
                    )
                    .await?;
                stage
                    .until("it is suspended", async || {
                        let object = stage.get(Kind::ScheduledSparkApplication, "nightly").await?;
                        Ok(object["status"]["scheduleState"] == "Scheduled" && object["status"]["nextRun"].is_null())
                    })
                    .await?;
                late(stage).await?;
                Ok(vec![("schedule", "nightly".to_owned())])
            }),
            symptom: of_stage!(stage, no_run(stage).await),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "schedule-missed",
            branch: "missed",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage.schedule("nightly", "*/5 * * * *", "exit 0").await?;
                stage
                    .until("it is valid", async || {
                        let object = stage.get(Kind::ScheduledSparkApplication, "nightly").await?;
                        Ok(object["status"]["nextRun"].is_string())
                    })
                    .await?;
                late(stage).await?;
                Ok(vec![("schedule", "nightly".to_owned())])
            }),
            symptom: of_stage!(stage, no_run(stage).await),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "schedule-missed",
            branch: "invalid",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage.schedule("nightly", "61 25 * * *", "exit 0").await?;
                stage
                    .until("it is refused", async || {
                        let object = stage.get(Kind::ScheduledSparkApplication, "nightly").await?;
                        Ok(object["status"]["scheduleState"] == "FailedValidation")
                    })
                    .await?;
                Ok(vec![
                    ("schedule", "nightly".to_owned()),
                    ("cron", "0 3 * * *".to_owned()),
                ])
            }),
            symptom: of_stage!(stage, no_run(stage).await),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
    ]
}

/// The last run of the schedule was an hour ago.
async fn late(stage: &super::stage::Stage) -> Result<(), libtest_mimic::Failed> {
    let hour = jiff::SignedDuration::from_hours(1);
    let then = jiff::Timestamp::from_second((jiff::Timestamp::now() - hour).as_second())?;
    stage
        .patch_status(
            Kind::ScheduledSparkApplication,
            "nightly",
            json!({"lastRun": then.to_string()}),
        )
        .await
        .map(drop)
}

async fn no_run(stage: &super::stage::Stage) -> Result<bool, libtest_mimic::Failed> {
    let runs = stage.list(Kind::SparkApplication).await?;
    let schedule = stage.get(Kind::ScheduledSparkApplication, "nightly").await?;
    Ok(runs.len() != 1 || schedule["status"]["scheduleState"] != "Scheduled" || schedule["spec"]["suspend"] == true)
}
