//! What an environment may set of an application: sizes, names, configuration. What runs stays the release's.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

/// What is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overlay {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor: Option<Side>,
    /// Keys of Spark; not those that say what runs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub spark_conf: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hadoop_conf: BTreeMap<String, String>,
    /// Arguments of the application, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
    /// Schedule of a ScheduledSparkApplication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Whether a schedule rests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// What is set of the driver, or of each executor.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// How many executors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<i64>,
    /// As Spark writes it: `4g`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_overhead: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_limit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
}

/// Whether a key of Spark says what runs, or where it comes from.
#[must_use]
pub fn says_what_runs(key: &str) -> bool {
    key.contains("container.image")
        || key.starts_with("spark.jars")
        || key.starts_with("spark.submit.")
        || key.contains("extraClassPath")
        || key.starts_with("spark.archives")
        || key.starts_with("spark.files")
        || key.starts_with("spark.plugins")
        || key.contains("podTemplate")
        || key.starts_with("spark.pyspark.")
}

impl Overlay {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Overlay::default()
    }

    /// The object as it is in the environment.
    #[must_use]
    pub fn apply(&self, mut object: Value, namespace: &str) -> Value {
        object["metadata"]["namespace"] = json!(namespace);
        let scheduled = object["kind"] == "ScheduledSparkApplication";
        if scheduled {
            let spec = &mut object["spec"];
            for (key, value) in [("schedule", json!(self.schedule)), ("suspend", json!(self.suspend))] {
                if !value.is_null() {
                    spec[key] = value;
                }
            }
        }
        let spec = match scheduled {
            true => &mut object["spec"]["template"],
            false => &mut object["spec"],
        };
        for (name, side) in [("driver", &self.driver), ("executor", &self.executor)] {
            let set = json!(side);
            if let Value::Object(set) = set {
                merge(&mut spec[name], set);
            }
        }
        for (name, conf) in [("sparkConf", &self.spark_conf), ("hadoopConf", &self.hadoop_conf)] {
            if !conf.is_empty() {
                let conf = conf.iter().map(|(key, value)| (key.clone(), json!(value)));
                merge(&mut spec[name], conf.collect());
            }
        }
        if let Some(arguments) = &self.arguments {
            spec["arguments"] = json!(arguments);
        }
        object
    }
}

fn merge(into: &mut Value, set: Map<String, Value>) {
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in set {
        match value {
            Value::Object(inner) => merge(&mut into[&key], inner),
            value => into[&key] = value,
        }
    }
}
