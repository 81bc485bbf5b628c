//! What is wrong with a workload, and what of one may not change.

use serde_json::{Value, json};

use super::told_selector;
use crate::apimachinery::meta::{check_labels, check_qualified};
use crate::apimachinery::schema::Path;
use crate::apimachinery::selectors::LabelSelector;
use crate::apimachinery::status::FieldError;
use crate::apimachinery::validation::{Complaints, claim, items, pod, scheduling, words};
use crate::store::fields_of;

/// Complaints about a Deployment.
pub(super) fn validate_deployment(deployment: &Value) -> Vec<FieldError> {
    let spec = &deployment["spec"];
    let mut errors = Vec::new();
    at_least_zero(
        spec,
        &["replicas", "minReadySeconds", "revisionHistoryLimit"],
        "spec",
        &mut errors,
    );
    check_selector(spec, "deployment", &mut errors);
    let strategy = &spec["strategy"];
    match strategy["type"].as_str() {
        Some("Recreate") if strategy["rollingUpdate"].is_object() => errors.push(FieldError::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        )),
        Some("Recreate") => {}
        Some("RollingUpdate") => {
            let path = "spec.strategy.rollingUpdate";
            check_rolling(&strategy["rollingUpdate"], path, &mut errors);
        }
        _ => {
            let allowed = ["Recreate", "RollingUpdate"].map(Value::from);
            errors.push(FieldError::not_supported(
                "spec.strategy",
                &told_strategy(strategy, &["maxUnavailable", "maxSurge"]),
                &allowed,
            ));
        }
    }
    if let Some(deadline) = spec["progressDeadlineSeconds"].as_i64() {
        at_least_zero(spec, &["progressDeadlineSeconds"], "spec", &mut errors);
        if deadline <= spec["minReadySeconds"].as_i64().unwrap_or(0) {
            let path = "spec.progressDeadlineSeconds";
            let detail = "must be greater than minReadySeconds";
            errors.push(FieldError::invalid(path, &spec["progressDeadlineSeconds"], detail));
        }
    }
    check_template(spec, "spec.template", &["Always"], &mut errors);
    no_deadline(spec, "ReplicaSet", &mut errors);
    errors
}

/// Complaints about a ReplicaSet.
pub(super) fn validate_replica_set(set: &Value) -> Vec<FieldError> {
    let spec = &set["spec"];
    let mut errors = Vec::new();
    at_least_zero(spec, &["replicas", "minReadySeconds"], "spec", &mut errors);
    check_selector(spec, "replicaset", &mut errors);
    check_template(spec, "spec.template", &["Always"], &mut errors);
    no_deadline(spec, "ReplicaSet", &mut errors);
    errors
}

/// Complaints about a ReplicationController.
pub(super) fn validate_replication_controller(controller: &Value) -> Vec<FieldError> {
    let spec = &controller["spec"];
    let mut errors = Vec::new();
    at_least_zero(spec, &["replicas", "minReadySeconds"], "spec", &mut errors);
    let selector = LabelSelector::from_map(&spec["selector"]);
    if selector.is_empty() {
        errors.push(FieldError::required("spec.selector", ""));
    }
    if !spec["template"].is_object() {
        errors.push(FieldError::required("spec.template", ""));
        return errors;
    }
    template_matches(spec, &selector, &mut errors);
    check_template(spec, "spec.template", &["Always"], &mut errors);
    no_deadline(spec, "ReplicationController", &mut errors);
    errors
}

