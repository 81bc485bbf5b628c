//! How large a run should be: executors, cores, memory and partitions, from the size of its data or from what an earlier run measured.
//!
//! A [`Sizing`] says every number with the reason for it and the patch of the manifest that sets it. What would not run, or could only be
//! guessed, is an error that says what to give instead.

mod data;
mod node;
mod observed;

use serde::Serialize;
use serde_json::{Value, json};

pub use data::{DataSize, for_data};
pub use node::{DAEMONSET_CPU, DAEMONSET_MEMORY, NodeShape, Packing, Provider, Reserve, pack};
pub use observed::for_run;

use stoke_model::units::people::{bytes, count, counted, memory, short, up_to_multiple};

/// Cores an executor has at most: with more, tasks of one JVM get in each other's way at the heap and at the storage client (the rule comes
/// from measurements of HDFS clients, five streams each; it is kept as an upper bound).
pub const MOST_CORES: u32 = 5;
/// `spark.executor.memoryOverhead` at the least (`spark.executor.minMemoryOverhead` from 4.0 on).
pub const LEAST_OVERHEAD: u64 = 384 << 20;
/// `spark.kubernetes.memoryOverheadFactor` of programs in the JVM.
pub const JVM_FACTOR: f64 = 0.1;
/// The same of programs outside of it: Python and R.
pub const OTHER_FACTOR: f64 = 0.4;
/// Bytes of a partition: `spark.sql.files.maxPartitionBytes` by default.
pub const PARTITION: u64 = 128 << 20;
/// More executors than one driver is asked to lead.
pub const MOST_EXECUTORS: u64 = 10_000;

/// What is known besides the data.
#[derive(Debug, Clone)]
pub struct Options {
    /// The nodes; none when they do not matter, or are not known.
    pub node: Option<NodeShape>,
    /// Cores of an executor, when someone decided.
    pub cores: Option<u32>,
    /// Whether the program runs outside of the JVM (`type: Python` or `R`).
    pub python: bool,
    /// Spark, `4.1.4`.
    pub spark_version: String,
    /// Minutes the run may take.
    pub within: u32,
    /// Bytes of input a core works off in a second.
    pub rate: u64,
    /// Millicores that pods on every node take.
    pub daemonset_cpu: u64,
    /// Bytes that they take.
    pub daemonset_memory: u64,
}

/// Minutes a run may take, when no one says. Ours.
pub const WITHIN: u32 = 30;
/// Bytes a core works off in a second, when no one measured. Ours: a scan with one shuffle over compressed columns; a run of the
/// application itself tells better ([`for_run`]).
pub const RATE: u64 = 20 << 20;

impl Default for Options {
    fn default() -> Options {
        Options {
            node: None,
            cores: None,
            python: false,
            spark_version: String::new(),
            within: WITHIN,
            rate: RATE,
            daemonset_cpu: DAEMONSET_CPU,
            daemonset_memory: DAEMONSET_MEMORY,
        }
    }
}

/// A size for a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizing {
    pub executors: u32,
    /// Tasks of one core each that an executor runs beside each other.
    pub cores: u32,
    /// Millicores the pod asks for: less than its cores where nodes keep some back.
    pub core_request: u64,
    /// Bytes of an executor's heap.
    pub heap: u64,
    /// Bytes of its container beside the heap.
    pub overhead: u64,
    /// Partitions of a shuffle.
    pub partitions: u64,
    pub driver_cores: u32,
    /// Bytes of the driver's heap.
    pub driver_heap: u64,
    /// How executors fit into nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packing: Option<Packing>,
    /// Why each number is what it is.
    pub reasons: Vec<String>,
    /// What was not known, and how to come to know it.
    pub missing: Vec<String>,
    /// A JSON merge patch of the `SparkApplication`.
    pub patch: Value,
}

/// Why there is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// No size.
    #[error("`{0}` is not a size of data; write a number and a unit: 500GB, 1.5TiB")]
    Data(String),
    /// Nothing.
    #[error("0 bytes need no executors; give the size of the data the run reads, for example 100GB")]
    NoData,
    /// More than any store holds for one run.
    #[error("{0} is more than one run can read; give at most 100 PB, and check the unit")]
    TooMuchData(String),
    /// No shape.
    #[error(
        "`{0}` is not a shape of a node; write cores and memory as 16x64Gi (with @eks, @gke or @aks), or a machine's name as n2-standard-16, m6i.4xlarge, Standard_D16s_v5"
    )]
    Shape(String),
    /// A node with nothing.
    #[error("a node `{0}` has no cores or no memory; write both, for example 16x64Gi")]
    EmptyNode(String),
    /// A node that is too small.
    #[error(
        "no executor of {wanted_cores} and {wanted_memory} fits a node {node}: {cores} and {memory} are left when system and daemonsets have theirs; take a larger node, or fewer cores for each executor"
    )]
    NodeTooSmall {
        node: String,
        cores: String,
        memory: String,
        wanted_cores: String,
        wanted_memory: String,
    },
    /// Cores out of range.
    #[error("{} for an executor; give 1 to 5: with more, its tasks get in each other's way", counted(*.0, "core"))]
    Cores(u32),
    #[error("a run within 0 minutes is not possible; give at least 1")]
    NoTime,
    /// No speed.
    #[error("a core that works off 0 bytes in a second never ends; give a rate above 0")]
    NoRate,
    /// Too many executors.
    #[error(
        "{executors} executors would be needed, more than the {MOST_EXECUTORS} one driver leads; give it more time than {within} minutes, or cut the data"
    )]
    TooManyExecutors {
        /// So many.
        executors: u64,
        /// In this time.
        within: u32,
    },
    /// A run without tasks.
    #[error(
        "the run has no task that ended well: there is nothing to size it by; use `stoke size --data-size` with the size of its data"
    )]
    NoTasks,
}

