//! A watch of one scope (a namespace, or an empty name for all) that begins again by itself, as every watch of the operator is made.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use kube::api::Api;
use kube::core::ApiResource;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;

use super::seen::{Seen, SeenPod};

/// What one of several watches told.
pub(crate) type Followed<T> = BoxStream<'static, Result<T, watcher::Error>>;

/// Custom resources of a scope.
pub(crate) fn objects(client: &Client, scope: &str, resource: &ApiResource) -> Api<Seen> {
    match scope {
        "" => Api::all_with(client.clone(), resource),
        namespace => Api::namespaced_with(client.clone(), namespace, resource),
    }
}

/// Pods of a scope. One that cannot be read does not end their watch.
pub(crate) fn pods(client: &Client, scope: &str) -> Api<SeenPod> {
    match scope {
        "" => Api::all(client.clone()),
        namespace => Api::namespaced(client.clone(), namespace),
    }
}

/// Watches, waits a while after each interruption, and passes every event through `mark`.
pub(crate) fn follow<K, T>(
    api: Api<K>,
    config: watcher::Config,
    mark: impl Fn(Event<K>) -> T + Send + 'static,
) -> Followed<T>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    watch(api, config).default_backoff().map_ok(mark).boxed()
}
