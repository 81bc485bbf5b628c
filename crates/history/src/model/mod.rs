//! An application as Spark's status listeners see it, event by event.
//!
//! The rules are those of `org.apache.spark.status.AppStatusListener` and
//! `org.apache.spark.sql.execution.ui.SQLAppStatusListener` when they replay a log: what is live is written out once it has ended, and
//! what is still live when the log ends is shown as it is then. Nothing is lost by showing it: reading can go on when the log has grown.

mod away;
pub mod data;
mod executors;
pub mod graph;
mod jobs;
mod kinds;
mod live;
mod look;
mod rows;
mod sql;
mod storage;
pub mod task;
mod tasks;
mod values;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use stoke_eventlog::Event;
use stoke_eventlog::event::{EnvironmentUpdate, Pairs as LogPairs, ResourceProfile};
pub use stoke_run::metrics;
use stoke_run::{DRIVER, Tasks, settings};

use crate::pieces::{Piece, Pieces};
use crate::scala::Scala;
use away::Away;
use data::{Environment, Executor, ExecutorStage, Job, Process, Rdd, Speculation, Stage, StageKey};
use live::{LiveJob, LiveStage};
use rows::Rows;

pub use view::View;

/// How much is kept, as the History Server's own configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// `spark.ui.retainedJobs`
    pub jobs: usize,
    /// `spark.ui.retainedStages`
    pub stages: usize,
    /// `spark.ui.retainedTasks`, per stage attempt.
    pub tasks: usize,
    /// `spark.ui.retainedDeadExecutors`
    pub dead_executors: usize,
    /// `spark.sql.ui.retainedExecutions`
    pub executions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            jobs: 1000,
            stages: 1000,
            tasks: 100_000,
            dead_executors: 100,
            executions: 1000,
        }
    }
}

/// How many of `count` go when at most `limit` stay: a tenth at least, so that dropping is not done for every single one.
fn surplus(count: usize, limit: usize) -> usize {
    match count > limit {
        true => (limit / 10).max(count - limit),
        false => 0,
    }
}

/// The state of an application after some events.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Application {
    limits: Limits,
    /// The Spark that answers, where it is not the one that wrote the log.
    answers_as: Option<String>,
    /// The Spark that wrote the log.
    pub spark_version: String,
    /// Its environment, once known.
    pub environment: Option<Environment>,
    profiles: BTreeMap<i32, ResourceProfile>,
    jobs: BTreeMap<i32, Job>,
    live_jobs: BTreeMap<i32, LiveJob>,
    stages: BTreeMap<StageKey, Stage>,
    live_stages: BTreeMap<StageKey, LiveStage>,
    stage_executors: BTreeMap<StageKey, Away<BTreeMap<CompactString, ExecutorStage>>>,
    speculation: BTreeMap<StageKey, Speculation>,
    rows: BTreeMap<StageKey, Rows>,
    tasks: Tasks,
    executors: BTreeMap<CompactString, Executor>,
    live_executors: BTreeMap<CompactString, Executor>,
    dead_executors: BTreeMap<CompactString, Executor>,
    /// Live executors Spark has written out once: they count when it drops dead ones.
    written_executors: BTreeSet<CompactString>,
    processes: Vec<Process>,
    rdds: BTreeMap<i32, Rdd>,
    sql: sql::Executions,
    cpus_per_task: Option<f64>,
    /// What does not stay in memory.
    #[serde(skip)]
    pieces: Pieces,
}

impl Application {
    /// An application nothing is known of yet.
    pub fn new(limits: Limits) -> Self {
        let new = Application {
            limits,
            ..Application::default()
        };
        new.with_pieces(Pieces::default())
    }

    /// Sees it as this Spark's server does: with its fields, and in the order of its maps. Said before the first event.
    #[must_use]
    pub fn answering_as(self, version: Option<String>) -> Self {
        Application {
            answers_as: version,
            ..self
        }
    }

    /// Has an application that was replayed seen as this Spark's server does. Nothing when lists it keeps would be in another order: then
    /// it is to be replayed.
    pub fn seen_as(self, version: Option<String>) -> Option<Self> {
        let order = self.scala();
        let seen = self.answering_as(version);
        (seen.scala() == order).then_some(seen)
    }

    /// Puts what does not stay in memory there. Said before the first event.
    #[must_use]
    pub fn with_pieces(mut self, pieces: Pieces) -> Self {
        self.sql.set_pieces(pieces.clone());
        self.pieces = pieces;
        self
    }

    /// What does not stay in memory.
    pub fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    /// The pieces that are still wanted.
    pub(crate) fn wanted(&self) -> Vec<Piece> {
        let executors = self.stage_executors.values().filter_map(Away::piece);
        let rows = self.rows.values().flat_map(Rows::pieces);
        rows.chain(executors).chain(self.sql.wanted()).collect()
    }

    /// The Spark that was asked for, where one was.
    pub fn answers_as(&self) -> Option<&str> {
        self.answers_as.as_deref()
    }

