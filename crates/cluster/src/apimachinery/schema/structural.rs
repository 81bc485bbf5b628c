//! Whether the schema of a definition is structural, and its rules and defaults are right: what the API server refuses a definition for.

use serde_json::Value;

use super::rules::Rule;
use super::{Schema, apply_defaults, prune, validate};
use crate::apimachinery::status::FieldError;

/// Deepest schema.
const MOST_DEPTH: usize = 100;

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Field,
    Item,
    MapValue,
}

/// Complaints about a schema that stands at `path`.
pub fn check_structural(json: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(json, path, Place::Root, 0, &mut errors);
    errors
}

fn walk(json: &Value, path: &str, place: Place, depth: usize, errors: &mut Vec<FieldError>) {
    if depth > MOST_DEPTH {
        errors.push(FieldError::forbidden(
            path,
            &format!("schemas may not be nested deeper than {MOST_DEPTH}"),
        ));
        return;
    }
    let at = |name: &str| format!("{path}.{name}");
    let truth = |name: &str| json[name] == true;
    let kind = json["type"].as_str().unwrap_or_default();
    let (int_or_string, preserve) = (
        truth("x-kubernetes-int-or-string"),
        truth("x-kubernetes-preserve-unknown-fields"),
    );

    check_forbidden(json, path, errors);
    if kind.is_empty() && !int_or_string && !preserve {
        let where_ = match place {
            Place::Root => "at the root",
            Place::Field => "for specified object fields",
            Place::Item => "for specified array items",
            Place::MapValue => "for specified object fields",
        };
        errors.push(FieldError::required(
            &at("type"),
            &format!("must not be empty {where_}"),
        ));
    }
    if place == Place::Root && !kind.is_empty() && kind != "object" {
        errors.push(FieldError::invalid(
            &at("type"),
            &json["type"],
            "must be object at the root",
        ));
    }
    if !kind.is_empty() && !matches!(kind, "object" | "array" | "string" | "integer" | "number" | "boolean") {
        let kinds = ["array", "boolean", "integer", "number", "object", "string"].map(Value::from);
        errors.push(FieldError::not_supported(&at("type"), &json["type"], &kinds));
    }
    if int_or_string && !kind.is_empty() {
        errors.push(FieldError::forbidden(
            &at("type"),
            "must be empty if x-kubernetes-int-or-string is true",
        ));
    }
    if json["x-kubernetes-preserve-unknown-fields"] == false {
        let detail = "must be true or undefined";
        errors.push(FieldError::invalid(
            &at("x-kubernetes-preserve-unknown-fields"),
            &false.into(),
            detail,
        ));
    }
    if truth("x-kubernetes-embedded-resource") {
        if kind != "object" {
            let detail = "must be object if x-kubernetes-embedded-resource is true";
            errors.push(FieldError::invalid(&at("type"), &json["type"], detail));
        }
        if !preserve && json["properties"].as_object().is_none_or(|fields| fields.is_empty()) {
            let detail = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
            errors.push(FieldError::required(&at("properties"), detail));
        }
    }
    check_list(json, path, kind, errors);
    if let Some(pattern) = json["pattern"].as_str()
        && let Err(error) = regex::Regex::new(pattern)
    {
        let why = wrong_pattern(pattern, &error.to_string());
        let detail = format!("must be a valid regular expression, but isn't: error parsing regexp: {why}");
        errors.push(FieldError::invalid(&at("pattern"), &json["pattern"], &detail));
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        for (index, part) in json[name].as_array().into_iter().flatten().enumerate() {
            check_junctor(part, &format!("{path}.{name}[{index}]"), int_or_string, depth, errors);
        }
    }
    if json["not"].is_object() {
        check_junctor(&json["not"], &at("not"), false, depth, errors);
    }
    check_default(json, path, errors);
    check_rules_of(json, path, place == Place::Root, errors);

    for (name, field) in json["properties"].as_object().into_iter().flatten() {
        let here = format!("{path}.properties[{name}]");
        if name == "metadata" && (place == Place::Root || truth("x-kubernetes-embedded-resource")) {
            let others = field["properties"].as_object().into_iter().flatten();
            if others
                .into_iter()
                .any(|(name, _)| !matches!(name.as_str(), "name" | "generateName"))
            {
                let detail =
                    "must not specify anything other than name and generateName, but metadata is implicitly specified";
                errors.push(FieldError::forbidden(&here, detail));
            }
        }
        walk(field, &here, Place::Field, depth + 1, errors);
    }
    if json["additionalProperties"].is_object() {
        walk(
            &json["additionalProperties"],
            &at("additionalProperties"),
            Place::MapValue,
            depth + 1,
            errors,
        );
    }
    if json["items"].is_object() {
        walk(&json["items"], &at("items"), Place::Item, depth + 1, errors);
    } else if kind == "array" && !json["items"].is_object() {
        errors.push(FieldError::required(&at("items"), "must be specified"));
    }
}

