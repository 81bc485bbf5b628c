//! Nessie: an Iceberg REST catalog.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::{About, Embedded, Gives};
use crate::render::pod::{Pod, deployment, image, service};
use crate::render::{Scope, config_map, secret_variable, store_variables};
use crate::spec::components::Nessie;

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
    let s3 = |key: &str| format!("nessie.catalog.service.s3.default-options.{key}");
    let mut properties: BTreeMap<String, String> = [
        ("nessie.catalog.default-warehouse".to_owned(), "warehouse".to_owned()),
        (
            "nessie.catalog.warehouses.warehouse.location".to_owned(),
            format!("s3://{}/{}", store.bucket, it.path),
        ),
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
    let database = it.database.as_ref().and_then(|database| scope.database(name, database));
    let mut env = store_variables(store);
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