    /// How much of it is kept.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Takes the next event of the log.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::TaskEnd(event) => {
                let ending = self.tasks.end(*event);
                self.sql.on_task_end(&ending);
                self.on_task_end(ending);
            }
            Event::TaskStart(event) => {
                self.on_task_start(&event);
                self.tasks.start(&event);
            }
            Event::TaskGettingResult(info) => self.tasks.getting_result(&info),
            Event::LogStart(start) => self.spark_version = start.spark_version,
            Event::ApplicationStart(start) => self.on_start(start.driver_logs, start.driver_attributes),
            // What is known of the end is in the list of applications.
            Event::ApplicationEnd(_) | Event::SpeculativeTaskSubmitted(_) => {}
            Event::EnvironmentUpdate(environment) => self.on_environment(*environment),
            Event::ResourceProfileAdded(profile) => {
                self.profiles.insert(profile.id, *profile);
            }
            Event::ExecutorAdded(event) => self.on_executor_added(*event),
            Event::ExecutorRemoved(event) => self.on_executor_removed(&event),
            Event::BlockManagerAdded(event) => self.on_block_manager_added(&event),
            Event::MiscellaneousProcessAdded(process) => self.processes.push(Process {
                id: process.id,
                host_port: process.host_port,
                cores: process.cores,
                added: process.time,
                logs: process.logs.0,
            }),
            Event::ExecutorExcluded(event) => self.set_excluded(&event.id, true),
            Event::ExecutorUnexcluded(event) => self.set_excluded(&event.id, false),
            Event::NodeExcluded(event) => self.set_node_excluded(&event.id, true),
            Event::NodeUnexcluded(event) => self.set_node_excluded(&event.id, false),
            Event::ExecutorExcludedForStage(event) => self.exclude_for_stage(&event),
            Event::NodeExcludedForStage(event) => self.exclude_node_for_stage(&event),
            Event::ExecutorMetricsUpdate(event) => self.on_metrics_update(&event),
            Event::StageExecutorMetrics(event) => self.on_stage_metrics(&event),
            Event::JobStart(event) => {
                self.sql.on_job_start(&event, self.limits.executions);
                self.on_job_start(*event);
            }
            Event::JobEnd(event) => {
                self.sql.on_job_end(&event, self.limits.executions);
                self.on_job_end(&event);
            }
            Event::StageSubmitted(event) => {
                self.sql.on_stage_submitted(&event.info);
                self.on_stage_submitted(*event);
            }
            Event::StageCompleted(event) => self.on_stage_completed(event.info),
            Event::BlockUpdated(update) => self.on_block_update(&update),
            Event::UnpersistRdd(rdd) => self.on_unpersist(rdd.id),
            Event::SqlExecutionStart(event) => self.sql.on_start(*event, self.limits.executions),
            Event::SqlAdaptivePlan(event) => self.sql.on_plan(*event),
            Event::SqlAdaptiveMetrics(event) => self.sql.on_metrics(*event),
            Event::SqlExecutionEnd(event) => self.sql.on_end(event, self.limits.executions, self.scala()),
            Event::SqlDriverAccumUpdates(event) => self.sql.on_driver_updates(event),
        }
    }

    /// The Scala of the Spark that answers: of the one that wrote the log it is told there.
    pub fn scala(&self) -> Scala {
        if let Some(other) = self.answers_as.as_deref().filter(|other| *other != self.spark_version) {
            return Scala::of_spark(other);
        }
        let named = self
            .environment
            .as_ref()
            .and_then(|environment| environment.scala_version.as_deref());
        named
            .and_then(Scala::of_name)
            .unwrap_or_else(|| Scala::of_spark(&self.spark_version))
    }

    fn on_start(&mut self, logs: Option<LogPairs>, attributes: Option<LogPairs>) {
        let Some(logs) = logs else {
            return;
        };
        if let Some(driver) = self.live_executors.get_mut(DRIVER) {
            driver.logs = logs.0;
            driver.attributes = attributes.map(|pairs| pairs.0).unwrap_or_default();
            self.wrote_executor(DRIVER);
        }
    }

    fn on_environment(&mut self, update: EnvironmentUpdate) {
        let cpus = update.spark.get(settings::TASK_CPUS).and_then(settings::cpus);
        self.cpus_per_task = cpus.or(self.cpus_per_task);
        let jvm = |key: &str| update.jvm.get(key).map(str::to_owned);
        let sorted = |pairs: LogPairs| {
            let mut pairs = pairs.0;
            pairs.sort();
            pairs
        };
        self.environment = Some(Environment {
            java_version: jvm("Java Version"),
            java_home: jvm("Java Home"),
            scala_version: jvm("Scala Version"),
            spark: sorted(update.spark),
            hadoop: sorted(update.hadoop),
            system: sorted(update.system),
            metrics: sorted(update.metrics),
            classpath: sorted(update.classpath),
        });
    }
}
