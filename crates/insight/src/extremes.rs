//! Numbers at their ends: what a broken log may tell must not end anything that reckons with it.

use proptest::prelude::*;
use stoke_eventlog::event::ExecutorMetrics;

use crate::cost::{self, Prices, Window, focus, showback};
use crate::doctor::examine;
use crate::doctor::performance::fixture;
use crate::facts::run::{Outcome, Plan as Node, Query, Task};
use crate::facts::{Facts, Run};
use crate::size::{self, Options};
use crate::whatif::{Plan, what_if};

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(i64::MIN),
        Just(i64::MAX),
        Just(0),
        Just(-1),
        any::<i64>(),
        0..2_000_000_000_000i64
    ]
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![Just(u64::MAX), Just(0), any::<u64>(), 0..1u64 << 40]
}

fn small() -> impl Strategy<Value = u32> {
    prop_oneof![Just(u32::MAX), Just(0), any::<u32>(), 1..64u32]
}

fn memory() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["28g", "1m", "8191p", "9223372036854775807b", "0", "1000t", "x"]).prop_map(str::to_owned)
}

fn task() -> impl Strategy<Value = Task> {
    (amount(), amount(), small(), small(), 0..4u32, 0..4u8).prop_map(
        |(launched, bytes, duration, index, executor, how)| Task {
            index,
            outcome: [Outcome::Running, Outcome::Succeeded, Outcome::Failed, Outcome::Killed][how as usize],
            speculative: how == 3,
            executor,
            launched,
            duration,
            run_time: duration,
            cpu_time: index,
            gc_time: duration / 2,
            deserialize_time: index,
            fetch_wait: duration,
            attempt: (index % 3) as u16,
            output: bytes,
            records: bytes,
            input: bytes,
            shuffle_read: bytes,
            shuffle_write: bytes,
            memory_spilled: bytes,
            disk_spilled: bytes,
            peak_execution_memory: bytes,
            result_size: bytes,
        },
    )
}

/// A plan of what rules look for, with the metrics they read, all of one amount.
fn plan(amount: i64) -> Node {
    const METRICS: [&str; 18] = [
        "number of files read",
        "size of files read",
        "number of written files",
        "written output",
        "job commit time",
        "sort time",
        "shuffle write time",
        "shuffle bytes written",
        "data size",
        "time to collect",
        "time to build",
        "time to broadcast",
        "number of output rows",
        "data sent to Python workers",
        "data returned from Python workers",
        "time to run Python workers",
        "records read",
        "spill size",
    ];
    let node = |name: &str, children: Vec<Node>| Node {
        name: name.to_owned(),
        text: format!("{name} [id#1], Location: InMemoryFileIndex[s3a://b/t], SinglePartition"),
        metrics: METRICS
            .iter()
            .map(|name| ((*name).to_owned(), "sum".to_owned(), Some(amount)))
            .collect(),
        children,
    };
    let side = || node("Sort", vec![node("Exchange", vec![node("Scan parquet", vec![])])]);
    let join = node("SortMergeJoin", vec![side(), side()]);
    let broadcast = node("BroadcastHashJoin", vec![node("BroadcastExchange", vec![join])]);
    let python = node(
        "BatchEvalPython",
        vec![node("CartesianProduct", vec![broadcast, side()])],
    );
    node("Execute InsertIntoHadoopFsRelationCommand", vec![python])
}

