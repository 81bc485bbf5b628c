//! What is scraped: the operator, the History Server, and every driver that serves its metrics, found by its labels and the name of its port.
//!
//! In: settings, and how targets are found. Out: monitors of the Prometheus Operator, or plain configuration.
//! Series of drivers and executors carry `namespace`, `app` (the schedule or application), `team` and `application_id`; those of the operator
//! bring their own.

use serde_json::{Value, json};

use super::Settings;

/// Label of pods: driver or executor.
const ROLE: &str = "spark-role";
/// Name of the port on which a driver serves its UI and its metrics.
pub const DRIVER_PORT: &str = "spark-ui";
/// Jobs, and the path each asks a driver for: its own metrics, and those of its executors.
pub const DRIVER_JOBS: [(&str, &str); 2] = [
    ("spark-driver", "/metrics/prometheus/"),
    ("spark-executors", "/metrics/executors/prometheus/"),
];
/// The label `job` of the operator's own series.
pub const OPERATOR_JOB: &str = "stoke-operator";
/// The label `job` of the History Server's series.
pub const HISTORY_JOB: &str = "stoke-history";

/// Labels of pods, as Prometheus writes them, and the label of series each becomes. Of several for the same the last that is there counts.
const LABELS: [(&str, &str); 5] = [
    ("sparkoperator_k8s_io_connect_name", "app"),
    ("sparkoperator_k8s_io_app_name", "app"),
    ("sparkoperator_k8s_io_scheduled_app_name", "app"),
    ("team", "team"),
    ("spark_app_selector", "application_id"),
];

/// Series of a driver that tell the same again, or what is not asked for: without these a driver costs some 130 series instead of 440.
pub const DROPPED: &str = "metrics_.*_(Number|Min|Max|Mean|StdDev|(50|75|95|98|999?)thPercentile|(One|Five|Fifteen)MinuteRate|MeanRate)|metrics_.*_driver_(HiveExternalCatalog|CodeGenerator)_.*|metrics_.*_LiveListenerBus_listenerProcessingTime_.*";

/// How targets are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// By the service account of a Prometheus inside the cluster.
    InCluster,
    /// By a file with [`targets`], for a Prometheus beside the cluster: not every one has Kubernetes' discovery in it (Debian's has not).
    /// Operator and History Server are at these addresses.
    Beside {
        targets: String,
        operator: String,
        history: String,
    },
}

/// A driver that is to be scraped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Driver {
    /// Where its UI is, `10.0.0.7:4040`.
    pub address: String,
    pub namespace: String,
    pub pod: String,
    /// The labels of its pod.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// The file with the drivers there are, for `file_sd_configs`.
#[must_use]
pub fn targets(drivers: &[Driver]) -> Value {
    let one = |driver: &Driver| {
        let mut labels = json!({"namespace": driver.namespace, "pod": driver.pod, "instance": driver.pod});
        for (of_pod, label) in LABELS {
            let known = driver
                .labels
                .iter()
                .find(|(name, _)| name.replace(['.', '/', '-'], "_") == of_pod);
            if let Some((_, value)) = known {
                labels[label] = value.as_str().into();
            }
        }
        json!({"targets": [driver.address], "labels": labels})
    };
    drivers.iter().map(one).collect()
}

fn relabelings() -> Vec<Value> {
    let mut rules = vec![
        json!({"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"}),
        json!({"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"}),
        // A pod's address says nothing once it is gone; and what is filled in later has none.
        json!({"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "instance"}),
    ];
    rules.extend(LABELS.iter().map(|(of_pod, label)| {
        json!({"source_labels": [format!("__meta_kubernetes_pod_label_{of_pod}")], "regex": "(.+)", "target_label": label})
    }));
    rules
}

/// Rules for series: the namespace of metrics that an application chose, or its id, is no part of the names.
fn series() -> Vec<Value> {
    vec![
        json!({"source_labels": ["__name__"], "regex": DROPPED, "action": "drop"}),
        json!({"source_labels": ["__name__"], "regex": "metrics_.+?_driver_(.+)", "target_label": "__name__", "replacement": "metrics_spark_driver_$1"}),
    ]
}

/// As the Prometheus Operator writes names.
fn camel(rule: &Value) -> Value {
    let fields = rule.as_object().into_iter().flatten();
    let renamed = fields.map(|(name, value)| {
        let name = match name.as_str() {
            "source_labels" => "sourceLabels",
            "target_label" => "targetLabel",
            other => other,
        };
        (name.to_owned(), value.clone())
    });
    Value::Object(renamed.collect())
}

fn monitor(settings: &Settings, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": name, "namespace": settings.namespace, "labels": settings.labels},
        "spec": spec,
    })
}

