//! `SparkConnect`, v1alpha1.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Dependencies, DynamicAllocation, SparkPodSpec};

/// A Spark Connect server.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sparkoperator.k8s.io",
    version = "v1alpha1",
    kind = "SparkConnect",
    plural = "sparkconnects",
    singular = "sparkconnect",
    shortname = "sparkconn",
    namespaced,
    schema = "disabled",
    status = "SparkConnectStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.state"}"#,
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".status.server.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct SparkConnectSpec {
    /// Spark version of the server.
    pub spark_version: String,
    /// Image of server and executors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Hadoop configuration; each key becomes `spark.hadoop.<key>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hadoop_conf: Option<BTreeMap<String, String>>,
    /// Spark configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spark_conf: Option<BTreeMap<String, String>>,
    /// The server pod.
    pub server: ConnectServerSpec,
    /// The executor pods.
    pub executor: ConnectExecutorSpec,
    /// Files, jars and packages the server and its executors need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deps: Option<Dependencies>,
    /// Dynamic allocation of executors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_allocation: Option<DynamicAllocation>,
}

/// The server pod and its service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectServerSpec {
    /// The pod.
    #[serde(flatten)]
    pub pod: SparkPodSpec,
    /// The service; fields given here win over ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
}

/// The executor pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectExecutorSpec {
    /// The pods.
    #[serde(flatten)]
    pub pod: SparkPodSpec,
    /// Number of executors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<i32>,
}

/// What happened to a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SparkConnectStatus {
    /// Conditions; `ServerPodReady`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// State of the server.
    #[serde(default)]
    pub state: ConnectState,
    /// The server pod and service.
    #[serde(default)]
    pub server: ConnectServerStatus,
    /// Executors by state.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub executors: BTreeMap<String, i32>,
    /// Stoke: servers begun for this object.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// When the server was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When this status was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Time>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// The server pod and service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectServerStatus {
    /// Name of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// Address of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_ip: Option<String>,
    /// Name of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// Stoke: what clients are given, `sc://<name>-server.<namespace>.svc:15002`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// States of a server; the wire values are the published ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConnectState {
    /// Nothing was done yet.
    #[default]
    #[serde(rename = "")]
    New,
    /// The pod was created.
    Provisioning,
    /// The server answers.
    Ready,
    /// The server does not answer.
    NotReady,
    /// The server ended.
    Failed,
}
