//! What is wrong with a pod, and what of a pod may not change.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::items_mut;
use crate::apiserver::meta::{NameRule, check_name};
use crate::apiserver::status::FieldError;

/// Complaints about a pod.
pub(super) fn validate(pod: &Value) -> Vec<FieldError> {
    let spec = &pod["spec"];
    let mut errors = Vec::new();
    let volumes = volume_names(spec, &mut errors);
    let mut names = HashSet::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let path = format!("spec.{list}[{index}]");
            check_container(container, &path, &volumes, &mut names, &mut errors);
        }
    }
    if spec["containers"].as_array().is_none_or(Vec::is_empty) {
        errors.push(FieldError::required("spec.containers", ""));
    }
    if spec["runtimeClassName"].is_string() {
        let detail = "this cluster has no runtimes to choose from: leave runtimeClassName out";
        errors.push(FieldError::invalid(
            "spec.runtimeClassName",
            &spec["runtimeClassName"],
            detail,
        ));
    }
    one_of(spec, "restartPolicy", &["Always", "OnFailure", "Never"], &mut errors);
    one_of(
        spec,
        "dnsPolicy",
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        &mut errors,
    );
    for field in ["terminationGracePeriodSeconds", "activeDeadlineSeconds"] {
        if spec[field].as_i64().is_some_and(|seconds| seconds < 0) {
            errors.push(FieldError::invalid(
                &format!("spec.{field}"),
                &spec[field],
                "must be greater than or equal to 0",
            ));
        }
    }
    errors
}

fn one_of(spec: &Value, field: &str, allowed: &[&str], errors: &mut Vec<FieldError>) {
    let value = &spec[field];
    if value.as_str().is_some_and(|text| !allowed.contains(&text)) {
        let mut allowed: Vec<Value> = allowed.iter().map(|text| Value::from(*text)).collect();
        allowed.sort_by_key(Value::to_string);
        errors.push(FieldError::not_supported(&format!("spec.{field}"), value, &allowed));
    }
}

fn volume_names<'a>(spec: &'a Value, errors: &mut Vec<FieldError>) -> HashSet<&'a str> {
    let mut names = HashSet::new();
    for (index, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let path = format!("spec.volumes[{index}]");
        match volume["name"].as_str().filter(|name| !name.is_empty()) {
            None => errors.push(FieldError::required(&format!("{path}.name"), "")),
            Some(name) => {
                errors.extend(check_name(NameRule::Label, &format!("{path}.name"), name));
                if !names.insert(name) {
                    errors.push(FieldError::duplicate(&format!("{path}.name"), &volume["name"]));
                }
            }
        }
        let sources = volume
            .as_object()
            .map_or(0, |fields| fields.keys().filter(|field| *field != "name").count());
        if sources > 1 {
            errors.push(FieldError::forbidden(&path, "may not specify more than 1 volume type"));
        }
        check_claim_template(volume, &path, errors);
        for (source, field) in [
            ("persistentVolumeClaim", "claimName"),
            ("hostPath", "path"),
            ("secret", "secretName"),
            ("configMap", "name"),
        ] {
            if volume[source].is_object() && volume[source][field].as_str().is_none_or(str::is_empty) {
                errors.push(FieldError::required(&format!("{path}.{source}.{field}"), ""));
            }
        }
    }
    names
}

fn check_claim_template(volume: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if !volume["ephemeral"].is_object() {
        return;
    }
    let path = format!("{path}.ephemeral.volumeClaimTemplate");
    let template = &volume["ephemeral"]["volumeClaimTemplate"];
    if !template.is_object() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    for mut error in super::storage::validate_claim(template) {
        error.field = format!("{path}.{}", error.field);
        errors.push(error);
    }
}

