//! What Spark's status store keeps: jobs, stages, executors, cached RDDs, SQL executions. Times are milliseconds since 1970, sizes bytes.
//! Fields are those of Spark's classes of the same name (`org.apache.spark.status.api.v1`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stoke_eventlog::event::{NamedAccumulable, ResourceInformation};
pub use stoke_run::StageKey;

use super::graph::Graph;
use super::metrics::{Metrics, Peaks};

/// Names and values in the order they are shown.
pub type Pairs = Vec<(String, String)>;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Environment {
    pub java_version: Option<String>,
    pub java_home: Option<String>,
    pub scala_version: Option<String>,
    pub spark: Pairs,
    pub hadoop: Pairs,
    pub system: Pairs,
    pub metrics: Pairs,
    pub classpath: Pairs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobStatus {
    Running,
    Succeeded,
    Failed,
}

impl JobStatus {
    pub fn name(self) -> &'static str {
        match self {
            JobStatus::Running => "RUNNING",
            JobStatus::Succeeded => "SUCCEEDED",
            JobStatus::Failed => "FAILED",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub id: i32,
    pub name: String,
    pub description: Option<String>,
    pub submitted: Option<i64>,
    pub completed: Option<i64>,
    pub stage_ids: Vec<i32>,
    pub group: Option<String>,
    pub tags: Vec<String>,
    pub status: JobStatus,
    pub tasks: i32,
    pub active_tasks: i32,
    pub completed_tasks: i32,
    pub skipped_tasks: i32,
    pub failed_tasks: i32,
    pub killed_tasks: i32,
    pub completed_indices: i32,
    pub active_stages: i32,
    pub completed_stages: i32,
    pub skipped_stages: i32,
    pub failed_stages: i32,
    pub killed_summary: BTreeMap<String, i32>,
    pub sql_execution: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StageStatus {
    Active,
    Complete,
    Failed,
    Pending,
    Skipped,
}

impl StageStatus {
    pub fn name(self) -> &'static str {
        match self {
            StageStatus::Active => "ACTIVE",
            StageStatus::Complete => "COMPLETE",
            StageStatus::Failed => "FAILED",
            StageStatus::Pending => "PENDING",
            StageStatus::Skipped => "SKIPPED",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stage {
    pub status: StageStatus,
    pub id: i32,
    pub attempt: i32,
    pub tasks: i32,
    pub active_tasks: i32,
    pub completed_tasks: i32,
    pub failed_tasks: i32,
    pub killed_tasks: i32,
    pub completed_indices: i32,
    pub submitted: Option<i64>,
    pub first_launched: Option<i64>,
    pub completed: Option<i64>,
    pub failure: Option<String>,
    pub metrics: Metrics,
    pub name: String,
    pub description: Option<String>,
    pub details: String,
    pub pool: String,
    pub rdds: Vec<i32>,
    pub accumulators: Vec<NamedAccumulable>,
    pub killed_summary: BTreeMap<String, i32>,
    pub profile: i32,
    pub peaks: Peaks,
    pub push_enabled: bool,
    pub push_mergers: i32,
    pub jobs: Vec<i32>,
}

/// What an executor did for a stage attempt.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExecutorStage {
    pub task_time: i64,
    pub failed: i32,
    pub succeeded: i32,
    pub killed: i32,
    pub metrics: Metrics,
    pub excluded: bool,
    pub peaks: Peaks,
}

/// Second copies of slow tasks.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Speculation {
    pub tasks: i32,
    pub active: i32,
    pub completed: i32,
    pub failed: i32,
    pub killed: i32,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Executor {
    pub id: String,
    pub host_port: Option<String>,
    pub host: Option<String>,
    pub active: bool,
    pub rdd_blocks: i32,
    pub memory_used: i64,
    pub disk_used: i64,
    pub cores: i32,
    pub max_tasks: i32,
    pub active_tasks: i32,
    pub failed_tasks: i32,
    pub completed_tasks: i32,
    pub total_tasks: i32,
    pub duration: i64,
    pub gc_time: i64,
    pub input_bytes: i64,
    pub shuffle_read: i64,
    pub shuffle_write: i64,
    pub excluded: bool,
    pub max_memory: i64,
    pub added: i64,
    pub removed: Option<i64>,
    pub remove_reason: Option<String>,
    pub logs: Pairs,
    /// On and off the heap: used, then at most.
    pub memory: Option<[i64; 4]>,
    pub excluded_in: std::collections::BTreeSet<i32>,
    pub peaks: Peaks,
    pub attributes: Pairs,
    pub resources: BTreeMap<String, ResourceInformation>,
    pub profile: i32,
}

impl Executor {
    /// Host and port, or the host when no block manager was seen.
    pub fn address(&self) -> Option<&str> {
        self.host_port.as_deref().or(self.host.as_deref())
    }

    /// The host alone.
    pub fn hostname(&self) -> &str {
        match (&self.host, &self.host_port) {
            (Some(host), _) => host,
            (None, Some(address)) => address.split(':').next().unwrap_or_default(),
            (None, None) => "",
        }
    }
}

/// A process beside driver and executors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    pub id: String,
    pub host_port: String,
    pub cores: i32,
    pub added: i64,
    pub logs: Pairs,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rdd {
    pub id: i32,
    pub name: String,
    pub partitions: i32,
    pub level: stoke_eventlog::event::StorageLevel,
    pub memory_used: i64,
    pub disk_used: i64,
    /// In the order they were first stored.
    pub distributions: Vec<Distribution>,
    /// Likewise.
    pub blocks: Vec<RddBlock>,
}

/// How much of an RDD an executor holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Distribution {
    pub executor: String,
    pub address: Option<String>,
    pub memory_used: i64,
    pub disk_used: i64,
    pub on_heap_used: i64,
    pub off_heap_used: i64,
    /// Memory that was free when this was last looked at, as Spark keeps it.
    pub memory_remaining: i64,
    /// On and off the heap, where the executor tells.
    pub remaining: Option<[i64; 2]>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RddBlock {
    pub name: String,
    pub level: String,
    pub memory_used: i64,
    pub disk_used: i64,
    pub executors: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sql {
    pub id: i64,
    pub root: i64,
    pub description: String,
    pub details: String,
    pub plan_text: String,
    pub modified_configs: Pairs,
    pub submitted: i64,
    pub completed: Option<i64>,
    pub error: Option<String>,
    pub query_id: Option<String>,
    /// In the order they were started.
    pub jobs: Vec<(i32, JobStatus)>,
    pub stages: Vec<i32>,
    pub metric_values: BTreeMap<i64, String>,
    pub graph: Option<Graph>,
}

impl Sql {
    /// `SQLExecutionUIData.executionStatus`.
    pub fn status(&self) -> &'static str {
        if let Some(error) = &self.error {
            return if error.is_empty() { "COMPLETED" } else { "FAILED" };
        }
        if self.completed.is_none() || self.jobs.iter().any(|(_, status)| *status == JobStatus::Running) {
            "RUNNING"
        } else if self.jobs.iter().any(|(_, status)| *status == JobStatus::Failed) {
            "FAILED"
        } else {
            "COMPLETED"
        }
    }
}
