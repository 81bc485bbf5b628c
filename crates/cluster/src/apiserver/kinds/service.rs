//! Services: defaults, and what is wrong with one. Addresses are given by the server, which knows those that are taken.

use serde_json::{Value, json};

use super::{items_mut, set_missing};
use crate::apiserver::status::FieldError;

/// Fills what may be left out.
pub(super) fn default(service: &mut Value) {
    if !service["spec"].is_object() {
        service["spec"] = json!({});
    }
    let spec = &mut service["spec"];
    set_missing(spec, "sessionAffinity", || "None".into());
    set_missing(spec, "type", || "ClusterIP".into());
    for port in items_mut(spec, "/ports") {
        set_missing(port, "protocol", || "TCP".into());
        let number = port["port"].clone();
        set_missing(port, "targetPort", || number);
    }
    if spec["type"] != "ExternalName" {
        set_missing(spec, "internalTrafficPolicy", || "Cluster".into());
        set_missing(spec, "ipFamilies", || json!(["IPv4"]));
        set_missing(spec, "ipFamilyPolicy", || "SingleStack".into());
    }
    if spec["clusterIP"].is_string() {
        let address = spec["clusterIP"].clone();
        set_missing(spec, "clusterIPs", || json!([address]));
    }
}

/// Complaints about a service.
pub(super) fn validate(service: &Value) -> Vec<FieldError> {
    let spec = &service["spec"];
    let mut errors = Vec::new();
    let kind = spec["type"].as_str().unwrap_or_default();
    if !matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName") {
        let allowed = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"].map(Value::from);
        errors.push(FieldError::not_supported("spec.type", &spec["type"], &allowed));
    }
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    if ports.is_empty() && kind != "ExternalName" && spec["clusterIP"] != "None" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    if kind == "ExternalName" && spec["externalName"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::required("spec.externalName", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        if !port["port"]
            .as_i64()
            .is_some_and(|number| (1..=65535).contains(&number))
        {
            errors.push(FieldError::invalid(
                &format!("{path}.port"),
                &port["port"],
                "must be between 1 and 65535, inclusive",
            ));
        }
        if ports.len() > 1 && port["name"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(&format!("{path}.name"), ""));
        }
        if ports[..index]
            .iter()
            .any(|other| !other["name"].is_null() && other["name"] == port["name"])
        {
            errors.push(FieldError::duplicate(&format!("{path}.name"), &port["name"]));
        }
    }
    errors
}

/// Complaints about a change.
pub(super) fn validate_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let (before, after) = (&old["spec"]["clusterIP"], &new["spec"]["clusterIP"]);
    let fixed = before.is_string() && before != after && new["spec"]["type"] != "ExternalName";
    if fixed {
        vec![FieldError::invalid(
            "spec.clusterIPs[0]",
            after,
            "may not change once set",
        )]
    } else {
        Vec::new()
    }
}
