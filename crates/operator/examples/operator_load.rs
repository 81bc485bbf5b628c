//! The load of `benches/operator_load.py`: many applications against the embedded API server, and a node that only reports phases.
//!
//!     operator_load APPLICATIONS [A_MINUTE]   the API server, the node and the user, who starts the operator as a process of its own
//!     operator_load operator KUBECONFIG       that operator; answers each line of its input with its requests so far, by kind
//!
//! Every application has one driver and five executors; each pod goes from Pending to Running to Succeeded as fast as the API server takes it.
//! Without A_MINUTE applications are created at once, so times are those of a burst; with it one after the other, so many a minute.
//! Prints one JSON object; times in milliseconds, memory in bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measuring tool: any failure ends it"
)]

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind, Request};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Config, Resource, ResourceExt};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use stoke_cluster::{ApiConfig, ApiServer};
use stoke_operator::{Operator, OperatorConfig};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const EXECUTORS: usize = 5;
/// Requests the user has under way at once, and applications the node is busy with.
const AT_ONCE: usize = 32;

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["operator", kubeconfig] => operator(kubeconfig).await,
        [applications] => load(number(applications), None).await,
        [applications, a_minute] => load(number(applications), Some(number(a_minute))).await,
        _ => panic!("operator_load APPLICATIONS [A_MINUTE]"),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

/// The operator, as `stoke operator run` has it, with its requests counted.
async fn operator(kubeconfig: &str) {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    let requests: Arc<Mutex<Requests>> = Arc::default();
    let counted = requests.clone();
    let count = tower::util::MapRequestLayer::new(move |request: http::Request<kube::client::Body>| {
        *counted.lock().unwrap().entry(kind_of(&request)).or_default() += 1;
        request
    });
    let client = ClientBuilder::try_from(config).unwrap().with_layer(&count).build();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(Operator::new(client, OperatorConfig::default()).run(stopped));
    let answers = tokio::task::spawn_blocking(move || {
        for _ in std::io::stdin().lines() {
            println!("{}", json!(*requests.lock().unwrap()));
        }
    });
    let _ = answers.await;
    std::process::exit(0);
}

/// Requests by kind.
type Requests = BTreeMap<String, u64>;

/// `PATCH sparkapplications/status`.
fn kind_of<B>(request: &http::Request<B>) -> String {
    let path: Vec<&str> = request.uri().path().split('/').collect();
    let after = path
        .iter()
        .position(|part| *part == "namespaces")
        .map_or(0, |at| at + 2);
    let kind = match &path[after..] {
        [resource, _, subresource] if after > 0 => format!("{resource}/{subresource}"),
        [resource, ..] if after > 0 => (*resource).to_owned(),
        _ => path.last().copied().unwrap_or_default().to_owned(),
    };
    format!("{} {kind}", request.method())
}

