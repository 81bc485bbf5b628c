//! Two rooms read a log: `history` as Spark shows it, `insight` to reason about it, and pages show what both say. Of whole runs they say
//! the same; where they differ on purpose is in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};

use stoke_eventlog::{Options, Source};
use stoke_history::model::data::{JobStatus, StageKey, StageStatus};
use stoke_history::model::metrics::at;
use stoke_history::model::{Limits, View};
use stoke_history::replay::replay;
use stoke_insight::facts::run::{Outcome, Stage};
use stoke_insight::facts::{Run, collect};

#[test]
fn both_readers_of_a_log_say_the_same() {
    let source = Source::directory(concat!(env!("CARGO_MANIFEST_DIR"), "/../insight/tests/pairs"));
    let mut logs = source.logs().unwrap();
    // Beside them is the program they were written by.
    logs.retain(|log| !log.path.ends_with(".py"));
    assert!(logs.len() > 5);
    let mut tasks = 0;
    for log in &logs {
        let replayed = replay(&source, log, Limits::default(), Options::default()).unwrap();
        let view = replayed.application.into_view(0);
        let run = collect::run(&source, log, Options::default()).unwrap();
        configuration(&log.path, &view, &run);
        executors(&log.path, &view, &run);
        jobs(&log.path, &view, &run);
        queries(&log.path, &view, &run);
        let shown: BTreeSet<StageKey> = view.stages().map(|stage| (stage.id, stage.attempt)).collect();
        assert!(shown.iter().eq(run.stages.keys()), "{}: {shown:?}", log.path);
        for (key, stage) in &run.stages {
            stage_of(&log.path, &view, *key, stage);
            tasks += tasks_of(&log.path, &view, &run, *key, stage);
        }
    }
    assert!(tasks > 100, "{tasks}");
}

fn configuration(log: &str, view: &View, run: &Run) {
    let environment = view.environment().unwrap();
    let shown: BTreeMap<String, String> = environment.spark.iter().cloned().collect();
    assert_eq!(
        (view.spark_version(), &shown),
        (run.spark_version.as_str(), &run.spark),
        "{log}"
    );
    assert!(view.profiles().eq(run.profiles.values()), "{log}");
}

fn executors(log: &str, view: &View, run: &Run) {
    assert!(!run.executors.is_empty(), "{log}");
    for executor in &run.executors {
        let shown = view.executor(&executor.id).unwrap();
        assert_eq!(
            (shown.hostname(), shown.cores, shown.profile, shown.added, shown.removed),
            (
                executor.host.as_str(),
                i32::try_from(executor.cores).unwrap(),
                executor.profile,
                executor.added,
                executor.removed
            ),
            "{log}: {}",
            executor.id
        );
        assert_eq!(
            (
                shown.remove_reason.as_deref().unwrap_or_default(),
                shown.max_memory,
                &shown.peaks
            ),
            (executor.removed_because.as_str(), executor.max_memory, &executor.peaks),
            "{log}: {}",
            executor.id
        );
    }
}

fn jobs(log: &str, view: &View, run: &Run) {
    assert_eq!(view.jobs().count(), run.jobs.len(), "{log}");
    for (id, job) in &run.jobs {
        let shown = view.job(*id).unwrap();
        let succeeded = match shown.status {
            JobStatus::Running => None,
            status => Some(status == JobStatus::Succeeded),
        };
        let description = shown.description.as_deref().unwrap_or_default();
        assert_eq!(
            (shown.submitted, shown.completed, succeeded, description),
            (Some(job.started), job.ended, job.succeeded, job.description.as_str()),
            "{log}: job {id}"
        );
        let (mut named, mut known) = (shown.stage_ids.clone(), job.stages.clone());
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!((named, shown.sql_execution), (known, job.query), "{log}: job {id}");
    }
}

