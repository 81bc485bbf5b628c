//! Who owns which field: sets of field paths, and `metadata.managedFields`.
//!
//! The text form (`f:spec`, `k:{"name":"a"}`, `v:"x"`, `.`) is that of FieldsV1; the rules are those of structured-merge-diff: structures
//! and maps are owned field by field, keyed lists item by item, atomic lists and structures whole.

mod set;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::meta::now;
use super::resources::Resource;
use super::schema::{Kind, ListType, Schema, builtin};
pub use set::FieldSet;

/// Whether a structure or map is one value.
fn is_atomic(schema: &Schema) -> bool {
    matches!(&schema.resolve().kind, Kind::Object(object) if object.atomic)
}

/// FieldsV1 element of a list's item; `None` if the list is one value.
pub fn item_key(list: &ListType, item: &Value) -> Option<String> {
    match list {
        ListType::Atomic => None,
        ListType::Set => Some(format!("v:{item}")),
        ListType::Map(keys) => {
            let mut keys = keys.clone();
            keys.sort();
            let named = keys.into_iter().map(|key| {
                let value = match item.get(&key) {
                    Some(value) => value.clone(),
                    // The only key with a default in the built-in types.
                    None if key == "protocol" => "TCP".into(),
                    None => Value::Null,
                };
                (key, value)
            });
            Some(format!("k:{}", Value::Object(named.collect())))
        }
    }
}

/// The list type of a value, and the schema of its items.
pub fn list_of(schema: Option<&Schema>) -> (&ListType, Option<&Schema>) {
    match schema.and_then(Schema::list) {
        Some((list, items)) => (list, Some(items)),
        None => (&ListType::Atomic, None),
    }
}

/// Every path of a value; with `maps`, also the maps and items themselves, as for fields set by an update.
pub fn paths_of(value: &Value, schema: Option<&Schema>, maps: bool) -> FieldSet {
    match value {
        Value::Object(fields) if !fields.is_empty() && !schema.is_some_and(is_atomic) => {
            paths_of_fields(fields.iter(), schema, maps)
        }
        Value::Array(list) if !list.is_empty() => {
            let (list_type, items) = list_of(schema);
            if *list_type == ListType::Atomic {
                return FieldSet::leaf();
            }
            let mut set = FieldSet {
                member: maps,
                ..FieldSet::default()
            };
            for item in list {
                let mut child = match list_type {
                    ListType::Set => FieldSet::leaf(),
                    _ => paths_of(item, items, maps),
                };
                child.member = true;
                set.children
                    .entry(item_key(list_type, item).unwrap_or_default())
                    .or_default()
                    .union(&child);
            }
            set
        }
        _ => FieldSet::leaf(),
    }
}

fn paths_of_fields<'v>(
    fields: impl Iterator<Item = (&'v String, &'v Value)>,
    schema: Option<&Schema>,
    maps: bool,
) -> FieldSet {
    let children = fields.map(|(name, field)| {
        let below = schema.and_then(|schema| schema.field(name));
        (format!("f:{name}"), paths_of(field, below, maps))
    });
    FieldSet {
        member: maps && schema.is_none_or(Schema::is_map),
        children: children.collect(),
    }
}

