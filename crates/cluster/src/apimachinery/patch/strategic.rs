//! Strategic merge patch: merges lists by the key of their items, and understands its `$` directives.

use serde_json::{Map, Value};

use crate::apimachinery::schema::builtin::{MERGED_SETS, merge_key};
use crate::apimachinery::schema::{ListType, Schema};

/// Merges `patch` into `target` as the type's schema says.
pub fn strategic_merge_patch(target: &mut Value, patch: &Value, schema: &Schema) {
    merge_value(target, patch, Some(schema));
}

/// A `$patch` that is none, as the real server tells it.
pub fn unknown_directive(patch: &Value) -> Option<String> {
    match patch {
        Value::Object(fields) => {
            let directive = fields.get("$patch").and_then(Value::as_str);
            let unknown = directive.filter(|word| !matches!(*word, "replace" | "delete" | "merge"));
            let told = unknown.map(|word| format!("unknown patch type: {word} in map: {}", shown(patch)));
            told.or_else(|| fields.values().find_map(unknown_directive))
        }
        Value::Array(list) => list.iter().find_map(unknown_directive),
        _ => None,
    }
}

/// A value as Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let ordered: std::collections::BTreeMap<&String, &Value> = fields.iter().collect();
            let each = ordered.iter().map(|(name, field)| format!("{name}:{}", shown(field)));
            format!("map[{}]", each.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

fn merge_value(target: &mut Value, patch: &Value, schema: Option<&Schema>) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    match fields.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            *target = without_directives(patch);
            return;
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return;
        }
        _ => {}
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    if let Some(Value::Array(kept)) = fields.get("$retainKeys") {
        object.retain(|name, _| kept.iter().any(|keep| keep.as_str() == Some(name)));
    }
    for (name, values) in fields {
        if let Some(field) = name.strip_prefix("$deleteFromPrimitiveList/") {
            let unwanted = values.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(Value::Array(list)) = object.get_mut(field) {
                list.retain(|item| !unwanted.contains(item));
            }
        }
    }
    for (name, change) in fields.iter().filter(|(name, _)| !name.starts_with('$')) {
        let known = schema.and_then(|schema| schema.field(name));
        let removed = change.is_null() || change["$patch"] == "delete";
        if removed {
            object.shift_remove(name);
            continue;
        }
        match (change, object.get_mut(name)) {
            (Value::Array(changes), Some(Value::Array(list))) => {
                let order = fields
                    .get(&format!("$setElementOrder/{name}"))
                    .and_then(Value::as_array);
                merge_list(list, changes, merged_list(schema, name), order.map(Vec::as_slice));
            }
            (Value::Object(_), Some(current)) if current.is_object() => merge_value(current, change, known),
            _ => {
                object.insert(name.clone(), without_directives(change));
            }
        }
    }
    for (name, order) in fields {
        // The patch may only reorder: the list then has no entry of its own.
        let Some(field) = name
            .strip_prefix("$setElementOrder/")
            .filter(|field| !fields.contains_key(*field))
        else {
            continue;
        };
        let merged = merged_list(schema, field);
        if let (Some(Value::Array(list)), Some(order), Some(_)) = (object.get_mut(field), order.as_array(), merged) {
            merge_list(list, &[], merged, Some(order));
        }
    }
}

/// How a list's items belong together, and their schema.
type MergedList<'a> = (&'a ListType, &'a Schema);

/// The list in `field`, if a patch merges it; a list that is none of those is replaced whole.
fn merged_list<'a>(schema: Option<&'a Schema>, field: &str) -> Option<MergedList<'a>> {
    let (list_type, items) = schema?.field(field)?.list()?;
    let merges = match list_type {
        ListType::Set => MERGED_SETS.contains(&field),
        ListType::Map(_) => merge_key(list_type).is_some(),
        ListType::Atomic => false,
    };
    merges.then_some((list_type, items))
}

fn merge_list(list: &mut Vec<Value>, changes: &[Value], schema: Option<MergedList<'_>>, order: Option<&[Value]>) {
    let Some((list_type, items)) = schema else {
        *list = changes.iter().map(without_directives).collect();
        return;
    };
    let before = list.clone();
    let key = merge_key(list_type).map(str::to_owned);
    match (list_type, &key) {
        (ListType::Set, _) => {
            for change in changes {
                if !list.contains(change) {
                    list.push(change.clone());
                }
            }
        }
        (_, Some(key)) => {
            if changes.iter().any(|change| change["$patch"] == "replace") {
                let kept = changes.iter().filter(|change| change["$patch"] != "replace");
                *list = kept.map(without_directives).collect();
                return;
            }
            for change in changes {
                let place = list.iter().position(|item| item[key] == change[key]);
                match (change["$patch"] == "delete", place) {
                    (true, _) => list.retain(|item| item[key] != change[key]),
                    (false, Some(place)) => merge_value(&mut list[place], change, Some(items)),
                    (false, None) => list.push(without_directives(change)),
                }
            }
        }
        _ => {
            *list = changes.iter().map(without_directives).collect();
            return;
        }
    }
    if let Some(order) = order {
        reorder(list, &before, order, key.as_deref());
    }
}

