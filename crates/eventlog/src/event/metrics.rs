//! Metrics of tasks and executors.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// The metrics of an executor Spark's status API shows, in its order (`ExecutorMetricType`). Memory in bytes, times in milliseconds.
pub const EXECUTOR_METRICS: [&str; 23] = [
    "JVMHeapMemory",
    "JVMOffHeapMemory",
    "OnHeapExecutionMemory",
    "OffHeapExecutionMemory",
    "OnHeapStorageMemory",
    "OffHeapStorageMemory",
    "OnHeapUnifiedMemory",
    "OffHeapUnifiedMemory",
    "DirectPoolMemory",
    "MappedPoolMemory",
    "ProcessTreeJVMVMemory",
    "ProcessTreeJVMRSSMemory",
    "ProcessTreePythonVMemory",
    "ProcessTreePythonRSSMemory",
    "ProcessTreeOtherVMemory",
    "ProcessTreeOtherRSSMemory",
    "MinorGCCount",
    "MinorGCTime",
    "MajorGCCount",
    "MajorGCTime",
    "TotalGCTime",
    "ConcurrentGCCount",
    "ConcurrentGCTime",
];

/// Peaks of an executor, by the place in [`EXECUTOR_METRICS`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecutorMetrics(pub [i64; EXECUTOR_METRICS.len()]);

impl<'de> Deserialize<'de> for ExecutorMetrics {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = ExecutorMetrics;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of whole numbers")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ExecutorMetrics, A::Error> {
                let mut metrics = ExecutorMetrics::default();
                let mut next = 0;
                while let Some(key) = map.next_key::<compact_str::CompactString>()? {
                    // Most have the names in the order we have them.
                    let place = match EXECUTOR_METRICS.get(next) {
                        Some(expected) if *expected == key => Some(next),
                        _ => EXECUTOR_METRICS.iter().position(|name| *name == key),
                    };
                    match place {
                        Some(place) => {
                            metrics.0[place] = map.next_value()?;
                            next = place + 1;
                        }
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(metrics)
            }
        }
        from.deserialize_map(Object)
    }
}

/// Metrics of a task. Times in milliseconds, CPU and shuffle write times in nanoseconds, sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
// each is the metric of its name in Spark's documentation
pub struct TaskMetrics {
    #[serde(rename = "Executor Deserialize Time")]
    pub deserialize_time: i64,
    #[serde(rename = "Executor Deserialize CPU Time")]
    pub deserialize_cpu_time: i64,
    #[serde(rename = "Executor Run Time")]
    pub run_time: i64,
    #[serde(rename = "Executor CPU Time")]
    pub cpu_time: i64,
    #[serde(rename = "Peak Execution Memory")]
    pub peak_execution_memory: i64,
    #[serde(rename = "Result Size")]
    pub result_size: i64,
    #[serde(rename = "JVM GC Time")]
    pub gc_time: i64,
    #[serde(rename = "Result Serialization Time")]
    pub result_serialization_time: i64,
    #[serde(rename = "Memory Bytes Spilled")]
    pub memory_spilled: i64,
    #[serde(rename = "Disk Bytes Spilled")]
    pub disk_spilled: i64,
    #[serde(rename = "Shuffle Read Metrics")]
    pub shuffle_read: ShuffleReadMetrics,
    #[serde(rename = "Shuffle Write Metrics")]
    pub shuffle_write: ShuffleWriteMetrics,
    #[serde(rename = "Input Metrics")]
    pub input: InputMetrics,
    #[serde(rename = "Output Metrics")]
    pub output: OutputMetrics,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ShuffleReadMetrics {
    #[serde(rename = "Remote Blocks Fetched")]
    pub remote_blocks: i64,
    #[serde(rename = "Local Blocks Fetched")]
    pub local_blocks: i64,
    #[serde(rename = "Fetch Wait Time")]
    pub fetch_wait_time: i64,
    #[serde(rename = "Remote Bytes Read")]
    pub remote_bytes: i64,
    #[serde(rename = "Remote Bytes Read To Disk")]
    pub remote_bytes_to_disk: i64,
    #[serde(rename = "Local Bytes Read")]
    pub local_bytes: i64,
    #[serde(rename = "Total Records Read")]
    pub records: i64,
    #[serde(rename = "Remote Requests Duration")]
    pub remote_requests_duration: i64,
    #[serde(rename = "Push Based Shuffle", alias = "Shuffle Push Read Metrics")]
    pub push: PushReadMetrics,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PushReadMetrics {
    #[serde(rename = "Corrupt Merged Block Chunks")]
    pub corrupt_chunks: i64,
    #[serde(rename = "Merged Fetch Fallback Count")]
    pub fallbacks: i64,
    #[serde(rename = "Merged Remote Blocks Fetched")]
    pub remote_blocks: i64,
    #[serde(rename = "Merged Local Blocks Fetched")]
    pub local_blocks: i64,
    #[serde(rename = "Merged Remote Chunks Fetched")]
    pub remote_chunks: i64,
    #[serde(rename = "Merged Local Chunks Fetched")]
    pub local_chunks: i64,
    #[serde(rename = "Merged Remote Bytes Read")]
    pub remote_bytes: i64,
    #[serde(rename = "Merged Local Bytes Read")]
    pub local_bytes: i64,
    #[serde(rename = "Merged Remote Requests Duration")]
    pub remote_requests_duration: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ShuffleWriteMetrics {
    #[serde(rename = "Shuffle Bytes Written")]
    pub bytes: i64,
    #[serde(rename = "Shuffle Write Time")]
    pub time: i64,
    #[serde(rename = "Shuffle Records Written")]
    pub records: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct InputMetrics {
    #[serde(rename = "Bytes Read")]
    pub bytes: i64,
    #[serde(rename = "Records Read")]
    pub records: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OutputMetrics {
    #[serde(rename = "Bytes Written")]
    pub bytes: i64,
    #[serde(rename = "Records Written")]
    pub records: i64,
}
