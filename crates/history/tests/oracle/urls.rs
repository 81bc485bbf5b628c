//! What is asked: every endpoint for everything there is, with every query parameter.

use serde_json::Value;

/// Questions about the list of applications.
pub fn of_list() -> Vec<String> {
    let mut urls: Vec<String> = [
        "version",
        "applications",
        "applications/nobody",
        "applications/nobody/jobs",
        "applications/nobody/1/jobs",
        "applications/nobody/1",
        "nothing",
        "applications/nobody/logs",
    ]
    .map(str::to_owned)
    .to_vec();
    for query in [
        "status=completed",
        "status=running",
        "status=running&status=completed",
        "status=nonsense",
        "limit=2",
        "limit=0",
        "limit=x",
        "minDate=2035-01-01",
        "maxDate=2000-01-01",
        "minDate=2020-01-01T00:00:00.000GMT",
        "minDate=nonsense",
        "minEndDate=2035-01-01",
        "maxEndDate=2000-01-01",
        "maxEndDate=2100-01-01T12:00:00.000GMT",
    ] {
        urls.push(format!("applications?{query}"));
    }
    urls
}

/// Questions about one attempt; `base` is `applications/ID` or `applications/ID/ATTEMPT`.
pub fn of_attempt(base: &str, ask: &dyn Fn(&str) -> Option<Value>) -> Vec<String> {
    let mut urls = Vec::new();
    let mut add = |path: &str| urls.push(format!("{base}/{path}"));
    for path in [
        "jobs",
        "jobs?status=succeeded",
        "jobs?status=failed&status=running",
        "jobs?status=nonsense",
        "jobs/99999",
        "jobs/x",
        "jobs/99999999999",
        "executors",
        "allexecutors",
        "allmiscellaneousprocess",
        "executors/driver/threads",
        "executors/x/threads",
        "executors/1/threads",
        "threads",
        "threads?taskId=1&executorId=1",
        "storage/rdd",
        "storage/rdd/99999",
        "storage/rdd/x",
        "environment",
        "stages",
        "stages?status=complete",
        "stages?status=failed&status=skipped",
        "stages?status=pending",
        "stages?status=active",
        "stages?status=nonsense",
        "stages?details=true",
        "stages?details=true&taskStatus=failed",
        "stages?details=true&taskStatus=killed",
        "stages?details=true&taskStatus=running&taskStatus=unknown",
        "stages?taskStatus=failed",
        "stages?withSummaries=true",
        "stages?withSummaries=true&quantiles=0.1,0.9,0.33",
        "stages?quantiles=x",
        "stages/99999",
        "stages/99999/0",
        "stages/x",
        "sql",
        "sql?offset=1&length=2",
        "sql?length=1000",
        "sql?details=false&length=1000",
        "sql?planDescription=false&length=1000",
        "sql?length=0",
        "sql?offset=1000&length=3",
        "sql/99999",
        "sql/x",
        "logs",
        "streaming/statistics",
        "streaming/batches",
        "nothing",
        "nothing/else",
        "stages/0/0/nothing",
        "jobs/0/nothing",
    ] {
        add(path);
    }
    let ids = |path: &str, key: &str| -> Vec<i64> {
        let list = ask(&format!("{base}/{path}"));
        list.iter()
            .flat_map(|list| list.as_array().into_iter().flatten())
            .filter_map(|one| one[key].as_i64())
            .collect()
    };
    for id in ids("jobs", "jobId") {
        add(&format!("jobs/{id}"));
    }
    for id in ids("storage/rdd", "id") {
        add(&format!("storage/rdd/{id}"));
    }
    for id in ids("sql?length=1000", "id") {
        add(&format!("sql/{id}"));
        add(&format!("sql/{id}?details=false&planDescription=false"));
    }
    let stages = ask(&format!("{base}/stages"));
    let stages = stages.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (place, stage) in stages.iter().enumerate() {
        let (id, attempt) = (&stage["stageId"], &stage["attemptId"]);
        // Everything of the newest and the oldest stages and of those with a story; of the others what shows most.
        let told = stage["status"] != "COMPLETE"
            || attempt != 0
            || stage["numFailedTasks"] != 0
            || stage["numKilledTasks"] != 0;
        if !told && (4..stages.len().saturating_sub(4)).contains(&place) {
            add(&format!("stages/{id}/{attempt}?withSummaries=true"));
            add(&format!("stages/{id}/{attempt}/taskList?length=1000"));
            continue;
        }
        for path in [
            format!("stages/{id}"),
            format!("stages/{id}?details=false"),
            format!("stages/{id}/{attempt}"),
            format!("stages/{id}/{attempt}?details=false&withSummaries=true"),
            format!("stages/{id}/{attempt}?withSummaries=true&quantiles=0.05,0.5,1.0&taskStatus=success"),
            format!("stages/{id}/77"),
            format!("stages/{id}/{attempt}/taskSummary"),
            format!("stages/{id}/{attempt}/taskSummary?quantiles=0.01,0.99,0.5"),
            format!("stages/{id}/{attempt}/taskSummary?quantiles=x"),
            format!("stages/{id}/{attempt}/taskSummary?quantiles="),
            format!("stages/{id}/{attempt}/taskList"),
            format!("stages/{id}/{attempt}/taskList?offset=1&length=2"),
            format!("stages/{id}/{attempt}/taskList?length=1000&sortBy=runtime"),
            format!("stages/{id}/{attempt}/taskList?length=1000&sortBy=-runtime"),
            format!("stages/{id}/{attempt}/taskList?sortBy=nonsense"),
            format!("stages/{id}/{attempt}/taskList?status=failed&status=killed&length=1000"),
            format!("stages/{id}/{attempt}/taskList?status=success&offset=1&sortBy=-runtime"),
            format!("stages/{id}/{attempt}/taskList?offset=x"),
        ] {
            add(&path);
        }
    }
    urls
}
