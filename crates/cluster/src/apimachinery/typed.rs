//! What a patch or an apply has made, held against the types of its kind.

use serde_json::Value;

use super::kinds;
use super::resources::Resource;
use super::schema::{Kind, Schema};
use super::status::{FieldError, Status};

/// The result of a patch is refused: the complaint shows all of it, in Go's order of fields.
pub fn not_patched(new: &Value, why: &str) -> Status {
    const METADATA: [&str; 8] = [
        "name",
        "generateName",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "labels",
    ];
    let mut told = kinds::sorted(new);
    let mut metadata = serde_json::Map::new();
    let mut fields = new["metadata"].as_object().cloned().unwrap_or_default();
    for name in METADATA {
        metadata.extend(fields.shift_remove_entry(name));
    }
    metadata.extend(fields);
    // A merge patch may have made anything of it, a number too.
    if let Some(fields) = told.as_object_mut() {
        fields.insert("metadata".to_owned(), Value::Object(metadata));
    }
    let error = FieldError::invalid("patch", &told.to_string().into(), why);
    Status::invalid("", "", "", &[error])
}

/// What is applied must fit the schema of its kind: no field can be managed that the schema does not have, or that has another shape.
pub fn check_applied(resource: &Resource, schema: &Schema, applied: &Value) -> Result<(), Status> {
    let Some(why) = not_of(schema, applied, &mut String::new()) else {
        return Ok(());
    };
    let word = |field: &str| applied["metadata"][field].as_str().unwrap_or_default();
    let message = format!(
        "failed to create typed patch object ({}/{}; {}/{}, Kind={}): {why}",
        word("namespace"),
        word("name"),
        resource.group,
        resource.version,
        resource.kind
    );
    Err(Status::new(500, "", message))
}

/// The first field that a schema does not know, or of another shape.
fn not_of(schema: &Schema, value: &Value, path: &mut String) -> Option<String> {
    let wrong = |wanted: &str, path: &str| {
        let told = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(format!("{path}: expected {wanted}, got &{{{told}}}"))
    };
    match (&schema.resolve().kind, value) {
        (Kind::Object(object), Value::Object(fields)) => fields.iter().find_map(|(name, field)| {
            let length = path.len();
            path.push_str(&format!(".{name}"));
            let known = object.properties.get(name).or(object.additional.as_ref());
            let found = match known {
                Some(known) => not_of(known, field, path),
                None if object.preserve_unknown => None,
                None => Some(format!("{path}: field not declared in schema")),
            };
            path.truncate(length);
            found
        }),
        (Kind::Array { items, .. }, Value::Array(list)) => list.iter().enumerate().find_map(|(index, item)| {
            let length = path.len();
            path.push_str(&format!("[{index}]"));
            let found = not_of(items, item, path);
            path.truncate(length);
            found
        }),
        (_, Value::Null) => None,
        (Kind::Object(_), _) => wrong("map", path),
        (Kind::Array { .. }, _) => wrong("list", path),
        (Kind::String, Value::Number(_) | Value::Bool(_)) => wrong("string", path),
        (Kind::Integer | Kind::Number, Value::String(_) | Value::Bool(_)) => wrong("numeric (int or float)", path),
        (Kind::Boolean, Value::String(_) | Value::Number(_)) => wrong("boolean", path),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_a_patch_made_can_be_shown() {
        for (new, shown) in [
            (json!(1), "1"),
            (json!("x"), "\\\"x\\\""),
            (json!([null]), "[null]"),
            (
                json!({"spec": 1, "metadata": {"uid": "u", "name": "n"}}),
                "{\\\"metadata\\\":{\\\"name\\\":\\\"n\\\",\\\"uid\\\":\\\"u\\\"},\\\"spec\\\":1}",
            ),
            (json!({"metadata": "x"}), "{\\\"metadata\\\":{}}"),
        ] {
            let message = not_patched(&new, "why").message;
            assert!(message.contains(shown), "{message}");
        }
    }
}
