//! The installation's object store beside an embedded cluster: started, made known to the cluster, described to people.
//!
//! It lives in the home and not in a cluster, so that what one `stoke run` writes the next one reads; several may have it open at once.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use stoke_objectstore::{Config, Credentials, ObjectStore};
use stoke_storage::{Access, Address, Cloud, Place};
use stoke_submit::application::ObjectStoreSettings;

use crate::error::{LaptopError, Outcome};
use crate::home::Home;

/// Name of the Secret in every namespace.
pub const SECRET: &str = "stoke-object-store";
/// The bucket that is always there.
pub const BUCKET: &str = "spark";
/// Where the logs of `stoke up` are kept unless something else is said.
pub const LOGS: &str = "s3://spark/logs";
/// The directory in it for event logs: `s3a://spark/events`.
const EVENTS: &str = "events/";
/// File of a cluster's directory that says where its object store listens; there while it does.
const ENDPOINT_FILE: &str = "object-store";

/// The store's directory.
pub fn directory(home: &Home) -> PathBuf {
    home.root().join("object-store")
}

/// Starts the store at a cluster's address.
///
/// # Errors
/// When it cannot be started.
pub async fn start(home: &Home, address: Ipv4Addr) -> Outcome<ObjectStore> {
    let mut config = Config::new(directory(home), address);
    config.buckets = vec![BUCKET.into()];
    // Spark wants the directory of its event logs to be there; on S3 that is an empty object.
    config.directories = vec![(BUCKET.into(), EVENTS.into())];
    ObjectStore::start(config)
        .await
        .map_err(|error| LaptopError::environment("stoke::object-store::start", error))
}

/// What the operator tells applications of it.
pub fn settings(store: &ObjectStore) -> ObjectStoreSettings {
    ObjectStoreSettings {
        endpoint: store.endpoint(),
        region: store.region().to_string(),
        secret: SECRET.to_string(),
    }
}

/// How the installation's own store is reached, by the variables of AWS's SDKs, pyarrow and what stands on Rust's `object_store` (polars, delta-rs).
pub fn access(endpoint: &str, region: &str, credentials: &Credentials) -> Access {
    Access::s3(
        endpoint,
        region,
        &credentials.access_key_id,
        &credentials.secret_access_key,
    )
}

/// How a store is reached: the installation's own, when that is wanted and it listens beside the cluster of `stoke up`; else as the user's environment says.
///
/// # Errors
/// When the store's credentials cannot be read.
pub async fn reach(home: &Home, own: bool) -> Outcome<Access> {
    if own && let Some(endpoint) = endpoint(&home.default_cluster()).await {
        let credentials = Credentials::load(&directory(home).join("credentials"))?;
        return Ok(access(&endpoint, stoke_objectstore::REGION, &credentials).or(others(Access::environment())));
    }
    Ok(Access::environment())
}

/// What is said of other clouds than AWS.
fn others(access: Access) -> Access {
    let other = |(name, value): (&str, &str)| (!name.starts_with("AWS_")).then(|| (name.to_owned(), value.to_owned()));
    access.variables().filter_map(other).collect()
}

/// As [`reach`]: the user's store when the environment says anything of AWS, else the installation's own.
///
/// # Errors
/// When the own store's credentials cannot be read.
pub async fn reach_any(home: &Home) -> Outcome<Access> {
    reach(home, !Access::environment().knows(Cloud::Aws)).await
}

/// A place for the embedded cluster's logs, in the store that this leads to.
///
/// # Errors
/// When it cannot be opened.
pub fn logs(address: &Address, access: &Access) -> Outcome<Place> {
    stoke_storage::open(address, access).map_err(LaptopError::storage)
}

/// Keeps the Secret in every namespace there is and comes to be, until the client's cluster ends.
pub async fn publish(client: Client, access: Access) {
    let variables = variables(&access);
    let namespaces = watcher(Api::<Namespace>::all(client.clone()), watcher::Config::default());
    let mut namespaces = std::pin::pin!(namespaces.default_backoff().applied_objects());
    loop {
        match namespaces.try_next().await {
            Ok(Some(namespace)) => {
                let ending = namespace.metadata.deletion_timestamp.is_some();
                if !ending {
                    put_secret(&client, &namespace.name_any(), &variables).await;
                }
            }
            Ok(None) => return,
            Err(error) => tracing::warn!(%error, "namespaces could not be watched"),
        }
    }
}

/// The variables by which applications find a store.
#[must_use]
pub fn variables(access: &Access) -> BTreeMap<String, String> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    access.variables().map(owned).collect()
}

/// Puts the Secret into one namespace.
pub async fn put_secret(client: &Client, namespace: &str, variables: &BTreeMap<String, String>) {
    let mut secret = Secret {
        string_data: Some(variables.clone()),
        type_: Some("Opaque".into()),
        ..Secret::default()
    };
    secret.metadata.name = Some(SECRET.into());
    let label = ("app.kubernetes.io/managed-by".to_string(), "stoke".to_string());
    secret.metadata.labels = Some(BTreeMap::from([label]));
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let applied = secrets
        .patch(SECRET, &PatchParams::apply("stoke").force(), &Patch::Apply(&secret))
        .await;
    if let Err(error) = applied {
        tracing::warn!(%error, namespace, "the Secret of the object store could not be written");
    }
}

/// Notes where the store of a cluster listens.
///
/// # Errors
/// When the file cannot be written.
pub fn note_endpoint(cluster: &Path, endpoint: &str) -> std::io::Result<()> {
    std::fs::write(cluster.join(ENDPOINT_FILE), endpoint)
}

pub fn forget_endpoint(cluster: &Path) {
    let _ = std::fs::remove_file(cluster.join(ENDPOINT_FILE));
}

/// Where the store of a cluster listens, if it answers there.
pub async fn endpoint(cluster: &Path) -> Option<String> {
    let endpoint = std::fs::read_to_string(cluster.join(ENDPOINT_FILE)).ok()?;
    let address = endpoint.strip_prefix("http://")?.parse().ok()?;
    stoke_objectstore::answers(address).await.then_some(endpoint)
}
