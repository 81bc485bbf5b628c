//! Claims of a local storage class get a directory of this machine, as a PersistentVolume; claims of other classes wait and say why.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Cursor, News, ephemeral, note, update};
use crate::apiserver::handlers::{finish_deletion, store_new};
use crate::apiserver::meta::{now, suffix};
use crate::apiserver::server::Server;
use crate::apiserver::status::ApiError;
use crate::store::{EventKind, Interest, Key, Object, ResourceKey};

/// Provisioner of the classes we serve.
const PROVISIONER: &str = "stoke.dev/local";
const PROTECTION: &str = "kubernetes.io/pvc-protection";
/// Time between two events that say the same of a waiting claim.
const SAY_AGAIN: Duration = Duration::from_secs(15);

struct Volumes {
    server: Arc<Server>,
    directory: PathBuf,
    said: BTreeMap<Key, tokio::time::Instant>,
}

pub(super) async fn run(server: Arc<Server>, directory: PathBuf) {
    let resources = [
        "persistentvolumeclaims",
        "storageclasses.storage.k8s.io",
        "persistentvolumes",
        "pods",
    ];
    let mut cursor = Cursor::new(&server, Interest::of(&resources));
    let mut volumes = Volumes {
        server,
        directory,
        said: BTreeMap::new(),
    };
    volumes.look().await;
    while let Some(news) = cursor.next().await {
        let News::Events(events) = news else {
            volumes.look().await;
            continue;
        };
        for event in events {
            let object = &event.object;
            match (&*object.key.resource, event.kind) {
                ("persistentvolumeclaims", EventKind::Deleted) => volumes.reclaim(object).await,
                ("persistentvolumeclaims", _) => {
                    if let Some(claim) = volumes.server.store.get(&object.key) {
                        volumes.settle(&claim).await;
                    }
                }
                ("storageclasses.storage.k8s.io" | "persistentvolumes", EventKind::Added) => volumes.look().await,
                // A claim that is being deleted waits for the pods that use it.
                ("pods", _) => volumes.look_at_ending(&object.key.namespace).await,
                _ => {}
            }
        }
    }
}

impl Volumes {
    async fn look(&mut self) {
        for claim in self
            .server
            .store
            .list(&"persistentvolumeclaims".into(), None, None, usize::MAX, |_| true)
            .items
        {
            self.settle(&claim).await;
        }
    }

    async fn look_at_ending(&mut self, namespace: &str) {
        let key: ResourceKey = "persistentvolumeclaims".into();
        for claim in self
            .server
            .store
            .list(&key, Some(namespace), None, usize::MAX, |claim| claim.fields.deleting)
            .items
        {
            self.settle(&claim).await;
        }
    }

    async fn settle(&mut self, claim: &Arc<Object>) {
        let value = claim.value();
        if claim.fields.deleting {
            if !self.in_use(claim) {
                let done = update(&self.server, claim, |value| {
                    let Some(list) = value["metadata"].get_mut("finalizers").and_then(Value::as_array_mut) else {
                        return false;
                    };
                    let before = list.len();
                    list.retain(|name| name != PROTECTION);
                    before != list.len()
                });
                note("volumes", claim, done.await);
            }
            return;
        }
        if value["status"]["phase"] == "Bound" {
            return;
        }
        let done = self.bind(claim, &value).await;
        note("volumes", claim, done.map_err(|error| error.message));
    }

    fn in_use(&self, claim: &Object) -> bool {
        let namespace = &*claim.key.namespace;
        let pods = self
            .server
            .store
            .list(&"pods".into(), Some(namespace), None, usize::MAX, |_| true)
            .items;
        pods.iter().map(|pod| pod.value()).any(|pod| {
            let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            let mut volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
            !ended
                && volumes.any(|volume| {
                    volume["persistentVolumeClaim"]["claimName"] == *claim.key.name
                        || ephemeral::claim_name(&pod, volume).is_some_and(|name| name == *claim.key.name)
                })
        })
    }

