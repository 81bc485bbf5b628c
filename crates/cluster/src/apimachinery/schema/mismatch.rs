//! The first value of a type that cannot be decoded, for built-in kinds: a decoder stops there.

use serde_json::Value;

use super::{Kind, Path, Schema};
use crate::apimachinery::json_words;

/// A value that is not of its field's type.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Path of the field.
    pub path: String,
    /// What stands there, as Go's JSON decoder calls it.
    pub found: String,
}

/// Looks only at types: what must be there and which values are allowed is a matter of each kind's validation.
pub fn mismatch(schema: &Schema, value: &Value, path: &Path<'_>) -> Option<Mismatch> {
    let schema = schema.resolve();
    match (&schema.kind, value) {
        (_, Value::Null)
        | (Kind::Any | Kind::Untyped { .. } | Kind::Reference(_), _)
        | (Kind::String, Value::String(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::Number, Value::Number(_))
        | (Kind::IntOrString | Kind::Quantity, Value::Number(_) | Value::String(_)) => None,
        (Kind::Integer, Value::Number(number)) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => None,
        (Kind::Object(object), Value::Object(fields)) => fields.iter().find_map(|(name, field)| {
            let known = object.properties.get(name).or(object.additional.as_ref())?;
            mismatch(known, field, &Path::Field(path, name))
        }),
        (Kind::Array { items, .. }, Value::Array(list)) => list
            .iter()
            .enumerate()
            .find_map(|(index, item)| mismatch(items, item, &Path::Item(path, index))),
        _ => Some(Mismatch {
            path: path.to_string(),
            found: json_words::called_for(matches!(schema.kind, Kind::Integer), value),
        }),
    }
}
