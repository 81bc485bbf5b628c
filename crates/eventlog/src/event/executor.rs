//! Executors: that they came and went, what they may use, and that they are avoided.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::application::Pairs;
use super::metrics::ExecutorMetrics;

/// `SparkListenerExecutorAdded`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ExecutorAdded {
    /// When, in milliseconds since 1970.
    #[serde(rename = "Timestamp")]
    pub time: i64,
    /// Executor id.
    #[serde(rename = "Executor ID")]
    pub id: CompactString,
    /// What it is.
    #[serde(rename = "Executor Info")]
    pub info: ExecutorInfo,
}

/// What an executor is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ExecutorInfo {
    /// Its host, without a port.
    #[serde(rename = "Host")]
    pub host: String,
    /// Cores it runs tasks on.
    #[serde(rename = "Total Cores")]
    pub cores: i32,
    /// Addresses of its logs.
    #[serde(rename = "Log Urls", default)]
    pub logs: Pairs,
    /// Attributes the cluster manager gave.
    #[serde(rename = "Attributes", default)]
    pub attributes: Pairs,
    /// Its resources (GPUs and the like).
    #[serde(rename = "Resources", default)]
    pub resources: BTreeMap<String, ResourceInformation>,
    /// The profile it was asked for with.
    #[serde(rename = "Resource Profile Id", default)]
    pub profile: i32,
}

/// Addresses of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceInformation {
    pub name: String,
    /// One address per piece.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// `SparkListenerExecutorRemoved`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ExecutorRemoved {
    /// When, in milliseconds since 1970.
    #[serde(rename = "Timestamp")]
    pub time: i64,
    /// Executor id.
    #[serde(rename = "Executor ID")]
    pub id: CompactString,
    /// Why.
    #[serde(rename = "Removed Reason", default)]
    pub reason: String,
}

/// Where blocks are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BlockManagerId {
    /// Executor id.
    #[serde(rename = "Executor ID")]
    pub executor: CompactString,
    #[serde(rename = "Host")]
    pub host: CompactString,
    #[serde(rename = "Port")]
    pub port: i32,
}

/// `SparkListenerBlockManagerAdded`. Memory is in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BlockManagerAdded {
    /// Where.
    #[serde(rename = "Block Manager ID")]
    pub id: BlockManagerId,
    /// Storage memory at most.
    #[serde(rename = "Maximum Memory")]
    pub max_memory: i64,
    /// When, in milliseconds since 1970.
    #[serde(rename = "Timestamp", default = "before_time")]
    pub time: i64,
    /// Of it on the heap; logs before 2.1 do not tell.
    #[serde(rename = "Maximum Onheap Memory", default)]
    pub max_on_heap: Option<i64>,
    #[serde(rename = "Maximum Offheap Memory", default)]
    pub max_off_heap: Option<i64>,
}

fn before_time() -> i64 {
    -1
}

/// An executor or a node is avoided, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Exclusion {
    /// Executor id or host.
    #[serde(alias = "executorId", alias = "hostId")]
    pub id: CompactString,
}

/// An executor or a node is avoided by one stage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ExcludedForStage {
    /// Executor id or host.
    #[serde(alias = "executorId", alias = "hostId")]
    pub id: CompactString,
    /// Stage id.
    #[serde(rename = "stageId")]
    pub stage: i32,
    #[serde(rename = "stageAttemptId")]
    pub attempt: i32,
}

/// `SparkListenerExecutorMetricsUpdate`: heartbeats, in the log only where `spark.eventLog.includeTaskMetricsAccumulators` and its like say so.
/// The accumulators of running tasks are not read: the end of each task brings them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ExecutorMetricsUpdate {
    /// Executor id.
    #[serde(rename = "Executor ID")]
    pub executor: CompactString,
    /// Peaks by stage attempt.
    #[serde(rename = "Executor Metrics Updated", default)]
    pub updates: Vec<StagePeak>,
}

/// Peaks of an executor while a stage attempt ran.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StagePeak {
    /// Stage id.
    #[serde(rename = "Stage ID")]
    pub stage: i32,
    #[serde(rename = "Stage Attempt ID")]
    pub attempt: i32,
    /// Peaks.
    #[serde(rename = "Executor Metrics", default)]
    pub metrics: ExecutorMetrics,
}

/// `SparkListenerStageExecutorMetrics`: an executor's peaks over a stage attempt.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StageExecutorMetrics {
    /// Executor id.
    #[serde(rename = "Executor ID")]
    pub executor: CompactString,
    /// Stage id.
    #[serde(rename = "Stage ID")]
    pub stage: i32,
    #[serde(rename = "Stage Attempt ID")]
    pub attempt: i32,
    /// Peaks.
    #[serde(rename = "Executor Metrics", default)]
    pub metrics: ExecutorMetrics,
}

/// `SparkListenerResourceProfileAdded`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceProfile {
    /// Profile id; 0 is the default profile.
    #[serde(rename = "Resource Profile Id")]
    pub id: i32,
    /// What an executor of it has.
    #[serde(rename = "Executor Resource Requests", default)]
    pub executor: BTreeMap<String, ExecutorRequest>,
    /// What a task of it takes.
    #[serde(rename = "Task Resource Requests", default)]
    pub task: BTreeMap<String, TaskRequest>,
}

/// A resource of an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorRequest {
    /// Resource name.
    #[serde(rename(deserialize = "Resource Name", serialize = "resourceName"))]
    pub name: String,
    /// How much: cores, MiB, or pieces.
    #[serde(rename(deserialize = "Amount", serialize = "amount"))]
    pub amount: i64,
    /// The script that finds it.
    #[serde(rename(deserialize = "Discovery Script", serialize = "discoveryScript"), default)]
    pub script: String,
    #[serde(rename(deserialize = "Vendor", serialize = "vendor"), default)]
    pub vendor: String,
}

/// A resource of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRequest {
    /// Resource name.
    #[serde(rename(deserialize = "Resource Name", serialize = "resourceName"))]
    pub name: String,
    /// How much of it.
    #[serde(rename(deserialize = "Amount", serialize = "amount"))]
    pub amount: f64,
}

/// A process beside driver and executors, as YARN's application master is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MiscellaneousProcess {
    /// When, in milliseconds since 1970.
    pub time: i64,
    /// Process id as Spark names it.
    pub id: String,
    pub host_port: String,
    pub cores: i32,
    /// Addresses of its logs.
    pub logs: Pairs,
}

#[derive(Deserialize)]
pub(super) struct ProcessAdded {
    #[serde(alias = "Timestamp")]
    time: i64,
    #[serde(rename = "processId")]
    id: String,
    info: ProcessInfo,
}

#[derive(Deserialize)]
struct ProcessInfo {
    #[serde(rename = "hostPort")]
    host_port: String,
    cores: i32,
    #[serde(rename = "logUrlInfo", default)]
    logs: Pairs,
}

impl ProcessAdded {
    pub(super) fn process(self) -> MiscellaneousProcess {
        MiscellaneousProcess {
            time: self.time,
            id: self.id,
            host_port: self.info.host_port,
            cores: self.info.cores,
            logs: self.info.logs,
        }
    }
}
