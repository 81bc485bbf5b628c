//! Services, their endpoints, and what routes to them.

use serde_json::Value;

use super::{AGE, Column, NAME, first_three, joined, label_selector, list, or, pairs, plain, text, wide};

pub(super) const SERVICES: &[Column] = &[
    NAME,
    text("Type", |service, _| plain(&service["spec"]["type"]).into()),
    text("Cluster-IP", |service, _| or(&service["spec"]["clusterIP"], "<none>")),
    text("External-IP", |service, _| external(service)),
    text("Port(s)", |service, _| {
        let ports = list(&service["spec"]["ports"]).iter().map(|port| {
            let protocol = plain(&port["protocol"]);
            match port["nodePort"].as_i64() {
                Some(node) if node > 0 => format!("{}:{node}/{protocol}", port["port"]),
                _ => format!("{}/{protocol}", port["port"]),
            }
        });
        joined(ports, ",", "<none>")
    }),
    AGE,
    wide("Selector", |service, _| pairs(&service["spec"]["selector"])),
];

fn external(service: &Value) -> Value {
    let spec = &service["spec"];
    let addresses = list(&spec["externalIPs"]).iter().map(plain);
    match spec["type"].as_str() {
        Some("ExternalName") => plain(&spec["externalName"]).into(),
        Some("LoadBalancer") => joined(balancer(service).into_iter().chain(addresses), ",", "<pending>"),
        _ => joined(addresses, ",", "<none>"),
    }
}

/// Addresses that a load balancer gave.
fn balancer(object: &Value) -> Vec<String> {
    let ingress = list(&object["status"]["loadBalancer"]["ingress"]).iter();
    let address = |point: &Value| {
        plain(if point["ip"].is_null() {
            &point["hostname"]
        } else {
            &point["ip"]
        })
    };
    ingress.map(address).collect()
}

pub(super) const ENDPOINTS: &[Column] = &[
    NAME,
    text("Endpoints", |object, _| {
        let mut all = Vec::new();
        for subset in list(&object["subsets"]) {
            for address in list(&subset["addresses"]) {
                let ip = plain(&address["ip"]);
                match list(&subset["ports"]) {
                    [] => all.push(ip),
                    ports => all.extend(ports.iter().map(|port| format!("{ip}:{}", port["port"]))),
                }
            }
        }
        first_three(&all, "<none>")
    }),
    AGE,
];

pub(super) const SLICES: &[Column] = &[
    NAME,
    text("AddressType", |slice, _| plain(&slice["addressType"]).into()),
    text("Ports", |slice, _| {
        let port = |port: &Value| {
            if port["port"].is_null() {
                "*".to_owned()
            } else {
                plain(&port["port"])
            }
        };
        let ports: Vec<String> = list(&slice["ports"]).iter().map(port).collect();
        first_three(&ports, "<unset>")
    }),
    text("Endpoints", |slice, _| {
        let endpoints = list(&slice["endpoints"]).iter();
        let addresses: Vec<String> = endpoints
            .flat_map(|endpoint| list(&endpoint["addresses"]).iter().map(plain))
            .collect();
        first_three(&addresses, "<unset>")
    }),
    AGE,
];

pub(super) const INGRESSES: &[Column] = &[
    NAME,
    text("Class", |ingress, _| or(&ingress["spec"]["ingressClassName"], "<none>")),
    text("Hosts", |ingress, _| {
        let rules = list(&ingress["spec"]["rules"]).iter();
        let hosts: Vec<String> = rules
            .map(|rule| plain(&rule["host"]))
            .filter(|host| !host.is_empty())
            .collect();
        first_three(&hosts, "*")
    }),
    text("Address", |ingress, _| joined(balancer(ingress).into_iter(), ",", "")),
    text("Ports", |ingress, _| {
        if list(&ingress["spec"]["tls"]).is_empty() {
            "80"
        } else {
            "80, 443"
        }
        .into()
    }),
    AGE,
];

pub(super) const CLASSES: &[Column] = &[
    NAME,
    text("Controller", |class, _| plain(&class["spec"]["controller"]).into()),
    text("Parameters", |class, _| {
        let parameters = &class["spec"]["parameters"];
        match (
            plain(&parameters["kind"]),
            plain(&parameters["apiGroup"]),
            plain(&parameters["name"]),
        ) {
            (kind, _, _) if kind.is_empty() => "<none>".into(),
            (kind, group, name) if group.is_empty() => format!("{kind}/{name}").into(),
            (kind, group, name) => format!("{kind}.{group}/{name}").into(),
        }
    }),
    AGE,
];

pub(super) const POLICIES: &[Column] = &[
    NAME,
    text("Pod-Selector", |policy, _| {
        label_selector(&policy["spec"]["podSelector"])
    }),
    AGE,
];
