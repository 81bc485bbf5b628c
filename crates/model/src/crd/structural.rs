//! JSON schema of the Rust types, made structural as `apiextensions.k8s.io/v1` wants it.
//!
//! An optional field is one that may be left out, not one that may be null; an enum of documented variants is a plain `enum`;
//! references are written out; what the API server does not know (`default` of sub-objects, `title`, `const`) is gone.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// How much of the schema is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Everything: for explanations and for the lint. Quantities carry `format: quantity`.
    Full,
    /// What an API server needs: no descriptions of embedded Kubernetes types, so that `kubectl apply` can keep its annotation.
    Compact,
}

const KUBERNETES: &str = "io.k8s.";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The structural schema of a type.
pub(super) fn of<T: schemars::JsonSchema>(detail: Detail) -> Value {
    let root = schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>();
    let root = root.to_value();
    let empty = Map::new();
    let definitions = root.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
    let embedded = T::schema_name().starts_with(KUBERNETES);
    let converter = Converter {
        definitions,
        detail,
        done: RefCell::default(),
    };
    converter.convert(&root, embedded)
}

struct Converter<'a> {
    definitions: &'a Map<String, Value>,
    detail: Detail,
    /// Definitions that were converted already: the pod's occur dozens of times.
    done: RefCell<HashMap<String, Map<String, Value>>>,
}

impl Converter<'_> {
    /// `embedded` says that the schema is of a Kubernetes type, not of ours.
    fn convert(&self, schema: &Value, embedded: bool) -> Value {
        let Some(schema) = schema.as_object() else {
            return json!({ "x-kubernetes-preserve-unknown-fields": true });
        };
        let mut result = self.base(schema, embedded);
        if self.detail == Detail::Full || !embedded {
            copy(schema, &mut result, "description");
        } else {
            result.shift_remove("description");
        }
        for key in [
            "format",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "pattern",
            "enum",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-int-or-string",
            "x-kubernetes-list-type",
            "x-kubernetes-list-map-keys",
        ] {
            copy(schema, &mut result, key);
        }
        match schema.get("type") {
            Some(Value::Array(types)) => {
                result.extend(
                    types
                        .iter()
                        .find(|kind| *kind != "null")
                        .map(|kind| ("type".to_owned(), kind.clone())),
                );
            }
            Some(kind) => {
                result.insert("type".to_owned(), kind.clone());
            }
            None => {}
        }
        if let Some(items) = schema.get("items") {
            result.insert("items".to_owned(), self.convert(items, embedded));
        }
        match schema.get("additionalProperties") {
            Some(values @ Value::Object(_)) => {
                result.insert("additionalProperties".to_owned(), self.convert(values, embedded));
            }
            Some(Value::Bool(true)) => {
                result.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
            }
            _ => {}
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let converted = properties
                .iter()
                .map(|(name, property)| (name.clone(), self.convert(property, embedded)))
                .collect();
            result.insert("properties".to_owned(), Value::Object(converted));
        }
        if let Some(required) = schema
            .get("required")
            .and_then(Value::as_array)
            .filter(|required| !required.is_empty())
        {
            result.insert("required".to_owned(), Value::Array(required.clone()));
        }
        if result.contains_key("x-kubernetes-int-or-string") {
            result.shift_remove("type");
        }
        Value::Object(result)
    }

    /// What references and alternatives contribute.
    fn base(&self, schema: &Map<String, Value>, embedded: bool) -> Map<String, Value> {
        if let Some(name) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| reference.strip_prefix("#/$defs/"))
        {
            return self.definition(name);
        }
        let alternatives = |key: &str| schema.get(key).and_then(Value::as_array);
        if let Some(choices) = alternatives("anyOf") {
            let nullable = choices
                .iter()
                .any(|choice| choice.get("type").and_then(Value::as_str) == Some("null"));
            let Some(choice) = choices
                .iter()
                .find(|choice| choice.get("type").and_then(Value::as_str) != Some("null"))
            else {
                return Map::new();
            };
            let mut result = match self.convert(choice, embedded) {
                Value::Object(result) => result,
                _ => Map::new(),
            };
            // The published API writes a null for a time that is not set.
            if nullable
                && choice
                    .get("$ref")
                    .and_then(Value::as_str)
                    .is_some_and(|reference| reference.ends_with(TIME))
            {
                result.insert("nullable".to_owned(), json!(true));
            }
            return result;
        }
        if let Some(variants) = alternatives("oneOf") {
            let values: Vec<Value> = variants
                .iter()
                .flat_map(
                    |variant| match (variant.get("const"), variant.get("enum").and_then(Value::as_array)) {
                        (Some(value), _) => vec![value.clone()],
                        (None, Some(values)) => values.clone(),
                        (None, None) => Vec::new(),
                    },
                )
                .collect();
            return Map::from_iter([
                ("type".to_owned(), json!("string")),
                ("enum".to_owned(), Value::Array(values)),
            ]);
        }
        Map::new()
    }

    fn definition(&self, name: &str) -> Map<String, Value> {
        if let Some(done) = self.done.borrow().get(name) {
            return done.clone();
        }
        let Some(definition) = self.definitions.get(name) else {
            return Map::new();
        };
        let Value::Object(mut result) = self.convert(definition, name.starts_with(KUBERNETES)) else {
            return Map::new();
        };
        if name == QUANTITY && self.detail == Detail::Full {
            result.insert("format".to_owned(), json!("quantity"));
        }
        if name == OBJECT_META && self.detail == Detail::Compact {
            let kept = ["annotations", "finalizers", "labels", "name", "namespace"];
            if let Some(properties) = result.get_mut("properties").and_then(Value::as_object_mut) {
                properties.retain(|name, _| kept.contains(&name.as_str()));
            }
        }
        self.done.borrow_mut().insert(name.to_owned(), result.clone());
        result
    }
}

fn copy(from: &Map<String, Value>, to: &mut Map<String, Value>, key: &str) {
    if let Some(value) = from.get(key) {
        to.insert(key.to_owned(), value.clone());
    }
}
