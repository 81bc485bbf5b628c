//! Two sets of objects, compared field by field; what is random, and the time, is masked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use stoke_model::conf::properties;

/// Objects without owners and with random parts masked, by kind and name; of one sent twice the last.
pub fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let named = objects.into_iter().map(|mut object| {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("ownerReferences");
        }
        let object = masked(object);
        let name = format!(
            "{} {}",
            object["kind"].as_str().unwrap_or("?"),
            object["metadata"]["name"].as_str().unwrap_or("?")
        );
        (name, object)
    });
    named.collect()
}

fn masked(value: Value) -> Value {
    match value {
        Value::String(text) => json!(mask(&text)),
        Value::Array(items) => items.into_iter().map(masked).collect(),
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| masked_entry(key, value)).collect()),
        other => other,
    }
}

/// `spark.properties` is compared as what it says, not as a text: it holds the time, and the order of a hash table.
fn masked_entry(key: String, value: Value) -> (String, Value) {
    if key == "spark.properties"
        && let Some(text) = value.as_str()
    {
        let entries = properties::read(text)
            .unwrap()
            .into_iter()
            .filter(|(key, _)| key != "spark.app.submitTime");
        let map: Map<String, Value> = entries.map(|(key, value)| (key, json!(mask(&value)))).collect();
        return (key, Value::Object(map));
    }
    (mask(&key), masked(value))
}

/// Puts `<id>` in place of what is drawn at random: runs of 16 or 32 hexadecimal digits, and UUIDs.
fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for character in text.chars().chain(['\0']) {
        if character.is_ascii_digit() || ('a'..='f').contains(&character) {
            run.push(character);
            continue;
        }
        let random = matches!(run.len(), 16 | 32);
        out.push_str(if random { "<id>" } else { &run });
        run.clear();
        out.push(character);
    }
    out.pop();
    mask_uuids(&out)
}

fn mask_uuids(text: &str) -> String {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_uuid = |part: &str| {
        let groups: Vec<&str> = part.split('-').collect();
        groups.len() == 5
            && groups
                .iter()
                .zip(GROUPS)
                .all(|(group, length)| group.len() == length && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        if rest.get(..36).is_some_and(is_uuid) {
            out.push_str("<uuid>");
            rest = &rest[36..];
        } else {
            let length = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    out
}

/// Every difference as one line: where, what spark-submit says, what we say.
pub fn differences(theirs: &BTreeMap<String, Value>, ours: &BTreeMap<String, Value>) -> Vec<String> {
    let mut lines = Vec::new();
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for name in names {
        compare_values(name, theirs.get(name), ours.get(name), &mut lines);
    }
    lines
}

fn compare_values(place: &str, theirs: Option<&Value>, ours: Option<&Value>, lines: &mut Vec<String>) {
    match (theirs, ours) {
        (Some(Value::Object(theirs)), Some(Value::Object(ours))) => {
            let keys: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
            for key in keys {
                compare_values(&format!("{place}/{key}"), theirs.get(key), ours.get(key), lines);
            }
        }
        (Some(Value::Array(theirs)), Some(Value::Array(ours))) => {
            for index in 0..theirs.len().max(ours.len()) {
                compare_values(&format!("{place}/{index}"), theirs.get(index), ours.get(index), lines);
            }
        }
        (theirs, ours) if theirs == ours => {}
        (theirs, ours) => {
            let say = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
            lines.push(format!(
                "  {place}\n    spark-submit: {}\n    stoke:        {}",
                say(theirs),
                say(ours)
            ));
        }
    }
}
