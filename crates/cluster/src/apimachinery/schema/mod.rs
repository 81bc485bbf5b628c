//! Schemas as trees: what fields an object has, how its lists merge, and whether a value is allowed.
//!
//! In: JSON Schema, of our built-in types ([`builtin`]) or of a CustomResourceDefinition. Out: pruning of unknown fields with their paths,
//! defaulting, validation with Kubernetes' words ([`validate`], [`format`]), the CEL rules of definitions ([`rules`]), the check of a
//! definition's own schema ([`structural`]), and the list types that patches and server-side apply follow.

pub mod builtin;
mod format;
mod mismatch;
mod path;
mod prune;
mod rules;
mod structural;
mod validate;

pub use format::{Format, has_format};
pub use mismatch::{Mismatch, mismatch};
pub use path::Path;
pub use prune::{apply_defaults, prune};
pub use rules::{Rule, check_rules};
pub use structural::check_structural;
pub use validate::{validate, validate_update};

use std::collections::HashMap;
use std::sync::Arc;

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
    /// Any type, but what is an object or a list is looked into: parts of `allOf`, `anyOf`, `oneOf` and `not`.
    Untyped {
        /// Fields of an object.
        object: Box<ObjectSchema>,
        /// Items of a list.
        items: Option<Box<Schema>>,
    },
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
    /// Smallest number, and whether it is excluded.
    pub minimum: Option<(f64, bool)>,
    /// Largest number, and whether it is excluded.
    pub maximum: Option<(f64, bool)>,
    /// What a number must be a multiple of.
    pub multiple_of: Option<f64>,
    /// Fewest and most characters.
    pub length: Range,
    /// Fewest and most items.
    pub items: Range,
    /// Fewest and most fields.
    pub properties: Range,
    /// Regular expression, as written and compiled; what does not compile is refused with the definition.
    pub pattern: Option<(String, Option<regex::Regex>)>,
    /// All of these must hold.
    pub all_of: Vec<Schema>,
    /// One of these at least must hold.
    pub any_of: Vec<Schema>,
    /// Exactly one of these must hold.
    pub one_of: Vec<Schema>,
    /// This must not hold.
    pub not: Option<Schema>,
    /// CEL rules of `x-kubernetes-validations`.
    pub rules: Vec<Arc<Rule>>,
}

/// Fewest and most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Fewest.
    pub least: Option<i64>,
    /// Most; below zero there is never few enough.
    pub most: Option<i64>,
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
    /// Published format of a text or number.
    pub format: Format,
    /// Whether it or anything below it has CEL rules.
    pub has_rules: bool,
    /// Whether it or anything below it has a default.
    pub has_defaults: bool,
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
            format: Format::None,
            has_rules: false,
            has_defaults: false,
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
            Kind::Object(object) | Kind::Untyped { object, .. } => {
                object.properties.get(name).or(object.additional.as_ref())
            }
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
                Some("object") => Kind::Object(Box::new(object_of(json, &parse))),
                _ => untyped(json, &parse),
            }
        };
        let mut schema = Schema {
            kind,
            nullable: truth("nullable"),
            default: json.get("default").filter(|value| !value.is_null()).cloned(),
            limits: limits(json, &parse),
            embedded: truth("x-kubernetes-embedded-resource"),
            format: Format::named(json["format"].as_str().unwrap_or_default()),
            has_rules: false,
            has_defaults: false,
        };
        schema.note_below();
        schema
    }

    /// Notes whether there are rules and defaults below.
    pub fn note_below(&mut self) {
        let own = (
            self.limits.as_ref().is_some_and(|limits| !limits.rules.is_empty()),
            self.default.is_some(),
        );
        let both = |(rules, defaults): (bool, bool), schema: &Schema| {
            (rules || schema.has_rules, defaults || schema.has_defaults)
        };
        let object = |object: &ObjectSchema| object.properties.values().chain(&object.additional).fold(own, both);
        let below = match &self.kind {
            Kind::Object(known) => object(known),
            Kind::Untyped { object: known, items } => items.iter().map(|items| &**items).fold(object(known), both),
            Kind::Array { items, .. } => both(own, items),
            _ => own,
        };
        (self.has_rules, self.has_defaults) = below;
    }
}

fn object_of(json: &Value, parse: &dyn Fn(&Value) -> Schema) -> ObjectSchema {
    let properties = json["properties"].as_object().into_iter().flatten();
    let additional = match &json["additionalProperties"] {
        Value::Bool(true) => Some(Schema::any()),
        Value::Object(_) => Some(parse(&json["additionalProperties"])),
        _ => None,
    };
    let required = json["required"].as_array().into_iter().flatten();
    ObjectSchema {
        properties: properties.map(|(name, field)| (name.clone(), parse(field))).collect(),
        required: required.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        additional,
        preserve_unknown: json["x-kubernetes-preserve-unknown-fields"] == true,
        atomic: json["x-kubernetes-map-type"] == "atomic",
    }
}

/// A schema without a type: anything, or something that is looked into.
fn untyped(json: &Value, parse: &dyn Fn(&Value) -> Schema) -> Kind {
    let object = object_of(json, parse);
    let items = json["items"].is_object().then(|| Box::new(parse(&json["items"])));
    if object.properties.is_empty() && object.required.is_empty() && object.additional.is_none() && items.is_none() {
        return Kind::Any;
    }
    Kind::Untyped {
        object: Box::new(object),
        items,
    }
}

fn limits(json: &Value, parse: &dyn Fn(&Value) -> Schema) -> Option<Box<Limits>> {
    let fields = json.as_object()?;
    let relevant = [
        "enum",
        "minimum",
        "maximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "pattern",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "x-kubernetes-validations",
    ];
    // A reference in `allOf` is the type itself.
    let reference = json["allOf"][0]["$ref"].is_string();
    if !relevant
        .iter()
        .any(|name| fields.contains_key(*name) && !(reference && *name == "allOf"))
    {
        return None;
    }
    let number = |key: &str, excluded: &str| json[key].as_f64().map(|limit| (limit, json[excluded] == true));
    let range = |least: &str, most: &str| Range {
        least: json[least].as_i64(),
        most: json[most].as_i64(),
    };
    let several = |key: &str| json[key].as_array().into_iter().flatten().map(parse).collect();
    let rules = json["x-kubernetes-validations"].as_array().into_iter().flatten();
    let pattern = json["pattern"].as_str();
    Some(Box::new(Limits {
        enumeration: json["enum"].as_array().cloned().unwrap_or_default(),
        minimum: number("minimum", "exclusiveMinimum"),
        maximum: number("maximum", "exclusiveMaximum"),
        multiple_of: json["multipleOf"].as_f64(),
        length: range("minLength", "maxLength"),
        items: range("minItems", "maxItems"),
        properties: range("minProperties", "maxProperties"),
        pattern: pattern.map(|text| (text.to_owned(), regex::Regex::new(text).ok())),
        all_of: if reference { Vec::new() } else { several("allOf") },
        any_of: several("anyOf"),
        one_of: several("oneOf"),
        not: json["not"].is_object().then(|| parse(&json["not"])),
        // A rule that does not parse is refused with the definition.
        rules: rules.filter_map(|rule| Rule::read(rule).ok().map(Arc::new)).collect(),
    }))
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
