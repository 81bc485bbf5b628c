//! Pods: the defaults a stored pod shows, and its quality-of-service class.

use serde_json::{Value, json};

use super::{items_mut, set_missing};
use crate::apimachinery::meta::write_empty;

/// Fills every field the API server fills.
pub(super) fn default(pod: &mut Value) {
    // A pod without containers is refused later; it needs a spec to be refused with the right path.
    if !pod["spec"].is_object() {
        pod["spec"] = json!({});
    }
    drop_gated(&mut pod["spec"]);
    let host_network = pod["spec"]["hostNetwork"] == true;
    let spec = &mut pod["spec"];
    default_spec(spec);
    for list in ["initContainers", "containers"] {
        for container in items_mut(spec, &format!("/{list}")) {
            default_container(container, host_network);
            // Restart rules of single containers are not in force; what they say is dropped.
            if container["restartPolicy"] != "Always" || list == "containers" {
                container
                    .as_object_mut()
                    .map(|fields| fields.shift_remove("restartPolicy"));
            }
        }
    }
    for volume in items_mut(spec, "/volumes") {
        default_volume(volume);
    }
}

/// Fields whose features are not switched on are dropped without a word.
fn drop_gated(spec: &mut Value) {
    let drop = |object: Option<&mut Value>, field: &str| {
        if let Some(fields) = object.and_then(Value::as_object_mut) {
            fields.shift_remove(field);
        }
    };
    drop(Some(spec), "hostnameOverride");
    for list in ["/initContainers", "/containers"] {
        for container in items_mut(spec, list) {
            drop(container.get_mut("lifecycle"), "stopSignal");
        }
    }
    for volume in items_mut(spec, "/volumes") {
        for source in items_mut(volume, "/projected/sources") {
            drop(Some(source), "clusterTrustBundle");
        }
    }
}

/// Fills what a pod has and a template leaves to its pods.
pub(super) fn default_pod(pod: &mut Value) {
    let spec = &mut pod["spec"];
    set_missing(spec, "enableServiceLinks", || true.into());
    for list in ["initContainers", "containers"] {
        for container in items_mut(spec, &format!("/{list}")) {
            default_requests(&mut container["resources"]);
        }
    }
}