fn check_container<'a>(
    container: &'a Value,
    path: &str,
    volumes: &HashSet<&str>,
    names: &mut HashSet<&'a str>,
    errors: &mut Vec<FieldError>,
) {
    match container["name"].as_str().filter(|name| !name.is_empty()) {
        None => errors.push(FieldError::required(&format!("{path}.name"), "")),
        Some(name) => {
            errors.extend(check_name(NameRule::Label, &format!("{path}.name"), name));
            if !names.insert(name) {
                errors.push(FieldError::duplicate(&format!("{path}.name"), &container["name"]));
            }
        }
    }
    match container["image"].as_str() {
        None | Some("") => errors.push(FieldError::required(&format!("{path}.image"), "")),
        Some(image) if image.trim() != image => {
            let detail = "must not have leading or trailing whitespace";
            errors.push(FieldError::invalid(
                &format!("{path}.image"),
                &container["image"],
                detail,
            ));
        }
        Some(_) => {}
    }
    if container["imagePullPolicy"]
        .as_str()
        .is_some_and(|policy| !matches!(policy, "Always" | "IfNotPresent" | "Never"))
    {
        let allowed = ["Always", "IfNotPresent", "Never"].map(Value::from);
        errors.push(FieldError::not_supported(
            &format!("{path}.imagePullPolicy"),
            &container["imagePullPolicy"],
            &allowed,
        ));
    }
    for (index, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
        let place = format!("{path}.ports[{index}].containerPort");
        match port["containerPort"].as_i64() {
            None | Some(0) => errors.push(FieldError::required(&place, "")),
            Some(1..=65535) => {}
            Some(_) => {
                errors.push(FieldError::invalid(
                    &place,
                    &port["containerPort"],
                    "must be between 1 and 65535, inclusive",
                ));
            }
        }
    }
    for (index, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
        let place = format!("{path}.env[{index}]");
        if variable["name"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(&format!("{place}.name"), ""));
        }
        if variable["value"].as_str().is_some_and(|value| !value.is_empty()) && variable["valueFrom"].is_object() {
            let detail = "may not be specified when `value` is not empty";
            errors.push(FieldError::invalid(&format!("{place}.valueFrom"), &json!(""), detail));
        }
    }
    let mut mounted = HashSet::new();
    for (index, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        let place = format!("{path}.volumeMounts[{index}]");
        match mount["name"].as_str().filter(|name| !name.is_empty()) {
            None => errors.push(FieldError::required(&format!("{place}.name"), "")),
            Some(name) if !volumes.contains(name) => {
                errors.push(FieldError::not_found(&format!("{place}.name"), &mount["name"]));
            }
            Some(_) => {}
        }
        match mount["mountPath"].as_str().filter(|path| !path.is_empty()) {
            None => errors.push(FieldError::required(&format!("{place}.mountPath"), "")),
            Some(at) if !mounted.insert(at) => {
                errors.push(FieldError::invalid(
                    &format!("{place}.mountPath"),
                    &mount["mountPath"],
                    "must be unique",
                ));
            }
            Some(_) => {}
        }
    }
    check_resources(&container["resources"], path, errors);
}

fn check_resources(resources: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for part in ["limits", "requests"] {
        for (name, quantity) in resources[part].as_object().into_iter().flatten() {
            let place = format!("{path}.resources.{part}[{name}]");
            if quantity.as_str().is_some_and(|text| text.starts_with('-')) {
                errors.push(FieldError::invalid(
                    &place,
                    quantity,
                    "must be greater than or equal to 0",
                ));
            }
        }
    }
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let Some(limit) = resources["limits"].get(name) else {
            continue;
        };
        let amount = |quantity: &Value| quantity.as_str().and_then(crate::apiserver::quantity::parse);
        if amount(request)
            .zip(amount(limit))
            .is_some_and(|(wanted, most)| wanted > most)
        {
            let detail = format!(
                "must be less than or equal to {name} limit of {}",
                limit.as_str().unwrap_or_default()
            );
            errors.push(FieldError::invalid(
                &format!("{path}.resources.requests"),
                request,
                &detail,
            ));
        }
    }
}

/// Complaints about a change of a pod: only images, deadlines and additional tolerations may change.
pub(super) fn validate_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let (before, after) = (&old["spec"], &new["spec"]);
    if before == after {
        return Vec::new();
    }
    let mut allowed = after.clone();
    for list in ["initContainers", "containers"] {
        let images: Vec<Value> = before[list]
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| item["image"].clone())
            .collect();
        for (container, image) in items_mut(&mut allowed, &format!("/{list}")).zip(images) {
            container["image"] = image;
        }
    }
    let gates = |spec: &Value| spec["schedulingGates"].as_array().cloned().unwrap_or_default();
    let mut free = vec![
        "activeDeadlineSeconds",
        "terminationGracePeriodSeconds",
        "tolerations",
        "schedulingGates",
    ];
    if !gates(before).is_empty() {
        // What a gated pod asks of its node can still be narrowed down.
        free.extend(["nodeSelector", "affinity"]);
    }
    for field in free {
        match before.get(field) {
            Some(value) => allowed[field] = value.clone(),
            None => {
                allowed.as_object_mut().map(|fields| fields.shift_remove(field));
            }
        }
    }
    let mut errors = Vec::new();
    for gate in gates(after).iter().filter(|gate| !gates(before).contains(gate)) {
        let name = gate["name"].as_str().unwrap_or_default();
        let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
        errors.push(FieldError::forbidden("spec.schedulingGates", &detail));
    }
    let kept = before["tolerations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let now = after["tolerations"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !kept.iter().all(|toleration| now.contains(toleration)) {
        errors.push(FieldError::forbidden(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        ));
    }
    if allowed != *before {
        let detail = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        errors.push(FieldError::forbidden("spec", detail));
    }
    errors
}
