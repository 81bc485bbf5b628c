//! A cluster beside programs that listen on all addresses: either may start first. In a network of its own, so that no one else's programs
//! decide, and no one else is in the way.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use stoke_cluster::{ApiConfig, ApiServer};

/// Other Kubernetes, web servers, MinIO, kubelets, Spark.
const USUAL: [u16; 13] = [
    80, 443, 4040, 5000, 6443, 7077, 8080, 8443, 9000, 9443, 10250, 16443, 18080,
];

#[test]
fn clusters_and_programs_on_all_addresses_live_side_by_side() {
    let inside = ["-rn", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""];
    let able = Command::new("unshare").args(inside).arg("true").output();
    if !able.is_ok_and(|able| able.status.success()) {
        println!("SKIPPED: no network of its own for a test here (unshare -rn and ip)");
        return;
    }
    let ran = Command::new("unshare")
        .args(inside)
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "neighbours::in_a_network_of_its_own",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && said.contains("1 passed"));
}

async fn start(home: &Path) -> ApiServer {
    let config = ApiConfig {
        home: home.to_owned(),
        in_memory: false,
    };
    ApiServer::start(&config).await.unwrap()
}

/// What the cluster says of its own port: in its URL, and behind the Service `kubernetes`. Over the network, as anybody.
async fn ports(server: &ApiServer) -> Vec<u16> {
    let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    let in_url = config.cluster_url.port_u16().unwrap();
    let client = kube::Client::try_from(config).unwrap();
    let service = Api::<Service>::namespaced(client.clone(), "default")
        .get("kubernetes")
        .await
        .unwrap();
    let target = service.spec.unwrap().ports.unwrap()[0].target_port.clone();
    let Some(IntOrString::Int(target)) = target else {
        panic!("{target:?}")
    };
    let endpoints = Api::<Endpoints>::namespaced(client.clone(), "default")
        .get("kubernetes")
        .await
        .unwrap();
    let behind = endpoints.subsets.unwrap()[0].ports.clone().unwrap()[0].port;
    let slices = Api::<EndpointSlice>::namespaced(client, "default")
        .list(&ListParams::default().labels("kubernetes.io/service-name=kubernetes"))
        .await
        .unwrap();
    let sliced = slices.items[0].ports.clone().unwrap()[0].port.unwrap();
    let numbers = [target, behind, sliced].map(|port| u16::try_from(port).unwrap());
    [in_url].into_iter().chain(numbers).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "begun by the test above, in a network of its own"]
async fn in_a_network_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let server = start(home.path()).await;
    let (first, url) = (server.port(), server.url());
    assert_eq!(ports(&server).await, [first; 4]);
    for everywhere in ["0.0.0.0", "[::]"] {
        for port in USUAL {
            let other = TcpListener::bind(format!("{everywhere}:{port}"));
            assert!(other.is_ok(), "{everywhere}:{port} beside {url}: {other:?}");
        }
    }
    server.stop().await;

    for everywhere in ["0.0.0.0", "[::]"] {
        let other = TcpListener::bind(format!("{everywhere}:{first}")).unwrap();
        let _usual = USUAL.map(|port| TcpListener::bind(format!("{everywhere}:{port}")).unwrap());
        let new_home = tempfile::tempdir().unwrap();
        let new = start(new_home.path()).await;
        assert_ne!(new.port(), first, "{everywhere}");
        assert_eq!(ports(&new).await, [new.port(); 4]);
        new.stop().await;
        // One that was at this port moves, and says so everywhere.
        let moved_home = tempfile::tempdir().unwrap();
        std::fs::write(moved_home.path().join("address"), url.trim_start_matches("https://")).unwrap();
        let moved = start(moved_home.path()).await;
        assert_ne!(moved.port(), first, "{everywhere}");
        moved.stop().await;
        drop(other);
        // What kubeconfigs say stays true: it does not move back.
        let again = start(moved_home.path()).await;
        assert_eq!(ports(&again).await, [noted_port(&moved_home); 4]);
        assert_ne!(again.port(), first);
        again.stop().await;
    }

    let other = TcpListener::bind(("0.0.0.0", first)).unwrap();
    let moved = start(home.path()).await;
    assert_ne!(moved.port(), first);
    assert_eq!(ports(&moved).await, [moved.port(); 4], "what was stored before follows");
    moved.stop().await;
    drop(other);
}

/// The port that the cluster's directory notes.
fn noted_port(home: &tempfile::TempDir) -> u16 {
    let noted = std::fs::read_to_string(home.path().join("address")).unwrap();
    noted.trim().rsplit(':').next().unwrap().parse().unwrap()
}
