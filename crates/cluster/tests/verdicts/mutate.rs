//! Paths into objects, and the ways a value of a type can be broken.

use serde_json::{Map, Value, json};

/// A value that stands for "leave the field out".
pub const REMOVE: &str = "<remove>";

/// One step of a path.
enum Step {
    Field(String),
    Item(usize),
}

/// `spec.containers[0].ports` or `metadata.labels[a.b/c]`.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (word, after) = inside.split_once(']').expect("a bracket that is closed");
            steps.push(word.parse().map_or_else(|_| Step::Field(word.to_owned()), Step::Item));
            rest = after;
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(Step::Field(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    steps
}

/// Sets the value at a path, making what is missing on the way; [`REMOVE`] takes it out.
pub fn set(object: &mut Value, path: &str, value: &Value) {
    let mut steps = steps(path);
    let last = steps.pop().expect("a path that is not empty");
    let mut at = object;
    for step in &steps {
        at = enter(at, step);
    }
    match (last, *value == REMOVE) {
        (Step::Field(name), true) => drop(at.as_object_mut().map(|fields| fields.remove(&name))),
        (Step::Item(index), true) => drop(at.as_array_mut().map(|list| list.remove(index))),
        (step, false) => *enter(at, &step) = value.clone(),
    }
}

fn enter<'v>(at: &'v mut Value, step: &Step) -> &'v mut Value {
    match step {
        Step::Field(name) => {
            if !at.is_object() {
                *at = json!({});
            }
            at.as_object_mut()
                .expect("an object")
                .entry(name.clone())
                .or_insert(Value::Null)
        }
        Step::Item(index) => {
            if !at.is_array() {
                *at = json!([]);
            }
            let list = at.as_array_mut().expect("a list");
            while list.len() <= *index {
                list.push(Value::Null);
            }
            &mut list[*index]
        }
    }
}

/// Every place of an object, parents first.
pub fn places<'v>(value: &'v Value, path: &str, found: &mut Vec<(String, &'v Value)>) {
    if !path.is_empty() {
        found.push((path.to_owned(), value));
    }
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, field)| places(field, &join(path, name), found)),
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(index, item)| places(item, &format!("{path}[{index}]"), found));
        }
        _ => {}
    }
}

/// A path with one more field.
pub fn join(path: &str, name: &str) -> String {
    if name.contains(['.', '/', ' ']) {
        format!("{path}[{name}]")
    } else if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The ways to break a value, each with its name.
pub fn broken(value: &Value, path: &str) -> Vec<(String, Value)> {
    let mut ways = vec![("removed".to_owned(), json!(REMOVE))];
    let mut add = |values: &[Value]| ways.extend(values.iter().map(|value| (value.to_string(), value.clone())));
    match value {
        Value::String(text) if is_quantity(text, path) => {
            add(&[
                json!(""),
                json!("-1"),
                json!("0"),
                json!("1x"),
                json!("1.5"),
                json!("1e3"),
                json!(3),
                json!(true),
            ]);
        }
        Value::String(_) => {
            add(&[
                json!(""),
                json!("A_b!"),
                json!("-x"),
                json!("a.b"),
                json!("a/b"),
                json!("9"),
                json!(7),
            ]);
            ways.push(("64 letters".to_owned(), "x".repeat(64).into()));
        }
        Value::Number(_) => add(&[
            json!(-1),
            json!(0),
            json!(1),
            json!(65_536),
            json!(2_147_483_648_u64),
            json!("x"),
        ]),
        Value::Bool(flag) => add(&[json!(!flag), json!("yes")]),
        Value::Array(list) => {
            add(&[json!([]), json!({})]);
            if let Some(first) = list.first() {
                let mut twice = list.clone();
                twice.push(first.clone());
                ways.push(("first twice".to_owned(), twice.into()));
            }
        }
        Value::Object(fields) => {
            add(&[json!({}), json!([])]);
            if is_words(path) {
                broken_words(fields, &mut ways);
            } else {
                let mut more = fields.clone();
                more.insert("unheardOf".to_owned(), json!(1));
                ways.push(("with an unknown field".to_owned(), more.into()));
            }
        }
        Value::Null => {}
    }
    ways
}

fn is_quantity(text: &str, path: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && [
            "requests",
            "limits",
            "sizeLimit",
            "storage",
            "hard",
            "divisor",
            "max",
            "min",
            "default",
            "capacity",
            "Ratio",
        ]
        .iter()
        .any(|word| path.contains(word))
}

fn is_words(path: &str) -> bool {
    [
        "labels",
        "annotations",
        "matchLabels",
        "selector",
        "nodeSelector",
        "data",
        "parameters",
    ]
    .iter()
    .any(|word| path.ends_with(&format!(".{word}")) || path == *word)
}

fn broken_words(fields: &Map<String, Value>, ways: &mut Vec<(String, Value)>) {
    let long = "x".repeat(64);
    let keys = ["", "a b", "/x", "x/", "a/b/c", "UP/x", "-x", "..", long.as_str()];
    let values = ["a b", "-x", "UP.ok", long.as_str()];
    let pairs = keys
        .iter()
        .map(|key| (*key, "v"))
        .chain(values.iter().map(|value| ("k", *value)));
    for (key, value) in pairs {
        let mut more = fields.clone();
        more.insert(key.to_owned(), value.into());
        let name = format!("with {key}={value}").replace(&long, "64 letters");
        ways.push((name, more.into()));
    }
}

/// A value of the same type that is as good, as far as its type tells; for updates.
pub fn other(value: &Value, path: &str) -> Option<Value> {
    match value {
        Value::String(text) if is_quantity(text, path) => Some(format!("1{text}").into()),
        Value::String(text) => Some(format!("{text}x").into()),
        Value::Number(number) => Some((number.as_i64()? + 1).into()),
        Value::Bool(flag) => Some((!flag).into()),
        _ => None,
    }
}
