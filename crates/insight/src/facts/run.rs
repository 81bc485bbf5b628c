//! A run as its event log tells it: compact, with one small row for each task attempt.
//!
//! Times are milliseconds since 1970, durations milliseconds, sizes bytes, unless a name says otherwise. Nothing is dropped by retention:
//! whoever reasons about time or money needs every task. A task costs [`TASK_BYTES`] bytes of memory.

use std::collections::BTreeMap;

use stoke_eventlog::event::ResourceProfile;
pub use stoke_run::{DRIVER, Outcome};
use stoke_run::{Peaks, StageKey};

/// Bytes a task attempt takes here.
pub const TASK_BYTES: usize = size_of::<Task>();

/// One run of an application.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// The Spark that wrote the log, for example `4.1.4`.
    pub spark_version: String,
    /// Spark's application id (`spark-…`, `local-…`).
    pub id: String,
    /// `spark.app.name`.
    pub name: String,
    /// Who ran it.
    pub user: String,
    /// The application attempt, where the cluster manager counts them.
    pub attempt: Option<String>,
    /// When the driver started.
    pub started: i64,
    /// When it ended; none when the log has no end: still running, or the driver was killed.
    pub ended: Option<i64>,
    /// The time of the last event that has one.
    pub last_event: i64,
    /// The exit code Spark tells of the driver (4.1 and newer).
    pub exit_code: Option<i32>,
    /// `Spark Properties` of the environment.
    pub spark: BTreeMap<String, String>,
    /// `JVM Information` of the environment.
    pub jvm: BTreeMap<String, String>,
    /// Paths of `Classpath Entries`.
    pub classpath: Vec<String>,
    /// Resource profiles by id. Without any, `spark.*` alone rule.
    pub profiles: BTreeMap<i32, ResourceProfile>,
    /// Executors in the order they were added, the driver's own entry (`driver`) among them when Spark added it.
    pub executors: Vec<Executor>,
    /// Jobs by id.
    pub jobs: BTreeMap<i32, Job>,
    /// Stage attempts by stage and attempt.
    pub stages: BTreeMap<StageKey, Stage>,
    /// SQL executions by id.
    pub queries: BTreeMap<i64, Query>,
    /// Peak memory of the driver, where Spark told it.
    pub driver_peaks: Peaks,
    /// How well the log could be read.
    pub reading: Reading,
}

/// How well a log could be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Events read.
    pub events: u64,
    /// Bytes of text read.
    pub bytes: u64,
    /// Lines that are not events.
    pub bad_lines: u64,
    /// What is wrong with the log, for people; empty when nothing is.
    pub faults: Vec<String>,
    /// Whether the log ends too early.
    pub truncated: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Executor {
    /// Its id, `1`, `2`… or `driver`.
    pub id: String,
    /// Its host (an address, on Kubernetes).
    pub host: String,
    /// Cores it offers to tasks.
    pub cores: u32,
    /// Its resource profile.
    pub profile: i32,
    /// When the driver got to know it.
    pub added: i64,
    /// When it was gone; none when it was there at the end.
    pub removed: Option<i64>,
    /// Why it was gone, in Spark's words.
    pub removed_because: String,
    /// Storage and execution memory it offers (`Maximum Memory` of its block manager).
    pub max_memory: i64,
    /// Peaks of its memory.
    pub peaks: Peaks,
    /// Times it, or its node, was excluded.
    pub exclusions: u32,
}

#[derive(Debug, Clone, Default)]
pub struct Job {
    /// When it was submitted.
    pub started: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// Whether it succeeded; none while it runs.
    pub succeeded: Option<bool>,
    /// Why it failed, in Spark's words.
    pub failure: Option<String>,
    /// Ids of the stages it names. Several jobs may name the same stage; it runs in the first that needs it.
    pub stages: Vec<i32>,
    /// `spark.job.description`.
    pub description: String,
    /// `spark.jobGroup.id`.
    pub group: String,
    /// The SQL execution it belongs to.
    pub query: Option<i64>,
}

