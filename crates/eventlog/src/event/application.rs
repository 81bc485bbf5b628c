//! The application as a whole.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// `SparkListenerLogStart`: the first line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LogStart {
    /// The Spark that wrote the log.
    #[serde(rename = "Spark Version")]
    pub spark_version: String,
}

/// `SparkListenerApplicationStart`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ApplicationStart {
    #[serde(rename = "App Name")]
    pub name: String,
    /// Its id. Applications without one cannot be shown.
    #[serde(rename = "App ID", default)]
    pub id: Option<String>,
    /// When it started, in milliseconds since 1970.
    #[serde(rename = "Timestamp")]
    pub time: i64,
    /// Who ran it.
    #[serde(rename = "User", default)]
    pub user: String,
    /// The attempt, where the cluster manager counts attempts.
    #[serde(rename = "App Attempt ID", default)]
    pub attempt: Option<String>,
    /// Where the driver's logs are: name and address.
    #[serde(rename = "Driver Logs", default)]
    pub driver_logs: Option<Pairs>,
    #[serde(rename = "Driver Attributes", default)]
    pub driver_attributes: Option<Pairs>,
}

/// `SparkListenerApplicationEnd`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ApplicationEnd {
    /// When it ended, in milliseconds since 1970.
    #[serde(rename = "Timestamp")]
    pub time: i64,
    /// The driver's exit code, where Spark logs it (4.1 and later).
    #[serde(rename = "ExitCode", default)]
    pub exit_code: Option<i32>,
}

/// `SparkListenerEnvironmentUpdate`. The order of each list is the log's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct EnvironmentUpdate {
    /// Java and Scala.
    #[serde(rename = "JVM Information", default)]
    pub jvm: Pairs,
    #[serde(rename = "Spark Properties", default)]
    pub spark: Pairs,
    /// Hadoop's configuration.
    #[serde(rename = "Hadoop Properties", default)]
    pub hadoop: Pairs,
    /// The JVM's system properties.
    #[serde(rename = "System Properties", default)]
    pub system: Pairs,
    /// `metrics.properties`
    #[serde(rename = "Metrics Properties", default)]
    pub metrics: Pairs,
    /// Class path and where each entry is from.
    #[serde(rename = "Classpath Entries", default)]
    pub classpath: Pairs,
}

/// A JSON object of texts, in the order it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(pub Vec<(String, String)>);

impl Pairs {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some((key, value)) = map.next_entry::<String, Option<String>>()? {
                    pairs.push((key, value.unwrap_or_default()));
                }
                Ok(Pairs(pairs))
            }
            fn visit_unit<E>(self) -> Result<Pairs, E> {
                Ok(Pairs::default())
            }
        }
        from.deserialize_any(Object)
    }
}
