//! Variables of containers and what they are filled from.

use serde_json::Value;
use stoke_model::kubernetes::fields;

use super::{Complaints, entries, items, text, words};
use crate::apimachinery::schema::Path;

/// Fields of a pod that are known by name, shown or not.
const KNOWN: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// Variables and groups of them.
pub(super) fn check(container: &Value, at: &Path<'_>, said: &mut Complaints) {
    let list = at.field("env");
    for (index, variable) in items(&container["env"]) {
        let at = list.item(index);
        if let Some(name) = said.text_required(&at.field("name"), &variable["name"]) {
            said.text(&at.field("name"), name, words::variable(name));
        }
        check_source(variable, &at.field("valueFrom"), said);
    }
    let at = at.field("envFrom");
    for (index, group) in items(&container["envFrom"]) {
        let item = at.item(index);
        let prefix = text(&group["prefix"]);
        if !prefix.is_empty() {
            said.text(&item.field("prefix"), prefix, words::variable(prefix));
        }
        let mut sources = 0;
        for field in ["configMapRef", "secretRef"] {
            if group[field].is_object() {
                sources += 1;
                named(&group[field]["name"], &item.field(field).field("name"), said);
            }
        }
        match sources {
            0 => said.invalid(&at, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => said.invalid(&at, "", "may not have more than one field specified at a time"),
        }
    }
}

/// Name of a ConfigMap or a Secret that is referred to.
fn named(name: &Value, at: &Path<'_>, said: &mut Complaints) {
    if let Some(name) = said.text_required(at, name) {
        said.text(at, name, words::subdomain(name));
    }
}

fn check_source(variable: &Value, at: &Path<'_>, said: &mut Complaints) {
    let source = &variable["valueFrom"];
    if !source.is_object() {
        return;
    }
    let mut sources = 0;
    if source["fieldRef"].is_object() {
        sources += 1;
        check_field(&source["fieldRef"], &at.field("fieldRef"), fields::OF_VARIABLES, said);
    }
    if source["resourceFieldRef"].is_object() {
        sources += 1;
        check_resource(&source["resourceFieldRef"], &at.field("resourceFieldRef"), true, said);
    }
    for field in ["configMapKeyRef", "secretKeyRef"] {
        let reference = &source[field];
        if !reference.is_object() {
            continue;
        }
        sources += 1;
        let at = at.field(field);
        let name = text(&reference["name"]);
        said.text(&at.field("name"), name, words::subdomain(name));
        if let Some(key) = said.text_required(&at.field("key"), &reference["key"]) {
            said.text(&at.field("key"), key, words::config_key(key));
        }
    }
    if source["fileKeyRef"].is_object() {
        sources += 1;
    }
    if sources == 0 {
        let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
        said.invalid(at, "", detail);
    } else if !text(&variable["value"]).is_empty() {
        said.invalid(at, "", "may not be specified when `value` is not empty");
    } else if sources > 1 {
        said.invalid(at, "", "may not have more than one field specified at a time");
    }
}

/// A field of the pod.
pub(super) fn check_field(reference: &Value, at: &Path<'_>, shown: &[&str], said: &mut Complaints) {
    let version = text(&reference["apiVersion"]);
    if version.is_empty() {
        said.required(&at.field("apiVersion"), "");
        return;
    }
    let whole = at;
    let at = at.field("fieldPath");
    let Some(path) = said.text_required(&at, &reference["fieldPath"]) else {
        return;
    };
    if version != "v1" {
        let detail = format!("error converting fieldPath: unsupported pod version: {version}");
        said.invalid(&at, path, &detail);
        return;
    }
    let subscript = path.strip_suffix("']").and_then(|path| path.split_once("['"));
    if let Some((map, key)) = subscript {
        match map {
            "metadata.annotations" => said.text(whole, &key.to_lowercase(), words::qualified(&key.to_lowercase())),
            "metadata.labels" => said.text(whole, key, words::qualified(key)),
            _ => {
                let detail = format!("error converting fieldPath: field label does not support subscript: {path}");
                said.invalid(&at, path, &detail);
            }
        }
    } else if !KNOWN.contains(&path) {
        let detail = format!("error converting fieldPath: field label not supported: {path}");
        said.invalid(&at, path, &detail);
    } else if !shown.contains(&path) {
        said.unsupported(&at, path, shown);
    }
}

/// What a container asks for or may use.
pub(super) fn check_resource(reference: &Value, at: &Path<'_>, own: bool, said: &mut Complaints) {
    if !own && text(&reference["containerName"]).is_empty() {
        said.required(&at.field("containerName"), "");
        return;
    }
    let Some(resource) = said.text_required(&at.field("resource"), &reference["resource"]) else {
        return;
    };
    let huge = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if !RESOURCES.contains(&resource) && !huge {
        said.unsupported(&at.field("resource"), resource, RESOURCES);
        return;
    }
    let divisor = match text(&reference["divisor"]) {
        "" | "0" => return,
        divisor => divisor,
    };
    let (what, allowed, words): (_, &[&str], _) = if resource.ends_with(".cpu") {
        ("cpu", &["1m", "1"], "1m and 1")
    } else {
        let what = if resource.ends_with(".memory") {
            "memory"
        } else if huge {
            "hugepages"
        } else {
            "local ephemeral storage"
        };
        let all = &[
            "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
        ];
        (what, all, "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei")
    };
    if !allowed.contains(&divisor) {
        let detail = format!("only divisor's values {words} are supported with the {what} resource");
        said.invalid(&at.field("divisor"), resource, &detail);
    }
}

/// Labels and annotations are maps: their keys and values.
pub(super) fn check_labels(labels: &Value, at: &Path<'_>, said: &mut Complaints) {
    for (key, value) in entries(labels) {
        said.text(at, key, words::qualified(key));
        said.text(at, text(value), words::label_value(text(value)));
    }
}
