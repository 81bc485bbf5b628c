//! Services: defaults, and what is wrong with one. Addresses are given by the server, which knows those that are taken.

use serde_json::{Value, json};

use super::{items_mut, set_missing};
use crate::apimachinery::status::FieldError;

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
        if port["targetPort"] == 0 || port["targetPort"] == "" {
            port["targetPort"] = number.clone();
        }
        set_missing(port, "targetPort", || number);
    }
    if spec["type"] != "ExternalName" {
        set_missing(spec, "internalTrafficPolicy", || "Cluster".into());
        set_missing(spec, "ipFamilies", || json!(["IPv4"]));
        set_missing(spec, "ipFamilyPolicy", || "SingleStack".into());
    }
    if spec["sessionAffinity"] == "ClientIP" {
        set_missing(spec, "sessionAffinityConfig", || json!({}));
        set_missing(&mut spec["sessionAffinityConfig"], "clientIP", || json!({}));
        set_missing(&mut spec["sessionAffinityConfig"]["clientIP"], "timeoutSeconds", || {
            10_800.into()
        });
    } else if let Some(fields) = spec.as_object_mut() {
        fields.shift_remove("sessionAffinityConfig");
    }
    if is_outside(spec) {
        set_missing(spec, "externalTrafficPolicy", || "Cluster".into());
    }
    if spec["type"] == "LoadBalancer" {
        set_missing(spec, "allocateLoadBalancerNodePorts", || true.into());
    }
    if spec["clusterIP"].is_string() {
        let address = spec["clusterIP"].clone();
        set_missing(spec, "clusterIPs", || json!([address]));
    }
}

/// Whether something outside of the cluster can reach a Service.
fn is_outside(spec: &Value) -> bool {
    matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer"))
        || spec["type"] == "ClusterIP" && spec["externalIPs"].as_array().is_some_and(|list| !list.is_empty())
}

/// Drops what the server had filled in for the type that a Service had: whoever changes the type need not know of it.
pub fn drop_of_other_type(old: &Value, new: &mut Value) {
    let (before, after) = (&old["spec"], &mut new["spec"]);
    let mut gone: Vec<&str> = Vec::new();
    if is_outside(before) && !is_outside(after) {
        gone.extend(["externalTrafficPolicy", "healthCheckNodePort"]);
    }
    if before["type"] == "LoadBalancer" && after["type"] != "LoadBalancer" {
        gone.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    if before["type"] != "ExternalName" && after["type"] == "ExternalName" {
        let own = [
            "clusterIP",
            "clusterIPs",
            "ipFamilies",
            "ipFamilyPolicy",
            "internalTrafficPolicy",
        ];
        gone.extend(own);
    }
    for field in gone {
        if before[field] == after[field]
            && let Some(fields) = after.as_object_mut()
        {
            fields.shift_remove(field);
        }
    }
    let has_ports = |spec: &Value| matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer"));
    if has_ports(before) && !has_ports(after) {
        let given = before["ports"].as_array().cloned().unwrap_or_default();
        for port in items_mut(after, "/ports") {
            let known = given.iter().any(|old| old["nodePort"] == port["nodePort"]);
            if let Some(fields) = port.as_object_mut().filter(|_| known) {
                fields.shift_remove("nodePort");
            }
        }
    }
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
            &json!([after]),
            "may not change once set",
        )]
    } else {
        Vec::new()
    }
}
