//! A deleted definition takes its objects with it: they are deleted, finalizers are waited for, then the definition goes.

use std::sync::Arc;

use serde_json::Value;

use super::client::Client;
use super::{Cursor, News, note};
use crate::apimachinery::crd::{CLEANUP, DEFINITIONS, set_condition};
use crate::registry::Registry;
use crate::store::{EventKind, Interest, Key, Object};

pub(super) async fn run(registry: Arc<Registry>) {
    let client = Client::api_server(&registry);
    let mut cursor = Cursor::new(&registry, Interest::All);
    look(&client).await;
    while let Some(news) = cursor.next().await {
        let News::Events(events) = news else {
            look(&client).await;
            continue;
        };
        for event in events {
            let object = &event.object;
            match (&*object.key.resource == DEFINITIONS, event.kind) {
                (true, EventKind::Deleted) => registry.reload_custom_resources(),
                (true, _) if object.fields.deleting => clean(&client, object).await,
                // The definition may have waited for this object. A definition's name is where its objects are stored.
                (false, EventKind::Deleted) if object.key.resource.contains('.') => {
                    let key = Key::new(&DEFINITIONS.into(), "", &object.key.resource);
                    if let Some(definition) = registry.store.get(&key).filter(|definition| definition.fields.deleting) {
                        clean(&client, &definition).await;
                    }
                }
                _ => {}
            }
        }
    }
}

async fn look(client: &Client) {
    let registry = &client.registry;
    let deleting = registry
        .store
        .list(&DEFINITIONS.into(), None, None, usize::MAX, |definition| {
            definition.fields.deleting
        });
    for definition in deleting.items {
        clean(client, &definition).await;
    }
    registry.reload_custom_resources();
}

/// Deletes the objects of a definition; when none is left, lets it go.
async fn clean(client: &Client, definition: &Arc<Object>) {
    let registry = &client.registry;
    let key = definition.key.name.clone();
    let marked = client.change(definition, "status", |value| {
        let before = value["status"].clone();
        let message = "CustomResource deletion is in progress";
        set_condition(value, "Terminating", "True", "InstanceDeletionInProgress", message);
        before != value["status"]
    });
    note("definitions", definition, marked.await);
    registry.reload_custom_resources();
    if registry.resources().by_key(&key).is_some() {
        let waiting = registry
            .store
            .list(&key, None, None, usize::MAX, |object| !object.fields.deleting);
        for object in waiting.items {
            let done = client.delete_object(&object, "Background").await;
            note("definitions", &object, done);
        }
    }
    if !registry.store.list(&key, None, None, 1, |_| true).items.is_empty() {
        return;
    }
    let Some(current) = registry.store.get(&definition.key) else {
        return;
    };
    let done = client.change(&current, "", |value| {
        let Some(list) = value["metadata"]["finalizers"].as_array_mut() else {
            return false;
        };
        let before = list.len();
        list.retain(|name: &Value| *name != CLEANUP);
        before != list.len()
    });
    note("definitions", definition, done.await);
    registry.reload_custom_resources();
}