/// One attempt of a stage.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    /// The stage.
    pub id: i32,
    /// Its attempt, from 0.
    pub attempt: i32,
    /// Spark's name, `collect at job.py:12`.
    pub name: String,
    /// The call stack of the line that made it.
    pub details: String,
    /// Tasks it has (partitions to compute in this attempt).
    pub task_count: u32,
    /// Stages it waits for.
    pub parents: Vec<i32>,
    /// Its resource profile.
    pub profile: i32,
    /// The first job that names it.
    pub job: Option<i32>,
    /// The SQL execution of that job.
    pub query: Option<i64>,
    /// When it was submitted.
    pub submitted: Option<i64>,
    /// When it completed or failed.
    pub completed: Option<i64>,
    /// Why it failed, in Spark's words.
    pub failure: Option<String>,
    /// Names of the RDDs it computes, with whether each is to be cached.
    pub rdds: Vec<Rdd>,
    /// Task attempts that ended, in the order they ended, and those that never did, in the order they started.
    pub tasks: Vec<Task>,
    /// What went wrong in tasks, by what it was; at most [`KEPT_FAILURES`] kinds.
    pub failures: Vec<Failure>,
    /// Kinds of failures that found no room in `failures`.
    pub further_failures: u32,
    /// Sums over the task attempts that ended.
    pub totals: Totals,
}

/// Kinds of failures kept for each stage attempt.
pub const KEPT_FAILURES: usize = 20;

/// An RDD of a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rdd {
    pub id: i32,
    /// Its name, `MapPartitionsRDD`, `FileScanRDD`, …
    pub name: String,
    pub partitions: i32,
    /// Whether it is to be kept in memory or on disk.
    pub cached: bool,
}

/// A task attempt. Times are milliseconds since the run's start.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Task {
    /// Its place in the stage: the partition, unless the stage is a retry.
    pub index: u32,
    /// Its attempt, from 0.
    pub attempt: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it is a speculative copy.
    pub speculative: bool,
    /// Its executor: a place in [`Run::executors`], or `u32::MAX` for one the log does not name.
    pub executor: u32,
    /// When it was launched, since the run's start.
    pub launched: u64,
    /// From launch to end as the driver saw it; 0 while it runs.
    pub duration: u32,
    /// `Executor Run Time`.
    pub run_time: u32,
    /// `Executor CPU Time`.
    pub cpu_time: u32,
    /// `JVM GC Time`.
    pub gc_time: u32,
    /// `Executor Deserialize Time`.
    pub deserialize_time: u32,
    /// `Fetch Wait Time`.
    pub fetch_wait: u32,
    /// `Input Metrics` / `Bytes Read`.
    pub input: u64,
    /// Remote and local `Shuffle Read` bytes.
    pub shuffle_read: u64,
    /// `Shuffle Bytes Written`.
    pub shuffle_write: u64,
    /// `Output Metrics` / `Bytes Written`.
    pub output: u64,
    /// `Input` and `Shuffle Read` records.
    pub records: u64,
    /// `Memory Bytes Spilled`.
    pub memory_spilled: u64,
    /// `Disk Bytes Spilled`.
    pub disk_spilled: u64,
    pub peak_execution_memory: u64,
    pub result_size: u64,
}

impl Task {
    /// When it ended, in milliseconds since the run's start.
    pub fn ended(&self) -> u64 {
        self.launched.saturating_add(u64::from(self.duration))
    }
}

/// Sums over task attempts. Failed and killed ones count: they took time and read data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
// named as in [`Task`]
pub struct Totals {
    /// Attempts that ended well.
    pub succeeded: u32,
    /// Attempts that failed.
    pub failed: u32,
    /// Attempts that were killed.
    pub killed: u32,
    /// Attempts that were speculative copies.
    pub speculative: u32,
    pub duration: u64,
    pub run_time: u64,
    pub cpu_time: u64,
    pub gc_time: u64,
    pub deserialize_time: u64,
    pub fetch_wait: u64,
    pub input: u64,
    pub input_records: u64,
    pub shuffle_read: u64,
    pub shuffle_remote_to_disk: u64,
    pub shuffle_read_records: u64,
    pub shuffle_write: u64,
    pub shuffle_write_records: u64,
    pub output: u64,
    pub output_records: u64,
    pub memory_spilled: u64,
    pub disk_spilled: u64,
    pub result_size: u64,
}

