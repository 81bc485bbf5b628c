//! The load of `benches/apiserver.py`: the same client, for any API server. Prints one JSON object.
//!
//!     api_load KUBECONFIG
//!     api_load
//!
//! Without a kubeconfig it starts the embedded API server, durable and with its controllers but without a node, as a process of its own
//! and measures that: also until it is ready, its CPU seconds, and its memory with all the pods there.
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

/// First argument of the process that is the server; its home follows.
const SERVE: &str = "--serve";

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [serve, home] if serve == SERVE => serve_api(home.into()).await,
        [path] => println!("{}", load(path.into(), None).await),
        _ => {
            let home = tempfile::tempdir().unwrap();
            let start = Instant::now();
            let mut server = std::process::Command::new(std::env::current_exe().unwrap())
                .args([SERVE.as_ref(), home.path().as_os_str()])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stdout.take().unwrap()), &mut line)
                .unwrap();
            let ready = start.elapsed();
            let mut figures = load(home.path().join("kubeconfig"), Some(server.id())).await;
            figures["readyMs"] = (ready.as_secs_f64() * 1000.0).into();
            println!("{figures}");
            // The server ends with its standard input.
            drop(server.stdin.take());
            server.wait().unwrap();
        }
    }
}

/// Runs the server until its standard input ends.
async fn serve_api(home: std::path::PathBuf) {
    let config = stoke_cluster::ApiConfig {
        home: home.clone(),
        in_memory: false,
    };
    let server = stoke_cluster::ApiServer::start(&config).await.unwrap();
    std::fs::write(home.join("kubeconfig"), server.kubeconfig()).unwrap();
    println!("ready");
    let wait = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    wait.await.unwrap().unwrap();
    server.stop().await;
}

/// CPU seconds and MiB in memory of a process, now.
fn usage(process: u32) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<f64> = stat
        .rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .skip(11)
        .take(2)
        .map(|text| text.parse().unwrap())
        .collect();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    // Ticks of a hundredth of a second.
    (fields.iter().sum::<f64>() / 100.0, kib / 1024.0)
}

/// Measures the server of a kubeconfig; also what the process uses, if it is known.
async fn load(path: std::path::PathBuf, process: Option<u32>) -> serde_json::Value {
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

    let before = process.map(usage);
    let pods_sequential = create(&pods, "s", SEQUENTIAL, 1, pod).await;
    let pods_parallel = create(&pods, "p", PARALLEL, CLIENTS, pod).await;
    let pods_stored = process.map(usage);
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
    let mut result = json!({
        "podsPerSecond": pods_sequential, "podsPerSecond20": pods_parallel,
        "configMapsPerSecond": maps_sequential, "configMapsPerSecond20": maps_parallel,
        "listPodsMs": quantile(&mut lists, 0.5), "watchP50Ms": quantile(&mut watched, 0.5), "watchP99Ms": quantile(&mut watched, 0.99),
    });
    if let (Some(before), Some(stored), Some(after)) = (before, pods_stored, process.map(usage)) {
        result["memoryIdleMiB"] = before.1.into();
        result["memoryPodsMiB"] = stored.1.into();
        result["memoryMiB"] = after.1.into();
        result["podsCpuSeconds"] = (stored.0 - before.0).into();
        result["cpuSeconds"] = after.0.into();
    }
    result
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
