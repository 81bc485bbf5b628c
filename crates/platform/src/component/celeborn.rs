//! Celeborn: shuffle data outside of executors. Its servers are not published where the embedded cluster takes programs from.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::{About, Embedded, Gives};
use crate::render::pod::{Pod, Volume, headless, image, stateful_set};
use crate::render::{Scope, config_map, variable};
use crate::spec::components::Celeborn;

pub const ABOUT: About = About {
    kind: "celeborn",
    title: "Celeborn",
    versions: &["0.5.4"],
    gives: &[Gives::Shuffle],
    user: 10006,
    port: 9097,
    usual: ("500m", "2Gi"),
    health: "masters: the workers they know; workers: whether a master knows them",
    metrics: Some(("http", "/metrics/prometheus")),
    embedded: Embedded::Not("its masters and workers are not in Maven Central"),
};

const MASTER: [(&str, u16); 3] = [("rpc", ABOUT.port), ("http", 9098), ("raft", 9872)];
const WORKER: [(&str, u16); 5] = [
    ("push", 9092),
    ("fetch", 9093),
    ("replicate", 9094),
    ("rpc", 9095),
    ("http", 9096),
];

/// `host:port` of each master, as clients and workers are told.
#[must_use]
pub fn endpoints(name: &str, it: &Celeborn, scope: &Scope<'_>) -> String {
    let of = |id: i32| {
        format!(
            "{name}-master-{id}.{name}-master.{}.svc:{}",
            scope.namespace(),
            ABOUT.port
        )
    };
    (0..it.masters).map(of).collect::<Vec<_>>().join(",")
}

pub fn objects(name: &str, it: &Celeborn, scope: &Scope<'_>) -> Vec<Value> {
    let mut properties: BTreeMap<String, String> = [
        ("celeborn.master.endpoints", endpoints(name, it, scope)),
        ("celeborn.master.http.port", "9098".to_owned()),
        ("celeborn.master.ha.enabled", (it.masters > 1).to_string()),
        ("celeborn.worker.storage.dirs", "/data".to_owned()),
        ("celeborn.worker.push.port", "9092".to_owned()),
        ("celeborn.worker.fetch.port", "9093".to_owned()),
        ("celeborn.worker.replicate.port", "9094".to_owned()),
        ("celeborn.worker.rpc.port", "9095".to_owned()),
        ("celeborn.worker.http.port", "9096".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    if it.masters > 1 {
        for id in 0..it.masters {
            let host = format!("{name}-master-{id}.{name}-master.{}.svc", scope.namespace());
            properties.insert(format!("celeborn.master.ha.node.{id}.host"), host);
        }
        properties.insert(
            "celeborn.master.ha.ratis.raft.server.storage.dir".into(),
            "/data/raft".into(),
        );
    }
    properties.extend(it.config.clone());
    let mut file = String::new();
    for (key, value) in &properties {
        let _ = writeln!(file, "{key} {value}");
    }
    let mut all = vec![config_map(
        name,
        &[("celeborn-defaults.conf".to_owned(), file.clone())].into(),
    )];
    for (role, count, ports, path) in [
        ("master", it.masters, MASTER.as_slice(), "/workerInfo"),
        ("worker", it.workers, WORKER.as_slice(), "/isRegistered"),
    ] {
        let mut pod = Pod {
            image: image(&it.run, &format!("apache/celeborn:{}", it.version)),
            command: vec![format!("/opt/celeborn/sbin/start-{role}.sh")],
            env: vec![variable("CELEBORN_NO_DAEMONIZE", "1")],
            ports: ports.to_vec(),
            probe: json!({"httpGet": {"path": path, "port": "http"}}),
            period: 10,
            grace: 60,
            config: file.clone(),
            role,
            ..Pod::default()
        };
        pod.mount_config(name, "/opt/celeborn/conf");
        let service = format!("{name}-{role}");
        let volume = Volume {
            storage: it.storage.as_ref(),
            usual: "20Gi",
            path: "/data",
            service: &service,
        };
        all.push(headless(&service, name, role, ports, scope));
        all.extend(stateful_set(name, count, &it.run, &ABOUT, pod, volume, scope));
    }
    all
}
