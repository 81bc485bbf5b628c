//! Which program has a metric.

use serde::Serialize;

/// How much of a family the catalogue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Known {
    /// All: another name with its first letters does not exist.
    All,
    /// What is used with Spark; another name may exist.
    Some,
}

/// The metrics of one program.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Family {
    pub name: &'static str,
    /// What has them, for a person.
    pub program: &'static str,
    /// With what their names begin.
    pub prefixes: &'static [&'static str],
    pub known: Known,
    /// Where they are read, and what must be set for all of them.
    pub place: &'static str,
}

/// All families.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "spark-driver",
        program: "a Spark driver",
        prefixes: &[],
        known: Known::All,
        place: "`/metrics/prometheus/` of the driver's UI: spark.metrics.conf.*.sink.prometheusServlet.class=org.apache.spark.metrics.sink.PrometheusServlet and .path=/metrics/prometheus; or JMX, through Prometheus' agent",
    },
    Family {
        name: "spark-executor",
        program: "a Spark executor",
        prefixes: &[],
        known: Known::All,
        place: "JMX of the executor, through Prometheus' agent (`metrics:*`); in local mode also the driver's page. An executor has no page of its own",
    },
    Family {
        name: "spark-executors",
        program: "a Spark driver, of its executors",
        prefixes: &["metrics_executor_", "spark_info"],
        known: Known::All,
        place: "`/metrics/executors/prometheus` of the driver's UI: spark.ui.prometheus.enabled=true (the default from 4.0)",
    },
    Family {
        name: "operator",
        program: "the operator",
        prefixes: &["spark_application_"],
        known: Known::All,
        place: "`/metrics` of the operator; `--metrics-prefix` puts a text before the names",
    },
    Family {
        name: "stoke",
        program: "Stoke",
        prefixes: &["stoke_"],
        known: Known::Some,
        place: "`/metrics` of the operator, and what Stoke records",
    },
    Family {
        name: "kube-state-metrics",
        program: "kube-state-metrics 2",
        prefixes: &[
            "kube_pod_",
            "kube_node_",
            "kube_namespace_",
            "kube_job_",
            "kube_cronjob_",
            "kube_deployment_",
            "kube_statefulset_",
            "kube_daemonset_",
            "kube_replicaset_",
            "kube_resourcequota",
            "kube_limitrange",
            "kube_persistentvolume_",
            "kube_persistentvolumeclaim_",
            "kube_horizontalpodautoscaler_",
            "kube_hpa_",
            "kube_poddisruptionbudget_",
            "kube_service_",
            "kube_storageclass_",
            "kube_configmap_",
            "kube_secret_",
            "kube_serviceaccount_",
            "kube_endpoint_",
            "kube_ingress_",
        ],
        known: Known::All,
        place: "`/metrics` of kube-state-metrics",
    },
    Family {
        name: "cadvisor",
        program: "cAdvisor in the kubelet",
        prefixes: &[
            "container_cpu_",
            "container_memory_",
            "container_fs_",
            "container_network_",
            "container_spec_",
            "machine_",
        ],
        known: Known::All,
        place: "`/metrics/cadvisor` of the kubelet",
    },
    Family {
        name: "kubelet",
        program: "the kubelet",
        prefixes: &["kubelet_"],
        known: Known::Some,
        place: "`/metrics` of the kubelet; `/metrics/resource` for what is named so",
    },
    Family {
        name: "prometheus",
        program: "Prometheus, of itself and of what it scrapes",
        prefixes: &["scrape_", "up", "ALERTS"],
        known: Known::Some,
        place: "made by Prometheus",
    },
    Family {
        name: "kubernetes",
        program: "the API server, the scheduler and the controllers of Kubernetes",
        prefixes: &["apiserver_", "scheduler_", "etcd_", "coredns_"],
        known: Known::Some,
        place: "`/metrics` of each",
    },
    Family {
        name: "client-libraries",
        program: "any program, by its client library",
        prefixes: &[
            "process_",
            "go_",
            "jvm_",
            "workqueue_",
            "controller_runtime_",
            "rest_client_",
            "python_",
            "promhttp_",
            "jmx_",
        ],
        known: Known::Some,
        place: "`/metrics` of many programs",
    },
    Family {
        name: "node-exporter",
        program: "node_exporter",
        prefixes: &["node_"],
        known: Known::Some,
        place: "`/metrics` of node_exporter",
    },
];
