//! What differs between presets, versions of Spark, and a manifest.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use stoke_model::manifest::Document;

use super::{Resolved, path_of, shown};

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub key: String,
    /// The value on the left; none when it is not set there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<Value>,
    /// Why the key is there, by the side that has it; the right one's where both have it.
    pub why: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
}

/// Keys that differ between two presets, in order.
#[must_use]
pub fn presets(left: &Resolved, right: &Resolved) -> Vec<Difference> {
    let keys: BTreeSet<&str> = left
        .keys
        .iter()
        .chain(&right.keys)
        .map(|key| key.key.as_str())
        .collect();
    let differing = keys.into_iter().filter_map(|key| {
        let of = |side: &'_ Resolved| side.keys.iter().find(|one| one.key == key).cloned();
        let (left, right) = (of(left), of(right));
        if left.as_ref().map(|key| &key.value) == right.as_ref().map(|key| &key.value) {
            return None;
        }
        let teller = right.as_ref().or(left.as_ref())?;
        Some(Difference {
            key: key.to_owned(),
            why: teller.why.clone(),
            locked: teller.locked,
            left: left.map(|key| key.value),
            right: right.map(|key| key.value),
        })
    });
    differing.collect()
}

/// Keys of a preset that a manifest has otherwise or not at all: the preset on the left, the manifest on the right; also defaults the preset counts on
/// that the manifest changes.
#[must_use]
pub fn manifest(resolved: &Resolved, document: &Document) -> Vec<Difference> {
    let path = document.spec_path();
    let there = |key: &str| document.node.lookup(&path_of(key, path)).map(|node| node.to_value());
    let keys = resolved.keys.iter().filter_map(|key| {
        let right = there(&key.key);
        if right.as_ref().map(shown) == Some(shown(&key.value)) {
            return None;
        }
        Some(Difference {
            key: key.key.clone(),
            left: Some(key.value.clone()),
            right,
            why: key.why.clone(),
            locked: key.locked,
        })
    });
    let relies = resolved.relies.iter().filter_map(|rely| {
        let right = there(&rely.key)?;
        (!shown(&right).eq_ignore_ascii_case(&rely.value)).then(|| Difference {
            key: rely.key.clone(),
            left: Some(Value::String(rely.value.clone())),
            right: Some(right),
            why: rely.why.clone(),
            locked: false,
        })
    });
    keys.chain(relies).collect()
}
