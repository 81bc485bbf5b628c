//! Facts of a run, made of its events in one pass.
//!
//! Memory: what [`Run`] holds, and for each task that has started but not ended its `TaskInfo`. Cost: constant for each event, and one look-up
//! for each SQL metric a task updates.

use std::collections::{BTreeMap, HashMap};

use stoke_eventlog::event::{
    ApplicationStart, EnvironmentUpdate, ExecutorAdded, ExecutorMetrics, JobStart, PlanInfo, Properties,
    SqlExecutionStart, StageInfo, TaskEnd, TaskEndReason, TaskFailure, TaskInfo, TaskMetrics,
};
use stoke_eventlog::read::Input;
use stoke_eventlog::{Event, Log, Options, Report, Source, StorageError, read};

use super::run::{
    DRIVER, Executor, Failure, FailureKind, Job, KEPT_FAILURES, KEPT_STACK, Outcome, Plan, Query, Rdd, Reading, Run,
    Stage, Task, Totals,
};

/// Reads a log.
///
/// # Errors
/// When a file of it cannot be opened. What is wrong inside is told in [`Run::reading`].
pub fn run(source: &Source, log: &Log, options: Options) -> Result<Run, StorageError> {
    let mut collector = Collector::default();
    let mut report = Report::default();
    for (place, part) in log.parts.iter().enumerate() {
        let input = Input {
            name: &part.entry.path,
            offset: 0,
            text: source.text(part, 0)?,
        };
        let last = place + 1 == log.parts.len();
        read(input, options, &mut report, last, |event| collector.apply(event));
    }
    let mut run = collector.finish(&report);
    if !log.missing.is_empty() {
        let missing: Vec<String> = log.missing.iter().map(u64::to_string).collect();
        let files = missing.join(", ");
        run.reading
            .faults
            .insert(0, format!("{}: files {files} of the rolling log are missing", log.path));
    }
    Ok(run)
}

/// Takes events in the order of the log.
#[derive(Debug, Default)]
pub struct Collector {
    run: Run,
    /// Places of executors by id.
    places: HashMap<String, u32>,
    /// Memory of block managers whose executor is not known yet.
    memory: HashMap<String, i64>,
    running: HashMap<i64, ((i32, i32), TaskInfo)>,
    /// Sums of SQL metrics by accumulator.
    metrics: HashMap<i64, i64>,
    /// Plans as Spark told them, until the metrics are summed.
    plans: BTreeMap<i64, PlanInfo>,
}

/// Local properties of jobs.
const DESCRIPTION: &str = "spark.job.description";
const GROUP: &str = "spark.jobGroup.id";
const EXECUTION: &str = "spark.sql.execution.id";

