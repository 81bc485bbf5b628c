//! Who owns which field: sets of field paths, and `metadata.managedFields`.
//!
//! The text form (`f:spec`, `k:{"name":"a"}`, `v:"x"`, `.`) is that of FieldsV1; the rules are those of structured-merge-diff: structures
//! and maps are owned field by field, keyed lists item by item, atomic lists and structures whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::meta::now;
use super::resources::Resource;
use super::schema::{Kind, ListType, Schema, builtin};
use super::server::Call;

/// A set of field paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// The path itself is in the set.
    pub member: bool,
    /// Paths below, by their FieldsV1 element.
    pub children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    fn leaf() -> FieldSet {
        FieldSet {
            member: true,
            children: BTreeMap::new(),
        }
    }

    /// Whether there is no path at all.
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Reads FieldsV1.
    pub fn parse(json: &Value) -> FieldSet {
        let Some(fields) = json.as_object() else {
            return FieldSet::default();
        };
        let children = fields.iter().filter(|(name, _)| *name != ".");
        FieldSet {
            member: fields.is_empty() || fields.contains_key("."),
            children: children
                .map(|(name, child)| (name.clone(), FieldSet::parse(child)))
                .collect(),
        }
    }

    /// Writes FieldsV1.
    pub fn json(&self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.children.is_empty() {
            fields.insert(".".into(), json!({}));
        }
        fields.extend(self.children.iter().map(|(name, child)| (name.clone(), child.json())));
        Value::Object(fields)
    }

    /// Paths of either.
    pub fn union(&mut self, other: &FieldSet) {
        self.member |= other.member;
        for (name, child) in &other.children {
            self.children.entry(name.clone()).or_default().union(child);
        }
    }

    /// Paths that are not in the other.
    pub fn minus(&self, other: &FieldSet) -> FieldSet {
        let children = self.children.iter().filter_map(|(name, child)| {
            let rest = other
                .children
                .get(name)
                .map_or_else(|| child.clone(), |other| child.minus(other));
            (!rest.is_empty()).then(|| (name.clone(), rest))
        });
        FieldSet {
            member: self.member && !other.member,
            children: children.collect(),
        }
    }

    /// Paths that are in both. A leaf of one covers everything below it in the other.
    pub fn intersection(&self, other: &FieldSet) -> FieldSet {
        let children = self.children.iter().filter_map(|(name, child)| {
            let both = child.intersection(other.children.get(name)?);
            (!both.is_empty()).then(|| (name.clone(), both))
        });
        FieldSet {
            member: self.member && other.member,
            children: children.collect(),
        }
    }

    /// Every path of the set as kubectl shows it, `.spec.containers[name="a"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect(String::new(), &mut found);
        found
    }

    fn collect(&self, path: String, found: &mut Vec<String>) {
        if self.member && self.children.is_empty() {
            found.push(path.clone());
        }
        for (name, child) in &self.children {
            let place = match name.split_once(':') {
                Some(("f", field)) => format!("{path}.{field}"),
                Some(("k", keys)) => {
                    let keys: Value = serde_json::from_str(keys).unwrap_or_default();
                    let keys = keys
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(key, value)| format!("{key}={value}"));
                    format!("{path}[{}]", keys.collect::<Vec<_>>().join(","))
                }
                Some((_, rest)) => format!("{path}[={rest}]"),
                None => format!("{path}{name}"),
            };
            child.collect(place, found);
        }
    }
}

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
            let children = fields.iter().map(|(name, field)| {
                (
                    format!("f:{name}"),
                    paths_of(field, schema.and_then(|schema| schema.field(name)), maps),
                )
            });
            FieldSet {
                member: maps && schema.is_none_or(Schema::is_map),
                children: children.collect(),
            }
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

