//! Which objects belong to a controller: those it controls, and those without a controller that its selector matches.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::Client;
use super::facts::{Meta, PodFacts, controller_reference, read};
use crate::apimachinery::selectors::LabelSelector;
use crate::apimachinery::status::Status;
use crate::store::{Event, Key, Object, ResourceKey, Store};

/// What is done about one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Keep,
    Adopt,
    Release,
    Ignore,
}

/// Decides about one object: kept while the selector matches, released when it no longer does, adopted when no one else controls it.
/// An owner that is being deleted neither adopts nor releases.
fn claim(owner: &Meta, object: &Meta, matches: bool) -> Claim {
    match object.controller() {
        Some(controller) if controller.uid != owner.uid => Claim::Ignore,
        Some(_) if matches => Claim::Keep,
        Some(_) if owner.deleting() => Claim::Ignore,
        Some(_) => Claim::Release,
        None if owner.deleting() || object.deleting() || !matches => Claim::Ignore,
        None => Claim::Adopt,
    }
}

/// An object of which at least the metadata is read.
pub(super) trait HasMeta: DeserializeOwned {
    /// Its metadata.
    fn meta(&self) -> &Meta;
}

impl HasMeta for PodFacts {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

/// Only the metadata.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct JustMeta {
    pub metadata: Meta,
}

impl HasMeta for JustMeta {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

/// The objects of a resource that belong to `owner`, after adopting and releasing. `admit` says which are looked at.
pub(super) async fn claimed<T: HasMeta>(
    client: &Client,
    owner: &Value,
    selector: &LabelSelector,
    plural: &str,
    admit: impl Fn(&T) -> bool,
) -> Result<Vec<(Arc<Object>, T)>, Status> {
    let identity: JustMeta = serde_json::from_value(json!({"metadata": owner["metadata"]})).unwrap_or_default();
    let meta = identity.metadata;
    let key: ResourceKey = plural.into();
    let list = client
        .registry
        .store
        .list(&key, Some(&meta.namespace), None, usize::MAX, |object| {
            object.fields.owners.iter().any(|uid| **uid == *meta.uid)
                || (object.fields.owners.is_empty() && selector.matches(&object.fields))
                || (selector.matches(&object.fields) && !selector.is_empty())
        });
    let mut kept = Vec::new();
    for object in list.items {
        let Some(facts) = read::<T>(&object).filter(&admit) else {
            continue;
        };
        match claim(&meta, facts.meta(), selector.matches(&object.fields)) {
            Claim::Ignore => {}
            Claim::Keep => kept.push((object, facts)),
            Claim::Release => {
                let patch = json!({"metadata": {"uid": &*object.fields.uid,
                    "ownerReferences": [{"$patch": "delete", "uid": meta.uid}]}});
                gone_is_fine(client.patch(plural, &meta.namespace, &object.key.name, &patch).await)?;
            }
            Claim::Adopt => {
                let patch = json!({"metadata": {"uid": &*object.fields.uid,
                    "ownerReferences": [controller_reference(owner)]}});
                if gone_is_fine(client.patch(plural, &meta.namespace, &object.key.name, &patch).await)? {
                    kept.push((object, facts));
                }
            }
        }
    }
    Ok(kept)
}

/// Whether it was done; an object that is gone or replaced is not a failure.
fn gone_is_fine(done: Result<Value, Status>) -> Result<bool, Status> {
    match done {
        Ok(_) => Ok(true),
        Err(refusal) if matches!(refusal.code, 404 | 409 | 422) => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

/// Owners of `kind` concerned by an event of something they may own: its controllers before and after, or, of something without a
/// controller, every owner whose selector matches it.
pub(super) fn owners_concerned(store: &Store, event: &Event, kind: &str, resource: &ResourceKey) -> Vec<Key> {
    let object = &event.object;
    let namespace = &object.key.namespace;
    let mut keys = Vec::new();
    let versions = [Some(object), event.previous.as_ref()];
    // Most pods are of no controller here: that is seen without reading them.
    let named = format!("\"{kind}\"");
    for version in versions.into_iter().flatten() {
        if version.fields.owners.is_empty() || memchr::memmem::find(&version.json, named.as_bytes()).is_none() {
            continue;
        }
        let meta = read::<JustMeta>(version).unwrap_or_default().metadata;
        if let Some(owner) = meta.controller().filter(|owner| owner.kind == kind) {
            let key = Key::new(resource, namespace, &owner.name);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        // Both versions are read only when the owners changed.
        if event
            .previous
            .as_ref()
            .is_some_and(|before| before.fields.owners == object.fields.owners)
        {
            break;
        }
    }
    if object.fields.owners.is_empty() && !object.fields.labels.is_empty() {
        let candidates = store.list(resource, Some(namespace), None, usize::MAX, |_| true).items;
        for candidate in candidates {
            let selector = LabelSelector::from_selector(&candidate.value()["spec"]["selector"]);
            if !selector.is_empty() && selector.matches(&object.fields) {
                keys.push(candidate.key.clone());
            }
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(value: Value) -> Meta {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn objects_are_adopted_and_released_by_selector_and_controller() {
        let owner = meta(json!({"uid": "o"}));
        let ending = meta(json!({"uid": "o", "deletionTimestamp": "2026-01-01T00:00:00Z"}));
        let ours = meta(json!({"ownerReferences": [{"uid": "o", "controller": true}]}));
        let theirs = meta(json!({"ownerReferences": [{"uid": "x", "controller": true}]}));
        let orphan = meta(json!({"ownerReferences": [{"uid": "x"}]}));
        let dying = meta(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}));
        for (owner, object, matches, expected) in [
            (&owner, &ours, true, Claim::Keep),
            (&owner, &ours, false, Claim::Release),
            (&owner, &theirs, true, Claim::Ignore),
            (&owner, &orphan, true, Claim::Adopt),
            (&owner, &orphan, false, Claim::Ignore),
            (&owner, &dying, true, Claim::Ignore),
            (&ending, &ours, true, Claim::Keep),
            (&ending, &ours, false, Claim::Ignore),
            (&ending, &orphan, true, Claim::Ignore),
        ] {
            assert_eq!(claim(owner, object, matches), expected);
        }
    }
}
