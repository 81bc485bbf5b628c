//! Containers: the parts of one, and what several must not share.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::volumes::{Volumes, check_mounts};
use super::{Complaints, environment, items, probes, resources, security, text, words};
use crate::apimachinery::schema::Path;

/// What a container is looked at with.
pub(super) struct Around<'p> {
    /// The pod's `spec`.
    pub spec: &'p Value,
    /// The pod's volumes.
    pub volumes: &'p Volumes<'p>,
}

/// All containers of a pod: names are the pod's, ports of the host too.
pub(super) fn check_all(around: &Around<'_>, at: &Path<'_>, said: &mut Complaints) {
    let spec = around.spec;
    if super::is_empty(&spec["containers"]) {
        said.required(&at.field("containers"), "");
    }
    let mut names = HashSet::new();
    let mut taken = HashSet::new();
    for list in ["containers", "initContainers"] {
        let at = at.field(list);
        // The ports of a container that ends are free again.
        let mut own = HashSet::new();
        for (index, container) in items(&spec[list]) {
            let at = at.item(index);
            if let Some(name) = said.text_required(&at.field("name"), &container["name"]) {
                let broken = words::label(name);
                let right = broken.is_empty();
                said.text(&at.field("name"), name, broken);
                if right && !names.insert(name) {
                    said.duplicate(&at.field("name"), name);
                }
            }
            let first = list == "initContainers";
            check(container, first, around, &at, said);
            if first {
                own.clear();
            }
            check_host_ports(container, &at, if first { &mut own } else { &mut taken }, said);
        }
    }
}

fn check(container: &Value, first: bool, around: &Around<'_>, at: &Path<'_>, said: &mut Complaints) {
    let image = text(&container["image"]);
    if image.is_empty() {
        said.required(&at.field("image"), "");
    } else if image.trim() != image {
        said.invalid(
            &at.field("image"),
            image,
            "must not have leading or trailing whitespace",
        );
    }
    let policies = ["Always", "IfNotPresent", "Never"];
    said.one_of(&at.field("imagePullPolicy"), &container["imagePullPolicy"], &policies);
    said.one_of(
        &at.field("terminationMessagePolicy"),
        &container["terminationMessagePolicy"],
        &["File", "FallbackToLogsOnError"],
    );
    check_ports(container, at, said);
    environment::check(container, at, said);
    check_mounts(container, around.volumes, at, said);
    let grace = around.spec["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    probes::check(
        container,
        at,
        !first || container["restartPolicy"] == "Always",
        grace,
        said,
    );
    resources::check(container, around.spec, at, said);
    check_resizes(container, around.spec, at, said);
    security::check_container(
        &container["securityContext"],
        around.spec,
        &at.field("securityContext"),
        said,
    );
}

fn check_ports(container: &Value, at: &Path<'_>, said: &mut Complaints) {
    let list = at.field("ports");
    let mut names = HashSet::new();
    for (index, port) in items(&container["ports"]) {
        let at = list.item(index);
        let name = text(&port["name"]);
        if !name.is_empty() {
            let broken = words::port_name(name);
            let right = broken.is_empty();
            said.text(&at.field("name"), name, broken);
            if right && !names.insert(name) {
                said.duplicate(&at.field("name"), name);
            }
        }
        match port["containerPort"].as_i64() {
            None | Some(0) => said.required(&at.field("containerPort"), ""),
            Some(number) => said.port(&at.field("containerPort"), number),
        }
        if let Some(number) = port["hostPort"].as_i64().filter(|number| *number != 0) {
            said.port(&at.field("hostPort"), number);
        }
        match port["protocol"].as_str() {
            Some("") => said.required(&at.field("protocol"), ""),
            _ => said.one_of(&at.field("protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]),
        }
    }
}

fn check_host_ports(container: &Value, at: &Path<'_>, taken: &mut HashSet<String>, said: &mut Complaints) {
    let at = at.field("ports");
    for (index, port) in items(&container["ports"]) {
        let Some(number) = port["hostPort"].as_i64().filter(|number| *number != 0) else {
            continue;
        };
        let name = format!("{}/{}/{number}", text(&port["protocol"]), text(&port["hostIP"]));
        if !taken.insert(name.clone()) {
            said.duplicate(&at.item(index).field("hostPort"), name);
        }
    }
}

fn check_resizes(container: &Value, spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    let at = at.field("resizePolicy");
    let mut known = HashSet::new();
    for (index, rule) in items(&container["resizePolicy"]) {
        let (name, policy) = (text(&rule["resourceName"]), text(&rule["restartPolicy"]));
        if !known.insert(name) {
            said.duplicate(&at.item(index), name);
        }
        if name.is_empty() {
            said.required(&at, "");
        } else {
            said.one_of(&at, &json!(name), &["cpu", "memory"]);
        }
        if policy.is_empty() {
            said.required(&at, "");
        } else {
            said.one_of(&at, &json!(policy), &["NotRequired", "RestartContainer"]);
        }
        if spec["restartPolicy"] == "Never" && policy != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            said.invalid(&at, policy, detail);
        }
    }
}
