//! Secrets out of stores and out of files: objects of the External Secrets Operator, SealedSecrets, and what starts pods again.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Scope;
use crate::encrypted::{Form, Secret};
use crate::secrets::{Purpose, all};
use crate::spec::secrets::{Restart, SecretStore, StoreKind};

/// Annotation of pods: what the encrypted files say of the Secrets that they read once.
const SEALED: &str = "platform.stoke.dev/secrets";
/// Annotation of workloads that Stakater's Reloader starts again.
const RELOAD: &str = "secret.reloader.stakater.com/reload";
/// Type of Secrets with a certificate.
const TLS: &str = "kubernetes.io/tls";
const VERSION: &str = "external-secrets.io/v1";
const REFRESH: &str = "1h";

/// A Secret that comes from a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External<'a> {
    pub name: String,
    pub store: &'a str,
    /// Its name in the store.
    pub remote: String,
    /// Each key with its property there; empty: all that are there.
    pub keys: Vec<(String, String)>,
    pub is_certificate: bool,
}

impl<'a> Scope<'a> {
    /// Secrets that encrypted files make.
    pub fn sealed(&self) -> impl Iterator<Item = (Form, &'a Secret)> {
        let files = self.encrypted.iter();
        files.flat_map(|file| file.secrets.iter().map(|secret| (file.form, secret)))
    }

    /// Whether an encrypted file makes a Secret of this name.
    #[must_use]
    pub fn is_sealed(&self, name: &str) -> bool {
        self.sealed().any(|(_, secret)| secret.name == name)
    }

    /// Secrets that come from stores, by name; none where they are made.
    #[must_use]
    pub fn external(&self) -> Vec<External<'a>> {
        let secrets = &self.platform.secrets;
        let Some(from) = secrets.from() else {
            return Vec::new();
        };
        let wanted = all(self);
        let names: BTreeSet<&String> = wanted.keys().chain(secrets.named.keys()).collect();
        let of = |name: &String| {
            let named = secrets.named.get(name);
            let mut keys = named.map(|named| named.keys.clone()).unwrap_or_default();
            for key in wanted.get(name).into_iter().flat_map(|keys| keys.keys()) {
                keys.entry(key.clone()).or_insert_with(|| key.clone());
            }
            let path = named.and_then(|named| named.path.as_deref()).unwrap_or(name);
            External {
                name: name.clone(),
                store: named.and_then(|named| named.store.as_deref()).unwrap_or(from),
                remote: format!("{}{path}", secrets.prefix.as_deref().unwrap_or_default()),
                keys: keys.into_iter().collect(),
                is_certificate: wanted
                    .get(name)
                    .is_some_and(|keys| keys.values().any(|key| key.purpose == Purpose::Certificate)),
            }
        };
        let logins: BTreeSet<&str> = self.logins(from).collect();
        names
            .into_iter()
            .filter(|name| !self.is_sealed(name))
            // What opens the store cannot come out of it; the check tells where that is named.
            .filter(|name| secrets.named.contains_key(*name) || !logins.contains(name.as_str()))
            .map(of)
            .collect()
    }

    /// Names of Secrets that the operator logs in to a store with.
    pub fn logins(&self, store: &str) -> impl Iterator<Item = &'a str> {
        let store = self.platform.secrets.stores.get(store);
        store
            .into_iter()
            .flat_map(SecretStore::keys)
            .map(|(_, key)| key.name.as_str())
    }

    /// Whether something must make Secrets before components are applied.
    pub(super) fn has_secrets(&self) -> bool {
        self.platform.secrets.from().is_some() || !self.encrypted.is_empty()
    }
}

/// Stores, Secrets that come from them, and SealedSecrets.
pub fn objects(scope: &Scope<'_>) -> Vec<Value> {
    let secrets = &scope.platform.secrets;
    let external = scope.external();
    let used: BTreeSet<&str> = external.iter().map(|secret| secret.store).collect();
    let mut all: Vec<Value> = used
        .iter()
        .filter_map(|name| store(name, secrets.stores.get(*name)?))
        .collect();
    let refresh = secrets.refresh.as_deref().unwrap_or(REFRESH);
    for secret in &external {
        let (kind, name) = match secrets
            .stores
            .get(secret.store)
            .and_then(|store| store.existing.as_ref())
        {
            Some(existing) => (existing.kind, existing.name.as_str()),
            None => (StoreKind::SecretStore, secret.store),
        };
        let mut spec = json!({"refreshPolicy": "Periodic", "refreshInterval": refresh,
            "secretStoreRef": {"kind": kind, "name": name},
            "target": {"name": secret.name, "creationPolicy": "Owner", "deletionPolicy": "Retain"}});
        if secret.is_certificate {
            spec["target"]["template"] = json!({"type": TLS});
        }
        match secret.keys.is_empty() {
            true => spec["dataFrom"] = json!([{"extract": {"key": secret.remote}}]),
            false => {
                let of = |(key, property): &(String, String)| json!({"secretKey": key, "remoteRef": {"key": secret.remote, "property": property}});
                spec["data"] = secret.keys.iter().map(of).collect();
            }
        }
        all.push(
            json!({"apiVersion": VERSION, "kind": "ExternalSecret", "metadata": {"name": secret.name}, "spec": spec}),
        );
    }
    all.extend(
        scope
            .sealed()
            .filter(|(form, _)| *form == Form::Sealed)
            .map(|(_, secret)| secret.object.clone()),
    );
    for object in &mut all {
        object["metadata"]["annotations"][super::WAVE] = json!("0");
    }
    all
}

/// A store that is made here; none for one that is there already.
fn store(name: &str, store: &SecretStore) -> Option<Value> {
    if store.existing.is_some() {
        return None;
    }
    let provider = serde_json::to_value(store).ok()?;
    Some(
        json!({"apiVersion": VERSION, "kind": "SecretStore", "metadata": {"name": name}, "spec": {"provider": provider}}),
    )
}

/// Marks a workload whose pods read Secrets once, so that they start again when one changes.
pub fn restart(scope: &Scope<'_>, external: &[String], object: &mut Value) {
    if !matches!(object["kind"].as_str(), Some("Deployment" | "StatefulSet")) {
        return;
    }
    let mut named = BTreeSet::new();
    references(&object["spec"]["template"]["spec"], &mut named);
    let mut digest = Sha256::new();
    let mut is_sealed = false;
    for file in scope.encrypted {
        if file.secrets.iter().any(|secret| named.contains(&secret.name)) {
            is_sealed = true;
            digest.update(file.text.as_bytes());
        }
    }
    if is_sealed {
        let text: String = digest
            .finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        object["spec"]["template"]["metadata"]["annotations"][SEALED] = json!(text);
    }
    if scope.platform.secrets.restart == Some(Restart::Reloader) {
        let all: Vec<&str> = external
            .iter()
            .map(String::as_str)
            .filter(|name| named.contains(*name))
            .collect();
        if !all.is_empty() {
            object["metadata"]["annotations"][RELOAD] = json!(all.join(","));
        }
    }
}

/// Names of Secrets that a pod reads.
fn references(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let named = [
                map.get("secretKeyRef").map(|of| &of["name"]),
                map.get("secret").map(|of| &of["secretName"]),
            ];
            into.extend(
                named
                    .into_iter()
                    .flatten()
                    .filter_map(|name| Some(name.as_str()?.to_owned())),
            );
            map.values().for_each(|value| references(value, into));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, into)),
        _ => {}
    }
}
