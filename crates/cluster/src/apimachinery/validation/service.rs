//! Services.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::environment::check_labels;
use super::{Complaints, is_empty, items, probes, text, words};
use crate::apimachinery::schema::Path;

const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

/// A Service with its defaults.
pub fn check(service: &Value, said: &mut Complaints) {
    let spec = &service["spec"];
    let kind = text(&spec["type"]);
    let at = Path::Start("spec");
    said.one_of(&at.field("type"), &spec["type"], TYPES);
    let headless = is_headless(spec);
    if is_empty(&spec["ports"]) && kind != "ExternalName" && !headless {
        said.required(&at.field("ports"), "");
    }
    if headless && matches!(kind, "NodePort" | "LoadBalancer") {
        let detail = format!("may not be set to 'None' for {kind} services");
        said.invalid(&at.field("clusterIPs").item(0), "None", &detail);
    }
    if kind == "ExternalName" {
        check_external_name(spec, &at, said);
    }
    check_ports(spec, kind, &at, said);
    check_labels(&spec["selector"], &at.field("selector"), said);
    check_affinity(spec, &at, said);
    check_addresses(spec, &at, said);
    check_families(spec, kind, &at, said);
    check_balancer(spec, kind, &at, said);
    check_traffic(spec, kind, &at, said);
}

/// Whether a Service has no address of its own.
fn is_headless(spec: &Value) -> bool {
    spec["clusterIP"] == "None"
        || items(&spec["clusterIPs"])
            .next()
            .is_some_and(|(_, first)| first == "None")
}

fn check_external_name(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    if !is_empty(&spec["clusterIPs"]) || !text(&spec["clusterIP"]).is_empty() {
        said.forbidden(&at.field("clusterIPs"), "may not be set for ExternalName services");
    }
    for field in ["ipFamilies", "ipFamilyPolicy"] {
        if !spec[field].is_null() {
            said.forbidden(&at.field(field), "may not be set for ExternalName services");
        }
    }
    let name = text(&spec["externalName"]);
    if name.is_empty() {
        said.required(&at.field("externalName"), "");
    } else {
        let name = name.strip_suffix('.').unwrap_or(name);
        said.text(&at.field("externalName"), name, words::subdomain(name));
    }
}

fn check_ports(spec: &Value, kind: &str, at: &Path<'_>, said: &mut Complaints) {
    let list = at.field("ports");
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut names = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let at = list.item(index);
        let name = text(&port["name"]);
        if name.is_empty() {
            if ports.len() > 1 {
                said.required(&at.field("name"), "");
            }
        } else {
            said.text(&at.field("name"), name, words::label(name));
            if names.contains(&name) {
                said.duplicate(&at.field("name"), name);
            }
            names.push(name);
        }
        said.port(&at.field("port"), port["port"].as_i64().unwrap_or(0));
        let known = ["SCTP", "TCP", "UDP"];
        said.one_of(&at.field("protocol"), &port["protocol"], &known);
        if known.contains(&text(&port["protocol"])) && port["protocol"] != "TCP" && is_forwarded(spec) {
            let detail = "Stoke's embedded node forwards TCP only; a headless Service (clusterIP: None) resolves to its pods, \
                          whatever their protocol";
            said.invalid(&at.field("protocol"), port["protocol"].clone(), detail);
        }
        probes::check_port(&port["targetPort"], &at.field("targetPort"), said);
        if let Some(protocol) = port["appProtocol"].as_str() {
            said.text(&at.field("appProtocol"), protocol, words::qualified(protocol));
        }
        if port["nodePort"].as_i64().unwrap_or(0) != 0 && !matches!(kind, "NodePort" | "LoadBalancer") {
            let detail = format!("may not be used when `type` is '{kind}'");
            said.forbidden(&at.field("nodePort"), &detail);
        }
        let same = |other: &Value| other["port"] == port["port"] && other["protocol"] == port["protocol"];
        if ports[..index].iter().any(same) {
            let pair = json!({"Name": "", "Protocol": port["protocol"], "AppProtocol": null, "Port": port["port"], "TargetPort": 0, "NodePort": 0});
            said.duplicate(&at, pair);
        }
        let taken =
            |other: &Value| other["nodePort"].as_i64().unwrap_or(0) != 0 && other["nodePort"] == port["nodePort"];
        if ports[..index]
            .iter()
            .any(|other| taken(other) && other["protocol"] == port["protocol"])
        {
            let detail = "provided port is already allocated";
            said.invalid(&at.field("nodePort"), port["nodePort"].clone(), detail);
        }
    }
}

/// Whether connections to the service are to be forwarded.
fn is_forwarded(spec: &Value) -> bool {
    spec["type"] != "ExternalName" && !is_headless(spec)
}

fn check_affinity(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    said.one_of(
        &at.field("sessionAffinity"),
        &spec["sessionAffinity"],
        &["ClientIP", "None"],
    );
    let config = &spec["sessionAffinityConfig"];
    let place = at.field("sessionAffinityConfig");
    if spec["sessionAffinity"] == "ClientIP" {
        let seconds = &config["clientIP"]["timeoutSeconds"];
        let place = place.field("clientIP");
        if let Some(number) = seconds.as_i64().filter(|number| !(1..=86_400).contains(number)) {
            let detail = "must be greater than 0 and less than 86400";
            said.invalid(&place.field("timeoutSeconds"), number, detail);
        }
    } else if !config.is_null() {
        said.forbidden(&place, "must not be set when session affinity is None");
    }
}

