//! SQL executions: plans, the jobs they run, and what their metrics came to.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use stoke_eventlog::event::{
    AdaptiveMetrics, AdaptivePlan, DriverAccumUpdates, JobEnd, JobStart, SqlExecutionEnd, SqlExecutionStart, StageInfo,
};
use stoke_run::{Ending, Outcome};

use super::away::Away;
use super::data::{JobStatus, Sql};
use super::graph::Graph;
use super::kinds::{Kinds, SUM};
use super::live::Indices;
use super::values::Values;
use crate::numbers::{Greatest, metric_text};
use crate::pieces::{Piece, Pieces};
use crate::scala::Scala;

/// All executions of an application.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Executions {
    written: BTreeMap<i64, Written>,
    live: BTreeMap<i64, LiveExecution>,
    stages: BTreeMap<i32, StageMetrics>,
    #[serde(skip)]
    pieces: Pieces,
}

/// An execution that has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Written {
    completed: Option<i64>,
    sql: Away<Sql>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LiveExecution {
    sql: Sql,
    kinds: Kinds,
    stages: Stages,
    driver_updates: Vec<(i64, i64)>,
    /// Filled once the execution has ended.
    values: Option<BTreeMap<i64, String>>,
    end_events: usize,
    /// Spark has it in its store: from its first job on. Only what is stored for the first time makes Spark look whether there is too much.
    stored: bool,
}

/// Stages of an execution, each with its place in the order they were met in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Stages(BTreeMap<i32, usize>);

impl Stages {
    fn add(&mut self, ids: &[i32]) {
        for id in ids {
            let place = self.0.len();
            self.0.entry(*id).or_insert(place);
        }
    }

    fn contains(&self, id: i32) -> bool {
        self.0.contains_key(&id)
    }

    fn in_order(&self) -> Vec<i32> {
        let mut all: Vec<(usize, i32)> = self.0.iter().map(|(id, place)| (*place, *id)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// In the order Spark goes through them: that of an immutable set.
    fn in_order_of(&self, scala: Scala) -> Vec<i32> {
        let keyed = self.in_order().into_iter().map(|id| (id, id)).collect();
        scala.immutable_order(keyed)
    }
}

/// What the tasks of a stage attempt did to SQL metrics.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StageMetrics {
    attempt: i32,
    tasks: i32,
    execution: i64,
    /// Metrics of the plan as it was when the job began, and what it measured later.
    kinds: Kinds,
    done: Indices,
    /// Numbers by task.
    values: BTreeMap<i64, Values>,
    /// The greatest number and the task it is from.
    greatest: BTreeMap<i64, (i64, i64)>,
}

impl StageMetrics {
    fn new(execution: i64, attempt: i32, tasks: i32, kinds: Kinds) -> Self {
        StageMetrics {
            attempt,
            tasks,
            execution,
            kinds,
            done: Indices::default(),
            values: BTreeMap::new(),
            greatest: BTreeMap::new(),
        }
    }
}

impl Executions {
    /// Puts what does not stay in memory there.
    pub(super) fn set_pieces(&mut self, pieces: Pieces) {
        self.pieces = pieces;
    }

    /// The pieces that are still wanted.
    pub(super) fn wanted(&self) -> impl Iterator<Item = Piece> {
        let written = self.written.values().filter_map(|written| written.sql.piece());
        let values = self.stages.values().flat_map(|stage| stage.values.values());
        written.chain(values.flat_map(Values::pieces))
    }

    fn execution(&mut self, id: i64) -> &mut LiveExecution {
        self.live.entry(id).or_insert_with(|| LiveExecution {
            sql: Sql {
                id,
                root: id,
                description: String::new(),
                details: String::new(),
                plan_text: String::new(),
                modified_configs: Vec::new(),
                submitted: -1,
                completed: None,
                error: None,
                query_id: None,
                jobs: Vec::new(),
                stages: Vec::new(),
                metric_values: BTreeMap::new(),
                graph: None,
            },
            kinds: Kinds::default(),
            stages: Stages::default(),
            driver_updates: Vec::new(),
            values: None,
            end_events: 0,
            stored: false,
        })
    }

