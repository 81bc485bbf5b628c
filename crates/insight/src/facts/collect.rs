//! Facts of a run, made of its events in one pass.
//!
//! Memory: what [`Run`] holds, and a small row for each task that has started but not ended. Cost: constant for each event, and one look-up
//! for each SQL metric a task updates.

use std::collections::{BTreeMap, HashMap};

use stoke_eventlog::event::{
    ApplicationStart, EnvironmentUpdate, ExecutorAdded, ExecutorMetrics, JobStart, PlanInfo, SqlExecutionStart,
    StageInfo, TaskFailure,
};
use stoke_eventlog::{Event, Log, Options, Report, Source, StorageError, read_log};
use stoke_run::metrics::at;
use stoke_run::{Ending, Metrics, StageKey, Tasks};

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
    read_log(source, log, (0, 0), options, &mut report, |event| {
        collector.apply(event)
    })?;
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
    tasks: Tasks,
    /// Places in [`Run::executors`] by the places of their ids in the names of tasks; `u32::MAX` where the name is not an executor's.
    places: Vec<u32>,
    /// Memory of block managers whose executor is not known yet.
    memory: HashMap<String, i64>,
    /// Sums of SQL metrics by accumulator.
    metrics: HashMap<i64, i64>,
    /// Plans as Spark told them, until the metrics are summed.
    plans: BTreeMap<i64, PlanInfo>,
}

impl Collector {
    /// Takes the next event.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::TaskStart(event) => {
                self.seen(event.info.launched);
                self.tasks.start(&event);
            }
            Event::TaskEnd(event) => {
                let ending = self.tasks.end(*event);
                self.on_task_end(ending);
            }
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
                let query = event.properties.execution();
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
        let left = self.tasks.running();
        let mut left: Vec<_> = left.map(|(id, task)| (task.stage(), task.row(id, 0))).collect();
        left.sort_by_key(|(key, task)| (*key, task.launched, task.id));
        for (key, task) in left {
            let task = self.row(&task, Outcome::Running, 0);
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
        let place = self.place(self.tasks.names().find(id)?);
        self.run.executors.get_mut(place as usize)
    }

    /// The place of an executor by the place of its id among the names.
    fn place(&self, name: u32) -> u32 {
        self.places.get(name as usize).copied().unwrap_or(u32::MAX)
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
        let name = self.tasks.names_mut().place(&event.id);
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
                let name = name as usize;
                let known = self.places.len().max(name + 1);
                self.places.resize(known, u32::MAX);
                self.places[name] = self.run.executors.len() as u32;
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
            self.run.driver_peaks.update(metrics);
        }
        if let Some(executor) = self.executor(id) {
            executor.peaks.update(metrics);
        }
    }

    fn on_job(&mut self, mut event: JobStart) {
        self.seen(event.time);
        let infos = event.stages_or_ids();
        let properties = &event.properties;
        let query = properties.execution();
        let job = Job {
            started: event.time,
            stages: infos.iter().map(|info| info.id).collect(),
            description: properties.description().unwrap_or_default().to_owned(),
            group: properties.group().unwrap_or_default().to_owned(),
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

    fn stage(&mut self, key: StageKey) -> &mut Stage {
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

    fn on_task_end(&mut self, ending: Ending) {
        self.seen(ending.finished);
        self.measure(&ending.sql);
        if ending.executor == DRIVER {
            self.run.driver_peaks.update(&ending.peaks);
        }
        // Its work was counted when it ended; that it is done again is an attempt of its own.
        if ending.resubmitted() {
            return;
        }
        let task = self.row(
            &ending.task,
            ending.outcome,
            ending.finished.saturating_sub(ending.task.launched),
        );
        if let Some(executor) = self.run.executors.get_mut(task.executor as usize) {
            executor.peaks.update(&ending.peaks);
        }
        let stage = self.stage(ending.stage);
        stage.totals.add(&task, ending.metrics());
        stage.tasks.push(task);
        if ending.outcome == Outcome::Failed
            && let Some(failure) = ending.failure
        {
            let first = (task.index, task.attempt);
            stage.fail(*failure, first, &ending.executor, ending.finished);
        }
    }

    /// The columns of a task that reasoning needs, as narrow as they can be.
    fn row(&self, task: &stoke_run::Task, outcome: Outcome, took: i64) -> Task {
        let metrics = task.metrics.as_ref().unwrap_or(&Metrics::ZERO);
        let bytes = |place| size(metrics.get(place));
        let time = |place| small(metrics.get(place));
        Task {
            index: task.index.max(0) as u32,
            attempt: task.attempt.clamp(0, i32::from(u16::MAX)) as u16,
            outcome,
            speculative: task.speculative,
            executor: self.place(task.executor),
            launched: task.launched.saturating_sub(self.run.started).max(0) as u64,
            duration: small(took),
            run_time: time(at::RUN_TIME),
            cpu_time: small(metrics.get(at::CPU_TIME) / 1_000_000),
            gc_time: time(at::GC_TIME),
            deserialize_time: time(at::DESERIALIZE_TIME),
            fetch_wait: time(at::FETCH_WAIT_TIME),
            input: bytes(at::INPUT_BYTES),
            shuffle_read: bytes(at::REMOTE_BYTES).saturating_add(bytes(at::LOCAL_BYTES)),
            shuffle_write: bytes(at::WRITE_BYTES),
            output: bytes(at::OUTPUT_BYTES),
            records: bytes(at::INPUT_RECORDS).saturating_add(bytes(at::READ_RECORDS)),
            memory_spilled: bytes(at::MEMORY_SPILLED),
            disk_spilled: bytes(at::DISK_SPILLED),
            peak_execution_memory: bytes(at::PEAK_EXECUTION_MEMORY),
            result_size: bytes(at::RESULT_SIZE),
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

fn small(milliseconds: i64) -> u32 {
    milliseconds.clamp(0, i64::from(u32::MAX)) as u32
}

fn size(bytes: i64) -> u64 {
    bytes.max(0) as u64
}

impl Totals {
    fn add(&mut self, task: &Task, metrics: &Metrics) {
        match task.outcome {
            Outcome::Succeeded => self.succeeded += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Killed => self.killed += 1,
            Outcome::Running | Outcome::GetResult => {}
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
        let further = [
            (&mut self.input_records, at::INPUT_RECORDS),
            (&mut self.output_records, at::OUTPUT_RECORDS),
            (&mut self.shuffle_read_records, at::READ_RECORDS),
            (&mut self.shuffle_write_records, at::WRITE_RECORDS),
            (&mut self.shuffle_remote_to_disk, at::REMOTE_BYTES_TO_DISK),
        ];
        for (sum, place) in further {
            *sum = sum.saturating_add(size(metrics.get(place)));
        }
    }
}

impl Stage {
    /// Takes down how an attempt failed: the index and attempt, where it ran, and when it ended.
    fn fail(&mut self, failure: TaskFailure, first: (u32, u16), executor: &str, time: i64) {
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
            first,
            executor: executor.to_owned(),
            time,
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
