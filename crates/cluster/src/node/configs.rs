//! ConfigMaps and Secrets as the node knows them: kept current by watches, so that a pod that waits for one starts at once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::environment::Configs;
use crate::watched::watched;

/// The objects, and word of every change.
#[derive(Debug, Clone)]
pub(crate) struct ConfigCache {
    config_maps: Objects<ConfigMap>,
    secrets: Objects<Secret>,
    changed: watch::Sender<u64>,
}

type Objects<K> = Arc<RwLock<HashMap<(String, String), Arc<K>>>>;

impl ConfigCache {
    /// Starts watching; the handles end with the runtime or when aborted.
    pub(crate) fn start(client: &Client) -> (ConfigCache, Vec<JoinHandle<()>>) {
        let (changed, _) = watch::channel(0);
        let cache = ConfigCache {
            config_maps: Arc::default(),
            secrets: Arc::default(),
            changed,
        };
        let tasks = vec![
            tokio::spawn(follow(
                client.clone(),
                Arc::clone(&cache.config_maps),
                cache.changed.clone(),
            )),
            tokio::spawn(follow(
                client.clone(),
                Arc::clone(&cache.secrets),
                cache.changed.clone(),
            )),
        ];
        (cache, tasks)
    }

    /// Word of changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

impl Configs for ConfigCache {
    fn config_map(&self, namespace: &str, name: &str) -> Option<ConfigMap> {
        get(&self.config_maps, namespace, name)
    }

    fn secret(&self, namespace: &str, name: &str) -> Option<Secret> {
        get(&self.secrets, namespace, name)
    }
}

fn get<K: Clone>(objects: &Objects<K>, namespace: &str, name: &str) -> Option<K> {
    let objects = objects.read().unwrap_or_else(PoisonError::into_inner);
    objects
        .get(&(namespace.to_owned(), name.to_owned()))
        .map(|object| K::clone(object))
}

async fn follow<K>(client: Client, objects: Objects<K>, changed: watch::Sender<u64>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let stream = watched(Api::<K>::all(client), watcher::Config::default());
    futures::pin_mut!(stream);
    let mut listed = HashMap::new();
    let key = |object: &K| {
        (
            object.meta().namespace.clone().unwrap_or_default(),
            object.meta().name.clone().unwrap_or_default(),
        )
    };
    while let Some(event) = stream.next().await {
        let write = || objects.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                listed.insert(key(&object), Arc::new(object));
                continue;
            }
            Ok(Event::InitDone) => *write() = std::mem::take(&mut listed),
            Ok(Event::Apply(object)) => {
                write().insert(key(&object), Arc::new(object));
            }
            Ok(Event::Delete(object)) => {
                write().remove(&key(&object));
            }
            Err(error) => {
                tracing::debug!(%error, "the node's watch was interrupted");
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                continue;
            }
        }
        changed.send_modify(|count| *count += 1);
    }
}
