//! Server-side apply: merges what a manager wants into the object, takes away what it no longer wants, and refuses to take others' fields.

use serde_json::{Value, json};

use super::fields::{self, FieldSet, Manager, diff, item_key, list_of, ownable, paths_of, schema_of};
use super::resources::Resource;
use super::schema::{Kind, ListType, Schema};
use super::status::Status;

/// What of an applied configuration belongs to the request: with the status subresource only the status, otherwise all but it.
fn relevant(resource: &Resource, applied: &Value, manager: &Manager) -> Value {
    let mut value = ownable(applied);
    if let Some(fields) = value.as_object_mut() {
        match manager.subresource.as_str() {
            "" if resource.status => {
                fields.shift_remove("status");
            }
            "" => {}
            subresource => fields.retain(|name, _| name == subresource),
        }
    }
    value
}

/// The fields an applied configuration sets.
pub fn owned_set(resource: &Resource, applied: &Value, manager: &Manager) -> FieldSet {
    let mut set = paths_of(&relevant(resource, applied, manager), schema_of(resource), false);
    set.member = false;
    set
}

/// The object after the apply; 409 with every conflict if fields of others would change and `force` is not given.
pub fn apply(
    resource: &Resource,
    old: &Value,
    stored: &Value,
    applied: &Value,
    manager: &Manager,
    force: bool,
) -> Result<Value, Status> {
    let schema = schema_of(resource);
    let wanted = relevant(resource, applied, manager);
    let own = owned_set(resource, applied, manager);
    let mut merged = old.clone();
    merge(&mut merged, &wanted, schema);
    // A version or identity that the client states is a condition, not a field.
    for field in ["resourceVersion", "uid"] {
        if let Some(value) = applied["metadata"].get(field) {
            merged["metadata"][field] = value.clone();
        }
    }
    let mut entries = fields::entries(stored);
    let (others, mine): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(|entry| !entry.is_of(manager));
    let before = mine.first().map(|entry| entry.set.clone()).unwrap_or_default();
    let dropped = before.minus(&own);
    let kept: Vec<&FieldSet> = others.iter().map(|entry| &entry.set).collect();
    remove_dropped(&mut merged, schema, &dropped, &kept, Some(&own));

    let (changed, _) = diff(Some(&ownable(old)), Some(&ownable(&merged)), schema);
    let taken = changed.intersection(&own);
    let mut causes = Vec::new();
    for entry in entries.iter_mut().filter(|entry| !entry.is_of(manager)) {
        let conflict = entry.set.intersection(&taken);
        if conflict.is_empty() {
            continue;
        }
        if force {
            entry.set = entry.set.minus(&conflict);
            continue;
        }
        for path in conflict.paths() {
            causes.push((entry.describe(), path));
        }
    }
    if !causes.is_empty() {
        return Err(conflict(resource, &causes));
    }
    let entry = fields::own_entry(&mut entries, manager);
    fields::set_fields(entry, own);
    fields::write_entries(&mut merged, entries);
    Ok(merged)
}

fn conflict(resource: &Resource, causes: &[(String, String)]) -> Status {
    let count = causes.len();
    let text = if let [(who, path)] = causes {
        format!("Apply failed with 1 conflict: conflict with {who}: {path}")
    } else {
        let mut names: Vec<&String> = causes.iter().map(|(who, _)| who).collect();
        names.dedup();
        let lists = names.iter().map(|name| {
            let paths = causes
                .iter()
                .filter(|(who, _)| who == *name)
                .map(|(_, path)| format!("- {path}"));
            format!("conflicts with {name}:\n{}", paths.collect::<Vec<_>>().join("\n"))
        });
        format!(
            "Apply failed with {count} conflicts: {}",
            lists.collect::<Vec<_>>().join("\n")
        )
    };
    let causes: Vec<Value> = causes
        .iter()
        .map(|(who, path)| json!({"reason": "FieldManagerConflict", "message": format!("conflict with {who}"), "field": path}))
        .collect();
    let mut error = Status::new(409, "Conflict", text);
    error.details = json!({"kind": resource.plural, "causes": causes});
    error
}

