//! The object store at hand: applications that name none of their own find it under `s3a://` and in the AWS variables.
//!
//! An application that speaks of an endpoint, of keys or of a provider of keys, in its configuration or in its environment, means another
//! store, and gets nothing from here.

use serde_json::{Map, Value, json};
use stoke_model::crd::{SparkApplication, SparkPodSpec};
use stoke_storage::keys;

use super::conf::Conf;

/// Where the object store is, and which Secret has its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectStoreSettings {
    /// URL, plain HTTP: `http://127.64.0.1:9000`.
    pub endpoint: String,
    /// Region to sign for.
    pub region: String,
    /// Secret in the application's namespace whose keys become environment variables: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …
    pub secret: String,
}

/// Prefixes of keys whose rest is the name of an environment variable.
const VARIABLE_KEYS: [&str; 4] = [
    "spark.kubernetes.driverEnv.",
    "spark.executorEnv.",
    "spark.kubernetes.driver.secretKeyRef.",
    "spark.kubernetes.executor.secretKeyRef.",
];

fn pod_names_a_store(pod: &SparkPodSpec) -> bool {
    let listed = pod.env.iter().flatten().map(|variable| variable.name.as_str());
    let mapped = pod.env_vars.iter().flatten().map(|(name, _)| name.as_str());
    let secret = pod.env_secret_key_refs.iter().flatten().map(|(name, _)| name.as_str());
    let containers = pod
        .template
        .as_ref()
        .and_then(|template| template.pointer("/spec/containers")?.as_array());
    let templated = containers
        .into_iter()
        .flatten()
        .flat_map(|container| container.get("env").and_then(Value::as_array).into_iter().flatten())
        .filter_map(|variable| variable.get("name")?.as_str());
    listed
        .chain(mapped)
        .chain(secret)
        .chain(templated)
        .any(keys::variable_means_a_store)
}

/// Whether the application means a store of its own.
pub(super) fn has_its_own(app: &SparkApplication, conf: &Conf) -> bool {
    let by_key = conf.keys().any(|key| {
        keys::means_a_store(key)
            || VARIABLE_KEYS
                .iter()
                .any(|prefix| key.strip_prefix(prefix).is_some_and(keys::variable_means_a_store))
    });
    let driver = app.spec.driver.iter().map(|driver| &driver.pod);
    let executor = app.spec.executor.iter().map(|executor| &executor.pod);
    by_key || driver.chain(executor).any(pod_names_a_store)
}

/// Adds what S3A needs to know; keys the application has stay as they are.
pub(super) fn add_configuration(store: &ObjectStoreSettings, conf: &mut Conf) {
    for (key, value) in [
        (keys::ENDPOINT, store.endpoint.as_str()),
        (keys::REGION, &store.region),
        (keys::PATH_STYLE, "true"),
        (keys::TLS, "false"),
    ] {
        conf.entry(format!("{}{key}", keys::SPARK))
            .or_insert_with(|| value.to_owned());
    }
}

/// Gives a container the Secret's keys as variables. They come first, so that all the author's own win over them.
pub(super) fn add_variables(store: &ObjectStoreSettings, container: &mut Map<String, Value>) {
    let source = json!({"secretRef": {"name": store.secret}});
    match container.get_mut("envFrom").and_then(Value::as_array_mut) {
        Some(sources) => sources.insert(0, source),
        None => {
            container.insert("envFrom".to_owned(), json!([source]));
        }
    }
}
