//! Ingresses, NetworkPolicies and EndpointSlices.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::scheduling::check_selector;
use super::{Complaints, is_empty, items, probes, service, text, words};
use crate::apimachinery::meta::{NameRule, check_name};
use crate::apimachinery::schema::Path;

pub fn check_ingress(ingress: &Value, said: &mut Complaints) {
    let (spec, at) = (&ingress["spec"], Path::Start("spec"));
    if is_empty(&spec["rules"]) && !spec["defaultBackend"].is_object() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        said.invalid(&at, spec["rules"].clone(), detail);
    }
    if spec["defaultBackend"].is_object() {
        check_backend(&spec["defaultBackend"], &at.field("defaultBackend"), said);
    }
    if let Some(class) = spec["ingressClassName"].as_str() {
        said.text(&at.field("ingressClassName"), class, words::subdomain(class));
    }
    let list = at.field("tls");
    for (index, tls) in items(&spec["tls"]) {
        let at = list.item(index);
        let hosts = at.field("hosts");
        for (index, host) in items(&tls["hosts"]) {
            said.text(&hosts.item(index), text(host), host_rule(text(host)));
        }
        let secret = text(&tls["secretName"]);
        if !secret.is_empty() {
            said.text(&at.field("secretName"), secret, words::subdomain(secret));
        }
    }
    let list = at.field("rules");
    for (index, rule) in items(&spec["rules"]) {
        let at = list.item(index);
        let host = text(&rule["host"]);
        if host.parse::<IpAddr>().is_ok() {
            said.invalid(&at.field("host"), host, "must be a DNS name, not an IP address");
        } else if !host.is_empty() {
            said.text(&at.field("host"), host, host_rule(host));
        }
        if !rule["http"].is_object() {
            continue;
        }
        let http = at.field("http");
        let list = http.field("paths");
        if is_empty(&rule["http"]["paths"]) {
            said.required(&list, "");
        }
        for (index, path) in items(&rule["http"]["paths"]) {
            check_path(path, &list.item(index), said);
        }
    }
}

const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn host_rule(host: &str) -> Vec<String> {
    if !host.contains('*') {
        return words::subdomain(host);
    }
    let rest = host.strip_prefix("*.");
    if rest.is_some_and(|rest| words::subdomain(rest).is_empty()) {
        return Vec::new();
    }
    vec![WILDCARD.to_owned()]
}

fn check_path(path: &Value, at: &Path<'_>, said: &mut Complaints) {
    let place = at.field("path");
    let given = text(&path["path"]);
    match path["pathType"].as_str() {
        // Without it nothing more is looked at.
        None => {
            said.required(&at.field("pathType"), "pathType must be specified");
            return;
        }
        Some("Exact" | "Prefix") => {
            if !given.starts_with('/') {
                said.invalid(&place, given, "must be an absolute path");
            }
            for wrong in ["//", "/./", "/../", "%2f", "%2F"] {
                if !given.is_empty() && given.contains(wrong) {
                    said.invalid(&place, given, &format!("must not contain '{wrong}'"));
                }
            }
            for wrong in ["/..", "/."] {
                if given.ends_with(wrong) {
                    said.invalid(&place, given, &format!("cannot end with '{wrong}'"));
                }
            }
        }
        Some("ImplementationSpecific") => {
            if !given.is_empty() && !given.starts_with('/') {
                said.invalid(&place, given, "must be an absolute path");
            }
        }
        Some(other) => {
            let known = ["Exact", "ImplementationSpecific", "Prefix"];
            said.unsupported(&at.field("pathType"), other, &known);
        }
    }
    check_backend(&path["backend"], &at.field("backend"), said);
}

