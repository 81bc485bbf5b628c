//! The manifests being made.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use stoke_diagnostics::Place;
use stoke_model::names;
use stoke_submit::SparkVersion;
use stoke_submit::argv::spark_version_of_image;

use crate::configuration::Setting;
use crate::report::Report;

/// The order in which fields of an application are written; others follow.
const ORDER: [&str; 20] = [
    "suspend",
    "type",
    "sparkVersion",
    "mode",
    "proxyUser",
    "image",
    "imagePullPolicy",
    "imagePullSecrets",
    "mainClass",
    "mainApplicationFile",
    "arguments",
    "deps",
    "sparkConf",
    "hadoopConf",
    "volumes",
    "nodeSelector",
    "restartPolicy",
    "timeToLiveSeconds",
    "driver",
    "executor",
];

/// An application, and its schedule when it has one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    /// Where in the source it is.
    pub(crate) place: Place,
    /// `metadata.name`.
    pub(crate) name: String,
    /// `metadata.namespace`.
    pub(crate) namespace: Option<String>,
    /// `metadata.labels`.
    pub(crate) labels: Map<String, Value>,
    /// `metadata.annotations`.
    pub(crate) annotations: Map<String, Value>,
    /// The application's spec.
    pub(crate) spec: Map<String, Value>,
    /// The schedule's spec without `template`.
    pub(crate) schedule: Option<Map<String, Value>>,
    /// Objects that must be there before it.
    pub(crate) beside: Vec<Value>,
    /// Where in the source the keys of `sparkConf` were.
    pub(crate) places: BTreeMap<String, Setting>,
}

impl Target {
    /// Sets a field of the application's spec; `path` is dotted.
    pub(crate) fn set(&mut self, path: &str, value: impl Into<Value>) {
        let mut map = &mut self.spec;
        let mut keys = path.split('.').peekable();
        while let Some(key) = keys.next() {
            if keys.peek().is_none() {
                map.insert(key.to_owned(), value.into());
                return;
            }
            let inner = map.entry(key.to_owned()).or_insert_with(|| json!({}));
            let Value::Object(inner) = inner else { return };
            map = inner;
        }
    }

    /// Sets a key of a map of texts, for example a label.
    pub(crate) fn set_key(&mut self, path: &str, key: &str, value: &str) {
        let mut map = self.get(path).and_then(Value::as_object).cloned().unwrap_or_default();
        map.insert(key.to_owned(), json!(value));
        self.set(path, map);
    }

    /// A field of the application's spec.
    pub(crate) fn get(&self, path: &str) -> Option<&Value> {
        let mut keys = path.split('.');
        let first = self.spec.get(keys.next()?)?;
        keys.try_fold(first, |value, key| value.get(key))
    }

    pub(crate) fn annotate(&mut self, annotation: &str, value: impl Into<String>) {
        self.annotations
            .insert(annotation.to_owned(), Value::String(value.into()));
    }

    /// `sparkVersion`: what was asked for, what the source said, what the image's tag tells.
    pub(crate) fn settle_version(&mut self, asked: Option<&SparkVersion>, report: &mut Report) {
        let of_image = ["driver.image", "image"]
            .iter()
            .find_map(|field| spark_version_of_image(self.get(field)?.as_str()?));
        if let Some(version) = asked {
            self.set("sparkVersion", version.as_str());
        } else if self.get("sparkVersion").is_none() {
            match of_image {
                Some(version) => self.set("sparkVersion", version.as_str()),
                None => report.lost(
                    self.place,
                    "spec.sparkVersion",
                    "neither the source nor the image's tag says which Spark it runs",
                    "give it with --spark, for example --spark 4.1.4",
                ),
            }
        }
    }

    /// A name that Kubernetes and the operator take; says so when it is not the one that was given.
    pub(crate) fn settle_name(&mut self, given: &str, place: Place, path: &str, report: &mut Report) {
        if names::check_dns_1035(given).is_ok() {
            given.clone_into(&mut self.name);
            return;
        }
        match names::suggest_dns_1035(given, names::LABEL_LIMIT) {
            Some(name) => {
                report.changed(
                    place,
                    path,
                    format!(
                        "`{given}` cannot name a SparkApplication; it is called `{name}`, and so is spark.app.name"
                    ),
                    "give another name with --name",
                );
                self.name = name;
            }
            None => report.lost(
                place,
                path,
                format!("`{given}` cannot name a SparkApplication"),
                "give a name with --name",
            ),
        }
    }

    /// The manifests.
    pub(crate) fn finish(mut self) -> Vec<Value> {
        self.spec.entry("mode").or_insert_with(|| json!("cluster"));
        for role in ["driver", "executor"] {
            self.spec.entry(role).or_insert_with(|| json!({}));
        }
        if let Some(Value::Object(conf)) = self.spec.get_mut("sparkConf") {
            conf.sort_keys();
        }
        let mut spec = Map::new();
        for key in ORDER {
            if let Some(value) = self.spec.shift_remove(key) {
                spec.insert(key.to_owned(), value);
            }
        }
        spec.extend(self.spec);
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(self.name));
        if let Some(namespace) = self.namespace {
            metadata.insert("namespace".to_owned(), json!(namespace));
        }
        for (key, map) in [("labels", self.labels), ("annotations", self.annotations)] {
            if !map.is_empty() {
                metadata.insert(key.to_owned(), Value::Object(map));
            }
        }
        let (kind, spec) = match self.schedule {
            None => ("SparkApplication", spec),
            Some(mut schedule) => {
                schedule.insert("template".to_owned(), Value::Object(spec));
                ("ScheduledSparkApplication", schedule)
            }
        };
        let mut documents = self.beside;
        documents.push(json!({
            "apiVersion": format!("{}/v1beta2", names::GROUP), "kind": kind, "metadata": metadata, "spec": spec,
        }));
        documents
    }
}
