//! The configuration of the collector.

use serde_json::{Value, json};
use stoke_model::names;

use super::{Kind, Logs, lines};

/// Where the kubelet keeps the logs of a node's pods.
pub const POD_LOGS: &str = "/var/log/pods";
/// Where the collector remembers how far it has read and keeps what is not taken yet.
pub const STATE: &str = "/var/lib/stoke-logs";
/// Variable with the name of the node.
pub const NODE: &str = "K8S_NODE_NAME";
/// Variable with the header `Authorization`.
pub const AUTHORIZATION: &str = "LOGS_AUTHORIZATION";

/// Labels of pods, and the attribute each becomes.
const LABELS: [(&str, &str); 9] = [
    (names::LABEL_TRACE_ID, "stoke.trace_id"),
    (names::LABEL_SUBMISSION_ID, "stoke.run"),
    (names::LABEL_APP_NAME, "stoke.application"),
    (names::LABEL_SCHEDULED_APP_NAME, "stoke.schedule"),
    (names::LABEL_CONNECT_NAME, "stoke.connect"),
    ("team", "service.namespace"),
    (names::LABEL_SPARK_ROLE, "spark.role"),
    (names::LABEL_SPARK_APP_SELECTOR, "spark.app.id"),
    (names::LABEL_SPARK_EXEC_ID, "spark.executor.id"),
];

/// Attributes that name the job of a run, of which the first that is there is its service: all runs of a schedule are one.
const SERVICE: [&str; 4] = ["stoke.schedule", "stoke.connect", "stoke.application", "spark.app.id"];

/// What Loki makes labels of by default and what differs from pod to pod: each value would be a stream of its own.
const NOT_FOR_LABELS: [&str; 1] = ["k8s.pod.name"];

/// The whole configuration.
#[must_use]
pub fn configuration(logs: &Logs) -> Value {
    let containers = [names::DRIVER_CONTAINER, names::EXECUTOR_CONTAINER];
    let include = containers.map(|container| format!("{POD_LOGS}/*/{container}/*.log"));
    let labels = LABELS.map(|(label, attribute)| json!({"tag_name": attribute, "key": label, "from": "pod"}));
    let mut processors = json!({
        "memory_limiter": {"check_interval": "1s", "limit_mib": 400, "spike_limit_mib": 100},
        "k8s_attributes": {
            "auth_type": "serviceAccount",
            "filter": {"node_from_env_var": NODE},
            "wait_for_metadata": true,
            "extract": {"metadata": ["k8s.node.name"], "labels": labels},
            "pod_association": [{"sources": [{"from": "resource_attribute", "name": "k8s.pod.uid"}]}],
        },
        "transform/spark": {"error_mode": "ignore", "log_statements": [
            {"context": "resource", "statements": services()},
            {"context": "log", "conditions": ["IsMap(log.attributes[\"spark\"])"], "statements": lines::parsed()},
            {"context": "log", "statements": ["set(log.trace_id.string, resource.attributes[\"stoke.trace_id\"]) where resource.attributes[\"stoke.trace_id\"] != nil"]},
        ]},
        // A record of which secrets cannot be taken out is not sent.
        "transform/secrets": {"error_mode": "propagate", "log_statements": [{"context": "log", "statements": lines::masked()}]},
    });
    let mut order = vec![
        "memory_limiter",
        "k8s_attributes",
        "transform/spark",
        "transform/secrets",
    ];
    if logs.kind == Kind::Loki {
        let moved =
            NOT_FOR_LABELS.map(|name| format!("set(log.attributes[\"{name}\"], resource.attributes[\"{name}\"])"));
        let gone = NOT_FOR_LABELS.map(|name| format!("delete_key(resource.attributes, \"{name}\")"));
        processors["transform/labels"] = json!({"error_mode": "ignore", "log_statements": [
            {"context": "log", "statements": moved}, {"context": "resource", "statements": gone},
        ]});
        order.push("transform/labels");
    }
    json!({
        "extensions": {"file_storage": {"directory": STATE, "create_directory": true}},
        "receivers": {"file_log": {
            "include": include,
            "include_file_path": true,
            "start_at": "beginning",
            "storage": "file_storage",
            // While nothing is taken, files are not read on: they are the queue.
            "retry_on_failure": {"enabled": true, "max_elapsed_time": "0s"},
            "operators": lines::operators(),
        }},
        "processors": processors,
        "exporters": {"otlp_http": exporter(logs)},
        "service": {
            "extensions": ["file_storage"],
            "pipelines": {"logs": {"receivers": ["file_log"], "processors": order, "exporters": ["otlp_http"]}},
        },
    })
}

fn services() -> Vec<String> {
    let attribute = |name: &str| format!("resource.attributes[\"{name}\"]");
    let service = attribute("service.name");
    let first = SERVICE.iter().map(|name| {
        let from = attribute(name);
        format!("set({service}, {from}) where {service} == nil and {from} != nil")
    });
    first.collect()
}

fn exporter(logs: &Logs) -> Value {
    let mut exporter = json!({
        "endpoint": logs.endpoint(),
        "compression": "gzip",
        "retry_on_failure": {"enabled": true, "max_elapsed_time": "0s"},
        "sending_queue": {
            "enabled": true, "storage": "file_storage", "sizer": "items", "queue_size": 100_000, "block_on_overflow": true,
            "batch": {"sizer": "items", "min_size": 1000, "max_size": 5000, "flush_timeout": "1s"},
        },
    });
    if let Some(tenant) = &logs.tenant {
        exporter["headers"]["X-Scope-OrgID"] = tenant.replace('$', "$$").into();
    }
    if logs.secret.is_some() {
        exporter["headers"]["Authorization"] = format!("${{env:{AUTHORIZATION}}}").into();
    }
    exporter
}