    pub(super) fn on_start(&mut self, event: SqlExecutionStart, limit: usize) {
        let graph = Graph::of(event.plan);
        let execution = self.execution(event.id);
        execution.kinds = kinds_of(&graph);
        let sql = &mut execution.sql;
        sql.root = event.root.unwrap_or(event.id);
        sql.description = event.description;
        sql.details = event.details;
        sql.plan_text = event.plan_text;
        sql.modified_configs = event.modified_configs.0;
        sql.submitted = event.time;
        sql.query_id = event.query_id;
        sql.graph = Some(graph);
        self.update(event.id, limit);
    }

    pub(super) fn on_plan(&mut self, event: AdaptivePlan) {
        let graph = Graph::of(event.plan);
        let execution = self.execution(event.id);
        execution.sql.plan_text = event.plan_text;
        execution.kinds.add(graph.metrics());
        execution.sql.graph = Some(graph);
        self.share_metrics(event.id);
    }

    pub(super) fn on_metrics(&mut self, event: AdaptiveMetrics) {
        self.execution(event.id).kinds.add(event.metrics.iter());
        self.share_metrics(event.id);
    }

    /// Stages under way measure what the changed plan measures.
    fn share_metrics(&mut self, id: i64) {
        let Some(execution) = self.live.get(&id) else {
            return;
        };
        // Stages of an execution have the same kinds, mostly: what was put together for one is there for the next.
        let mut before: Option<(Kinds, Kinds)> = None;
        for stage in self.stages.values_mut().filter(|stage| stage.execution == id) {
            stage.kinds = match &before {
                Some((known, shared)) if known.is(&stage.kinds) => shared.clone(),
                _ => {
                    let shared = stage.kinds.and(&execution.kinds);
                    before = Some((stage.kinds.clone(), shared.clone()));
                    shared
                }
            };
        }
    }

    pub(super) fn on_end(&mut self, event: SqlExecutionEnd, limit: usize, scala: Scala) {
        let Some(execution) = self.live.get(&event.id) else {
            return;
        };
        let values = self.aggregate(execution, scala);
        if let Some(execution) = self.live.get_mut(&event.id) {
            execution.values = Some(values);
            execution.sql.completed = Some(event.time);
            execution.sql.error = event.error;
            execution.end_events += 1;
        }
        self.update(event.id, limit);
        self.forget_stages(Some(event.id));
    }

    pub(super) fn on_driver_updates(&mut self, event: DriverAccumUpdates) {
        if let Some(execution) = self.live.get_mut(&event.id) {
            execution.driver_updates.extend(event.updates);
        }
    }

    pub(super) fn on_job_start(&mut self, event: &JobStart, limit: usize) {
        let Some(id) = event.properties.execution() else {
            return;
        };
        if !self.live.contains_key(&id)
            && let Some(sql) = self.written(id)
        {
            // A job of an execution that has ended is added to what was written of it.
            let mut stages = Stages::default();
            stages.add(&sql.stages);
            let again = LiveExecution {
                kinds: sql.graph.as_ref().map(kinds_of).unwrap_or_default(),
                stages,
                driver_updates: Vec::new(),
                values: Some(sql.metric_values.clone()),
                end_events: sql.jobs.len() + 1,
                stored: false,
                // Spark does not take the error over.
                sql: Sql {
                    error: None,
                    ..sql.into_owned()
                },
            };
            self.live.insert(id, again);
        }
        let execution = self.execution(id);
        let kinds = execution.kinds.clone();
        set_job(&mut execution.sql.jobs, event.id, JobStatus::Running);
        execution.stages.add(&event.stage_ids);
        if !kinds.is_empty() {
            for stage in event.stages.iter().flatten() {
                self.stages
                    .insert(stage.id, StageMetrics::new(id, 0, stage.tasks, kinds.clone()));
            }
        }
        if !std::mem::replace(&mut self.execution(id).stored, true) {
            self.trim(limit);
        }
    }

