//! Numbers of pages: those of the status API, and the same in HTML and JSON.

use std::collections::HashSet;

use serde_json::Value;

use crate::site::Site;

fn numbers(value: &Value, found: &mut HashSet<String>) {
    match value {
        Value::Number(number) => drop(found.insert(number.to_string())),
        // Money is exact: a text.
        Value::String(text) => drop(found.insert(text.clone())),
        Value::Array(all) => all.iter().for_each(|one| numbers(one, found)),
        Value::Object(all) => all.values().for_each(|one| numbers(one, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn html_has_the_numbers_of_its_twin() {
    let site = Site::new();
    for id in site.ids().await {
        for page in [
            "",
            "jobs/",
            "jobs/job/?id=0",
            "stages/",
            "stages/stage/?id=0",
            "executors/",
            "storage/",
            "environment/",
            "SQL/",
            "what-if/?executors=5",
            "cost/",
        ] {
            let path = format!("/history/{id}/{page}");
            let text = site.get(&path).await.text();
            let mut twin = HashSet::new();
            numbers(&site.twin(&path).await, &mut twin);
            for number in text
                .split("<data value=\"")
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
            {
                // What goes on in a log that has no end has gone on a little longer in the twin.
                let about = |twin: &String| match (twin.parse::<i64>(), number.parse::<i64>()) {
                    (Ok(twin), Ok(number)) => (0..60_000).contains(&(twin - number)),
                    _ => false,
                };
                // What reads JSON may round the last digit of a fraction.
                let near = |twin: &String| match (twin.parse::<f64>(), number.parse::<f64>()) {
                    (Ok(twin), Ok(number)) => number.fract() != 0.0 && (twin - number).abs() <= 1e-12 * number.abs(),
                    _ => false,
                };
                let is_in_twin =
                    twin.contains(number) || twin.iter().any(near) || number.len() > 7 && twin.iter().any(about);
                assert!(is_in_twin, "{path}: {number}");
            }
        }
    }
}

/// Rows of a page's table.
async fn rows(site: &Site, path: &str, table: &str) -> Vec<Value> {
    let twin = site.twin(path).await;
    twin[table]["rows"]
        .as_array()
        .unwrap_or_else(|| panic!("{path}: no {table}"))
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_those_of_the_status_api() {
    let site = Site::new();
    for id in site.ids().await {
        let api = |resource: &str| format!("/api/v1/applications/{id}/{resource}");
        let of_jobs = rows(&site, &format!("/history/{id}/jobs/?per=500"), "jobs").await;
        let theirs = site.get(&api("jobs")).await.json();
        assert_eq!(of_jobs.len(), theirs.as_array().unwrap().len().min(500), "{id}");
        for (ours, theirs) in of_jobs.iter().zip(theirs.as_array().unwrap()) {
            for (name, field) in [
                ("total", "numTasks"),
                ("done", "numCompletedTasks"),
                ("failed", "numFailedTasks"),
                ("skipped", "numSkippedTasks"),
            ] {
                assert_eq!(ours["tasks"][name], theirs[field], "{id} {ours}");
            }
            assert_eq!(ours["id"], theirs["jobId"]);
        }
        let of_stages = rows(&site, &format!("/history/{id}/stages/?per=500"), "stages").await;
        for (ours, theirs) in of_stages
            .iter()
            .zip(site.get(&api("stages")).await.json().as_array().unwrap())
        {
            assert_eq!(
                (&ours["id"], &ours["attempt"]),
                (&theirs["stageId"], &theirs["attemptId"])
            );
            for (name, field) in [
                ("input", "inputBytes"),
                ("shuffleRead", "shuffleReadBytes"),
                ("shuffleWrite", "shuffleWriteBytes"),
                ("spill", "diskBytesSpilled"),
            ] {
                assert_eq!(
                    ours[name].as_i64().unwrap_or(0),
                    theirs[field].as_i64().unwrap(),
                    "{id} {ours} {name}"
                );
            }
            stage(&site, &id, theirs).await;
        }
        let of_executors = rows(&site, &format!("/history/{id}/executors/?per=500"), "executors").await;
        let theirs = site.get(&api("allexecutors")).await.json();
        assert_eq!(of_executors.len(), theirs.as_array().unwrap().len());
        for ours in &of_executors {
            let theirs = theirs
                .as_array()
                .unwrap()
                .iter()
                .find(|one| one["id"] == ours["id"])
                .unwrap();
            let mut fields = vec![
                ("cores", "totalCores"),
                ("tasks", "totalTasks"),
                ("failed", "failedTasks"),
                ("gc", "totalGCTime"),
            ];
            // That of a driver that runs goes on between two questions.
            if ours["id"] != "driver" {
                fields.push(("taskTime", "totalDuration"));
            }
            for (name, field) in fields {
                assert_eq!(ours[name], theirs[field], "{id} {ours} {name}");
            }
        }
    }
}

/// The page of a stage attempt against the status API.
async fn stage(site: &Site, id: &str, theirs: &Value) {
    let (stage, attempt) = (&theirs["stageId"], &theirs["attemptId"]);
    let page = site
        .twin(&format!(
            "/history/{id}/stages/stage/?id={stage}&attempt={attempt}&per=500&sort=id"
        ))
        .await;
    for field in ["executorRunTime", "jvmGcTime", "inputRecords", "outputRecords"] {
        assert_eq!(page["stage"][field], theirs[field], "{id} {stage} {field}");
    }
    let api = format!("/api/v1/applications/{id}/stages/{stage}/{attempt}");
    let summary = site
        .get(&format!("{api}/taskSummary?quantiles=0,0.25,0.5,0.75,1"))
        .await;
    for row in page["quantiles"]["rows"].as_array().into_iter().flatten() {
        let summary = summary.json();
        let theirs = match row["id"].as_str().unwrap() {
            "inputBytes" => &summary["inputMetrics"]["bytesRead"],
            "inputRecords" => &summary["inputMetrics"]["recordsRead"],
            "outputBytes" => &summary["outputMetrics"]["bytesWritten"],
            "shuffleReadBytes" => &summary["shuffleReadMetrics"]["readBytes"],
            "shuffleWriteBytes" => &summary["shuffleWriteMetrics"]["writeBytes"],
            name => &summary[name],
        };
        for (place, column) in ["least", "quarter", "median", "threeQuarters", "greatest"]
            .iter()
            .enumerate()
        {
            if let Some(number) = theirs[place].as_f64() {
                assert_eq!(row[column].as_i64().unwrap() as f64, number, "{id} {stage} {row}");
            }
        }
    }
    let tasks = site.get(&format!("{api}/taskList?length=500")).await.json();
    let ours = page["tasks"]["rows"].as_array().unwrap();
    assert_eq!(ours.len(), tasks.as_array().unwrap().len(), "{id} {stage}");
    for (ours, theirs) in ours.iter().zip(tasks.as_array().unwrap()) {
        assert_eq!(ours["id"], theirs["taskId"]);
        assert_eq!(
            ours["duration"].as_i64().unwrap(),
            theirs["duration"].as_i64().unwrap_or(0)
        );
        assert_eq!(
            ours["spill"].as_i64().unwrap_or(0),
            theirs["taskMetrics"]["diskBytesSpilled"].as_i64().unwrap_or(0)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_have_what_the_status_api_says_of_them() {
    let site = Site::new();
    let mut compared = 0;
    for id in site.ids().await {
        let executions = site
            .get(&format!("/api/v1/applications/{id}/sql?length=100"))
            .await
            .json();
        for theirs in executions.as_array().unwrap() {
            let page = site
                .twin(&format!("/history/{id}/SQL/execution/?id={}", theirs["id"]))
                .await;
            let nodes = theirs["nodes"].as_array().unwrap();
            for ours in page["graph"]["nodes"].as_array().into_iter().flatten() {
                let theirs = nodes.iter().find(|node| node["nodeId"] == ours["id"]).unwrap();
                for metric in theirs["metrics"].as_array().unwrap() {
                    let (name, value) = (metric["name"].as_str().unwrap(), metric["value"].as_str().unwrap());
                    assert_eq!(ours["metrics"][name].as_str().unwrap(), value.trim(), "{id} {ours}");
                    compared += 1;
                }
            }
            let edges = page["graph"]["edges"].as_array().map_or(0, Vec::len);
            assert_eq!(
                edges,
                if nodes.is_empty() {
                    0
                } else {
                    theirs["edges"].as_array().unwrap().len()
                },
                "{id}"
            );
        }
    }
    assert!(compared > 100, "{compared}");
}
