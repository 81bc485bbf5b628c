//! What a step may do. Every action is safe to do twice: it names the state that is wanted, or the very object that goes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::book::Kind;

/// Label of what a run makes: the id of its record.
pub const LABEL: &str = "runbook.stoke.dev/record";

/// One object of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    pub kind: Kind,
    /// Empty for kinds that stand in none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
}

impl Object {
    /// An object of a kind.
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Object {
        let namespace = if kind.is_namespaced() { namespace } else { "" };
        Object {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// That of an object that was read.
    pub fn of(kind: Kind, object: &Value) -> Object {
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Object::new(kind, &text(&metadata["namespace"]), &text(&metadata["name"]))
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.words(), self.name)
    }
}

/// Something that only the outside can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// A JSON merge patch. With a uid: of that object and no later one of its name.
    Patch {
        object: Object,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<String>,
        patch: Value,
    },
    /// Puts back what a patch changed, unless someone changed it since.
    PutBack { object: Object, set: Value, to: Value },
    /// Creates an object under a name of this run, or finds it created.
    Create { object: Object, manifest: Value },
    /// Deletes the object with this uid; one that is gone is deleted. Without a uid: the one with the label of this run.
    Delete {
        object: Object,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<String>,
    },
    /// Evicts the pod with this uid, as far as disruption budgets allow.
    Evict { object: Object, uid: String },
    /// Copies the keys of a Secret to another; a value is never written down. With `fresh`, an existing copy stays as it is.
    CopySecret { from: Object, to: Object, fresh: bool },
    /// Writes given values into these keys of a Secret.
    SetSecret { object: Object, keys: Vec<String> },
    /// Writes, reads and deletes a file of this run.
    Probe { place: String, name: String },
    /// Moves files from one place to another; what is there already is moved.
    Move {
        from: String,
        to: String,
        files: Vec<String>,
    },
    /// Opens an incident, or finds it open.
    OpenIncident { id: String, title: String },
    /// Closes an incident, or finds it closed.
    CloseIncident { id: String, says: String },
}

/// A right that an action needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Right {
    pub verb: String,
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (_, _, plural) = self.kind.api();
        write!(f, "{} {plural}", self.verb)?;
        if !self.subresource.is_empty() {
            write!(f, "/{}", self.subresource)?;
        }
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        if !self.namespace.is_empty() {
            write!(f, " in {}", self.namespace)?;
        }
        Ok(())
    }
}

impl Action {
    /// What it needs the right to.
    #[must_use]
    pub fn rights(&self) -> Vec<Right> {
        let right = |verb: &str, object: &Object, subresource: &str| Right {
            verb: verb.to_owned(),
            kind: object.kind,
            subresource: subresource.to_owned(),
            namespace: object.namespace.clone(),
            // A name that is not there yet cannot be asked about.
            name: if verb == "create" && subresource.is_empty() {
                String::new()
            } else {
                object.name.clone()
            },
        };
        match self {
            Action::Patch { object, .. } | Action::PutBack { object, .. } | Action::SetSecret { object, .. } => {
                vec![right("patch", object, "")]
            }
            Action::Create { object, .. } => vec![right("create", object, "")],
            Action::Delete { object, .. } => vec![right("delete", object, "")],
            Action::Evict { object, .. } => vec![right("create", object, "eviction")],
            Action::CopySecret { from, to, .. } => {
                vec![right("get", from, ""), right("create", to, ""), right("patch", to, "")]
            }
            Action::Probe { .. } | Action::Move { .. } | Action::OpenIncident { .. } | Action::CloseIncident { .. } => {
                Vec::new()
            }
        }
    }

    /// In a few words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Action::Patch { object, patch, .. } => format!("patch {object} with {patch}"),
            Action::PutBack { object, to, .. } => format!("patch {object} back with {to}"),
            Action::Create { object, .. } => format!("create {object}"),
            Action::Delete { object, .. } => format!("delete {object}"),
            Action::Evict { object, .. } => format!("evict {object}"),
            Action::CopySecret { from, to, .. } => format!("copy {from} to {}", to.name),
            Action::SetSecret { object, keys } => format!("write {} of {object}", keys.join(", ")),
            Action::Probe { place, name } => format!("write, read and delete {name} at {place}"),
            Action::Move { from, to, files } => format!("move {} from {from} to {to}", files.join(", ")),
            Action::OpenIncident { id, .. } => format!("open incident {id}"),
            Action::CloseIncident { id, .. } => format!("close incident {id}"),
        }
    }
}

/// An action and what undoes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Action>,
}

impl Change {
    /// A merge patch of an object that was read, with its way back.
    pub fn patch(kind: Kind, object: &Value, patch: Value) -> Change {
        let target = Object::of(kind, object);
        let undo = Action::PutBack {
            object: target.clone(),
            to: back(object, &patch),
            set: patch.clone(),
        };
        let action = Action::Patch {
            object: target,
            uid: object["metadata"]["uid"].as_str().map(str::to_owned),
            patch,
        };
        Change {
            action,
            undo: Some(undo),
        }
    }