    pub(super) fn on_job_end(&mut self, event: &JobEnd, limit: usize) {
        let status = match event.succeeded() {
            true => JobStatus::Succeeded,
            false => JobStatus::Failed,
        };
        let of_job: Vec<i64> = self
            .live
            .iter()
            .filter(|(_, execution)| execution.sql.jobs.iter().any(|(job, _)| *job == event.id))
            .map(|(id, _)| *id)
            .collect();
        for id in of_job {
            if let Some(execution) = self.live.get_mut(&id) {
                set_job(&mut execution.sql.jobs, event.id, status);
                execution.end_events += 1;
            }
            self.update(id, limit);
        }
    }

    pub(super) fn on_stage_submitted(&mut self, info: &StageInfo) {
        if let Some(stage) = self.stages.get_mut(&info.id)
            && stage.attempt != info.attempt
        {
            let kinds = std::mem::take(&mut stage.kinds);
            *stage = StageMetrics::new(stage.execution, info.attempt, stage.tasks, kinds);
        }
    }

    pub(super) fn on_task_end(&mut self, ending: &Ending) {
        let (stage, attempt) = ending.stage;
        let Some(stage) = self.stages.get_mut(&stage) else {
            return;
        };
        let task = &ending.task;
        let in_range = (0..stage.tasks).contains(&task.index);
        if stage.attempt != attempt || !in_range || stage.done.contains(task.index) {
            return;
        }
        let done = task.status == Outcome::Succeeded;
        let updates = &ending.sql;
        for (place, (id, update)) in updates.iter().enumerate() {
            let Some(kind) = stage.kinds.get(*id) else {
                continue;
            };
            // Of a metric that comes twice the last number counts.
            if !updates[place + 1..].iter().any(|(later, _)| later == id) {
                let values = stage.values.entry(*id).or_default();
                values.set(task.index, *update, done, kind == SUM, &self.pieces);
            }
            if kind != SUM {
                let greatest = stage.greatest.entry(*id).or_insert((*update, task.id));
                if *update > greatest.0 {
                    *greatest = (*update, task.id);
                }
            }
        }
        if done {
            stage.done.insert(task.index);
        }
    }

    /// Of stages whose greatest numbers are the same, the first one in Spark's order is named.
    fn aggregate(&self, execution: &LiveExecution, scala: Scala) -> BTreeMap<i64, String> {
        let kinds = &execution.kinds;
        // Numbers, and how many tasks reported none.
        let mut all: BTreeMap<i64, (Vec<i64>, usize)> = BTreeMap::new();
        let mut greatest: HashMap<i64, Greatest> = HashMap::new();
        let stages = execution.stages.in_order_of(scala);
        let stages = stages.into_iter().filter_map(|id| Some((id, self.stages.get(&id)?)));
        for (id, stage) in stages {
            for (metric, values) in stage.values.iter().filter(|(metric, _)| kinds.get(**metric).is_some()) {
                let (numbers, zeros) = all.entry(*metric).or_default();
                let only_sum = stage.kinds.get(*metric).is_some_and(|kind| kind == SUM);
                if let Err(error) = values.add_to(numbers, only_sum, &self.pieces) {
                    tracing::warn!(%error, metric, "a metric of a SQL execution lacks numbers");
                }
                *zeros += usize::try_from(stage.tasks).unwrap_or(0).saturating_sub(values.len());
            }
            for (metric, (value, task)) in &stage.greatest {
                let here = Greatest {
                    value: *value,
                    stage: id,
                    attempt: stage.attempt,
                    task: *task,
                };
                let known = greatest.entry(*metric).or_insert(here);
                if here.value > known.value {
                    *known = here;
                }
            }
        }
        for (metric, value) in execution
            .driver_updates
            .iter()
            .filter(|(metric, _)| kinds.get(*metric).is_some())
        {
            all.entry(*metric).or_default().0.push(*value);
        }
        all.into_iter()
            .filter_map(|(metric, (values, zeros))| {
                let kind = kinds.get(metric)?;
                Some((metric, metric_text(kind, values, zeros, greatest.get(&metric).copied())))
            })
            .collect()
    }

    /// Writes an execution out once it and all its jobs have ended.
    fn update(&mut self, id: i64, limit: usize) {
        let ended = self
            .live
            .get(&id)
            .is_some_and(|execution| execution.end_events > execution.sql.jobs.len());
        if !ended {
            return;
        }
        let mut first = false;
        if let Some(execution) = self.live.remove(&id) {
            first = !execution.stored;
            let sql = execution.into_sql();
            let about = about(&sql);
            let written = Written {
                completed: sql.completed,
                sql: Away::new(sql, about, &self.pieces),
            };
            self.written.insert(id, written);
        }
        self.forget_stages(None);
        if first {
            self.trim(limit);
        }
    }