/// A way in which tasks of a stage attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it was.
    pub kind: FailureKind,
    /// The message, or the description of the exception.
    pub message: String,
    /// The whole stack as text; empty where Spark has none. At most [`KEPT_STACK`] bytes.
    pub stack: String,
    /// Attempts that failed so.
    pub count: u32,
    /// The first of them: its index and attempt.
    pub first: (u32, u16),
    /// The executor it ran on, by id.
    pub executor: String,
    /// When the first of them ended.
    pub time: i64,
}

/// Bytes of a stack kept.
pub const KEPT_STACK: usize = 16 << 10;

/// What a failure of a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureKind {
    /// An exception in the task.
    Exception { class: String },
    /// Shuffle data could not be fetched.
    Fetch {
        /// The executor it should have come from; none when no place of the data is known any more.
        executor: Option<String>,
        host: Option<String>,
        shuffle: i32,
    },
    /// The executor was lost.
    ExecutorLost {
        executor: String,
        /// Whether the driver blames the task for it (and counts it towards `spark.task.maxFailures`).
        by_application: bool,
    },
    /// The driver denied the commit of the output: another attempt had committed.
    CommitDenied,
    /// The result was lost from the block manager before the driver had it.
    ResultLost,
    /// Something else.
    Other,
}

/// A SQL execution.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Its description: the line that made it, or the text of `spark.job.description`.
    pub description: String,
    /// The call stack of the line that made it.
    pub details: String,
    /// The execution it is a part of (itself at the top).
    pub root: Option<i64>,
    /// When it started.
    pub started: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
    /// Its plan: the last one, when adaptive execution changed it.
    pub plan: Plan,
    /// The text of the plan (`physicalPlanDescription`), of the last one.
    pub plan_text: String,
    /// Times adaptive execution changed the plan.
    pub replanned: u32,
    /// Jobs that ran for it.
    pub jobs: Vec<i32>,
}

/// A node of a physical plan, with what its metrics came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The operator, `SortMergeJoin`, `BroadcastHashJoin`, `Scan parquet `, …
    pub name: String,
    /// Its `simpleString`.
    pub text: String,
    /// Its metrics: name, kind (`sum`, `size`, `timing`, `nsTiming`, `average`), and the sum over tasks and driver, where any was told.
    pub metrics: Vec<(String, String, Option<i64>)>,
    /// What feeds it.
    pub children: Vec<Plan>,
}

impl Plan {
    /// The value of a metric, when it was told.
    pub fn metric(&self, name: &str) -> Option<i64> {
        self.metrics
            .iter()
            .find(|(known, ..)| known == name)
            .and_then(|(.., value)| *value)
    }

    /// Every node, itself first.
    pub fn nodes(&self) -> Vec<&Plan> {
        let mut nodes = vec![self];
        let mut at = 0;
        while let Some(node) = nodes.get(at).copied() {
            nodes.extend(&node.children);
            at += 1;
        }
        nodes
    }
}

/// The largest time (milliseconds since 1970) and the largest amount of bytes that is taken from a log: the year 4199, 64 TiB in one task. What is
/// beyond is a broken log; up to here times, and products of times and cores, can be added and subtracted.
pub const LARGEST: i64 = 1 << 46;
/// The most cores of one executor that are taken from a log.
pub const MOST_CORES: u32 = 1 << 14;

/// Keeps numbers within their bounds and counts what was beyond them.
#[derive(Default)]
struct Bounds {
    beyond: usize,
}

impl Bounds {
    fn keep<T: Ord + Copy>(&mut self, number: &mut T, least: T, most: T) {
        let kept = (*number).clamp(least, most);
        self.beyond += usize::from(kept != *number);
        *number = kept;
    }