/// The operator's process.
struct Process {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn start(kubeconfig: &std::path::Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("operator")
            .arg(kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (ask, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self {
            child,
            ask,
            answers: BufReader::new(answers),
        }
    }

    fn requests(&mut self) -> Requests {
        writeln!(self.ask).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn cpu(&self) -> Duration {
        cpu(&self.child.id().to_string())
    }

    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    fn end(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Processor time of a process so far, user and system. The kernel counts in hundredths.
fn cpu(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn applications(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("sparkoperator.k8s.io", "v1beta2", "SparkApplication");
    Api::namespaced_with(
        client.clone(),
        "default",
        &ApiResource::from_gvk_with_plural(&kind, "sparkapplications"),
    )
}

/// As people write them: some configuration, labels, arguments. The tests that count requests and bytes run the same.
fn application(name: &str) -> DynamicObject {
    let mut app: Value = serde_json::from_str(include_str!("../tests/it/data/typical.json")).unwrap();
    app["metadata"]["name"] = json!(name);
    app["spec"]["executor"]["instances"] = json!(EXECUTORS);
    serde_json::from_value(app).unwrap()
}

/// When what happened to each application.
#[derive(Default)]
struct Times {
    created: HashMap<String, Instant>,
    driver: HashMap<String, Instant>,
    reported: HashMap<(String, &'static str), Instant>,
    seen: HashMap<(String, &'static str), Instant>,
    /// Applications seen COMPLETED.
    completed: usize,
}

type Shared = Arc<Mutex<Times>>;

fn app_of(pod: &Pod) -> String {
    pod.labels()["sparkoperator.k8s.io/app-name"].clone()
}

/// The node: every driver that comes runs, gets its executors and succeeds. What it sees is noted at once, whatever it still has to report.
async fn node(client: Client, times: Shared) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let config = watcher::Config::default().labels("spark-role=driver");
    let told = watcher(pods, config).default_backoff().applied_objects();
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let told = told.filter_map(|pod| std::future::ready(pod.ok()));
    told.for_each(|pod| {
        let (client, times, at_once) = (client.clone(), times.clone(), at_once.clone());
        let app = app_of(&pod);
        let known = times.lock().unwrap().driver.contains_key(&app);
        if !known {
            times.lock().unwrap().driver.insert(app.clone(), Instant::now());
            tokio::spawn(async move {
                let _one = at_once.acquire().await.unwrap();
                live(&client, &pod, &app, &times).await;
            });
        }
        std::future::ready(())
    })
    .await;
}

async fn live(client: &Client, driver: &Pod, app: &str, times: &Shared) {
    let name = driver.name_any();
    report(client, &name, "Running", "spark-kubernetes-driver").await;
    times
        .lock()
        .unwrap()
        .reported
        .insert((app.to_owned(), "RUNNING"), Instant::now());
    for number in 1..=EXECUTORS {
        let mut labels = driver.labels().clone();
        labels.insert("spark-role".into(), "executor".into());
        labels.insert("spark-exec-id".into(), number.to_string());
        let executor: Pod = serde_json::from_value(json!({
            "metadata": {"name": format!("{name}-exec-{number}"), "labels": labels,
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": driver.uid().unwrap(), "controller": true}]},
            "spec": {"containers": [{"name": "spark-kubernetes-executor", "image": "apache/spark:4.1.4"}]},
        }))
        .unwrap();
        let request = Request::new(Pod::url_path(&(), Some("default")));
        let request = request.create(&PostParams::default(), serde_json::to_vec(&executor).unwrap());
        send(client, request.unwrap()).await;
    }
    for phase in ["Running", "Succeeded"] {
        for number in 1..=EXECUTORS {
            report(
                client,
                &format!("{name}-exec-{number}"),
                phase,
                "spark-kubernetes-executor",
            )
            .await;
        }
    }
    report(client, &name, "Succeeded", "spark-kubernetes-driver").await;
    times
        .lock()
        .unwrap()
        .reported
        .insert((app.to_owned(), "COMPLETED"), Instant::now());
}

async fn report(client: &Client, name: &str, phase: &str, container: &str) {
    let state: Value = match phase {
        "Running" => json!({"running": {}}),
        _ => json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
    };
    let status = json!({"status": {"phase": phase, "containerStatuses": [
        {"name": container, "ready": phase == "Running", "restartCount": 0, "image": "", "imageID": "", "state": state}]}});
    let request = Request::new(Pod::url_path(&(), Some("default")));
    let request = request.patch_subresource("status", name, &PatchParams::default(), &Patch::Merge(status));
    send(client, request.unwrap()).await;
}

/// The answer is not looked at: what the node costs is not what is measured.
async fn send(client: &Client, request: http::Request<Vec<u8>>) {
    client.request::<IgnoredAny>(request).await.unwrap();
}

/// Notes when the status of an application says what its node reported.
async fn watch(client: Client, times: Shared) {
    let told = watcher(applications(&client), watcher::Config::default())
        .default_backoff()
        .applied_objects();
    let told = told.filter_map(|app| std::future::ready(app.ok()));
    told.for_each(|app| {
        let state = app.data["status"]["applicationState"]["state"]
            .as_str()
            .unwrap_or_default();
        if let Some(state) = ["RUNNING", "COMPLETED"].into_iter().find(|known| *known == state) {
            let mut times = times.lock().unwrap();
            if let Entry::Vacant(first) = times.seen.entry((app.name_any(), state)) {
                first.insert(Instant::now());
                times.completed += usize::from(state == "COMPLETED");
            }
        }
        std::future::ready(())
    })
    .await;
}

/// All at once, as far as [`AT_ONCE`] goes, or so many a minute.
async fn create(client: &Client, names: Vec<String>, a_minute: Option<usize>, times: &Shared) {
    let api = applications(client);
    let mut pace =
        a_minute.map(|number| tokio::time::interval(Duration::from_secs(60) / u32::try_from(number).unwrap()));
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut creating = JoinSet::new();
    for name in names {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let one = at_once.clone().acquire_owned().await.unwrap();
        let (api, times) = (api.clone(), times.clone());
        // A task each: the in-process client works where it is waited for.
        creating.spawn(async move {
            api.create(&PostParams::default(), &application(&name)).await.unwrap();
            times.lock().unwrap().created.insert(name, Instant::now());
            drop(one);
        });
    }
    creating.join_all().await;
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(1800), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn load(count: usize, a_minute: Option<usize>) {
    let home = tempfile::tempdir().unwrap();
    let config = ApiConfig {
        home: home.path().to_owned(),
        in_memory: true,
    };
    let server = ApiServer::start(&config).await.unwrap();
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::write(&kubeconfig, server.kubeconfig()).unwrap();
    let client = server.client();
    let times = Shared::default();
    tokio::spawn(node(client.clone(), times.clone()));
    tokio::spawn(watch(client.clone(), times.clone()));
    let mut process = Process::start(&kubeconfig);
    // One to warm up, and to know that the operator watches.
    create(&client, vec!["warm".to_owned()], None, &times).await;
    let completed = |name: &str| times.lock().unwrap().seen.contains_key(&(name.to_owned(), "COMPLETED"));
    until("the first application", || completed("warm")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    *times.lock().unwrap() = Times::default();
    let (requests, before, empty) = (process.requests(), process.cpu(), process.resident());
    let others = cpu("self");

    let names: Vec<String> = (0..count).map(|number| format!("load-{number}")).collect();
    let begun = Instant::now();
    create(&client, names.clone(), a_minute, &times).await;
    let created = begun.elapsed();
    until("all applications", || times.lock().unwrap().completed == count).await;
    let took = begun.elapsed();
    // Events go out behind the work.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (all, took_cpu, full) = (process.requests(), process.cpu() - before, process.resident());
    let others = cpu("self") - others;
    let per_application: BTreeMap<&String, f64> = all
        .iter()
        .map(|(kind, number)| (kind, (number - requests.get(kind).unwrap_or(&0)) as f64 / count as f64))
        .filter(|(_, number)| *number > 0.0)
        .collect();
    process.end();

    // A new operator finds them all; it has recovered when it serves a new one.
    let fresh = "after-restart".to_owned();
    let begun = Instant::now();
    let process = Process::start(&kubeconfig);
    create(&client, vec![fresh.clone()], None, &times).await;
    until("a driver after the restart", || {
        times.lock().unwrap().driver.contains_key(&fresh)
    })
    .await;
    let recovered = begun.elapsed();
    until("the last application", || completed(&fresh)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = process.resident();
    process.end();

    let times = times.lock().unwrap();
    let to_driver = names
        .iter()
        .map(|name| times.driver[name].duration_since(times.created[name]));
    let lag = ["RUNNING", "COMPLETED"].into_iter().flat_map(|state| {
        let times = &times;
        names.iter().filter_map(move |name| {
            let key = (name.clone(), state);
            Some(times.seen.get(&key)?.saturating_duration_since(times.reported[&key]))
        })
    });
    let count = count as f64;
    let measured = json!({
        "applications": count,
        "seconds": took.as_secs_f64(),
        "applications_per_minute": count / took.as_secs_f64() * 60.0,
        "create_to_driver_pod_ms": percentiles(to_driver.collect()),
        "status_lag_ms": percentiles(lag.collect()),
        "created_within_seconds": created.as_secs_f64(),
        "operator_cpu_ms_per_application": took_cpu.as_secs_f64() * 1000.0 / count,
        "api_server_node_and_user_cpu_ms_per_application": others.as_secs_f64() * 1000.0 / count,
        "operator_requests_per_application": per_application.values().sum::<f64>(),
        "operator_requests_by_kind": per_application,
        "operator_bytes_resident": {"empty": empty, "after_the_load": full, "restarted": idle},
        "bytes_per_idle_application": idle.saturating_sub(empty) as f64 / count,
        "restart_to_first_driver_pod_ms": recovered.as_secs_f64() * 1000.0,
    });
    println!("{measured:#}");
}

fn percentiles(mut took: Vec<Duration>) -> Value {
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    json!({"p50": at(0.5), "p99": at(0.99), "most": at(1.0)})
}