/// Paths added or changed, and paths removed, from one value to another.
pub fn diff(old: Option<&Value>, new: Option<&Value>, schema: Option<&Schema>) -> (FieldSet, FieldSet) {
    match (old, new) {
        (None, None) => Default::default(),
        (None, Some(new)) => (paths_of(new, schema, true), FieldSet::default()),
        (Some(old), None) => (FieldSet::default(), paths_of(old, schema, true)),
        (Some(old), Some(new)) if old == new => Default::default(),
        (Some(Value::Object(old)), Some(Value::Object(new))) if !schema.is_some_and(is_atomic) => {
            diff_of_fields(old, new, &[], schema)
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            let (list_type, items) = list_of(schema);
            if *list_type == ListType::Atomic {
                return (FieldSet::leaf(), FieldSet::default());
            }
            fn index<'v>(list_type: &ListType, list: &'v [Value]) -> BTreeMap<String, &'v Value> {
                list.iter()
                    .filter_map(|item| Some((item_key(list_type, item)?, item)))
                    .collect()
            }
            let (old, new) = (index(list_type, old), index(list_type, new));
            let (mut changed, mut removed) = (FieldSet::default(), FieldSet::default());
            let names = new.keys().chain(old.keys().filter(|name| !new.contains_key(*name)));
            for name in names {
                let mut below = diff(old.get(name).copied(), new.get(name).copied(), items);
                below.0.member |= !old.contains_key(name);
                below.1.member |= !new.contains_key(name);
                put(&mut changed, &mut removed, || name.clone(), below);
            }
            (changed, removed)
        }
        _ => (FieldSet::leaf(), FieldSet::default()),
    }
}

fn diff_of_fields(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    without: &[&str],
    schema: Option<&Schema>,
) -> (FieldSet, FieldSet) {
    let (mut changed, mut removed) = (FieldSet::default(), FieldSet::default());
    let names = new.keys().chain(old.keys().filter(|name| !new.contains_key(*name)));
    for name in names.filter(|name| !without.contains(&name.as_str())) {
        let below = schema.and_then(|schema| schema.field(name));
        let below = diff(old.get(name), new.get(name), below);
        put(&mut changed, &mut removed, || format!("f:{name}"), below);
    }
    (changed, removed)
}

fn put(changed: &mut FieldSet, removed: &mut FieldSet, name: impl Fn() -> String, below: (FieldSet, FieldSet)) {
    for (set, below) in [(changed, below.0), (removed, below.1)] {
        if !below.is_empty() {
            set.children.insert(name(), below);
        }
    }
}

/// What of an object from one state to another is added or changed, and removed, of that which can be owned; see [`ownable`].
fn changes(old: Option<&Value>, new: &Value, schema: Option<&Schema>) -> (FieldSet, FieldSet) {
    fn fields<'v>(object: Option<&'v Value>, empty: &'v Map<String, Value>) -> &'v Map<String, Value> {
        object.and_then(Value::as_object).unwrap_or(empty)
    }
    let empty = Map::new();
    let (was, is) = (fields(old, &empty), fields(Some(new), &empty));
    let (mut changed, mut removed) = diff_of_fields(was, is, &["apiVersion", "kind", "metadata"], schema);
    let schema = schema.and_then(|schema| schema.field("metadata"));
    let (was, is) = (fields(was.get("metadata"), &empty), fields(is.get("metadata"), &empty));
    let owned = |fields: &Map<String, Value>| fields.keys().any(|name| !UNOWNED.contains(&name.as_str()));
    fn all(fields: &Map<String, Value>, schema: Option<&Schema>) -> FieldSet {
        let fields = fields.iter().filter(|(name, _)| !UNOWNED.contains(&name.as_str()));
        paths_of_fields(fields, schema, true)
    }
    let metadata = match (owned(was), owned(is)) {
        (false, false) => Default::default(),
        (false, true) => (all(is, schema), FieldSet::default()),
        (true, false) => (FieldSet::default(), all(was, schema)),
        (true, true) => diff_of_fields(was, is, &UNOWNED, schema),
    };
    put(&mut changed, &mut removed, || "f:metadata".to_owned(), metadata);
    (changed, removed)
}

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// Field manager's name.
    pub name: String,
    /// `Apply` or `Update`.
    pub operation: &'static str,
    /// Version it wrote in.
    pub api_version: String,
    /// `status` or empty.
    pub subresource: String,
}

/// One entry of `managedFields`.
#[derive(Clone, Debug)]
pub struct Entry {
    json: Value,
    /// Its fields.
    pub set: FieldSet,
}

