//! Airflow with its local executor. DAGs submit SparkApplications; the operator runs them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{About, Embedded};
use crate::render::pod::{Pod, deployment, image, service};
use crate::render::{SPARK_ACCOUNT, Scope, config_map, secret_variable, variable};
use crate::spec::Spark;
use crate::spec::components::Airflow;

pub const ABOUT: About = About {
    kind: "airflow",
    title: "Airflow",
    versions: &["3.3.2", "3.3.1"],
    gives: &[],
    user: 50000,
    port: 8080,
    usual: ("500m", "1536Mi"),
    health: "whether the scheduler of this pod wrote its heartbeat into the database",
    metrics: None,
    embedded: Embedded::Runs,
};

const PORTS: [(&str, u16); 1] = [("http", ABOUT.port)];
const DAGS: &str = "/opt/airflow/dags";

pub fn objects(name: &str, it: &Airflow, scope: &Scope<'_>) -> Vec<Value> {
    let Some(database) = scope.database(name, &it.database) else {
        return Vec::new();
    };
    let connection = json!({"conn_type": "kubernetes", "extra": {"in_cluster": true, "namespace": scope.namespace()}});
    let mut env = vec![
        secret_variable("DATABASE_USER", &database.login.secret, &database.login.user),
        secret_variable("DATABASE_PASSWORD", &database.login.secret, &database.login.password),
        variable(
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
            format!(
                "postgresql+psycopg2://$(DATABASE_USER):$(DATABASE_PASSWORD)@{}:{}/{}",
                database.host, database.port, database.database
            ),
        ),
        secret_variable("AIRFLOW__CORE__FERNET_KEY", &it.fernet_key.secret, &it.fernet_key.key),
        secret_variable("AIRFLOW__API__SECRET_KEY", &it.signing_key.secret, &it.signing_key.key),
        secret_variable(
            "AIRFLOW__API_AUTH__JWT_SECRET",
            &it.signing_key.secret,
            &it.signing_key.key,
        ),
        variable("AIRFLOW__CORE__EXECUTOR", "LocalExecutor"),
        variable("AIRFLOW__CORE__LOAD_EXAMPLES", "False"),
        variable("AIRFLOW__CORE__DAGS_FOLDER", DAGS),
        variable(
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
            format!("http://{}:{}/execution/", scope.host(name), ABOUT.port),
        ),
        variable("AIRFLOW_CONN_KUBERNETES_DEFAULT", connection.to_string()),
    ];
    if let Some(host) = &it.host {
        env.push(variable("AIRFLOW__API__BASE_URL", format!("https://{host}")));
    }
    let image = image(&it.run, &format!("apache/airflow:{}", it.version));
    let mut pod = Pod {
        image: image.clone(),
        args: vec!["api-server".into()],
        ports: PORTS.to_vec(),
        probe: json!({"exec": {"command": ["airflow", "jobs", "check", "--job-type", "SchedulerJob", "--local"]}}),
        // Each question starts a Python that imports Airflow.
        period: 60,
        grace: 60,
        token: true,
        ..Pod::default()
    };
    let mut all = vec![service(name, &PORTS, scope)];
    all.extend(rights(name, scope.namespace()));
    if let Some(spark) = it.example.as_ref().and_then(|example| scope.spark(example)) {
        let files = example(spark, scope);
        pod.config = format!("{files:?}");
        // In a mounted directory Airflow finds the links that Kubernetes makes and calls them a recursive loop.
        pod.mount_files(name, files.keys(), &format!("{DAGS}/example"));
        all.push(config_map(name, &files));
    }
    if let Some(claim) = &it.dags_claim {
        pod.volumes
            .push(json!({"name": "dags", "persistentVolumeClaim": {"claimName": claim, "readOnly": true}}));
        pod.mounts
            .push(json!({"name": "dags", "mountPath": format!("{DAGS}/team"), "readOnly": true}));
    }
    pod.make_database(&database);
    pod.init
        .push(json!({"name": "schema", "image": image, "args": ["db", "migrate"], "env": env}));
    for program in ["scheduler", "dag-processor"] {
        pod.beside
            .push(json!({"name": program, "image": image, "args": [program], "env": env, "volumeMounts": pod.mounts}));
    }
    pod.env = env;
    all.extend(deployment(name, 1, &it.run, &ABOUT, pod, scope));
    all
}

/// What `SparkKubernetesOperator` does: it makes the application, follows it and reads the driver's log.
fn rights(name: &str, namespace: &str) -> Vec<Value> {
    let read = ["get", "list", "watch"];
    let write = ["get", "list", "watch", "create", "patch", "delete"];
    vec![
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": [
            {"apiGroups": ["sparkoperator.k8s.io"], "resources": ["sparkapplications"], "verbs": write},
            {"apiGroups": ["sparkoperator.k8s.io"], "resources": ["sparkapplications/status"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["pods", "pods/log", "events"], "verbs": read},
        ]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]}),
    ]
}

/// A DAG that submits an application, and the application.
fn example(spark: &Spark, scope: &Scope<'_>) -> BTreeMap<String, String> {
    let namespace = scope.namespace();
    let dag = format!(
        "from airflow.providers.cncf.kubernetes.operators.spark_kubernetes import SparkKubernetesOperator
from airflow.sdk import DAG

with DAG(\"spark_pi\", schedule=None, catchup=False):
    SparkKubernetesOperator(
        task_id=\"pi\",
        namespace=\"{namespace}\",
        application_file=\"pi.yaml\",
        kubernetes_conn_id=\"kubernetes_default\",
        get_logs=True,
    )
"
    );
    let application = format!(
        "apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata:
  name: spark-pi
  namespace: {namespace}
spec:
  type: Python
  mode: cluster
  sparkVersion: {version}
  image: {image}
  mainApplicationFile: local:///opt/spark/examples/src/main/python/pi.py
  driver:
    cores: 1
    memory: 512m
    serviceAccount: {SPARK_ACCOUNT}
  executor:
    instances: 1
    cores: 1
    memory: 512m
",
        version = spark.version,
        image = spark.image(),
    );
    [("spark_pi.py", dag), ("pi.yaml", application)]
        .map(|(file, text)| (file.to_owned(), text))
        .into()
}
