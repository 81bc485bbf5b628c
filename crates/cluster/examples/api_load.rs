//! The load of `benches/apiserver.py`: the same client, for any API server. Prints one JSON object.
//!
//!     api_load KUBECONFIG
//!
//! Pods carry a scheduling gate, so that nothing runs them and only the API server is measured. Rates are objects a second, times
//! milliseconds. Everything is done in a namespace of its own, which is deleted at the end.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a measuring tool: any failure ends it"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{Api, DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

/// Objects created one after the other, and by many at once.
const SEQUENTIAL: u32 = 500;
const PARALLEL: u32 = 1500;
/// Clients at once.
const CLIENTS: u32 = 20;
/// Changes whose way to a watcher is timed.
const CHANGES: u32 = 200;
/// Lists of all pods that are timed; there are as many pods as were created.
const LISTS: u32 = 10;

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let path = std::env::args().nth(1).expect("the path of a kubeconfig");
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    let client = Client::try_from(config).unwrap();
    let name = format!("load-{}", std::process::id());
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), &name);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &name);
    wait_for_account(&client, &name).await;

    let pods_sequential = create(&pods, "s", SEQUENTIAL, 1, pod).await;
    let pods_parallel = create(&pods, "p", PARALLEL, CLIENTS, pod).await;
    let maps_sequential = create(&maps, "s", SEQUENTIAL, 1, map).await;
    let maps_parallel = create(&maps, "p", PARALLEL, CLIENTS, map).await;
    let mut lists = Vec::new();
    for _ in 0..LISTS {
        let start = Instant::now();
        let count = pods.list(&ListParams::default()).await.unwrap().items.len();
        assert_eq!(count, (SEQUENTIAL + PARALLEL) as usize);
        lists.push(start.elapsed());
    }
    let mut watched = watch(&maps).await;
    namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
    let result = json!({
        "podsPerSecond": pods_sequential, "podsPerSecond20": pods_parallel,
        "configMapsPerSecond": maps_sequential, "configMapsPerSecond20": maps_parallel,
        "listPodsMs": quantile(&mut lists, 0.5), "watchP50Ms": quantile(&mut watched, 0.5), "watchP99Ms": quantile(&mut watched, 0.99),
    });
    println!("{result}");
}

/// A real cluster refuses pods until the namespace has its service account; a bare API server without controllers never makes one.
async fn wait_for_account(client: &Client, namespace: &str) {
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> = Api::namespaced(client.clone(), namespace);
    for _ in 0..20 {
        if accounts.get_opt("default").await.unwrap().is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let account = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
}

fn pod(name: &str) -> Pod {
    serde_json::from_value(
        json!({"metadata": {"name": name, "labels": {"app": "load", "spark-role": "executor"}},
        "spec": {"schedulingGates": [{"name": "stoke/load"}], "containers": [{"name": "main", "image": "spark:4.1.4",
            "args": ["executor"], "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}}]}}),
    )
    .unwrap()
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"spark.properties": "spark.a=b\n".repeat(100)}}))
        .unwrap()
}

/// Creates objects; gives how many a second.
async fn create<K>(api: &Api<K>, prefix: &'static str, count: u32, clients: u32, make: fn(&str) -> K) -> f64
where
    K: kube::Resource
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let next = Arc::new(AtomicU32::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (api, next) = (api.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let object = make(&format!("{prefix}-{number}"));
                    api.create(&PostParams::default(), &object).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// The time from sending a change to a watcher's seeing it.
async fn watch(maps: &Api<ConfigMap>) -> Vec<Duration> {
    let list = maps.list(&ListParams::default().limit(1)).await.unwrap();
    let version = list.metadata.resource_version.unwrap();
    let stream = maps.watch(&WatchParams::default(), &version).await.unwrap();
    futures::pin_mut!(stream);
    let mut times = Vec::new();
    for number in 0..CHANGES {
        let name = format!("w-{number}");
        let start = Instant::now();
        let (api, object) = (maps.clone(), map(&name));
        let created = tokio::spawn(async move { api.create(&PostParams::default(), &object).await });
        loop {
            if let WatchEvent::Added(seen) = stream.next().await.unwrap().unwrap()
                && seen.metadata.name.as_deref() == Some(name.as_str())
            {
                break;
            }
        }
        times.push(start.elapsed());
        created.await.unwrap().unwrap();
    }
    times
}

fn quantile(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index below the length"
    )]
    let index = ((times.len() - 1) as f64 * part).round() as usize;
    times[index].as_secs_f64() * 1000.0
}
