//! Removing what a schema does not know, and adding what it defaults.

use serde_json::Value;

use super::{Kind, Path, Schema, builtin};

/// Removes fields the schema does not know and nulls it does not allow; returns the paths of the unknown fields.
pub fn prune(schema: &Schema, value: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_at(schema, value, &Path::ROOT, &mut unknown);
    unknown
}

fn prune_at(schema: &Schema, value: &mut Value, path: &Path<'_>, unknown: &mut Vec<String>) {
    match (&schema.resolve().kind, value) {
        (Kind::Untyped { object, .. }, Value::Object(fields)) => {
            for (name, field) in fields.iter_mut() {
                if let Some(known) = object.properties.get(name).or(object.additional.as_ref()) {
                    prune_at(known, field, &Path::Field(path, name), unknown);
                }
            }
        }
        (Kind::Object(object), Value::Object(fields)) => {
            let embedded = schema.embedded;
            fields.retain(|name, field| {
                let known = object.properties.get(name).or(object.additional.as_ref());
                let Some(known) = known else {
                    let object_field = embedded && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
                    if object_field && name == "metadata" {
                        prune_at(builtin::object_meta(), field, &Path::Field(path, name), unknown);
                    }
                    let keep = object_field || object.preserve_unknown;
                    if !keep {
                        unknown.push(Path::Field(path, name).to_string());
                    }
                    return keep;
                };
                if field.is_null() {
                    return known.nullable;
                }
                prune_at(known, field, &Path::Field(path, name), unknown);
                true
            });
        }
        (Kind::Array { items, .. }, Value::Array(list)) => {
            for (index, item) in list.iter_mut().enumerate() {
                prune_at(items, item, &Path::Item(path, index), unknown);
            }
        }
        _ => {}
    }
}

/// Fills missing fields that have a default, at every depth that exists.
pub fn apply_defaults(schema: &Schema, value: &mut Value) {
    if !schema.has_defaults {
        return;
    }
    match (&schema.resolve().kind, value) {
        (Kind::Object(object) | Kind::Untyped { object, .. }, Value::Object(fields)) => {
            for (name, known) in &object.properties {
                match fields.get_mut(name) {
                    Some(field) if field.is_null() && !known.nullable && known.default.is_some() => {
                        *field = known.default.clone().unwrap_or_default();
                    }
                    Some(_) => {}
                    None => {
                        if let Some(default) = &known.default {
                            fields.insert(name.clone(), default.clone());
                        }
                    }
                }
            }
            for (name, field) in fields.iter_mut() {
                if let Some(known) = object.properties.get(name).or(object.additional.as_ref()) {
                    apply_defaults(known, field);
                }
            }
        }
        (Kind::Array { items, .. }, Value::Array(list)) => {
            list.iter_mut().for_each(|item| apply_defaults(items, item));
        }
        _ => {}
    }
}