fn queries(log: &str, view: &View, run: &Run) {
    assert_eq!(
        view.executions().into_iter().collect::<Vec<_>>(),
        run.queries.keys().copied().collect::<Vec<_>>()
    );
    for (id, query) in &run.queries {
        let shown = view.execution(*id).unwrap();
        let error = shown.error.clone().filter(|error| !error.is_empty());
        assert_eq!(
            (shown.submitted, shown.completed, &error, shown.root),
            (query.started, query.ended, &query.error, query.root.unwrap_or(*id)),
            "{log}: execution {id}"
        );
        assert_eq!(
            (&shown.description, &shown.details, &shown.plan_text),
            (&query.description, &query.details, &query.plan_text),
            "{log}: execution {id}"
        );
        let of_jobs: Vec<i32> = shown.jobs.iter().map(|(job, _)| *job).collect();
        assert_eq!(of_jobs, query.jobs, "{log}: execution {id}");
    }
}

fn stage_of(log: &str, view: &View, key: StageKey, stage: &Stage) {
    let shown = view.stage(key).unwrap();
    assert_eq!(
        (&shown.name, &shown.details, shown.tasks, shown.profile, &shown.failure),
        (
            &stage.name,
            &stage.details,
            i32::try_from(stage.task_count).unwrap(),
            stage.profile,
            &stage.failure
        ),
        "{log}: stage {key:?}"
    );
    if shown.status == StageStatus::Skipped {
        assert_eq!(stage.tasks.len(), 0, "{log}: stage {key:?}");
        return;
    }
    assert_eq!((shown.submitted, shown.completed), (stage.submitted, stage.completed));
    let totals = &stage.totals;
    let counts = [shown.completed_tasks, shown.failed_tasks, shown.killed_tasks].map(i32::cast_unsigned);
    assert_eq!(
        counts,
        [totals.succeeded, totals.failed, totals.killed],
        "{log}: stage {key:?}"
    );
    let sum = |place| shown.metrics.get(place).cast_unsigned();
    for (place, total) in [
        (at::RUN_TIME, totals.run_time),
        (at::GC_TIME, totals.gc_time),
        (at::DESERIALIZE_TIME, totals.deserialize_time),
        (at::FETCH_WAIT_TIME, totals.fetch_wait),
        (at::INPUT_BYTES, totals.input),
        (at::INPUT_RECORDS, totals.input_records),
        (at::OUTPUT_BYTES, totals.output),
        (at::OUTPUT_RECORDS, totals.output_records),
        (at::READ_RECORDS, totals.shuffle_read_records),
        (at::REMOTE_BYTES_TO_DISK, totals.shuffle_remote_to_disk),
        (at::WRITE_BYTES, totals.shuffle_write),
        (at::WRITE_RECORDS, totals.shuffle_write_records),
        (at::MEMORY_SPILLED, totals.memory_spilled),
        (at::DISK_SPILLED, totals.disk_spilled),
        (at::RESULT_SIZE, totals.result_size),
    ] {
        assert_eq!(sum(place), total, "{log}: stage {key:?}, metric {place}");
    }
    assert_eq!(sum(at::LOCAL_BYTES) + sum(at::REMOTE_BYTES), totals.shuffle_read);
}

/// How many tasks were compared.
fn tasks_of(log: &str, view: &View, run: &Run, key: StageKey, stage: &Stage) -> usize {
    type Row = (u32, u16, &'static str, u64, u32, String, u64);
    let name = |outcome: Outcome| outcome.name();
    let mut known: Vec<Row> = stage
        .tasks
        .iter()
        .map(|task| {
            let executor = run.executors[task.executor as usize].id.clone();
            (
                task.index,
                task.attempt,
                name(task.outcome),
                task.launched,
                task.duration,
                executor,
                task.input + task.shuffle_read,
            )
        })
        .collect();
    let mut shown: Vec<Row> = view
        .tasks(key)
        .map(|task| {
            let task = task.unwrap();
            let metrics = task.metrics.unwrap_or_default();
            let read = metrics.get(at::INPUT_BYTES) + metrics.sum(at::LOCAL_BYTES, at::REMOTE_BYTES);
            (
                task.index.cast_unsigned(),
                u16::try_from(task.attempt).unwrap(),
                name(task.status),
                (task.launched - run.started).cast_unsigned(),
                u32::try_from(task.duration).unwrap(),
                view.name(task.executor).to_owned(),
                read.cast_unsigned(),
            )
        })
        .collect();
    known.sort();
    shown.sort();
    assert_eq!(shown, known, "{log}: stage {key:?}");
    known.len()
}
