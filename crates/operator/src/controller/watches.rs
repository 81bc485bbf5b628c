//! The watches: applications, and the pods that carry the operator's label. A malformed object is one application's trouble, not the watch's.

use std::collections::HashSet;

use futures::stream::{BoxStream, SelectAll};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::core::{DeserializeGuard, DynamicObject};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use stoke_model::names as published;
use tokio::sync::mpsc;

use super::cache::{app_key, pod_key};
use super::{Context, Key, applications};

enum Told {
    App(String, Event<DynamicObject>),
    Pod(String, Event<DeserializeGuard<Pod>>),
}

/// Keeps the cache up to date and touches the keys that something happened to. Ends only with its receiver.
pub(crate) async fn run(context: Context, touch: mpsc::UnboundedSender<Key>) {
    let mut told: SelectAll<BoxStream<'_, Result<Told, watcher::Error>>> = SelectAll::new();
    let labels = format!("{}=true", published::LABEL_LAUNCHED_BY);
    for scope in context.scopes.iter() {
        let apps: Api<DynamicObject> = match scope.as_str() {
            "" => Api::all_with(context.client.clone(), &applications()),
            namespace => Api::namespaced_with(context.client.clone(), namespace, &applications()),
        };
        let pods: Api<DeserializeGuard<Pod>> = match scope.as_str() {
            "" => Api::all(context.client.clone()),
            namespace => Api::namespaced(context.client.clone(), namespace),
        };
        let (of_apps, of_pods) = (scope.clone(), scope.clone());
        told.push(
            watch(apps, watcher::Config::default())
                .default_backoff()
                .map_ok(move |event| Told::App(of_apps.clone(), event))
                .boxed(),
        );
        told.push(
            watch(pods, watcher::Config::default().labels(&labels))
                .default_backoff()
                .map_ok(move |event| Told::Pod(of_pods.clone(), event))
                .boxed(),
        );
    }
    let mut listing = Listing::default();
    while let Some(told) = told.next().await {
        let touched = match told {
            Ok(Told::App(scope, event)) => listing.app(&context, scope, event),
            Ok(Told::Pod(scope, event)) => listing.pod(&context, scope, event),
            Err(error) => {
                tracing::warn!(%error, "a watch was interrupted and begins again");
                continue;
            }
        };
        for key in touched {
            if touch.send(key).is_err() {
                return;
            }
        }
    }
}

/// Names told by a list that is not complete yet, per scope.
#[derive(Default)]
struct Listing {
    apps: std::collections::HashMap<String, HashSet<(Key, String)>>,
    pods: std::collections::HashMap<String, HashSet<(Key, String)>>,
}

impl Listing {
    fn app(&mut self, context: &Context, scope: String, event: Event<DynamicObject>) -> Vec<Key> {
        let cache = &context.cache;
        match event {
            Event::Init => {
                self.apps.insert(scope, HashSet::new());
                Vec::new()
            }
            Event::InitApply(app) => {
                let Some(key) = app_key(&app) else { return Vec::new() };
                let name = key.name.clone();
                self.apps.entry(scope.clone()).or_default().insert((key, name));
                cache.app_told(&scope, &app, true).into_iter().collect()
            }
            Event::InitDone => cache.apps_listed(&scope, &self.apps.remove(&scope).unwrap_or_default()),
            Event::Apply(app) => cache.app_told(&scope, &app, false).into_iter().collect(),
            Event::Delete(app) => cache.app_gone(&scope, &app).into_iter().collect(),
        }
    }

    fn pod(&mut self, context: &Context, scope: String, event: Event<DeserializeGuard<Pod>>) -> Vec<Key> {
        let cache = &context.cache;
        match event {
            Event::Init => {
                self.pods.insert(scope, HashSet::new());
                Vec::new()
            }
            Event::InitApply(pod) => {
                let Some(pod) = well_formed(pod) else { return Vec::new() };
                if let (Some(key), Some(name)) = (pod_key(&pod), pod.metadata.name.clone()) {
                    self.pods.entry(scope.clone()).or_default().insert((key, name));
                }
                cache.pod_told(&scope, &pod, true).into_iter().collect()
            }
            Event::InitDone => cache.pods_listed(&scope, &self.pods.remove(&scope).unwrap_or_default()),
            Event::Apply(pod) => {
                let Some(pod) = well_formed(pod) else { return Vec::new() };
                cache.pod_told(&scope, &pod, false).into_iter().collect()
            }
            Event::Delete(pod) => {
                let Some(pod) = well_formed(pod) else { return Vec::new() };
                cache.pod_gone(&scope, &pod).into_iter().collect()
            }
        }
    }
}

fn well_formed(pod: DeserializeGuard<Pod>) -> Option<Pod> {
    match pod.0 {
        Ok(pod) => Some(pod),
        Err(invalid) => {
            tracing::warn!(pod = ?invalid.metadata.name, error = %invalid.error, "a pod cannot be read; it is passed over");
            None
        }
    }
}
