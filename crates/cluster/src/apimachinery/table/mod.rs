//! Tables for people: the columns kubectl shows for each kind, and those that custom resources define.
//!
//! In: objects as JSON. Out: a `Table` with the published columns of their kind ([`columns`]). A cell never fails: what is missing is
//! shown as Kubernetes shows it (`<none>`, `<unset>`, `<unknown>`).

mod batch;
mod columns;
mod core;
mod events;
mod network;
mod pods;
mod policy;
mod workloads;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::cells::{age, path_value};
use super::custom::Column as CustomColumn;
use super::resources::Resource;

/// What a cell shows of an object, at a time.
type Cell = fn(&Value, Timestamp) -> Value;

/// A column of a built-in kind.
struct Column {
    name: &'static str,
    kind: &'static str,
    /// 1 is shown only in wide output.
    priority: u8,
    cell: Cell,
}

const fn column(name: &'static str, kind: &'static str, priority: u8, cell: Cell) -> Column {
    Column {
        name,
        kind,
        priority,
        cell,
    }
}

const fn text(name: &'static str, cell: Cell) -> Column {
    column(name, "string", 0, cell)
}

const fn wide(name: &'static str, cell: Cell) -> Column {
    column(name, "string", 1, cell)
}

const fn number(name: &'static str, cell: Cell) -> Column {
    column(name, "integer", 0, cell)
}

const NAME: Column = text("Name", |object, _| object["metadata"]["name"].clone());
const AGE: Column = text("Age", |object, now| {
    age(&object["metadata"]["creationTimestamp"], now).into()
});
const CREATED: Column = text("Created At", |object, _| {
    object["metadata"]["creationTimestamp"].clone()
});

/// A Table of objects; `include` says how much of each: `None`, `Metadata` or `Object`.
pub fn table(resource: &Resource, include: &str, objects: &[Value], metadata: Map<String, Value>) -> Value {
    let now = crate::clock::now();
    let (definitions, cells): (Vec<Value>, Vec<Vec<Value>>) = match &resource.custom {
        Some(custom) => custom_table(&custom.columns, objects, now),
        None => {
            let columns = columns::of(&resource.key);
            let cells = objects
                .iter()
                .map(|object| columns.iter().map(|column| (column.cell)(object, now)).collect());
            (columns.iter().map(definition).collect(), cells.collect())
        }
    };
    let rows: Vec<Value> = objects
        .iter()
        .zip(cells)
        .map(|(object, cells)| {
            let mut row = json!({"cells": cells});
            match include {
                "None" => {}
                "Object" => row["object"] = object.clone(),
                _ => row["object"] = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]}),
            }
            row
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions, "rows": rows})
}

fn definition(column: &Column) -> Value {
    let format = if column.name == "Name" { "name" } else { "" };
    json!({"name": column.name, "type": column.kind, "format": format, "priority": column.priority, "description": column.name})
}

fn custom_table(custom: &[CustomColumn], objects: &[Value], now: Timestamp) -> (Vec<Value>, Vec<Vec<Value>>) {
    let mut definitions = vec![definition(&NAME)];
    for column in custom {
        definitions.push(json!({"name": column.name, "type": column.kind, "format": "", "priority": column.priority, "description": column.description}));
    }
    if custom.is_empty() {
        definitions.push(definition(&AGE));
    }
    let cells = objects.iter().map(|object| {
        let mut cells = vec![(NAME.cell)(object, now)];
        cells.extend(custom.iter().map(|column| custom_cell(object, column, now)));
        if custom.is_empty() {
            cells.push((AGE.cell)(object, now));
        }
        cells
    });
    (definitions, cells.collect())
}

fn custom_cell(object: &Value, column: &CustomColumn, now: Timestamp) -> Value {
    let value = path_value(object, &column.path);
    match (column.kind.as_str(), value) {
        (_, None | Some(Value::Null)) => Value::Null,
        ("date", Some(value)) => age(value, now).into(),
        ("string", Some(value)) => plain(value).into(),
        (_, Some(value)) => value.clone(),
    }
}

/// A value as text, without quotes; nothing for null.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value as text, or what is shown when it is not there.
fn or(value: &Value, missing: &str) -> Value {
    match plain(value) {
        text if text.is_empty() => missing.into(),
        text => text.into(),
    }
}

/// A list, empty if there is none.
fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A count that is 0 when it is not there.
fn count(value: &Value) -> Value {
    value.as_i64().unwrap_or(0).into()
}

/// Texts with a separator, or what is shown when there are none.
fn joined(texts: impl Iterator<Item = String>, separator: &str, missing: &str) -> Value {
    let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    if texts.is_empty() {
        missing.into()
    } else {
        texts.join(separator).into()
    }
}

/// At most three texts, and how many more there are.
fn first_three(texts: &[String], missing: &str) -> Value {
    match texts {
        [] => missing.into(),
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first},{second},{third} + {} more...", rest.len()).into()
        }
        texts => texts.join(",").into(),
    }
}

/// A map as `key=value,key=value`.
fn pairs(map: &Value) -> Value {
    let pairs = map.as_object().into_iter().flatten();
    joined(
        pairs.map(|(key, value)| format!("{key}={}", plain(value))),
        ",",
        "<none>",
    )
}

/// A label selector as kubectl takes it.
pub fn label_selector(selector: &Value) -> Value {
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let pairs = pairs.map(|(key, value)| format!("{key}={}", plain(value)));
    let expressions = list(&selector["matchExpressions"]).iter().map(|expression| {
        let key = plain(&expression["key"]);
        let values: Vec<String> = list(&expression["values"]).iter().map(plain).collect();
        match expression["operator"].as_str() {
            Some("Exists") => key,
            Some("DoesNotExist") => format!("!{key}"),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            _ => format!("{key} in ({})", values.join(",")),
        }
    });
    joined(pairs.chain(expressions), ",", "<none>")
}
