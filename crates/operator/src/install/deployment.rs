//! The Deployment: arguments, ports and pod out of the values.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Options, filled, object};

/// What the operator's flags are when the values say the same.
const LEASES: [(&str, &str, &str); 3] = [
    ("leaseDuration", "--leader-election-lease-duration", "15s"),
    ("renewDeadline", "--leader-election-renew-deadline", "10s"),
    ("retryPeriod", "--leader-election-retry-period", "2s"),
];

pub(super) fn deployment(options: &Options) -> Value {
    let values = &options.values;
    let mut labels = values.map("controller.labels");
    labels.extend(options.labels("controller"));
    let mut metadata = json!({ "labels": labels });
    let annotations = annotations(options);
    if !annotations.is_empty() {
        metadata["annotations"] = annotations.into();
    }
    let spec = json!({
        "replicas": options.replicas(),
        "revisionHistoryLimit": values.get("controller.revisionHistoryLimit"),
        "selector": {"matchLabels": options.selector()},
        "template": {"metadata": metadata, "spec": pod(options)},
    });
    let own = Some(options.namespace.as_str());
    object(
        options,
        ("apps/v1", "Deployment"),
        &options.controller(),
        own,
        "controller",
        json!({ "spec": spec }),
    )
}

fn annotations(options: &Options) -> Map<String, Value> {
    let values = &options.values;
    let mut annotations = Map::new();
    if values.is("prometheus.metrics.enable") {
        let scrape = [
            ("scrape", "true".to_owned()),
            ("port", values.number("prometheus.metrics.port").to_string()),
            ("path", values.text("prometheus.metrics.endpoint").to_owned()),
        ];
        annotations.extend(scrape.map(|(key, value)| (format!("prometheus.io/{key}"), value.into())));
    }
    annotations.extend(values.map("controller.annotations"));
    annotations
}

fn pod(options: &Options) -> Value {
    let values = &options.values;
    let mut pod = json!({
        "serviceAccountName": options.account(),
        // As long as handing back leases and ending work takes.
        "terminationGracePeriodSeconds": 15,
    });
    if !values.is("controller.serviceAccount.automountServiceAccountToken") {
        pod["automountServiceAccountToken"] = false.into();
    }
    if values.get("controller.hostUsers").is_boolean() {
        pod["hostUsers"] = values.get("controller.hostUsers").clone();
    }
    let parts = [
        ("securityContext", "controller.podSecurityContext"),
        ("imagePullSecrets", "image.pullSecrets"),
        ("priorityClassName", "controller.priorityClassName"),
        ("dnsConfig", "controller.dnsConfig"),
        ("nodeSelector", "controller.nodeSelector"),
        ("affinity", "controller.affinity"),
        ("tolerations", "controller.tolerations"),
        ("topologySpreadConstraints", "controller.topologySpreadConstraints"),
        ("volumes", "controller.volumes"),
    ];
    for (key, path) in parts {
        if let Some(value) = filled(values.get(path)) {
            pod[key] = value.clone();
        }
    }
    for constraint in pod["topologySpreadConstraints"].as_array_mut().into_iter().flatten() {
        if constraint.get("labelSelector").is_none() {
            constraint["labelSelector"] = json!({"matchLabels": options.selector()});
        }
    }
    if pod["topologySpreadConstraints"].is_null()
        && let Some(pod) = pod.as_object_mut()
    {
        pod.shift_remove("topologySpreadConstraints");
    }
    let mut containers = vec![container(options)];
    containers.extend(
        values
            .get("controller.sidecars")
            .as_array()
            .into_iter()
            .flatten()
            .cloned(),
    );
    pod["containers"] = containers.into();
    pod
}

fn container(options: &Options) -> Value {
    let values = &options.values;
    let probe =
        |path: &str, seconds: u32| json!({"httpGet": {"path": path, "port": "health"}, "periodSeconds": seconds});
    let mut env = vec![json!({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})];
    env.extend(values.get("controller.env").as_array().into_iter().flatten().cloned());
    let mut container = json!({
        "name": "spark-operator-controller",
        "image": options.image(),
        "imagePullPolicy": values.get("image.pullPolicy"),
        "args": arguments(options),
        "env": env,
        "ports": ports(options),
        "livenessProbe": probe("/healthz", 10),
        "readinessProbe": probe("/readyz", 5),
    });
    for key in ["envFrom", "resources", "volumeMounts", "securityContext"] {
        if let Some(value) = filled(values.get(&format!("controller.{key}"))) {
            container[key] = value.clone();
        }
    }
    container
}

fn ports(options: &Options) -> Vec<Value> {
    let values = &options.values;
    let mut ports = Vec::new();
    if values.is("prometheus.metrics.enable") {
        let (name, port) = (
            values.get("prometheus.metrics.portName"),
            values.get("prometheus.metrics.port"),
        );
        ports.push(json!({"name": name, "containerPort": port}));
    }
    ports.push(json!({"name": "health", "containerPort": 8081}));
    if values.is("webhook.enable") {
        ports.push(json!({"name": values.get("webhook.portName"), "containerPort": values.get("webhook.port")}));
    }
    ports
}

/// Arguments in the making: a flag is given where it differs from what the operator does without it.
struct Line<'a> {
    options: &'a Options,
    arguments: Vec<String>,
}

