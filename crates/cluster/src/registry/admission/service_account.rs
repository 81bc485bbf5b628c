//! Service accounts of pods, and their tokens.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Admission, Attempt, ready};
use crate::apimachinery::meta::suffix;
use crate::apimachinery::status::Status;
use crate::registry::Registry;
use crate::store::Key;

/// Where a pod finds its service account's token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Gives pods their service account, its pull secrets and its token.
pub(super) struct ServiceAccount;

impl Admission for ServiceAccount {
    fn handles(&self, attempt: &Attempt<'_>) -> bool {
        attempt.creates("pods")
    }

    fn admit<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
        object: &'a mut Value,
        _: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<(), Status>> {
        ready(admit_pod(attempt.registry, object))
    }
}

fn admit_pod(registry: &Registry, pod: &mut Value) -> Result<(), Status> {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let account = pod["spec"]["serviceAccountName"]
        .as_str()
        .filter(|name| !name.is_empty())
        .unwrap_or("default")
        .to_owned();
    let found = registry
        .store
        .get(&Key::new(&"serviceaccounts".into(), &namespace, &account))
        .ok_or_else(|| {
            let why =
                format!("error looking up service account {namespace}/{account}: serviceaccount {account:?} not found");
            Status::forbidden("pods", &name, why)
        })?;
    let account_object = found.value();
    let spec = &mut pod["spec"];
    spec["serviceAccountName"] = account.clone().into();
    spec["serviceAccount"] = account.into();
    if spec["imagePullSecrets"].is_null()
        && account_object["imagePullSecrets"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
    {
        spec["imagePullSecrets"] = account_object["imagePullSecrets"].clone();
    }
    let wanted = spec["automountServiceAccountToken"]
        .as_bool()
        .or(account_object["automountServiceAccountToken"].as_bool());
    if wanted.unwrap_or(true) {
        mount_token(spec);
    }
    Ok(())
}

/// Mounts the service account's token into every container that does not already mount something there.
fn mount_token(spec: &mut Value) {
    let volume = format!("kube-api-access-{}", suffix());
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let there = container["volumeMounts"]
                .as_array()
                .is_some_and(|mounts| mounts.iter().any(|mount| mount["mountPath"] == TOKEN_PATH));
            if there {
                continue;
            }
            if !container["volumeMounts"].is_array() {
                container["volumeMounts"] = json!([]);
            }
            if let Some(mounts) = container["volumeMounts"].as_array_mut() {
                mounts.push(json!({"name": volume, "readOnly": true, "mountPath": TOKEN_PATH}));
                mounted = true;
            }
        }
    }
    if !mounted {
        return;
    }
    if !spec["volumes"].is_array() {
        spec["volumes"] = json!([]);
    }
    if let Some(volumes) = spec["volumes"].as_array_mut() {
        volumes.push(json!({"name": volume, "projected": {"sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ], "defaultMode": 420}}));
    }
}
