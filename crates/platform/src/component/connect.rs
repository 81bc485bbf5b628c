//! A Spark Connect server: an object of the operator, wired to what it names.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stoke_model::annotations::IDLE_TIMEOUT;
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
    let side = |cores: i32, memory: &str| {
        let mut side = json!({"cores": cores, "memory": memory, "labels": labels});
        if !wired.env.is_empty() {
            side["env"] = json!(wired.env);
        }
        if !wired.secrets.is_empty() {
            side["secrets"] = json!(wired.secrets);
        }
        if let Some(nodes) = it.nodes.as_ref().and_then(|nodes| scope.platform.nodes.get(nodes)) {
            side["nodeSelector"] = json!(nodes.labels);
            side["tolerations"] = tolerations(&nodes.taints);
        }
        side
    };
    let mut server = side(it.server.cores, &it.server.memory);
    server["serviceAccount"] = json!(SPARK_ACCOUNT);
    let executors = &it.executors;
    let mut connect = json!({"apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": name}, "spec": {
        "sparkVersion": spark.version, "image": spark.image(), "sparkConf": conf,
        "server": server, "executor": side(executors.cores, &executors.memory),
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
