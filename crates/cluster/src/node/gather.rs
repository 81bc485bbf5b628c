//! What volumes need from the API server: tokens and the directories behind claims.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, ServiceAccount};
use kube::Client;
use kube::api::{Api, PostParams};

use super::claim_of;
use super::context::identity;
use super::volumes::payload::tokens_needed;

/// Tokens with the time when they are to be replaced.
#[derive(Debug, Clone, Default)]
pub(crate) struct TokenCache {
    tokens: BTreeMap<(String, i64), (String, Timestamp)>,
}

impl TokenCache {
    /// The tokens themselves.
    pub(crate) fn tokens(&self) -> BTreeMap<(String, i64), String> {
        self.tokens
            .iter()
            .map(|(key, (token, _))| (key.clone(), token.clone()))
            .collect()
    }

    /// Whether a token is to be replaced.
    pub(crate) fn stale(&self, now: Timestamp) -> bool {
        self.tokens.values().any(|(_, replace_at)| *replace_at <= now)
    }

    /// Gets every token the pod's volumes need that is missing or at four fifths of its life.
    pub(crate) async fn renew(&mut self, client: &Client, pod: &Pod, now: Timestamp) -> Result<(), String> {
        let spec = pod.spec.clone().unwrap_or_default();
        let (namespace, name, uid) = identity(pod);
        for (audience, lifetime) in spec.volumes.iter().flatten().flat_map(tokens_needed) {
            let key = (audience.clone(), lifetime);
            if self.tokens.get(&key).is_some_and(|(_, replace_at)| *replace_at > now) {
                continue;
            }
            let account = spec
                .service_account_name
                .clone()
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| "default".into());
            let request = TokenRequest {
                spec: TokenRequestSpec {
                    audiences: if audience.is_empty() {
                        Vec::new()
                    } else {
                        vec![audience]
                    },
                    bound_object_ref: Some(BoundObjectReference {
                        api_version: Some("v1".to_owned()),
                        kind: Some("Pod".to_owned()),
                        name: Some(name.to_owned()),
                        uid: Some(uid.to_owned()),
                    }),
                    expiration_seconds: Some(lifetime),
                },
                ..TokenRequest::default()
            };
            let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
            let answer = api
                .create_token_request(&account, &PostParams::default(), &request)
                .await
                .map_err(|error| format!("failed to fetch token: {error}"))?;
            let status = answer.status.ok_or("failed to fetch token: the server sent none")?;
            let life = status.expiration_timestamp.0.duration_since(now);
            let replace_at = now
                .checked_add(life * 4 / 5)
                .unwrap_or(now)
                .max(now + SignedDuration::from_secs(10));
            self.tokens.insert(key, (status.token, replace_at));
        }
        Ok(())
    }
}

/// The directory behind every claim of the pod's volumes, and whether it is read-only.
pub(crate) async fn claims(client: &Client, pod: &Pod) -> BTreeMap<String, Result<(PathBuf, bool), String>> {
    let (namespace, pod_name, _) = identity(pod);
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let names = volumes.filter_map(|volume| claim_of(pod_name, volume));
    let mut found = BTreeMap::new();
    for name in names {
        let directory = claim(client, namespace, &name).await;
        found.insert(name, directory);
    }
    found
}

async fn claim(client: &Client, namespace: &str, name: &str) -> Result<(PathBuf, bool), String> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let claim = claims.get_opt(name).await.map_err(|error| error.to_string())?;
    let claim = claim.ok_or_else(|| format!("persistentvolumeclaim \"{name}\" not found"))?;
    let bound = claim
        .spec
        .and_then(|spec| spec.volume_name)
        .filter(|volume| !volume.is_empty());
    let volume = bound.ok_or_else(|| format!("persistentvolumeclaim \"{name}\" is not bound to a volume"))?;
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let object = volumes.get_opt(&volume).await.map_err(|error| error.to_string())?;
    let spec = object
        .and_then(|object| object.spec)
        .ok_or_else(|| format!("persistentvolume \"{volume}\" not found"))?;
    let modes = spec.access_modes.unwrap_or_default();
    let read_only = !modes.is_empty() && modes.iter().all(|mode| mode == "ReadOnlyMany");
    let path = spec
        .host_path
        .map(|source| source.path)
        .or_else(|| spec.local.map(|source| source.path));
    let path = path.ok_or_else(|| {
        format!(
            "persistentvolume \"{volume}\" is neither hostPath nor local, the kinds Stoke's embedded node can mount"
        )
    })?;
    Ok((PathBuf::from(path), read_only))
}
