//! Volumes of a pod: made ready on the host before its containers start, and shown inside them.
//!
//! In: the pod, the objects it refers to, its directory. Out: [`Prepared`] volumes, then [`container_mounts`]. A kind this node cannot
//! provide is refused with a message, never ignored. Nothing here waits: what is missing is an error that is tried again.

mod atomic;
pub(crate) mod host;
pub(crate) mod payload;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod, Volume, VolumeMount};
use sha2::{Digest, Sha256};
use stoke_model::quantity::Quantity;
use stoke_sandbox::{Mount, Source};

use super::downward::Placement;
use super::environment::{Configs, expand};
use payload::Tokens;

/// A volume that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Prepared {
    /// A directory or file of the host.
    Host {
        /// Where it is.
        path: PathBuf,
        /// Whether containers may write to it at all.
        read_only: bool,
    },
    /// Memory, seen by one container only.
    Memory {
        /// Limit in bytes.
        size: Option<u64>,
    },
}

/// Makes one volume ready. `claims` leads from a claim's name to its volume's directory and whether it is read-only.
///
/// # Errors
/// The part of the kubelet's `FailedMount` message after the volume's name.
pub(crate) fn prepare(
    pod: &Pod,
    volume: &Volume,
    placement: &Placement,
    configs: &dyn Configs,
    tokens: &Tokens,
    claims: &BTreeMap<String, Result<(PathBuf, bool), String>>,
    pod_directory: &Path,
) -> Result<Prepared, String> {
    let directory = |kind: &str| pod_directory.join("volumes").join(kind).join(&volume.name);
    if let Some(files) = payload::payload(pod, volume, placement, configs, tokens)? {
        let path = directory("files");
        atomic::write(&path, &files).map_err(|error| disk(&path, &error))?;
        return Ok(Prepared::Host { path, read_only: true });
    }
    if let Some(source) = &volume.empty_dir {
        let size = source
            .size_limit
            .as_ref()
            .and_then(|limit| limit.0.parse::<Quantity>().ok())
            .map(|limit| limit.bytes());
        match source.medium.as_deref().unwrap_or_default() {
            // Each container has its own mounts: what several share is a directory of the machine's memory, if it has one.
            "Memory" if users(pod, &volume.name) <= 1 => {
                return Ok(Prepared::Memory {
                    size: size.filter(|size| *size > 0),
                });
            }
            "Memory" => {
                if let Some(path) = shared_memory(pod_directory).map(|directory| directory.join(&volume.name))
                    && std::fs::create_dir_all(&path).is_ok()
                {
                    return Ok(Prepared::Host { path, read_only: false });
                }
            }
            "" => {}
            other => return Err(format!("unknown storage medium {other:?}")),
        }
        let path = directory("empty-dir");
        std::fs::create_dir_all(&path).map_err(|error| disk(&path, &error))?;
        return Ok(Prepared::Host { path, read_only: false });
    }
    if let Some(source) = &volume.host_path {
        let path = PathBuf::from(&source.path);
        host::check(&path, source.type_.as_deref().unwrap_or_default())?;
        return Ok(Prepared::Host { path, read_only: false });
    }
    if let Some(name) = claim_of(pod.metadata.name.as_deref().unwrap_or_default(), volume) {
        let claim = claims.get(&name).cloned();
        let (path, read_only) = claim.unwrap_or_else(|| Err(format!("persistentvolumeclaim {name:?} not found")))?;
        std::fs::create_dir_all(&path).map_err(|error| disk(&path, &error))?;
        let source = volume.persistent_volume_claim.as_ref();
        return Ok(Prepared::Host {
            path,
            read_only: read_only || source.is_some_and(|source| source.read_only == Some(true)),
        });
    }
    Err(unsupported(volume))
}

/// The claim behind a pod's volume: the one it names, or the one that is made for it and goes with it (`<pod>-<volume>`).
pub(crate) fn claim_of(pod: &str, volume: &Volume) -> Option<String> {
    let named = volume
        .persistent_volume_claim
        .as_ref()
        .map(|source| source.claim_name.clone());
    named.or_else(|| volume.ephemeral.as_ref().map(|_| format!("{pod}-{}", volume.name)))
}

/// Where the volumes in memory that the containers of a pod share are: below the machine's own, apart for every cluster. None where
/// the machine has no such place; such volumes are then on disk.
pub(crate) fn shared_memory(pod_directory: &Path) -> Option<PathBuf> {
    let (pods, uid) = (pod_directory.parent()?, pod_directory.file_name()?);
    Some(all_shared_memory(pods)?.join(uid))
}

