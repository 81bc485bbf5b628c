//! Persistent volumes, claims and storage classes: defaults, and what is wrong with a claim.

use serde_json::{Value, json};

use super::set_missing;
use crate::apimachinery::status::FieldError;
use crate::apimachinery::validation::resources;

/// Fills what a claim may leave out.
pub(super) fn default_claim(claim: &mut Value) {
    if claim["spec"].is_object() {
        set_missing(&mut claim["spec"], "volumeMode", || "Filesystem".into());
        keep_sources(&mut claim["spec"]);
    }
}

/// A source that nothing can fill a volume from is dropped; the old and the new field say the same.
fn keep_sources(spec: &mut Value) {
    let source = &spec["dataSource"];
    let group = source["apiGroup"].as_str().unwrap_or_default();
    let known = matches!(
        (group, source["kind"].as_str().unwrap_or_default()),
        ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
    );
    if source.is_object() && !known {
        spec.as_object_mut().map(|fields| fields.shift_remove("dataSource"));
    }
    let (old, new) = (spec["dataSource"].clone(), spec["dataSourceRef"].clone());
    if old.is_object() && new.is_null() {
        spec["dataSourceRef"] = old;
    } else if new.is_object() && old.is_null() && new["namespace"].is_null() {
        spec["dataSource"] = new;
    }
    for field in ["dataSource", "dataSourceRef"] {
        if spec[field].is_object() {
            set_missing(&mut spec[field], "apiGroup", || Value::Null);
        }
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
        if old["status"]["phase"] == "Bound" {
            spec["resources"]["requests"] = json!(null);
            spec["volumeAttributesClassName"] = json!(null);
        }
        if old["spec"]["volumeName"].as_str().is_none_or(str::is_empty) {
            spec["volumeName"] = json!(null);
        }
        if old["spec"]["storageClassName"].is_null() {
            spec["storageClassName"] = json!(null);
        }
        spec
    };
    let mut errors = Vec::new();
    if strip(old) != strip(new) {
        let detail =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.push(FieldError::forbidden("spec", detail));
    }
    let asked = |claim: &Value| resources::amount(&claim["spec"]["resources"]["requests"]["storage"]).unwrap_or(0);
    let given = resources::amount(&old["status"]["capacity"]["storage"]).unwrap_or(0);
    if asked(new) < asked(old) && asked(new) <= given {
        let detail = "field can not be less than status.capacity";
        errors.push(FieldError::forbidden("spec.resources.requests.storage", detail));
    }
    if old["spec"]["volumeMode"] != new["spec"]["volumeMode"] {
        let value = &new["spec"]["volumeMode"];
        errors.push(FieldError::invalid("volumeMode", value, "field is immutable"));
    }
    errors
}