    async fn bind(&mut self, claim: &Arc<Object>, value: &Value) -> Result<(), ApiError> {
        if let Some(volume) = self.existing_volume(claim, value) {
            return self.join(claim, &volume).await;
        }
        let class_name = value["spec"]["storageClassName"].as_str().unwrap_or_default();
        if class_name.is_empty()
            || value["spec"]["volumeName"]
                .as_str()
                .is_some_and(|name| !name.is_empty())
        {
            let message = "no persistent volumes available for this claim and no storage class is set";
            self.say(claim, value, "Normal", "FailedBinding", message).await;
            return Ok(());
        }
        let key: ResourceKey = "storageclasses.storage.k8s.io".into();
        let Some(class) = self
            .server
            .store
            .get(&Key::new(&key, "", class_name))
            .map(|class| class.value())
        else {
            let message = format!("storageclass.storage.k8s.io {class_name:?} not found");
            self.say(claim, value, "Warning", "ProvisioningFailed", &message).await;
            return Ok(());
        };
        if class["provisioner"] != PROVISIONER {
            let message = format!(
                "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
                class["provisioner"].as_str().unwrap_or_default()
            );
            self.say(claim, value, "Normal", "ExternalProvisioning", &message).await;
            return Ok(());
        }
        self.provision(claim, value, &class).await
    }

