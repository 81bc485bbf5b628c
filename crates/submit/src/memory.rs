//! How much memory driver and executors ask for: heap, overhead, off-heap, Python.

use crate::conf::{Conf, invalid};
use crate::error::PlanError;

/// Least overhead unless configured: 384 MiB.
const MIN_OVERHEAD_MIB: i64 = 384;
/// Share of the heap added as overhead for JVM applications.
const JVM_FACTOR: f64 = 0.1;
/// The same for Python and R.
const NON_JVM_FACTOR: f64 = 0.4;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct DriverMemory {
    /// Heap and overhead, MiB: request and limit of the container.
    pub(crate) total_mib: i64,
    /// The factor the executors will use: `spark.kubernetes.memoryOverheadFactor` in `spark.properties`.
    pub(crate) factor: f64,
}

/// The driver's memory. `jvm`: a Java or Scala application.
pub(crate) fn driver(conf: &Conf, jvm: bool) -> Result<DriverMemory, PlanError> {
    let heap = conf.mib("spark.driver.memory")?.unwrap_or(1024);
    let factor = overhead_factor(conf)?.unwrap_or(if jvm { JVM_FACTOR } else { NON_JVM_FACTOR });
    let own_factor = non_negative(conf, "spark.driver.memoryOverheadFactor")?.unwrap_or(factor);
    let overhead = overhead(conf, "driver", heap, own_factor)?;
    Ok(DriverMemory {
        total_mib: heap + overhead,
        factor,
    })
}

/// Memory of an executor of the default resource profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExecutorMemory {
    /// Heap, MiB: `SPARK_EXECUTOR_MEMORY`.
    pub(crate) heap_mib: i64,
    /// Heap, overhead, off-heap memory and Python's share, MiB: request and limit of the container.
    pub(crate) total_mib: i64,
}

/// An executor's memory, from the driver's final properties.
pub(crate) fn executor(conf: &Conf) -> Result<ExecutorMemory, PlanError> {
    let heap = conf.mib("spark.executor.memory")?.unwrap_or(1024);
    let factor = match non_negative(conf, "spark.executor.memoryOverheadFactor")? {
        Some(factor) => factor,
        None => overhead_factor(conf)?.unwrap_or(JVM_FACTOR),
    };
    let overhead = overhead(conf, "executor", heap, factor)?;
    let off_heap = if conf.bool("spark.memory.offHeap.enabled", false)? {
        off_heap(conf)?
    } else {
        0
    };
    let python = if conf.get("spark.kubernetes.resource.type").as_deref() == Some("python") {
        conf.mib("spark.executor.pyspark.memory")?.unwrap_or(0)
    } else {
        0
    };
    Ok(ExecutorMemory {
        heap_mib: heap,
        total_mib: heap + overhead + off_heap + python,
    })
}

/// Off-heap memory in MiB, rounded down; a plain number is bytes.
fn off_heap(conf: &Conf) -> Result<i64, PlanError> {
    use stoke_model::memory::{ByteUnit, Memory};
    let key = "spark.memory.offHeap.size";
    let value = conf.get(key).unwrap_or_else(|| "0".to_owned());
    let memory = Memory::parse(&value, ByteUnit::Byte).map_err(|error| invalid(key, &value, &error.to_string()))?;
    if memory.mib() == 0 {
        return Err(invalid(
            key,
            &value,
            "it must be more than 0 because `spark.memory.offHeap.enabled` is true",
        ));
    }
    Ok(i64::try_from(memory.mib()).unwrap_or(i64::MAX))
}

fn overhead(conf: &Conf, role: &str, heap: i64, factor: f64) -> Result<i64, PlanError> {
    if let Some(overhead) = conf.mib(&format!("spark.{role}.memoryOverhead"))? {
        return Ok(overhead);
    }
    let least = if conf.version.since(4, 0) {
        conf.mib(&format!("spark.{role}.minMemoryOverhead"))?
            .unwrap_or(MIN_OVERHEAD_MIB)
    } else {
        MIN_OVERHEAD_MIB
    };
    // Spark cuts the product to a 32-bit number.
    Ok(i64::from((factor * heap as f64) as i32).max(least))
}

