//! Nessie: an Iceberg REST catalog.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::{About, Embedded, Gives};
use crate::render::pod::{Pod, deployment, image, service};
use crate::render::{Scope, config_map, secret_variable};
use crate::spec::components::{Azure, Google, Nessie, ObjectStore};
use crate::store::Cloud;

pub const ABOUT: About = About {
    kind: "nessie",
    title: "Nessie, an Iceberg REST catalog",
    versions: &["0.99.0"],
    gives: &[Gives::Catalog],
    user: 10000,
    port: 19120,
    usual: ("500m", "1Gi"),
    health: "the configuration of the catalog over Iceberg's REST, which needs its warehouse",
    metrics: Some(("management", "/q/metrics")),
    embedded: Embedded::Runs,
};

const PORTS: [(&str, u16); 2] = [("http", ABOUT.port), ("management", 9000)];

pub fn objects(name: &str, it: &Nessie, scope: &Scope<'_>) -> Vec<Value> {
    let Some(store) = scope.store(&it.store) else {
        return Vec::new();
    };
    let mut properties: BTreeMap<String, String> = [
        ("nessie.catalog.default-warehouse".to_owned(), "warehouse".to_owned()),
        (
            "nessie.catalog.warehouses.warehouse.location".to_owned(),
            store.url(&it.path),
        ),
    ]
    .into();
    match store.cloud() {
        Cloud::S3 => properties.extend(of_s3(store)),
        Cloud::Google(google) => properties.extend(of_google(google)),
        Cloud::Azure(azure) => properties.extend(of_azure(azure)),
    }
    let database = it.database.as_ref().and_then(|database| scope.database(name, database));
    let mut env = Vec::new();
    match &database {
        Some(database) => {
            let url = format!(
                "jdbc:postgresql://{}:{}/{}",
                database.host, database.port, database.database
            );
            properties.extend(
                [
                    ("nessie.version.store.type", "JDBC".to_owned()),
                    ("nessie.version.store.persist.jdbc.datasource", "postgresql".to_owned()),
                    ("quarkus.datasource.postgresql.jdbc.url", url),
                    ("quarkus.datasource.postgresql.username", "${DATABASE_USER}".to_owned()),
                    (
                        "quarkus.datasource.postgresql.password",
                        "${DATABASE_PASSWORD}".to_owned(),
                    ),
                ]
                .map(|(key, value)| (key.to_owned(), value)),
            );
            env.push(secret_variable(
                "DATABASE_USER",
                &database.login.secret,
                &database.login.user,
            ));
            env.push(secret_variable(
                "DATABASE_PASSWORD",
                &database.login.secret,
                &database.login.password,
            ));
        }
        None => properties.extend([("nessie.version.store.type".to_owned(), "IN_MEMORY".to_owned())]),
    }
    properties.extend(it.config.clone());
    let mut file = String::new();
    for (key, value) in &properties {
        let _ = writeln!(file, "{key}={}", value.replace('\\', "\\\\").replace('\n', "\\n"));
    }
    let mut pod = Pod {
        image: image(&it.run, &format!("ghcr.io/projectnessie/nessie:{}", it.version)),
        env,
        ports: PORTS.to_vec(),
        probe: json!({"httpGet": {"path": "/iceberg/v1/config", "port": "http"}}),
        period: 10,
        grace: 30,
        config: file.clone(),
        ..Pod::default()
    };
    pod.mount_config(name, "/deployments/config");
    pod.ask(store);
    if let Some(database) = &database {
        pod.make_database(database);
    }
    let mut all = vec![
        config_map(name, &[("application.properties".to_owned(), file)].into()),
        service(name, &PORTS, scope),
    ];
    all.extend(deployment(name, it.replicas, &it.run, &ABOUT, pod, scope));
    all
}

/// The settings of Amazon's protocol.
fn of_s3(store: &ObjectStore) -> BTreeMap<String, String> {
    let s3 = |key: &str| format!("nessie.catalog.service.s3.default-options.{key}");
    let mut properties: BTreeMap<String, String> = [
        // Amazon's client wants a region, also for servers that have none.
        (s3("region"), store.region.clone().unwrap_or_else(|| "us-east-1".into())),
        (s3("path-style-access"), store.path_style.to_string()),
        // Clients have the store's keys, by their wiring; signed for them, each request would be one more to Nessie.
        (s3("request-signing-enabled"), "false".to_owned()),
    ]
    .into();
    if let Some(endpoint) = &store.endpoint {
        properties.insert(s3("endpoint"), endpoint.clone());
    }
    match store.credentials {
        // The pair stands outside Nessie's own keys: it refuses what it does not know among them.
        Some(_) => properties.extend([
            (s3("access-key"), "urn:nessie-secret:quarkus:keys".to_owned()),
            ("keys.name".to_owned(), "${AWS_ACCESS_KEY_ID}".to_owned()),
            ("keys.secret".to_owned(), "${AWS_SECRET_ACCESS_KEY}".to_owned()),
        ]),
        None => properties.extend([(s3("auth-type"), "APPLICATION_GLOBAL".to_owned())]),
    }
    properties
}

/// The settings of Google Cloud Storage: the login is what Google's clients find by themselves, a file that a variable names or the identity of the pod.
fn of_google(google: &Google) -> BTreeMap<String, String> {
    let gcs = |key: &str| format!("nessie.catalog.service.gcs.default-options.{key}");
    let project = google
        .project
        .iter()
        .map(|project| (gcs("project-id"), project.clone()));
    [(gcs("auth-type"), "APPLICATION_DEFAULT".to_owned())]
        .into_iter()
        .chain(project)
        .collect()
}

/// The settings of Azure's storage.
fn of_azure(azure: &Azure) -> BTreeMap<String, String> {
    let adls = |key: &str| format!("nessie.catalog.service.adls.default-options.{key}");
    match azure.key {
        Some(_) => [
            (adls("auth-type"), "STORAGE_SHARED_KEY".to_owned()),
            (adls("account"), "urn:nessie-secret:quarkus:keys".to_owned()),
            ("keys.name".to_owned(), azure.host()),
            ("keys.secret".to_owned(), "${AZURE_STORAGE_ACCOUNT_KEY}".to_owned()),
        ]
        .into(),
        None => [(adls("auth-type"), "APPLICATION_DEFAULT".to_owned())].into(),
    }
}