    /// A volume made by hand that fits: named by the claim, or free, large enough, of the same class and modes.
    fn existing_volume(&self, claim: &Object, value: &Value) -> Option<Arc<Object>> {
        let wanted = value["spec"]["volumeName"].as_str().unwrap_or_default();
        let size = |quantity: &Value| {
            quantity
                .as_str()
                .and_then(crate::apiserver::quantity::parse)
                .unwrap_or(0)
        };
        let all = self
            .server
            .store
            .list(&"persistentvolumes".into(), None, None, usize::MAX, |volume| {
                !volume.fields.deleting
            })
            .items;
        all.into_iter().find(|volume| {
            let object = volume.value();
            let spec = &object["spec"];
            let reserved = &spec["claimRef"];
            let ours = reserved["name"] == *claim.key.name
                && reserved["namespace"] == *claim.key.namespace
                && (reserved["uid"].is_null() || reserved["uid"] == *claim.fields.uid);
            if ours || (!wanted.is_empty() && *volume.key.name == *wanted) {
                return reserved.is_null() || ours;
            }
            let modes = value["spec"]["accessModes"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let offered = spec["accessModes"].as_array().map(Vec::as_slice).unwrap_or_default();
            wanted.is_empty()
                && reserved.is_null()
                && spec["storageClassName"].as_str().unwrap_or_default()
                    == value["spec"]["storageClassName"].as_str().unwrap_or_default()
                && size(&spec["capacity"]["storage"]) >= size(&value["spec"]["resources"]["requests"]["storage"])
                && modes.iter().all(|mode| offered.contains(mode))
        })
    }

    async fn provision(&mut self, claim: &Arc<Object>, value: &Value, class: &Value) -> Result<(), ApiError> {
        let name = format!("pvc-{}", claim.fields.uid);
        let path = self.directory.join(&name);
        if let Err(cause) = make_directory(&path) {
            let message = format!(
                "failed to provision volume with StorageClass {:?}: {}: {cause}",
                class["metadata"]["name"].as_str().unwrap_or_default(),
                path.display()
            );
            self.say(claim, value, "Warning", "ProvisioningFailed", &message).await;
            return Ok(());
        }
        let Some(resource) = self.server.registry().find("", "v1", "persistentvolumes") else {
            return Ok(());
        };
        let volume = json!({"metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
            "spec": {"capacity": {"storage": value["spec"]["resources"]["requests"]["storage"]}, "accessModes": value["spec"]["accessModes"],
                "persistentVolumeReclaimPolicy": class["reclaimPolicy"], "storageClassName": class["metadata"]["name"], "volumeMode": "Filesystem",
                "hostPath": {"path": path, "type": "DirectoryOrCreate"},
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": &*claim.key.namespace, "name": &*claim.key.name, "uid": &*claim.fields.uid}}});
        let volume = store_new(&self.server, &resource, "", volume).await?;
        let message = format!("Successfully provisioned volume {name}");
        self.said.remove(&claim.key);
        self.say(claim, value, "Normal", "ProvisioningSucceeded", &message)
            .await;
        self.join(claim, &volume).await
    }

    /// Binds a claim and a volume to each other.
    async fn join(&self, claim: &Arc<Object>, volume: &Arc<Object>) -> Result<(), ApiError> {
        let failed = |error: crate::store::WriteError| ApiError::internal(error.to_string());
        let reference = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": &*claim.key.namespace,
            "name": &*claim.key.name, "uid": &*claim.fields.uid});
        update(&self.server, volume, |value| {
            let same = value["status"]["phase"] == "Bound" && value["spec"]["claimRef"] == reference;
            value["spec"]["claimRef"] = reference.clone();
            value["status"] = json!({"phase": "Bound", "lastPhaseTransitionTime": now()});
            !same
        })
        .await
        .map_err(failed)?;
        let volume_value = volume.value();
        update(&self.server, claim, |value| {
            let same = value["status"]["phase"] == "Bound";
            value["spec"]["volumeName"] = (&*volume.key.name).into();
            value["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] = "yes".into();
            value["status"] = json!({"phase": "Bound", "accessModes": volume_value["spec"]["accessModes"], "capacity": volume_value["spec"]["capacity"]});
            !same
        })
        .await
        .map_err(failed)
    }

    /// After a claim is gone, its volume goes with its directory (`Delete`) or is left as released.
    async fn reclaim(&mut self, claim: &Object) {
        self.said.remove(&claim.key);
        let value = claim.value();
        let Some(name) = value["spec"]["volumeName"].as_str() else {
            return;
        };
        let key = Key::new(&"persistentvolumes".into(), "", name);
        let Some(volume) = self.server.store.get(&key) else {
            return;
        };
        let spec = volume.value()["spec"].clone();
        if spec["claimRef"]["uid"] != *claim.fields.uid {
            return;
        }
        if spec["persistentVolumeReclaimPolicy"] != "Delete" || !name.starts_with("pvc-") {
            let done = update(&self.server, &volume, |value| {
                value["status"] = json!({"phase": "Released", "lastPhaseTransitionTime": now()});
                true
            });
            note("volumes", &volume, done.await);
            return;
        }
        let unprotected = update(&self.server, &volume, |value| {
            value["metadata"]
                .as_object_mut()
                .is_some_and(|fields| fields.shift_remove("finalizers").is_some())
        });
        note("volumes", &volume, unprotected.await);
        if let Some(resource) = self.server.registry().find("", "v1", "persistentvolumes") {
            let done = finish_deletion(&self.server, &resource, &key, &volume.fields.uid, "Background").await;
            note("volumes", &volume, done.map_err(|error| error.message));
        }
        // Only directories that we made, named by the volume, are removed.
        let path = self.directory.join(name);
        let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(&path)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(volume = name, %error, "the directory of a deleted volume could not be removed");
        }
    }

    /// Says something of a claim, unless it was said a moment ago.
    async fn say(&mut self, claim: &Object, value: &Value, kind: &str, reason: &str, message: &str) {
        let moment = tokio::time::Instant::now();
        if self.said.get(&claim.key).is_some_and(|last| moment - *last < SAY_AGAIN) {
            return;
        }
        self.said.insert(claim.key.clone(), moment);
        let Some(resource) = self.server.registry().find("", "v1", "events") else {
            return;
        };
        let event = json!({"metadata": {"name": format!("{}.{}{}", claim.key.name, suffix(), suffix())},
            "involvedObject": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": &*claim.key.namespace,
                "name": &*claim.key.name, "uid": &*claim.fields.uid, "resourceVersion": value["metadata"]["resourceVersion"]},
            "type": kind, "reason": reason, "message": message, "source": {"component": "persistentvolume-controller"},
            "reportingComponent": "persistentvolume-controller", "firstTimestamp": now(), "lastTimestamp": now(), "count": 1});
        let done = store_new(&self.server, &resource, &claim.key.namespace, event).await;
        note("volumes", claim, done.map(drop).map_err(|error| error.message));
    }
}

/// Makes a volume's directory, writable by the users that containers run as.
fn make_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777))
}