fn overhead_factor(conf: &Conf) -> Result<Option<f64>, PlanError> {
    non_negative(conf, "spark.kubernetes.memoryOverheadFactor")
}

fn non_negative(conf: &Conf, key: &str) -> Result<Option<f64>, PlanError> {
    match conf.double(key)? {
        Some(factor) if factor < 0.0 => Err(invalid(
            key,
            &factor.to_string(),
            "a share of the heap cannot be negative",
        )),
        factor => Ok(factor),
    }
}

/// `Double.toString`: always with a fraction digit, scientific below 0.001 and from ten million on.
pub(crate) fn java_double(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let point = if mantissa.contains('.') { "" } else { ".0" };
        return format!("{mantissa}{point}E{exponent}");
    }
    let text = number.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn conf(version: &str, pairs: &[(&str, &str)]) -> Conf {
        Conf {
            values: pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            version: version.parse().unwrap(),
        }
    }

    #[test]
    fn driver_memory_is_heap_and_overhead() {
        type Case<'a> = (bool, &'a [(&'a str, &'a str)], i64);
        let table: &[Case<'_>] = &[
            (true, &[], 1408),
            (false, &[], 1433),
            (true, &[("spark.driver.memory", "8g")], 8192 + 819),
            (false, &[("spark.driver.memory", "8g")], 8192 + 3276),
            (true, &[("spark.driver.memory", "100m")], 484),
            (true, &[("spark.driver.memoryOverhead", "700m")], 1724),
            (true, &[("spark.kubernetes.memoryOverheadFactor", "0.5")], 1536),
            (
                false,
                &[
                    ("spark.driver.memoryOverheadFactor", "0.8"),
                    ("spark.kubernetes.memoryOverheadFactor", "0.5"),
                ],
                1843,
            ),
            (true, &[("spark.driver.minMemoryOverhead", "600m")], 1624),
        ];
        for (jvm, pairs, total) in table {
            assert_eq!(
                driver(&conf("4.1.4", pairs), *jvm).unwrap().total_mib,
                *total,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn the_least_overhead_can_be_set_from_4_0_on() {
        let pairs = [("spark.driver.minMemoryOverhead", "600m")];
        assert_eq!(driver(&conf("3.5.9", &pairs), true).unwrap().total_mib, 1408);
        assert_eq!(driver(&conf("4.0.0", &pairs), true).unwrap().total_mib, 1624);
    }

    #[test]
    fn executors_add_off_heap_memory_and_pythons_share() {
        let table: &[(&[(&str, &str)], i64)] = &[
            (&[], 1408),
            (
                &[
                    ("spark.memory.offHeap.enabled", "true"),
                    ("spark.memory.offHeap.size", "2g"),
                ],
                3456,
            ),
            (&[("spark.memory.offHeap.size", "2g")], 1408),
            (&[("spark.executor.pyspark.memory", "512m")], 1408),
            (
                &[
                    ("spark.executor.pyspark.memory", "512m"),
                    ("spark.kubernetes.resource.type", "python"),
                ],
                1920,
            ),
        ];
        for (pairs, total) in table {
            assert_eq!(executor(&conf("4.3.0", pairs)).unwrap().total_mib, *total, "{pairs:?}");
        }
    }

    #[test]
    fn numbers_are_written_as_java_does() {
        let table = [
            (0.4, "0.4"),
            (1.0, "1.0"),
            (0.25, "0.25"),
            (0.0001, "1.0E-4"),
            (0.0, "0.0"),
            (1.25e10, "1.25E10"),
        ];
        for (number, text) in table {
            assert_eq!(java_double(number), text);
        }
    }
}