/// What Go says of a pattern that does not compile, for what people most often get wrong.
fn wrong_pattern(pattern: &str, error: &str) -> String {
    let open = pattern.rfind('[').map_or(pattern, |place| &pattern[place..]);
    for (ours, theirs) in [
        ("unclosed group", format!("missing closing ): `{pattern}`")),
        ("unopened group", format!("unexpected ): `{pattern}`")),
        ("unclosed character class", format!("missing closing ]: `{open}`")),
    ] {
        if error.contains(ours) {
            return theirs;
        }
    }
    if error.contains("repetition operator missing expression") {
        let operator = pattern
            .find(['*', '+', '?'])
            .map_or("", |place| &pattern[place..=place]);
        return format!("missing argument to repetition operator: `{operator}`");
    }
    format!("`{pattern}`")
}

/// What no schema of a definition may use.
fn check_forbidden(json: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let at = |name: &str| format!("{path}.{name}");
    for name in [
        "$ref",
        "definitions",
        "dependencies",
        "patternProperties",
        "additionalItems",
        "id",
        "$schema",
    ] {
        let present = json.get(name).is_some_and(|value| !value.is_null());
        if present {
            errors.push(FieldError::forbidden(&at(name), &format!("{name} is not supported")));
        }
    }
    if json["uniqueItems"] == true {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(FieldError::forbidden(&at("uniqueItems"), detail));
    }
    if json["additionalProperties"] == false {
        errors.push(FieldError::forbidden(
            &at("additionalProperties"),
            "additionalProperties cannot be set to false",
        ));
    } else if !json["additionalProperties"].is_null()
        && json["properties"].as_object().is_some_and(|fields| !fields.is_empty())
    {
        let detail = "additionalProperties and properties are mutual exclusive";
        errors.push(FieldError::forbidden(&at("additionalProperties"), detail));
    }
    if json["items"].as_array().is_some_and(|list| !list.is_empty()) {
        errors.push(FieldError::forbidden(
            &at("items"),
            "items must be a schema object and not an array",
        ));
    }
}

fn check_list(json: &Value, path: &str, kind: &str, errors: &mut Vec<FieldError>) {
    let at = |name: &str| format!("{path}.{name}");
    // A missing type has its own complaint.
    let must_be = |wanted: &str, why: &str, errors: &mut Vec<FieldError>| {
        let detail = format!("must be {wanted} if {why} is specified");
        if kind.is_empty() {
            errors.push(FieldError::required(&at("type"), &detail));
        } else if kind != wanted {
            errors.push(FieldError::invalid(&at("type"), &json["type"], &detail));
        }
    };
    let list_type = &json["x-kubernetes-list-type"];
    if let Some(list) = list_type.as_str() {
        if !matches!(list, "atomic" | "map" | "set") {
            let supported = ["atomic", "set", "map"].map(Value::from);
            let place = at("x-kubernetes-list-type");
            errors.push(FieldError::not_supported(&place, list_type, &supported));
        }
        must_be("array", "x-kubernetes-list-type", errors);
    }
    let map_type = &json["x-kubernetes-map-type"];
    if map_type.is_string() {
        if *map_type != "granular" && *map_type != "atomic" {
            let supported = ["granular", "atomic"].map(Value::from);
            let place = at("x-kubernetes-map-type");
            errors.push(FieldError::not_supported(&place, map_type, &supported));
        }
        must_be("object", "x-kubernetes-map-type", errors);
    }
    let keys = &json["x-kubernetes-list-map-keys"];
    if list_type == "map" {
        check_keyed_list(json, path, errors);
    } else if keys.as_array().is_some_and(|keys| !keys.is_empty()) {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        let place = at("x-kubernetes-list-type");
        errors.push(match list_type {
            Value::Null => FieldError::required(&place, detail),
            _ => FieldError::invalid(&place, list_type, detail),
        });
    }
}

