//! A run as Kubernetes tells it: the application, its pods, their events, and what rules over them.
//!
//! Made of objects as the API server gives them (JSON), so that a live cluster and a bundle are read alike. Times are milliseconds since
//! 1970.

use std::collections::BTreeMap;

use serde_json::Value;

/// What was seen in the cluster.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    /// The `SparkApplication` as it was read, whole; null when there is none (a driver started by `spark-submit`).
    pub application: Value,
    /// Its pods: the driver's, then executors' by id.
    pub pods: Vec<Pod>,
    /// Events about the application, its pods and claims, oldest first.
    pub events: Vec<Event>,
    /// Quotas of the namespace, whole.
    pub quotas: Vec<Value>,
    /// Network policies of the namespace, whole.
    pub network_policies: Vec<Value>,
    /// Claims of the namespace that the pods name, whole.
    pub claims: Vec<Value>,
    /// Nodes, as far as they may be seen.
    pub nodes: Vec<Node>,
}

/// What a pod is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Driver,
    /// An executor, by Spark's id.
    Executor(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// What it is for.
    pub role: Role,
    /// `status.phase`.
    pub phase: String,
    /// `status.reason`, for example `Evicted`.
    pub reason: String,
    /// `status.message`.
    pub message: String,
    /// `spec.nodeName`.
    pub node: Option<String>,
    /// When it was made.
    pub created: Option<i64>,
    /// When it was asked to go.
    pub deleted: Option<i64>,
    /// Conditions: type, status, reason, message.
    pub conditions: Vec<Condition>,
    /// Its containers and init containers, with Spark's own first.
    pub containers: Vec<Container>,
    /// `spec`, whole.
    pub spec: Value,
}

/// A condition of a pod or a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
// as Kubernetes has them
pub struct Condition {
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}

/// A container and what became of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Container {
    pub name: String,
    pub image: String,
    /// Whether it runs before the others.
    pub init: bool,
    /// How it is now.
    pub state: State,
    /// How it was before its last restart.
    pub last: State,
    pub restarts: u32,
    /// `resources.requests` and `limits`, as written.
    pub requests: BTreeMap<String, String>,
    /// `resources.limits`, as written.
    pub limits: BTreeMap<String, String>,
}

/// The state of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing is told of it.
    #[default]
    Unknown,
    /// It waits.
    Waiting {
        /// `ImagePullBackOff`, `CreateContainerConfigError`, …
        reason: String,
        /// In the kubelet's words.
        message: String,
    },
    /// It runs.
    Running {
        /// Since when.
        since: Option<i64>,
    },
    /// It ended.
    Terminated {
        /// `OOMKilled`, `Error`, `Completed`, …
        reason: String,
        /// In the kubelet's words.
        message: String,
        exit_code: i32,
        /// When it started.
        started: Option<i64>,
        /// When it ended.
        finished: Option<i64>,
    },
}

/// An event of Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Kind of the object it is about.
    pub kind: String,
    /// Name of the object it is about.
    pub name: String,
    /// `Normal` or `Warning`.
    pub level: String,
    /// `FailedScheduling`, `FailedMount`, …
    pub reason: String,
    /// In words.
    pub message: String,
    /// How often it was seen.
    pub count: u32,
    /// When it was seen first.
    pub first: Option<i64>,
    /// When it was seen last.
    pub last: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    pub name: String,
    /// `status.allocatable`, as written.
    pub allocatable: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    /// Its taints, `key=value:Effect`.
    pub taints: Vec<String>,
    /// Whether it takes no new pods.
    pub unschedulable: bool,
    pub conditions: Vec<Condition>,
}

impl Cluster {
    /// The driver's pod.
    pub fn driver(&self) -> Option<&Pod> {
        self.pods.iter().find(|pod| pod.role == Role::Driver)
    }

    /// The executors' pods.
    pub fn executors(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|pod| pod.role != Role::Driver)
    }

    /// A key of the manifest's `sparkConf`.
    pub fn manifest_property(&self, key: &str) -> Option<&str> {
        self.application["spec"]["sparkConf"][key].as_str()
    }

    /// Events about an object of this kind and name.
    pub fn events_of<'a>(&'a self, kind: &'a str, name: &'a str) -> impl Iterator<Item = &'a Event> {
        self.events
            .iter()
            .filter(move |event| event.kind == kind && event.name == name)
    }
}