impl Entry {
    fn new(manager: &Manager) -> Entry {
        let mut json = json!({"manager": manager.name, "operation": manager.operation, "apiVersion": manager.api_version,
            "time": now(), "fieldsType": "FieldsV1", "fieldsV1": {}});
        if !manager.subresource.is_empty() {
            json["subresource"] = manager.subresource.clone().into();
        }
        Entry {
            json,
            set: FieldSet::default(),
        }
    }

    /// Whether this is the manager's own entry.
    pub fn is_of(&self, manager: &Manager) -> bool {
        is_of(&self.json, manager)
    }

    /// As conflict messages name it.
    pub fn describe(&self) -> String {
        let name = format!("{:?}", self.json["manager"].as_str().unwrap_or_default());
        let place = match self.json["subresource"].as_str() {
            Some(subresource) => format!(" with subresource {subresource:?}"),
            None => String::new(),
        };
        match self.json["operation"].as_str() {
            Some("Apply") => format!("{name}{place}"),
            _ => format!(
                "{name}{place} using {}",
                self.json["apiVersion"].as_str().unwrap_or_default()
            ),
        }
    }
}

fn is_of(entry: &Value, manager: &Manager) -> bool {
    entry["manager"] == manager.name
        && entry["operation"] == manager.operation
        && entry["apiVersion"] == manager.api_version
        && entry["subresource"].as_str().unwrap_or_default() == manager.subresource
}

/// Entries of an object.
pub fn entries(object: &Value) -> Vec<Entry> {
    let list = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    list.map(|json| Entry {
        json: json.clone(),
        set: FieldSet::parse(&json["fieldsV1"]),
    })
    .collect()
}

/// Writes entries back, without the empty ones.
pub fn write_entries(object: &mut Value, entries: Vec<Entry>) {
    let kept = entries
        .into_iter()
        .filter(|entry| !entry.set.is_empty() && !entry.set.children.is_empty());
    let list: Vec<Value> = kept
        .map(|mut entry| {
            entry.json["fieldsV1"] = entry.set.into_json();
            entry.json
        })
        .collect();
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return;
    };
    if list.is_empty() {
        metadata.shift_remove("managedFields");
    } else {
        metadata.insert("managedFields".into(), list.into());
    }
}

/// The manager's entry, made if it is not there.
pub fn own_entry<'a>(entries: &'a mut Vec<Entry>, manager: &Manager) -> &'a mut Entry {
    let place = entries
        .iter()
        .position(|entry| entry.is_of(manager))
        .unwrap_or_else(|| {
            entries.push(Entry::new(manager));
            entries.len() - 1
        });
    &mut entries[place]
}

/// Changes the fields of an entry, and its time if they really change.
pub fn set_fields(entry: &mut Entry, set: FieldSet) {
    if entry.set != set {
        entry.set = set;
        entry.json["time"] = now().into();
    }
}

/// The schema ownership follows.
pub fn schema_of(resource: &Resource) -> Option<&Schema> {
    match &resource.custom {
        Some(custom) => Some(&custom.schema),
        None => builtin::schema(&resource.type_name),
    }
}

/// Fields of `metadata` that no one owns: identity and bookkeeping.
const UNOWNED: [&str; 10] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

/// What of an object can be owned: all but its identity and bookkeeping.
pub fn ownable(object: &Value) -> Value {
    let mut value = object.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.shift_remove("apiVersion");
        fields.shift_remove("kind");
        let empty = fields
            .get_mut("metadata")
            .and_then(Value::as_object_mut)
            .is_some_and(|metadata| {
                for field in UNOWNED {
                    metadata.shift_remove(field);
                }
                metadata.is_empty()
            });
        if empty {
            fields.shift_remove("metadata");
        }
    }
    value
}

