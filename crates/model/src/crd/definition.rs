//! The CustomResourceDefinitions, made from the types.

use std::sync::LazyLock;

use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::structural::{self, Detail};
use super::{
    ScheduledSparkApplication, ScheduledSparkApplicationSpec, ScheduledSparkApplicationStatus, SparkApplication,
    SparkApplicationSpec, SparkApplicationStatus, SparkConnect, SparkConnectSpec, SparkConnectStatus,
};

/// The kinds of the custom resources.
pub const KINDS: [&str; 3] = ["SparkApplication", "ScheduledSparkApplication", "SparkConnect"];

/// Groups under `k8s.io` are kept for the Kubernetes project; an API server takes a definition in one only with this annotation. The
/// value is the published operator's.
const API_APPROVED: &str = "https://github.com/kubeflow/spark-operator/pull/1298";

/// What the published API requires of an application, and our types leave optional so that our own errors can teach.
const APPLICATION_REQUIRED: [&str; 4] = ["driver", "executor", "sparkVersion", "type"];

/// Made one by one at first use, since a run needs only one.
static SCHEMAS: [LazyLock<Value>; 3] = [
    LazyLock::new(|| object_schema(KINDS[0], Detail::Full)),
    LazyLock::new(|| object_schema(KINDS[1], Detail::Full)),
    LazyLock::new(|| object_schema(KINDS[2], Detail::Full)),
];

static DEFINITIONS: [LazyLock<Value>; 3] = [
    LazyLock::new(|| make_definition(KINDS[0]).unwrap_or_default()),
    LazyLock::new(|| make_definition(KINDS[1]).unwrap_or_default()),
    LazyLock::new(|| make_definition(KINDS[2]).unwrap_or_default()),
];

/// The schema of a kind with every description, `metadata` included; none for other kinds.
pub fn schema(kind: &str) -> Option<Value> {
    shared_schema(kind).cloned()
}

/// [`schema`] without the copy.
pub(crate) fn shared_schema(kind: &str) -> Option<&'static Value> {
    KINDS
        .iter()
        .position(|known| *known == kind)
        .map(|index| &*SCHEMAS[index])
}

/// The schema of any type, with every description: for the lint of objects that are not ours.
pub fn schema_of<T: schemars::JsonSchema>() -> Value {
    structural::of::<T>(Detail::Full)
}

/// The API version a kind is served as; none for other kinds.
pub fn api_version(kind: &str) -> Option<&'static str> {
    match kind {
        "SparkApplication" | "ScheduledSparkApplication" => Some("sparkoperator.k8s.io/v1beta2"),
        "SparkConnect" => Some("sparkoperator.k8s.io/v1alpha1"),
        _ => None,
    }
}

/// The CustomResourceDefinition of a kind, as JSON; none for other kinds.
///
/// It fits into the annotation of a client-side `kubectl apply` (262144 bytes).
pub fn definition(kind: &str) -> Option<Value> {
    KINDS
        .iter()
        .position(|known| *known == kind)
        .map(|index| DEFINITIONS[index].clone())
}

/// All definitions.
pub fn definitions() -> Vec<Value> {
    DEFINITIONS.iter().map(|definition| Value::clone(definition)).collect()
}

fn make_definition(kind: &str) -> Option<Value> {
    let definition = match kind {
        "SparkApplication" => SparkApplication::crd(),
        "ScheduledSparkApplication" => ScheduledSparkApplication::crd(),
        "SparkConnect" => SparkConnect::crd(),
        _ => return None,
    };
    let mut definition = serde_json::to_value(definition).ok()?;
    definition["metadata"]["annotations"] = json!({ "api-approved.kubernetes.io": API_APPROVED });
    for version in definition["spec"]["versions"].as_array_mut()? {
        version["schema"]["openAPIV3Schema"] = object_schema(kind, Detail::Compact);
    }
    Some(definition)
}

/// The definition of a kind as YAML, as it lies in `deploy/crds`; none for other kinds.
pub fn crd_yaml(kind: &str) -> Option<String> {
    let yaml = serde_saphyr::to_string(&definition(kind)?).ok()?;
    Some(format!(
        "# Made from the types in crates/model/src/crd; `cargo test -p stoke-model` tells when they differ.\n{yaml}"
    ))
}

fn object_schema(kind: &str, detail: Detail) -> Value {
    let (mut spec, status, about) = match kind {
        "SparkApplication" => (
            structural::of::<SparkApplicationSpec>(detail),
            structural::of::<SparkApplicationStatus>(detail),
            "A Spark application and how to run it.",
        ),
        "ScheduledSparkApplication" => (
            structural::of::<ScheduledSparkApplicationSpec>(detail),
            structural::of::<ScheduledSparkApplicationStatus>(detail),
            "A Spark application run by the clock.",
        ),
        _ => (
            structural::of::<SparkConnectSpec>(detail),
            structural::of::<SparkConnectStatus>(detail),
            "A Spark Connect server.",
        ),
    };
    match kind {
        "SparkApplication" => spec["required"] = json!(APPLICATION_REQUIRED),
        "ScheduledSparkApplication" => spec["properties"]["template"]["required"] = json!(APPLICATION_REQUIRED),
        _ => {}
    }
    let metadata = match detail {
        Detail::Full => structural::of::<k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta>(detail),
        Detail::Compact => json!({ "type": "object" }),
    };
    let mut properties = Map::new();
    properties.insert("apiVersion".to_owned(), json!({ "type": "string" }));
    properties.insert("kind".to_owned(), json!({ "type": "string" }));
    properties.insert("metadata".to_owned(), metadata);
    properties.insert("spec".to_owned(), spec);
    properties.insert("status".to_owned(), status);
    json!({ "description": about, "type": "object", "properties": properties, "required": ["metadata", "spec"] })
}

#[cfg(test)]
mod tests;
