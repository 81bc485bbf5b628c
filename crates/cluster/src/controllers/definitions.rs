//! A deleted definition takes its objects with it: they are deleted, finalizers are waited for, then the definition goes.

use std::sync::Arc;

use serde_json::Value;

use super::{Cursor, News, note, update};
use crate::apiserver::crd::{CLEANUP, DEFINITIONS, set_condition};
use crate::apiserver::handlers::finish_deletion;
use crate::apiserver::server::Server;
use crate::store::{EventKind, Interest, Key, Object};

pub(super) async fn run(server: Arc<Server>) {
    let mut cursor = Cursor::new(&server, Interest::All);
    look(&server).await;
    while let Some(news) = cursor.next().await {
        let News::Events(events) = news else {
            look(&server).await;
            continue;
        };
        for event in events {
            let object = &event.object;
            match (&*object.key.resource == DEFINITIONS, event.kind) {
                (true, EventKind::Deleted) => server.reload_custom_resources(),
                (true, _) if object.fields.deleting => clean(&server, object).await,
                // The definition may have waited for this object. A definition's name is where its objects are stored.
                (false, EventKind::Deleted) if object.key.resource.contains('.') => {
                    let key = Key::new(&DEFINITIONS.into(), "", &object.key.resource);
                    if let Some(definition) = server.store.get(&key).filter(|definition| definition.fields.deleting) {
                        clean(&server, &definition).await;
                    }
                }
                _ => {}
            }
        }
    }
}

async fn look(server: &Arc<Server>) {
    let deleting = server
        .store
        .list(&DEFINITIONS.into(), None, None, usize::MAX, |definition| {
            definition.fields.deleting
        });
    for definition in deleting.items {
        clean(server, &definition).await;
    }
    server.reload_custom_resources();
}

/// Deletes the objects of a definition; when none is left, lets it go.
async fn clean(server: &Arc<Server>, definition: &Arc<Object>) {
    let key = definition.key.name.clone();
    let marked = update(server, definition, |value| {
        let before = value["status"].clone();
        let message = "CustomResource deletion is in progress";
        set_condition(value, "Terminating", "True", "InstanceDeletionInProgress", message);
        before != value["status"]
    });
    note("definitions", definition, marked.await);
    server.reload_custom_resources();
    if let Some(resource) = server.registry().by_key(&key) {
        let waiting = server
            .store
            .list(&key, None, None, usize::MAX, |object| !object.fields.deleting);
        for object in waiting.items {
            let done = finish_deletion(server, &resource, &object.key, &object.fields.uid, "Background").await;
            note("definitions", &object, done.map_err(|error| error.message));
        }
    }
    if !server.store.list(&key, None, None, 1, |_| true).items.is_empty() {
        return;
    }
    let Some(current) = server.store.get(&definition.key) else {
        return;
    };
    let done = update(server, &current, |value| {
        let Some(list) = value["metadata"]["finalizers"].as_array_mut() else {
            return false;
        };
        let before = list.len();
        list.retain(|name: &Value| *name != CLEANUP);
        before != list.len()
    });
    note("definitions", definition, done.await);
    server.reload_custom_resources();
}
