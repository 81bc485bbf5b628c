//! A deleted namespace is emptied before it goes; a namespace always has its service accounts and the cluster's certificate.

use std::sync::Arc;

use super::client::Client;
use super::work::{Controller, Settled};
use super::{Cursor, News, note};
use crate::registry::Registry;
use crate::registry::namespaces::{AUTHORITY, SPARK_ACCOUNTS};
use crate::store::{Event, EventKind, Interest, Key, Object, ResourceKey, Store};

pub(super) async fn run(registry: Arc<Registry>) {
    let client = Client::new(&registry, "namespace-controller");
    let mut cursor = Cursor::new(&registry, Interest::All);
    look(&client).await;
    while let Some(news) = cursor.next().await {
        let News::Events(events) = news else {
            look(&client).await;
            continue;
        };
        for event in events {
            let object = &event.object;
            match &*object.key.resource {
                "namespaces" if event.kind != EventKind::Deleted && object.fields.deleting => {
                    empty(&client, object).await
                }
                _ => {}
            }
            if event.kind == EventKind::Deleted && !object.key.namespace.is_empty() {
                // It may have been the last thing a namespace waited for.
                let space = registry
                    .store
                    .get(&Key::new(&"namespaces".into(), "", &object.key.namespace));
                if let Some(space) = space.filter(|space| space.fields.deleting) {
                    empty(&client, &space).await;
                }
            }
        }
    }
}

async fn look(client: &Client) {
    let registry = &client.registry;
    for space in registry
        .store
        .list(&"namespaces".into(), None, None, usize::MAX, |space| {
            space.fields.deleting
        })
        .items
    {
        empty(client, &space).await;
    }
}

/// Deletes what is in a namespace; when nothing is left, lets it go.
async fn empty(client: &Client, space: &Arc<Object>) {
    let registry = &client.registry;
    let resources = registry.resources();
    let name = &space.key.name;
    for key in registry.store.resources_in(name) {
        if resources.by_key(&key).is_none() {
            continue;
        }
        for object in registry
            .store
            .list(&key, Some(name), None, usize::MAX, |object| !object.fields.deleting)
            .items
        {
            let done = client.delete_object(&object, "Background").await;
            note("namespaces", &object, done);
        }
    }
    if !registry.store.resources_in(name).is_empty() {
        return;
    }
    note("namespaces", space, client.finalize(space).await);
}

/// Gives namespaces what they cannot do without: service accounts, the cluster's certificate, the right to run Spark.
pub(super) struct Furnishing(Arc<Registry>);

impl Furnishing {
    /// A controller of this cluster's namespaces.
    pub fn new(registry: &Arc<Registry>) -> Furnishing {
        Furnishing(registry.clone())
    }
}

impl Controller for Furnishing {
    const NAME: &'static str = "furnishing";

    fn resource(&self) -> ResourceKey {
        "namespaces".into()
    }

    fn sources(&self) -> Interest {
        Interest::of(&["serviceaccounts", "configmaps"])
    }

    fn concerns(&self, _: &Store, event: &Event) -> Vec<Key> {
        let key = &event.object.key;
        let needed = SPARK_ACCOUNTS.contains(&&*key.name) || &*key.name == AUTHORITY;
        if event.kind != EventKind::Deleted || !needed {
            return Vec::new();
        }
        vec![Key::new(&self.resource(), "", &key.namespace)]
    }

    async fn settle(self: Arc<Self>, key: Key) -> Settled {
        match self.0.store.get(&key) {
            Some(space) if !space.fields.deleting => self.0.furnish(&key.name).await?,
            _ => {}
        }
        Ok(None)
    }
}
