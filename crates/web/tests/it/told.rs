//! What logs tell beside the status store: pages of it against the lines of the log, and of how stages hang together.

use http::StatusCode;
use serde_json::{Value, json};
use stoke_eventlog::Source;
use stoke_history::detail;

use crate::site::{Site, all};

/// The lines of a log.
pub fn text(log: &str) -> String {
    let logs = all();
    let source = Source::directory(logs.path());
    let log = source
        .logs()
        .unwrap()
        .into_iter()
        .find(|one| one.path.contains(log))
        .unwrap();
    let mut text = String::new();
    for part in &log.parts {
        std::io::Read::read_to_string(&mut source.text(part, 0).unwrap(), &mut text).unwrap();
    }
    text
}

/// The lines of a log whose event's name ends so.
fn lines(log: &str, event: &str) -> Vec<Value> {
    let text = text(log);
    let told = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    told.filter(|line| line["Event"].as_str().unwrap().ends_with(event))
        .collect()
}

fn site() -> Site {
    Site::on(all(), stoke_web::Settings::default())
}

/// The id of the application of a name.
async fn named(site: &Site, name: &str) -> String {
    let list = site.twin("/?per=100").await;
    let rows = list["applications"]["rows"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["name"] == name)
        .unwrap_or_else(|| panic!("{list}"));
    row["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn streaming_queries_are_as_their_progress_tells() {
    let site = site();
    let id = named(&site, "clicks by minute").await;
    let list = site.twin(&format!("/history/{id}/StreamingQuery/")).await;
    let queries = list["queries"]["rows"].as_array().unwrap();
    let started = lines("streaming", "QueryStartedEvent");
    assert_eq!(queries.len(), started.len());
    let failed: Vec<&Value> = queries.iter().filter(|query| query["state"] == "failed").collect();
    assert!(failed.len() == 1 && failed[0]["name"] == "broken", "{list}");
    let progress = lines("streaming", "QueryProgressEvent");
    let mut compared = 0;
    for start in &started {
        let run = start["runId"].as_str().unwrap();
        let own: Vec<&Value> = progress
            .iter()
            .map(|line| &line["progress"])
            .filter(|one| one["runId"] == run)
            .collect();
        let page = site
            .twin(&format!("/history/{id}/StreamingQuery/statistics/?id={run}&per=500"))
            .await;
        assert_eq!(page["query"]["batches"], own.len());
        let rows = page["batches"]["rows"].as_array().unwrap();
        for (ours, told) in rows.iter().rev().zip(&own) {
            assert_eq!(ours["id"], told["batchId"]);
            assert_eq!(ours["duration"], told["batchDuration"]);
            let sum = |list: &str, name: &str| {
                told[list]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| one[name].as_i64().unwrap_or(0))
                    .sum::<i64>()
            };
            assert_eq!(ours["rows"], sum("sources", "numInputRows"));
            assert_eq!(ours["stateRows"], sum("stateOperators", "numRowsTotal"));
            assert_eq!(
                ours["stateMemory"].as_i64().unwrap_or(0),
                sum("stateOperators", "memoryUsedBytes")
            );
            compared += 1;
        }
    }
    assert!(compared > 10, "{compared}");
    assert_eq!(
        site.get(&format!("/history/{id}/StreamingQuery/statistics/?id=x"))
            .await
            .status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_connect_are_as_their_events_tell() {
    let site = site();
    let id = named(&site, "connect").await;
    let page = site.twin(&format!("/history/{id}/connect/")).await;
    let operations = page["operations"]["rows"].as_array().unwrap();
    let started = lines("connect", "OperationStarted");
    assert_eq!(operations.len(), started.len());
    for (ours, told) in operations.iter().rev().zip(&started) {
        assert_eq!(ours["started"], told["eventTime"]);
        let closed = lines("connect", "OperationClosed");
        let closed = closed
            .iter()
            .find(|line| line["operationId"] == told["operationId"])
            .unwrap();
        assert_eq!(
            ours["duration"].as_i64().unwrap(),
            closed["eventTime"].as_i64().unwrap() - told["eventTime"].as_i64().unwrap()
        );
    }
    let failed: Vec<&Value> = operations.iter().filter(|one| one["state"] == "failed").collect();
    assert!(failed.len() == 1 && failed[0]["error"].as_str().unwrap().contains("broken"));
    // Its jobs and executions are found by the tag.
    assert!(
        operations
            .iter()
            .any(|one| one["jobs"] != json!([]) && one["executions"] != json!([]))
    );
    let session = page["sessions"]["rows"][0]["id"].as_str().unwrap();
    let own = site.twin(&format!("/history/{id}/connect/session/?id={session}")).await;
    assert_eq!(own["operations"]["total"], started.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_a_context_are_those_of_its_jobs() {
    let site = site();
    let id = named(&site, "dstreams").await;
    let page = site.twin(&format!("/history/{id}/streaming/")).await;
    let mut expected: Vec<i64> = lines("dstreams", "JobStart")
        .iter()
        .filter_map(|job| {
            job["Properties"]["spark.streaming.internal.batchTime"]
                .as_str()?
                .parse()
                .ok()
        })
        .collect();
    expected.sort_unstable();
    expected.dedup();
    let ours: Vec<i64> = page["batches"]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|row| row["at"].as_i64().unwrap())
        .collect();
    assert_eq!(ours, expected);
    assert!(ours.len() > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_hang_together_as_their_jobs_tell() {
    let site = site();
    let logs = all();
    let source = Source::directory(logs.path());
    let mut edges = 0;
    for log in source.logs().unwrap() {
        let told = detail::read(&source, &log).unwrap();
        let begun = lines(&log.path, "SparkListenerApplicationStart");
        let id = begun[0]["App ID"].as_str().unwrap();
        let jobs = site.twin(&format!("/history/{id}/jobs/?per=500")).await;
        for job in jobs["jobs"]["rows"].as_array().unwrap().iter().take(5) {
            let page = site.twin(&format!("/history/{id}/jobs/job/?id={}", job["id"])).await;
            for edge in page["stageGraph"]["edges"].as_array().into_iter().flatten() {
                let to = edge["to"].as_i64().unwrap() as i32;
                assert!(
                    told.stages[&to]
                        .parents
                        .contains(&(edge["from"].as_i64().unwrap() as i32))
                );
                edges += 1;
            }
        }
        let stages = site.twin(&format!("/history/{id}/stages/?per=500")).await;
        for stage in stages["stages"]["rows"].as_array().unwrap().iter().take(5) {
            let page = site
                .twin(&format!(
                    "/history/{id}/stages/stage/?id={}&attempt={}",
                    stage["id"], stage["attempt"]
                ))
                .await;
            let shape = &told.stages[&(stage["id"].as_i64().unwrap() as i32)];
            assert_eq!(
                page["rddGraph"]["nodes"].as_array().map_or(0, Vec::len),
                shape.rdds.len(),
                "{id} {stage}"
            );
        }
    }
    assert!(edges > 5, "{edges}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_shown_as_it_began() {
    let site = site();
    let mut changed = 0;
    for id in site.ids().await {
        let executions = site.twin(&format!("/history/{id}/SQL/?per=100")).await;
        for execution in executions["executions"]["rows"].as_array().unwrap() {
            let path = format!("/history/{id}/SQL/execution/?id={}", execution["id"]);
            if !site.get(&path).await.text().contains("plan=initial") {
                continue;
            }
            let (now, first) = (site.twin(&path).await, site.twin(&format!("{path}&plan=initial")).await);
            let names = |page: &Value| -> Vec<String> {
                let nodes = page["graph"]["nodes"].as_array().into_iter().flatten();
                nodes.map(|node| node["name"].as_str().unwrap().to_owned()).collect()
            };
            assert!(!names(&first).is_empty(), "{path}");
            changed += usize::from(names(&now) != names(&first));
            for row in first["changed"]["rows"].as_array().unwrap() {
                let name = row["operator"].as_str().unwrap();
                let count = |page: &Value| {
                    names(page)
                        .iter()
                        .filter(|one| one.split(" (").next() == Some(name))
                        .count()
                };
                if !name.starts_with("WholeStageCodegen") {
                    assert_eq!(
                        (&row["before"], &row["after"]),
                        (&json!(count(&first)), &json!(count(&now))),
                        "{path} {row}"
                    );
                }
            }
        }
    }
    assert!(changed > 2, "{changed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_collection_over_time_sums_to_that_of_the_tasks() {
    let site = site();
    for id in site.ids().await {
        let page = site.twin(&format!("/history/{id}/executors/")).await;
        let sum: i64 = page["overTime"]["rows"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| row["gc"].as_i64().unwrap())
            .sum();
        let stages = site.get(&format!("/api/v1/applications/{id}/stages")).await.json();
        let told: i64 = stages
            .as_array()
            .unwrap()
            .iter()
            .map(|stage| stage["jvmGcTime"].as_i64().unwrap())
            .sum();
        // Each cell of each task is rounded down.
        assert!(sum <= told && sum * 10 >= told * 8 - 600, "{id}: {sum} of {told}");
    }
}
