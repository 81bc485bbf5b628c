//! Persistent volumes, claims and storage classes: defaults, and what is wrong with a claim.

use serde_json::{Value, json};

use super::set_missing;
use crate::apiserver::status::FieldError;

/// Fills what a claim may leave out.
pub(super) fn default_claim(claim: &mut Value) {
    if claim["spec"].is_object() {
        set_missing(&mut claim["spec"], "volumeMode", || "Filesystem".into());
    }
}

/// Fills what a volume may leave out.
pub(super) fn default_volume(volume: &mut Value) {
    if volume["spec"].is_object() {
        set_missing(&mut volume["spec"], "volumeMode", || "Filesystem".into());
        set_missing(&mut volume["spec"], "persistentVolumeReclaimPolicy", || "Retain".into());
    }
}

/// Fills what a class may leave out.
pub(super) fn default_class(class: &mut Value) {
    set_missing(class, "reclaimPolicy", || "Delete".into());
    set_missing(class, "volumeBindingMode", || "Immediate".into());
}

/// Complaints about a change of a claim: after creation only its size, its class's parameters and, while unbound, its volume may change.
pub(super) fn validate_claim_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let strip = |claim: &Value| {
        let mut spec = claim["spec"].clone();
        spec["resources"] = json!(null);
        spec["volumeAttributesClassName"] = json!(null);
        if old["spec"]["volumeName"].as_str().is_none_or(str::is_empty) {
            spec["volumeName"] = json!(null);
        }
        if old["spec"]["storageClassName"].is_null() {
            spec["storageClassName"] = json!(null);
        }
        spec
    };
    if strip(old) == strip(new) {
        return Vec::new();
    }
    let detail =
        "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
    vec![FieldError::forbidden("spec", detail)]
}
