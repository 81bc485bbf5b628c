//! Whether a value is what its schema says, in the API server's words.

use serde_json::Value;

use super::{Format, Kind, Limits, ListType, ObjectSchema, Path, Schema};
use crate::apimachinery::status::FieldError;

/// Complaints about `value`; paths start at `path`.
pub fn validate(schema: &Schema, value: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check(schema, value, None, &Path::Start(path), &mut errors);
    errors
}

/// Complaints about what an update changed. What was wrong before and is not touched is left alone (validation ratcheting).
pub fn validate_update(schema: &Schema, value: &Value, old: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check(schema, value, Some(old), &Path::Start(path), &mut errors);
    errors
}

pub(super) fn type_name(value: &Value) -> &'static str {
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

/// The type a value should have had; `None` if it has it.
fn wrong_type(kind: &Kind, value: &Value) -> Option<&'static str> {
    match (kind, value) {
        (Kind::Any | Kind::Untyped { .. } | Kind::Reference(_), _)
        | (Kind::Object(_), Value::Object(_))
        | (Kind::Array { .. }, Value::Array(_))
        | (Kind::String, Value::String(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::Number, Value::Number(_))
        | (Kind::Quantity, Value::Number(_) | Value::String(_)) => None,
        (Kind::Integer, Value::Number(number))
            if !number.is_f64() || number.as_f64().is_some_and(|n| n.fract() == 0.0) =>
        {
            None
        }
        (Kind::IntOrString, Value::String(_)) => None,
        (Kind::IntOrString, Value::Number(number)) if !number.is_f64() => None,
        (Kind::Object(_), _) => Some("object"),
        (Kind::Array { .. }, _) => Some("array"),
        (Kind::String, _) => Some("string"),
        (Kind::Boolean, _) => Some("boolean"),
        (Kind::Integer, _) => Some("integer"),
        (Kind::Number, _) => Some("number"),
        (Kind::IntOrString | Kind::Quantity, _) => Some("integer,string"),
    }
}

fn check(schema: &Schema, value: &Value, old: Option<&Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if (value.is_null() && schema.nullable) || old == Some(value) {
        return;
    }
    let format = schema.format;
    let schema = schema.resolve();
    if let Some(wanted) = wrong_type(&schema.kind, value) {
        let found = Value::from(type_name(value));
        let message = format!("{path} in body must be of type {wanted}: {found}");
        errors.push(FieldError::type_invalid(&path.to_string(), &found, &message));
        if let Some(limits) = &schema.limits {
            check_enumeration(limits, value, path, errors);
        }
        return;
    }
    check_format(format, value, path, errors);
    if let Some(limits) = &schema.limits {
        check_limits(limits, value, path, errors);
        check_junctors(limits, value, path, errors);
    }
    match (&schema.kind, value) {
        (Kind::Object(object) | Kind::Untyped { object, .. }, Value::Object(_)) => {
            check_object(object, value, old, path, errors);
            if schema.embedded {
                for name in ["apiVersion", "kind"] {
                    if value[name].as_str().is_none_or(str::is_empty) {
                        errors.push(FieldError::required(
                            &Path::Field(path, name).to_string(),
                            "must not be empty",
                        ));
                    }
                }
            }
        }
        (Kind::Array { items, list }, Value::Array(elements)) => {
            for (index, item) in elements.iter().enumerate() {
                let before = old.and_then(|old| counterpart(list, item, index, old));
                check(items, item, before, &Path::Item(path, index), errors);
            }
            check_duplicates(list, elements, path, errors);
        }
        (Kind::Untyped { items: Some(items), .. }, Value::Array(elements)) => {
            for (index, item) in elements.iter().enumerate() {
                check(items, item, None, &Path::Item(path, index), errors);
            }
        }
        _ => {}
    }
}

fn check_object(
    object: &ObjectSchema,
    value: &Value,
    old: Option<&Value>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let Some(fields) = value.as_object() else { return };
    for name in &object.required {
        if !fields.contains_key(name) {
            errors.push(FieldError::required(&Path::Field(path, name).to_string(), ""));
        }
    }
    for (name, field) in fields {
        let known = object
            .properties
            .get(name)
            .map(|known| (known, Path::Field(path, name)));
        let known = known.or_else(|| object.additional.as_ref().map(|known| (known, Path::Key(path, name))));
        if let Some((known, place)) = known {
            check(known, field, old.and_then(|old| old.get(name)), &place, errors);
        }
    }
}

/// The item of the old list that an item of a keyed list was.
pub(super) fn counterpart<'v>(list: &ListType, item: &Value, index: usize, old: &'v Value) -> Option<&'v Value> {
    let old = old.as_array()?;
    match list {
        ListType::Map(keys) => {
            let same = |other: &&Value| keys.iter().all(|key| other.get(key) == item.get(key));
            // Most lists keep their order.
            old.get(index).filter(same).or_else(|| old.iter().find(same))
        }
        _ => None,
    }
}

