//! The files of a ConfigMap, Secret, downward-API or projected volume, as a pure function of the objects.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, DownwardAPIVolumeFile, KeyToPath, Pod, Volume};

use crate::node::downward::{Placement, field, resource};
use crate::node::environment::Configs;

/// A file's content and permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The bytes.
    pub content: Vec<u8>,
    /// The permission bits.
    pub mode: u32,
}

/// Files by their path relative to the volume.
pub(crate) type Payload = BTreeMap<String, Entry>;

/// Tokens of projected volumes: the (audience, lifetime in seconds) asked for, and the token.
pub(crate) type Tokens = BTreeMap<(String, i64), String>;

/// The audience and lifetime of every token a volume needs.
pub(crate) fn tokens_needed(volume: &Volume) -> Vec<(String, i64)> {
    let sources = volume
        .projected
        .iter()
        .flat_map(|projected| projected.sources.iter().flatten());
    sources
        .filter_map(|source| source.service_account_token.as_ref())
        .map(|token| {
            (
                token.audience.clone().unwrap_or_default(),
                token.expiration_seconds.unwrap_or(3600),
            )
        })
        .collect()
}

/// The files of `volume`; none when it is not of a kind that is made of files.
///
/// # Errors
/// What is missing, in the kubelet's words.
pub(crate) fn payload(
    pod: &Pod,
    volume: &Volume,
    placement: &Placement,
    configs: &dyn Configs,
    tokens: &Tokens,
) -> Result<Option<Payload>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let mut files = Payload::new();
    if let Some(source) = &volume.config_map {
        let keyed = Keyed::new(
            &source.name,
            source.items.as_deref(),
            source.optional,
            source.default_mode,
        );
        keyed.config_map(configs, namespace, &mut files)?;
    } else if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        let keyed = Keyed::new(name, source.items.as_deref(), source.optional, source.default_mode);
        keyed.secret(configs, namespace, &mut files)?;
    } else if let Some(source) = &volume.downward_api {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        downward_files(&mut files, pod, placement, source.items.as_deref(), mode)?;
    } else if let Some(projected) = &volume.projected {
        let mode = projected.default_mode;
        for source in projected.sources.iter().flatten() {
            if let Some(map) = &source.config_map {
                let keyed = Keyed::new(&map.name, map.items.as_deref(), map.optional, mode);
                keyed.config_map(configs, namespace, &mut files)?;
            }
            if let Some(secret) = &source.secret {
                let keyed = Keyed::new(&secret.name, secret.items.as_deref(), secret.optional, mode);
                keyed.secret(configs, namespace, &mut files)?;
            }
            if let Some(downward) = &source.downward_api {
                let mode = mode.unwrap_or(DEFAULT_MODE);
                downward_files(&mut files, pod, placement, downward.items.as_deref(), mode)?;
            }
            if let Some(token) = &source.service_account_token {
                let key = (
                    token.audience.clone().unwrap_or_default(),
                    token.expiration_seconds.unwrap_or(3600),
                );
                let content = tokens
                    .get(&key)
                    .ok_or("failed to fetch token: not yet issued")?
                    .clone()
                    .into_bytes();
                // Only the pod's user may read a token; that user owns the file.
                add(&mut files, &token.path, Entry { content, mode: 0o600 })?;
            }
            if source.cluster_trust_bundle.is_some() {
                return Err("clusterTrustBundle sources are not supported by Stoke's embedded node".to_owned());
            }
        }
    } else {
        return Ok(None);
    }
    Ok(Some(files))
}

/// The permission bits of a file whose volume names none.
const DEFAULT_MODE: i32 = 0o644;

/// A ConfigMap or a Secret as a source of files: which keys become which files.
struct Keyed<'a> {
    name: &'a str,
    items: Option<&'a [KeyToPath]>,
    optional: bool,
    mode: i32,
}

impl<'a> Keyed<'a> {
    fn new(name: &'a str, items: Option<&'a [KeyToPath]>, optional: Option<bool>, mode: Option<i32>) -> Self {
        Self {
            name,
            items,
            optional: optional == Some(true),
            mode: mode.unwrap_or(DEFAULT_MODE),
        }
    }

    fn config_map(&self, configs: &dyn Configs, namespace: &str, files: &mut Payload) -> Result<(), String> {
        let object = configs.config_map(namespace, self.name);
        let data = object.map(|object| {
            let texts = object.data.into_iter().flatten();
            let texts = texts.map(|(key, text)| (key, text.into_bytes()));
            let bytes = object.binary_data.into_iter().flatten();
            texts.chain(bytes.map(|(key, bytes)| (key, bytes.0))).collect()
        });
        self.add(data, "configmap", "configmap references non-existent config key", files)
    }

    fn secret(&self, configs: &dyn Configs, namespace: &str, files: &mut Payload) -> Result<(), String> {
        let object = configs.secret(namespace, self.name);
        let data = object.map(|object| {
            let bytes = object.data.into_iter().flatten();
            bytes.map(|(key, bytes)| (key, bytes.0)).collect()
        });
        self.add(data, "secret", "references non-existent secret key", files)
    }

