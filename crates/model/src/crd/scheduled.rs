//! `ScheduledSparkApplication`, v1beta2.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SparkApplicationSpec;
use super::status::is_zero;

/// An application run by the clock.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sparkoperator.k8s.io",
    version = "v1beta2",
    kind = "ScheduledSparkApplication",
    plural = "scheduledsparkapplications",
    singular = "scheduledsparkapplication",
    shortname = "scheduledsparkapp",
    namespaced,
    schema = "disabled",
    status = "ScheduledSparkApplicationStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Schedule","type":"string","jsonPath":".spec.schedule"}"#,
    printcolumn = r#"{"name":"TimeZone","type":"string","jsonPath":".spec.timeZone"}"#,
    printcolumn = r#"{"name":"Suspend","type":"string","jsonPath":".spec.suspend"}"#,
    printcolumn = r#"{"name":"Last Run","type":"date","jsonPath":".status.lastRun"}"#,
    printcolumn = r#"{"name":"Last Run Name","type":"string","jsonPath":".status.lastRunName"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledSparkApplicationSpec {
    /// Cron expression of five fields, a `@daily`-like word or `@every <duration>`; a `CRON_TZ=` or `TZ=` prefix is honoured.
    pub schedule: String,
    /// IANA time zone of the schedule; `Local` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The application to run.
    pub template: SparkApplicationSpec,
    /// When true no run is begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What to do when the last run has not ended: Allow (default), Forbid or Replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_policy: Option<ConcurrencyPolicy>,
    /// How many successful runs are kept, 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successful_run_history_limit: Option<i32>,
    /// How many failed runs are kept, 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_run_history_limit: Option<i32>,
}

/// What to do when a run is due and the last one has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// Run both.
    #[default]
    Allow,
    /// Skip the new one.
    Forbid,
    /// Stop the old one.
    Replace,
}

/// What happened to a schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledSparkApplicationStatus {
    /// Scheduled time of the last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<Time>,
    /// Scheduled time of the next run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run: Option<Time>,
    /// Name of the last run's application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_name: Option<String>,
    /// Names of kept successful runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past_successful_run_names: Vec<String>,
    /// Names of kept failed runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past_failed_run_names: Vec<String>,
    /// State of the schedule.
    #[serde(default)]
    pub schedule_state: ScheduleState,
    /// Why the schedule is not valid.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Stoke: the time zone the schedule is read in, an IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Stoke: runs that were not begun because no one was there in time, counted since the schedule was created.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed_runs: i32,
    /// Stoke: runs that were not begun because `concurrencyPolicy: Forbid` met a run that had not ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped_runs: i32,
    /// Stoke: the value of the annotation `stoke.dev/trigger` that was answered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_trigger: Option<String>,
}

/// States of a schedule; the wire values are the published ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScheduleState {
    /// Nothing was done yet.
    #[default]
    #[serde(rename = "")]
    New,
    /// Being validated.
    Validating,
    /// Valid; runs are begun by the clock.
    Scheduled,
    /// Not valid, see `reason`.
    FailedValidation,
}
