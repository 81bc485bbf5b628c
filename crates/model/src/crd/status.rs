//! `SparkApplication.status`, v1beta2, and what Stoke adds to it (conditions, observed generation, transitions).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened to an application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SparkApplicationStatus {
    /// Spark's own application id (`spark-<32 hex>`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spark_application_id: Option<String>,
    /// Id of the submission (an attempt); also a label of its pods.
    #[serde(default, rename = "submissionID", skip_serializing_if = "Option::is_none")]
    pub submission_id: Option<String>,
    /// When the last submission was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_submission_attempt_time: Option<Time>,
    /// When the last run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_time: Option<Time>,
    /// The driver.
    #[serde(default)]
    pub driver_info: DriverInfo,
    /// State and error message.
    #[serde(default, rename = "applicationState")]
    pub app_state: ApplicationState,
    /// State of each executor pod by name, bounded in size.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub executor_state: BTreeMap<String, ExecutorState>,
    /// Runs begun.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub execution_attempts: i32,
    /// Submissions begun.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub submission_attempts: i32,
    /// Stoke: the generation of the spec this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Stoke: digest of the spec that was submitted, without `suspend` and `timeToLiveSeconds`; tells an edit of a running application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_digest: Option<String>,
    /// Stoke: when the first run since creation, edit or resumption was begun; what an active deadline counts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// Stoke: where the logs of the last run that ended are kept, when logs are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_logs: Option<String>,
    /// Stoke: conditions, for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Stoke: the last transitions with their times, oldest first, bounded in number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,
}

pub(super) fn is_zero(n: &i32) -> bool {
    *n == 0
}

/// State of an application and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationState {
    /// The state.
    #[serde(default)]
    pub state: ApplicationStateType,
    /// Why it failed, or why it waits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error_message: String,
}

/// States of an application; the wire values are the published ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ApplicationStateType {
    /// Nothing was done yet.
    #[default]
    #[serde(rename = "")]
    New,
    /// The driver pod was created.
    Submitted,
    /// The driver runs.
    Running,
    /// Ended well, and stays so.
    Completed,
    /// Ended badly, and stays so.
    Failed,
    /// The API server refused the submission.
    SubmissionFailed,
    /// Will be submitted again.
    PendingRerun,
    /// The spec changed; what runs is being removed.
    Invalidating,
    /// The driver ended well; what follows is being decided.
    Succeeding,
    /// The driver ended badly; what follows is being decided.
    Failing,
    /// Being stopped because `suspend` was set.
    Suspending,
    /// Stopped because `suspend` was set.
    Suspended,
    /// Being started because `suspend` was unset.
    Resuming,
    /// The driver's state cannot be determined.
    Unknown,
}

impl ApplicationStateType {
    /// True for states that are never left unless the user asks.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// States of an executor; the wire values are the published ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutorState {
    /// The pod waits.
    Pending,
    /// The pod runs.
    Running,
    /// The pod ended well.
    Completed,
    /// The pod ended badly.
    Failed,
    /// The pod's state cannot be determined.
    #[default]
    Unknown,
}

/// The driver's pod, service and ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriverInfo {
    /// Service of the Spark UI.
    #[serde(default, rename = "webUIServiceName", skip_serializing_if = "Option::is_none")]
    pub web_ui_service_name: Option<String>,
    /// Address of the Spark UI inside the cluster.
    #[serde(default, rename = "webUIAddress", skip_serializing_if = "Option::is_none")]
    pub web_ui_address: Option<String>,
    /// Port of the Spark UI.
    #[serde(default, rename = "webUIPort", skip_serializing_if = "Option::is_none")]
    pub web_ui_port: Option<i32>,
    /// Ingress of the Spark UI.
    #[serde(default, rename = "webUIIngressName", skip_serializing_if = "Option::is_none")]
    pub web_ui_ingress_name: Option<String>,
    /// Address of the Spark UI through the ingress.
    #[serde(default, rename = "webUIIngressAddress", skip_serializing_if = "Option::is_none")]
    pub web_ui_ingress_address: Option<String>,
    /// Name of the driver pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
}

/// One change of state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The state entered.
    pub state: ApplicationStateType,
    /// When.
    pub time: Time,
    /// Why, when there is more to say than the state.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
