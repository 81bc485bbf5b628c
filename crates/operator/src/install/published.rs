//! What of the published chart's values has no effect here, and why: the table `deploy/chart/files/published.yaml`, which the chart reads too.

use std::sync::LazyLock;

use serde_json::Value;

use super::values::{Values, parsed};

static TABLE: LazyLock<Value> = LazyLock::new(|| {
    parsed(
        "published.yaml",
        include_str!("../../../../deploy/chart/files/published.yaml"),
    )
});

/// The key that may name the published operator's image.
pub(super) const IMAGE: &str = "image.repository";

/// Every key that has no effect, with the reason: a sentence.
pub fn table() -> impl Iterator<Item = (&'static str, &'static str)> {
    let entries = TABLE["keys"].as_array().into_iter().flatten();
    entries.filter_map(|entry| Some((entry["key"].as_str()?, entry["why"].as_str()?)))
}

pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    table().map(|(key, _)| key)
}

/// Those that are given and differ from every default that the published chart has had.
pub(super) fn without_effect(values: &Values) -> Vec<(&'static str, &'static str)> {
    let mut named = Vec::new();
    if is_published("repositories", values.text(IMAGE)) {
        named.push((IMAGE, TABLE["images"]["why"].as_str().unwrap_or_default()));
    }
    let entries = TABLE["keys"].as_array().into_iter().flatten();
    named.extend(entries.filter_map(|entry| {
        let key = entry["key"].as_str()?;
        let given = values.get(key);
        let idle = match entry["item"].as_str() {
            _ if given.is_null() => false,
            Some(field) => {
                let mut items = given.as_array().into_iter().flatten();
                items.any(|item| item[field] == true)
            }
            None => !entry["published"]
                .as_array()
                .is_some_and(|published| published.contains(given)),
        };
        idle.then(|| (key, entry["why"].as_str().unwrap_or_default()))
    }));
    named
}

/// True when the published chart names this registry or repository.
pub(super) fn is_published(what: &str, name: &str) -> bool {
    let names = TABLE["images"][what].as_array();
    names.is_some_and(|names| names.iter().any(|published| published == name))
}