fn check_addresses(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    let list = at.field("clusterIPs");
    if text(&spec["clusterIP"]).is_empty() && !is_empty(&spec["clusterIPs"]) {
        let detail = "must be empty when `clusterIP` is not specified";
        said.invalid(&list, spec["clusterIPs"].clone(), detail);
    }
    let count = items(&spec["clusterIPs"]).count();
    for (index, address) in items(&spec["clusterIPs"]) {
        let address = text(address);
        match (index, address) {
            (0, "None") => {
                if count > 1 {
                    let detail = "'None' must be the first and only value";
                    said.invalid(&list, spec["clusterIPs"].clone(), detail);
                }
            }
            _ => said.text(&list.item(index), address, words::address(address)),
        }
    }
    let first = text(&spec["clusterIPs"][0]);
    if spec["ipFamilies"][0] == "IPv4" && first.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()) {
        let detail = "expected an IPv4 value as indicated by `ipFamilies[0]`";
        said.invalid(&list.item(0), first, detail);
    }
    let list = at.field("externalIPs");
    for (index, address) in items(&spec["externalIPs"]) {
        let address = text(address);
        let broken = words::address(address);
        if broken.is_empty() {
            said.text(&list.item(index), address, not_outside(address));
        } else {
            said.text(&list.item(index), address, broken);
        }
    }
}

/// Addresses that no other machine can mean.
pub fn not_outside(address: &str) -> Vec<String> {
    let Ok(address) = address.parse::<IpAddr>() else {
        return Vec::new();
    };
    let link = match address {
        IpAddr::V4(four) => four.is_link_local(),
        IpAddr::V6(six) => six.segments()[0] & 0xffc0 == 0xfe80,
    };
    let multicast = match address {
        IpAddr::V4(four) => four.octets()[..3] == [224, 0, 0],
        IpAddr::V6(six) => six.segments()[0] & 0xff0f == 0xff02,
    };
    let rules = [
        (address.is_unspecified(), format!("may not be unspecified ({address})")),
        (
            address.is_loopback(),
            "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned(),
        ),
        (
            link,
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned(),
        ),
        (
            multicast,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned(),
        ),
    ];
    rules
        .into_iter()
        .filter(|(wrong, _)| *wrong)
        .map(|(_, rule)| rule)
        .collect()
}

fn check_families(spec: &Value, kind: &str, at: &Path<'_>, said: &mut Complaints) {
    if kind == "ExternalName" {
        return;
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    let policy = text(&spec["ipFamilyPolicy"]);
    said.one_of(&at.field("ipFamilyPolicy"), &spec["ipFamilyPolicy"], &policies);
    let list = at.field("ipFamilies");
    let mut known = Vec::new();
    let mut right = true;
    for (index, family) in items(&spec["ipFamilies"]) {
        let at = list.item(index);
        if !matches!(text(family), "IPv4" | "IPv6") {
            said.one_of(&at, family, &["IPv4", "IPv6"]);
            right = false;
        } else if known.contains(&family) {
            said.duplicate(&at, family.clone());
            right = false;
        }
        known.push(family);
    }
    if !right {
        return;
    }
    if policy == "SingleStack" && known.len() > 1 {
        let detail = "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified";
        said.invalid(&at.field("ipFamilyPolicy"), policy, detail);
    } else if policy == "RequireDualStack" {
        let detail = "this cluster is not configured for dual-stack services";
        said.invalid(&at.field("ipFamilyPolicy"), policy, detail);
    } else {
        for (index, family) in known.iter().enumerate().filter(|(_, family)| **family == "IPv6") {
            said.invalid(&list.item(index), (*family).clone(), "not configured on this cluster");
        }
    }
}

fn check_balancer(spec: &Value, kind: &str, at: &Path<'_>, said: &mut Complaints) {
    let ranges = at.field("LoadBalancerSourceRanges");
    for (index, range) in items(&spec["loadBalancerSourceRanges"]) {
        let range = text(range).trim();
        said.text(&ranges.item(index), range, words::cidr(range));
    }
    let detail = "may only be used when `type` is 'LoadBalancer'";
    if kind != "LoadBalancer" {
        if !is_empty(&spec["loadBalancerSourceRanges"]) {
            said.forbidden(&ranges, detail);
        }
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if !spec[field].is_null() {
                said.forbidden(&at.field(field), detail);
            }
        }
    } else if let Some(class) = spec["loadBalancerClass"].as_str() {
        said.text(&at.field("loadBalancerClass"), class, words::qualified(class));
    }
}

fn check_traffic(spec: &Value, kind: &str, at: &Path<'_>, said: &mut Complaints) {
    let words = ["Cluster", "Local"];
    said.one_of(
        &at.field("internalTrafficPolicy"),
        &spec["internalTrafficPolicy"],
        &words,
    );
    said.one_of(
        &at.field("externalTrafficPolicy"),
        &spec["externalTrafficPolicy"],
        &words,
    );
    let outside = matches!(kind, "NodePort" | "LoadBalancer") || kind == "ClusterIP" && !is_empty(&spec["externalIPs"]);
    if !spec["externalTrafficPolicy"].is_null() && !outside {
        let detail = "may only be set for externally-accessible services";
        let value = spec["externalTrafficPolicy"].clone();
        said.invalid(&at.field("externalTrafficPolicy"), value, detail);
    }
    let health = spec["healthCheckNodePort"].as_i64().unwrap_or(0);
    if health != 0 && !(kind == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local") {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        said.invalid(&at.field("healthCheckNodePort"), health, detail);
    }
    let words = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    said.one_of(&at.field("trafficDistribution"), &spec["trafficDistribution"], &words);
}
