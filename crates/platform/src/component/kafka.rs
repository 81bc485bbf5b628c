//! Kafka without ZooKeeper: each pod is broker and controller.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{About, Embedded, Gives};
use crate::render::pod::{Pod, Volume, headless, image, service, stateful_set};
use crate::render::{Scope, variable};
use crate::spec::components::Kafka;

pub const ABOUT: About = About {
    kind: "kafka",
    title: "Kafka",
    versions: &["4.1.2", "4.1.1"],
    gives: &[Gives::Stream],
    user: 1000,
    port: 9092,
    usual: ("500m", "1536Mi"),
    health: "the list of topics, asked of the pod's own broker",
    metrics: None,
    embedded: Embedded::Runs,
};

const PORTS: [(&str, u16); 2] = [("kafka", ABOUT.port), ("controller", 9093)];

pub fn objects(name: &str, it: &Kafka, scope: &Scope<'_>) -> Vec<Value> {
    let pods = format!("{name}-pods");
    let of_pod = |pod: &str| format!("{pod}.{pods}.{}.svc", scope.namespace());
    let voters: Vec<String> = (0..it.replicas)
        .map(|id| format!("{id}@{}:9093", of_pod(&format!("{name}-{id}"))))
        .collect();
    let copies = it.replicas.min(3).to_string();
    let least = (it.replicas.min(3) - 1).max(1).to_string();
    let mut env = vec![
        json!({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
        variable("CLUSTER_ID", cluster_id(name, scope)),
    ];
    let own = of_pod("$(POD_NAME)");
    for (key, value) in [
        ("process.roles", "broker,controller".to_owned()),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093".to_owned()),
        ("advertised.listeners", format!("PLAINTEXT://{own}:9092")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        ),
        ("controller.quorum.voters", voters.join(",")),
        ("log.dirs", "/var/lib/kafka/data/logs".to_owned()),
        ("default.replication.factor", copies.clone()),
        ("offsets.topic.replication.factor", copies.clone()),
        ("transaction.state.log.replication.factor", copies),
        ("transaction.state.log.min.isr", least.clone()),
        ("min.insync.replicas", least),
    ] {
        if !it.config.contains_key(key) {
            env.push(variable(&of_property(key), value));
        }
    }
    env.extend(it.config.iter().map(|(key, value)| variable(&of_property(key), value)));
    // Of one pod the number is known; of several it is the last part of its name.
    let mut command = Vec::new();
    if it.replicas == 1 {
        env.push(variable("KAFKA_NODE_ID", "0"));
    } else {
        let start = "export KAFKA_NODE_ID=\"${POD_NAME##*-}\"; exec /etc/kafka/docker/run";
        command.extend(["bash", "-ec", start].map(str::to_owned));
    }
    let ask = format!(
        "/opt/kafka/bin/kafka-topics.sh --bootstrap-server \"{}:9092\" --list",
        of_pod("$POD_NAME")
    );
    let pod = Pod {
        image: image(&it.run, &format!("apache/kafka:{}", it.version)),
        command,
        env,
        ports: PORTS.to_vec(),
        probe: json!({"exec": {"command": ["bash", "-c", ask]}}),
        // Each question starts a JVM.
        period: 30,
        grace: 60,
        ..Pod::default()
    };
    let volume = Volume {
        storage: it.storage.as_ref(),
        usual: "20Gi",
        path: "/var/lib/kafka/data",
        service: &pods,
    };
    let mut all = vec![
        service(name, &PORTS[..1], scope),
        headless(&pods, name, "", &PORTS, scope),
    ];
    all.extend(stateful_set(name, it.replicas, &it.run, &ABOUT, pod, volume, scope));
    all
}

/// How the image takes a property: `log.retention.hours` is `KAFKA_LOG_RETENTION_HOURS`.
fn of_property(key: &str) -> String {
    let name = key.replace('_', "__").replace('-', "___").replace('.', "_");
    format!("KAFKA_{}", name.to_uppercase())
}

/// 16 bytes that stay the same for this component, as Kafka writes a UUID.
fn cluster_id(name: &str, scope: &Scope<'_>) -> String {
    let digest = Sha256::digest(format!("{}/{}/{name}", scope.platform.name, scope.environment));
    URL_SAFE_NO_PAD.encode(&digest[..16])
}