/// Records what an update changed as its manager's. Entries that it does not concern stay as they are, unread.
pub fn record_update(resource: &Resource, old: Option<&Value>, new: &mut Value, manager: &Manager) {
    let reset = new["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|list| *list == [json!({})]);
    let (changed, removed) = changes(old, new, schema_of(resource));
    let before = old.and_then(|old| old["metadata"].get("managedFields"));
    let Some(metadata) = new["metadata"].as_object_mut() else {
        return;
    };
    if changed.children.is_empty() && removed.children.is_empty() && !reset {
        match before {
            Some(list) => metadata.insert("managedFields".into(), list.clone()),
            None => metadata.shift_remove("managedFields"),
        };
        return;
    }
    let before = before.and_then(Value::as_array).filter(|_| !reset);
    let mut entries = before.cloned().unwrap_or_default();
    let own = entries.iter().position(|entry| is_of(entry, manager));
    for entry in entries.iter_mut().filter(|entry| !is_of(entry, manager)) {
        let fields = &entry["fieldsV1"];
        if changed.touches(fields) || removed.touches(fields) {
            let rest = FieldSet::parse(fields).minus(&changed).minus(&removed);
            entry["fieldsV1"] = rest.into_json();
        }
    }
    match own.map(|own| &mut entries[own]) {
        Some(own) => {
            let fields = &own["fieldsV1"];
            if removed.touches(fields) || !changed.is_within(fields) {
                let mut set = FieldSet::parse(fields).minus(&removed);
                set.union(&changed);
                own["fieldsV1"] = set.into_json();
                own["time"] = now().into();
            }
        }
        None => {
            let mut own = Entry::new(manager).json;
            own["fieldsV1"] = changed.into_json();
            entries.push(own);
        }
    }
    entries.retain(|entry| {
        let mut fields = entry["fieldsV1"].as_object().into_iter().flatten();
        fields.any(|(name, _)| name != ".")
    });
    if entries.is_empty() {
        metadata.shift_remove("managedFields");
    } else {
        metadata.insert("managedFields".into(), entries.into());
    }
}

/// Records what a first apply brought as its manager's.
pub fn record_apply(_resource: &Resource, new: &mut Value, manager: &Manager, own: &FieldSet) {
    let mut entry = Entry::new(manager);
    entry.set = own.clone();
    write_entries(new, vec![entry]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_those_of_what_can_be_owned() {
        let schema = builtin::schema("io.k8s.api.core.v1.Pod");
        let objects = [
            json!({"kind": "Pod", "metadata": {"name": "a", "uid": "1"}}),
            json!({"kind": "Pod", "metadata": {"name": "a", "labels": {"x": "1"}, "resourceVersion": "2"}, "spec": {"nodeName": "n"}}),
            json!({"metadata": {"labels": {"x": "2", "y": "1"}, "annotations": {"z": ""}}, "spec": {"containers": [{"name": "c"}]}, "status": {}}),
            json!({}),
        ];
        for old in objects.iter().map(Some).chain([None]) {
            for new in &objects {
                let before = old.map(ownable).unwrap_or_else(|| json!({}));
                let (mut changed, mut removed) = diff(Some(&before), Some(&ownable(new)), schema);
                (changed.member, removed.member) = (false, false);
                assert_eq!(changes(old, new, schema), (changed, removed), "{old:?} {new}");
            }
        }
    }

    #[test]
    fn changes_are_found_by_field_and_by_item() {
        let schema = builtin::schema("io.k8s.api.core.v1.Pod");
        let old = json!({"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}], "nodeName": "x"}});
        let new = json!({"spec": {"containers": [{"name": "a", "image": "2"}, {"name": "c", "image": "1"}]}});
        let (changed, removed) = diff(Some(&old), Some(&new), schema);
        assert_eq!(
            changed.into_json(),
            json!({"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {"f:image": {}},
                "k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:name": {}}}}})
        );
        assert!(
            removed.paths().iter().any(|path| path == ".spec.nodeName"),
            "{:?}",
            removed.paths()
        );
    }
}