fn check_backend(backend: &Value, at: &Path<'_>, said: &mut Complaints) {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    if resource.is_object() && service.is_object() {
        said.invalid(at, "", "cannot set both resource and service backends");
    } else if resource.is_object() {
        let at = at.field("resource");
        said.text_required(&at.field("kind"), &resource["kind"]);
        said.text_required(&at.field("name"), &resource["name"]);
    } else if service.is_object() {
        let place = at.field("service");
        match text(&service["name"]) {
            "" => said.required(&place.field("name"), ""),
            name => {
                let field = place.field("name").to_string();
                said.0.extend(check_name(NameRule::Label1035, &field, name));
            }
        }
        let port = place.field("port");
        let (name, number) = (
            text(&service["port"]["name"]),
            service["port"]["number"].as_i64().unwrap_or(0),
        );
        match (name, number) {
            ("", 0) => said.required(at, "port name or number is required"),
            ("", number) => said.port(&port.field("number"), number),
            (name, 0) => said.text(&port.field("name"), name, words::port_name(name)),
            _ => said.invalid(at, "", "cannot set both port name & port number"),
        }
    } else {
        said.invalid(at, "", "resource or service backend is required");
    }
}

/// A NetworkPolicy.
pub fn check_policy(policy: &Value, said: &mut Complaints) {
    let (spec, at) = (&policy["spec"], Path::Start("spec"));
    check_selector(&spec["podSelector"], &at.field("podSelector"), said);
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        let list = at.field(direction);
        for (index, rule) in items(&spec[direction]) {
            let at = list.item(index);
            let ports = at.field("ports");
            for (index, port) in items(&rule["ports"]) {
                check_policy_port(port, &ports.item(index), said);
            }
            let list = at.field(peers);
            for (index, peer) in items(&rule[peers]) {
                check_peer(peer, &list.item(index), said);
            }
        }
    }
    let list = at.field("policyTypes");
    if items(&spec["policyTypes"]).count() > 2 {
        let detail = "may not specify more than two policyTypes";
        said.invalid(&list, spec["policyTypes"].clone(), detail);
        return;
    }
    for (index, kind) in items(&spec["policyTypes"]) {
        said.one_of(&list.item(index), kind, &["Ingress", "Egress"]);
    }
}

fn check_policy_port(port: &Value, at: &Path<'_>, said: &mut Complaints) {
    said.one_of(&at.field("protocol"), &port["protocol"], &["TCP", "UDP", "SCTP"]);
    let (end, place) = (port["endPort"].as_i64(), at.field("endPort"));
    if !port["port"].is_null() {
        probes::check_port(&port["port"], &at.field("port"), said);
    }
    let Some(end) = end else { return };
    match &port["port"] {
        Value::Null => said.invalid(&place, end, "may not be specified when `port` is not specified"),
        Value::String(_) => said.invalid(&place, end, "may not be specified when `port` is non-numeric"),
        port => {
            let first = port.as_i64().unwrap_or(0);
            if end < first {
                said.invalid(&place, first, "must be greater than or equal to `port`");
            }
            said.port(&place, end);
        }
    }
}

fn check_peer(peer: &Value, at: &Path<'_>, said: &mut Complaints) {
    let mut found = 0;
    for field in ["podSelector", "namespaceSelector"] {
        if peer[field].is_object() {
            found += 1;
            check_selector(&peer[field], &at.field(field), said);
        }
    }
    if peer["ipBlock"].is_object() {
        check_block(&peer["ipBlock"], &at.field("ipBlock"), said);
        if found > 0 {
            said.forbidden(at, "may not specify both ipBlock and another peer");
        }
    } else if found == 0 {
        said.required(at, "must specify a peer");
    }
}

fn check_block(block: &Value, at: &Path<'_>, said: &mut Complaints) {
    let network = text(&block["cidr"]);
    if network.is_empty() {
        said.required(&at.field("cidr"), "");
        return;
    }
    let broken = words::cidr(network);
    let right = broken.is_empty();
    said.text(&at.field("cidr"), network, broken);
    let list = at.field("except");
    for (index, except) in items(&block["except"]).filter(|_| right) {
        let except = text(except);
        let broken = words::cidr(except);
        if !broken.is_empty() {
            said.text(&list.item(index), except, broken);
        } else if !is_within(network, except) {
            said.invalid(&list.item(index), except, "must be a strict subset of `cidr`");
        }
    }
}