/// Puts the items the patch knows into its order; the others keep their place relative to what was there before.
fn reorder(list: &mut Vec<Value>, before: &[Value], order: &[Value], key: Option<&str>) {
    let name = |item: &Value| key.map_or_else(|| item.clone(), |key| item[key].clone());
    let place_in = |items: &[Value], item: &Value| items.iter().position(|other| name(other) == name(item));
    let (mut known, others): (Vec<Value>, Vec<Value>) = std::mem::take(list)
        .into_iter()
        .partition(|item| place_in(order, item).is_some());
    known.sort_by_key(|item| place_in(order, item));
    let mut others = others.into_iter().peekable();
    for item in known {
        if let Some(place) = place_in(before, &item) {
            while let Some(other) = others.next_if(|other| place_in(before, other).is_some_and(|other| other < place)) {
                list.push(other);
            }
        }
        list.push(item);
    }
    list.extend(others);
}

/// What remains of a patch where there was nothing to merge with.
fn without_directives(patch: &Value) -> Value {
    match patch {
        Value::Object(fields) => {
            let kept = fields
                .iter()
                .filter(|(name, value)| !name.starts_with('$') && !value.is_null());
            Value::Object(
                kept.map(|(name, value)| (name.clone(), without_directives(value)))
                    .collect(),
            )
        }
        Value::Array(items) => {
            let kept = items.iter().filter(|item| item["$patch"].is_null());
            Value::Array(kept.map(without_directives).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::strategic_merge_patch;
    use crate::apimachinery::schema::builtin;

    fn pod(patch: &Value) -> Value {
        let mut pod = json!({
            "metadata": {"finalizers": ["a", "b"], "labels": {"x": "1"}},
            "spec": {
                "containers": [{"name": "a", "image": "1", "env": [{"name": "E", "value": "1"}]}, {"name": "b", "image": "2"}],
                "tolerations": [{"key": "x"}],
                "volumes": [{"name": "v", "emptyDir": {}}]
            }
        });
        strategic_merge_patch(&mut pod, patch, builtin::schema("io.k8s.api.core.v1.Pod").unwrap());
        pod
    }

    #[test]
    fn lists_merge_by_the_key_of_their_items() {
        let changed = pod(
            &json!({"spec": {"containers": [{"name": "b", "image": "3"}, {"name": "c", "image": "4"}],
            "tolerations": [{"key": "y"}]}}),
        );
        assert_eq!(
            changed["spec"]["containers"],
            json!([{"name": "a", "image": "1", "env": [{"name": "E", "value": "1"}]},
                {"name": "b", "image": "3"}, {"name": "c", "image": "4"}])
        );
        assert_eq!(
            changed["spec"]["tolerations"],
            json!([{"key": "y"}]),
            "atomic lists are replaced"
        );
    }

    #[test]
    fn a_set_that_is_not_published_as_merging_is_replaced() {
        let mut binding = json!({"spec": {"validationActions": ["Deny"]}});
        let schema = builtin::schema("io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding").unwrap();
        strategic_merge_patch(&mut binding, &json!({"spec": {"validationActions": ["Warn"]}}), schema);
        assert_eq!(binding["spec"]["validationActions"], json!(["Warn"]));
        assert_eq!(
            pod(&json!({"metadata": {"finalizers": ["c"]}}))["metadata"]["finalizers"],
            json!(["a", "b", "c"])
        );
    }

    #[test]
    fn directives_delete_replace_retain_and_order() {
        let changed = pod(&json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}));
        assert_eq!(changed["spec"]["containers"], json!([{"name": "b", "image": "2"}]));
        let changed = pod(&json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "z", "image": "9"}]}}));
        assert_eq!(changed["spec"]["containers"], json!([{"name": "z", "image": "9"}]));
        let changed = pod(
            &json!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]}}),
        );
        assert_eq!(
            changed["spec"]["volumes"],
            json!([{"name": "v", "secret": {"secretName": "s"}}])
        );
        let changed = pod(&json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "labels": {"x": null}}}));
        assert_eq!(changed["metadata"], json!({"finalizers": ["b"], "labels": {}}));
        let changed = pod(&json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}));
        assert_eq!(changed["spec"]["containers"][0]["name"], "b");
        let changed = pod(&json!({"metadata": {"labels": {"$patch": "replace", "y": "2"}}}));
        assert_eq!(changed["metadata"]["labels"], json!({"y": "2"}));
    }
}
