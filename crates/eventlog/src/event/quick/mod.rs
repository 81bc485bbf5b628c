//! The lines logs mostly consist of, read as Spark writes them: field after field, in the order it has.
//!
//! Nine bytes of ten are tasks that did their work, or, where many small queries run, stages and plans. `JsonProtocol` writes every one of
//! them with the same fields in the same order; a third of a task is internal accumulators that say what its metrics say again, and most of
//! a stage is what the line before said of it. Whatever is not exactly so (another order, a rare escape, a failed task) is left to the
//! general reader: `None` means "look closer", not "wrong".

mod cursor;
mod sql;
mod stage;
mod task;

pub(super) use sql::{adaptive_plan, sql_start};
pub(super) use stage::{job_start, stage_completed, stage_metrics, stage_submitted};
pub(super) use task::{task_end, task_start};

#[cfg(test)]
mod tests;
