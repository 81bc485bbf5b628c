//! What volumes are made of.

use std::collections::HashSet;

use serde_json::Value;
use stoke_model::kubernetes::fields;

use super::environment::{check_field, check_resource};
use super::{Complaints, claim, is_empty, items, text, words};
use crate::apimachinery::schema::Path;

/// Fields without which a source is nothing.
const REQUIRED: &[(&str, &[&str])] = &[
    ("gitRepo", &["repository"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("secret", &["secretName"]),
    ("configMap", &["name"]),
    ("nfs", &["server", "path"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("glusterfs", &["endpoints", "path"]),
    ("persistentVolumeClaim", &["claimName"]),
    ("rbd", &["monitors", "image"]),
    ("cinder", &["volumeID"]),
    ("cephfs", &["monitors"]),
    ("flexVolume", &["driver"]),
    ("azureFile", &["secretName", "shareName"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("quobyte", &["volume"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("storageos", &["volumeName"]),
    ("csi", &["driver"]),
    ("hostPath", &["path"]),
];
const HOST_PATHS: &[&str] = &[
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];

/// A source; `volume` is where it stands.
pub(super) fn check_source(kind: &str, source: &Value, at: &Path<'_>, volume: &Path<'_>, said: &mut Complaints) {
    let required = REQUIRED.iter().find(|(known, _)| *known == kind);
    for field in required.map_or(&[] as &[&str], |(_, fields)| fields) {
        let value = &source[*field];
        if text(value).is_empty() && is_empty(value) {
            said.required(&at.field(field), "");
        }
    }
    match kind {
        "emptyDir" => {
            let limit = super::resources::amount(&source["sizeLimit"]);
            if limit.is_some_and(|limit| limit < 0) {
                let detail = "SizeLimit field must be a valid resource quantity";
                said.forbidden(&at.field("sizeLimit"), detail);
            }
        }
        "hostPath" => {
            let path = text(&source["path"]);
            if path.split('/').any(|part| part == "..") {
                said.invalid(&at.field("path"), path, "must not contain '..'");
            }
            said.one_of(&at.field("type"), &source["type"], HOST_PATHS);
        }
        "secret" | "configMap" => {
            check_mode(&source["defaultMode"], &at.field("defaultMode"), said);
            check_items(source, at, said);
        }
        "downwardAPI" => {
            check_mode(&source["defaultMode"], &at.field("defaultMode"), said);
            for (_, item) in items(&source["items"]) {
                check_shown(item, at, said);
            }
        }
        "projected" => check_projected(source, at, said),
        "ephemeral" => claim::check_ephemeral(&source["volumeClaimTemplate"], &at.field("volumeClaimTemplate"), said),
        "nfs" if !text(&source["path"]).starts_with('/') => {
            said.invalid(&at.field("path"), text(&source["path"]), "must be an absolute path");
        }
        "csi" => {
            let driver = text(&source["driver"]);
            said.text(&at.field("driver"), driver, words::subdomain(&driver.to_lowercase()));
            let secret = &source["nodePublishSecretRef"];
            if secret.is_object() {
                said.text_required(&at.field("nodePublishSecretRef").field("name"), &secret["name"]);
            }
        }
        "gitRepo" => {
            let directory = text(&source["directory"]);
            said.text(&at.field("directory"), directory, words::payload_path(directory));
        }
        _ => check_rare(kind, source, at, volume, said),
    }
}

fn check_rare(kind: &str, source: &Value, at: &Path<'_>, volume: &Path<'_>, said: &mut Complaints) {
    match kind {
        "gcePersistentDisk" => {
            said.text_required(&volume.field("persistentDisk").field("pdName"), &source["pdName"]);
        }
        "azureDisk" if text(&source["diskURI"]).is_empty() => {
            let form = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
            said.unsupported(&at.field("diskURI"), "", &[form]);
        }
        "fc" if is_empty(&source["targetWWNs"]) == is_empty(&source["wwids"]) => {
            let detail = "must specify either targetWWNs or wwids, but not both";
            said.required(&at.field("targetWWNs"), detail);
        }
        "flocker" if text(&source["datasetName"]).is_empty() && text(&source["datasetUUID"]).is_empty() => {
            said.required(at, "one of datasetName and datasetUUID is required");
        }
        "quobyte" if text(&source["registry"]).is_empty() => {
            let detail = "must be a host:port pair or multiple pairs separated by commas";
            said.required(&at.field("registry"), detail);
        }
        _ => {}
    }
}

fn check_mode(mode: &Value, at: &Path<'_>, said: &mut Complaints) {
    if mode.as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        let detail = "must be a number between 0 and 0777 (octal), both inclusive";
        said.invalid(at, mode.clone(), detail);
    }
}

fn check_path(path: &Value, at: &Path<'_>, said: &mut Complaints) {
    if let Some(path) = said.text_required(at, path) {
        said.text(at, path, words::payload_path(path));
    }
}

fn check_items(source: &Value, at: &Path<'_>, said: &mut Complaints) {
    let at = at.field("items");
    for (index, item) in items(&source["items"]) {
        let at = at.item(index);
        said.text_required(&at.field("key"), &item["key"]);
        check_path(&item["path"], &at.field("path"), said);
        check_mode(&item["mode"], &at.field("mode"), said);
    }
}

/// A file that shows a field of the pod; the real server leaves out which of the files it is.
fn check_shown(item: &Value, at: &Path<'_>, said: &mut Complaints) {
    check_path(&item["path"], &at.field("path"), said);
    if item["fieldRef"].is_object() {
        check_field(&item["fieldRef"], &at.field("fieldRef"), fields::OF_FILES, said);
        if item["resourceFieldRef"].is_object() {
            let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
            said.invalid(at, "resource", detail);
        }
    } else if item["resourceFieldRef"].is_object() {
        check_resource(&item["resourceFieldRef"], &at.field("resourceFieldRef"), false, said);
    } else {
        said.required(at, "one of fieldRef and resourceFieldRef is required");
    }
    check_mode(&item["mode"], &at.field("mode"), said);
}

fn check_projected(source: &Value, at: &Path<'_>, said: &mut Complaints) {
    check_mode(&source["defaultMode"], &at.field("defaultMode"), said);
    let mut paths = HashSet::new();
    let list = at.field("sources");
    for (index, part) in items(&source["sources"]) {
        let item = list.item(index);
        let mut found = 0;
        for kind in [
            "secret",
            "configMap",
            "downwardAPI",
            "serviceAccountToken",
            "clusterTrustBundle",
        ] {
            let inner = &part[kind];
            if !inner.is_object() {
                continue;
            }
            found += 1;
            if found > 1 {
                said.forbidden(&item, "may not specify more than 1 volume type per source");
                break;
            }
            let place = item.field(kind);
            match kind {
                "secret" | "configMap" => {
                    let name = said.text_required(&place.field("name"), &inner["name"]);
                    check_items(inner, &place, said);
                    let name = name.unwrap_or_default();
                    unique(
                        name,
                        items(&inner["items"]).map(|(_, item)| text(&item["path"])),
                        &mut paths,
                        at,
                        said,
                    );
                }
                "downwardAPI" => {
                    items(&inner["items"]).for_each(|(_, item)| check_shown(item, &place, said));
                    for (_, item) in items(&inner["items"]) {
                        let path = text(&item["path"]);
                        unique(path, [path].into_iter(), &mut paths, at, said);
                    }
                }
                "serviceAccountToken" => {
                    check_token(inner, &place, at, said);
                    // The path of a token may come twice.
                    if paths.contains(text(&inner["path"])) {
                        continue;
                    }
                    unique(
                        "serviceAccountToken",
                        [text(&inner["path"])].into_iter(),
                        &mut paths,
                        at,
                        said,
                    );
                }
                _ => {}
            }
        }
    }
}

fn check_token(token: &Value, place: &Path<'_>, at: &Path<'_>, said: &mut Complaints) {
    let seconds = token["expirationSeconds"].as_i64().unwrap_or(3600);
    let expiration = place.field("expirationSeconds");
    if seconds < 600 {
        said.invalid(&expiration, seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > 1 << 32 {
        said.invalid(
            &expiration,
            seconds,
            "may not specify a duration larger than 2^32 seconds",
        );
    }
    check_path(&token["path"], &at.field("path"), said);
}

fn unique<'v>(
    name: &str,
    paths: impl Iterator<Item = &'v str>,
    known: &mut HashSet<&'v str>,
    at: &Path<'_>,
    said: &mut Complaints,
) {
    for path in paths.filter(|path| !path.is_empty()) {
        if !known.insert(path) {
            said.invalid(at, name, "conflicting duplicate paths");
        }
    }
}
