//! Metrics: `spark.metrics.conf`, the Prometheus JMX exporter, and the ConfigMap with their files; without an exporter, Spark's own servlet.

use serde_json::{Map, Value, json};
use stoke_model::crd::{MonitoringSpec, PrometheusSpec, SparkApplication};
use stoke_model::names;

use super::conf::{Conf, set};

/// Where the ConfigMap is mounted.
pub const MOUNT_PATH: &str = "/etc/metrics/conf";
/// Key of the ConfigMap, and file, with Spark's metrics configuration.
pub const METRICS_PROPERTIES: &str = "metrics.properties";
/// Key of the ConfigMap, and file, with the exporter's configuration.
pub const PROMETHEUS_CONFIGURATION: &str = "prometheus.yaml";
/// Port of the exporter unless the application names one.
pub const PORT: i32 = 8090;
/// Name of that port unless the application names one.
pub const PORT_NAME: &str = "jmx-exporter";

/// Every metric through JMX, and the JVM's own on driver and executors.
const DEFAULT_METRICS_PROPERTIES: &str = "\
*.sink.jmx.class=org.apache.spark.metrics.sink.JmxSink
driver.source.jvm.class=org.apache.spark.metrics.source.JvmSource
executor.source.jvm.class=org.apache.spark.metrics.source.JvmSource
";

/// Every MBean, under its own name.
const DEFAULT_PROMETHEUS_CONFIGURATION: &str = "lowercaseOutputName: true\nrules:\n- pattern: \".*\"\n";

/// Monitoring that has an effect: an exporter, or metrics configuration of its own.
fn wanted(app: &SparkApplication) -> Option<&MonitoringSpec> {
    let monitoring = app.spec.monitoring.as_ref()?;
    let wanted = monitoring.prometheus.is_some()
        || given(&monitoring.metrics_properties)
        || given(&monitoring.metrics_properties_file);
    wanted.then_some(monitoring)
}

fn given(text: &Option<String>) -> bool {
    text.as_deref().is_some_and(|text| !text.is_empty())
}

/// The exporter of a role (`driver`, `executor`) that exposes its metrics.
pub(super) fn exporter<'a>(app: &'a SparkApplication, role: &str) -> Option<&'a PrometheusSpec> {
    let monitoring = app.spec.monitoring.as_ref()?;
    let exposed = if role == "driver" {
        monitoring.expose_driver_metrics
    } else {
        monitoring.expose_executor_metrics
    };
    monitoring.prometheus.as_ref().filter(|_| exposed)
}

/// The exporter's port.
pub(super) fn port(prometheus: &PrometheusSpec) -> i32 {
    prometheus.port.unwrap_or(PORT)
}

/// The ConfigMap with `metrics.properties` and `prometheus.yaml`, owned by the application; none when the image has both.
#[must_use]
pub fn config_map(app: &SparkApplication) -> Option<Value> {
    let monitoring = wanted(app)?;
    let mut data = Map::new();
    if !given(&monitoring.metrics_properties_file) {
        let text = monitoring
            .metrics_properties
            .as_deref()
            .unwrap_or(DEFAULT_METRICS_PROPERTIES);
        data.insert(METRICS_PROPERTIES.to_owned(), json!(text));
    }
    if let Some(prometheus) = monitoring
        .prometheus
        .as_ref()
        .filter(|prometheus| !given(&prometheus.config_file))
    {
        let text = prometheus
            .configuration
            .as_deref()
            .unwrap_or(DEFAULT_PROMETHEUS_CONFIGURATION);
        data.insert(PROMETHEUS_CONFIGURATION.to_owned(), json!(text));
    }
    (!data.is_empty()).then(|| {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": names::prometheus_config_map(super::name(app)),
                "namespace": super::namespace(app),
                "labels": {names::LABEL_APP_NAME: super::name(app), names::LABEL_CREATED_BY: "true"},
                "ownerReferences": [super::owner_reference(app)],
            },
            "data": data,
        })
    })
}

/// Where Spark's own servlet serves the driver's metrics, on the port of the UI.
pub const SERVLET_PATH: &str = "/metrics/prometheus/";
/// Where the driver serves the metrics of all executors, when `spark.ui.prometheus.enabled`.
pub const EXECUTORS_PATH: &str = "/metrics/executors/prometheus/";

