//! MLflow's tracking server.

use serde_json::{Value, json};

use super::{About, Embedded, Gives};
use crate::render::pod::{Pod, deployment, image, service};
use crate::render::{Scope, secret_variable, variable};
use crate::spec::components::{Azure, Mlflow};
use crate::store::Cloud;

pub const ABOUT: About = About {
    kind: "mlflow",
    title: "MLflow's tracking server",
    versions: &["3.17.2", "3.17.1"],
    gives: &[Gives::Tracking],
    user: 1000,
    port: 5000,
    usual: ("250m", "1Gi"),
    health: "a search of experiments, answered out of the database",
    metrics: None,
    embedded: Embedded::Runs,
};

const PORTS: [(&str, u16); 1] = [("http", ABOUT.port)];

pub fn objects(name: &str, it: &Mlflow, scope: &Scope<'_>) -> Vec<Value> {
    let (Some(database), Some(store)) = (scope.database(name, &it.database), scope.store(&it.store)) else {
        return Vec::new();
    };
    let hosts = [
        Some("localhost"),
        Some("127.0.0.1"),
        Some(name),
        Some(&scope.host(name)),
        it.host.as_deref(),
    ]
    .into_iter()
    .flatten()
    .flat_map(|host| [host.to_owned(), format!("{host}:*")])
    .collect::<Vec<_>>()
    .join(",");
    let mut env = vec![
        secret_variable("DATABASE_USER", &database.login.secret, &database.login.user),
        secret_variable("DATABASE_PASSWORD", &database.login.secret, &database.login.password),
        // Kubernetes puts the values of the variables above into this one.
        variable(
            "MLFLOW_BACKEND_STORE_URI",
            format!(
                "postgresql://$(DATABASE_USER):$(DATABASE_PASSWORD)@{}:{}/{}",
                database.host, database.port, database.database
            ),
        ),
        variable("MLFLOW_SERVER_ALLOWED_HOSTS", hosts),
        // Its own workers for jobs take 1.4 GB more.
        variable("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"),
    ];
    if let Some(endpoint) = &store.endpoint {
        env.push(variable("MLFLOW_S3_ENDPOINT_URL", endpoint));
    }
    if let Cloud::Azure(Azure { key: Some(key), .. }) = store.cloud() {
        env.push(secret_variable("AZURE_STORAGE_ACCESS_KEY", &key.secret, &key.key));
    }
    let args = [
        "--host",
        "0.0.0.0",
        "--port",
        "5000",
        // Each takes as much memory as the server; more of them are more pods.
        "--workers",
        "1",
        "--serve-artifacts",
        "--artifacts-destination",
    ];
    let mut pod = Pod {
        image: image(&it.run, &format!("ghcr.io/mlflow/mlflow:v{}", it.version)),
        command: vec!["mlflow".into(), "server".into()],
        args: args
            .iter()
            .map(|arg| (*arg).to_owned())
            .chain([store.mlflow_url(&it.path)])
            .collect(),
        env,
        ports: PORTS.to_vec(),
        probe: json!({"httpGet": {"path": "/api/2.0/mlflow/experiments/search?max_results=1", "port": "http",
            "httpHeaders": [{"name": "Host", "value": "localhost:5000"}]}}),
        period: 10,
        grace: 30,
        ..Pod::default()
    };
    pod.ask(store);
    pod.make_database(&database);
    let mut all = vec![service(name, &PORTS, scope)];
    all.extend(deployment(name, it.replicas, &it.run, &ABOUT, pod, scope));
    all
}
