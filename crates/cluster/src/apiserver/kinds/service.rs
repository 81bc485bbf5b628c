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
    let affinity = &spec["sessionAffinity"];
    if !matches!(affinity.as_str(), None | Some("None" | "ClientIP")) {
        let allowed = ["ClientIP", "None"].map(Value::from);
        errors.push(FieldError::not_supported("spec.sessionAffinity", affinity, &allowed));
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
        if protocol_matters(spec) && port["protocol"] != "TCP" {
            let detail = "Stoke's embedded node forwards TCP only; a headless Service (clusterIP: None) resolves to its pods, \
                          whatever their protocol";
            errors.push(FieldError::invalid(
                &format!("{path}.protocol"),
                &port["protocol"],
                detail,
            ));
        }
        let same = |other: &Value| other["port"] == port["port"] && other["protocol"] == port["protocol"];
        if ports[..index].iter().any(same) {
            errors.push(FieldError::duplicate(
                &path,
                &json!({"protocol": port["protocol"], "port": port["port"]}),
            ));
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

/// Whether connections to the service are to be forwarded.
fn protocol_matters(spec: &Value) -> bool {
    spec["type"] != "ExternalName" && spec["clusterIP"] != "None"
}

/// What a service asks for beyond what is done for it.
pub(super) fn warnings(service: &Value) -> Option<&'static str> {
    match service["spec"]["type"].as_str() {
        Some("NodePort") => Some(
            "spec.type: NodePort: no port of the machine is opened here; the Service is reached at its cluster IP, \
             and from outside by `kubectl port-forward`",
        ),
        Some("LoadBalancer") => Some(
            "spec.type: LoadBalancer: there is no load balancer here and no external address will come; the Service is \
             reached at its cluster IP, and from outside by `kubectl port-forward`",
        ),
        Some("ExternalName") => {
            Some("spec.type: ExternalName: the Service is stored, but its name does not resolve in pods here")
        }
        _ => None,
    }
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
