//! Tasks.

use compact_str::CompactString;
use serde::Deserialize;

use super::accumulable::Accumulables;
use super::metrics::{ExecutorMetrics, TaskMetrics};
use super::reason::TaskEndReason;

/// `SparkListenerTaskStart`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TaskStart {
    /// Stage id.
    #[serde(rename = "Stage ID")]
    pub stage: i32,
    #[serde(rename = "Stage Attempt ID", default)]
    pub attempt: i32,
    /// The task.
    #[serde(rename = "Task Info")]
    pub info: TaskInfo,
}

/// `SparkListenerTaskEnd`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TaskEnd {
    /// Stage id.
    #[serde(rename = "Stage ID")]
    pub stage: i32,
    #[serde(rename = "Stage Attempt ID", default)]
    pub attempt: i32,
    /// Why it ended.
    #[serde(rename = "Task End Reason")]
    pub reason: TaskEndReason,
    /// The task.
    #[serde(rename = "Task Info")]
    pub info: TaskInfo,
    /// Peaks of its executor while it ran.
    #[serde(rename = "Task Executor Metrics", default)]
    pub peaks: Option<ExecutorMetrics>,
    /// What it measured; nothing when it never reported.
    #[serde(rename = "Task Metrics", default)]
    pub metrics: Option<TaskMetrics>,
}

#[derive(Deserialize)]
pub(super) struct GettingResult {
    #[serde(rename = "Task Info")]
    pub(super) info: Box<TaskInfo>,
}

/// `SparkListenerSpeculativeTaskSubmitted`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SpeculativeTask {
    /// Stage id.
    #[serde(rename = "Stage ID", alias = "stageId")]
    pub stage: i32,
    #[serde(rename = "Stage Attempt ID", alias = "stageAttemptId", default)]
    pub attempt: i32,
}

/// A task attempt. Times are milliseconds since 1970; 0 is "not yet".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TaskInfo {
    /// Task id, unique in the application.
    #[serde(rename = "Task ID")]
    pub id: i64,
    /// Its place in the stage.
    #[serde(rename = "Index")]
    pub index: i32,
    /// Its attempt, from 0.
    #[serde(rename = "Attempt", default = "first")]
    pub attempt: i32,
    /// The partition it computes; -1 in old logs.
    #[serde(rename = "Partition ID", default = "unknown")]
    pub partition: i32,
    #[serde(rename = "Launch Time")]
    pub launched: i64,
    /// Executor id.
    #[serde(rename = "Executor ID")]
    pub executor: CompactString,
    #[serde(rename = "Host")]
    pub host: CompactString,
    /// How near its data is.
    #[serde(rename = "Locality")]
    pub locality: CompactString,
    /// A second copy of a slow task.
    #[serde(rename = "Speculative", default)]
    pub speculative: bool,
    /// When its result began to be fetched.
    #[serde(rename = "Getting Result Time", default)]
    pub getting_result: i64,
    #[serde(rename = "Finish Time", default)]
    pub finished: i64,
    #[serde(rename = "Failed", default)]
    pub failed: bool,
    /// It was killed.
    #[serde(rename = "Killed", default)]
    pub killed: bool,
    /// What it did to accumulators.
    #[serde(rename = "Accumulables", default)]
    pub accumulables: Accumulables,
}

fn first() -> i32 {
    1
}

fn unknown() -> i32 {
    -1
}