impl Collector {
    /// Takes the next event.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::TaskStart(event) => {
                self.seen(event.info.launched);
                self.running
                    .insert(event.info.id, ((event.stage, event.attempt), event.info));
            }
            Event::TaskEnd(event) => self.on_task_end(*event),
            Event::LogStart(event) => self.run.spark_version = event.spark_version,
            Event::ApplicationStart(event) => self.on_start(event),
            Event::ApplicationEnd(event) => {
                self.seen(event.time);
                self.run.ended = Some(event.time);
                self.run.exit_code = event.exit_code;
            }
            Event::EnvironmentUpdate(event) => self.on_environment(*event),
            Event::ResourceProfileAdded(profile) => {
                self.run.profiles.insert(profile.id, *profile);
            }
            Event::ExecutorAdded(event) => self.on_executor_added(*event),
            Event::ExecutorRemoved(event) => {
                self.seen(event.time);
                if let Some(executor) = self.executor(&event.id) {
                    executor.removed = Some(event.time);
                    executor.removed_because = event.reason;
                }
            }
            Event::BlockManagerAdded(event) => {
                self.seen(event.time);
                match self.executor(&event.id.executor) {
                    Some(executor) => executor.max_memory = event.max_memory,
                    None => {
                        self.memory.insert(event.id.executor.to_string(), event.max_memory);
                    }
                }
            }
            Event::ExecutorExcluded(event) => self.exclude(&event.id),
            Event::ExecutorExcludedForStage(event) => self.exclude(&event.id),
            Event::NodeExcluded(event) => self.exclude_host(&event.id),
            Event::NodeExcludedForStage(event) => self.exclude_host(&event.id),
            Event::ExecutorMetricsUpdate(event) => {
                for update in &event.updates {
                    self.peak(&event.executor, &update.metrics);
                }
            }
            Event::StageExecutorMetrics(event) => self.peak(&event.executor, &event.metrics),
            Event::JobStart(event) => self.on_job(*event),
            Event::JobEnd(event) => {
                self.seen(event.time);
                if let Some(job) = self.run.jobs.get_mut(&event.id) {
                    job.ended = Some(event.time);
                    job.succeeded = Some(event.succeeded());
                    job.failure = event.result.exception.and_then(|exception| exception.message);
                }
            }
            Event::StageSubmitted(event) => {
                let query = execution(event.properties.as_ref());
                let stage = self.on_stage(&event.info);
                stage.query = query.or(stage.query);
            }
            Event::StageCompleted(event) => {
                self.on_stage(&event.info);
            }
            Event::SqlExecutionStart(event) => self.on_query(*event),
            Event::SqlAdaptivePlan(event) => {
                if let Some(query) = self.run.queries.get_mut(&event.id) {
                    query.replanned += 1;
                    query.plan_text = event.plan_text;
                    self.plans.insert(event.id, event.plan);
                }
            }
            Event::SqlExecutionEnd(event) => {
                self.seen(event.time);
                if let Some(query) = self.run.queries.get_mut(&event.id) {
                    query.ended = Some(event.time);
                    query.error = event.error.filter(|error| !error.is_empty());
                }
            }
            Event::SqlDriverAccumUpdates(event) => self.measure(&event.updates),
            Event::TaskGettingResult(_)
            | Event::SpeculativeTaskSubmitted(_)
            | Event::MiscellaneousProcessAdded(_)
            | Event::ExecutorUnexcluded(_)
            | Event::NodeUnexcluded(_)
            | Event::BlockUpdated(_)
            | Event::UnpersistRdd(_)
            // Metrics that adaptive execution adds belong to operators the plan names by itself when it is told next.
            | Event::SqlAdaptiveMetrics(_) => {}
        }
    }

    /// The run, once there are no more events.
    pub fn finish(mut self, report: &Report) -> Run {
        let mut left: Vec<_> = std::mem::take(&mut self.running).into_values().collect();
        left.sort_by_key(|(key, info)| (*key, info.launched, info.id));
        for (key, info) in left {
            let task = self.row(&info, Outcome::Running, None);
            self.stage(key).tasks.push(task);
        }
        for (id, plan) in std::mem::take(&mut self.plans) {
            let plan = self.plan(plan);
            if let Some(query) = self.run.queries.get_mut(&id) {
                query.plan = plan;
            }
        }
        let place = |file: &str, offset: u64, what: &str| format!("{file}: at byte {offset}: {what}");
        self.run.reading = Reading {
            events: report.events,
            bytes: report.bytes,
            bad_lines: report.bad_lines,
            faults: report
                .faults
                .iter()
                .chain(&report.truncated)
                .map(|fault| place(&fault.file, fault.offset, &fault.what))
                .collect(),
            truncated: report.truncated.is_some(),
        };
        self.run.bounded()
    }

    fn seen(&mut self, time: i64) {
        self.run.last_event = self.run.last_event.max(time);
    }

    fn executor(&mut self, id: &str) -> Option<&mut Executor> {
        let place = *self.places.get(id)?;
        self.run.executors.get_mut(place as usize)
    }

    fn on_start(&mut self, event: ApplicationStart) {
        self.seen(event.time);
        self.run.started = event.time;
        self.run.id = event.id.unwrap_or_default();
        self.run.name = event.name;
        self.run.user = event.user;
        self.run.attempt = event.attempt;
    }

    fn on_environment(&mut self, event: EnvironmentUpdate) {
        self.run.spark = event.spark.0.into_iter().collect();
        self.run.jvm = event.jvm.0.into_iter().collect();
        self.run.classpath = event.classpath.0.into_iter().map(|(path, _)| path).collect();
    }

    fn on_executor_added(&mut self, event: ExecutorAdded) {
        self.seen(event.time);
        let id = event.id.to_string();
        let executor = Executor {
            host: event.info.host,
            cores: event.info.cores.max(0) as u32,
            profile: event.info.profile,
            added: event.time,
            max_memory: self.memory.remove(&id).unwrap_or(0),
            id: id.clone(),
            ..Executor::default()
        };
        // An executor that registers again under its id is the same to everybody who asks.
        match self.executor(&id) {
            Some(known) => {
                known.removed = None;
                known.removed_because.clear();
            }
            None => {
                self.places.insert(id, self.run.executors.len() as u32);
                self.run.executors.push(executor);
            }
        }
    }

    fn exclude(&mut self, id: &str) {
        if let Some(executor) = self.executor(id) {
            executor.exclusions += 1;
        }
    }

    fn exclude_host(&mut self, host: &str) {
        for executor in self.run.executors.iter_mut().filter(|executor| executor.host == host) {
            executor.exclusions += 1;
        }
    }

    fn peak(&mut self, id: &str, metrics: &ExecutorMetrics) {
        if id == DRIVER {
            raise(&mut self.run.driver_peaks, metrics);
        }
        if let Some(executor) = self.executor(id) {
            raise(&mut executor.peaks, metrics);
        }
    }

    fn on_job(&mut self, mut event: JobStart) {
        self.seen(event.time);
        let infos = event.stages_or_ids();
        let of = |key: &str| event.properties.as_ref().and_then(|properties| properties.get(key));
        let query = execution(event.properties.as_ref());
        let job = Job {
            started: event.time,
            stages: infos.iter().map(|info| info.id).collect(),
            description: of(DESCRIPTION).unwrap_or_default().to_owned(),
            group: of(GROUP).unwrap_or_default().to_owned(),
            query,
            ..Job::default()
        };
        self.run.jobs.insert(event.id, job);
        if let Some(query) = query.and_then(|query| self.run.queries.get_mut(&query)) {
            query.jobs.push(event.id);
        }
        for info in &infos {
            // What a later job names again has run in an earlier one, or will run there.
            let stage = self.on_stage(info);
            if stage.job.is_none() {
                stage.job = Some(event.id);
                stage.query = stage.query.or(query);
            }
        }
    }

    fn stage(&mut self, key: (i32, i32)) -> &mut Stage {
        // A further attempt belongs to the job of the first.
        let (job, query) = match self.run.stages.contains_key(&key) {
            true => (None, None),
            false => self
                .run
                .stages
                .get(&(key.0, 0))
                .map_or((None, None), |first| (first.job, first.query)),
        };
        self.run.stages.entry(key).or_insert_with(|| Stage {
            id: key.0,
            attempt: key.1,
            job,
            query,
            ..Stage::default()
        })
    }

    fn on_stage(&mut self, info: &StageInfo) -> &mut Stage {
        for time in [info.submitted, info.completed].into_iter().flatten() {
            self.seen(time);
        }
        let stage = self.stage((info.id, info.attempt));
        stage.name.clone_from(&info.name);
        stage.details.clone_from(&info.details);
        stage.task_count = info.tasks.max(0) as u32;
        stage.parents.clone_from(&info.parents);
        stage.profile = info.profile;
        stage.submitted = info.submitted.or(stage.submitted);
        stage.completed = info.completed.or(stage.completed);
        stage.failure = info.failure.clone().or(stage.failure.take());
        stage.rdds = info
            .rdds
            .iter()
            .map(|rdd| Rdd {
                id: rdd.id,
                name: rdd.name.to_string(),
                partitions: rdd.partitions,
                cached: rdd.level.memory || rdd.level.disk,
            })
            .collect();
        stage
    }

    fn on_task_end(&mut self, event: TaskEnd) {
        let info = &event.info;
        self.seen(info.finished);
        self.running.remove(&info.id);
        self.measure(&info.accumulables.sql);
        if let Some(peaks) = &event.peaks {
            self.peak(&info.executor, peaks);
        }
        let outcome = match (info.failed, info.killed) {
            (true, _) => Outcome::Failed,
            (false, true) => Outcome::Killed,
            (false, false) => Outcome::Succeeded,
        };
        let task = self.row(info, outcome, event.metrics.as_ref());
        let stage = self.stage((event.stage, event.attempt));
        stage.totals.add(&task, event.metrics.as_ref());
        stage.tasks.push(task);
        if let TaskEndReason::Failed(failure) = event.reason
            && outcome == Outcome::Failed
        {
            stage.fail(*failure, &event.info);
        }
    }

    fn row(&self, info: &TaskInfo, outcome: Outcome, metrics: Option<&TaskMetrics>) -> Task {
        let base = Task {
            index: info.index.max(0) as u32,
            attempt: info.attempt.clamp(0, i32::from(u16::MAX)) as u16,
            outcome,
            speculative: info.speculative,
            executor: self.places.get(info.executor.as_str()).copied().unwrap_or(u32::MAX),
            launched: info.launched.saturating_sub(self.run.started).max(0) as u64,
            duration: match outcome {
                Outcome::Running => 0,
                _ => small(info.finished.saturating_sub(info.launched)),
            },
            ..Task::default()
        };
        let Some(metrics) = metrics else {
            return base;
        };
        let read = &metrics.shuffle_read;
        Task {
            run_time: small(metrics.run_time),
            cpu_time: small(metrics.cpu_time / 1_000_000),
            gc_time: small(metrics.gc_time),
            deserialize_time: small(metrics.deserialize_time),
            fetch_wait: small(read.fetch_wait_time),
            input: size(metrics.input.bytes),
            shuffle_read: size(read.remote_bytes).saturating_add(size(read.local_bytes)),
            shuffle_write: size(metrics.shuffle_write.bytes),
            output: size(metrics.output.bytes),
            records: size(metrics.input.records).saturating_add(size(read.records)),
            memory_spilled: size(metrics.memory_spilled),
            disk_spilled: size(metrics.disk_spilled),
            peak_execution_memory: size(metrics.peak_execution_memory),
            result_size: size(metrics.result_size),
            ..base
        }
    }

    fn measure(&mut self, updates: &[(i64, i64)]) {
        for (accumulator, update) in updates {
            let sum = self.metrics.entry(*accumulator).or_default();
            *sum = sum.saturating_add(*update);
        }
    }

    fn on_query(&mut self, event: SqlExecutionStart) {
        self.seen(event.time);
        let query = Query {
            description: event.description,
            details: event.details,
            root: event.root,
            started: event.time,
            plan_text: event.plan_text,
            ..Query::default()
        };
        self.run.queries.insert(event.id, query);
        self.plans.insert(event.id, event.plan);
    }

    /// The plan with what its metrics came to. Plans nest as deep as the log's line was read, which is bounded.
    fn plan(&self, info: PlanInfo) -> Plan {
        Plan {
            metrics: info
                .metrics
                .into_iter()
                .map(|metric| {
                    let value = self.metrics.get(&metric.accumulator).copied();
                    (metric.name.into(), metric.kind.into(), value)
                })
                .collect(),
            name: info.name.into(),
            text: info.text,
            children: info.children.into_iter().map(|child| self.plan(child)).collect(),
        }
    }
}