/// Complaints about a StatefulSet.
pub(super) fn validate_stateful_set(set: &Value) -> Vec<FieldError> {
    let spec = &set["spec"];
    let mut errors = Vec::new();
    let policy = &spec["podManagementPolicy"];
    if *policy != "OrderedReady" && *policy != "Parallel" {
        let detail = "must be 'OrderedReady' or 'Parallel'";
        errors.push(FieldError::invalid("spec.podManagementPolicy", policy, detail));
    }
    let rolling = &spec["updateStrategy"]["rollingUpdate"];
    if !["OnDelete", "RollingUpdate"]
        .iter()
        .any(|kind| spec["updateStrategy"]["type"] == *kind)
    {
        let told = told_strategy(&spec["updateStrategy"], &["partition", "maxUnavailable"]);
        let detail = "must be 'RollingUpdate' or 'OnDelete'";
        errors.push(FieldError::invalid("spec.updateStrategy", &told, detail));
    }
    if spec["updateStrategy"]["type"] == "OnDelete" && rolling.is_object() {
        errors.push(FieldError::invalid(
            "spec.updateStrategy.rollingUpdate",
            rolling,
            "only allowed for updateStrategy 'RollingUpdate'",
        ));
    }
    at_least_zero(
        rolling,
        &["partition"],
        "spec.updateStrategy.rollingUpdate",
        &mut errors,
    );
    if !rolling["maxUnavailable"].is_null() {
        let path = "spec.updateStrategy.rollingUpdate.maxUnavailable";
        errors.push(FieldError::forbidden(
            path,
            "the feature MaxUnavailableStatefulSet is not enabled here",
        ));
    }
    for moment in ["whenDeleted", "whenScaled"] {
        let path = format!("spec.persistentVolumeClaimRetentionPolicy.{moment}");
        let value = &spec["persistentVolumeClaimRetentionPolicy"][moment];
        one_of(value, &path, &["Retain", "Delete"], &mut errors);
    }
    at_least_zero(spec, &["replicas", "minReadySeconds"], "spec", &mut errors);
    at_least_zero(&spec["ordinals"], &["start"], "spec.ordinals", &mut errors);
    check_selector(spec, "statefulset", &mut errors);
    // Volumes of claim templates are added to each pod; a mount of one is not a mount of nothing.
    let mut completed = spec.clone();
    let claims = spec["volumeClaimTemplates"].as_array().into_iter().flatten();
    let mut volumes: Vec<Value> = claims
        .map(|claim| json!({"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}))
        .collect();
    // Of two templates of a name the real server says nothing.
    let mut names: Vec<Value> = Vec::new();
    volumes.retain(|volume| {
        let new = !names.contains(&volume["name"]);
        names.push(volume["name"].clone());
        new
    });
    if !volumes.is_empty() && completed["template"]["spec"].is_object() {
        let own = spec["template"]["spec"]["volumes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let replaced = |volume: &Value| volumes.iter().any(|claim| claim["name"] == volume["name"]);
        let kept = own.into_iter().filter(|volume| !replaced(volume));
        completed["template"]["spec"]["volumes"] = kept.chain(volumes.clone()).collect();
    }
    // Pods of a set are called after it, so the real server takes any hostname; Spark's allocator writes one with capitals.
    if let Some(pod) = completed["template"]["spec"].as_object_mut() {
        pod.remove("hostname");
    }
    check_template(&completed, "spec.template", &["Always"], &mut errors);
    no_deadline(spec, "StatefulSet", &mut errors);
    errors
}

/// Complaints about a StatefulSet that is new: what may not change is not looked at again.
pub(super) fn validate_new_stateful_set(set: &Value) -> Vec<FieldError> {
    let mut said = Complaints::default();
    let at = Path::Start("spec");
    let service = set["spec"]["serviceName"].as_str().unwrap_or_default();
    if !service.is_empty() {
        said.text(&at.field("serviceName"), service, words::label(service));
    }
    let list = at.field("volumeClaimTemplates");
    for (index, claim) in items(&set["spec"]["volumeClaimTemplates"]) {
        claim::check(&claim["spec"], &list.item(index).field("spec"), &mut said);
    }
    said.0
}

/// An update strategy as the real server tells it: by the names of its structures.
fn told_strategy(strategy: &Value, fields: &[&str]) -> Value {
    let rolling = &strategy["rollingUpdate"];
    let capital = |field: &str| field[..1].to_uppercase() + &field[1..];
    let inner = || {
        fields
            .iter()
            .map(|field| (capital(field), rolling[*field].clone()))
            .collect()
    };
    let rolling = if rolling.is_object() {
        Value::Object(inner())
    } else {
        Value::Null
    };
    json!({"Type": strategy["type"], "RollingUpdate": rolling})
}

/// Complaints about a DaemonSet.
pub(super) fn validate_daemon_set(set: &Value) -> Vec<FieldError> {
    let spec = &set["spec"];
    let mut errors = Vec::new();
    match spec["updateStrategy"]["type"].as_str() {
        Some("OnDelete") => {}
        Some("RollingUpdate") => check_rolling_daemons(&spec["updateStrategy"]["rollingUpdate"], &mut errors),
        _ => {
            let told = told_strategy(&spec["updateStrategy"], &["maxUnavailable", "maxSurge"]);
            let allowed = ["RollingUpdate", "OnDelete"].map(Value::from);
            errors.push(FieldError::not_supported("spec.updateStrategy", &told, &allowed));
        }
    }
    at_least_zero(spec, &["minReadySeconds", "revisionHistoryLimit"], "spec", &mut errors);
    check_selector(spec, "daemonset", &mut errors);
    check_template(spec, "spec.template", &["Always"], &mut errors);
    no_deadline(spec, "DaemonSet", &mut errors);
    errors
}

/// Complaints about a changed selector.
pub(super) fn same_selector(old: &Value, new: &Value) -> Vec<FieldError> {
    if old["spec"]["selector"] == new["spec"]["selector"] {
        return Vec::new();
    }
    vec![FieldError::invalid(
        "spec.selector",
        &told_selector(&new["spec"]["selector"]),
        "field is immutable",
    )]
}

/// Complaints about a change of a StatefulSet.
pub(super) fn validate_stateful_set_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let fixed = |set: &Value| {
        let mut spec = set["spec"].clone();
        let free = [
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        ];
        if let Some(fields) = spec.as_object_mut() {
            fields.retain(|name, _| !free.contains(&name.as_str()));
        }
        spec
    };
    if fixed(old) == fixed(new) {
        return Vec::new();
    }
    let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
    vec![FieldError::forbidden("spec", detail)]
}

/// Complaints about numbers below zero.
pub(super) fn at_least_zero(object: &Value, fields: &[&str], path: &str, errors: &mut Vec<FieldError>) {
    for field in fields {
        if object[*field].as_i64().is_some_and(|number| number < 0) {
            let path = format!("{path}.{field}");
            errors.push(FieldError::invalid(
                &path,
                &object[*field],
                "must be greater than or equal to 0",
            ));
        }
    }
}

/// Complaints about a word that is not one of those allowed.
pub(super) fn one_of(value: &Value, path: &str, allowed: &[&str], errors: &mut Vec<FieldError>) {
    if !value.is_null() && !value.as_str().is_some_and(|text| allowed.contains(&text)) {
        let allowed: Vec<Value> = allowed.iter().map(|text| Value::from(*text)).collect();
        errors.push(FieldError::not_supported(path, value, &allowed));
    }
}

fn check_selector(spec: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    if !spec["selector"].is_object() {
        if kind != "daemonset" {
            errors.push(FieldError::required("spec.selector", ""));
        }
        // What selects nothing matches no labels.
        let labels = spec["template"]["metadata"]["labels"].clone();
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid("spec.template.metadata.labels", &labels, detail));
        return;
    }
    let wrong = selector_errors(&spec["selector"], "spec.selector");
    let right = wrong.is_empty();
    errors.extend(wrong);
    let selector = LabelSelector::from_selector(&spec["selector"]);
    if selector.is_empty() {
        // The real server says so of a ReplicaSet too.
        let kind = if kind == "replicaset" { "deployment" } else { kind };
        let detail = format!("empty selector is invalid for {kind}");
        errors.push(FieldError::invalid("spec.selector", &spec["selector"], &detail));
    } else if right {
        template_matches(spec, &selector, errors);
    } else if kind != "daemonset" {
        let detail = if kind == "statefulset" {
            ""
        } else {
            "invalid label selector"
        };
        errors.push(FieldError::invalid(
            "spec.selector",
            &told_selector(&spec["selector"]),
            detail,
        ));
    }
}

/// Complaints about the conditions of a structured selector.
pub(super) fn selector_errors(selector: &Value, path: &str) -> Vec<FieldError> {
    let mut said = Complaints::default();
    scheduling::check_selector(selector, &Path::Start(path), &mut said);
    said.0
}

fn template_matches(spec: &Value, selector: &LabelSelector, errors: &mut Vec<FieldError>) {
    if selector.is_empty() {
        return;
    }
    if !selector.matches(&fields_of(&spec["template"])) {
        let labels = spec["template"]["metadata"]["labels"].clone();
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid("spec.template.metadata.labels", &labels, detail));
    }
}

/// Complaints about the template of a workload's pods.
pub(super) fn check_template(spec: &Value, path: &str, policies: &[&str], errors: &mut Vec<FieldError>) {
    let template = &spec["template"];
    errors.extend(check_labels(&template["metadata"]["labels"], &format!("{path}.labels")));
    let annotations = template["metadata"]["annotations"].as_object();
    for (key, _) in annotations.into_iter().flatten() {
        errors.extend(check_qualified(&key.to_lowercase(), &format!("{path}.annotations")));
    }
    let policy = template["spec"]["restartPolicy"].as_str().unwrap_or_default();
    let place = format!("{path}.spec.restartPolicy");
    if !policies.contains(&policy) {
        if policies.len() > 1 && matches!(policy, "" | "Always") {
            errors.push(FieldError::required(&place, "valid values: \"OnFailure\", \"Never\""));
        } else {
            let allowed: Vec<Value> = policies.iter().map(|text| Value::from(*text)).collect();
            errors.push(FieldError::not_supported(&place, &policy.into(), &allowed));
        }
    }
    let mut said = Complaints::default();
    pod::check(template, &Path::Field(&Path::Start(path), "spec"), &mut said);
    errors.append(&mut said.0);
}

fn no_deadline(spec: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    if !spec["template"]["spec"]["activeDeadlineSeconds"].is_null() {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.push(FieldError::forbidden(
            "spec.template.spec.activeDeadlineSeconds",
            &detail,
        ));
    }
}

/// Of a DaemonSet either some pods are missing meanwhile, or there are some more, on each node.
fn check_rolling_daemons(rolling: &Value, errors: &mut Vec<FieldError>) {
    let path = |field: &str| format!("spec.updateStrategy.rollingUpdate.{field}");
    let some = |value: &Value| {
        let text = value.as_str().and_then(|text| text.strip_suffix('%'));
        value.as_i64().or_else(|| text?.parse().ok()).unwrap_or(0) != 0
    };
    let (missing, more) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
    number_or_percent(missing, &path("maxUnavailable"), errors);
    number_or_percent(more, &path("maxSurge"), errors);
    match (some(missing), some(more)) {
        (false, false) => {
            let detail = "cannot be 0 when maxSurge is 0";
            errors.push(FieldError::required(&path("maxUnavailable"), detail));
        }
        (true, true) => {
            let detail = "may not be set when maxUnavailable is non-zero";
            errors.push(FieldError::invalid(&path("maxSurge"), more, detail));
        }
        _ => {}
    }
    for field in ["maxUnavailable", "maxSurge"] {
        let text = rolling[field].as_str().and_then(|text| text.strip_suffix('%'));
        if text
            .and_then(|text| text.parse::<i64>().ok())
            .is_some_and(|percent| percent > 100)
        {
            let detail = "must not be greater than 100%";
            errors.push(FieldError::invalid(&path(field), &rolling[field], detail));
        }
    }
}

fn check_rolling(rolling: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for field in ["maxUnavailable", "maxSurge"] {
        number_or_percent(&rolling[field], &format!("{path}.{field}"), errors);
    }
    let is_zero = |value: &Value| matches!(value.as_i64(), Some(0)) || value == "0%" || value.is_null();
    if is_zero(&rolling["maxUnavailable"]) && is_zero(&rolling["maxSurge"]) {
        let detail = "may not be 0 when `maxSurge` is 0";
        errors.push(FieldError::invalid(
            &format!("{path}.maxUnavailable"),
            &rolling["maxUnavailable"],
            detail,
        ));
    }
    let percent = |value: &Value| {
        value
            .as_str()
            .and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok())
    };
    if percent(&rolling["maxUnavailable"]).is_some_and(|percent| percent > 100) {
        let detail = "must not be greater than 100%";
        errors.push(FieldError::invalid(
            &format!("{path}.maxUnavailable"),
            &rolling["maxUnavailable"],
            detail,
        ));
    }
}

/// Complaints about what must be a count or a percentage.
pub(super) fn number_or_percent(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Null => {}
        Value::Number(number) if number.as_i64().is_some_and(|number| number >= 0) => {}
        Value::Number(_) => errors.push(FieldError::invalid(path, value, "must be greater than or equal to 0")),
        Value::String(text)
            if text
                .strip_suffix('%')
                .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())) => {}
        _ => {
            let detail = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
            errors.push(FieldError::invalid(path, value, detail));
        }
    }
}