/// Exposed without an exporter: the UI of the driver serves the metrics, its own by the sink `PrometheusServlet` and those of executors by
/// `spark.ui.prometheus.enabled` (Spark's monitoring guide). A pod names one path for scraping: the driver's when both are exposed.
fn add_servlet(app: &SparkApplication, conf: &mut Conf) {
    let Some(monitoring) = app.spec.monitoring.as_ref() else {
        return;
    };
    let (driver, executors) = (monitoring.expose_driver_metrics, monitoring.expose_executor_metrics);
    if monitoring.prometheus.is_some() || !(driver || executors) {
        return;
    }
    if driver {
        const SINK: &str = "spark.metrics.conf.driver.sink.prometheusServlet";
        let class = "org.apache.spark.metrics.sink.PrometheusServlet";
        set(conf, &format!("{SINK}.class"), class);
        set(conf, &format!("{SINK}.path"), SERVLET_PATH.trim_end_matches('/'));
    }
    if executors {
        set(conf, "spark.ui.prometheus.enabled", "true");
    }
    let port = super::extras::ui_port(conf).to_string();
    let path = if driver { SERVLET_PATH } else { EXECUTORS_PATH };
    for (name, value) in [("scrape", "true"), ("port", port.as_str()), ("path", path)] {
        set(
            conf,
            &format!("spark.kubernetes.driver.annotation.prometheus.io/{name}"),
            value,
        );
    }
}

/// Namespace of metrics of applications that name none: without one the application's id is part of every metric's name.
pub const METRICS_NAMESPACE: &str = "spark";

/// The driver serves its metrics and those of its executors on the port of its UI, wherever the application says nothing of that: Spark's own
/// sink and endpoint, so that any image can do it. Keys that are there stay; an application without a UI serves nothing.
pub(super) fn observe(conf: &mut Conf) {
    if conf
        .get("spark.ui.enabled")
        .is_some_and(|enabled| enabled.trim() == "false")
    {
        return;
    }
    for (key, value) in [
        ("spark.ui.prometheus.enabled", "true"),
        ("spark.metrics.namespace", METRICS_NAMESPACE),
        (
            "spark.metrics.conf.driver.sink.prometheusServlet.class",
            "org.apache.spark.metrics.sink.PrometheusServlet",
        ),
        (
            "spark.metrics.conf.driver.sink.prometheusServlet.path",
            SERVLET_PATH.trim_end_matches('/'),
        ),
        (
            "spark.metrics.conf.driver.source.jvm.class",
            "org.apache.spark.metrics.source.JvmSource",
        ),
    ] {
        conf.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
}

pub(super) fn add_configuration(app: &SparkApplication, conf: &mut Conf) {
    add_servlet(app, conf);
    let Some(monitoring) = wanted(app) else { return };
    let file = match &monitoring.metrics_properties_file {
        Some(file) if !file.is_empty() => file.clone(),
        _ => format!("{MOUNT_PATH}/{METRICS_PROPERTIES}"),
    };
    set(conf, "spark.metrics.conf", file);
    set(
        conf,
        "spark.metrics.namespace",
        format!("{}.{}", super::namespace(app), super::name(app)),
    );
    for role in ["driver", "executor"] {
        let Some(prometheus) = exporter(app, role) else {
            continue;
        };
        let configuration = match &prometheus.config_file {
            Some(file) if !file.is_empty() => file.clone(),
            _ => format!("{MOUNT_PATH}/{PROMETHEUS_CONFIGURATION}"),
        };
        let agent = format!(
            "-javaagent:{}={}:{configuration}",
            prometheus.jmx_exporter_jar,
            port(prometheus)
        );
        let key = format!("spark.{role}.extraJavaOptions");
        let options = match conf.get(&key).filter(|options| !options.is_empty()) {
            Some(options) => format!("{options} {agent}"),
            None => agent,
        };
        set(conf, &key, options);
        let annotation = |name: &str| format!("spark.kubernetes.{role}.annotation.prometheus.io/{name}");
        set(conf, &annotation("scrape"), "true");
        set(conf, &annotation("port"), port(prometheus).to_string());
        set(conf, &annotation("path"), "/metrics");
    }
}
