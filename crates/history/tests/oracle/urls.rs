//! What is asked: every endpoint for everything there is, with every query parameter.

use std::collections::BTreeSet;

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
    for name in ["minDate", "maxDate", "minEndDate", "maxEndDate"] {
        urls.extend(odd("applications", name, &DATES));
    }
    urls.extend(odd("applications", "status", &NAMES));
    urls.extend(odd("applications", "limit", &NUMBERS));
    urls
}

/// Values of parameters as no one is expected to give them.
const NUMBERS: [&str; 12] = [
    "",
    "%20",
    "x",
    "-1",
    "0",
    "1",
    "2",
    "1.5",
    "%2B1",
    "01",
    "2147483647",
    "2147483648",
];
const FLAGS: [&str; 6] = ["", "%20", "x", "TRUE", "1", "False"];
const NAMES: [&str; 9] = [
    "",
    "%20",
    "x",
    "Succeeded",
    "COMPLETE",
    "completed",
    "succeeded,failed",
    "%20failed",
    "%C4%B1",
];
const QUANTILES: [&str; 16] = [
    "",
    ",",
    "0.5,",
    ",0.5",
    "0.5,,0.7",
    "x",
    "NaN",
    "-1",
    "-0.5",
    "2",
    "1.0f",
    "%200.5%20",
    "-Infinity",
    "1e400",
    ".5",
    "0.25,0.25",
];
const DATES: [&str; 16] = [
    "",
    "x",
    "2020",
    "2020-01-01",
    "2020-13-45",
    "2020-1-1",
    "2020-01-01x",
    "2020-01-01T00:00:00",
    "2020-01-01T00:00:00.000",
    "2020-01-01T00:00:00.000GMT",
    "2020-01-01T00:00:00.000%2B0100",
    "2020-01-01T00:00:00.000GMT%2B01:00",
    "2020-01-01T00:00:00.000Z",
    "2020-01-01T25:61:00.000GMT",
    "-2020-01-01",
    "99999-01-01",
];

/// A question with each of these values, without one, and with two.
fn odd(path: &str, name: &str, values: &[&str]) -> Vec<String> {
    let one = values.iter().map(|value| format!("{path}?{name}={value}"));
    let others = [
        format!("{path}?{name}"),
        format!("{path}?{name}={}&{name}={}", values[0], values[values.len() - 1]),
    ];
    one.chain(others).collect()
}

/// Questions with odd values about an attempt.
fn odd_of_attempt(base: &str) -> Vec<String> {
    let ask = |path: &str, name: &str, values: &[&str]| odd(&format!("{base}/{path}"), name, values);
    let mut urls = Vec::new();
    for path in ["jobs", "stages"] {
        urls.extend(ask(path, "status", &NAMES));
    }
    for name in ["details", "withSummaries"] {
        urls.extend(ask("stages", name, &FLAGS));
    }
    urls.extend(ask("stages", "quantiles", &QUANTILES));
    urls.extend(ask("stages", "taskStatus", &NAMES));
    for name in ["details", "planDescription"] {
        urls.extend(ask("sql", name, &FLAGS));
    }
    for name in ["offset", "length"] {
        urls.extend(ask("sql", name, &NUMBERS));
    }
    for path in [
        "",
        "jobs/",
        "/jobs",
        "jobs//0",
        "jobs/-1",
        "jobs/00",
        "jobs/2147483648",
        "stages/0/-1",
        "stages/00/00",
        "stages/0/9/taskSummary",
        "stages/0/9/taskList",
        "stages/99999/0/taskTable",
        "executors/driver",
        "executors/-1/threads",
        "threads?executorId=",
        "threads?executorId=1&taskId=x",
        "threads?executorId=x&taskId=1",
        "storage",
        "storage/rdd/-1",
        "streaming",
        "streaming/x",
        "streaming/batches/0/operations/0",
        "sql/00",
        "sql/-1",
        "sql/9223372036854775808",
        "sql/0/x",
        "1/jobs",
        "x",
    ] {
        urls.push(format!("{base}/{path}"));
    }
    urls
}

/// The columns of Spark's own table of tasks, and names of none.
const COLUMNS: [&str; 29] = [
    "ID",
    "Index",
    "Attempt",
    "Status",
    "Locality%20Level",
    "Executor%20ID",
    "Host",
    "Launch%20Time",
    "Duration",
    "Scheduler%20Delay",
    "Task%20Deserialization%20Time",
    "GC%20Time",
    "Result%20Serialization%20Time",
    "Getting%20Result%20Time",
    "Peak%20Execution%20Memory",
    "Accumulators",
    "Input%20Size%20/%20Records",
    "Output%20Size%20/%20Records",
    "Shuffle%20Read%20Fetch%20Wait%20Time",
    "Shuffle%20Read%20Size%20/%20Records",
    "Shuffle%20Remote%20Reads",
    "Shuffle%20Write%20Time",
    "Shuffle%20Write%20Size%20/%20Records",
    "Spill%20(Memory)",
    "Spill%20(Disk)",
    "Errors",
    "Logs",
    "x",
    "",
];
/// What is searched for in it: parts of numbers, times, sizes, names, and what is escaped once more.
const SEARCHED: [&str; 18] = [
    "0",
    "1",
    "success",
    "FAILED",
    "ms",
    "0.0%20b",
    "kib",
    "process_local",
    "false",
    "true",
    "d",
    "driver",
    "2026",
    "zz",
    "%2520",
    "valueerror",
    "1.0",
    "x%252By",
];