fn execution(properties: Option<&Properties>) -> Option<i64> {
    properties?.get(EXECUTION)?.parse().ok()
}

fn raise(peaks: &mut ExecutorMetrics, seen: &ExecutorMetrics) {
    for (peak, seen) in peaks.0.iter_mut().zip(seen.0) {
        *peak = (*peak).max(seen);
    }
}

fn small(milliseconds: i64) -> u32 {
    milliseconds.clamp(0, i64::from(u32::MAX)) as u32
}

fn size(bytes: i64) -> u64 {
    bytes.max(0) as u64
}

impl Totals {
    fn add(&mut self, task: &Task, metrics: Option<&TaskMetrics>) {
        match task.outcome {
            Outcome::Succeeded => self.succeeded += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Killed => self.killed += 1,
            Outcome::Running => {}
        }
        self.speculative += u32::from(task.speculative);
        let sums = [
            (&mut self.duration, u64::from(task.duration)),
            (&mut self.run_time, u64::from(task.run_time)),
            (&mut self.cpu_time, u64::from(task.cpu_time)),
            (&mut self.gc_time, u64::from(task.gc_time)),
            (&mut self.deserialize_time, u64::from(task.deserialize_time)),
            (&mut self.fetch_wait, u64::from(task.fetch_wait)),
            (&mut self.input, task.input),
            (&mut self.shuffle_read, task.shuffle_read),
            (&mut self.shuffle_write, task.shuffle_write),
            (&mut self.output, task.output),
            (&mut self.memory_spilled, task.memory_spilled),
            (&mut self.disk_spilled, task.disk_spilled),
            (&mut self.result_size, task.result_size),
        ];
        for (sum, value) in sums {
            *sum = sum.saturating_add(value);
        }
        if let Some(metrics) = metrics {
            let sums = [
                (&mut self.input_records, metrics.input.records),
                (&mut self.output_records, metrics.output.records),
                (&mut self.shuffle_read_records, metrics.shuffle_read.records),
                (&mut self.shuffle_write_records, metrics.shuffle_write.records),
                (
                    &mut self.shuffle_remote_to_disk,
                    metrics.shuffle_read.remote_bytes_to_disk,
                ),
            ];
            for (sum, value) in sums {
                *sum = sum.saturating_add(size(value));
            }
        }
    }
}

