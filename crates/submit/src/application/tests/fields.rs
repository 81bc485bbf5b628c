//! `fields.yaml`: each field of the published API, set on its own, shows where the table says.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use stoke_model::quantity::Quantity;

use super::*;

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Row {
    field: String,
    #[serde(default)]
    not: Option<String>,
    #[serde(default)]
    set: Value,
    #[serde(default)]
    with: BTreeMap<String, Value>,
    #[serde(default)]
    base: BTreeMap<String, Value>,
    #[serde(default)]
    at: String,
    #[serde(default)]
    gives: Option<Value>,
    #[serde(default)]
    contains: Option<String>,
    #[serde(default)]
    bytes: Option<u64>,
}

/// The table, with rows for ROLE written out for driver and executor.
fn table() -> Vec<Row> {
    let text = include_str!("fields.yaml");
    let expanded = serde_saphyr::from_str::<Vec<Value>>(text).unwrap();
    let rows = expanded.into_iter().flat_map(|row| {
        let text = row.to_string();
        let roles: &[&str] = if text.contains("ROLE") {
            &["driver", "executor"]
        } else {
            &["driver"]
        };
        roles
            .iter()
            .map(|role| serde_json::from_str::<Row>(&text.replace("ROLE", role)).unwrap())
            .collect::<Vec<_>>()
    });
    rows.collect()
}

#[test]
fn every_field_shows_where_the_table_says() {
    for row in table().into_iter().filter(|row| row.not.is_none()) {
        let (mut before, mut after) = (base(), base());
        for (path, value) in &row.base {
            set_path(&mut before, path, value.clone());
        }
        for (path, value) in row.with.iter().chain([(&row.field, &row.set)]) {
            set_path(&mut after, path, value.clone());
        }
        let (before, after) = (observed(&before), observed(&after));
        let found = after.pointer(&row.at).cloned().unwrap_or_default();
        let place = format!("{} = {} at {}", row.field, row.set, row.at);
        assert_ne!(
            before.pointer(&row.at),
            after.pointer(&row.at),
            "{place}: nothing changed"
        );
        if let Some(expected) = &row.gives {
            assert_eq!(&found, expected, "{place}");
        }
        if let Some(part) = &row.contains {
            assert!(
                found.as_str().is_some_and(|text| text.contains(part)),
                "{place}: {found}"
            );
        }
        if let Some(bytes) = row.bytes {
            assert_eq!(
                found.as_str().unwrap().parse::<Quantity>().unwrap().bytes(),
                bytes,
                "{place}"
            );
        }
        assert!(
            row.gives.is_some() || row.contains.is_some() || row.bytes.is_some(),
            "{place}: the row says nothing"
        );
    }
}

#[test]
fn no_field_of_the_published_api_is_missing_in_the_table() {
    let schema = stoke_model::crd::schema("SparkApplication").unwrap();
    let spec = &schema["properties"]["spec"]["properties"];
    let told: BTreeSet<String> = table().into_iter().map(|row| row.field).collect();
    let is_told = |path: &str| {
        told.iter()
            .any(|told| told == path || told.starts_with(&format!("{path}.")))
    };
    // Objects of ours are told field by field; objects of Kubernetes as a whole.
    let by_field = [
        "deps",
        "restartPolicy",
        "monitoring",
        "prometheus",
        "batchSchedulerOptions",
        "sparkUIOptions",
        "dynamicAllocation",
        "driver",
        "executor",
        "gpu",
    ];
    let mut missing = Vec::new();
    let mut open: Vec<(String, &Value)> = vec![(String::new(), spec)];
    while let Some((prefix, fields)) = open.pop() {
        for (name, field) in fields.as_object().unwrap() {
            let path = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            if by_field.contains(&name.as_str()) {
                open.push((path, &field["properties"]));
            } else if !is_told(&path) {
                missing.push(path);
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