/// Whether a network is a part of another one, and not all of it.
fn is_within(outer: &str, inner: &str) -> bool {
    let read = |text: &str| -> Option<(u128, u8, u8)> {
        let (address, bits) = text.split_once('/')?;
        let bits: u8 = bits.parse().ok()?;
        Some(match address.parse::<IpAddr>().ok()? {
            IpAddr::V4(four) => (u128::from(u32::from(four)) << 96, bits, 4),
            IpAddr::V6(six) => (u128::from(six), bits, 6),
        })
    };
    let (Some((outer, length, family)), Some((inner, longer, other))) = (read(outer), read(inner)) else {
        return false;
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    family == other && longer > length && outer & mask == inner & mask
}

/// An EndpointSlice.
pub fn check_slice(slice: &Value, said: &mut Complaints) {
    let family = text(&slice["addressType"]);
    let at = Path::Start("addressType");
    if family.is_empty() {
        said.required(&at, "");
    } else {
        said.one_of(&at, &slice["addressType"], &["FQDN", "IPv4", "IPv6"]);
    }
    let list = Path::Start("endpoints");
    for (index, endpoint) in items(&slice["endpoints"]) {
        let at = list.item(index);
        let addresses = at.field("addresses");
        if is_empty(&endpoint["addresses"]) {
            said.required(&addresses, "must contain at least 1 address");
        }
        for (index, address) in items(&endpoint["addresses"]) {
            check_address(text(address), family, &addresses, index, said);
        }
        if let Some(name) = endpoint["hostname"].as_str() {
            said.text(&at.field("hostname"), name, words::label(name));
        }
        if let Some(name) = endpoint["nodeName"].as_str() {
            said.text(&at.field("nodeName"), name, words::subdomain(name));
        }
    }
    let list = Path::Start("ports");
    let mut names = Vec::new();
    for (index, port) in items(&slice["ports"]) {
        let at = list.item(index);
        let name = text(&port["name"]);
        if !name.is_empty() {
            said.text(&at.field("name"), name, words::label(name));
        }
        if names.contains(&name) {
            said.duplicate(&at.field("name"), name);
        }
        names.push(name);
        said.one_of(&at.field("protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
        if let Some(protocol) = port["appProtocol"].as_str() {
            said.text(&at.field("appProtocol"), protocol, words::qualified(protocol));
        }
    }
}

fn check_address(address: &str, family: &str, list: &Path<'_>, index: usize, said: &mut Complaints) {
    let at = list.item(index);
    if family == "FQDN" {
        said.text(&at, address, words::subdomain(address));
        return;
    }
    if !matches!(family, "IPv4" | "IPv6") {
        return;
    }
    let broken = words::address(address);
    if !broken.is_empty() {
        said.text(&at, address, broken);
        return;
    }
    let four = address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4());
    if four != (family == "IPv4") {
        said.invalid(list, address, &format!("must be an {family} address"));
    }
    // The pods of this cluster have loopback addresses.
    if !address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
        said.text(&at, address, service::not_outside(address));
    }
}

/// What of an EndpointSlice may not change.
pub fn check_slice_update(old: &Value, new: &Value, said: &mut Complaints) {
    if old["addressType"] != new["addressType"] {
        let value = json!(text(&new["addressType"]));
        said.invalid(&Path::Start("addressType"), value, "field is immutable");
    }
}

pub fn check_lease(lease: &Value, said: &mut Complaints) {
    let (spec, at) = (&lease["spec"], Path::Start("spec"));
    if let Some(seconds) = spec["leaseDurationSeconds"].as_i64().filter(|seconds| *seconds <= 0) {
        said.invalid(&at.field("leaseDurationSeconds"), seconds, "must be greater than 0");
    }
    said.at_least_zero(&at.field("leaseTransitions"), &spec["leaseTransitions"]);
}
