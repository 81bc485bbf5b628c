//! The operator with its own client, over real connections to an API server that restarts, falls silent or vanishes from the network; and
//! definitions and namespaces that go away under its watches.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, ResourceExt};
use serde_json::json;
use stoke_cluster::{ApiConfig, ApiServer};
use stoke_model::crd::SparkApplication;
use stoke_operator::{Operator, OperatorConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// The operator is back after a second or two; a busy machine may take longer. kube's own pauses and bounds take more than this.
const BACK: Duration = Duration::from_secs(12);
/// For what comes at once on a quiet machine.
const LIMIT: Duration = Duration::from_secs(60);

async fn server(home: &tempfile::TempDir) -> ApiServer {
    let config = ApiConfig {
        home: home.path().to_owned(),
        in_memory: false,
    };
    ApiServer::start(&config).await.unwrap()
}

/// A client as the operator makes it, to the server or to what stands before it.
async fn client(server: &ApiServer, at: Option<SocketAddr>) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig()).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    if let Some(at) = at {
        config.cluster_url = format!("https://{at}").parse().unwrap();
        config.tls_server_name = Some("localhost".into());
    }
    stoke_operator::client(config).unwrap()
}

fn operate(client: Client) -> watch::Sender<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(Operator::new(client, OperatorConfig::default()).run(stopped));
    stop
}

