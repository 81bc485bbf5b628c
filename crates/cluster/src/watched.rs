//! Watches of the cluster's own parts, without what none of them reads.

use std::fmt::Debug;

use futures::Stream;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

/// Watches, and drops the managed fields of every object: in memory they are several times the object itself.
pub(crate) fn watched<K>(
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watcher(api, config).modify(|object| *object.managed_fields_mut() = Vec::new())
}
