//! Whether a value is what its schema says, in the API server's words.

use serde_json::Value;

use super::{Kind, Limits, ListType, Schema, join};
use crate::apiserver::status::FieldError;

/// Complaints about `value`; paths start at `path`.
pub fn validate(schema: &Schema, value: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check(schema, value, path, &mut errors);
    errors
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if value.is_null() && schema.nullable {
        return;
    }
    let schema = schema.resolve();
    let wanted = match (&schema.kind, value) {
        (Kind::Any | Kind::Reference(_), _)
        | (Kind::Object(_), Value::Object(_))
        | (Kind::Array { .. }, Value::Array(_))
        | (Kind::String, Value::String(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::Number, Value::Number(_))
        | (Kind::IntOrString | Kind::Quantity, Value::Number(_) | Value::String(_)) => None,
        (Kind::Integer, Value::Number(number))
            if !number.is_f64() || number.as_f64().is_some_and(|n| n.fract() == 0.0) =>
        {
            None
        }
        (Kind::Object(_), _) => Some("object"),
        (Kind::Array { .. }, _) => Some("array"),
        (Kind::String, _) => Some("string"),
        (Kind::Boolean, _) => Some("boolean"),
        (Kind::Integer, _) => Some("integer"),
        (Kind::Number, _) => Some("number"),
        (Kind::IntOrString | Kind::Quantity, _) => Some("integer,string"),
    };
    if let Some(wanted) = wanted {
        let found = Value::from(type_name(value));
        let message = format!("{path} in body must be of type {wanted}: {found}");
        errors.push(FieldError::type_invalid(path, &found, &message));
        return;
    }
    if let Some(limits) = &schema.limits {
        check_limits(limits, value, path, errors);
    }
    match (&schema.kind, value) {
        (Kind::Object(object), Value::Object(fields)) => {
            for name in &object.required {
                if !fields.contains_key(name) {
                    errors.push(FieldError::required(&join(path, name), ""));
                }
            }
            for (name, field) in fields {
                match object.properties.get(name) {
                    Some(known) => check(known, field, &join(path, name), errors),
                    None => {
                        if let Some(known) = &object.additional {
                            check(known, field, &join(path, name), errors);
                        }
                    }
                }
            }
        }
        (Kind::Array { items, list }, Value::Array(elements)) => {
            for (index, item) in elements.iter().enumerate() {
                check(items, item, &format!("{path}[{index}]"), errors);
            }
            check_duplicates(list, elements, path, errors);
        }
        _ => {}
    }
}

fn check_duplicates(list: &ListType, elements: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    let name = |item: &Value| match list {
        ListType::Atomic => None,
        ListType::Set => Some(item.clone()),
        ListType::Map(keys) => Some(keys.iter().map(|key| (key.clone(), item[key].clone())).collect()),
    };
    let mut seen = std::collections::HashSet::new();
    for (index, item) in elements.iter().enumerate() {
        let Some(name) = name(item) else { return };
        if !seen.insert(name.to_string()) {
            errors.push(FieldError::duplicate(&format!("{path}[{index}]"), &name));
        }
    }
}

fn check_limits(limits: &Limits, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let mut complain = |message: String| errors.push(FieldError::invalid(path, value, &message));
    if let Some(number) = value.as_f64() {
        if let Some((least, excluded)) = limits.minimum
            && (number < least || (excluded && number <= least))
        {
            let relation = if excluded {
                "greater than"
            } else {
                "greater than or equal to"
            };
            complain(format!("{path} in body should be {relation} {least}"));
        }
        if let Some((most, excluded)) = limits.maximum
            && (number > most || (excluded && number >= most))
        {
            let relation = if excluded { "less than" } else { "less than or equal to" };
            complain(format!("{path} in body should be {relation} {most}"));
        }
    }
    let size = match value {
        Value::String(text) => Some((text.chars().count(), "chars long")),
        Value::Array(list) => Some((list.len(), "items")),
        Value::Object(fields) => Some((fields.len(), "properties")),
        _ => None,
    };
    if let Some((size, unit)) = size {
        let verb = if unit == "chars long" { "be" } else { "have" };
        if let Some(least) = limits.at_least.filter(|least| (size as u64) < *least) {
            complain(format!("{path} in body should {verb} at least {least} {unit}"));
        }
        if let Some(most) = limits.at_most.filter(|most| (size as u64) > *most) {
            complain(format!("{path} in body should {verb} at most {most} {unit}"));
        }
    }
    if let (Some(pattern), Some(text)) = (&limits.pattern, value.as_str())
        && regex::Regex::new(pattern).is_ok_and(|expression| !expression.is_match(text))
    {
        complain(format!("{path} in body should match '{pattern}'"));
    }
    if !limits.enumeration.is_empty() && !limits.enumeration.contains(value) {
        errors.push(FieldError::not_supported(path, value, &limits.enumeration));
    }
}
