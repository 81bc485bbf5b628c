//! What owners own goes with them: background, foreground and orphan deletion, and objects whose owners are gone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::client::Client;
use super::{Cursor, News, note};
use crate::apimachinery::status::Status;
use crate::registry::Registry;
use crate::store::{Event, EventKind, Interest, Key, Object};

/// Who owns what, by UID.
#[derive(Default)]
struct Graph {
    alive: HashMap<Box<str>, Key>,
    dependents: HashMap<Box<str>, HashSet<Key>>,
}

impl Graph {
    fn add(&mut self, object: &Object) {
        self.alive.insert(object.fields.uid.clone(), object.key.clone());
        for owner in &object.fields.owners {
            self.dependents
                .entry(owner.clone())
                .or_default()
                .insert(object.key.clone());
        }
    }

    fn forget_edges(&mut self, object: &Object) {
        for owner in &object.fields.owners {
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(&object.key);
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    /// Whether an object's owner is there: an owner is cluster-wide or in the same namespace; one elsewhere counts as absent.
    fn has_owner(&self, uid: &str, dependent: &Key) -> bool {
        let owner = self.alive.get(uid);
        owner.is_some_and(|owner| owner.namespace.is_empty() || owner.namespace == dependent.namespace)
    }

    /// What an owner owns, where its ownership counts.
    fn dependents_of(&self, owner: &Object) -> Vec<Key> {
        let all = self.dependents.get(&owner.fields.uid).into_iter().flatten();
        let counts = |key: &&Key| owner.key.namespace.is_empty() || key.namespace == owner.key.namespace;
        all.filter(counts).cloned().collect()
    }
}

pub(super) async fn run(registry: Arc<Registry>) {
    let client = Client::new(&registry, "generic-garbage-collector");
    let mut cursor = Cursor::new(&registry, Interest::All);
    let mut graph = look(&client).await;
    while let Some(news) = cursor.next().await {
        match news {
            News::LookAgain => graph = look(&client).await,
            News::Events(events) => {
                for event in events {
                    handle(&client, &mut graph, &event).await;
                }
            }
        }
    }
}

/// Reads everything, and deals with what is already waiting.
async fn look(client: &Client) -> Graph {
    let mut graph = Graph::default();
    let mut all = Vec::new();
    client.registry.store.for_each(|object| {
        graph.add(object);
        if object.fields.deleting || !object.fields.owners.is_empty() {
            all.push(object.clone());
        }
    });
    for object in all {
        examine(client, &graph, &object).await;
    }
    graph
}

async fn handle(client: &Client, graph: &mut Graph, event: &Event) {
    let object = &event.object;
    if let Some(previous) = &event.previous
        && (previous.fields.owners != object.fields.owners || event.kind == EventKind::Deleted)
    {
        graph.forget_edges(previous);
    }
    if event.kind == EventKind::Deleted {
        let dependents = graph.dependents.get(&object.fields.uid).cloned().unwrap_or_default();
        graph.alive.remove(&object.fields.uid);
        for key in dependents {
            if let Some(dependent) = client.registry.store.get(&key) {
                note("garbage", &dependent, release(client, graph, &dependent).await);
            }
        }
        // The owner may have waited for this one.
        for owner in &object.fields.owners {
            settle_foreground_owner(client, graph, owner).await;
        }
        return;
    }
    graph.add(object);
    // An owner that is waiting is not held back any more by one that no longer names it.
    if let Some(previous) = &event.previous {
        for owner in previous
            .fields
            .owners
            .iter()
            .filter(|owner| !object.fields.owners.contains(owner))
        {
            settle_foreground_owner(client, graph, owner).await;
        }
    }
    examine(client, graph, object).await;
}

/// Deals with one object that is ending or owned.
async fn examine(client: &Client, graph: &Graph, object: &Arc<Object>) {
    if object.fields.deleting {
        let value = object.value();
        let has = |name: &str| {
            value["metadata"]["finalizers"]
                .as_array()
                .is_some_and(|list| list.iter().any(|finalizer| finalizer == name))
        };
        if has("orphan") {
            note("garbage", object, orphan(client, graph, object).await);
        } else if has("foregroundDeletion") {
            note("garbage", object, foreground(client, graph, object).await);
        }
    }
    if object
        .fields
        .owners
        .iter()
        .any(|owner| !graph.has_owner(owner, &object.key))
    {
        note("garbage", object, release(client, graph, object).await);
    }
}

fn without_finalizer(value: &mut Value, name: &str) -> bool {
    let Some(list) = value["metadata"]["finalizers"].as_array_mut() else {
        return false;
    };
    let before = list.len();
    list.retain(|finalizer| finalizer != name);
    before != list.len()
}

/// Takes an owner away from everything it owns, then lets it go.
async fn orphan(client: &Client, graph: &Graph, owner: &Arc<Object>) -> Result<(), Status> {
    for key in graph.dependents_of(owner) {
        let Some(dependent) = client.registry.store.get(&key) else {
            continue;
        };
        client
            .change(&dependent, "", |value| {
                drop_owners(value, |uid| uid == &*owner.fields.uid)
            })
            .await?;
    }
    client
        .change(owner, "", |value| without_finalizer(value, "orphan"))
        .await
}

/// Deletes everything an owner owns; the owner goes when those that block it are gone.
async fn foreground(client: &Client, graph: &Graph, owner: &Arc<Object>) -> Result<(), Status> {
    for key in graph.dependents_of(owner) {
        if let Some(dependent) = client
            .registry
            .store
            .get(&key)
            .filter(|dependent| !dependent.fields.deleting)
        {
            delete(client, &dependent, "Foreground").await?;
        }
    }
    // Deleting may have been immediate; what is left and says so blocks, unless it waits for this owner itself.
    let mut blocked = false;
    for key in graph.dependents_of(owner) {
        let Some(dependent) = client.registry.store.get(&key) else {
            continue;
        };
        let value = dependent.value();
        let mut owners = value["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        let blocks =
            owners.any(|reference| reference["uid"] == *owner.fields.uid && reference["blockOwnerDeletion"] == true);
        blocked |= blocks && !waits_for(client, graph, &dependent, owner);
    }
    if blocked {
        return Ok(());
    }
    client
        .change(owner, "", |value| without_finalizer(value, "foregroundDeletion"))
        .await
}

/// Whether an object that is being deleted waits, over its own dependents, for another: then neither may wait for the other.
fn waits_for(client: &Client, graph: &Graph, object: &Arc<Object>, other: &Object) -> bool {
    let mut seen = HashSet::new();
    let mut next = vec![object.clone()];
    while let Some(object) = next.pop() {
        if !object.fields.deleting || !seen.insert(object.fields.uid.clone()) {
            continue;
        }
        for key in graph.dependents_of(&object) {
            if key == other.key {
                return true;
            }
            next.extend(client.registry.store.get(&key));
        }
    }
    false
}

async fn settle_foreground_owner(client: &Client, graph: &Graph, uid: &str) {
    let owner = graph.alive.get(uid).and_then(|key| client.registry.store.get(key));
    if let Some(owner) = owner.filter(|owner| owner.fields.deleting && *owner.fields.uid == *uid) {
        examine_foreground(client, graph, &owner).await;
    }
}

async fn examine_foreground(client: &Client, graph: &Graph, owner: &Arc<Object>) {
    let value = owner.value();
    let waits = value["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|list| list.iter().any(|name| name == "foregroundDeletion"));
    if waits {
        note("garbage", owner, foreground(client, graph, owner).await);
    }
}

/// An object some of whose owners are gone: it goes if none is left, else it loses those references.
async fn release(client: &Client, graph: &Graph, object: &Arc<Object>) -> Result<(), Status> {
    if object.fields.owners.is_empty() {
        return Ok(());
    }
    let gone = |uid: &str| !graph.has_owner(uid, &object.key);
    if object.fields.owners.iter().all(|owner| gone(owner)) {
        if object.fields.deleting {
            return Ok(());
        }
        return delete(client, object, "Background").await;
    }
    client.change(object, "", |value| drop_owners(value, gone)).await
}

fn drop_owners(value: &mut Value, gone: impl Fn(&str) -> bool) -> bool {
    let Some(list) = value["metadata"]
        .get_mut("ownerReferences")
        .and_then(Value::as_array_mut)
    else {
        return false;
    };
    let before = list.len();
    list.retain(|owner| !gone(owner["uid"].as_str().unwrap_or_default()));
    let changed = before != list.len();
    if list.is_empty() {
        value["metadata"]
            .as_object_mut()
            .map(|fields| fields.shift_remove("ownerReferences"));
    }
    changed
}

async fn delete(client: &Client, object: &Object, propagation: &str) -> Result<(), Status> {
    // The definition of a custom resource may be gone already.
    if client.registry.resources().by_key(&object.key.resource).is_none() {
        return Ok(());
    }
    client.delete_object(object, propagation).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_of_gone_owners_are_dropped() {
        let mut value = json!({"metadata": {"ownerReferences": [{"uid": "a"}, {"uid": "b"}]}});
        assert!(drop_owners(&mut value, |uid| uid == "a"));
        assert_eq!(value["metadata"]["ownerReferences"], json!([{"uid": "b"}]));
        assert!(!drop_owners(&mut value, |uid| uid == "a"));
        assert!(drop_owners(&mut value, |uid| uid == "b"));
        assert_eq!(value, json!({"metadata": {}}));
    }
}
