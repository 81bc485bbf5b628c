//! What is shown of an application: what was written out, and over it what is still live.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::iter::Peekable;

use compact_str::CompactString;
use stoke_eventlog::event::ResourceProfile;

use super::Application;
use super::data::{Environment, Executor, ExecutorStage, Job, Process, Rdd, Speculation, Sql, Stage, StageKey};
use super::rows::{InOrder, Rows};
use super::task::Task;
use crate::pieces::Pieces;
use crate::scala::Scala;

/// An application as of the events seen so far. What was written out stays where it is; of what is live there is a picture over it.
#[derive(Debug)]
pub struct View {
    application: Application,
    /// When the log was changed last: until then running tasks have run.
    now: i64,
    jobs: BTreeMap<i32, Job>,
    stages: BTreeMap<StageKey, Stage>,
    sql: BTreeMap<i64, Sql>,
}

impl Application {
    /// Shows the application, as of `now` (milliseconds since 1970).
    pub fn into_view(self, now: i64) -> View {
        let live_jobs = self.live_jobs.iter().filter(|(_, live)| !live.ended);
        View {
            jobs: live_jobs.map(|(id, live)| (*id, live.view())).collect(),
            stages: self.live_stages.iter().map(|(key, live)| (*key, live.view())).collect(),
            sql: self.sql.live_view(self.scala()),
            now,
            application: self,
        }
    }
}

/// Two maps as one: of a key in both the value of the second.
fn over<'a, K: Ord + 'a, V: 'a>(
    written: impl IntoIterator<Item = (&'a K, &'a V)>,
    live: impl IntoIterator<Item = (&'a K, &'a V)>,
) -> impl DoubleEndedIterator<Item = &'a V> + ExactSizeIterator {
    let both: BTreeMap<&K, &V> = written.into_iter().chain(live).collect();
    both.into_values()
}

impl View {
    /// The application behind it, to go on reading.
    pub fn into_application(self) -> Application {
        self.application
    }

    /// A copy of the application behind it, where someone else still looks at the view.
    pub fn application(&self) -> Application {
        self.application.clone()
    }

    /// The Spark whose fields are shown: the one that wrote the log, unless another was asked for.
    pub fn spark_version(&self) -> &str {
        self.application.answers_as().unwrap_or(&self.application.spark_version)
    }

    /// The Spark that was asked for, where one was.
    pub fn answers_as(&self) -> Option<&str> {
        self.application.answers_as()
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
    pub fn profiles(&self) -> impl Iterator<Item = &ResourceProfile> {
        self.application.profiles.values()
    }

    /// Jobs, the newest first.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        over(&self.application.jobs, &self.jobs).rev()
    }

    pub fn job(&self, id: i32) -> Option<&Job> {
        self.jobs.get(&id).or_else(|| self.application.jobs.get(&id))
    }

