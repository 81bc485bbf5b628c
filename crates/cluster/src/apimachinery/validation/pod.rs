//! Pods and templates of pods.

use serde_json::Value;

use super::container::{Around, check_all};
use super::environment::check_labels;
pub use super::pod_update::check_update;
use super::{Complaints, entries, items, resources, scheduling, security, text, volumes, words};
use crate::apimachinery::schema::Path;

/// A pod, or a template, of which `at` is the place of its `spec`.
pub fn check(pod: &Value, at: &Path<'_>, said: &mut Complaints) {
    let spec = &pod["spec"];
    let volumes = volumes::check(pod, at, said);
    let around = Around {
        spec,
        volumes: &volumes,
    };
    check_all(&around, at, said);
    said.one_of(
        &at.field("restartPolicy"),
        &spec["restartPolicy"],
        &["Always", "OnFailure", "Never"],
    );
    check_dns(spec, at, said);
    check_names(spec, at, said);
    check_host(spec, at, said);
    check_gates(spec, at, said);
    security::check_pod(spec, &at.field("securityContext"), said);
    check_labels(&spec["nodeSelector"], &at.field("nodeSelector"), said);
    scheduling::check_affinity(&spec["affinity"], &at.field("affinity"), said);
    scheduling::check_tolerations(&spec["tolerations"], &at.field("tolerations"), said);
    let spread = at.field("topologySpreadConstraints");
    scheduling::check_spread(&spec["topologySpreadConstraints"], &spread, said);
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64()
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let detail = "must be between 1 and 2147483647, inclusive";
        said.invalid(&at.field("activeDeadlineSeconds"), seconds, detail);
    }
    check_shares(spec, at, said);
}

fn check_names(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    for field in ["hostname", "subdomain"] {
        let name = text(&spec[field]);
        if !name.is_empty() {
            said.text(&at.field(field), name, words::label(name));
        }
    }
    for field in ["serviceAccountName", "nodeName", "priorityClassName"] {
        let name = text(&spec[field]);
        if !name.is_empty() {
            said.text(&at.field(field), name, words::subdomain(name));
        }
    }
    let aliases = at.field("hostAliases");
    for (index, alias) in items(&spec["hostAliases"]) {
        let at = aliases.item(index);
        let address = text(&alias["ip"]);
        said.text(&at.field("ip"), address, words::address(address));
        let names = at.field("hostnames");
        for (index, name) in items(&alias["hostnames"]) {
            said.text(&names.item(index), text(name), words::subdomain(text(name)));
        }
    }
    if spec["os"].is_object() {
        match text(&spec["os"]["name"]) {
            "" => said.required(&at.field("os").field("name"), ""),
            name => said.one_of(&at.field("os"), &name.into(), &["linux", "windows"]),
        }
    }
}

fn check_dns(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    said.one_of(
        &at.field("dnsPolicy"),
        &spec["dnsPolicy"],
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    let config = &spec["dnsConfig"];
    let at = at.field("dnsConfig");
    let servers = at.field("nameservers");
    let count = config["nameservers"].as_array().map_or(0, Vec::len);
    if spec["dnsPolicy"] == "None" {
        if !config.is_object() {
            said.required(&at, "must provide `dnsConfig` when `dnsPolicy` is None");
            return;
        }
        if count == 0 {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            said.required(&servers, detail);
        }
    }
    if count > 3 {
        let detail = "must not have more than 3 nameservers";
        said.invalid(&servers, config["nameservers"].clone(), detail);
    }
    for (index, server) in items(&config["nameservers"]) {
        said.text(&servers.item(index), text(server), words::address(text(server)));
    }
    let searches = at.field("searches");
    for (index, search) in items(&config["searches"]) {
        // A single dot is the root.
        if search != "." {
            said.text(&searches.item(index), text(search), words::search(text(search)));
        }
    }
    if config["searches"].as_array().map_or(0, Vec::len) > 32 {
        let detail = "must not have more than 32 search paths";
        said.invalid(&searches, config["searches"].clone(), detail);
    }
    let options = at.field("options");
    for (index, option) in items(&config["options"]) {
        if text(&option["name"]).is_empty() {
            said.required(&options.item(index), "must not be empty");
        }
    }
}

fn check_host(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    if spec["hostNetwork"] == true {
        for list in ["containers", "initContainers"] {
            let place = at.field(list);
            for (index, container) in items(&spec[list]) {
                let place = place.item(index);
                let ports = place.field("ports");
                for (index, port) in items(&container["ports"]) {
                    let (host, own) = (port["hostPort"].as_i64().unwrap_or(0), port["containerPort"].as_i64());
                    if own.is_some_and(|own| own != host) {
                        let detail = "must match `containerPort` when `hostNetwork` is true";
                        said.invalid(&ports.item(index).field("hostPort"), host, detail);
                    }
                }
            }
        }
    }
    if spec["securityContext"]["windowsOptions"]["hostProcess"] == true && spec["hostNetwork"] != true {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        said.invalid(&at.field("hostNetwork"), false, detail);
    }
    let claims = at.field("resourceClaims");
    for (index, claim) in items(&spec["resourceClaims"]) {
        let at = claims.item(index);
        said.text_required(&at.field("name"), &claim["name"]);
        let named = ["resourceClaimName", "resourceClaimTemplateName"].map(|field| claim[field].is_string());
        let value = || {
            serde_json::json!({"Name": claim["name"], "ResourceClaimName": claim["resourceClaimName"],
                "ResourceClaimTemplateName": claim["resourceClaimTemplateName"]})
        };
        match named {
            [true, true] => {
                let detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
                said.invalid(&at, value(), detail);
            }
            [false, false] => {
                let detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
                said.invalid(&at, value(), detail);
            }
            _ => {}
        }
    }
}

fn check_gates(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    let list = at.field("readinessGates");
    for (index, gate) in items(&spec["readinessGates"]) {
        let name = text(&gate["conditionType"]);
        said.text(&list.item(index).field("conditionType"), name, words::qualified(name));
    }
    let list = at.field("schedulingGates");
    let mut known = Vec::new();
    for (index, gate) in items(&spec["schedulingGates"]) {
        let name = text(&gate["name"]);
        said.text(&list.item(index), name, words::qualified(name));
        if known.contains(&name) {
            said.duplicate(&list.item(index), name);
        }
        known.push(name);
    }
}

/// No container may have more than its pod.
fn check_shares(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    let limits = &spec["resources"]["limits"];
    let place = at.field("resources");
    let place = place.field("containers");
    for (index, container) in items(&spec["containers"]) {
        for (name, most) in entries(limits) {
            let own = &container["resources"]["limits"][name];
            if resources::amount(own)
                .zip(resources::amount(most))
                .is_some_and(|(own, most)| own > most)
            {
                let detail = format!("must be less than or equal to pod limits of {}", text(most));
                let at = place.item(index);
                said.invalid(&at.named(name).field("limits"), own.clone(), &detail);
            }
        }
    }
}

/// What is wrong with a pod that is new.
pub fn check_create(pod: &Value, said: &mut Complaints) {
    let spec = &pod["spec"];
    if !super::is_empty(&spec["ephemeralContainers"]) {
        said.forbidden(&Path::Start("spec.ephemeralContainers"), "cannot be set on create");
    }
    if !super::is_empty(&spec["schedulingGates"]) && !text(&spec["nodeName"]).is_empty() {
        let detail = "cannot be set until all schedulingGates have been cleared";
        said.forbidden(&Path::Start("spec.nodeName"), detail);
    }
}