    fn signed<'a>(&mut self, numbers: impl IntoIterator<Item = &'a mut i64>) {
        numbers
            .into_iter()
            .for_each(|number| self.keep(number, -LARGEST, LARGEST));
    }

    fn unsigned<'a>(&mut self, numbers: impl IntoIterator<Item = &'a mut u64>) {
        numbers
            .into_iter()
            .for_each(|number| self.keep(number, 0, LARGEST.unsigned_abs()));
    }

    fn stage(&mut self, stage: &mut Stage) {
        self.signed(stage.submitted.iter_mut().chain(&mut stage.completed));
        self.signed(stage.failures.iter_mut().map(|failure| &mut failure.time));
        for task in &mut stage.tasks {
            self.unsigned([
                &mut task.launched,
                &mut task.input,
                &mut task.shuffle_read,
                &mut task.shuffle_write,
                &mut task.output,
                &mut task.records,
                &mut task.memory_spilled,
                &mut task.disk_spilled,
                &mut task.peak_execution_memory,
                &mut task.result_size,
            ]);
        }
        let totals = &mut stage.totals;
        self.unsigned([
            &mut totals.duration,
            &mut totals.run_time,
            &mut totals.cpu_time,
            &mut totals.gc_time,
            &mut totals.deserialize_time,
            &mut totals.fetch_wait,
            &mut totals.input,
            &mut totals.input_records,
            &mut totals.shuffle_read,
            &mut totals.shuffle_remote_to_disk,
            &mut totals.shuffle_read_records,
            &mut totals.shuffle_write,
            &mut totals.shuffle_write_records,
            &mut totals.output,
            &mut totals.output_records,
            &mut totals.memory_spilled,
            &mut totals.disk_spilled,
            &mut totals.result_size,
        ]);
    }
}

impl Run {
    /// The run with its numbers limited to what can be summed: a broken log may have any. What was beyond is reported in [`Run::reading`].
    pub fn bounded(mut self) -> Run {
        let mut bounds = Bounds::default();
        bounds.signed([&mut self.started, &mut self.last_event]);
        bounds.signed(&mut self.ended);
        for executor in &mut self.executors {
            bounds.signed([&mut executor.added, &mut executor.max_memory]);
            bounds.signed(executor.removed.iter_mut().chain(executor.peaks.each_mut()));
            bounds.keep(&mut executor.cores, 0, MOST_CORES);
        }
        bounds.signed(self.driver_peaks.each_mut());
        for job in self.jobs.values_mut() {
            bounds.signed([&mut job.started].into_iter().chain(&mut job.ended));
        }
        for query in self.queries.values_mut() {
            bounds.signed([&mut query.started].into_iter().chain(&mut query.ended));
            let mut nodes = vec![&mut query.plan];
            while let Some(node) = nodes.pop() {
                bounds.signed(node.metrics.iter_mut().filter_map(|(.., value)| value.as_mut()));
                nodes.extend(&mut node.children);
            }
        }
        self.stages.values_mut().for_each(|stage| bounds.stage(stage));
        if bounds.beyond > 0 {
            self.reading.faults.push(format!(
                "{} times or amounts are beyond all reason (more than {LARGEST} ms or bytes, or {MOST_CORES} cores of an executor); they count as that much",
                bounds.beyond
            ));
        }
        self
    }

    /// A property, as the driver saw it.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.spark.get(key).map(String::as_str)
    }

    /// The end: of the driver, else of what the log tells.
    pub fn end(&self) -> i64 {
        self.ended.unwrap_or(self.last_event).max(self.started)
    }

    /// How long it took, in milliseconds.
    pub fn duration(&self) -> i64 {
        self.end() - self.started
    }

    /// The executors that ran tasks for the driver: all but the driver's own entry, unless the master is local and it is the only one.
    pub fn workers(&self) -> impl Iterator<Item = (usize, &Executor)> {
        let local = self.executors.iter().all(|executor| executor.id == DRIVER);
        self.executors
            .iter()
            .enumerate()
            .filter(move |(_, executor)| local || executor.id != DRIVER)
    }

    /// The last attempt of each stage.
    pub fn last_attempts(&self) -> impl Iterator<Item = &Stage> {
        self.stages
            .iter()
            .filter(|((id, attempt), _)| !self.stages.contains_key(&(*id, attempt + 1)))
            .map(|(_, stage)| stage)
    }
}
