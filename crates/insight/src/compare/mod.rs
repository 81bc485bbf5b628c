//! What changed between two runs, and which change explains the time.
//!
//! In: two [`Run`]s. Out: a [`Comparison`]: settings, versions, plans, data volumes and failures that differ, and the difference of the
//! wall-clock time divided into named parts that sum to it exactly, the largest first. How: [`timeline`] gives every moment of a run to one
//! cause, stages are matched by name and order ([`matching`]), and [`explain`] divides the difference of each pair.

mod conf;
pub mod explain;
mod matching;
mod plan;
mod text;
pub mod timeline;

use serde::Serialize;

pub use conf::Change;
pub use explain::{Explanation, Kind};
pub use plan::QueryChange;

use crate::facts::Run;
use timeline::Timeline;

/// Two runs are said to have taken the same time when they differ by less than this share (in percent) of the first: runs of one job on one
/// machine differ by as much with nothing changed.
pub const SAME_PERCENT: i64 = 5;

/// What is told of each of two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// Spark's application id.
    pub id: String,
    pub name: String,
    /// From start to end, in milliseconds.
    pub milliseconds: i64,
    /// The most tasks there was room for at once.
    pub slots: u32,
    /// Executors that were there at some time.
    pub executors: usize,
    /// Bytes read from outside.
    pub input: u64,
    /// Bytes read from shuffles.
    pub shuffle_read: u64,
    /// Bytes written to the outside.
    pub output: u64,
    /// Bytes written to disk for want of memory.
    pub disk_spilled: u64,
    /// Task attempts that succeeded.
    pub succeeded: u64,
    /// Task attempts that failed.
    pub failed: u64,
    /// Task attempts that were killed.
    pub killed: u64,
    /// Stage attempts after the first.
    pub stage_retries: usize,
}

/// How a matched stage differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageChange {
    /// Spark's name of it.
    pub name: String,
    /// Its id in each run; none where it did not run.
    pub ids: (Option<i32>, Option<i32>),
    /// Milliseconds of the wall clock that are its own.
    pub milliseconds: (i64, i64),
    pub tasks: (u32, u32),
    /// Bytes read from outside and from shuffles.
    pub read: (u64, u64),
    /// Bytes written to shuffles and to the outside.
    pub written: (u64, u64),
}

/// Two runs compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The first.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// How much longer the second took, in milliseconds.
    pub difference: i64,
    /// What explains it: parts that sum to `difference`, those that pull its way first, the largest first.
    pub explanations: Vec<Explanation>,
    /// Settings and versions that differ and matter.
    pub settings: Vec<Change>,
    /// Queries whose plans differ.
    pub queries: Vec<QueryChange>,
    /// Stages, in the order of the first run, then those only the second has.
    pub stages: Vec<StageChange>,
}

/// Compares two runs.
pub fn compare(a: &Run, b: &Run) -> Comparison {
    let times = (Timeline::of(a), Timeline::of(b));
    let settings = conf::changes(a, b);
    let queries = plan::changes(a, b);
    let pairs = matching::stages(a, b);
    let explanations = explain::explain((a, b), (&times.0, &times.1), &pairs, &queries, &settings);
    let stages = pairs.iter().map(|pair| pair.change(&times.0, &times.1)).collect();
    let queries = queries.into_iter().filter(QueryChange::is_change).collect();
    let (a, b) = (side(a, &times.0), side(b, &times.1));
    Comparison {
        difference: b.milliseconds - a.milliseconds,
        a,
        b,
        explanations,
        settings,
        queries,
        stages,
    }
}

fn side(run: &Run, timeline: &Timeline) -> Side {
    let sum = |of: fn(&crate::facts::run::Totals) -> u64| run.stages.values().map(|stage| of(&stage.totals)).sum();
    Side {
        id: run.id.clone(),
        name: run.name.clone(),
        milliseconds: run.duration(),
        slots: timeline.slots,
        executors: run.workers().count(),
        input: sum(|totals| totals.input),
        shuffle_read: sum(|totals| totals.shuffle_read),
        output: sum(|totals| totals.output),
        disk_spilled: sum(|totals| totals.disk_spilled),
        succeeded: sum(|totals| totals.succeeded.into()),
        failed: sum(|totals| totals.failed.into()),
        killed: sum(|totals| totals.killed.into()),
        stage_retries: run.stages.keys().filter(|(_, attempt)| *attempt > 0).count(),
    }
}

#[cfg(test)]
mod tests;
