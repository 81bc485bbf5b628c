//! The JSON schema of the file: what reading holds it against, and what editors are given.

use std::sync::LazyLock;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use stoke_model::crd::schema_of;

use super::Platform;
use super::components::{
    Airflow, Celeborn, HistoryServer, HiveMetastore, Jupyterlab, Kafka, Mlflow, Nessie, ObjectStore, Postgresql,
    SparkConnect,
};
use crate::component::CATALOGUE;

/// Keys of components that an environment may set: sizes, places, addresses and configuration. What runs and what belongs together is the same everywhere.
pub const OVERLAID: [&str; 23] = [
    "resources",
    "nodes",
    "storage",
    "replicas",
    "masters",
    "workers",
    "cache",
    "host",
    "outside",
    "login",
    "bucket",
    "region",
    "endpoint",
    "pathStyle",
    "credentials",
    "role",
    "google",
    "azure",
    "server",
    "executors",
    "gpu",
    "sparkConf",
    "config",
];

/// A mapping whose values are looked at one by one.
pub(super) fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

static ROOT: LazyLock<Value> = LazyLock::new(schema_of::<Platform>);

static KINDS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut all = vec![
        schema_of::<ObjectStore>(),
        schema_of::<Postgresql>(),
        schema_of::<HiveMetastore>(),
        schema_of::<Nessie>(),
        schema_of::<HistoryServer>(),
        schema_of::<SparkConnect>(),
        schema_of::<Jupyterlab>(),
        schema_of::<Mlflow>(),
        schema_of::<Kafka>(),
        schema_of::<Airflow>(),
        schema_of::<Celeborn>(),
    ];
    for (schema, about) in all.iter_mut().zip(&CATALOGUE) {
        schema["properties"]["kind"] = json!({"type": "string", "enum": [about.kind], "description": about.title});
    }
    all
});

/// The file, but for what is below its components.
#[must_use]
pub fn root() -> &'static Value {
    &ROOT
}

/// A component of a kind; none for a kind that is not known.
#[must_use]
pub fn of_kind(kind: &str) -> Option<&'static Value> {
    let at = CATALOGUE.iter().position(|about| about.kind == kind)?;
    KINDS.get(at)
}

/// What an environment may set of a component of a kind.
#[must_use]
pub fn overlay(kind: &str) -> Option<Value> {
    let mut schema = of_kind(kind)?.clone();
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.retain(|key, _| OVERLAID.contains(&key.as_str()));
    }
    without_required(&mut schema);
    Some(schema)
}

/// An overlay sets a part: nothing of it must be there.
fn without_required(schema: &mut Value) {
    if let Some(schema) = schema.as_object_mut() {
        schema.shift_remove("required");
        for property in schema
            .get_mut("properties")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flatten()
        {
            without_required(property.1);
        }
    }
}

/// The schema for editors: JSON Schema 2020-12, closed, each kind of component with its own keys.
#[must_use]
pub fn editors() -> Value {
    let mut schema = ROOT.clone();
    let names: Vec<&str> = CATALOGUE.iter().map(|about| about.kind).collect();
    let of_kinds = CATALOGUE.iter().filter_map(|about| {
        Some(json!({
            "if": {"properties": {"kind": {"const": about.kind}}, "required": ["kind"]},
            "then": of_kind(about.kind)?,
        }))
    });
    let components = json!({"type": "object", "description": "Components, by name. Their objects and addresses carry the name",
        "additionalProperties": {"type": "object", "required": ["kind"],
            "properties": {"kind": {"type": "string", "enum": names}}, "allOf": of_kinds.collect::<Vec<_>>()}});
    // Which kind a component of this name has stands elsewhere in the file: any key that may be set of any kind.
    let mut keys = Map::new();
    for about in &CATALOGUE {
        for (key, property) in overlay(about.kind)
            .and_then(|schema| schema["properties"].as_object().cloned())
            .unwrap_or_default()
        {
            keys.entry(key).or_insert(property);
        }
    }
    let overlays = json!({"type": "object", "description": "What is set of components there: sizes, places and addresses; not what runs",
        "additionalProperties": {"type": "object", "properties": keys}});
    schema["properties"]["components"] = components;
    schema["properties"]["environments"]["additionalProperties"]["properties"]["components"] = overlays;
    close(&mut schema);
    let mut whole = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "platform.yaml"});
    if let (Some(whole), Value::Object(schema)) = (whole.as_object_mut(), schema) {
        whole.extend(schema);
    }
    whole
}

/// What is a dialect of Kubernetes becomes plain JSON Schema, and mappings with known keys have no others.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.shift_remove("x-kubernetes-int-or-string").is_some() {
                map.shift_remove("format");
                map.insert("type".into(), json!(["string", "number"]));
            }
            map.shift_remove("x-kubernetes-preserve-unknown-fields");
            map.shift_remove("format");
            let is_open =
                map.contains_key("additionalProperties") || map.contains_key("allOf") || map.contains_key("if");
            if map.get("properties").is_some_and(Value::is_object) && map.contains_key("type") && !is_open {
                map.insert("additionalProperties".into(), json!(false));
            }
            for value in map.values_mut() {
                close(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