/// Questions about a stage attempt as Spark's own page asks them, and with parameters that are missing or odd.
fn tables_of_stage(stage: &str) -> Vec<String> {
    let table = format!("{stage}/taskTable");
    let all = [
        "numTasks=9",
        "columnNameToSort=Index",
        "order%5B0%5D%5Bdir%5D=asc",
        "start=0",
        "length=20",
    ];
    let with = |name: &str, other: Option<String>| {
        let others = all
            .iter()
            .filter(|one| !one.starts_with(name))
            .map(|one| (*one).to_owned());
        format!("{table}?{}", others.chain(other).collect::<Vec<_>>().join("&"))
    };
    let mut urls = Vec::new();
    for column in COLUMNS {
        for direction in ["asc", "desc"] {
            urls.push(format!(
                "{table}?numTasks=9&columnNameToSort={column}&order%5B0%5D%5Bdir%5D={direction}&start=0&length=20&draw=1&search%5Bvalue%5D="
            ));
        }
    }
    for name in [
        "numTasks",
        "columnNameToSort",
        "order%5B0%5D%5Bdir%5D",
        "start",
        "length",
    ] {
        urls.push(with(name, None));
    }
    for name in ["numTasks", "start", "length"] {
        for value in NUMBERS {
            urls.push(with(name, Some(format!("{name}={value}"))));
            urls.push(with(name, Some(format!("{name}={value}&search%5Bvalue%5D=s"))));
        }
    }
    for text in SEARCHED {
        urls.push(with("none", Some(format!("search%5Bvalue%5D={text}"))));
        urls.push(with("start", Some(format!("search%5Bvalue%5D={text}&start=1"))));
    }
    urls
}

/// Questions about the table of SQL executions, as Spark's own page asks them since 4.2.
fn tables_of_sql(base: &str) -> Vec<String> {
    let table = format!("{base}/sql/sqlTable");
    let mut urls = vec![table.clone()];
    for name in ["draw", "start", "length"] {
        urls.extend(odd(&table, name, &NUMBERS));
    }
    urls.extend(odd(&table, "groupSubExecution", &FLAGS));
    urls.extend(odd(&table, "status", &NAMES));
    urls.extend(odd(&table, "search%5Bvalue%5D", &SEARCHED));
    for column in ["id", "status", "description", "submissionTime", "duration", "x", ""] {
        for rest in [
            "asc&start=0&length=3",
            "desc&start=1&length=-1&search%5Bvalue%5D=o&groupSubExecution=false",
        ] {
            urls.push(format!(
                "{table}?draw=3&columns%5B2%5D%5Bname%5D={column}&order%5B0%5D%5Bcolumn%5D=2&order%5B0%5D%5Bdir%5D={rest}"
            ));
        }
    }
    urls
}

/// Questions with odd values about a stage attempt.
fn odd_of_stage(stage: &str) -> Vec<String> {
    let mut urls = odd(&format!("{stage}/taskSummary"), "quantiles", &QUANTILES);
    let list = format!("{stage}/taskList");
    for name in ["offset", "length"] {
        urls.extend(odd(&list, name, &NUMBERS));
        urls.extend(
            NUMBERS
                .iter()
                .map(|value| format!("{list}?status=success&{name}={value}")),
        );
    }
    urls.extend(odd(&list, "status", &NAMES));
    let orders = [
        "",
        "id",
        "ID",
        "-id",
        "%2Bruntime",
        "Increasing_Runtime",
        "decreasing_runtime",
        "%20id",
    ];
    urls.extend(odd(&list, "sortBy", &orders));
    urls.extend(
        [
            "offset=-1&length=2",
            "offset=-5&length=10",
            "offset=2147483647&length=2147483647",
        ]
        .map(|page| format!("{list}?{page}")),
    );
    urls.extend(odd(stage, "details", &FLAGS));
    urls.extend(odd(stage, "taskStatus", &NAMES));
    urls.extend(
        QUANTILES
            .iter()
            .map(|quantiles| format!("{stage}?withSummaries=true&quantiles={quantiles}")),
    );
    urls.extend(tables_of_stage(stage));
    urls
}

/// Questions about one attempt; `base` is `applications/ID` or `applications/ID/ATTEMPT`.
pub fn of_attempt(base: &str, ask: &dyn Fn(&str) -> Option<Value>) -> Vec<String> {
    let mut urls: Vec<String> = odd_of_attempt(base).into_iter().chain(tables_of_sql(base)).collect();
    let (mut odd, mut odd_urls) = (BTreeSet::new(), Vec::new());
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
        // Odd questions about one stage of each kind.
        if odd.insert((stage["status"].to_string(), stage["numFailedTasks"] != 0)) {
            let stage = format!("{base}/stages/{}/{}", stage["stageId"], stage["attemptId"]);
            odd_urls.extend(odd_of_stage(&stage));
        }
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
    urls.extend(odd_urls);
    urls
}