async fn submit(client: &Client, namespace: &str, name: &str) {
    let app: SparkApplication = serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": name},
        "spec": {"type": "Python", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4", "driver": {}, "executor": {},
            "mainApplicationFile": "local:///opt/spark/examples/src/main/python/pi.py"},
    }))
    .unwrap();
    let apps: Api<SparkApplication> = Api::namespaced(client.clone(), namespace);
    let begun = Instant::now();
    loop {
        match apps.create(&PostParams::default(), &app).await {
            Ok(_) => return,
            // A definition that is not served yet.
            Err(_) if begun.elapsed() < LIMIT => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// How long until the application's driver pod is there.
async fn driver(client: &Client, namespace: &str, name: &str) -> Duration {
    let (pods, begun): (Api<Pod>, _) = (Api::namespaced(client.clone(), namespace), Instant::now());
    while pods.get_opt(&format!("{name}-driver")).await.unwrap().is_none() {
        assert!(begun.elapsed() < LIMIT * 6, "no driver for {name}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

/// What stands between operator and server, and can be turned off.
struct Relay {
    address: SocketAddr,
    to: watch::Sender<Option<SocketAddr>>,
    accepting: AbortHandle,
}

impl Relay {
    async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (send, turned) = watch::channel(Some(to));
        Self {
            address: listener.local_addr().unwrap(),
            to: send,
            accepting: tokio::spawn(Self::accept(listener, turned)).abort_handle(),
        }
    }

    /// Passes bytes on while it is on; without, every connection ends at once.
    async fn accept(listener: TcpListener, mut turned: watch::Receiver<Option<SocketAddr>>) {
        let mut passing = JoinSet::new();
        loop {
            tokio::select! {
                _ = turned.changed() => passing = JoinSet::new(),
                accepted = listener.accept() => {
                    let (mut from, _) = accepted.unwrap();
                    let Some(to) = *turned.borrow() else { continue };
                    passing.spawn(async move {
                        let mut to = TcpStream::connect(to).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                    });
                }
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn address(server: &ApiServer) -> SocketAddr {
    server.url().trim_start_matches("https://").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_after_twenty_seconds_finds_the_operator_at_work() {
    let home = tempfile::tempdir().unwrap();
    let first = server(&home).await;
    let relay = Relay::start(address(&first)).await;
    let stop = operate(client(&first, Some(relay.address)).await);
    submit(&first.client(), "default", "before").await;
    driver(&first.client(), "default", "before").await;
    relay.to.send(None).unwrap();
    first.stop().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    // It remembers no changes: every watch is told 410.
    let second = server(&home).await;
    submit(&second.client(), "default", "meanwhile").await;
    relay.to.send(Some(address(&second))).unwrap();
    let took = driver(&second.client(), "default", "meanwhile").await;
    println!("the first driver {took:?} after the server's return");
    assert!(took < BACK, "{took:?}");
    submit(&second.client(), "default", "after").await;
    let took = driver(&second.client(), "default", "after").await;
    assert!(took < BACK, "{took:?}");
    drop(stop);
}

#[test]
fn packets_that_are_lost_cost_seconds() {
    let inside = [
        "-rn",
        "sh",
        "-c",
        "ip link set lo up && iptables -L -n >/dev/null && exec \"$0\" \"$@\"",
    ];
    let able = Command::new("unshare").args(inside).arg("true").output();
    if !able.is_ok_and(|able| able.status.success()) {
        println!("SKIPPED: no network of its own for a test here (unshare -rn, ip and iptables)");
        return;
    }
    let test = "network::in_a_network_of_its_own";
    let ran = Command::new("unshare")
        .args(inside)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && said.contains("1 passed"));
}

fn iptables(arguments: &str) {
    let ran = Command::new("iptables").args(arguments.split(' ')).status().unwrap();
    assert!(ran.success(), "iptables {arguments}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "begun by the test above, in a network of its own"]
async fn in_a_network_of_its_own() {
    // Whether the server is another one afterwards: then no one will ever send anything on the old connections.
    for (seconds, restarts) in [(20, true), (15, false)] {
        let home = tempfile::tempdir().unwrap();
        let mut server = server(&home).await;
        let port = address(&server).port();
        let stop = operate(client(&server, None).await);
        submit(&server.client(), "default", "before").await;
        driver(&server.client(), "default", "before").await;
        for side in ["--dport", "--sport"] {
            iptables(&format!("-A INPUT -p tcp {side} {port} -j DROP"));
        }
        if restarts {
            server.stop().await;
            server = self::server(&home).await;
            assert_eq!(address(&server).port(), port);
        }
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        submit(&server.client(), "default", "meanwhile").await;
        iptables("-F INPUT");
        let took = driver(&server.client(), "default", "meanwhile").await;
        println!("packets lost for {seconds} s, restarted: {restarts}: the first driver after {took:?}");
        assert!(took < BACK, "{took:?}");
        drop(stop);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_and_namespaces_come_and_go_under_the_operator() {
    let home = tempfile::tempdir().unwrap();
    let server = server(&home).await;
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = {
        let (inner, asked) = (server.client(), asked.clone());
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let inner = inner.clone();
            async move { inner.send(request).await }
        });
        Client::new(service, "default")
    };
    let client = server.client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut team = Namespace::default();
    team.metadata.name = Some("team".into());
    namespaces.create(&PostParams::default(), &team).await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let config = OperatorConfig {
        namespaces: vec!["default".into(), "team".into()],
        ..OperatorConfig::default()
    };
    tokio::spawn(Operator::new(counted, config).run(stopped));
    for namespace in ["default", "team"] {
        submit(&client, namespace, "before").await;
        driver(&client, namespace, "before").await;
    }

    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut known = definitions.list(&Default::default()).await.unwrap().items;
    known.retain(|definition| definition.name_any().ends_with(".sparkoperator.k8s.io"));
    assert_eq!(known.len(), 3);
    for definition in &known {
        let name = definition.name_any();
        definitions.delete(&name, &DeleteParams::default()).await.unwrap();
        while definitions.get_opt(&name).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    namespaces.delete("team", &DeleteParams::default()).await.unwrap();
    while namespaces.get_opt("team").await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = asked.load(std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let meanwhile = asked.load(std::sync::atomic::Ordering::SeqCst) - before;
    println!("{meanwhile} requests in ten seconds without definitions");
    // Six watches, each every few seconds.
    assert!(meanwhile <= 60, "{meanwhile}");

    for definition in &mut known {
        definition.metadata.resource_version = None;
        definition.metadata.uid = None;
        definitions.create(&PostParams::default(), definition).await.unwrap();
    }
    submit(&client, "default", "after").await;
    let took = driver(&client, "default", "after").await;
    println!("the first driver {took:?} after the definitions' return");
    assert!(took < BACK, "{took:?}");
    team.metadata.resource_version = None;
    namespaces.create(&PostParams::default(), &team).await.unwrap();
    submit(&client, "team", "after").await;
    let took = driver(&client, "team", "after").await;
    assert!(took < BACK, "{took:?}");
    drop(stop);
}