fn run() -> impl Strategy<Value = Run> {
    (
        (time(), time(), time(), small()),
        prop::collection::vec((time(), prop::option::of(time()), small(), time()), 1..4),
        prop::collection::vec(prop::collection::vec(task(), 0..4), 0..3),
        (memory(), memory(), amount(), 0..6usize),
    )
        .prop_map(
            |((started, ended, last, cpus), executors, stages, (heap, overhead, total, times))| {
                // Sums go beyond what one number may be.
                let executors: Vec<_> = executors
                    .iter()
                    .cycle()
                    .take(executors.len() << times)
                    .copied()
                    .collect();
                let mut run = fixture::run(executors.len(), 1, 1_000);
                (run.started, run.ended, run.last_event) = (started, Some(ended), last);
                for (executor, (added, removed, cores, peak)) in run.executors.iter_mut().zip(executors) {
                    (executor.added, executor.removed, executor.cores) = (added, removed, cores);
                    executor.peaks.update(&ExecutorMetrics::default());
                    executor.peaks.each_mut().for_each(|number| *number = peak);
                }
                for (id, tasks) in (0..).zip(stages) {
                    let stage = fixture::stage(&mut run, id, &[]);
                    stage.tasks = tasks;
                    stage.submitted = Some(started);
                    stage.completed = Some(ended);
                    stage.totals.shuffle_read = total;
                    stage.totals.disk_spilled = total;
                    stage.totals.input = total;
                    stage.totals.output = total;
                    stage.totals.shuffle_write = total;
                    stage.totals.result_size = total;
                    stage.totals.run_time = total / 2;
                    stage.totals.gc_time = total / 2;
                    stage.totals.fetch_wait = total;
                    stage.totals.duration = total;
                    stage.query = Some(1);
                    let job = run.jobs.entry(id).or_default();
                    (job.started, job.ended, job.query) = (started, Some(ended), Some(1));
                }
                let query = Query {
                    started: last,
                    ended: Some(ended),
                    jobs: run.jobs.keys().copied().collect(),
                    plan: plan(total as i64),
                    ..Query::default()
                };
                run.queries.insert(1, query);
                if times % 2 == 0 {
                    run.ended = None;
                }
                run.spark.insert("spark.executor.memory".to_owned(), heap);
                run.spark.insert("spark.executor.memoryOverhead".to_owned(), overhead);
                run.spark.insert("spark.task.cpus".to_owned(), cpus.to_string());
                run.bounded()
            },
        )
}

/// As a document, as text, and as the rows of a showback.
fn told(bill: &cost::Bill, prices: Option<&Prices>) {
    let text = serde_json::to_string(bill).unwrap();
    assert!(text.contains(&format!(
        "\"memoryByteMilliseconds\":{}",
        bill.total.memory_byte_milliseconds
    )));
    bill.lines();
    if let Some(prices) = prices {
        let rows = focus::rows(std::slice::from_ref(bill), prices);
        focus::csv(&rows);
        focus::parquet(&rows).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn nothing_that_reckons_ends_at_the_ends_of_numbers(run in run(), executors in small(), cores in small()) {
        let table = "currency: EUR\nprices: [{cpuHour: 999999999999999999, gibHour: 0.000000001}]";
        let prices = Prices::read("p.yaml", table).unwrap();
        for prices in [None, Some(&prices)] {
            if let Ok(bill) = cost::of(&run, None, prices) {
                told(&bill, prices);
            }
            // A day of it: the whole may be many.
            let day = Window { from: run.started, until: run.started.saturating_add(86_400_000) };
            if let Ok(bills) = showback::daily(&run, None, prices, day) {
                let bills: Vec<_> = bills.iter().cycle().take(bills.len() * 3).cloned().collect();
                for report in showback::by_label(&bills, "team") {
                    serde_json::to_string(&report).unwrap();
                    report.lines();
                    report.csv();
                }
            }
        }
        let facts = Facts { run: Some(run.clone()), ..Facts::default() };
        for finding in examine(&facts) {
            serde_json::to_string(&finding).unwrap();
        }
        if let Ok(size) = size::for_run(&run, &Options::default()) {
            serde_json::to_string(&size).unwrap();
            size.lines();
        }
        if let Ok(outcome) = what_if(&run, Plan { executors, cores }) {
            serde_json::to_string(&outcome).unwrap();
            outcome.lines();
        }
    }
}

#[test]
fn a_bill_of_150_executors_of_28_gib_is_told_whole() {
    let mut run = fixture::run(150, 4, 70 * 60_000);
    run.spark.insert("spark.executor.memory".to_owned(), "28g".to_owned());
    let bill = cost::of(&run, None, None).unwrap();
    assert!(bill.total.memory_byte_milliseconds > i128::from(u64::MAX));
    told(&bill, None);
}