/// A list whose items are named by some of their fields.
fn check_keyed_list(json: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let at = |name: &str| format!("{path}.{name}");
    let (keys, items) = (&json["x-kubernetes-list-map-keys"], &json["items"]);
    let names: Vec<&str> = keys
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if names.is_empty() {
        let detail = "must not be empty if x-kubernetes-list-type is map";
        errors.push(FieldError::required(&at("x-kubernetes-list-map-keys"), detail));
    }
    if (1..names.len()).any(|index| names[..index].contains(&names[index])) {
        let detail = "must not contain duplicate entries";
        errors.push(FieldError::invalid(&at("x-kubernetes-list-map-keys"), keys, detail));
    }
    match items {
        Value::Object(_) if items["type"] == "object" => {}
        Value::Object(_) => {
            let kind = items["type"].as_str().unwrap_or_default();
            let detail = "must be object if parent array's x-kubernetes-list-type is map";
            errors.push(FieldError::invalid(&at("items.type"), &kind.into(), detail));
            return;
        }
        Value::Array(_) => {
            let detail = "must only have a single schema if x-kubernetes-list-type is map";
            let value = serde_json::json!({"Schema": null, "JSONSchemas": items});
            errors.push(FieldError::invalid(&at("items"), &value, detail));
            return;
        }
        _ => {
            let detail = "must have a schema if x-kubernetes-list-type is map";
            errors.push(FieldError::required(&at("items"), detail));
            return;
        }
    }
    if names.iter().any(|name| items["properties"][*name].is_null()) {
        let detail = "entries must all be names of item properties";
        errors.push(FieldError::invalid(&at("x-kubernetes-list-map-keys"), keys, detail));
    }
    for name in names {
        let property = &items["properties"][name];
        let here = format!("{path}.items.properties[{name}]");
        let listed = items["required"].as_array().into_iter().flatten();
        let required = listed.into_iter().any(|listed| listed == name);
        if property.is_object() && !required && property["default"].is_null() {
            let detail =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.push(FieldError::required(&format!("{here}.default"), detail));
        }
        if matches!(property["type"].as_str(), Some("array" | "object")) {
            let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.push(FieldError::invalid(&format!("{here}.type"), &property["type"], detail));
        }
    }
}

/// Parts of `allOf` and its like only limit values: they name no types, defaults or descriptions.
fn check_junctor(json: &Value, path: &str, int_or_string: bool, depth: usize, errors: &mut Vec<FieldError>) {
    if depth > MOST_DEPTH {
        errors.push(FieldError::forbidden(
            path,
            &format!("schemas may not be nested deeper than {MOST_DEPTH}"),
        ));
        return;
    }
    let forbidden = [
        "type",
        "default",
        "additionalProperties",
        "nullable",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
        "x-kubernetes-validations",
        "title",
        "description",
    ];
    for name in forbidden {
        let present = json.get(name).is_some_and(|value| !value.is_null() && *value != false);
        if present && !(int_or_string && name == "type") {
            errors.push(FieldError::forbidden(
                &format!("{path}.{name}"),
                "must be empty to be structural",
            ));
        }
    }
    for (name, field) in json["properties"].as_object().into_iter().flatten() {
        check_junctor(field, &format!("{path}.properties[{name}]"), false, depth + 1, errors);
    }
    if json["items"].is_object() {
        check_junctor(&json["items"], &format!("{path}.items"), false, depth + 1, errors);
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        for (index, part) in json[name].as_array().into_iter().flatten().enumerate() {
            check_junctor(
                part,
                &format!("{path}.{name}[{index}]"),
                int_or_string,
                depth + 1,
                errors,
            );
        }
    }
    if json["not"].is_object() {
        check_junctor(&json["not"], &format!("{path}.not"), false, depth + 1, errors);
    }
}

/// A default must be pruned and valid.
fn check_default(json: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let default = &json["default"];
    if default.is_null() {
        return;
    }
    let schema = Schema::parse(json, &|_| None);
    let here = format!("{path}.default");
    let mut pruned = default.clone();
    if !prune(&schema, &mut pruned).is_empty() {
        errors.push(FieldError::invalid(&here, default, "must not have unknown fields"));
    }
    apply_defaults(&schema, &mut pruned);
    let kind = json["type"].as_str().unwrap_or_default();
    if !matches!(
        kind,
        "" | "object" | "array" | "string" | "integer" | "number" | "boolean"
    ) {
        let found = Value::from(super::validate::type_name(default));
        let detail = format!(" in body must be of type {kind}: {found}");
        errors.push(FieldError::type_invalid(&here, &found, &detail));
    }
    // The words tell places from the default on, the field where the default stands.
    errors.extend(validate(&schema, &pruned, "").into_iter().map(|error| {
        let dot = if error.field.is_empty() || error.field.starts_with('[') {
            ""
        } else {
            "."
        };
        FieldError {
            field: format!("{here}{dot}{}", error.field),
            ..error
        }
    }));
    errors.extend(super::check_rules(&schema, &pruned, None, &here));
}

