//! Who reaches whom: a NetworkPolicy for each component, in from those that use it, out to what it uses.

use serde_json::{Value, json};

use super::{LABEL_USES, Scope};
use crate::spec::{Component, Network};

/// The policy of a component that runs.
pub fn policy(scope: &Scope<'_>, name: &str, component: &Component) -> Option<Value> {
    if scope.platform.network == Network::Open {
        return None;
    }
    let itself = json!({"podSelector": {"matchLabels": scope.selector(name)}});
    let users = json!({"podSelector": {"matchLabels": {(format!("{LABEL_USES}{name}")): "true"}}});
    let mut ingress = vec![
        json!({"from": [itself.clone()]}),
        json!({"from": [users], "ports": ports(&used_ports(component))}),
    ];
    if component.host().is_some() {
        // Whoever terminates TLS: its namespace is not known here.
        ingress.push(json!({"ports": ports(&[component.port()])}));
    }
    if scope.platform.monitors
        && let Some((port, _)) = component.about().metrics
    {
        ingress.push(json!({"ports": [{"port": port, "protocol": "TCP"}]}));
    }
    let mut egress = vec![
        json!({"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}),
        json!({"to": [itself]}),
    ];
    for used in scope.uses(name, component) {
        egress.extend(scope.component(&used).map(|other| way(scope, &used, other)));
    }
    if speaks_to_the_api_server(component) {
        egress.push(json!({"ports": ports(&[443, 6443])}));
    }
    Some(
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": {
            "podSelector": {"matchLabels": scope.selector(name)}, "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress, "egress": egress,
        }}),
    )
}

fn speaks_to_the_api_server(component: &Component) -> bool {
    matches!(component, Component::SparkConnect(_) | Component::Airflow(_))
}

/// Ports that users of a component ask.
fn used_ports(component: &Component) -> Vec<u16> {
    match component {
        // Masters, and the ports of workers for writing, fetching and replicating.
        Component::Celeborn(_) => vec![9097, 9092, 9093, 9094, 9095],
        other => vec![other.port()],
    }
}

/// The way to what a component uses.
fn way(scope: &Scope<'_>, name: &str, used: &Component) -> Value {
    let outside = match used {
        Component::ObjectStore(store) => Some(store.ports()),
        Component::Postgresql(server) => server.outside.as_ref().map(|outside| vec![outside.port]),
        _ => None,
    };
    match outside {
        // Names outside of the cluster are not in a NetworkPolicy: the port is.
        Some(all) => json!({"ports": ports(&all)}),
        None => {
            json!({"to": [{"podSelector": {"matchLabels": scope.selector(name)}}], "ports": ports(&used_ports(used))})
        }
    }
}

fn ports(all: &[u16]) -> Value {
    all.iter()
        .map(|port| json!({"port": port, "protocol": "TCP"}))
        .collect()
}
