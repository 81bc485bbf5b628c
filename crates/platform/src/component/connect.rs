//! A Spark Connect server: an object of the operator, wired to what it names.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stoke_model::annotations::IDLE_TIMEOUT;
use stoke_model::memory::{ByteUnit, Memory};
use stoke_model::names::CONNECT_PORT;

use super::{About, Embedded, Gives};
use crate::render::pod::tolerations;
use crate::render::{LABEL_USES, SPARK_ACCOUNT, Scope};
use crate::spec::components::SparkConnect;
use crate::wire::{Wants, wire};

pub const ABOUT: About = About {
    kind: "spark-connect",
    title: "a Spark Connect server",
    versions: &[],
    gives: &[Gives::Session],
    user: 185,
    port: CONNECT_PORT,
    usual: ("1", "2Gi"),
    health: "the operator asks the server and keeps the answer in the object's status",
    metrics: None,
    embedded: Embedded::Runs,
};

/// Memory outside of a heap with so much of it pinned: what Spark has there, and as much again as is pinned.
fn outside(heap: &str, pinned: &str) -> String {
    let mib = |text: &str| Memory::parse(text, ByteUnit::Mib).map_or(0, |memory| memory.mib());
    format!("{}m", (mib(heap) / 10).max(384) + 2 * mib(pinned))
}

pub fn objects(name: &str, it: &SparkConnect, scope: &Scope<'_>) -> Vec<Value> {
    let Some(spark) = scope.spark(&it.spark) else {
        return Vec::new();
    };
    // The file was checked: what cannot be wired does not come here.
    let Ok(wired) = wire(scope, spark, &Wants::of(it, spark)) else {
        return Vec::new();
    };
    let mut conf: BTreeMap<String, String> = spark.conf.clone();
    conf.extend(it.spark_conf.clone());
    conf.extend(wired.conf);
    let mut labels = scope.selector(name);
    for used in &wired.uses {
        labels[format!("{LABEL_USES}{used}")] = json!("true");
    }
    for (key, value) in &wired.labels {
        labels[key] = json!(value);
    }
    let side = |cores: i32, memory: &str, nodes: Option<&String>| {
        let mut side = json!({"cores": cores, "memory": memory, "labels": labels});
        if !wired.env.is_empty() {
            side["env"] = json!(wired.env);
        }
        if !wired.secrets.is_empty() {
            side["secrets"] = json!(wired.secrets);
        }
        if let Some(nodes) = nodes.and_then(|nodes| scope.platform.nodes.get(nodes)) {
            side["nodeSelector"] = json!(nodes.labels);
            side["tolerations"] = tolerations(&nodes.taints);
        }
        side
    };
    let mut server = side(it.server.cores, &it.server.memory, it.nodes.as_ref());
    server["serviceAccount"] = json!(SPARK_ACCOUNT);
    let executors = &it.executors;
    let of_gpu = it
        .gpu
        .as_ref()
        .filter(|gpu| gpu.amount > 0)
        .and_then(|gpu| gpu.nodes.as_ref());
    let mut executor = side(executors.cores, &executors.memory, of_gpu.or(it.nodes.as_ref()));
    let by_hand = conf.contains_key("spark.executor.memoryOverhead");
    if let Some(gpu) = it.gpu.as_ref().filter(|gpu| gpu.amount > 0 && gpu.rapids && !by_hand) {
        // Pinned memory and what the accelerator keeps beside it are outside of the heap.
        executor["memoryOverhead"] = json!(outside(&executors.memory, &gpu.pinned));
    }
    let mut connect = json!({"apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": name}, "spec": {
        "sparkVersion": spark.version, "image": spark.image(), "sparkConf": conf,
        "server": server, "executor": executor,
        "dynamicAllocation": {"enabled": true, "minExecutors": executors.min, "maxExecutors": executors.max},
    }});
    if !wired.packages.is_empty() {
        connect["spec"]["deps"] = json!({"packages": wired.packages});
    }
    if !wired.jars.is_empty() {
        connect["spec"]["deps"]["jars"] = json!(wired.jars);
    }
    if let Some(timeout) = &it.idle_timeout {
        connect["metadata"]["annotations"] = json!({IDLE_TIMEOUT: timeout});
    }
    vec![connect]
}
