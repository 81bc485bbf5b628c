//! SQL executions: their plans and what the driver measured.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::application::Pairs;

/// A node of a physical plan and all below it (`SparkPlanInfo`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlanInfo {
    /// Operator.
    #[serde(rename = "nodeName")]
    pub name: CompactString,
    /// The operator with its arguments.
    #[serde(rename = "simpleString", default)]
    pub text: String,
    /// Inputs.
    #[serde(default)]
    pub children: Vec<PlanInfo>,
    /// What it measures.
    #[serde(default)]
    pub metrics: Vec<PlanMetric>,
}

/// A metric of a plan's node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlanMetric {
    pub name: CompactString,
    /// The accumulator that carries it.
    #[serde(rename = "accumulatorId")]
    pub accumulator: i64,
    /// How values are put together: `sum`, `size`, `timing`, `nsTiming`, `average` (and others of user code).
    #[serde(rename = "metricType")]
    pub kind: CompactString,
}

/// `SparkListenerSQLExecutionStart`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SqlExecutionStart {
    /// Execution id.
    #[serde(rename = "executionId")]
    pub id: i64,
    /// The execution this one is part of; itself for one that stands alone.
    #[serde(rename = "rootExecutionId", default)]
    pub root: Option<i64>,
    /// What Spark shows as its title.
    #[serde(default)]
    pub description: String,
    /// The call's stack.
    #[serde(default)]
    pub details: String,
    /// The plan as `EXPLAIN` prints it.
    #[serde(rename = "physicalPlanDescription", default)]
    pub plan_text: String,
    #[serde(rename = "sparkPlanInfo")]
    pub plan: PlanInfo,
    /// When, in milliseconds since 1970.
    #[serde(default)]
    pub time: i64,
    /// Configurations that differ from the session's start.
    #[serde(rename = "modifiedConfigs", default)]
    pub modified_configs: Pairs,
    /// Id of the query (4.x).
    #[serde(rename = "queryId", default)]
    pub query_id: Option<String>,
}

/// `SparkListenerSQLExecutionEnd`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SqlExecutionEnd {
    /// Execution id.
    #[serde(rename = "executionId")]
    pub id: i64,
    /// When, in milliseconds since 1970.
    pub time: i64,
    /// What went wrong; empty when nothing did; absent in old logs.
    #[serde(rename = "errorMessage", default)]
    pub error: Option<String>,
}

/// `SparkListenerSQLAdaptiveExecutionUpdate`: the plan changed while it ran.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AdaptivePlan {
    /// Execution id.
    #[serde(rename = "executionId")]
    pub id: i64,
    /// The plan as `EXPLAIN` prints it.
    #[serde(rename = "physicalPlanDescription", default)]
    pub plan_text: String,
    #[serde(rename = "sparkPlanInfo")]
    pub plan: PlanInfo,
}

/// `SparkListenerSQLAdaptiveSQLMetricUpdates`: further metrics of a plan that changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AdaptiveMetrics {
    /// Execution id.
    #[serde(rename = "executionId")]
    pub id: i64,
    /// Its further metrics.
    #[serde(rename = "sqlPlanMetrics", default)]
    pub metrics: Vec<PlanMetric>,
}

/// `SparkListenerDriverAccumUpdates`: what the driver measured itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DriverAccumUpdates {
    /// Execution id.
    #[serde(rename = "executionId")]
    pub id: i64,
    /// Accumulator id and value.
    #[serde(rename = "accumUpdates", default)]
    pub updates: Vec<(i64, i64)>,
}
