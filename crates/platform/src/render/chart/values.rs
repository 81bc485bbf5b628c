//! Values of a chart: the file with their meaning, the schema that refuses all others, and what each environment sets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::knob::{Knob, WITHOUT};
use super::{Chart, OfEnvironment};

/// What an environment sets, with a mapping for each key that may be set below it.
pub fn set_by(environment: &OfEnvironment) -> Value {
    let mut components = json!({});
    for (knob, usual) in &environment.values {
        let mut at = &mut components[&knob.component];
        let mut keys = knob.path.split('.').peekable();
        while let Some(key) = keys.next() {
            if at.is_null() {
                *at = json!({});
            }
            match (keys.peek(), usual) {
                (Some(_), _) => at = &mut at[key],
                (None, Some(usual)) => at[key] = usual.clone(),
                (None, None) => {}
            }
        }
        if at.is_null() {
            *at = json!({});
        }
    }
    json!({"components": components, "hosts": environment.hosts})
}

/// Every value of any environment, by component and path.
fn all(chart: &Chart) -> BTreeMap<(&str, &str), &Knob> {
    let environments = chart.environments.iter();
    let knobs = environments.flat_map(|environment| environment.values.iter().map(|(knob, _)| knob));
    knobs.map(|knob| ((knob.component.as_str(), knob.path), knob)).collect()
}

fn names(chart: &Chart) -> Vec<&str> {
    chart
        .environments
        .iter()
        .map(|environment| environment.name.as_str())
        .collect()
}

/// Puts something below the properties of a schema.
fn put(schema: &mut Value, keys: &[&str], what: Value) {
    let Some((key, rest)) = keys.split_first() else {
        *schema = what;
        return;
    };
    put(&mut schema["properties"][key], rest, what);
}

/// The schema of the values.
pub fn schema(chart: &Chart) -> Value {
    let mut components = json!({"type": "object", "properties": {}});
    let all = all(chart);
    for ((component, path), knob) in &all {
        let keys: Vec<&str> = std::iter::once(*component).chain(path.split('.')).collect();
        put(&mut components, &keys, knob.schema.clone());
    }
    close(&mut components);
    // What is a value in one environment and not in another.
    let mut conditions = Vec::new();
    for environment in &chart.environments {
        let here: BTreeSet<(&str, &str)> = environment
            .values
            .iter()
            .map(|(knob, _)| (knob.component.as_str(), knob.path))
            .collect();
        let of_components: BTreeSet<&str> = here.iter().map(|(component, _)| *component).collect();
        let mut refused = json!({});
        for (component, path) in all.keys().filter(|key| !here.contains(*key)) {
            match of_components.contains(component) {
                true => {
                    let keys: Vec<&str> = std::iter::once(*component).chain(path.split('.')).collect();
                    put(&mut refused, &keys, json!(false));
                }
                false => put(&mut refused, &[component], json!(false)),
            }
        }
        if refused["properties"].is_object() {
            conditions.push(json!({
                "if": {"properties": {"environment": {"const": environment.name}}, "required": ["environment"]},
                "then": {"properties": {"components": refused}},
            }));
        }
    }
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": format!("Values of the platform {}", chart.name),
        "type": "object",
        "required": ["environment"],
        "additionalProperties": false,
        "properties": {
            "global": {"type": "object", "description": "What a chart around this one has for all of its charts; nothing is read from it"},
            "environment": {"type": "string", "enum": names(chart), "description": "Which environment of platform.yaml is installed"},
            "createNamespace": {"type": "boolean", "description": "Whether the namespace is an object of the chart"},
            "components": components,
        },
    });
    if !conditions.is_empty() {
        schema["allOf"] = json!(conditions);
    }
    schema
}

/// Mappings have no other keys.
fn close(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(close);
        let properties = Value::Object(std::mem::take(properties));
        *schema = Map::from_iter([
            ("type".to_owned(), json!("object")),
            ("additionalProperties".to_owned(), json!(false)),
            ("properties".to_owned(), properties),
        ]);
    }
}

/// `values.yaml`: what may be set, and what holds where nothing is.
pub fn file(chart: &Chart) -> String {
    let names = names(chart);
    let mut text = format!(
        "# Values of the platform {}. Made by `stoke platform render --as chart`: what is not here is changed in platform.yaml.\n\n# Which environment of platform.yaml is installed: {}.\n",
        chart.name,
        names.join(", ")
    );
    let _ = match names[..] {
        [only] => writeln!(text, "environment: {only}"),
        _ => writeln!(text, "# environment: {}", names.first().copied().unwrap_or_default()),
    };
    text.push_str("\n# Whether the namespace is an object of the chart. `false` where it is there already, as with `helm install --create-namespace`.\ncreateNamespace: true\n");
    text.push_str(
        "\n# What may be set of each component, with what it is in each environment where nothing is set:\n#\n",
    );
    let all = all(chart);
    let mut before: Vec<&str> = Vec::new();
    for ((component, path), knob) in &all {
        let keys: Vec<&str> = std::iter::once(*component).chain(path.split('.')).collect();
        let (last, above) = keys
            .split_last()
            .map_or(("", &keys[..]), |(last, above)| (*last, above));
        let common = above.iter().zip(&before).take_while(|(one, two)| one == two).count();
        for (depth, key) in above.iter().enumerate().skip(common) {
            let _ = writeln!(text, "#   {}{key}:", "  ".repeat(depth));
        }
        before = above.to_vec();
        let usual = chart.environments.iter().filter_map(|environment| {
            let (_, usual) = environment.values.iter().find(|(of, _)| of.name() == knob.name())?;
            let usual = usual
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), |usual| super::knob::shown(knob.form, usual));
            Some((environment.name.as_str(), usual))
        });
        let _ = writeln!(
            text,
            "#   {}{last}:  # {}",
            "  ".repeat(above.len()),
            said(&usual.collect::<Vec<_>>())
        );
    }
    text.push_str("components: {}\n");
    let mut why: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for environment in &chart.environments {
        for (key, reason) in &environment.without {
            why.entry((key, reason)).or_default().push(&environment.name);
        }
    }
    if !why.is_empty() {
        text.push_str("\n# Keys that an environment of platform.yaml may set and these values may not:\n#\n");
        for ((key, reason), of) in why {
            let of = if of.len() == names.len() {
                String::new()
            } else {
                format!(" ({})", of.join(", "))
            };
            let _ = writeln!(text, "#   {key}{of}: {reason}");
        }
        for (key, reason) in WITHOUT {
            let _ = writeln!(text, "#   {key}: {reason}");
        }
    }
    text
}

/// What each environment has: once where it is the same.
fn said(usual: &[(&str, String)]) -> String {
    match usual {
        [(_, first), rest @ ..] if rest.iter().all(|(_, other)| other == first) => first.clone(),
        _ => usual
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}
