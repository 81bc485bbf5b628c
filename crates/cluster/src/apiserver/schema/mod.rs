//! Schemas as trees: what fields an object has, how its lists merge, and whether a value is allowed.
//!
//! In: JSON Schema, of our built-in types ([`builtin`]) or of a CustomResourceDefinition. Out: pruning of unknown fields with their paths,
//! defaulting, validation with Kubernetes' words, and the list types that patches and server-side apply follow.

pub mod builtin;
mod mismatch;
mod prune;
mod validate;

pub use mismatch::{Mismatch, mismatch};
pub use prune::{apply_defaults, prune};
pub use validate::validate;

use std::collections::HashMap;

use serde_json::Value;

/// How the items of a list belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// The list is one value.
    #[default]
    Atomic,
    /// A set of scalars.
    Set,
    /// Items named by these fields.
    Map(Vec<String>),
}

/// What a value may be.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Anything, unknown fields kept.
    Any,
    /// A structure or a map.
    Object(Box<ObjectSchema>),
    /// A list.
    Array {
        /// Schema of each item.
        items: Box<Schema>,
        /// How items merge.
        list: ListType,
    },
    /// Text.
    String,
    /// true or false.
    Boolean,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// A number or a text.
    IntOrString,
    /// A Kubernetes quantity.
    Quantity,
    /// A built-in type, by name.
    Reference(&'static builtin::Cell),
}

/// Fields of a structure, or the type of a map's values.
#[derive(Clone, Debug, Default)]
pub struct ObjectSchema {
    /// Known fields.
    pub properties: HashMap<String, Schema>,
    /// Fields that must be there.
    pub required: Vec<String>,
    /// Type of a map's values.
    pub additional: Option<Schema>,
    /// Unknown fields are kept.
    pub preserve_unknown: bool,
    /// The whole map is one value for patches.
    pub atomic: bool,
}

/// Limits beyond the type.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Allowed values.
    pub enumeration: Vec<Value>,
    /// Smallest and largest number, and whether each is excluded.
    pub minimum: Option<(f64, bool)>,
    /// Largest number, and whether it is excluded.
    pub maximum: Option<(f64, bool)>,
    /// Fewest characters, items or fields.
    pub at_least: Option<u64>,
    /// Most characters, items or fields.
    pub at_most: Option<u64>,
    /// Regular expression.
    pub pattern: Option<String>,
}

/// A schema node.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Type.
    pub kind: Kind,
    /// null is a value of its own.
    pub nullable: bool,
    /// Value of a missing field.
    pub default: Option<Value>,
    /// Further limits.
    pub limits: Option<Box<Limits>>,
    /// A whole Kubernetes object (`x-kubernetes-embedded-resource`).
    pub embedded: bool,
}

impl Schema {
    /// A schema that accepts everything.
    pub fn any() -> Schema {
        Schema {
            kind: Kind::Any,
            nullable: true,
            default: None,
            limits: None,
            embedded: false,
        }
    }

    /// The schema itself, or the built-in type it refers to.
    pub fn resolve(&self) -> &Schema {
        match self.kind {
            Kind::Reference(cell) => builtin::definition(cell),
            _ => self,
        }
    }

    /// Schema of a field, if this is an object that knows it.
    pub fn field(&self, name: &str) -> Option<&Schema> {
        match &self.resolve().kind {
            Kind::Object(object) => object.properties.get(name).or(object.additional.as_ref()),
            _ => None,
        }
    }

    /// Whether this is a map: free keys, one type of value.
    pub fn is_map(&self) -> bool {
        matches!(&self.resolve().kind, Kind::Object(object) if object.additional.is_some())
    }

    /// How a list's items belong together, and their schema.
    pub fn list(&self) -> Option<(&ListType, &Schema)> {
        match &self.resolve().kind {
            Kind::Array { items, list } => Some((list, items)),
            _ => None,
        }
    }

    /// Reads JSON Schema as Kubernetes writes it. `reference` finds a `$ref`; what it does not know accepts everything.
    pub fn parse(json: &Value, reference: &dyn Fn(&str) -> Option<&'static builtin::Cell>) -> Schema {
        let parse = |json: &Value| Schema::parse(json, reference);
        let truth = |key: &str| json[key].as_bool().unwrap_or(false);
        // A reference with a description of its own stands inside `allOf`.
        let named = json["$ref"].as_str().or_else(|| json["allOf"][0]["$ref"].as_str());
        let kind = if let Some(name) = named {
            reference(name).map_or(Kind::Any, Kind::Reference)
        } else if truth("x-kubernetes-int-or-string") || json["format"] == "int-or-string" {
            Kind::IntOrString
        } else {
            match json["type"].as_str() {
                Some("string") => Kind::String,
                Some("boolean") => Kind::Boolean,
                Some("integer") => Kind::Integer,
                Some("number") => Kind::Number,
                Some("array") => Kind::Array {
                    items: Box::new(if json["items"].is_null() {
                        Schema::any()
                    } else {
                        parse(&json["items"])
                    }),
                    list: match json["x-kubernetes-list-type"].as_str() {
                        Some("set") => ListType::Set,
                        Some("map") => {
                            let keys = json["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
                            ListType::Map(keys.filter_map(|key| key.as_str().map(str::to_owned)).collect())
                        }
                        _ => ListType::Atomic,
                    },
                },
                Some("object") => {
                    let properties = json["properties"].as_object().into_iter().flatten();
                    let additional = match &json["additionalProperties"] {
                        Value::Bool(true) => Some(Schema::any()),
                        Value::Object(_) => Some(parse(&json["additionalProperties"])),
                        _ => None,
                    };
                    let required = json["required"].as_array().into_iter().flatten();
                    Kind::Object(Box::new(ObjectSchema {
                        properties: properties.map(|(name, field)| (name.clone(), parse(field))).collect(),
                        required: required.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
                        additional,
                        preserve_unknown: truth("x-kubernetes-preserve-unknown-fields"),
                        atomic: json["x-kubernetes-map-type"] == "atomic",
                    }))
                }
                _ => Kind::Any,
            }
        };
        Schema {
            kind,
            nullable: truth("nullable"),
            default: json.get("default").filter(|value| !value.is_null()).cloned(),
            limits: limits(json),
            embedded: truth("x-kubernetes-embedded-resource"),
        }
    }
}

fn limits(json: &Value) -> Option<Box<Limits>> {
    let number = |key: &str, excluded: &str| {
        json[key]
            .as_f64()
            .map(|limit| (limit, json[excluded].as_bool().unwrap_or(false)))
    };
    let first = |keys: [&str; 3]| keys.iter().find_map(|key| json[*key].as_u64());
    let limits = Limits {
        enumeration: json["enum"].as_array().cloned().unwrap_or_default(),
        minimum: number("minimum", "exclusiveMinimum"),
        maximum: number("maximum", "exclusiveMaximum"),
        at_least: first(["minLength", "minItems", "minProperties"]),
        at_most: first(["maxLength", "maxItems", "maxProperties"]),
        pattern: json["pattern"].as_str().map(str::to_owned),
    };
    let none = limits.enumeration.is_empty()
        && limits.minimum.is_none()
        && limits.maximum.is_none()
        && limits.at_least.is_none()
        && limits.at_most.is_none()
        && limits.pattern.is_none();
    (!none).then(|| Box::new(limits))
}

/// Extends a field path, `spec` + `image` to `spec.image`.
pub fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

#[cfg(test)]
mod tests;
