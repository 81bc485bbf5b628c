//! Claims of storage.

use serde_json::Value;

use super::environment::check_labels;
use super::{Complaints, entries, is_empty, items, resources, text, words};
use crate::apimachinery::schema::Path;

const MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// The specification of a claim.
pub fn check(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    let modes = at.field("accessModes");
    if is_empty(&spec["accessModes"]) {
        said.required(&modes, "at least 1 access mode is required");
    }
    for (_, mode) in items(&spec["accessModes"]) {
        said.one_of(&modes, mode, MODES);
    }
    let once = items(&spec["accessModes"]).any(|(_, mode)| mode == "ReadWriteOncePod");
    if once && items(&spec["accessModes"]).count() > 1 {
        said.forbidden(&modes, "may not use ReadWriteOncePod with other access modes");
    }
    if spec["selector"].is_object() {
        super::scheduling::check_selector(&spec["selector"], &at.field("selector"), said);
    }
    let parts = at.field("resources");
    let storage = parts.named("storage");
    match resources::amount(&spec["resources"]["requests"]["storage"]) {
        None => said.required(&storage, ""),
        Some(amount) if amount <= 0 => {
            let value = spec["resources"]["requests"]["storage"].clone();
            said.invalid(&storage, value, "must be greater than zero");
        }
        Some(_) => {}
    }
    let class = text(&spec["storageClassName"]);
    if !class.is_empty() {
        said.text(&at.field("storageClassName"), class, words::subdomain(class));
    }
    let attributes = text(&spec["volumeAttributesClassName"]);
    if !attributes.is_empty() {
        said.text(
            &at.field("volumeAttributesClassName"),
            attributes,
            words::subdomain(attributes),
        );
    }
    said.one_of(&at.field("volumeMode"), &spec["volumeMode"], &["Block", "Filesystem"]);
    for field in ["dataSource", "dataSourceRef"] {
        let source = &spec[field];
        if source.is_object() {
            let at = at.field(field);
            said.text_required(&at.field("name"), &source["name"]);
            said.text_required(&at.field("kind"), &source["kind"]);
            if text(&source["apiGroup"]).is_empty() && text(&source["kind"]) != "PersistentVolumeClaim" {
                let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
                said.invalid(&at, text(&source["kind"]), detail);
            }
        }
    }
}

/// The claim that is made for a volume of a pod.
pub(super) fn check_ephemeral(template: &Value, at: &Path<'_>, said: &mut Complaints) {
    if !template.is_object() {
        said.required(at, "");
        return;
    }
    let metadata = at.field("metadata");
    for (field, value) in entries(&template["metadata"]) {
        match field {
            "labels" => check_labels(value, &metadata.field("labels"), said),
            "annotations" => {
                for (key, _) in entries(value) {
                    let at = metadata.field("annotations");
                    said.text(&at, key, words::qualified(&key.to_lowercase()));
                }
            }
            "creationTimestamp" => {}
            _ => said.forbidden(&metadata.field(field), "cannot be set"),
        }
    }
    check(&template["spec"], &at.field("spec"), said);
}