/// PodMonitors of operator, History Server and drivers. Drivers have no Service on which a ServiceMonitor could hang.
#[must_use]
pub fn monitors(settings: &Settings) -> Vec<Value> {
    let interval = settings.tempo.duration(settings.interval);
    let named = |job: &str| json!([{"targetLabel": "job", "replacement": job}]);
    let platform = |job: &str, port: &str, namespaces: Value, labels: Value| {
        let endpoint = json!({"port": port, "path": "/metrics", "interval": interval, "honorLabels": true, "relabelings": named(job)});
        let spec = json!({"namespaceSelector": namespaces, "selector": {"matchLabels": labels}, "podMetricsEndpoints": [endpoint]});
        monitor(settings, job, spec)
    };
    let drivers = DRIVER_JOBS.map(|(job, path)| {
        let mut rules: Vec<Value> = relabelings().iter().map(camel).collect();
        rules.push(json!({"targetLabel": "job", "replacement": job}));
        let metric: Vec<Value> = series().iter().map(camel).collect();
        json!({"port": DRIVER_PORT, "path": path, "interval": interval, "honorLabels": true, "relabelings": rules, "metricRelabelings": metric})
    });
    let of_drivers = json!({"namespaceSelector": {"any": true}, "selector": {"matchLabels": {ROLE: "driver"}}, "podMetricsEndpoints": drivers});
    vec![
        platform(
            OPERATOR_JOB,
            "metrics",
            json!({"matchNames": [settings.operator_namespace]}),
            json!({"app.kubernetes.io/name": "spark-operator", "app.kubernetes.io/component": "controller"}),
        ),
        platform(
            HISTORY_JOB,
            "http",
            json!({"any": true}),
            json!({"app.kubernetes.io/name": "stoke-history"}),
        ),
        monitor(settings, "spark-drivers", of_drivers),
    ]
}

/// The part `scrape_configs` of a Prometheus.
#[must_use]
pub fn jobs(settings: &Settings, discovery: &Discovery) -> Vec<Value> {
    let interval = settings.tempo.duration(settings.interval);
    let sd = |namespaces: Option<&str>| {
        let mut sd = json!({"role": "pod"});
        if let Some(namespace) = namespaces {
            sd["namespaces"] = json!({"names": [namespace]});
        }
        json!([sd])
    };
    let keep = |label: &str, value: &str| json!({"source_labels": [label], "regex": value, "action": "keep"});
    let port = |name: &str| keep("__meta_kubernetes_pod_container_port_name", name);
    let base = |job: &str, path: &str| json!({"job_name": job, "metrics_path": path, "scrape_interval": interval, "scrape_timeout": interval, "honor_labels": true});
    let mut jobs = Vec::new();
    for (job, name, namespace, address) in platform(settings, discovery) {
        let mut config = base(job, "/metrics");
        match address {
            Some(address) => config["static_configs"] = json!([{"targets": [address]}]),
            None => {
                let (label, value, by_port) = name;
                config["kubernetes_sd_configs"] = sd(namespace);
                config["relabel_configs"] = json!([keep(label, value), port(by_port)]);
            }
        }
        jobs.push(config);
    }
    for (job, path) in DRIVER_JOBS {
        let mut config = base(job, path);
        config["metric_relabel_configs"] = series().into();
        if let Discovery::Beside { targets, .. } = discovery {
            config["file_sd_configs"] = json!([{"files": [targets], "refresh_interval": interval}]);
            jobs.push(config);
            continue;
        }
        config["kubernetes_sd_configs"] = sd(None);
        let mut rules = vec![
            keep("__meta_kubernetes_pod_label_spark_role", "driver"),
            port(DRIVER_PORT),
            // A pod that ended does not answer.
            json!({"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Succeeded|Failed", "action": "drop"}),
        ];
        rules.extend(relabelings());
        config["relabel_configs"] = rules.into();
        jobs.push(config);
    }
    jobs
}

type Platform<'a> = (
    &'static str,
    (&'static str, &'static str, &'static str),
    Option<&'a str>,
    Option<&'a str>,
);

/// Operator and History Server: job, how their pods are known, their namespace, their address where it is known.
fn platform<'a>(settings: &'a Settings, discovery: &'a Discovery) -> [Platform<'a>; 2] {
    let (operator, history) = match discovery {
        Discovery::InCluster => (None, None),
        Discovery::Beside { operator, history, .. } => (Some(operator.as_str()), Some(history.as_str())),
    };
    let component = "__meta_kubernetes_pod_label_app_kubernetes_io_component";
    let name = "__meta_kubernetes_pod_label_app_kubernetes_io_name";
    [
        (
            OPERATOR_JOB,
            (component, "controller", "metrics"),
            Some(&settings.operator_namespace),
            operator,
        ),
        (HISTORY_JOB, (name, "stoke-history", "http"), None, history),
    ]
}

/// A whole configuration of Prometheus: scraping, the rule file, the Alertmanager.
#[must_use]
pub fn prometheus(settings: &Settings, discovery: &Discovery, rule_file: &str, alertmanager: &str) -> Value {
    let interval = settings.tempo.duration(settings.interval);
    json!({
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [rule_file],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": jobs(settings, discovery),
    })
}
