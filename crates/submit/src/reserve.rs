//! What driver and executors reserve, for those who count rather than submit.

use std::collections::BTreeMap;

use crate::conf::Conf;
use crate::error::PlanError;
use crate::memory;
use crate::version::SparkVersion;

/// What a pod asks for, as Spark would ask from these properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// Memory request in MiB: heap, overhead and, for executors, off-heap and Python's share.
    pub memory_mib: i64,
}

/// The driver's reservation, from its final properties. Without `spark.kubernetes.resource.type` it is one of a JVM application.
///
/// # Errors
/// A property that does not parse.
pub fn driver_reservation(
    version: &SparkVersion,
    properties: &BTreeMap<String, String>,
) -> Result<Reservation, PlanError> {
    let conf = conf(version, properties);
    let jvm = !matches!(
        conf.get("spark.kubernetes.resource.type").as_deref(),
        Some("python" | "r")
    );
    memory::driver(&conf, jvm).map(|memory| Reservation {
        memory_mib: memory.total_mib,
    })
}

/// The reservation of an executor of the default resource profile, from the driver's final properties.
///
/// # Errors
/// A property that does not parse.
pub fn executor_reservation(
    version: &SparkVersion,
    properties: &BTreeMap<String, String>,
) -> Result<Reservation, PlanError> {
    memory::executor(&conf(version, properties)).map(|memory| Reservation {
        memory_mib: memory.total_mib,
    })
}

fn conf(version: &SparkVersion, properties: &BTreeMap<String, String>) -> Conf {
    Conf {
        values: properties.clone(),
        version: version.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_follow_the_properties() {
        let version = SparkVersion::new(4, 1, 4);
        let table = [
            ("", "", 1408, 1408),
            ("spark.kubernetes.resource.type", "python", 1433, 1408),
            ("spark.executor.memory", "10g", 1408, 11264),
            ("spark.driver.memoryOverhead", "1g", 2048, 1408),
        ];
        for (key, value, driver, executor) in table {
            let properties = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            assert_eq!(
                driver_reservation(&version, &properties).unwrap().memory_mib,
                driver,
                "{key}"
            );
            assert_eq!(
                executor_reservation(&version, &properties).unwrap().memory_mib,
                executor,
                "{key}"
            );
        }
    }
}