/// Paths added or changed, and paths removed, from one value to another.
pub fn diff(old: Option<&Value>, new: Option<&Value>, schema: Option<&Schema>) -> (FieldSet, FieldSet) {
    match (old, new) {
        (None, None) => Default::default(),
        (None, Some(new)) => (paths_of(new, schema, true), FieldSet::default()),
        (Some(old), None) => (FieldSet::default(), paths_of(old, schema, true)),
        (Some(old), Some(new)) if old == new => Default::default(),
        (Some(Value::Object(old)), Some(Value::Object(new))) if !schema.is_some_and(is_atomic) => {
            let (mut changed, mut removed) = (FieldSet::default(), FieldSet::default());
            let names = new.keys().chain(old.keys().filter(|name| !new.contains_key(*name)));
            for name in names {
                let below = diff(
                    old.get(name),
                    new.get(name),
                    schema.and_then(|schema| schema.field(name)),
                );
                put(&mut changed, &mut removed, format!("f:{name}"), below);
            }
            (changed, removed)
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            let (list_type, items) = list_of(schema);
            if *list_type == ListType::Atomic {
                return (FieldSet::leaf(), FieldSet::default());
            }
            let index = |list: &[Value]| -> BTreeMap<String, Value> {
                list.iter()
                    .filter_map(|item| Some((item_key(list_type, item)?, item.clone())))
                    .collect()
            };
            let (old, new) = (index(old), index(new));
            let (mut changed, mut removed) = (FieldSet::default(), FieldSet::default());
            let names = new.keys().chain(old.keys().filter(|name| !new.contains_key(*name)));
            for name in names {
                let mut below = diff(old.get(name), new.get(name), items);
                below.0.member |= !old.contains_key(name);
                below.1.member |= !new.contains_key(name);
                put(&mut changed, &mut removed, name.clone(), below);
            }
            (changed, removed)
        }
        _ => (FieldSet::leaf(), FieldSet::default()),
    }
}

fn put(changed: &mut FieldSet, removed: &mut FieldSet, name: String, below: (FieldSet, FieldSet)) {
    for (set, below) in [(changed, below.0), (removed, below.1)] {
        if !below.is_empty() {
            set.children.insert(name.clone(), below);
        }
    }
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

/// The manager of a call: its `fieldManager`, or the program named by `User-Agent`.
pub fn manager_of(call: &Call, operation: &'static str) -> Manager {
    let agent = call.user_agent.split(['/', ' ']).next().unwrap_or_default();
    let name = call
        .query
        .get("fieldManager")
        .unwrap_or(if agent.is_empty() { "unknown" } else { agent });
    Manager {
        name: name.chars().take(128).collect(),
        operation,
        api_version: call.resource().api_version(),
        subresource: call.target.subresource.clone().unwrap_or_default(),
    }
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
        self.json["manager"] == manager.name
            && self.json["operation"] == manager.operation
            && self.json["apiVersion"] == manager.api_version
            && self.json["subresource"].as_str().unwrap_or_default() == manager.subresource
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
            entry.json["fieldsV1"] = entry.set.json();
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
                for field in [
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
                ] {
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

/// Records what an update changed as its manager's.
pub fn record_update(resource: &Resource, old: Option<&Value>, new: &mut Value, manager: &Manager) {
    let reset = new["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|list| *list == [json!({})]);
    let mut entries = if reset {
        Vec::new()
    } else {
        old.map(entries).unwrap_or_default()
    };
    let before = old.map(ownable).unwrap_or_else(|| json!({}));
    let (mut changed, mut removed) = diff(Some(&before), Some(&ownable(new)), schema_of(resource));
    changed.member = false;
    removed.member = false;
    if changed.children.is_empty() && removed.children.is_empty() && !reset {
        match old.and_then(|old| old["metadata"].get("managedFields")) {
            Some(list) => new["metadata"]["managedFields"] = list.clone(),
            None => {
                new["metadata"]
                    .as_object_mut()
                    .map(|fields| fields.shift_remove("managedFields"));
            }
        }
        return;
    }
    for entry in entries.iter_mut().filter(|entry| !entry.is_of(manager)) {
        let rest = entry.set.minus(&changed).minus(&removed);
        entry.set = rest;
    }
    let own = own_entry(&mut entries, manager);
    let mut set = own.set.minus(&removed);
    set.union(&changed);
    set_fields(own, set);
    write_entries(new, entries);
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
    fn field_sets_read_and_write_the_published_form() {
        let text = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:x": {}}});
        let set = FieldSet::parse(&text);
        assert_eq!(set.json(), text);
        assert_eq!(
            set.minus(&FieldSet::parse(&json!({"f:spec": {"f:x": {}}}))).json(),
            json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}})
        );
        assert_eq!(set.paths(), [".metadata.labels.a", ".spec.x"]);
    }

    #[test]
    fn changes_are_found_by_field_and_by_item() {
        let schema = builtin::schema("io.k8s.api.core.v1.Pod");
        let old = json!({"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}], "nodeName": "x"}});
        let new = json!({"spec": {"containers": [{"name": "a", "image": "2"}, {"name": "c", "image": "1"}]}});
        let (changed, removed) = diff(Some(&old), Some(&new), schema);
        assert_eq!(
            changed.json(),
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
