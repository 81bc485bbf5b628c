//! Tables for people: the columns kubectl shows for each kind, and those that custom resources define.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::cells::{age, path_value};
use super::crd::Column;
use super::resources::Resource;
use super::server::Call;

/// A column: heading, type, only in wide output.
type Heading = (&'static str, &'static str, bool);

/// A Table of objects.
pub fn table(call: &Call, objects: &[Value], metadata: Map<String, Value>) -> Value {
    let resource = call.resource();
    let include = call.query.get("includeObject").unwrap_or("Metadata");
    let now = Timestamp::now();
    let custom = resource
        .custom
        .as_ref()
        .map(|custom| custom.columns.as_slice())
        .unwrap_or_default();
    let headings = headings(resource);
    let mut definitions = vec![
        json!({"name": "Name", "type": "string", "format": "name", "priority": 0,
        "description": "Name must be unique within a namespace."}),
    ];
    if resource.custom.is_some() {
        for column in custom {
            definitions.push(json!({"name": column.name, "type": column.kind, "format": "", "priority": column.priority, "description": column.description}));
        }
        if custom.is_empty() {
            definitions.push(definition(&("Age", "string", false)));
        }
    } else {
        definitions.extend(headings.iter().map(definition));
    }
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut cells = vec![object["metadata"]["name"].clone()];
            if resource.custom.is_some() {
                cells.extend(custom.iter().map(|column| custom_cell(object, column, now)));
                if custom.is_empty() {
                    cells.push(age(&object["metadata"]["creationTimestamp"], now).into());
                }
            } else {
                cells.extend(headings.iter().map(|(name, ..)| cell(&resource.key, name, object, now)));
            }
            let mut row = json!({"cells": cells});
            match include {
                "None" => {}
                "Object" => row["object"] = object.clone(),
                _ => row["object"] = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]}),
            }
            row
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions, "rows": rows})
}

fn definition((name, kind, wide): &Heading) -> Value {
    json!({"name": name, "type": kind, "format": "", "priority": i32::from(*wide), "description": name})
}

const AGE: Heading = ("Age", "string", false);

const fn column(name: &'static str) -> Heading {
    (name, "string", false)
}

const fn wide(name: &'static str) -> Heading {
    (name, "string", true)
}