/// What [`shared_memory`] gives to the pods of the directory `pods`.
pub(crate) fn all_shared_memory(pods: &Path) -> Option<PathBuf> {
    let digest = Sha256::digest(pods.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let memory = Path::new("/dev/shm");
    memory.is_dir().then(|| memory.join(format!("stoke-{name}")))
}

/// Whether a volume is made of files whose content may change while the pod runs.
pub(crate) fn of_files(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
}

/// How many containers mount a volume.
fn users(pod: &Pod, volume: &str) -> usize {
    let Some(spec) = &pod.spec else { return 0 };
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    containers
        .filter(|container| {
            container
                .volume_mounts
                .iter()
                .flatten()
                .any(|mount| mount.name == volume)
        })
        .count()
}

/// The message about a kind of volume that this node does not provide.
fn unsupported(volume: &Volume) -> String {
    let kind = serde_json::to_value(volume)
        .ok()
        .and_then(|value| value.as_object()?.keys().find(|key| *key != "name").cloned())
        .unwrap_or_else(|| "none".to_owned());
    let advice = match kind.as_str() {
        "nfs" => "; mount the share on this machine and use hostPath, or run on a real cluster",
        _ => {
            "; supported are emptyDir, configMap, secret, projected, downwardAPI, hostPath, persistentVolumeClaim and ephemeral"
        }
    };
    format!("volumes of type {kind} are not supported by Stoke's embedded node{advice}")
}

/// An error of the host's disk, without the number Rust appends.
pub(crate) fn disk(path: &Path, error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("{}: {text}", path.display())
}

/// The mounts of `container`: its `volumeMounts`, with sub-paths resolved.
///
/// # Errors
/// The message of `CreateContainerConfigError`.
pub(crate) fn container_mounts(
    container: &Container,
    volumes: &BTreeMap<String, Prepared>,
    environment: &[(String, String)],
) -> Result<Vec<Mount>, String> {
    let values: BTreeMap<String, String> = environment.iter().cloned().collect();
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let volume = volumes.get(&mount.name).ok_or_else(|| {
            format!(
                "cannot find volume \"{}\" to mount into container \"{}\"",
                mount.name, container.name
            )
        })?;
        let sub_path = sub_path(mount, &values)?;
        let read_only = mount.read_only == Some(true);
        match (volume, sub_path) {
            (Prepared::Memory { size }, None) => mounts.push(Mount {
                target: PathBuf::from(&mount.mount_path),
                source: Source::Tmpfs {
                    size: *size,
                    mode: 0o1777,
                },
                read_only,
            }),
            (Prepared::Memory { .. }, Some(_)) => {
                return Err(format!(
                    "subPath of the memory-backed volume \"{}\" is not supported by Stoke's embedded node",
                    mount.name
                ));
            }
            (
                Prepared::Host {
                    path,
                    read_only: sealed,
                },
                sub_path,
            ) => {
                let source = match sub_path {
                    None => path.clone(),
                    Some(sub_path) => inside(path, &sub_path, &mount.name)?,
                };
                mounts.push(Mount::bind(source, &mount.mount_path, read_only || *sealed));
            }
        }
    }
    Ok(mounts)
}

fn sub_path(mount: &VolumeMount, values: &BTreeMap<String, String>) -> Result<Option<PathBuf>, String> {
    let text = match (
        mount.sub_path.as_deref().unwrap_or_default(),
        mount.sub_path_expr.as_deref().unwrap_or_default(),
    ) {
        ("", "") => return Ok(None),
        ("", expression) => {
            let expanded = expand(expression, values);
            if expanded.contains("$(") {
                return Err(format!("missing value for {expression:?}"));
            }
            expanded
        }
        (path, _) => path.to_owned(),
    };
    let path = PathBuf::from(text);
    if !path
        .components()
        .all(|component| matches!(component, Component::Normal(_) | Component::CurDir))
    {
        return Err(format!(
            "subPath {:?} must be a relative path without '..'",
            path.display().to_string()
        ));
    }
    Ok(Some(path))
}

