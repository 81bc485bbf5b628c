//! Leaves of the published schemas.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::observe::Kind;

/// A leaf: a field that holds no other fields.
#[derive(Clone)]
pub struct Leaf {
    /// Dotted, with `0` for the element of a list and `*` for the value of a map.
    pub path: String,
    /// Schemas from the root of the spec down to the leaf.
    steps: Vec<(String, Arc<Value>)>,
}

/// The leaves of a kind's spec, in the schema's order.
pub fn of(kind: Kind) -> Vec<Leaf> {
    let schema = stoke_model::crd::schema(kind.name()).unwrap();
    let mut leaves = Vec::new();
    walk(&schema["properties"]["spec"], &mut Vec::new(), &mut leaves);
    leaves
}

fn walk(schema: &Value, steps: &mut Vec<(String, Arc<Value>)>, leaves: &mut Vec<Leaf>) {
    let below: Vec<(String, Value)> = match children(schema) {
        None => {
            let path = steps
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join(".");
            leaves.push(Leaf {
                path,
                steps: steps.clone(),
            });
            return;
        }
        Some(below) => below,
    };
    for (name, child) in below {
        steps.push((name, Arc::new(child.clone())));
        walk(&child, steps, leaves);
        steps.pop();
    }
}

/// Fields, the element of a list, the value of a map; none for a leaf.
fn children(schema: &Value) -> Option<Vec<(String, Value)>> {
    if let Some(properties) = schema["properties"].as_object().filter(|all| !all.is_empty()) {
        return Some(
            properties
                .iter()
                .map(|(name, field)| (name.clone(), field.clone()))
                .collect(),
        );
    }
    if schema["items"].is_object() {
        return Some(vec![("0".to_owned(), schema["items"].clone())]);
    }
    let values = &schema["additionalProperties"];
    values.is_object().then(|| vec![("*".to_owned(), values.clone())])
}

impl Leaf {
    /// Two values its schema allows.
    pub fn values(&self) -> (Value, Value) {
        let schema = &self.steps.last().unwrap().1;
        if let Some(words) = schema["enum"].as_array() {
            return (words[0].clone(), words[1].clone());
        }
        match schema["type"].as_str() {
            Some("boolean") => (json!(false), json!(true)),
            Some("integer" | "number") => (json!(3), json!(4)),
            Some("string") => (json!("one"), json!("two")),
            _ if schema["x-kubernetes-int-or-string"] == json!(true) => (json!("3"), json!("4")),
            // A structure without fields: there or not.
            _ => (Value::Null, json!({})),
        }
    }

    /// `base` with this leaf set, and beside it, at every level that `base` does not have, what the schema requires.
    pub fn placed(&self, base: &Value, value: &Value) -> Value {
        let mut spec = base.clone();
        let mut target = &mut spec;
        for (index, (name, schema)) in self.steps.iter().enumerate() {
            // Nothing: the leaf is not there at all.
            if value.is_null() && index + 1 == self.steps.len() {
                return spec;
            }
            let key = if name == "*" { key_of(&self.path) } else { name.as_str() };
            target = enter(target, key);
            fill_required(target, schema);
        }
        *target = value.clone();
        spec
    }
}

/// A map's key; some maps take only keys of a kind.
fn key_of(path: &str) -> &'static str {
    match path.split('.').next() {
        Some("sparkConf") => "spark.ui.port",
        Some("hadoopConf") => "fs.s3a.endpoint",
        Some("batchSchedulerOptions") => "cpu",
        _ => "key",
    }
}

fn enter<'a>(target: &'a mut Value, key: &str) -> &'a mut Value {
    if key == "0" {
        if !target.is_array() {
            *target = json!([]);
        }
        let list = target.as_array_mut().unwrap();
        if list.is_empty() {
            list.push(Value::Null);
        }
        return &mut list[0];
    }
    if !target.is_object() {
        *target = json!({});
    }
    target.as_object_mut().unwrap().entry(key).or_insert(Value::Null)
}

fn fill_required(target: &mut Value, schema: &Value) {
    if schema["properties"].is_object() && (target.is_null() || target.is_object()) {
        let mut object = target.as_object().cloned().unwrap_or_default();
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !object.contains_key(name) {
                object.insert(name.to_owned(), least(&schema["properties"][name]));
            }
        }
        *target = Value::Object(object);
    }
}

/// The least that a schema accepts.
fn least(schema: &Value) -> Value {
    if let Some(words) = schema["enum"].as_array() {
        return words[0].clone();
    }
    match schema["type"].as_str() {
        Some("boolean") => json!(false),
        Some("integer" | "number") => json!(3),
        Some("array") => json!([]),
        Some("object") => {
            let mut object = Value::Object(Map::new());
            fill_required(&mut object, schema);
            object
        }
        _ if schema["x-kubernetes-int-or-string"] == json!(true) => json!("3"),
        _ => json!("one"),
    }
}