    /// Lets go of stages no running execution has, besides `ending`.
    fn forget_stages(&mut self, ending: Option<i64>) {
        let live = &self.live;
        self.stages.retain(|stage, _| {
            live.iter()
                .any(|(id, execution)| Some(*id) != ending && execution.stages.contains(*stage))
        });
    }

    /// Keeps `limit` executions: those that ended first go first. What is live counts once it is in Spark's store, and never goes.
    fn trim(&mut self, limit: usize) {
        let live = self.live.values().filter(|execution| execution.stored);
        let live = live
            .filter(|execution| !self.written.contains_key(&execution.sql.id))
            .count();
        let surplus = (self.written.len() + live).saturating_sub(limit);
        if surplus == 0 {
            return;
        }
        let mut ended: Vec<(i64, i64)> = self
            .written
            .iter()
            .filter_map(|(id, written)| written.completed.map(|completed| (completed, *id)))
            .collect();
        ended.sort_unstable();
        for (_, id) in ended.into_iter().take(surplus) {
            self.written.remove(&id);
        }
    }

    /// The ids of executions that were written out.
    pub(super) fn written_ids(&self) -> impl Iterator<Item = i64> {
        self.written.keys().copied()
    }

    /// An execution that was written out. One that cannot be read any more is none.
    pub(super) fn written(&self, id: i64) -> Option<Cow<'_, Sql>> {
        match self.written.get(&id)?.sql.get(&self.pieces) {
            Ok(sql) => Some(sql),
            Err(error) => {
                tracing::warn!(%error, id, "a SQL execution cannot be read");
                None
            }
        }
    }

    /// Those that are live, as they are now.
    pub(super) fn live_view(&self, scala: Scala) -> BTreeMap<i64, Sql> {
        let view = |execution: &LiveExecution| {
            execution.view(|execution| match &execution.values {
                Some(values) => values.clone(),
                None => self.aggregate(execution, scala),
            })
        };
        self.live.iter().map(|(id, execution)| (*id, view(execution))).collect()
    }
}

impl LiveExecution {
    /// What is written of it once it has ended.
    fn into_sql(self) -> Sql {
        Sql {
            stages: self.stages.in_order(),
            metric_values: self.values.unwrap_or_default(),
            ..self.sql
        }
    }

    fn view(&self, values: impl Fn(&LiveExecution) -> BTreeMap<i64, String>) -> Sql {
        Sql {
            stages: self.stages.in_order(),
            metric_values: values(self),
            ..self.sql.clone()
        }
    }
}

/// How many bytes an execution takes, roughly.
fn about(sql: &Sql) -> usize {
    let graph = sql.graph.as_ref().map_or(0, |graph| graph.nodes.len() * 500);
    sql.plan_text.len() + sql.details.len() + sql.description.len() + graph
}

fn kinds_of(graph: &Graph) -> Kinds {
    let mut kinds = Kinds::default();
    kinds.add(graph.metrics());
    kinds
}

fn set_job(jobs: &mut Vec<(i32, JobStatus)>, id: i32, status: JobStatus) {
    match jobs.iter_mut().find(|(job, _)| *job == id) {
        Some(job) => job.1 = status,
        None => jobs.push((id, status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_stand_in_the_order_of_sparks_set() {
        let mut stages = Stages::default();
        stages.add(&[9, 4]);
        stages.add(&[4, 2]);
        assert_eq!(stages.in_order_of(Scala::V2_13), [9, 4, 2]);
        stages.add(&[7, 11]);
        assert_eq!((stages.in_order(), stages.contains(7)), (vec![9, 4, 2, 7, 11], true));
        // As Scala prints `Set(9, 4) + 2 + 7 + 11`.
        for scala in [Scala::V2_12, Scala::V2_13] {
            assert_eq!(stages.in_order_of(scala), [9, 2, 7, 11, 4]);
        }
    }
}
