//! Volumes of a pod, and where containers have them.

use std::collections::HashSet;

use serde_json::Value;

use super::sources::check_source;
use super::{Complaints, entries, items, text, words};
use crate::apimachinery::schema::Path;

/// The volumes of a pod that containers can have: name and whether it may be a device.
pub(super) type Volumes<'v> = std::collections::HashMap<&'v str, bool>;

/// Checks the volumes; answers those that are right.
pub(super) fn check<'v>(pod: &'v Value, at: &Path<'_>, said: &mut Complaints) -> Volumes<'v> {
    let owner = text(&pod["metadata"]["name"]);
    let at = at.field("volumes");
    let mut known = Volumes::new();
    let mut names = HashSet::new();
    for (index, volume) in items(&pod["spec"]["volumes"]) {
        let at = at.item(index);
        let before = said.0.len();
        if let Some(name) = said.text_required(&at.field("name"), &volume["name"]) {
            let broken = words::label(name);
            let right = broken.is_empty();
            said.text(&at.field("name"), name, broken);
            if right && !names.insert(name) {
                said.duplicate(&at.field("name"), name);
            }
        }
        check_sources(volume, &at, said);
        // The name of a claim that is made for the volume tells nothing of the volume.
        let right = said.0.len() == before;
        if volume["ephemeral"].is_object() && !owner.is_empty() && !text(&volume["name"]).is_empty() {
            let claim = format!("{owner}-{}", text(&volume["name"]));
            for rule in words::subdomain(&claim) {
                let detail = format!("PVC name {claim:?}: {rule}");
                said.invalid(&at.field("name"), text(&volume["name"]), &detail);
            }
        }
        if right {
            let device = volume["persistentVolumeClaim"].is_object() || volume["ephemeral"].is_object();
            known.insert(text(&volume["name"]), device);
        }
    }
    known
}

fn check_sources(volume: &Value, at: &Path<'_>, said: &mut Complaints) {
    let mut found = 0;
    let mut kinds: Vec<(&str, &Value)> = entries(volume).filter(|(_, source)| source.is_object()).collect();
    kinds.sort_by_key(|(kind, _)| ORDER.iter().position(|known| known == kind));
    for (kind, source) in kinds {
        found += 1;
        if found > 1 {
            said.forbidden(&at.field(kind), "may not specify more than 1 volume type");
        } else {
            check_source(kind, source, &at.field(kind), at, said);
        }
    }
}

/// The order in which sources are looked at: the first one counts.
const ORDER: &[&str] = &[
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

/// Where a container has volumes, as directories and as devices.
pub(super) fn check_mounts(container: &Value, known: &Volumes<'_>, at: &Path<'_>, said: &mut Complaints) {
    let places = |field: &str, path: &str| -> Vec<(String, String)> {
        let pairs = items(&container[field]);
        pairs
            .map(|(_, item)| (text(&item["name"]).to_owned(), text(&item[path]).to_owned()))
            .collect()
    };
    // Devices are rare: nothing is copied where there are none.
    let (mounts, devices) = if super::is_empty(&container["volumeDevices"]) {
        (Vec::new(), Vec::new())
    } else {
        (
            places("volumeMounts", "mountPath"),
            places("volumeDevices", "devicePath"),
        )
    };
    let list = at.field("volumeMounts");
    let mut mounted = HashSet::new();
    for (index, mount) in items(&container["volumeMounts"]) {
        let at = list.item(index);
        let (name, path) = (text(&mount["name"]), text(&mount["mountPath"]));
        if name.is_empty() {
            said.required(&at.field("name"), "");
        }
        if path.is_empty() {
            said.required(&at.field("mountPath"), "");
        }
        if !known.contains_key(name) {
            said.not_found(&at.field("name"), name);
        }
        if !mounted.insert(path) {
            said.invalid(&at.field("mountPath"), path, "must be unique");
        }
        if devices.iter().any(|(device, _)| device == name) {
            said.invalid(&at.field("name"), name, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|(_, device)| device == path) {
            let detail = "must not already exist as a path in volumeDevices";
            said.invalid(&at.field("mountPath"), path, detail);
        }
        let (part, expression) = (text(&mount["subPath"]), text(&mount["subPathExpr"]));
        if !part.is_empty() {
            said.text(&list.field("subPath"), part, words::inner_path(part));
        }
        if !expression.is_empty() {
            if !part.is_empty() {
                let detail = "subPathExpr and subPath are mutually exclusive";
                said.invalid(&at.field("subPathExpr"), expression, detail);
            }
            said.text(&list.field("subPathExpr"), expression, words::inner_path(expression));
        }
        check_ways(mount, container, &list, said);
    }
    let list = at.field("volumeDevices");
    let (mut names, mut paths) = (HashSet::new(), HashSet::new());
    for (index, device) in items(&container["volumeDevices"]) {
        let at = list.item(index);
        let (name, path) = (text(&device["name"]), text(&device["devicePath"]));
        if name.is_empty() {
            said.required(&at.field("name"), "");
        }
        if path.is_empty() {
            said.required(&at.field("devicePath"), "");
        }
        if !names.insert(name) {
            said.invalid(&at.field("name"), name, "must be unique");
        }
        match known.get(name) {
            None => said.not_found(&at.field("name"), name),
            Some(false) => {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                said.invalid(&at.field("name"), name, detail);
            }
            Some(true) => {}
        }
        if !path.is_empty() && !paths.insert(path) {
            said.invalid(&at.field("devicePath"), path, "must be unique");
        }
        if path.split('/').any(|part| part == "..") {
            said.invalid(&at.field("devicePath"), path, "can not contain backsteps ('..')");
        }
        if mounts.iter().any(|(mount, _)| mount == name) {
            said.invalid(&at.field("name"), name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|(_, mount)| mount == path) {
            let detail = "must not already exist as a path in volumeMounts";
            said.invalid(&at.field("devicePath"), path, detail);
        }
    }
}

fn check_ways(mount: &Value, container: &Value, list: &Path<'_>, said: &mut Complaints) {
    let at = list.field("mountPropagation");
    let ways = ["Bidirectional", "HostToContainer", "None"];
    said.one_of(&at, &mount["mountPropagation"], &ways);
    let privileged = container["securityContext"]["privileged"] == true;
    if mount["mountPropagation"] == "Bidirectional" && !privileged {
        let detail = "Bidirectional mount propagation is available only to privileged containers";
        said.forbidden(&at, detail);
    }
    let at = list.field("recursiveReadOnly");
    match mount["recursiveReadOnly"].as_str() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount["readOnly"] != true {
                said.forbidden(&at, "may only be specified when readOnly is true");
            }
            let propagation = text(&mount["mountPropagation"]);
            if !matches!(propagation, "" | "None") {
                let detail = "may only be specified when mountPropagation is None or not specified";
                said.forbidden(&at, detail);
            }
        }
        Some(other) => said.unsupported(&at, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}
