//! Objects and arrays.

use std::collections::BTreeMap;

use regorus::Value;

use super::{builtin, items};

/// Paths that are kept; a path that ends keeps everything below it.
#[derive(Default)]
struct Kept {
    everything: bool,
    below: BTreeMap<Value, Kept>,
}

pub(super) fn filter(arguments: &[Value]) -> Option<Value> {
    let [object @ Value::Object(_), paths] = arguments else {
        return None;
    };
    let mut kept = Kept::default();
    for path in items(paths)? {
        let steps: Vec<Value> = match &path {
            Value::String(text) => {
                let steps = text.trim_start_matches('/').split('/');
                steps
                    .map(|step| Value::from(step.replace("~1", "/").replace("~0", "~")))
                    .collect()
            }
            Value::Array(steps) => steps.iter().cloned().collect(),
            _ => return None,
        };
        let mut node = &mut kept;
        for step in steps {
            node = node.below.entry(step).or_default();
        }
        node.everything = true;
    }
    Some(of_kept(object, &kept))
}

fn of_kept(value: &Value, kept: &Kept) -> Value {
    if kept.everything {
        return value.clone();
    }
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), of_kept(value, kept.below.get(key)?))));
            Value::from(fields.collect::<BTreeMap<_, _>>())
        }
        Value::Array(values) => {
            let numbered = values.iter().enumerate();
            let below = |at: usize| {
                let step = Value::from(at.to_string());
                kept.below
                    .get(&step)
                    .or_else(|| kept.below.get(&Value::from(u64::try_from(at).ok()?)))
            };
            let values = numbered.filter_map(|(at, value)| Some(of_kept(value, below(at)?)));
            Value::from(values.collect::<Vec<_>>())
        }
        other => other.clone(),
    }
}

/// Undefined where the two are of kinds that have nothing in common.
pub(super) fn subset(arguments: &[Value]) -> Option<Value> {
    match arguments {
        [Value::Object(_), Value::Object(_)]
        | [Value::Set(_), Value::Set(_)]
        | [Value::Array(_), Value::Array(_) | Value::Set(_)] => builtin("object.subset(input[0], input[1])", arguments),
        _ => None,
    }
}

/// Arrays within an array become part of it, one level deep.
pub(super) fn flatten(arguments: &[Value]) -> Option<Value> {
    let Value::Array(values) = arguments.first()? else {
        return None;
    };
    let mut flat = Vec::new();
    for value in values.iter() {
        match value {
            Value::Array(inner) => flat.extend(inner.iter().cloned()),
            other => flat.push(other.clone()),
        }
    }
    Some(Value::from(flat))
}
