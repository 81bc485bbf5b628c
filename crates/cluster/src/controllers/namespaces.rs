//! A deleted namespace is emptied before it goes; a namespace always has its service accounts and the cluster's certificate.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Cursor, News, note, update};
use crate::apiserver::handlers::admission::{SPARK_ACCOUNTS, furnish_namespace};
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
            match &*object.key.resource {
                "namespaces" if event.kind != EventKind::Deleted && object.fields.deleting => {
                    empty(&server, object).await
                }
                "serviceaccounts" | "configmaps" if event.kind == EventKind::Deleted => restore(&server, object).await,
                _ => {}
            }
            if event.kind == EventKind::Deleted && !object.key.namespace.is_empty() {
                // It may have been the last thing a namespace waited for.
                let space = server
                    .store
                    .get(&Key::new(&"namespaces".into(), "", &object.key.namespace));
                if let Some(space) = space.filter(|space| space.fields.deleting) {
                    empty(&server, &space).await;
                }
            }
        }
    }
}

async fn look(server: &Arc<Server>) {
    for space in server
        .store
        .list(&"namespaces".into(), None, None, usize::MAX, |space| {
            space.fields.deleting
        })
        .items
    {
        empty(server, &space).await;
    }
}

/// Puts back what a namespace cannot do without.
async fn restore(server: &Arc<Server>, object: &Object) {
    let needed = SPARK_ACCOUNTS.contains(&&*object.key.name) || &*object.key.name == "kube-root-ca.crt";
    let space = server
        .store
        .get(&Key::new(&"namespaces".into(), "", &object.key.namespace));
    if needed && space.is_some_and(|space| !space.fields.deleting) {
        furnish_namespace(server, &object.key.namespace).await;
    }
}

/// Deletes what is in a namespace; when nothing is left, lets it go.
async fn empty(server: &Arc<Server>, space: &Arc<Object>) {
    let registry = server.registry();
    let name = &space.key.name;
    for key in server.store.resources_in(name) {
        let Some(resource) = registry.by_key(&key) else {
            continue;
        };
        for object in server
            .store
            .list(&key, Some(name), None, usize::MAX, |object| !object.fields.deleting)
            .items
        {
            let done = finish_deletion(server, &resource, &object.key, &object.fields.uid, "Background").await;
            note("namespaces", &object, done.map_err(|error| error.message));
        }
    }
    if !server.store.resources_in(name).is_empty() {
        return;
    }
    let done = update(server, space, |value| {
        let waits = value["spec"]["finalizers"]
            .as_array()
            .is_some_and(|list: &Vec<Value>| list.iter().any(|name| name == "kubernetes"));
        if waits {
            value["spec"]["finalizers"] = json!([]);
        }
        waits
    });
    note("namespaces", space, done.await);
}