impl Stage {
    fn fail(&mut self, failure: TaskFailure, info: &TaskInfo) {
        let (kind, message, stack) = parts_of(failure);
        let shape = shape(&message);
        let known = self
            .failures
            .iter_mut()
            .find(|known| known.kind == kind && self::shape(&known.message) == shape);
        if let Some(known) = known {
            known.count += 1;
            return;
        }
        if self.failures.len() == KEPT_FAILURES {
            self.further_failures += 1;
            return;
        }
        self.failures.push(Failure {
            kind,
            message,
            stack: cut(stack),
            count: 1,
            first: (
                info.index.max(0) as u32,
                info.attempt.clamp(0, i32::from(u16::MAX)) as u16,
            ),
            executor: info.executor.to_string(),
            time: info.finished,
        });
    }
}

/// What failures of one kind have in common: the first line, without its digits.
fn shape(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.chars()
        .filter(|character| !character.is_ascii_digit())
        .take(200)
        .collect()
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(KEPT_STACK));
    text
}

fn parts_of(failure: TaskFailure) -> (FailureKind, String, String) {
    let text = failure.text();
    match failure {
        TaskFailure::Exception { class, description, .. } => {
            (FailureKind::Exception { class }, description.unwrap_or_default(), text)
        }
        TaskFailure::FetchFailed {
            from, shuffle, message, ..
        } => {
            let (executor, host) = match from {
                Some(from) => (Some(from.executor.to_string()), Some(from.host.to_string())),
                None => (None, None),
            };
            let first = message.lines().next().unwrap_or_default().to_owned();
            (
                FailureKind::Fetch {
                    executor,
                    host,
                    shuffle,
                },
                first,
                message,
            )
        }
        TaskFailure::ExecutorLost {
            executor,
            by_application,
            reason,
        } => {
            let kind = FailureKind::ExecutorLost {
                executor,
                by_application,
            };
            (kind, reason.unwrap_or(text), String::new())
        }
        TaskFailure::CommitDenied { .. } => (FailureKind::CommitDenied, text, String::new()),
        TaskFailure::ResultLost => (FailureKind::ResultLost, text, String::new()),
        TaskFailure::Resubmitted | TaskFailure::Killed { .. } | TaskFailure::Unknown => {
            (FailureKind::Other, text, String::new())
        }
    }
}