fn check_duplicates(list: &ListType, elements: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let name = |item: &Value| match list {
        ListType::Atomic => None,
        ListType::Set => Some(item.clone()),
        ListType::Map(keys) => Some(
            keys.iter()
                .filter_map(|key| item.get(key).map(|value| (key.clone(), value.clone())))
                .collect(),
        ),
    };
    let mut seen = std::collections::HashSet::new();
    for (index, item) in elements.iter().enumerate() {
        let Some(name) = name(item) else { return };
        if !seen.insert(name.to_string()) {
            errors.push(FieldError::duplicate(&format!("{path}[{index}]"), &name));
        }
    }
}

fn check_format(format: Format, value: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match (format, value) {
        (Format::None, _) => {}
        (format, Value::String(text)) if !format.holds(text) => {
            let message = format!("{path} in body must be of type {}: {text:?}", format.name());
            errors.push(FieldError::invalid(&path.to_string(), value, &message));
        }
        _ => {}
    }
}

fn check_limits(limits: &Limits, value: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut complain = |message: String| errors.push(FieldError::invalid(&path.to_string(), value, &message));
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
        if let Some(unit) = limits.multiple_of.filter(|unit| *unit != 0.0) {
            let times = number / unit;
            if (times - times.round()).abs() > 1e-9 * times.abs().max(1.0) {
                complain(format!("{path} in body should be a multiple of {unit}"));
            }
        }
    }
    let (size, range, verb, unit) = match value {
        Value::String(text) => (text.chars().count(), limits.length, "be", "chars long"),
        Value::Array(list) => (list.len(), limits.items, "have", "items"),
        Value::Object(fields) => (fields.len(), limits.properties, "have", "properties"),
        _ => (0, super::Range::default(), "", ""),
    };
    let count = size;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    if let Some(least) = range.least.filter(|least| size < *least) {
        complain(format!("{path} in body should {verb} at least {least} {unit}"));
    }
    if let (Some((pattern, Some(expression))), Some(text)) = (&limits.pattern, value.as_str())
        && !expression.is_match(text)
    {
        complain(format!("{path} in body should match '{pattern}'"));
    }
    if let Some(most) = range.most.filter(|most| size > *most) {
        errors.push(match value {
            Value::String(_) => FieldError::too_long(&path.to_string(), &too_long(most)),
            _ => FieldError::too_many(&path.to_string(), count, most),
        });
    }
    check_enumeration(limits, value, path, errors);
}

fn too_long(most: i64) -> String {
    if most < 0 {
        return "value is too long".to_owned();
    }
    let unit = if most == 1 { "byte" } else { "bytes" };
    format!("may not be more than {most} {unit}")
}

/// The allowed values, which complaints show as strings whatever they are.
fn check_enumeration(limits: &Limits, value: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if limits.enumeration.is_empty() || limits.enumeration.contains(value) {
        return;
    }
    let as_text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let texts: Vec<Value> = limits.enumeration.iter().map(|value| as_text(value).into()).collect();
    errors.push(FieldError::not_supported(&path.to_string(), value, &texts));
}

/// `allOf`, `anyOf`, `oneOf`, `not`.
fn check_junctors(limits: &Limits, value: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let found = |schema: &Schema| {
        let mut errors = Vec::new();
        check(schema, value, None, path, &mut errors);
        errors
    };
    for part in &limits.all_of {
        let complaints = found(part);
        if !complaints.is_empty() {
            let message = format!("{:?} must validate all the schemas (allOf)", path.to_string());
            errors.push(FieldError::invalid(&path.to_string(), value, &message));
            errors.extend(complaints);
            break;
        }
    }
    if !limits.any_of.is_empty() {
        let tried: Vec<Vec<FieldError>> = limits.any_of.iter().map(found).collect();
        if tried.iter().all(|complaints| !complaints.is_empty()) {
            let message = format!("{:?} must validate at least one schema (anyOf)", path.to_string());
            errors.push(FieldError::invalid(&path.to_string(), value, &message));
            errors.extend(tried.into_iter().min_by_key(Vec::len).unwrap_or_default());
        }
    }
    if !limits.one_of.is_empty() {
        let tried: Vec<Vec<FieldError>> = limits.one_of.iter().map(found).collect();
        let valid = tried.iter().filter(|complaints| complaints.is_empty()).count();
        if valid != 1 {
            let count = match valid {
                0 => "Found none valid".to_owned(),
                count => format!("Found {count} valid alternatives"),
            };
            let message = format!(
                "{:?} must validate one and only one schema (oneOf). {count}",
                path.to_string()
            );
            errors.push(FieldError::invalid(&path.to_string(), value, &message));
            if valid == 0 {
                errors.extend(tried.into_iter().min_by_key(Vec::len).unwrap_or_default());
            }
        }
    }
    if let Some(not) = &limits.not
        && found(not).is_empty()
    {
        let message = format!("{:?} must not validate the schema (not)", path.to_string());
        errors.push(FieldError::invalid(&path.to_string(), value, &message));
    }
}