impl SizeError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            SizeError::Data(_) => "stoke::insight::size::data",
            SizeError::NoData => "stoke::insight::size::no_data",
            SizeError::TooMuchData(_) => "stoke::insight::size::too_much_data",
            SizeError::Shape(_) => "stoke::insight::size::shape",
            SizeError::EmptyNode(_) => "stoke::insight::size::empty_node",
            SizeError::NodeTooSmall { .. } => "stoke::insight::size::node_too_small",
            SizeError::Cores(_) => "stoke::insight::size::cores",
            SizeError::NoTime => "stoke::insight::size::no_time",
            SizeError::NoRate => "stoke::insight::size::no_rate",
            SizeError::TooManyExecutors { .. } => "stoke::insight::size::too_many_executors",
            SizeError::NoTasks => "stoke::insight::size::no_tasks",
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), SizeError> {
        match () {
            () if self.cores.is_some_and(|cores| !(1..=MOST_CORES).contains(&cores)) => {
                Err(SizeError::Cores(self.cores.unwrap_or(0)))
            }
            () if self.within == 0 => Err(SizeError::NoTime),
            () if self.rate == 0 => Err(SizeError::NoRate),
            () => Ok(()),
        }
    }

    fn factor(&self) -> f64 {
        if self.python { OTHER_FACTOR } else { JVM_FACTOR }
    }

    /// What a container has beside a heap.
    fn overhead(&self, heap: u64) -> u64 {
        up_to_multiple(((heap as f64 * self.factor()) as u64).max(LEAST_OVERHEAD), 1 << 20)
    }

    /// The largest heap of a container, in whole quarters of a GiB.
    fn heap_in(&self, container: u64) -> u64 {
        let by_factor = (container as f64 / (1.0 + self.factor())) as u64;
        let heap = by_factor.min(container.saturating_sub(LEAST_OVERHEAD));
        heap / QUARTER * QUARTER
    }
}

const QUARTER: u64 = 256 << 20;

impl Sizing {
    /// Bytes of an executor's container.
    pub fn container(&self) -> u64 {
        self.heap.saturating_add(self.overhead)
    }

    /// The size as lines for people.
    pub fn lines(&self) -> Vec<String> {
        let request = match self.core_request == u64::from(self.cores) * 1000 {
            true => String::new(),
            false => format!(" (requests {} of a node's)", short(self.core_request as f64 / 1000.0)),
        };
        let mut lines = vec![
            format!("executors          {}", count(self.executors.into())),
            format!("cores              {} each{request}", self.cores),
            format!(
                "memory             {} heap + {} overhead = {} each",
                bytes(self.heap),
                bytes(self.overhead),
                bytes(self.container())
            ),
            format!("shuffle partitions {}", count(self.partitions)),
            format!(
                "driver             {}, {} heap",
                counted(self.driver_cores, "core"),
                bytes(self.driver_heap)
            ),
            format!(
                "in all             {}, {}",
                counted(u64::from(self.executors) * u64::from(self.cores), "core"),
                bytes(u64::from(self.executors).saturating_mul(self.container()))
            ),
        ];
        lines.extend(self.packing.iter().flat_map(Packing::lines));
        lines.push("why".to_owned());
        lines.extend(self.reasons.iter().map(|reason| format!("  {reason}")));
        if !self.missing.is_empty() {
            lines.push("not known".to_owned());
            lines.extend(self.missing.iter().map(|missing| format!("  {missing}")));
        }
        lines
    }

    /// The patch that sets it.
    fn with_patch(mut self, version: &str) -> Sizing {
        let mut executor = json!({
            "instances": self.executors,
            "cores": self.cores,
            "memory": memory(self.heap),
            "memoryOverhead": memory(self.overhead),
        });
        if self.core_request != u64::from(self.cores) * 1000 {
            executor["coreRequest"] = Value::from(format!("{}m", self.core_request));
        }
        let mut conf = json!({"spark.sql.shuffle.partitions": self.partitions.to_string()});
        // Adaptive execution came with 3.0 and is on by itself from 3.2 on.
        if version.starts_with("3.0") || version.starts_with("3.1") {
            conf["spark.sql.adaptive.enabled"] = Value::from("true");
        }
        self.patch = json!({"spec": {
            "driver": {"cores": self.driver_cores, "memory": memory(self.driver_heap)},
            "executor": executor,
            "sparkConf": conf,
        }});
        self
    }
}

/// The driver by what it has to keep track of: about 1 KiB of heap for each map output of each reduce partition's status, and some for
/// each executor. Ours.
fn driver(partitions: u64, executors: u32) -> (u32, u64) {
    match (partitions, executors) {
        (0..=5_000, 0..=50) => (1, 2 << 30),
        (0..=20_000, 0..=300) => (2, 4 << 30),
        (0..=100_000, 0..=1_500) => (4, 8 << 30),
        _ => (8, 16 << 30),
    }
}