fn check_rules_of(json: &Value, path: &str, root: bool, errors: &mut Vec<FieldError>) {
    let rules = json["x-kubernetes-validations"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if rules.is_empty() {
        return;
    }
    let schema = Schema::parse(json, &|_| None);
    for (index, rule) in rules.iter().enumerate() {
        let here = format!("{path}.x-kubernetes-validations[{index}]");
        if rule["rule"].as_str().is_none_or(|text| text.trim().is_empty()) {
            errors.push(FieldError::required(&format!("{here}.rule"), "rule is not specified"));
            continue;
        }
        if rule["message"]
            .as_str()
            .is_some_and(|text| text.contains('\n') || (!text.is_empty() && text.trim().is_empty()))
        {
            errors.push(FieldError::invalid(
                &format!("{here}.message"),
                &rule["message"],
                "message must not contain line breaks and must not be blank",
            ));
        }
        let reasons = [
            "FieldValueRequired",
            "FieldValueForbidden",
            "FieldValueInvalid",
            "FieldValueDuplicate",
        ];
        if rule["reason"].as_str().is_some_and(|reason| !reasons.contains(&reason)) {
            let supported = reasons.map(Value::from);
            errors.push(FieldError::not_supported(
                &format!("{here}.reason"),
                &rule["reason"],
                &supported,
            ));
        }
        let complaint = match Rule::read(rule) {
            Ok(read) => {
                if rule["optionalOldSelf"] == true && !read.is_transition() {
                    let detail = "may not be set to true for rules which do not use oldSelf";
                    errors.push(FieldError::invalid(
                        &format!("{here}.optionalOldSelf"),
                        &true.into(),
                        detail,
                    ));
                }
                read.check(&schema, root).err()
            }
            Err((name, error)) => {
                let text = rule[name].as_str().unwrap_or_default();
                Some((name, format!("compilation failed: {}", error.describe(text))))
            }
        };
        if let Some((name, text)) = complaint {
            let place = format!("{here}.{name}");
            let mut error = FieldError::invalid(&place, &Value::Null, "");
            error.message = format!("Invalid value: {}: {text}", told(rule));
            errors.push(error);
        }
    }
}

/// A rule as the real server tells it: by the names of its structure, and with what HTML would take for its own escaped.
fn told(rule: &Value) -> String {
    let text = |name: &str| rule[name].as_str().unwrap_or_default();
    let whole = serde_json::json!({"Rule": text("rule"), "Message": text("message"),
        "MessageExpression": text("messageExpression"), "Reason": rule["reason"], "FieldPath": text("fieldPath"),
        "OptionalOldSelf": rule["optionalOldSelf"]});
    let mut told = whole.to_string();
    for (character, escaped) in [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026")] {
        told = told.replace(character, escaped);
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_structural_is_refused_by_name() {
        let complaints = |properties: Value| -> Vec<String> {
            let schema = json!({"type": "object", "properties": properties});
            check_structural(&schema, "s").iter().map(ToString::to_string).collect()
        };
        for (properties, expected) in [
            (
                json!({"a": {}}),
                "s.properties[a].type: Required value: must not be empty for specified object fields",
            ),
            (
                json!({"a": {"type": "array", "items": {}}}),
                "s.properties[a].items.type: Required value: must not be empty for specified array items",
            ),
            (
                json!({"a": {"$ref": "#/x", "type": "object"}}),
                "s.properties[a].$ref: Forbidden: $ref is not supported",
            ),
            (
                json!({"a": {"type": "object", "additionalProperties": false}}),
                "s.properties[a].additionalProperties: Forbidden: additionalProperties cannot be set to false",
            ),
            (
                json!({"a": {"type": "array", "items": {"type": "string"}, "uniqueItems": true}}),
                "s.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            ),
            (
                json!({"a": {"type": "string", "anyOf": [{"type": "string"}]}}),
                "s.properties[a].anyOf[0].type: Forbidden: must be empty to be structural",
            ),
            (
                json!({"a": {"type": "string", "default": 5}}),
                "s.properties[a].default: Invalid value: \"integer\":  in body must be of type string: \"integer\"",
            ),
            (
                json!({"a": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object", "properties": {"n": {"type": "string"}}}}}),
                "s.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
            ),
            (
                json!({"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}),
                "s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
            ),
        ] {
            assert_eq!(complaints(properties), [expected]);
        }
        let rule = json!({"a": {"type": "string", "x-kubernetes-validations": [{"rule": "self.foo == 1"}]}});
        let text = complaints(rule).concat();
        assert!(
            text.contains("compilation failed: ERROR: <input>:1:5: type 'string' does not support field selection"),
            "{text}"
        );
        let fine = json!({"a": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}, "b": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        assert!(complaints(fine).is_empty());
    }
}
