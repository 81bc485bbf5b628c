//! The memory a role asks for, computed as Spark reckons it, and what to ask for instead.

use serde_json::{Map, Value, json};
use stoke_model::memory::{ByteUnit, Memory};

use super::context::Context;
use stoke_model::units::people::up_to_multiple;

/// Least overhead unless configured, MiB (`spark.executor.minMemoryOverhead`).
const MIN_OVERHEAD_MIB: u64 = 384;
/// Share of the heap added as overhead for JVM applications (`spark.executor.memoryOverheadFactor`).
const JVM_FACTOR: f64 = 0.1;
/// The same for Python and R on Kubernetes (`spark.kubernetes.memoryOverheadFactor`).
const NON_JVM_FACTOR: f64 = 0.4;
/// Proposed amounts are whole multiples of this, MiB.
const STEP_MIB: u64 = 256;
/// Room above what was measured.
const ROOM: f64 = 1.25;

/// Memory of the driver or of an executor, in MiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct MemoryRequest {
    pub role: &'static str,
    pub heap: u64,
    pub overhead: u64,
}

impl MemoryRequest {
    /// Of `driver` or `executor`.
    pub fn of(context: &Context<'_>, role: &'static str) -> MemoryRequest {
        let property = |name: &str| context.facts.property(&format!("spark.{role}.{name}"));
        let field = |name: &str| context.spec(&format!("/{role}/{name}")).and_then(Value::as_str);
        let memory = |name: &str| {
            let text = property(name).or_else(|| field(name))?;
            Some(Memory::parse(text, ByteUnit::Mib).ok()?.mib())
        };
        let heap = memory("memory").unwrap_or(1024);
        let factor = property("memoryOverheadFactor")
            .or_else(|| context.facts.property("spark.kubernetes.memoryOverheadFactor"))
            .and_then(|text| text.parse().ok())
            .or_else(|| {
                context
                    .spec("/memoryOverheadFactor")
                    .and_then(|value| value.as_str()?.parse().ok())
            })
            .unwrap_or(match context.is_python() {
                true => NON_JVM_FACTOR,
                false => JVM_FACTOR,
            });
        let overhead =
            memory("memoryOverhead").unwrap_or_else(|| ((heap as f64 * factor) as u64).max(MIN_OVERHEAD_MIB));
        MemoryRequest { role, heap, overhead }
    }

    /// A larger overhead: for the most that was measured outside the heap with [`ROOM`], and at least twice of what it is.
    pub fn more_overhead(&self, measured_mib: Option<u64>) -> u64 {
        let measured = measured_mib.map_or(0, |mib| (mib as f64 * ROOM) as u64);
        up_to_multiple(
            self.overhead.saturating_mul(2).max(measured).max(MIN_OVERHEAD_MIB),
            STEP_MIB,
        )
    }

    /// A heap half as large again.
    pub fn more_heap(&self) -> u64 {
        up_to_multiple(self.heap.saturating_add(self.heap.div_ceil(2)), STEP_MIB)
    }

    /// A patch of one field of the role.
    pub fn patch(&self, field: &str, mib: u64) -> Value {
        let mut role = Map::new();
        role.insert(field.to_owned(), json!(format!("{mib}m")));
        let mut spec = Map::new();
        spec.insert(self.role.to_owned(), Value::Object(role));
        json!({ "spec": spec })
    }

    pub fn in_words(&self) -> String {
        format!(
            "{} MiB heap and {} MiB overhead, {} MiB in all",
            self.heap,
            self.overhead,
            self.heap.saturating_add(self.overhead)
        )
    }
}

/// A patch of keys of `sparkConf`.
pub(super) fn conf_patch<const N: usize>(pairs: [(&str, String); N]) -> Value {
    let conf: Map<String, Value> = pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    json!({"spec": {"sparkConf": conf}})
}

/// A patch that gives executors' local data (shuffle files, spills) a claim of their own: 100 GiB of the default storage class, made on demand.
pub(super) fn claim_for_local_data() -> Value {
    const VOLUME: &str = "spark.kubernetes.executor.volumes.persistentVolumeClaim.spark-local-dir-1";
    let conf: Map<String, Value> = [
        ("options.claimName", "OnDemand"),
        ("options.sizeLimit", "100Gi"),
        ("mount.path", "/data/spark-local-dir-1"),
        ("mount.readOnly", "false"),
    ]
    .into_iter()
    .map(|(key, value)| (format!("{VOLUME}.{key}"), json!(value)))
    .collect();
    json!({"spec": {"sparkConf": conf}})
}

/// The peak of a metric over the executors, MiB; none when nothing was measured.
pub(super) fn peak_mib(context: &Context<'_>, metric: &str) -> Option<u64> {
    let executors = context.run()?.executors.iter();
    let peak = executors.map(|executor| executor.peaks.highest(metric)).max()? >> 20;
    (peak > 0).then_some(peak)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Cluster, Facts};

    fn request(spec: Value, role: &'static str) -> MemoryRequest {
        let cluster = Cluster {
            application: json!({"spec": spec}),
            ..Cluster::default()
        };
        let facts = Facts {
            cluster: Some(cluster),
            ..Facts::default()
        };
        MemoryRequest::of(&Context::new(&facts), role)
    }

    #[test]
    fn memory_is_reckoned_as_spark_does() {
        for (spec, heap, overhead) in [
            (json!({}), 1024, 384),
            (json!({"executor": {"memory": "8g"}}), 8192, 819),
            (json!({"type": "Python", "executor": {"memory": "8g"}}), 8192, 3276),
            (
                json!({"executor": {"memory": "8g", "memoryOverhead": "2g"}}),
                8192,
                2048,
            ),
            (
                json!({"executor": {"memory": "8g"}, "memoryOverheadFactor": "0.2"}),
                8192,
                1638,
            ),
            (json!({"sparkConf": {"spark.executor.memory": "2g"}}), 2048, 384),
        ] {
            let asked = request(spec.clone(), "executor");
            assert_eq!((asked.heap, asked.overhead), (heap, overhead), "{spec}");
        }
    }

    #[test]
    fn proposals_follow_from_what_is_asked_and_measured() {
        let asked = request(json!({"executor": {"memory": "2g"}}), "executor");
        assert_eq!(asked.more_overhead(None), 768);
        assert_eq!(asked.more_overhead(Some(1000)), 1280);
        assert_eq!(asked.more_heap(), 3072);
        assert_eq!(
            asked.patch("memory", 3072),
            json!({"spec": {"executor": {"memory": "3072m"}}})
        );
    }
}