impl Line<'_> {
    fn flag(&mut self, name: &str, value: impl std::fmt::Display) {
        self.arguments.push(format!("{name}={value}"));
    }

    /// The flag with the value at `path`, unless that is empty; lists with commas, mappings as JSON.
    fn given(&mut self, name: &str, path: &str) {
        let Some(value) = filled(self.options.values.get(path)) else {
            return;
        };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) if items.iter().all(Value::is_string) => self.options.values.texts(path).join(","),
            other => sorted(other).to_string(),
        };
        self.flag(name, text);
    }

    /// The flag, when the truth at `path` is not the usual one.
    fn unless(&mut self, name: &str, path: &str, usual: bool) {
        let is = self.options.values.is(path);
        if is != usual {
            self.flag(name, is);
        }
    }

    fn number(&mut self, name: &str, path: &str, usual: u64) {
        let number = self.options.values.number(path);
        if number != usual {
            self.flag(name, number);
        }
    }
}

/// With the keys of mappings in order, as helm writes JSON.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, Value> = map.iter().map(|(key, value)| (key, sorted(value))).collect();
            sorted.into_iter().map(|(key, value)| (key.clone(), value)).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn arguments(options: &Options) -> Vec<String> {
    let values = &options.values;
    let mut line = Line {
        options,
        arguments: vec!["operator".to_owned(), "run".to_owned()],
    };
    if !options.everywhere() && !options.job_namespaces().is_empty() {
        line.given("--namespaces", "spark.jobNamespaces");
    }
    if options.selected() {
        line.flag("--namespace-selector", options.job_selector());
    }
    if values.number("controller.shards") > 1 {
        line.number("--shards", "controller.shards", 1);
    }
    line.given("--keep-logs", "controller.keepLogs.url");
    if !values.text("controller.keepLogs.url").is_empty() && values.text("controller.keepLogs.of") != "driver" {
        line.given("--keep-logs-of", "controller.keepLogs.of");
    }
    line.flag("--quality-image", options.image());
    line.given("--quality-history", "controller.qualityHistory");
    if values.is("policies.configMaps") {
        line.flag("--policy-namespace", &options.namespace);
    }
    line.given("--policy-pack", "policies.packs");
    for directory in values.texts("policies.directories") {
        line.flag("--policies", directory);
    }
    line.given("--image-policy", "policies.images");
    line.number("--controller-threads", "controller.workers", 64);
    line.unless("--leader-election", "controller.leaderElection.enable", true);
    for (key, flag, usual) in LEASES {
        let path = format!("controller.leaderElection.{key}");
        if values.text(&path) != usual {
            line.given(flag, &path);
        }
    }
    line.given("--kube-api-qps", "controller.kubeAPIQPS");
    line.given("--kube-api-burst", "controller.kubeAPIBurst");
    line.number(
        "--max-tracked-executor-per-app",
        "controller.maxTrackedExecutorPerApp",
        1000,
    );
    line.given("--default-time-to-live-seconds", "controller.defaultTimeToLiveSeconds");
    line.unless("--enable-ui-service", "controller.uiService.enable", true);
    if values.is("controller.uiIngress.enable") {
        line.given("--ingress-url-format", "controller.uiIngress.urlFormat");
        line.given("--ingress-class-name", "controller.uiIngress.ingressClassName");
        line.given("--ingress-tls", "controller.uiIngress.tls");
        line.given("--ingress-annotations", "controller.uiIngress.annotations");
    }
    line.given("--kube-scheduler-names", "controller.batchScheduler.kubeSchedulerNames");
    line.given("--default-batch-scheduler", "controller.batchScheduler.default");
    line.unless(
        "--enable-driver-pdb",
        "controller.driverPodDisruptionBudget.enable",
        false,
    );
    if values.is("observe.enable") {
        line.flag("--observe-applications", true);
    }
    metrics(&mut line);
    if values.is("webhook.enable") {
        line.flag("--enable-webhook", true);
        line.given("--webhook-port", "webhook.port");
        line.flag("--webhook-secret-name", options.webhook_secret());
        line.flag("--webhook-service-name", options.webhook_service());
        if values.is("certManager.enable") {
            line.flag("--webhook-make-certificates", false);
        }
        line.flag("--mutating-webhook-name", options.webhook_name());
        line.flag("--validating-webhook-name", options.webhook_name());
    }
    line.given("--log-format", "controller.logEncoder");
    line.given("--log-level", "controller.logLevel");
    line.arguments
}

fn metrics(line: &mut Line<'_>) {
    let values = &line.options.values;
    if !values.is("prometheus.metrics.enable") {
        return line.flag("--enable-metrics", false);
    }
    let port = values.number("prometheus.metrics.port");
    if port != 8080 {
        line.flag("--metrics-bind-address", format!(":{port}"));
    }
    if values.text("prometheus.metrics.endpoint") != "/metrics" {
        line.given("--metrics-endpoint", "prometheus.metrics.endpoint");
    }
    line.given("--metrics-prefix", "prometheus.metrics.prefix");
    line.given("--metrics-labels", "prometheus.metrics.labels");
    line.given(
        "--metrics-job-start-latency-buckets",
        "prometheus.metrics.jobStartLatencyBuckets",
    );
    line.given(
        "--metrics-job-submit-latency-buckets",
        "prometheus.metrics.jobSubmitLatencyBuckets",
    );
}
