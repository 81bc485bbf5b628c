//! Secrets that a platform names: what is missing is made, once, out of random numbers, and kept in the cluster. No value is ever shown.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use ring::rand::{SecureRandom, SystemRandom};
use stoke_objectstore::Credentials;
use stoke_platform::local::OwnStore;
use stoke_platform::render::{LABEL_ENVIRONMENT, LABEL_PLATFORM, Scope};
use stoke_platform::secrets::{Key, LABEL_MADE, Purpose, to_make, value};
use stoke_platform::spec::Component;

use crate::error::{LaptopError, Outcome};

/// Our name as the writer of these Secrets' keys.
const FIELD_MANAGER: &str = "stoke-platform-secrets";

/// The keys of a Secret that were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub secret: String,
    pub keys: Vec<String>,
}

/// The embedded cluster's store and its keys.
pub struct Own<'a> {
    pub store: &'a OwnStore,
    pub credentials: &'a Credentials,
}

/// Sees to it that every Secret that a platform names is there with its keys.
///
/// # Errors
/// When only someone else knows a value that is missing; nothing was written then. When the cluster cannot be asked.
pub async fn provide(client: &Client, scope: &Scope<'_>, own: &Own<'_>) -> Outcome<Vec<Made>> {
    let api: Api<Secret> = Api::namespaced(client.clone(), scope.namespace());
    let (mut writes, mut unknown) = (Vec::new(), Vec::new());
    for (name, keys) in to_make(scope) {
        let there = api.get_opt(&name).await?;
        let (mut values, mut made) = (BTreeMap::new(), Vec::new());
        for (key, about) in &keys {
            let current = there.as_ref().and_then(|secret| text(secret, key));
            match (given(scope, about, own)?, current) {
                // Keys of the store may be others by now; nothing else is ever changed.
                (Some(Given::Fixed(fixed)), Some(current))
                    if fixed != current && there.as_ref().is_some_and(is_made) =>
                {
                    values.insert(key.clone(), fixed);
                    made.push(key.clone());
                }
                (_, Some(current)) => drop(values.insert(key.clone(), current)),
                (Some(Given::Fixed(new) | Given::New(new)), None) => {
                    values.insert(key.clone(), new);
                    made.push(key.clone());
                }
                (None, None) => unknown.push(format!("key {key} of Secret {name}, which {} names", about.component)),
            }
        }
        if made.is_empty() {
            continue;
        }
        let is_ours = there.as_ref().is_none_or(is_made);
        if !is_ours {
            // What others wrote stays theirs.
            values.retain(|key, _| made.contains(key));
        }
        let written = secret(scope, &name, values, is_ours);
        writes.push((
            written,
            Made {
                secret: name,
                keys: made,
            },
        ));
    }
    if !unknown.is_empty() {
        let namespace = scope.namespace();
        return Err(LaptopError::input(
            "stoke::platform::secret",
            format!("what only others know is not there in namespace {namespace}: {}", unknown.join("; ")),
        )
        .fix(format!(
            "`kubectl create namespace {namespace}` where it is missing, and `kubectl create secret generic NAME -n {namespace} --from-file=KEY=FILE` for each; a store of this machine is meant by `endpoint: \"http://127.0.0.1:{}\"`",
            own.store.ports.start()
        )));
    }
    let mut all = Vec::new();
    for (secret, made) in writes {
        api.patch(
            &made.secret,
            &PatchParams::apply(FIELD_MANAGER).force(),
            &Patch::Apply(&secret),
        )
        .await?;
        all.push(made);
    }
    Ok(all)
}

/// A value that a key gets.
enum Given {
    /// It is what it is.
    Fixed(String),
    /// Any of its kind would do.
    New(String),
}

fn given(scope: &Scope<'_>, key: &Key, own: &Own<'_>) -> Outcome<Option<Given>> {
    let is_own = match scope.component(&key.component) {
        Some(Component::ObjectStore(store)) => own.store.is(store),
        _ => false,
    };
    Ok(match key.purpose {
        Purpose::AccessKey if is_own => Some(Given::Fixed(own.credentials.access_key_id.clone())),
        Purpose::SecretKey if is_own => Some(Given::Fixed(own.credentials.secret_access_key.clone())),
        purpose => value(purpose, &random()?).map(Given::New),
    })
}

fn random() -> Outcome<[u8; 32]> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| std::io::Error::other("the system gives no random numbers"))?;
    Ok(bytes)
}

/// A key of a Secret that has a value.
fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.0.clone()).ok().filter(|text| !text.is_empty())
}

fn is_made(secret: &Secret) -> bool {
    secret.labels().contains_key(LABEL_MADE)
}

fn secret(scope: &Scope<'_>, name: &str, values: BTreeMap<String, String>, made: bool) -> Secret {
    let values = values
        .into_iter()
        .map(|(key, value)| (key, ByteString(value.into_bytes())));
    let mut secret = Secret {
        data: Some(values.collect()),
        ..Secret::default()
    };
    secret.metadata.name = Some(name.to_owned());
    secret.metadata.namespace = Some(scope.namespace().to_owned());
    if made {
        let labels = [
            ("app.kubernetes.io/managed-by", "stoke"),
            (LABEL_PLATFORM, &scope.platform.name),
            (LABEL_ENVIRONMENT, scope.environment),
            (LABEL_MADE, "true"),
        ];
        secret.metadata.labels = Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }
    secret
}

/// Removes the Secrets that were made for a platform; those of others stay.
///
/// # Errors
/// When the cluster cannot be asked.
pub async fn remove(client: &Client, scope: &Scope<'_>) -> Outcome<()> {
    let api: Api<Secret> = Api::namespaced(client.clone(), scope.namespace());
    let labels = format!(
        "{LABEL_MADE}=true,{LABEL_PLATFORM}={},{LABEL_ENVIRONMENT}={}",
        scope.platform.name, scope.environment
    );
    for secret in api.list(&ListParams::default().labels(&labels)).await? {
        match api.delete(&secret.name_any(), &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// The value of a key of a Secret, to ask a component with; none when it is not there.
///
/// # Errors
/// When the cluster cannot be asked.
pub(super) async fn read(client: &Client, namespace: &str, name: &str, key: &str) -> Outcome<Option<String>> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    Ok(api.get_opt(name).await?.and_then(|secret| text(&secret, key)))
}