fn headings(resource: &Resource) -> &'static [Heading] {
    match &*resource.key {
        "pods" => {
            const {
                &[
                    column("Ready"),
                    column("Status"),
                    column("Restarts"),
                    AGE,
                    wide("IP"),
                    wide("Node"),
                    wide("Nominated Node"),
                    wide("Readiness Gates"),
                ]
            }
        }
        "services" => {
            const {
                &[
                    column("Type"),
                    column("Cluster-IP"),
                    column("External-IP"),
                    column("Port(s)"),
                    AGE,
                    wide("Selector"),
                ]
            }
        }
        "configmaps" => const { &[("Data", "integer", false), AGE] },
        "secrets" => const { &[column("Type"), ("Data", "integer", false), AGE] },
        "serviceaccounts" => const { &[AGE] },
        "namespaces" => const { &[column("Status"), AGE] },
        "nodes" => {
            const {
                &[
                    column("Status"),
                    column("Roles"),
                    AGE,
                    column("Version"),
                    wide("Internal-IP"),
                    wide("OS-Image"),
                    wide("Kernel-Version"),
                    wide("Container-Runtime"),
                ]
            }
        }
        "events" => {
            const {
                &[
                    column("Last Seen"),
                    column("Type"),
                    column("Reason"),
                    column("Object"),
                    wide("Subobject"),
                    wide("Source"),
                    column("Message"),
                    wide("First Seen"),
                    wide("Count"),
                ]
            }
        }
        "persistentvolumeclaims" => {
            const {
                &[
                    column("Status"),
                    column("Volume"),
                    column("Capacity"),
                    column("Access Modes"),
                    column("StorageClass"),
                    AGE,
                    wide("VolumeMode"),
                ]
            }
        }
        "persistentvolumes" => {
            const {
                &[
                    column("Capacity"),
                    column("Access Modes"),
                    column("Reclaim Policy"),
                    column("Status"),
                    column("Claim"),
                    column("StorageClass"),
                    column("Reason"),
                    AGE,
                ]
            }
        }
        "storageclasses.storage.k8s.io" => {
            const {
                &[
                    column("Provisioner"),
                    column("ReclaimPolicy"),
                    column("VolumeBindingMode"),
                    AGE,
                ]
            }
        }
        "endpoints" => const { &[column("Endpoints"), AGE] },
        "endpointslices.discovery.k8s.io" => {
            const { &[column("AddressType"), column("Ports"), column("Endpoints"), AGE] }
        }
        "customresourcedefinitions.apiextensions.k8s.io" => const { &[column("Created At")] },
        "leases.coordination.k8s.io" => const { &[column("Holder"), AGE] },
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => {
            const { &[column("Role"), AGE] }
        }
        "roles.rbac.authorization.k8s.io" | "clusterroles.rbac.authorization.k8s.io" => {
            const { &[column("Created At")] }
        }
        "priorityclasses.scheduling.k8s.io" => {
            const { &[("Value", "integer", false), ("Global-Default", "boolean", false), AGE] }
        }
        "networkpolicies.networking.k8s.io" => const { &[column("Pod-Selector"), AGE] },
        _ => const { &[AGE] },
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn or(value: &Value, missing: &str) -> Value {
    let text = text(value);
    if text.is_empty() { missing.into() } else { text.into() }
}

fn joined(list: &Value, separator: &str, each: impl Fn(&Value) -> String) -> String {
    list.as_array()
        .into_iter()
        .flatten()
        .map(each)
        .collect::<Vec<_>>()
        .join(separator)
}

fn selector(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={}", text(value))).collect();
    if pairs.is_empty() {
        "<none>".to_owned()
    } else {
        pairs.join(",")
    }
}

fn access_modes(list: &Value) -> String {
    joined(list, ",", |mode| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO".into(),
        Some("ReadOnlyMany") => "ROX".into(),
        Some("ReadWriteMany") => "RWX".into(),
        Some("ReadWriteOncePod") => "RWOP".into(),
        other => other.unwrap_or_default().to_owned(),
    })
}

fn count(object: &Value, fields: &[&str]) -> Value {
    fields
        .iter()
        .map(|field| object[*field].as_object().map_or(0, Map::len))
        .sum::<usize>()
        .into()
}