/// Merges by the schema: structures field by field, keyed lists item by item, the rest whole.
fn merge(target: &mut Value, wanted: &Value, schema: Option<&Schema>) {
    let atomic = matches!(schema.map(|schema| &schema.resolve().kind), Some(Kind::Object(object)) if object.atomic);
    match (target, wanted) {
        (Value::Object(target), Value::Object(wanted)) if !atomic => {
            for (name, value) in wanted {
                let known = schema.and_then(|schema| schema.field(name));
                match target.get_mut(name) {
                    Some(current) => merge(current, value, known),
                    None => {
                        target.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (target @ Value::Array(_), Value::Array(wanted)) => {
            let (list_type, items) = list_of(schema);
            let Value::Array(list) = target else { return };
            if *list_type == ListType::Atomic {
                list.clone_from(wanted);
                return;
            }
            for value in wanted {
                let key = item_key(list_type, value);
                match list.iter_mut().find(|item| item_key(list_type, item) == key) {
                    Some(current) => merge(current, value, items),
                    None => list.push(value.clone()),
                }
            }
        }
        (target, wanted) => *target = wanted.clone(),
    }
}

/// Takes away what the manager owned and no longer wants, unless another manager owns it too.
fn remove_dropped(
    value: &mut Value,
    schema: Option<&Schema>,
    dropped: &FieldSet,
    others: &[&FieldSet],
    own: Option<&FieldSet>,
) {
    let below = |sets: &[&FieldSet], name: &str| -> Vec<FieldSet> {
        sets.iter().filter_map(|set| set.children.get(name).cloned()).collect()
    };
    for (name, child) in &dropped.children {
        let owners = below(others, name);
        let still = own.and_then(|own| own.children.get(name));
        let whole = child.member && owners.is_empty() && still.is_none();
        let owners: Vec<&FieldSet> = owners.iter().collect();
        if let Some(field) = name.strip_prefix("f:") {
            let Some(fields) = value.as_object_mut() else { continue };
            if whole {
                fields.shift_remove(field);
                continue;
            }
            let known = schema.and_then(|schema| schema.field(field));
            let Some(current) = fields.get_mut(field) else { continue };
            let filled = !is_hollow(current);
            remove_dropped(current, known, child, &owners, still);
            // What only held the removed fields goes with them.
            if filled && is_hollow(current) && owners.is_empty() && still.is_none() {
                fields.shift_remove(field);
            }
        } else {
            let (list_type, items) = list_of(schema);
            let Some(list) = value.as_array_mut() else { continue };
            if whole {
                list.retain(|item| item_key(list_type, item).as_ref() != Some(name));
            } else if let Some(item) = list
                .iter_mut()
                .find(|item| item_key(list_type, item).as_ref() == Some(name))
            {
                remove_dropped(item, items, child, &owners, still);
            }
        }
    }
}

fn is_hollow(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apimachinery::resources::Resources;

    fn manager(name: &str) -> Manager {
        Manager {
            name: name.into(),
            operation: "Apply",
            api_version: "v1".into(),
            subresource: String::new(),
        }
    }

    fn run(old: &Value, applied: &Value, name: &str, force: bool) -> Result<Value, Status> {
        let resource = Resources::built_in().find("", "v1", "configmaps").unwrap();
        apply(&resource, old, old, applied, &manager(name), force)
    }

    #[test]
    fn fields_are_added_kept_and_taken_away_with_their_owner() {
        let start = json!({"metadata": {"name": "c"}});
        let first = run(&start, &json!({"data": {"a": "1", "b": "1"}}), "one", false).unwrap();
        let second = run(&first, &json!({"data": {"c": "1"}}), "two", false).unwrap();
        assert_eq!(second["data"], json!({"a": "1", "b": "1", "c": "1"}));
        let third = run(&second, &json!({"data": {"a": "1"}}), "one", false).unwrap();
        assert_eq!(third["data"], json!({"a": "1", "c": "1"}));
        let last = run(&third, &json!({}), "two", false).unwrap();
        assert_eq!(last["data"], json!({"a": "1"}));
    }

    #[test]
    fn taking_a_field_of_another_is_a_conflict_unless_forced() {
        let start = json!({"metadata": {"name": "c"}});
        let first = run(&start, &json!({"data": {"a": "1"}}), "one", false).unwrap();
        assert!(
            run(&first, &json!({"data": {"a": "1"}}), "two", false).is_ok(),
            "the same value is shared"
        );
        let error = run(&first, &json!({"data": {"a": "2"}}), "two", false).unwrap_err();
        assert_eq!(
            error.message,
            "Apply failed with 1 conflict: conflict with \"one\": .data.a"
        );
        assert_eq!(error.details["causes"][0]["field"], ".data.a");
        let forced = run(&first, &json!({"data": {"a": "2"}}), "two", true).unwrap();
        assert_eq!(forced["data"]["a"], "2");
        let managers: Vec<_> = forced["metadata"]["managedFields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["manager"].clone())
            .collect();
        assert_eq!(managers, ["two"]);
    }
}