    fn add(
        &self,
        data: Option<BTreeMap<String, Vec<u8>>>,
        kind: &str,
        missing: &str,
        files: &mut Payload,
    ) -> Result<(), String> {
        let Some(data) = data else {
            return if self.optional {
                Ok(())
            } else {
                Err(format!("{kind} \"{}\" not found", self.name))
            };
        };
        let Some(items) = self.items.filter(|items| !items.is_empty()) else {
            return data.into_iter().try_for_each(|(key, content)| {
                let mode = bits(self.mode);
                add(files, &key, Entry { content, mode })
            });
        };
        for item in items {
            match data.get(&item.key) {
                Some(content) => {
                    let mode = bits(item.mode.unwrap_or(self.mode));
                    let content = content.clone();
                    add(files, &item.path, Entry { content, mode })?;
                }
                None if self.optional => {}
                None => return Err(format!("{missing}: {}", item.key)),
            }
        }
        Ok(())
    }
}

fn downward_files(
    files: &mut Payload,
    pod: &Pod,
    placement: &Placement,
    items: Option<&[DownwardAPIVolumeFile]>,
    mode: i32,
) -> Result<(), String> {
    for item in items.into_iter().flatten() {
        let value = if let Some(selector) = &item.field_ref {
            field(pod, placement, selector)?
        } else if let Some(selector) = &item.resource_field_ref {
            resource(pod, placement, &Container::default(), selector)?
        } else {
            String::new()
        };
        add(
            files,
            &item.path,
            Entry {
                content: value.into_bytes(),
                mode: bits(item.mode.unwrap_or(mode)),
            },
        )?;
    }
    Ok(())
}

fn add(files: &mut Payload, path: &str, entry: Entry) -> Result<(), String> {
    let clean = path.trim_start_matches("./");
    let parts: Vec<&str> = clean.split('/').collect();
    if clean.is_empty()
        || clean.starts_with("..")
        || parts
            .iter()
            .any(|part| part.is_empty() || *part == ".." || *part == ".")
    {
        return Err(format!("invalid path: must be relative and not contain '..': {path:?}"));
    }
    files.insert(parts.join("/"), entry);
    Ok(())
}

fn bits(mode: i32) -> u32 {
    u32::try_from(mode).unwrap_or(0o644) & 0o777
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    use serde_json::json;

    struct Fixed;

    impl Configs for Fixed {
        fn config_map(&self, _: &str, name: &str) -> Option<ConfigMap> {
            (name == "cm").then(|| {
                serde_json::from_value(json!({"data": {"a": "1", "b": "2"}, "binaryData": {"c": "AAE="}})).unwrap()
            })
        }
        fn secret(&self, _: &str, name: &str) -> Option<Secret> {
            (name == "s").then(|| serde_json::from_value(json!({"data": {"p": "cHc="}})).unwrap())
        }
    }

    fn of(volume: serde_json::Value) -> Result<Vec<(String, Vec<u8>, u32)>, String> {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}})).unwrap();
        let volume: Volume = serde_json::from_value(volume).unwrap();
        let placement = Placement::example();
        let tokens = Tokens::from([((String::new(), 3607), "token".to_owned())]);
        let files = payload(&pod, &volume, &placement, &Fixed, &tokens)?.unwrap();
        Ok(files
            .into_iter()
            .map(|(path, entry)| (path, entry.content, entry.mode))
            .collect())
    }

    #[test]
    fn files_of_every_kind() {
        assert_eq!(
            of(json!({"name": "v", "configMap": {"name": "cm", "defaultMode": 0o440}})).unwrap(),
            [
                ("a".into(), b"1".to_vec(), 0o440),
                ("b".into(), b"2".to_vec(), 0o440),
                ("c".into(), vec![0, 1], 0o440)
            ]
        );
        assert_eq!(
            of(
                json!({"name": "v", "configMap": {"name": "cm", "items": [{"key": "b", "path": "x/y", "mode": 0o400}]}})
            )
            .unwrap(),
            [("x/y".into(), b"2".to_vec(), 0o400)]
        );
        assert_eq!(
            of(json!({"name": "v", "secret": {"secretName": "s"}})).unwrap(),
            [("p".into(), b"pw".to_vec(), 0o644)]
        );
        let service_account = json!({"name": "v", "projected": {"sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "cm", "items": [{"key": "a", "path": "ca.crt"}]}},
            {"configMap": {"name": "openshift", "optional": true}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}}]}});
        assert_eq!(
            of(service_account).unwrap(),
            [
                ("ca.crt".into(), b"1".to_vec(), 0o644),
                ("namespace".into(), b"n".to_vec(), 0o644),
                ("token".into(), b"token".to_vec(), 0o600)
            ]
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        let table = [
            (
                json!({"name": "v", "configMap": {"name": "none"}}),
                "configmap \"none\" not found",
            ),
            (
                json!({"name": "v", "secret": {"secretName": "none"}}),
                "secret \"none\" not found",
            ),
            (
                json!({"name": "v", "configMap": {"name": "cm", "items": [{"key": "z", "path": "z"}]}}),
                "configmap references non-existent config key: z",
            ),
            (
                json!({"name": "v", "secret": {"secretName": "s", "items": [{"key": "z", "path": "z"}]}}),
                "references non-existent secret key: z",
            ),
            (
                json!({"name": "v", "configMap": {"name": "cm", "items": [{"key": "a", "path": "../a"}]}}),
                "invalid path: must be relative and not contain '..': \"../a\"",
            ),
        ];
        for (volume, expected) in table {
            assert_eq!(of(volume).unwrap_err(), expected);
        }
        assert!(
            of(json!({"name": "v", "configMap": {"name": "none", "optional": true}}))
                .unwrap()
                .is_empty()
        );
    }
}