fn cell(resource: &str, heading: &str, object: &Value, now: Timestamp) -> Value {
    let (spec, status, metadata) = (&object["spec"], &object["status"], &object["metadata"]);
    match (resource, heading) {
        (_, "Age") => age(&metadata["creationTimestamp"], now).into(),
        (_, "Created At") => metadata["creationTimestamp"].clone(),
        ("pods", "Ready") => {
            let statuses = status["containerStatuses"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let ready = statuses.iter().filter(|container| container["ready"] == true).count();
            format!("{ready}/{}", spec["containers"].as_array().map_or(0, Vec::len)).into()
        }
        ("pods", "Status") => pod_status(object).into(),
        ("pods", "Restarts") => {
            let statuses = status["containerStatuses"].as_array().into_iter().flatten();
            statuses
                .map(|container| container["restartCount"].as_i64().unwrap_or(0))
                .sum::<i64>()
                .to_string()
                .into()
        }
        ("pods", "IP") => or(&status["podIP"], "<none>"),
        ("pods", "Node") => or(&spec["nodeName"], "<none>"),
        ("pods", "Nominated Node" | "Readiness Gates") => "<none>".into(),
        ("services", "Type") => spec["type"].clone(),
        ("services", "Cluster-IP") => or(&spec["clusterIP"], "<none>"),
        ("services", "External-IP") => or(&spec["externalName"], "<none>"),
        ("services", "Port(s)") => {
            let ports = joined(&spec["ports"], ",", |port| {
                format!("{}/{}", port["port"], text(&port["protocol"]))
            });
            if ports.is_empty() {
                "<none>".into()
            } else {
                ports.into()
            }
        }
        ("services", "Selector") => selector(&spec["selector"]).into(),
        ("configmaps", "Data") => count(object, &["data", "binaryData"]),
        ("secrets", "Data") => count(object, &["data"]),
        ("secrets", "Type") => object["type"].clone(),
        ("namespaces", "Status") => status["phase"].clone(),
        ("nodes", "Status") => {
            let conditions = status["conditions"].as_array().into_iter().flatten();
            let ready = conditions
                .into_iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            let mut text = if ready { "Ready" } else { "NotReady" }.to_owned();
            if spec["unschedulable"] == true {
                text.push_str(",SchedulingDisabled");
            }
            text.into()
        }
        ("nodes", "Roles") => {
            let labels = metadata["labels"].as_object().into_iter().flatten();
            let roles: Vec<&str> = labels
                .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
                .collect();
            if roles.is_empty() {
                "<none>".into()
            } else {
                roles.join(",").into()
            }
        }
        ("nodes", "Version") => status["nodeInfo"]["kubeletVersion"].clone(),
        ("nodes", "Internal-IP") => {
            let mut addresses = status["addresses"].as_array().into_iter().flatten();
            addresses
                .find(|address| address["type"] == "InternalIP")
                .map_or_else(|| "<none>".into(), |address| address["address"].clone())
        }
        ("nodes", "OS-Image") => or(&status["nodeInfo"]["osImage"], "<unknown>"),
        ("nodes", "Kernel-Version") => or(&status["nodeInfo"]["kernelVersion"], "<unknown>"),
        ("nodes", "Container-Runtime") => or(&status["nodeInfo"]["containerRuntimeVersion"], "<unknown>"),
        ("events", _) => event_cell(heading, object, now),
        ("persistentvolumeclaims", "Status") | ("persistentvolumes", "Status") => {
            if metadata["deletionTimestamp"].is_null() {
                status["phase"].clone()
            } else {
                "Terminating".into()
            }
        }
        ("persistentvolumeclaims", "Volume") => text(&spec["volumeName"]).into(),
        ("persistentvolumeclaims", "Capacity") => text(&status["capacity"]["storage"]).into(),
        ("persistentvolumeclaims", "Access Modes") => access_modes(&status["accessModes"]).into(),
        ("persistentvolumes", "Access Modes") => access_modes(&spec["accessModes"]).into(),
        ("persistentvolumeclaims" | "persistentvolumes", "StorageClass") => text(&spec["storageClassName"]).into(),
        ("persistentvolumeclaims", "VolumeMode") => text(&spec["volumeMode"]).into(),
        ("persistentvolumes", "Capacity") => text(&spec["capacity"]["storage"]).into(),
        ("persistentvolumes", "Reclaim Policy") => text(&spec["persistentVolumeReclaimPolicy"]).into(),
        ("persistentvolumes", "Claim") => {
            let claim = &spec["claimRef"];
            if claim.is_null() {
                "".into()
            } else {
                format!("{}/{}", text(&claim["namespace"]), text(&claim["name"])).into()
            }
        }
        ("persistentvolumes", "Reason") => text(&status["reason"]).into(),
        ("storageclasses.storage.k8s.io", "Provisioner") => object["provisioner"].clone(),
        ("storageclasses.storage.k8s.io", "ReclaimPolicy") => object["reclaimPolicy"].clone(),
        ("storageclasses.storage.k8s.io", "VolumeBindingMode") => object["volumeBindingMode"].clone(),
        ("endpoints", "Endpoints") => {
            let all = joined(&object["subsets"], ",", |subset| {
                joined(&subset["addresses"], ",", |address| {
                    joined(&subset["ports"], ",", |port| {
                        format!("{}:{}", text(&address["ip"]), port["port"])
                    })
                })
            });
            if all.is_empty() { "<none>".into() } else { all.into() }
        }
        ("endpointslices.discovery.k8s.io", "AddressType") => object["addressType"].clone(),
        ("endpointslices.discovery.k8s.io", "Ports") => {
            let ports = joined(&object["ports"], ",", |port| text(&port["port"]));
            if ports.is_empty() {
                "<unset>".into()
            } else {
                ports.into()
            }
        }
        ("endpointslices.discovery.k8s.io", "Endpoints") => {
            let all = joined(&object["endpoints"], ",", |endpoint| {
                joined(&endpoint["addresses"], ",", text)
            });
            if all.is_empty() { "<unset>".into() } else { all.into() }
        }
        ("leases.coordination.k8s.io", "Holder") => text(&spec["holderIdentity"]).into(),
        (_, "Role") => format!(
            "{}/{}",
            text(&object["roleRef"]["kind"]),
            text(&object["roleRef"]["name"])
        )
        .into(),
        (_, "Value") => object["value"].clone(),
        (_, "Global-Default") => object["globalDefault"].as_bool().unwrap_or(false).into(),
        (_, "Pod-Selector") => selector(&spec["podSelector"]["matchLabels"]).into(),
        _ => "".into(),
    }
}

fn event_cell(heading: &str, event: &Value, now: Timestamp) -> Value {
    let either = |core: &str, new: &str| {
        if event[core].is_null() {
            event[new].clone()
        } else {
            event[core].clone()
        }
    };
    let object = either("involvedObject", "regarding");
    let source = either("source", "deprecatedSource");
    let last = [
        event["series"]["lastObservedTime"].clone(),
        either("lastTimestamp", "deprecatedLastTimestamp"),
        event["eventTime"].clone(),
    ];
    let first = [
        either("firstTimestamp", "deprecatedFirstTimestamp"),
        event["eventTime"].clone(),
    ];
    let seen = |times: &[Value]| {
        times
            .iter()
            .find(|time| !time.is_null())
            .map_or_else(|| "<unknown>".to_owned(), |time| age(time, now))
    };
    match heading {
        "Last Seen" => seen(&last).into(),
        "First Seen" => seen(&first).into(),
        "Type" => text(&event["type"]).into(),
        "Reason" => text(&event["reason"]).into(),
        "Object" => format!("{}/{}", text(&object["kind"]).to_lowercase(), text(&object["name"])).into(),
        "Subobject" => text(&object["fieldPath"]).into(),
        "Source" => {
            let component = either("reportingComponent", "reportingController");
            let component = if source["component"].is_null() {
                component
            } else {
                source["component"].clone()
            };
            match text(&source["host"]) {
                host if host.is_empty() => text(&component).into(),
                host => format!("{}, {host}", text(&component)).into(),
            }
        }
        "Message" => text(&either("message", "note")).trim().into(),
        "Count" => either("count", "deprecatedCount")
            .as_i64()
            .unwrap_or(1)
            .to_string()
            .into(),
        _ => "".into(),
    }
}

/// The STATUS column of a pod: its phase, or the most telling reason of its containers.
fn pod_status(pod: &Value) -> String {
    let status = &pod["status"];
    let mut reason = match text(&status["reason"]) {
        reason if reason.is_empty() => text(&status["phase"]),
        reason => reason,
    };
    let describe = |terminated: &Value| match terminated["signal"].as_i64().filter(|signal| *signal != 0) {
        _ if !text(&terminated["reason"]).is_empty() => text(&terminated["reason"]),
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
        } else if !matches!(text(&state["waiting"]["reason"]).as_str(), "" | "PodInitializing") {
            format!("Init:{}", text(&state["waiting"]["reason"]))
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
            if !text(&state["waiting"]["reason"]).is_empty() {
                reason = text(&state["waiting"]["reason"]);
            } else if state["terminated"].is_object() {
                reason = describe(&state["terminated"]);
            } else if container["ready"] == true && state["running"].is_object() {
                running = true;
            }
        }
        if reason == "Completed" && running {
            reason = "Running".into();
        }
    }
    if !pod["metadata"]["deletionTimestamp"].is_null()
        && !matches!(status["phase"].as_str(), Some("Succeeded" | "Failed"))
    {
        reason = "Terminating".into();
    }
    reason
}

fn custom_cell(object: &Value, column: &Column, now: Timestamp) -> Value {
    let value = path_value(object, &column.path);
    match (column.kind.as_str(), value) {
        (_, None | Some(Value::Null)) => Value::Null,
        ("date", Some(value)) => age(value, now).into(),
        ("string", Some(value)) => text(value).into(),
        (_, Some(value)) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_column_tells_why() {
        let waiting = json!({"status": {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}});
        assert_eq!(pod_status(&waiting), "ErrImagePull");
        let oom = json!({"status": {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]}});
        assert_eq!(pod_status(&oom), "OOMKilled");
        let ending = json!({"metadata": {"deletionTimestamp": "x"}, "status": {"phase": "Running"}});
        assert_eq!(pod_status(&ending), "Terminating");
    }
}