/// The place of a sub-path in a volume; made a directory where it does not exist. It must not lead out of the volume.
fn inside(volume: &Path, sub_path: &Path, name: &str) -> Result<PathBuf, String> {
    let failed = |error: &std::io::Error| {
        format!(
            "failed to create subPath directory for volumeMount \"{name}\" of {}: {error}",
            sub_path.display()
        )
    };
    let path = volume.join(sub_path);
    if std::fs::symlink_metadata(&path).is_err() {
        std::fs::create_dir_all(&path).map_err(|error| failed(&error))?;
    }
    let (root, real) = (
        volume.canonicalize().map_err(|error| failed(&error))?,
        path.canonicalize().map_err(|error| failed(&error))?,
    );
    if !real.starts_with(&root) {
        return Err(format!(
            "subPath {:?} leads out of volume \"{name}\"",
            sub_path.display().to_string()
        ));
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    use serde_json::json;

    struct None_;

    impl Configs for None_ {
        fn config_map(&self, _: &str, _: &str) -> Option<ConfigMap> {
            None
        }
        fn secret(&self, _: &str, _: &str) -> Option<Secret> {
            None
        }
    }

    fn prepared(volume: serde_json::Value, directory: &Path) -> Result<Prepared, String> {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}})).unwrap();
        let volume: Volume = serde_json::from_value(volume).unwrap();
        let placement = Placement::example();
        let claims = BTreeMap::from([
            ("bound".to_owned(), Ok((directory.join("pv"), true))),
            (
                "unbound".to_owned(),
                Err("persistentvolumeclaim \"unbound\" is not bound".to_owned()),
            ),
        ]);
        prepare(&pod, &volume, &placement, &None_, &Tokens::new(), &claims, directory)
    }

    #[test]
    fn every_kind_is_provided_or_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(
            prepared(json!({"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}), path),
            Ok(Prepared::Host {
                path: path.join("volumes/empty-dir/v"),
                read_only: false
            })
        );
        assert_eq!(
            prepared(
                json!({"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}),
                path
            ),
            Ok(Prepared::Memory { size: Some(1 << 20) })
        );
        assert_eq!(
            prepared(
                json!({"name": "v", "persistentVolumeClaim": {"claimName": "bound"}}),
                path
            ),
            Ok(Prepared::Host {
                path: path.join("pv"),
                read_only: true
            })
        );
        for (volume, expected) in [
            (
                json!({"name": "v", "persistentVolumeClaim": {"claimName": "unbound"}}),
                "is not bound",
            ),
            (
                json!({"name": "v", "persistentVolumeClaim": {"claimName": "none"}}),
                "persistentvolumeclaim \"none\" not found",
            ),
            (
                json!({"name": "v", "nfs": {"server": "s", "path": "/"}}),
                "volumes of type nfs are not supported",
            ),
            (
                json!({"name": "v", "hostPath": {"path": "/no/such"}}),
                "hostPath /no/such",
            ),
            (
                json!({"name": "v", "configMap": {"name": "cm"}}),
                "configmap \"cm\" not found",
            ),
            (
                json!({"name": "v", "emptyDir": {"medium": "HugePages"}}),
                "unknown storage medium",
            ),
        ] {
            let error = prepared(volume, path).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn sub_paths_are_expanded_made_and_kept_inside() {
        let directory = tempfile::tempdir().unwrap();
        let volume = directory.path().join("v");
        std::fs::create_dir_all(&volume).unwrap();
        std::os::unix::fs::symlink("/etc", volume.join("out")).unwrap();
        let volumes = BTreeMap::from([(
            "v".to_owned(),
            Prepared::Host {
                path: volume.clone(),
                read_only: false,
            },
        )]);
        let mounts = |mount: serde_json::Value| {
            let container: Container = serde_json::from_value(json!({"name": "c", "volumeMounts": [mount]})).unwrap();
            container_mounts(&container, &volumes, &[("POD".to_owned(), "p1".to_owned())])
        };
        let made =
            mounts(json!({"name": "v", "mountPath": "/data", "subPathExpr": "$(POD)/x", "readOnly": true})).unwrap();
        assert_eq!(
            made,
            [Mount::bind(volume.canonicalize().unwrap().join("p1/x"), "/data", true)]
        );
        assert!(volume.join("p1/x").is_dir());
        for (mount, expected) in [
            (
                json!({"name": "v", "mountPath": "/d", "subPath": "../x"}),
                "must be a relative path",
            ),
            (
                json!({"name": "v", "mountPath": "/d", "subPath": "out"}),
                "leads out of volume",
            ),
            (
                json!({"name": "v", "mountPath": "/d", "subPathExpr": "$(NONE)"}),
                "missing value for",
            ),
            (json!({"name": "w", "mountPath": "/d"}), "cannot find volume \"w\""),
        ] {
            let error = mounts(mount).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
