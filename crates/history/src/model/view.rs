//! What is shown of an application: what was written out, and over it what is still live.

use std::collections::BTreeMap;

use compact_str::CompactString;

use super::Application;
use super::data::{
    Environment, Executor, ExecutorStage, Job, Process, Profile, Rdd, Speculation, Sql, Stage, StageKey,
};
use super::task::Task;
use crate::scala::Scala;

/// An application as of the events seen so far.
#[derive(Debug)]
pub struct View {
    application: Application,
    /// When the log was changed last: until then running tasks have run.
    now: i64,
    jobs: BTreeMap<i32, Job>,
    stages: BTreeMap<StageKey, Stage>,
    executors: BTreeMap<CompactString, Executor>,
    sql: BTreeMap<i64, Sql>,
}

impl Application {
    /// Shows the application, as of `now` (milliseconds since 1970).
    pub fn into_view(self, now: i64) -> View {
        let mut jobs = self.jobs.clone();
        for (id, live) in self.live_jobs.iter().filter(|(_, live)| !live.ended) {
            jobs.insert(*id, live.view());
        }
        let mut stages = self.stages.clone();
        for (key, live) in &self.live_stages {
            stages.insert(*key, live.view());
        }
        let mut executors = self.executors.clone();
        for (id, live) in &self.live_executors {
            executors.insert(id.clone(), live.clone());
        }
        let sql = self.sql.view();
        View {
            jobs,
            stages,
            executors,
            sql,
            now,
            application: self,
        }
    }
}

impl View {
    /// The application behind it, to go on reading.
    pub fn into_application(self) -> Application {
        self.application
    }

    /// The Spark whose fields are shown: the one that wrote the log, unless another was asked for.
    pub fn spark_version(&self) -> &str {
        self.application.answers_as().unwrap_or(&self.application.spark_version)
    }

    /// The Scala of that Spark.
    pub fn scala(&self) -> Scala {
        self.application.scala()
    }

    /// The environment, once known.
    pub fn environment(&self) -> Option<&Environment> {
        self.application.environment.as_ref()
    }

    /// Resource profiles by id.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.application.profiles.values()
    }

    /// Jobs, the newest first.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().rev()
    }

    /// A job.
    pub fn job(&self, id: i32) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// Stage attempts, the newest first.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.stages.values().rev()
    }

    /// The attempts of a stage, the first one first.
    pub fn attempts(&self, stage: i32) -> impl Iterator<Item = &Stage> {
        self.stages
            .range((stage, i32::MIN)..=(stage, i32::MAX))
            .map(|(_, stage)| stage)
    }

    /// A stage attempt.
    pub fn stage(&self, key: StageKey) -> Option<&Stage> {
        self.stages.get(&key)
    }

    /// Executors by id, the driver among them.
    pub fn executors(&self) -> impl DoubleEndedIterator<Item = &Executor> {
        self.executors.values()
    }

    /// An executor.
    pub fn executor(&self, id: &str) -> Option<&Executor> {
        self.executors.get(id)
    }

    /// Processes beside driver and executors.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.application.processes.iter()
    }

    /// Cached RDDs by id, also those of which nothing is stored.
    pub fn rdds(&self) -> impl Iterator<Item = &Rdd> {
        self.application.rdds.values()
    }

    /// A cached RDD.
    pub fn rdd(&self, id: i32) -> Option<&Rdd> {
        self.application.rdds.get(&id)
    }

    /// SQL executions by id.
    pub fn executions(&self) -> impl ExactSizeIterator<Item = &Sql> {
        self.sql.values()
    }

    /// A SQL execution.
    pub fn execution(&self, id: i64) -> Option<&Sql> {
        self.sql.get(&id)
    }

    /// When the log was changed last, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// What executors did for a stage attempt, by their ids.
    pub fn stage_executors(&self, key: StageKey) -> BTreeMap<&str, &ExecutorStage> {
        let written = self.application.stage_executors.get(&key).into_iter().flatten();
        let live = self
            .application
            .live_stages
            .get(&key)
            .into_iter()
            .flat_map(|stage| &stage.executors);
        written.chain(live).map(|(id, done)| (id.as_str(), done)).collect()
    }

    /// What second copies of tasks did for a stage attempt.
    pub fn speculation(&self, key: StageKey) -> Option<&Speculation> {
        let live = self
            .application
            .live_stages
            .get(&key)
            .and_then(|stage| stage.speculation.as_ref());
        live.or_else(|| self.application.speculation.get(&key))
    }

    /// The tasks of a stage attempt, by id.
    pub fn tasks(&self, key: StageKey) -> Vec<Task> {
        let mut tasks: Vec<Task> = self
            .application
            .rows
            .get(&key)
            .into_iter()
            .flat_map(|rows| rows.tasks())
            .collect();
        let written = tasks.len();
        let live = self.application.live_tasks.iter().filter(|(_, task)| task.stage == key);
        tasks.extend(live.map(|(id, task)| Application::running(*id, task, self.now)));
        if tasks.len() > written {
            tasks.sort_by_key(|task| task.id);
        }
        tasks
    }

    /// The name behind a task's executor, host or locality.
    pub fn name(&self, place: u32) -> &str {
        self.application.names.get(place)
    }

    /// Bytes of memory it takes, roughly.
    pub fn memory(&self) -> usize {
        let rows: usize = self.application.rows.values().map(super::Rows::memory).sum();
        let stages: usize = self
            .stages
            .values()
            .map(|stage| 2 * (800 + stage.details.len() + stage.name.len()))
            .sum();
        let sql: usize = self
            .sql
            .values()
            .map(|sql| 2 * (sql.plan_text.len() + sql.details.len() + 16_384))
            .sum();
        rows + stages + sql + self.jobs.len() * 1000 + self.executors.len() * 2000 + (1 << 20)
    }
}
