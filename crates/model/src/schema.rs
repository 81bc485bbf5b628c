//! Lint of a document against a structural schema, with places.
//!
//! In: a [`Node`] and the schema of its kind. Out: complaints about fields that do not exist, values of the wrong type, values that
//! are none of an enum's, numbers out of range, and fields that are missing. What an API server would refuse or silently prune is an
//! error here, and says what to write instead.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifest::{Content, Entry, Node, join, join_index, nearest};
use crate::quantity::Quantity;
use stoke_diagnostics::{Diagnostic, Fix, Place, Severity, Source};

/// Most complaints about one document; a file of another kind altogether should not scroll the terminal away.
const MOST: usize = 100;

/// Checks a document against a schema.
pub fn lint(source: &Source, node: &Node, schema: &Value) -> Vec<Diagnostic> {
    let mut lint = Lint {
        source,
        root: schema,
        complaints: Vec::new(),
    };
    lint.value(node, schema, "", node.place);
    lint.complaints.truncate(MOST);
    lint.complaints
}

struct Lint<'a> {
    source: &'a Source,
    root: &'a Value,
    complaints: Vec<Diagnostic>,
}

impl Lint<'_> {
    /// Checks a value. `key_place` is where its key is written.
    fn value(&mut self, node: &Node, schema: &Value, path: &str, key_place: Place) {
        if self.complaints.len() > MOST {
            return;
        }
        if node.content == Content::Null {
            // Tools write `creationTimestamp: null`, and every API server takes it.
            let allowed = path.is_empty() || path.starts_with("metadata.") || schema["nullable"] == Value::Bool(true);
            if !allowed {
                let name = last(path);
                self.complain(
                    "null-value",
                    key_place,
                    path,
                    format!("`{name}` has no value"),
                    Some("give it a value, or remove it".to_owned()),
                );
            }
            return;
        }
        if schema.get("x-kubernetes-int-or-string").is_some() {
            return self.int_or_string(node, schema, path);
        }
        match schema["type"].as_str() {
            Some("object") => match &node.content {
                Content::Map(entries) => self.object(node, entries, schema, path, key_place),
                _ => self.wrong_type(node, schema, path),
            },
            Some("array") => match &node.content {
                Content::List(items) => {
                    for (index, item) in items.iter().enumerate() {
                        self.value(item, &schema["items"], &join_index(path, index), item.place);
                    }
                }
                _ => self.wrong_type(node, schema, path),
            },
            Some("string") => match &node.content {
                Content::String(text) => self.string(node, text, schema, path),
                _ => self.wrong_type(node, schema, path),
            },
            Some("integer") => match &node.content {
                Content::Number(number) if !number.is_f64() => self.range(node, number.as_i64(), schema, path),
                _ => self.wrong_type(node, schema, path),
            },
            Some("number") if !matches!(node.content, Content::Number(_)) => self.wrong_type(node, schema, path),
            Some("boolean") if !matches!(node.content, Content::Bool(_)) => self.wrong_type(node, schema, path),
            _ => {}
        }
    }

    fn object(&mut self, node: &Node, entries: &[Entry], schema: &Value, path: &str, key_place: Place) {
        let properties = schema["properties"].as_object();
        for entry in entries {
            if self.complaints.len() > MOST {
                return;
            }
            let inner = join(path, &entry.key);
            match properties.and_then(|properties| properties.get(&entry.key)) {
                Some(property) => self.value(&entry.value, property, &inner, entry.key_place),
                None => match &schema["additionalProperties"] {
                    values @ Value::Object(_) => self.value(&entry.value, values, &inner, entry.key_place),
                    _ if schema["x-kubernetes-preserve-unknown-fields"] == Value::Bool(true)
                        || properties.is_none() => {}
                    _ => self.unknown(entry, entries, schema, path, &inner),
                },
            }
        }
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if node.entry(name).is_some() {
                continue;
            }
            let parent = if path.is_empty() {
                "the document".to_owned()
            } else {
                format!("`{}`", last(path))
            };
            let place = if path.is_empty() {
                entries.first().map_or(node.place, |entry| entry.key_place)
            } else {
                key_place
            };
            let about = schema["properties"][name]["description"]
                .as_str()
                .and_then(|text| text.split(['\n', '.']).next());
            let help = match about {
                Some(about) => format!("add `{name}`: {}", lower_first(about)),
                None => format!("add `{name}`"),
            };
            self.complain(
                "missing-field",
                place,
                &join(path, name),
                format!("{parent} has no `{name}`, which is required"),
                Some(help),
            );
        }
    }

    fn unknown(&mut self, entry: &Entry, siblings: &[Entry], schema: &Value, path: &str, inner: &str) {
        let parent = if path.is_empty() {
            "the document".to_owned()
        } else {
            format!("`{path}`")
        };
        let message = format!("{parent} has no field `{}`", entry.key);
        let names = schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str());
        // A name that is already written beside it is hardly the one that was meant.
        let free: Vec<&str> = names
            .filter(|name| siblings.iter().all(|sibling| sibling.key != *name))
            .collect();
        let elsewhere = self.elsewhere(&entry.key, path);
        let help = if let Some(near) = nearest(&entry.key, free.iter().copied()) {
            format!("did you mean `{near}`?")
        } else if !elsewhere.is_empty() {
            format!("that field belongs to {}", elsewhere.join(" or "))
        } else if entry.key.starts_with("spark.") {
            "Spark configuration belongs under `spec.sparkConf`".to_owned()
        } else {
            "remove it; Kubernetes would drop it silently (`stoke explain` lists the fields)".to_owned()
        };
        self.complain("unknown-field", entry.key_place, inner, message, Some(help));
    }

    /// Paths of mappings near the top of the schema that have a field of this name.
    fn elsewhere(&self, name: &str, path: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        let mut level = vec![(String::new(), self.root)];
        for _ in 0..3 {
            let mut next = Vec::new();
            for (at, schema) in level {
                for (key, property) in schema["properties"].as_object().into_iter().flatten() {
                    if key == name && at != path {
                        found.insert(format!("`{}`", if at.is_empty() { "the document" } else { &at }));
                    }
                    let inner = join(&at, key);
                    if !inner.starts_with("status") && !inner.starts_with("metadata") {
                        next.push((inner, property));
                    }
                }
            }
            level = next;
        }
        found.into_iter().take(3).collect()
    }

    fn string(&mut self, node: &Node, text: &str, schema: &Value, path: &str) {
        let Some(values) = schema["enum"].as_array() else {
            return;
        };
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        if values.contains(&text) {
            return;
        }
        let help = match nearest(text, values.iter().copied().filter(|value| !value.is_empty())) {
            Some(near) => format!("write `{near}`"),
            None => format!("write one of {}", listed(&values)),
        };
        self.complain(
            "bad-value",
            node.place,
            path,
            format!("`{}` cannot be `{text}`", last(path)),
            Some(help),
        );
    }

    fn range(&mut self, node: &Node, number: Option<i64>, schema: &Value, path: &str) {
        let Some(number) = number else {
            return self.complain(
                "bad-value",
                node.place,
                path,
                format!("`{}` is too large", last(path)),
                None,
            );
        };
        let narrow = schema["format"] == "int32" && i32::try_from(number).is_err();
        let bound = |key: &str| schema[key].as_i64();
        let message = if let Some(least) = bound("minimum").filter(|least| number < *least) {
            format!("`{}` is at least {least}", last(path))
        } else if let Some(most) = bound("maximum").filter(|most| number > *most) {
            format!("`{}` is at most {most}", last(path))
        } else if narrow {
            format!("`{}` is at most {}", last(path), i32::MAX)
        } else {
            return;
        };
        self.complain("out-of-range", node.place, path, message, None);
    }

    fn int_or_string(&mut self, node: &Node, schema: &Value, path: &str) {
        let text = match &node.content {
            Content::String(text) => text.clone(),
            Content::Number(number) => number.to_string(),
            _ => return self.wrong_type(node, schema, path),
        };
        if schema["format"] == "quantity"
            && let Err(error) = text.trim().parse::<Quantity>()
        {
            self.complain(error.code(), node.place, path, error.to_string(), None);
        }
    }

    fn wrong_type(&mut self, node: &Node, schema: &Value, path: &str) {
        let expected = match schema["type"].as_str() {
            Some("object") => "a mapping",
            Some("array") => "a list",
            Some("string") => "a string",
            Some("integer") => "a whole number",
            Some("number") => "a number",
            Some("boolean") => "true or false",
            _ => "a string or a number",
        };
        let written = self
            .source
            .written(node.place)
            .lines()
            .next()
            .unwrap_or_default()
            .trim();
        let scalar = !matches!(node.content, Content::List(_) | Content::Map(_));
        let help = match (schema["type"].as_str(), &node.content) {
            (Some("string"), _) if scalar && !written.is_empty() => Some(format!("quote it: \"{written}\"")),
            (Some("integer" | "boolean" | "number"), Content::String(text)) if is_scalar_text(schema, text) => {
                Some(format!("remove the quotes: {text}"))
            }
            (Some("integer"), Content::Number(number)) => {
                number.as_f64().map(|value| format!("round it: {}", value.ceil()))
            }
            (Some("array"), _) if scalar && !written.is_empty() => Some(format!("write a list: [{written}]")),
            (Some("object"), Content::List(_)) => Some("remove the dashes; these are fields, not items".to_owned()),
            (Some("object"), Content::String(_)) => {
                Some("put its fields on the following lines, indented further".to_owned())
            }
            _ => None,
        };
        let name = last(path);
        let message = match &node.content {
            Content::Bool(value) if written != value.to_string() => {
                format!("`{name}` must be {expected}, and YAML reads `{written}` as the boolean {value}")
            }
            _ => format!("`{name}` must be {expected}, and this is {}", node.type_name()),
        };
        self.complain("wrong-type", node.place, path, message, help);
    }

    fn complain(&mut self, code: &'static str, place: Place, path: &str, message: String, help: Option<String>) {
        let mut complaint = Diagnostic::at(Severity::Error, code, self.source, place, path, message);
        complaint.fix = help.map(Fix::from);
        self.complaints.push(complaint);
    }
}

fn is_scalar_text(schema: &Value, text: &str) -> bool {
    match schema["type"].as_str() {
        Some("boolean") => text == "true" || text == "false",
        Some("integer") => text.parse::<i64>().is_ok(),
        _ => text.parse::<f64>().is_ok(),
    }
}

fn listed(values: &[&str]) -> String {
    values
        .iter()
        .filter(|value| !value.is_empty())
        .map(|value| format!("`{value}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The last part of a path, for messages.
fn last(path: &str) -> String {
    use crate::manifest::{Step, parse_path};
    let steps = parse_path(path);
    match steps.as_slice() {
        [] => "the document".to_owned(),
        [.., Step::Key(list), Step::Index(index)] => format!("{list}[{index}]"),
        [.., Step::Key(key)] => key.clone(),
        [.., Step::Index(index)] => format!("[{index}]"),
    }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    match (characters.next(), characters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(characters).collect(),
        _ => text.to_owned(),
    }
}
