//! Claims of a local storage class get a directory of this machine, as a PersistentVolume; claims of other classes wait and say why.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::{Cursor, News, ephemeral, note};
use crate::apimachinery::meta::now;
use crate::apimachinery::status::Status;
use crate::registry::Registry;
use crate::store::{EventKind, Interest, Key, Object, ResourceKey};

/// Provisioner of the classes we serve.
const PROVISIONER: &str = "stoke.dev/local";
const PROTECTION: &str = "kubernetes.io/pvc-protection";
/// Annotation of a claim that has its volume.
const BOUND: &str = "pv.kubernetes.io/bind-completed";
const VOLUMES: &str = "persistentvolumes";
/// Time between two events about the same waiting claim.
const REPORT_AGAIN: Duration = Duration::from_secs(15);

struct Volumes {
    registry: Arc<Registry>,
    /// Binds claims and volumes, and speaks of them.
    binder: Client,
    /// Lets claims go that no pod uses any more.
    protector: Client,
    directory: PathBuf,
    reported: BTreeMap<Key, tokio::time::Instant>,
}

pub(super) async fn run(registry: Arc<Registry>, directory: PathBuf) {
    let resources = [
        "persistentvolumeclaims",
        "storageclasses.storage.k8s.io",
        "persistentvolumes",
        "pods",
    ];
    let mut cursor = Cursor::new(&registry, Interest::of(&resources));
    let mut volumes = Volumes {
        binder: Client::new(&registry, "persistentvolume-binder"),
        protector: Client::new(&registry, "pvc-protection-controller"),
        registry,
        directory,
        reported: BTreeMap::new(),
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
                    if let Some(claim) = volumes.registry.store.get(&object.key) {
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
            .registry
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
            .registry
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
                let done = self.protector.change(claim, "", |value| {
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
        note("volumes", claim, done);
    }

    fn in_use(&self, claim: &Object) -> bool {
        let namespace = &*claim.key.namespace;
        let pods = self
            .registry
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

    async fn bind(&mut self, claim: &Arc<Object>, value: &Value) -> Result<(), Status> {
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
            self.report(claim, value, false, "FailedBinding", message);
            return Ok(());
        }
        let key: ResourceKey = "storageclasses.storage.k8s.io".into();
        let Some(class) = self
            .registry
            .store
            .get(&Key::new(&key, "", class_name))
            .map(|class| class.value())
        else {
            let message = format!("storageclass.storage.k8s.io {class_name:?} not found");
            self.report(claim, value, true, "ProvisioningFailed", &message);
            return Ok(());
        };
        if class["provisioner"] != PROVISIONER {
            let message = format!(
                "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
                class["provisioner"].as_str().unwrap_or_default()
            );
            self.report(claim, value, false, "ExternalProvisioning", &message);
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
                .and_then(crate::apimachinery::quantity::parse)
                .unwrap_or(0)
        };
        let all = self
            .registry
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

    async fn provision(&mut self, claim: &Arc<Object>, value: &Value, class: &Value) -> Result<(), Status> {
        let name = format!("pvc-{}", claim.fields.uid);
        let path = self.directory.join(&name);
        if let Err(cause) = make_directory(&path) {
            let message = format!(
                "failed to provision volume with StorageClass {:?}: {}: {cause}",
                class["metadata"]["name"].as_str().unwrap_or_default(),
                path.display()
            );
            self.report(claim, value, true, "ProvisioningFailed", &message);
            return Ok(());
        }
        let volume = json!({"metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
            "spec": {"capacity": {"storage": value["spec"]["resources"]["requests"]["storage"]}, "accessModes": value["spec"]["accessModes"],
                "persistentVolumeReclaimPolicy": class["reclaimPolicy"], "storageClassName": class["metadata"]["name"], "volumeMode": "Filesystem",
                "hostPath": {"path": path, "type": "DirectoryOrCreate"},
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": &*claim.key.namespace, "name": &*claim.key.name, "uid": &*claim.fields.uid}}});
        match self.binder.create(VOLUMES, "", &volume).await {
            // It was made before the claim could be bound.
            Err(refusal) if refusal.reason == "AlreadyExists" => {}
            made => drop(made?),
        }
        let key = Key::new(&VOLUMES.into(), "", &name);
        let volume = self.registry.store.get(&key);
        let volume = volume.ok_or_else(|| Status::not_found(VOLUMES, &name))?;
        let message = format!("Successfully provisioned volume {name}");
        self.reported.remove(&claim.key);
        self.report(claim, value, false, "ProvisioningSucceeded", &message);
        self.join(claim, &volume).await
    }

    /// Binds a claim and a volume to each other.
    async fn join(&self, claim: &Arc<Object>, volume: &Arc<Object>) -> Result<(), Status> {
        let reference = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": &*claim.key.namespace,
            "name": &*claim.key.name, "uid": &*claim.fields.uid});
        let reserve = |value: &mut Value| {
            let same = value["spec"]["claimRef"] == reference;
            value["spec"]["claimRef"] = reference.clone();
            !same
        };
        self.binder.change(volume, "", reserve).await?;
        let bound = |value: &mut Value| {
            let same = value["status"]["phase"] == "Bound";
            value["status"] = json!({"phase": "Bound", "lastPhaseTransitionTime": now()});
            !same
        };
        self.binder.change(volume, "status", bound).await?;
        let name = &*volume.key.name;
        let take = |value: &mut Value| {
            let same = value["spec"]["volumeName"] == *name && value["metadata"]["annotations"][BOUND] == "yes";
            value["spec"]["volumeName"] = name.into();
            value["metadata"]["annotations"][BOUND] = "yes".into();
            !same
        };
        self.binder.change(claim, "", take).await?;
        let spec = volume.value()["spec"].take();
        let bound = |value: &mut Value| {
            let same = value["status"]["phase"] == "Bound";
            value["status"] =
                json!({"phase": "Bound", "accessModes": spec["accessModes"], "capacity": spec["capacity"]});
            !same
        };
        self.binder.change(claim, "status", bound).await
    }

    /// After a claim is gone, its volume goes with its directory (`Delete`) or is left as released.
    async fn reclaim(&mut self, claim: &Object) {
        self.reported.remove(&claim.key);
        let value = claim.value();
        let Some(name) = value["spec"]["volumeName"].as_str() else {
            return;
        };
        let key = Key::new(&"persistentvolumes".into(), "", name);
        let Some(volume) = self.registry.store.get(&key) else {
            return;
        };
        let spec = volume.value()["spec"].clone();
        if spec["claimRef"]["uid"] != *claim.fields.uid {
            return;
        }
        if spec["persistentVolumeReclaimPolicy"] != "Delete" || !name.starts_with("pvc-") {
            let done = self.binder.change(&volume, "status", |value| {
                value["status"] = json!({"phase": "Released", "lastPhaseTransitionTime": now()});
                true
            });
            note("volumes", &volume, done.await);
            return;
        }
        let unprotected = self.binder.change(&volume, "", |value| {
            value["metadata"]
                .as_object_mut()
                .is_some_and(|fields| fields.shift_remove("finalizers").is_some())
        });
        note("volumes", &volume, unprotected.await);
        note(
            "volumes",
            &volume,
            self.binder.delete_object(&volume, "Background").await,
        );
        // Only directories that we made, named by the volume, are removed.
        let path = self.directory.join(name);
        let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(&path)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(volume = name, %error, "the directory of a deleted volume could not be removed");
        }
    }

    /// Reports something about a claim, unless that was done a moment ago.
    fn report(&mut self, claim: &Object, value: &Value, warning: bool, reason: &str, message: &str) {
        let moment = tokio::time::Instant::now();
        if self
            .reported
            .get(&claim.key)
            .is_some_and(|last| moment - *last < REPORT_AGAIN)
        {
            return;
        }
        self.reported.insert(claim.key.clone(), moment);
        self.binder.event(value, warning, reason, message);
    }
}

/// Makes a volume's directory, writable by the users that containers run as.
fn make_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777))
}