    /// Stage attempts, the newest first.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        over(&self.application.stages, &self.stages).rev()
    }

    /// The attempts of a stage, the first one first.
    pub fn attempts(&self, stage: i32) -> impl Iterator<Item = &Stage> {
        let all = (stage, i32::MIN)..=(stage, i32::MAX);
        over(self.application.stages.range(all.clone()), self.stages.range(all))
    }

    /// A stage attempt.
    pub fn stage(&self, key: StageKey) -> Option<&Stage> {
        self.stages.get(&key).or_else(|| self.application.stages.get(&key))
    }

    /// Executors by id, the driver among them.
    pub fn executors(&self) -> impl DoubleEndedIterator<Item = &Executor> + ExactSizeIterator {
        over(&self.application.executors, &self.application.live_executors)
    }

    pub fn executor(&self, id: &str) -> Option<&Executor> {
        let live = self.application.live_executors.get(id);
        live.or_else(|| self.application.executors.get(id))
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

    /// The ids of SQL executions.
    pub fn executions(&self) -> BTreeSet<i64> {
        self.application
            .sql
            .written_ids()
            .chain(self.sql.keys().copied())
            .collect()
    }

    /// A SQL execution.
    pub fn execution(&self, id: i64) -> Option<Cow<'_, Sql>> {
        let live = self.sql.get(&id).map(Cow::Borrowed);
        live.or_else(|| self.application.sql.written(id))
    }

    /// When the log was changed last, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// What executors did for a stage attempt, by their ids.
    ///
    /// # Errors
    /// When it was put away and cannot be read again.
    pub fn stage_executors(&self, key: StageKey) -> io::Result<BTreeMap<CompactString, ExecutorStage>> {
        let written = match self.application.stage_executors.get(&key) {
            Some(written) => written.get(self.application.pieces())?.into_owned(),
            None => BTreeMap::new(),
        };
        let live = self.application.live_stages.get(&key);
        let live = live.into_iter().flat_map(|stage| stage.executors.clone());
        Ok(written.into_iter().chain(live).collect())
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

    /// The tasks of a stage attempt, by id. Those that ended are read piece by piece.
    pub fn tasks(&self, key: StageKey) -> Tasks<'_> {
        let rows = self.rows(key);
        Tasks {
            rows: rows.map(|rows| rows.tasks(self.pieces()).peekable()),
            ..self.live(key)
        }
    }

    /// Those that run.
    fn live(&self, key: StageKey) -> Tasks<'_> {
        let mut live = self.running(key);
        live.sort_unstable_by_key(|task| Reverse(task.id));
        Tasks { rows: None, live }
    }

    /// Likewise, in no order.
    pub(super) fn running(&self, key: StageKey) -> Vec<Task> {
        let running = self.application.tasks.running().filter(|(_, task)| task.stage() == key);
        running.map(|(id, task)| task.row(id, self.now)).collect()
    }

    /// Those that ended.
    pub(super) fn rows(&self, key: StageKey) -> Option<&Rows> {
        self.application.rows.get(&key)
    }

    /// Where they are.
    pub(super) fn pieces(&self) -> &Pieces {
        self.application.pieces()
    }

    /// Tasks of a stage attempt by id, those with these ids among them. The ids are sorted; only pieces that may have one are read.
    pub fn tasks_near(&self, key: StageKey, ids: &[i64]) -> Tasks<'_> {
        let rows = self.rows(key);
        Tasks {
            rows: rows.map(|rows| rows.tasks_near(self.pieces(), ids).peekable()),
            ..self.live(key)
        }
    }

    /// How many tasks [`View::tasks`] gives, at most.
    pub fn tasks_at_most(&self, key: StageKey) -> usize {
        self.rows(key).map_or(0, Rows::len) + self.application.tasks.running().len()
    }

    /// The name behind a task's executor, host or locality.
    pub fn name(&self, place: u32) -> &str {
        self.application.tasks.names().get(place)
    }

    /// Bytes of memory it takes, roughly.
    pub fn memory(&self) -> usize {
        let rows: usize = self.application.rows.values().map(Rows::memory).sum();
        let stages: usize = self
            .stages()
            .map(|stage| 800 + stage.details.len() + stage.name.len())
            .sum();
        let live: usize = self
            .sql
            .values()
            .map(|sql| sql.plan_text.len() + sql.details.len() + 16_384)
            .sum();
        let sql = 2 * live + self.executions().len() * 4096;
        let rows = rows + self.application.pieces().memory();
        rows + stages + sql + self.jobs().count() * 1000 + self.executors().len() * 2000 + (1 << 20)
    }
}

/// Tasks in the order of their ids.
#[derive(Debug)]
pub struct Tasks<'a> {
    rows: Option<Peekable<InOrder<'a>>>,
    /// Those that run, the least id last.
    live: Vec<Task>,
}

impl Iterator for Tasks<'_> {
    type Item = io::Result<Task>;

    fn next(&mut self) -> Option<io::Result<Task>> {
        let ended = self.rows.as_mut().and_then(Peekable::peek);
        let live_first = match (self.live.last(), ended) {
            (Some(live), Some(Ok(ended))) => live.id < ended.id,
            (live, ended) => live.is_some() && ended.is_none(),
        };
        match live_first {
            true => self.live.pop().map(Ok),
            false => self.rows.as_mut().and_then(Iterator::next),
        }
    }
}
