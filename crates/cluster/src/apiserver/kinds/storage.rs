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

/// Complaints about a claim.
pub(super) fn validate_claim(claim: &Value) -> Vec<FieldError> {
    let spec = &claim["spec"];
    let mut errors = Vec::new();
    let modes = spec["accessModes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if modes.is_empty() {
        errors.push(FieldError::required(
            "spec.accessModes",
            "at least 1 access mode is required",
        ));
    }
    let allowed = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"].map(Value::from);
    for mode in modes.iter().filter(|mode| !allowed.contains(mode)) {
        errors.push(FieldError::not_supported("spec.accessModes", mode, &allowed));
    }
    if spec["resources"]["requests"]["storage"].is_null() {
        errors.push(FieldError::required("spec.resources[storage]", ""));
    }
    errors
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