    /// The deletion of an object that was read.
    pub fn delete(kind: Kind, object: &Value) -> Change {
        let action = Action::Delete {
            object: Object::of(kind, object),
            uid: object["metadata"]["uid"].as_str().map(str::to_owned),
        };
        Change { action, undo: None }
    }

    /// The creation of an object, which carries the label of the run.
    pub fn create(kind: Kind, manifest: Value, record: &str) -> Change {
        let mut manifest = manifest;
        manifest["metadata"]["labels"][LABEL] = record.into();
        let object = Object::of(kind, &manifest);
        Change {
            undo: Some(Action::Delete {
                object: object.clone(),
                uid: None,
            }),
            action: Action::Create { object, manifest },
        }
    }

    /// An action that is not undone.
    pub fn only(action: Action) -> Change {
        Change { action, undo: None }
    }
}

/// What a step will do, fixed before it is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What is touched, for people: objects that stand there now, counted.
    pub blast: String,
    pub changes: Vec<Change>,
}

impl Plan {
    /// A plan.
    pub fn new(blast: impl Into<String>, changes: Vec<Change>) -> Plan {
        Plan {
            blast: blast.into(),
            changes,
        }
    }

    /// Nothing is to be done, for this reason.
    pub fn nothing(why: impl Into<String>) -> Plan {
        Plan::new(why, Vec::new())
    }
}

/// The object after a merge patch (RFC 7386).
#[must_use]
pub fn merged(object: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut object = match object {
        Value::Object(object) => object.clone(),
        _ => Map::new(),
    };
    for (key, value) in patch {
        if value.is_null() {
            object.remove(key);
        } else {
            let before = object.get(key).unwrap_or(&Value::Null);
            let after = merged(before, value);
            object.insert(key.clone(), after);
        }
    }
    Value::Object(object)
}

/// Whether an object is as a merge patch wants it. What a patch removes may as well have never been there, and its parents too.
#[must_use]
pub fn stands(object: &Value, patch: &Value) -> bool {
    match patch {
        Value::Object(patch) => patch.iter().all(|(key, value)| stands(&object[key.as_str()], value)),
        wanted => object == wanted,
    }
}

/// The merge patch that takes back what another one changes of an object.
#[must_use]
pub fn back(object: &Value, patch: &Value) -> Value {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => {
            let entries = patch.iter().map(|(key, value)| {
                let before = object.get(key).unwrap_or(&Value::Null);
                (key.clone(), back(before, value))
            });
            Value::Object(entries.collect())
        }
        (before, _) => before.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_is_taken_back_as_it_was() {
        let app = json!({"metadata": {"name": "etl"}, "spec": {"driver": {"memory": "1g"}, "sparkConf": {"a": "1"}}});
        let patch = json!({"spec": {"driver": {"memory": "2g"}, "sparkConf": {"a": null, "b": "2"}, "suspend": true}});
        let after = merged(&app, &patch);
        assert_eq!(after["spec"]["sparkConf"], json!({"b": "2"}));
        assert_eq!(merged(&after, &back(&app, &patch)), app);
    }

    #[test]
    fn what_is_removed_stands_where_nothing_ever_was() {
        let patch = json!({"metadata": {"annotations": {"a": null}}, "spec": {"size": 1}});
        for (object, holds) in [
            (json!({"spec": {"size": 1}}), true),
            (
                json!({"metadata": {"annotations": {"b": "c"}}, "spec": {"size": 1}}),
                true,
            ),
            (
                json!({"metadata": {"annotations": {"a": "c"}}, "spec": {"size": 1}}),
                false,
            ),
            (json!({"spec": {"size": 2}}), false),
            (json!({}), false),
        ] {
            assert_eq!(stands(&object, &patch), holds, "{object}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!("x")), Just(json!("y")), Just(json!(1)), Just(json!([1, 2]))];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| json!(map))
        })
    }

    /// A map that a patch makes and its way back empties is left empty, which says the same to a Kubernetes API.
    fn without_empty(value: Value) -> Value {
        match value {
            Value::Object(map) => {
                let left = map.into_iter().map(|(key, value)| (key, without_empty(value)));
                Value::Object(left.filter(|(_, value)| *value != json!({})).collect())
            }
            other => other,
        }
    }

    proptest! {
        #[test]
        fn twice_is_once_and_back_is_back(object in values(), patch in values()) {
            let object = json!({"spec": object});
            let patch = json!({"spec": patch});
            let once = merged(&object, &patch);
            prop_assert_eq!(&merged(&once, &patch), &once);
            prop_assert!(stands(&once, &patch));
            let restored = merged(&once, &back(&object, &patch));
            prop_assert_eq!(without_empty(restored), without_empty(object));
        }
    }
}
