//! Probes and hooks of containers.

use serde_json::Value;

use super::{Complaints, is_empty, items, text, words};
use crate::apimachinery::schema::Path;

/// What a probe or a hook can do, in the order that is looked at.
const HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// Probes and hooks; `grace` is the time the pod has to end, in seconds. `waits` says that the container is not one that has to end
/// before the others begin.
pub(super) fn check(container: &Value, at: &Path<'_>, waits: bool, grace: i64, said: &mut Complaints) {
    if !waits {
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if container[field].is_object() {
                let detail = "may not be set for init containers without restartPolicy=Always";
                said.forbidden(&at.field(field), detail);
            }
        }
        return;
    }
    for hook in ["postStart", "preStop"] {
        let handler = &container["lifecycle"][hook];
        if handler.is_object() {
            check_handler(handler, &at.field("lifecycle").field(hook), grace, said);
        }
    }
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = &container[field];
        if !probe.is_object() {
            continue;
        }
        let at = at.field(field);
        check_handler(probe, &at, grace, said);
        let numbers = [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ];
        for number in numbers {
            said.at_least_zero(&at.field(number), &probe[number]);
        }
        let grace = &probe["terminationGracePeriodSeconds"];
        if field == "readinessProbe" {
            if !grace.is_null() {
                let detail = "must not be set for readinessProbes";
                said.invalid(&at.field("terminationGracePeriodSeconds"), grace.clone(), detail);
            }
        } else {
            if grace.as_i64().is_some_and(|seconds| seconds <= 0) {
                let detail = "must be greater than 0";
                said.invalid(&at.field("terminationGracePeriodSeconds"), grace.clone(), detail);
            }
            if probe["successThreshold"].as_i64().is_some_and(|number| number != 1) {
                let value = probe["successThreshold"].clone();
                said.invalid(&at.field("successThreshold"), value, "must be 1");
            }
        }
    }
}

fn check_handler(handler: &Value, at: &Path<'_>, grace: i64, said: &mut Complaints) {
    let mut found = 0;
    for name in HANDLERS.iter().filter(|name| handler[**name].is_object()) {
        let (at, action) = (at.field(name), &handler[*name]);
        found += 1;
        if found > 1 {
            said.forbidden(&at, "may not specify more than 1 handler type");
            continue;
        }
        match *name {
            "exec" if is_empty(&action["command"]) => said.required(&at.field("command"), ""),
            "httpGet" => {
                said.text_required(&at.field("path"), &action["path"]);
                check_port(&action["port"], &at.field("port"), said);
                said.one_of(&at.field("scheme"), &action["scheme"], &["HTTP", "HTTPS"]);
                for (_, header) in items(&action["httpHeaders"]) {
                    let name = text(&header["name"]);
                    said.text(&at.field("httpHeaders"), name, words::header(name));
                }
            }
            "tcpSocket" => check_port(&action["port"], &at.field("port"), said),
            "grpc" => said.port(&at.field("port"), action["port"].as_i64().unwrap_or(0)),
            "sleep" => {
                let seconds = action["seconds"].as_i64().unwrap_or(0);
                if seconds < 0 || seconds > grace {
                    let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
                    said.invalid(&at, seconds, &detail);
                }
            }
            _ => {}
        }
    }
    if found == 0 {
        said.required(at, "must specify a handler type");
    }
}

/// A number or a name of a port.
pub(super) fn check_port(port: &Value, at: &Path<'_>, said: &mut Complaints) {
    match port {
        Value::String(name) => said.text(at, name, words::port_name(name)),
        port => said.port(at, port.as_i64().unwrap_or(0)),
    }
}