fn default_spec(spec: &mut Value) {
    set_missing(spec, "restartPolicy", || "Always".into());
    set_missing(spec, "terminationGracePeriodSeconds", || 30.into());
    // A time below zero has always meant the shortest there is.
    if spec["terminationGracePeriodSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds < 0)
    {
        spec["terminationGracePeriodSeconds"] = 1.into();
    }
    set_missing(spec, "dnsPolicy", || "ClusterFirst".into());
    if let Some(account) = spec["serviceAccount"].as_str().map(str::to_owned) {
        set_missing(spec, "serviceAccountName", || account.into());
    }
    if let Some(account) = spec["serviceAccountName"].as_str().map(str::to_owned) {
        spec["serviceAccount"] = account.into();
    }
    set_missing(spec, "securityContext", || json!({}));
    for sysctl in items_mut(spec, "/securityContext/sysctls") {
        set_missing(sysctl, "value", || "".into());
    }
    let preferred = "/affinity/nodeAffinity/preferredDuringSchedulingIgnoredDuringExecution";
    for term in items_mut(spec, preferred) {
        set_missing(term, "preference", || json!({}));
    }
    set_missing(spec, "schedulerName", || "default-scheduler".into());
}

fn default_container(container: &mut Value, host_network: bool) {
    let image = container["image"].as_str().unwrap_or_default();
    let latest = match image.rsplit_once('/').map_or(image, |(_, last)| last) {
        _ if image.contains('@') => false,
        // What cannot be read as a name has no tag either.
        last if last.split(':').next().is_some_and(|name| !name.bytes().all(is_of_name)) => false,
        last => last.rsplit_once(':').is_none_or(|(_, tag)| tag == "latest"),
    };
    for port in items_mut(container, "/ports") {
        set_missing(port, "protocol", || "TCP".into());
        if host_network {
            let number = port["containerPort"].clone();
            set_missing(port, "hostPort", || number);
        }
    }
    for variable in items_mut(container, "/env") {
        if variable["valueFrom"]["resourceFieldRef"].is_object() {
            set_missing(&mut variable["valueFrom"]["resourceFieldRef"], "divisor", || "0".into());
        }
        if variable["valueFrom"]["fieldRef"].is_object() {
            set_missing(&mut variable["valueFrom"]["fieldRef"], "apiVersion", || "v1".into());
        }
    }
    set_missing(container, "resources", || json!({}));
    for hook in ["postStart", "preStop"] {
        if container["lifecycle"][hook].is_object() {
            default_http(&mut container["lifecycle"][hook]);
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[probe].is_object() {
            default_probe(&mut container[probe]);
        }
    }
    set_missing(container, "terminationMessagePath", || "/dev/termination-log".into());
    set_missing(container, "terminationMessagePolicy", || "File".into());
    set_missing(container, "imagePullPolicy", || {
        if latest { "Always" } else { "IfNotPresent" }.into()
    });
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
}

/// A limit without a request is a request too.
fn default_requests(resources: &mut Value) {
    let Some(limits) = resources["limits"].as_object().cloned() else {
        return;
    };
    if !resources["requests"].is_object() {
        resources["requests"] = json!({});
    }
    for (name, limit) in limits {
        set_missing(&mut resources["requests"], &name, || limit);
    }
}

fn default_probe(probe: &mut Value) {
    for (field, value) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        set_missing(probe, field, || value.into());
    }
    if probe["grpc"].is_object() {
        set_missing(&mut probe["grpc"], "service", || "".into());
    }
    default_http(probe);
}

fn default_http(handler: &mut Value) {
    if handler["httpGet"].is_object() {
        set_missing(&mut handler["httpGet"], "scheme", || "HTTP".into());
        set_missing(&mut handler["httpGet"], "path", || "/".into());
        for header in items_mut(handler, "/httpGet/httpHeaders") {
            set_missing(header, "value", || "".into());
        }
    }
    if handler["sleep"].is_object() {
        set_missing(&mut handler["sleep"], "seconds", || 0.into());
    }
}

fn default_volume(volume: &mut Value) {
    let mode = || Value::from(0o644);
    let Some(fields) = volume.as_object_mut() else { return };
    if fields.len() == 1 && fields.contains_key("name") {
        fields.insert("emptyDir".into(), json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if volume[source].is_object() {
            set_missing(&mut volume[source], "defaultMode", mode);
        }
    }
    if volume["ephemeral"]["volumeClaimTemplate"]["spec"].is_object() {
        let spec = &mut volume["ephemeral"]["volumeClaimTemplate"]["spec"];
        set_missing(spec, "volumeMode", || "Filesystem".into());
    }
    if volume["ephemeral"]["volumeClaimTemplate"].is_object() {
        set_missing(
            &mut volume["ephemeral"]["volumeClaimTemplate"],
            "metadata",
            || json!({}),
        );
    }
    if volume["projected"].is_object() {
        write_empty(&mut volume["projected"], "sources");
    }
    if volume["hostPath"].is_object() {
        set_missing(&mut volume["hostPath"], "type", || "".into());
    }
    for item in items_mut(volume, "/downwardAPI/items") {
        default_shown(item);
    }
    for source in items_mut(volume, "/projected/sources") {
        if source["serviceAccountToken"].is_object() {
            set_missing(&mut source["serviceAccountToken"], "expirationSeconds", || 3600.into());
        }
        for item in items_mut(source, "/downwardAPI/items") {
            default_shown(item);
        }
    }
}

fn default_shown(item: &mut Value) {
    if item["fieldRef"].is_object() {
        set_missing(&mut item["fieldRef"], "apiVersion", || "v1".into());
    }
    if item["resourceFieldRef"].is_object() {
        set_missing(&mut item["resourceFieldRef"], "divisor", || "0".into());
    }
}

/// `Guaranteed`, `Burstable` or `BestEffort`, from the requests and limits of every container.
pub fn quality_of_service(spec: &Value) -> &'static str {
    let (mut any, mut guaranteed) = (false, true);
    let containers =
        ["containers", "initContainers"].map(|list| spec[list].as_array().map(Vec::as_slice).unwrap_or_default());
    for container in containers.into_iter().flatten() {
        let resources = &container["resources"];
        for name in ["cpu", "memory"] {
            let (request, limit) = (&resources["requests"][name], &resources["limits"][name]);
            any |= !request.is_null() || !limit.is_null();
            guaranteed &= !limit.is_null() && (request.is_null() || request == limit);
        }
    }
    match (any, guaranteed) {
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
        (false, _) => "BestEffort",
    }
}
