//! Pods.

use jiff::Timestamp;
use serde_json::Value;

use super::{AGE, Column, NAME, joined, list, or, pairs, plain, text, wide};
use crate::apimachinery::cells::age;

pub(super) const PODS: &[Column] = &[
    NAME,
    text("Ready", |pod, _| ready(pod).into()),
    text("Status", |pod, _| status_word(pod).into()),
    text("Restarts", |pod, now| restarts(pod, now).into()),
    AGE,
    wide("IP", |pod, _| match or(&pod["status"]["podIPs"][0]["ip"], "") {
        none if none == "" => or(&pod["status"]["podIP"], "<none>"),
        address => address,
    }),
    wide("Node", |pod, _| or(&pod["spec"]["nodeName"], "<none>")),
    wide("Nominated Node", |pod, _| {
        or(&pod["status"]["nominatedNodeName"], "<none>")
    }),
    wide("Readiness Gates", |pod, _| gates(pod).into()),
];

pub(super) const TEMPLATES: &[Column] = &[
    NAME,
    text("Containers", |object, _| containers(&object["template"])),
    text("Images", |object, _| images(&object["template"])),
    text("Pod Labels", |object, _| {
        pairs(&object["template"]["metadata"]["labels"])
    }),
];

/// Names of a template's containers.
pub(super) fn containers(template: &Value) -> Value {
    let containers = list(&template["spec"]["containers"]);
    joined(containers.iter().map(|container| plain(&container["name"])), ",", "")
}

/// Images of a template's containers.
pub(super) fn images(template: &Value) -> Value {
    let containers = list(&template["spec"]["containers"]);
    joined(containers.iter().map(|container| plain(&container["image"])), ",", "")
}

/// Whether an init container of this name stays for the pod's life.
fn stays(pod: &Value, name: &Value) -> bool {
    let containers = list(&pod["spec"]["initContainers"]).iter();
    containers
        .filter(|container| container["name"] == *name)
        .any(|container| container["restartPolicy"] == "Always")
}

fn ready(pod: &Value) -> String {
    let sidecars = list(&pod["spec"]["initContainers"])
        .iter()
        .filter(|container| container["restartPolicy"] == "Always");
    let total = list(&pod["spec"]["containers"]).len() + sidecars.count();
    let is_ready = |status: &&Value| status["ready"] == true;
    let containers = list(&pod["status"]["containerStatuses"]).iter().filter(is_ready);
    let sidecars = list(&pod["status"]["initContainerStatuses"])
        .iter()
        .filter(|status| stays(pod, &status["name"]) && status["started"] == true)
        .filter(is_ready);
    format!("{}/{total}", containers.count() + sidecars.count())
}

fn restarts(pod: &Value, now: Timestamp) -> String {
    let status = &pod["status"];
    let sidecars = list(&status["initContainerStatuses"])
        .iter()
        .filter(|status| stays(pod, &status["name"]));
    let counted: Vec<&Value> = if initializing(pod) {
        list(&status["initContainerStatuses"]).iter().collect()
    } else {
        list(&status["containerStatuses"]).iter().chain(sidecars).collect()
    };
    let count: i64 = counted
        .iter()
        .map(|status| status["restartCount"].as_i64().unwrap_or(0))
        .sum();
    let ended = |status: &&Value| {
        status["lastState"]["terminated"]["finishedAt"]
            .as_str()
            .map(str::to_owned)
    };
    match counted.iter().filter_map(ended).max() {
        Some(last) if count > 0 => format!("{count} ({} ago)", age(&last.into(), now)),
        _ => count.to_string(),
    }
}

/// Whether an init container has not done its part yet.
fn initializing(pod: &Value) -> bool {
    list(&pod["status"]["initContainerStatuses"]).iter().any(|status| {
        let done = status["state"]["terminated"]["exitCode"] == 0;
        let stands = stays(pod, &status["name"]) && status["started"] == true;
        !(done || stands)
    })
}

fn gates(pod: &Value) -> String {
    let gates = list(&pod["spec"]["readinessGates"]);
    if gates.is_empty() {
        return "<none>".into();
    }
    let conditions = list(&pod["status"]["conditions"]);
    let open = gates.iter().filter(|gate| {
        let is_true = |condition: &&Value| condition["type"] == gate["conditionType"] && condition["status"] == "True";
        conditions.iter().any(|condition| is_true(&condition))
    });
    format!("{}/{}", open.count(), gates.len())
}

/// The STATUS column of a pod: its phase, or the most telling reason of its containers.
fn status_word(pod: &Value) -> String {
    let status = &pod["status"];
    let mut reason = match plain(&status["reason"]) {
        reason if reason.is_empty() => plain(&status["phase"]),
        reason => reason,
    };
    let gated = |condition: &Value| condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated";
    if list(&status["conditions"]).iter().any(gated) {
        reason = "SchedulingGated".into();
    }
    let describe = |terminated: &Value| match terminated["signal"].as_i64().filter(|signal| *signal != 0) {
        _ if !plain(&terminated["reason"]).is_empty() => plain(&terminated["reason"]),
        Some(signal) => format!("Signal:{signal}"),
        None => format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or(0)),
    };
    let initial = status["initContainerStatuses"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let total = pod["spec"]["initContainers"].as_array().map_or(0, Vec::len);
    let sidecar = |name: &Value| {
        let mut containers = pod["spec"]["initContainers"].as_array().into_iter().flatten();
        containers.any(|container| container["name"] == *name && container["restartPolicy"] == "Always")
    };
    let mut initializing = false;
    for (index, container) in initial.iter().enumerate() {
        let state = &container["state"];
        if state["terminated"]["exitCode"] == 0 || (sidecar(&container["name"]) && container["started"] == true) {
            continue;
        }
        reason = if state["terminated"].is_object() {
            format!("Init:{}", describe(&state["terminated"]))
        } else if !matches!(plain(&state["waiting"]["reason"]).as_str(), "" | "PodInitializing") {
            format!("Init:{}", plain(&state["waiting"]["reason"]))
        } else {
            format!("Init:{index}/{total}")
        };
        initializing = true;
        break;
    }
    if !initializing {
        let mut running = false;
        for container in status["containerStatuses"].as_array().into_iter().flatten().rev() {
            let state = &container["state"];
            if !plain(&state["waiting"]["reason"]).is_empty() {
                reason = plain(&state["waiting"]["reason"]);
            } else if state["terminated"].is_object() {
                reason = describe(&state["terminated"]);
            } else if container["ready"] == true && state["running"].is_object() {
                running = true;
            }
        }
        if reason == "Completed" && running {
            let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
            let ready = list(&status["conditions"]).iter().any(ready);
            reason = if ready { "Running" } else { "NotReady" }.into();
        }
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() && status["reason"] == "NodeLost" {
        reason = "Unknown".into();
    } else if !pod["metadata"]["deletionTimestamp"].is_null()
        && !matches!(status["phase"].as_str(), Some("Succeeded" | "Failed"))
    {
        reason = "Terminating".into();
    }
    reason
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_status_column_tells_why() {
        let waiting = json!({"status": {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}});
        assert_eq!(status_word(&waiting), "ErrImagePull");
        let oom = json!({"status": {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]}});
        assert_eq!(status_word(&oom), "OOMKilled");
        let ending = json!({"metadata": {"deletionTimestamp": "x"}, "status": {"phase": "Running"}});
        assert_eq!(status_word(&ending), "Terminating");
        let gated = json!({"status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}});
        assert_eq!(status_word(&gated), "SchedulingGated");
    }
}
