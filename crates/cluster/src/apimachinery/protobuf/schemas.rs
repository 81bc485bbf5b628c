//! The first value of a wrong type within the schemas of a definition, as a decoder into Go's structures tells it.

use serde_json::Value;

use super::go::go_type;
use super::table::{Field, Kind, Message, Shape, Special, Table};
use crate::apimachinery::json_words;

/// Where a decoder is: the names so far, or the last it tells, because what is below is read by a decoder of its own.
struct At {
    names: String,
    told: bool,
}

impl At {
    fn below(&self, name: &str) -> At {
        let names = if self.told {
            self.names.clone()
        } else {
            format!("{}.{name}", self.names)
        };
        At { names, told: self.told }
    }
}

/// Why the schemas of a definition cannot be decoded.
pub fn wrong_in_definition(definition: &Value) -> Option<String> {
    let table = Table::get();
    let message = table.named("apiextensions/v1", "CustomResourceValidation")?;
    let versions = definition["spec"]["versions"].as_array()?;
    let at = At {
        names: "spec.versions.schema".to_owned(),
        told: false,
    };
    versions
        .iter()
        .find_map(|version| wrong_in(table, message, &version["schema"], &at))
}

/// In the order of the fields as they came.
fn wrong_in(table: &Table, message: &Message, object: &Value, at: &At) -> Option<String> {
    object.as_object()?.iter().find_map(|(name, value)| {
        let field = message.fields.iter().find(|field| field.name == name)?;
        let at = at.below(name);
        let say = |value: &Value, inner: bool| {
            let kind = go_type(table, message, field, inner);
            Some(format!(
                "json: cannot unmarshal {} into Go struct field {}.{} of type {kind}",
                json_words::called_for(matches!(field.kind, Kind::Whole | Kind::Long), value),
                message.name,
                at.names
            ))
        };
        match (field.shape, value) {
            (_, Value::Null) => None,
            (Shape::One, value) if fits(table, field, value) => below(table, field, value, &at),
            (Shape::One, value) => say(value, true),
            (Shape::List, Value::Array(list)) => list.iter().find_map(|item| match fits(table, field, item) {
                true => below(table, field, item, &at),
                false => say(item, true),
            }),
            (Shape::Map, Value::Object(map)) => map.values().find_map(|item| match fits(table, field, item) {
                true => below(table, field, item, &at),
                false => say(item, true),
            }),
            (_, value) => say(value, false),
        }
    })
}

/// Takes out what no schema knows, and answers where it was. What is read by a decoder of its own is not told.
pub fn prune(definition: &mut Value) -> Vec<String> {
    let table = Table::get();
    let mut unknown = Vec::new();
    let Some(message) = table.named("apiextensions/v1", "JSONSchemaProps") else {
        return unknown;
    };
    let versions = definition.pointer_mut("/spec/versions").and_then(Value::as_array_mut);
    for (index, version) in versions.into_iter().flatten().enumerate() {
        if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema") {
            let at = At {
                names: format!("spec.versions[{index}].schema.openAPIV3Schema"),
                told: false,
            };
            prune_in(table, message, schema, &at, &mut unknown);
        }
    }
    unknown
}

fn prune_in(table: &Table, message: &Message, object: &mut Value, at: &At, unknown: &mut Vec<String>) {
    let Some(fields) = object.as_object_mut() else { return };
    fields.retain(|name, value| {
        let at = at.below(name);
        let Some(field) = message.fields.iter().find(|field| field.name == name) else {
            if !at.told {
                unknown.push(at.names);
            }
            return false;
        };
        // A field without a value counts as absent.
        if value.is_null() {
            return false;
        }
        let Kind::Message(id) = field.kind else { return true };
        let inner = table.message(id);
        let (inner, told) = match inner.special {
            None => (inner, at.told),
            Some(Special::SchemaOrArray | Special::SchemaOrBool | Special::SchemaOrTexts) => (message, true),
            Some(_) => return true,
        };
        let at = At { names: at.names, told };
        match value {
            Value::Array(list) => {
                for (index, item) in list.iter_mut().enumerate() {
                    let at = At {
                        names: format!("{}[{index}]", at.names),
                        told,
                    };
                    prune_in(table, inner, item, &at, unknown);
                }
            }
            Value::Object(map) if field.shape == Shape::Map => {
                for (key, item) in map.iter_mut() {
                    prune_in(table, inner, item, &at.below(key), unknown);
                }
            }
            value => prune_in(table, inner, value, &at, unknown),
        }
        true
    });
}

fn fits(table: &Table, field: &Field, value: &Value) -> bool {
    match field.kind {
        Kind::Text | Kind::Bytes => value.is_string() || value.is_null(),
        Kind::Truth => value.is_boolean() || value.is_null(),
        Kind::Whole | Kind::Long => value.is_i64() || value.is_null(),
        Kind::Real => value.is_number() || value.is_null(),
        Kind::Message(id) => table.message(id).special.is_some() || value.is_object() || value.is_null(),
    }
}

/// Looks into a value that is of its field's type.
fn below(table: &Table, field: &Field, value: &Value, at: &At) -> Option<String> {
    let Kind::Message(id) = field.kind else { return None };
    let message = table.message(id);
    if message.special.is_none() {
        return wrong_in(table, message, value, at);
    }
    let own = [Special::SchemaOrArray, Special::SchemaOrBool, Special::SchemaOrTexts];
    if !message.special.is_some_and(|special| own.contains(&special)) {
        return None;
    }
    let schema = table.named("apiextensions/v1", "JSONSchemaProps")?;
    let at = At {
        names: at.names.clone(),
        told: true,
    };
    match value {
        Value::Array(list) => list.iter().find_map(|item| wrong_in(table, schema, item, &at)),
        value => wrong_in(table, schema, value, &at),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_decoded_as_go_decodes_it() {
        let definition = |schema: Value| json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]}});
        for (schema, expected) in [
            (
                json!({"properties": {"a": {"maxLength": "x"}}}),
                "json: cannot unmarshal string into Go struct field JSONSchemaProps.spec.versions.schema.openAPIV3Schema.properties.maxLength of type int64",
            ),
            (
                json!({"items": {"required": [7]}}),
                "json: cannot unmarshal number into Go struct field JSONSchemaProps.spec.versions.schema.openAPIV3Schema.items of type string",
            ),
            (
                json!([]),
                "json: cannot unmarshal array into Go struct field CustomResourceValidation.spec.versions.schema.openAPIV3Schema of type v1.JSONSchemaProps",
            ),
        ] {
            assert_eq!(wrong_in_definition(&definition(schema)).as_deref(), Some(expected));
        }
        let right = json!({"type": "object", "default": 5, "enum": [{}], "additionalProperties": true, "minimum": 0});
        assert_eq!(wrong_in_definition(&definition(right)), None);
    }
}
