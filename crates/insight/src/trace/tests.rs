use serde_json::Value as Json;

use super::*;
use crate::facts::run::{Executor, Failure, FailureKind, Job, Outcome, Run, Stage, Task};

fn run() -> Run {
    let task = |index, attempt, outcome| Task {
        index,
        attempt,
        launched: 100,
        duration: 50,
        outcome,
        ..Task::default()
    };
    let failure = Failure {
        kind: FailureKind::Exception {
            class: "java.lang.IllegalStateException".to_owned(),
        },
        message: "row is bad".to_owned(),
        stack: "java.lang.IllegalStateException: row is bad\n\tat a.B".to_owned(),
        count: 1,
        first: (1, 0),
        executor: "1".to_owned(),
        time: 1_150,
    };
    let stage = |parents: Vec<i32>, tasks: Vec<Task>| Stage {
        name: "collect at job.py:1".to_owned(),
        job: Some(0),
        submitted: Some(1_090),
        completed: Some(1_500),
        parents,
        task_count: 2,
        tasks,
        ..Stage::default()
    };
    let mut first = stage(
        vec![],
        vec![
            task(0, 0, Outcome::Succeeded),
            task(1, 0, Outcome::Failed),
            task(1, 1, Outcome::Succeeded),
        ],
    );
    first.failures = vec![failure];
    Run {
        id: "spark-1".to_owned(),
        name: "etl".to_owned(),
        started: 1_000,
        ended: Some(2_000),
        executors: vec![Executor {
            id: "1".to_owned(),
            host: "10.0.0.1".to_owned(),
            cores: 2,
            ..Executor::default()
        }],
        jobs: [(
            0,
            Job {
                started: 1_080,
                ended: Some(1_600),
                succeeded: Some(true),
                ..Job::default()
            },
        )]
        .into(),
        stages: [
            ((0, 0), first),
            ((1, 0), stage(vec![0], vec![task(0, 0, Outcome::Succeeded)])),
        ]
        .into(),
        ..Run::default()
    }
}

/// Every span of every request, with the id of its resource.
fn decoded(requests: &[Vec<u8>]) -> Vec<(String, Json)> {
    let mut spans = Vec::new();
    for request in requests {
        let json: Json = serde_json::from_slice(request).unwrap();
        let resource = &json["resourceSpans"][0];
        let attributes = resource["resource"]["attributes"].as_array().unwrap();
        let instance = attributes.iter().find(|it| it["key"] == "service.instance.id").unwrap();
        let instance = instance["value"]["stringValue"].as_str().unwrap().to_owned();
        let list = resource["scopeSpans"][0]["spans"].as_array().unwrap();
        spans.extend(list.iter().map(|span| (instance.clone(), span.clone())));
    }
    spans
}

#[test]
fn a_run_is_a_tree_of_spans() {
    let trace = of(&run(), None);
    let spans = decoded(&encode::requests(&trace, encode::MOST_BYTES));
    let named = |name: &str| {
        &spans
            .iter()
            .find(|(_, span)| span["name"] == name)
            .unwrap_or_else(|| panic!("no {name}"))
            .1
    };
    let (root, job, first, second) = (
        named("application etl"),
        named("job 0"),
        named("stage 0"),
        named("stage 1"),
    );
    assert_eq!(root.get("parentSpanId"), None);
    assert_eq!(job["parentSpanId"], root["spanId"]);
    assert_eq!(first["parentSpanId"], job["spanId"]);
    assert_eq!(second["links"][0]["spanId"], first["spanId"]);
    assert_eq!(named("task 0/1 attempt 1")["parentSpanId"], first["spanId"]);
    let failed = named("task 0/1");
    assert_eq!(
        (failed["status"]["code"].as_i64(), failed["status"]["message"].as_str()),
        (Some(2), Some("row is bad"))
    );
    assert_eq!(failed["events"][0]["name"], "exception");
    assert_eq!(failed["startTimeUnixNano"], "1100000000");
    assert_eq!(spans.iter().filter(|(instance, _)| instance == "spark-1/1").count(), 4);
    let mut ids: Vec<&str> = spans.iter().map(|(_, span)| span["spanId"].as_str().unwrap()).collect();
    assert!(
        ids.iter()
            .all(|id| id.len() == 16 && id.bytes().all(|digit| digit.is_ascii_hexdigit()))
    );
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), spans.len(), trace.tasks), (8, 8, (4, 4)));
    assert!(spans.iter().all(|(_, span)| span["traceId"] == trace.id.as_str()));
}

#[test]
fn requests_are_bounded_and_lose_nothing() {
    let mut run = run();
    let task = Task {
        launched: 1,
        duration: 1,
        outcome: Outcome::Succeeded,
        ..Task::default()
    };
    let tasks: Vec<Task> = (0..200).map(|index| Task { index, ..task }).collect();
    for stage in 2..150 {
        run.stages.insert(
            (stage, 0),
            Stage {
                submitted: Some(1_001),
                tasks: tasks.clone(),
                ..Stage::default()
            },
        );
    }
    let trace = of(&run, None);
    assert!(trace.tasks.1 <= 4_000 + run.stages.len(), "{:?}", trace.tasks);
    let all: usize = trace.resources.iter().map(|resource| resource.spans.len()).sum();
    for most in [1, 10_000, 100_000, encode::MOST_BYTES] {
        let requests = encode::requests(&trace, most);
        assert_eq!(decoded(&requests).len(), all);
        assert!(
            most < 10_000 || requests.iter().all(|request| request.len() <= most),
            "{most}"
        );
    }
    assert_eq!(
        encode::requests(&trace, 10_000),
        encode::requests(&of(&run, None), 10_000)
    );
}

#[test]
fn nothing_known_is_one_span() {
    let trace = of(&Run::default(), None);
    assert_eq!(decoded(&encode::requests(&trace, encode::MOST_BYTES)).len(), 1);
}
