//! HorizontalPodAutoscalers: defaults, what is wrong, and the two versions of one object.
//!
//! They are stored as `autoscaling/v2`. Version 1 names one metric only, the processors' use; every other metric, and how to behave, stand in
//! annotations there, so that an object read and written in version 1 loses nothing.

use serde_json::{Map, Value, json};

use crate::apimachinery::status::FieldError;

/// What version 1 cannot name: section and field in version 2, annotation in version 1. The annotations hold the fields of version 2 as they are.
const CARRIED: [(&str, &str, &str); 4] = [
    ("spec", "metrics", "autoscaling.alpha.kubernetes.io/metrics"),
    ("spec", "behavior", "autoscaling.alpha.kubernetes.io/behavior"),
    (
        "status",
        "currentMetrics",
        "autoscaling.alpha.kubernetes.io/current-metrics",
    ),
    ("status", "conditions", "autoscaling.alpha.kubernetes.io/conditions"),
];
/// The metric that version 1 names.
const PERCENTAGE: &str = "targetCPUUtilizationPercentage";
/// The same, as it is now.
const PERCENTAGE_NOW: &str = "currentCPUUtilizationPercentage";
/// Wanted use of the requested processors where nothing is said, per cent.
const USUAL: u64 = 80;

/// Fills what may be left out, in the version that is sent.
pub(super) fn default(version: &str, scaler: &mut Value) {
    let Some(spec) = scaler["spec"].as_object_mut() else {
        return;
    };
    let unset = |spec: &Map<String, Value>, name: &str| spec.get(name).is_none_or(Value::is_null);
    if unset(spec, "minReplicas") {
        spec.insert("minReplicas".to_owned(), 1.into());
    }
    let empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    if version != "v1" {
        if spec.get("metrics").is_none_or(empty) {
            spec.insert("metrics".to_owned(), json!([processors(&USUAL.into())]));
        }
    } else if unset(spec, PERCENTAGE) {
        let (_, _, annotation) = CARRIED[0];
        if scaler["metadata"]["annotations"][annotation].is_null() {
            scaler["spec"][PERCENTAGE] = USUAL.into();
        }
    }
}

/// Complaints about an autoscaler, of either version.
pub(super) fn validate(scaler: &Value) -> Vec<FieldError> {
    let spec = &scaler["spec"];
    let mut errors = Vec::new();
    for field in ["kind", "name"] {
        if spec["scaleTargetRef"][field].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(&format!("spec.scaleTargetRef.{field}"), ""));
        }
    }
    let (least, most) = (spec["minReplicas"].as_i64().unwrap_or(1), spec["maxReplicas"].as_i64());
    if least < 1 {
        let detail = "must be greater than or equal to 1";
        errors.push(FieldError::invalid("spec.minReplicas", &spec["minReplicas"], detail));
    }
    match most {
        None => errors.push(FieldError::required("spec.maxReplicas", "")),
        Some(most) if most < 1 => errors.push(FieldError::invalid(
            "spec.maxReplicas",
            &most.into(),
            "must be greater than 0",
        )),
        Some(most) if most < least => {
            let detail = "must be greater than or equal to `minReplicas`";
            errors.push(FieldError::invalid("spec.maxReplicas", &most.into(), detail));
        }
        Some(_) => {}
    }
    for (section, field, annotation) in CARRIED {
        if let Some(text) = scaler["metadata"]["annotations"][annotation].as_str()
            && serde_json::from_str::<Value>(text).is_err()
        {
            let path = format!("metadata.annotations[{annotation}]");
            let detail = format!("must be {section}.{field} of autoscaling/v2 as JSON");
            errors.push(FieldError::invalid(&path, &text.into(), &detail));
        }
    }
    errors
}

/// From version 1 to version 2.
pub fn to_v2(scaler: &mut Value) {
    scaler["apiVersion"] = "autoscaling/v2".into();
    let named = |percentage: Option<Value>, metric: fn(&Value) -> Value| {
        let said = percentage.filter(|value| !value.is_null());
        said.map(|value| metric(&value))
    };
    let wanted = named(remove(scaler, "/spec", PERCENTAGE), processors);
    let now = named(remove(scaler, "/status", PERCENTAGE_NOW), processors_now);
    for (section, field, annotation) in CARRIED {
        let text = remove(scaler, "/metadata/annotations", annotation);
        let carried = text.and_then(|text| serde_json::from_str(text.as_str()?).ok());
        if let Some(carried) = carried {
            scaler[section][field] = carried;
        }
    }
    for (section, field, metric) in [("spec", "metrics", wanted), ("status", "currentMetrics", now)] {
        let Some(metric) = metric else { continue };
        match scaler[section][field].as_array_mut() {
            Some(others) => others.insert(0, metric),
            None => scaler[section][field] = json!([metric]),
        }
    }
    if scaler["metadata"]["annotations"].as_object().is_some_and(Map::is_empty) {
        remove(scaler, "/metadata", "annotations");
    }
}

/// From version 2 to version 1.
pub fn to_v1(scaler: &mut Value) {
    scaler["apiVersion"] = "autoscaling/v1".into();
    for (section, field, annotation) in CARRIED {
        let Some(mut value) = remove(scaler, &format!("/{section}"), field) else {
            continue;
        };
        let first = value.as_array_mut().filter(|metrics| !metrics.is_empty());
        let named = first.and_then(|metrics| {
            let name = named_in_v1(field, metrics.first()?)?;
            metrics.remove(0);
            Some(name)
        });
        if let Some((name, percentage)) = named {
            scaler[section][name] = percentage;
            if value.as_array().is_some_and(Vec::is_empty) {
                continue;
            }
        }
        scaler["metadata"]["annotations"][annotation] = value.to_string().into();
    }
}

/// The field of version 1 for a metric, and its value, if it has one.
fn named_in_v1(field: &str, metric: &Value) -> Option<(&'static str, Value)> {
    let resource = &metric["resource"];
    let (name, percentage, same): (_, _, fn(&Value) -> Value) = match field {
        "metrics" => (PERCENTAGE, &resource["target"]["averageUtilization"], processors),
        "currentMetrics" => (
            PERCENTAGE_NOW,
            &resource["current"]["averageUtilization"],
            processors_now,
        ),
        _ => return None,
    };
    (*metric == same(percentage)).then(|| (name, percentage.clone()))
}

/// The metric of version 2 that version 1 has a field for.
fn processors(percentage: &Value) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percentage});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

fn processors_now(percentage: &Value) -> Value {
    json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percentage}}})
}

/// Takes a field out; `section` is a JSON pointer.
fn remove(value: &mut Value, section: &str, name: &str) -> Option<Value> {
    value.pointer_mut(section)?.as_object_mut()?.shift_remove(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaler(version: &str, spec: Value) -> Value {
        json!({"apiVersion": format!("autoscaling/{version}"), "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": spec})
    }

    #[test]
    fn nothing_is_lost_between_the_versions() {
        let target = json!({"kind": "Deployment", "name": "web"});
        let memory = json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}});
        let specs = [
            json!({"scaleTargetRef": target, "maxReplicas": 3, "metrics": [processors(&60.into())]}),
            json!({"scaleTargetRef": target, "maxReplicas": 3, "metrics": [processors(&60.into()), memory]}),
            json!({"scaleTargetRef": target, "maxReplicas": 3, "metrics": [memory, processors(&60.into())]}),
            json!({"scaleTargetRef": target, "maxReplicas": 3, "metrics": [processors(&60.into())], "behavior": {"scaleDown": {"stabilizationWindowSeconds": 30}}}),
        ];
        for spec in specs {
            let mut stored = scaler("v2", spec);
            let now = json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 7, "averageValue": "70m"}}});
            stored["status"] =
                json!({"currentMetrics": [now], "conditions": [{"type": "AbleToScale", "status": "True"}]});
            let mut seen = stored.clone();
            to_v1(&mut seen);
            assert_eq!(seen["apiVersion"], "autoscaling/v1");
            assert!(
                seen["spec"]["metrics"].is_null() && seen["spec"]["behavior"].is_null(),
                "{seen}"
            );
            to_v2(&mut seen);
            assert_eq!(seen, stored);
        }
    }

    #[test]
    fn the_percentage_of_version_1_is_a_metric_of_version_2() {
        let mut sent = scaler(
            "v1",
            json!({"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3}),
        );
        default("v1", &mut sent);
        assert_eq!(
            (&sent["spec"]["minReplicas"], &sent["spec"][PERCENTAGE]),
            (&json!(1), &json!(80))
        );
        sent["spec"][PERCENTAGE] = 55.into();
        sent["status"] = json!({"currentReplicas": 2, "currentCPUUtilizationPercentage": 7});
        let before = sent.clone();
        to_v2(&mut sent);
        assert_eq!(sent["spec"]["metrics"], json!([processors(&55.into())]));
        assert_eq!(
            sent["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"],
            7
        );
        to_v1(&mut sent);
        assert_eq!(sent, before);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let words = |spec: Value| -> Vec<String> {
            validate(&scaler("v2", spec))
                .iter()
                .map(|error| format!("{error:?}"))
                .collect()
        };
        let target = json!({"kind": "Deployment", "name": "web"});
        assert!(words(json!({"scaleTargetRef": target, "maxReplicas": 1})).is_empty());
        for (spec, field) in [
            (
                json!({"scaleTargetRef": {"kind": "Deployment"}, "maxReplicas": 1}),
                "spec.scaleTargetRef.name",
            ),
            (json!({"scaleTargetRef": target}), "spec.maxReplicas"),
            (
                json!({"scaleTargetRef": target, "maxReplicas": 0}),
                "must be greater than 0",
            ),
            (
                json!({"scaleTargetRef": target, "maxReplicas": 2, "minReplicas": 3}),
                "`minReplicas`",
            ),
            (
                json!({"scaleTargetRef": target, "maxReplicas": 2, "minReplicas": 0}),
                "spec.minReplicas",
            ),
        ] {
            let said = words(spec);
            assert!(said.iter().any(|text| text.contains(field)), "{field}: {said:?}");
        }
        let mut broken = scaler("v1", json!({"scaleTargetRef": target, "maxReplicas": 1}));
        broken["metadata"]["annotations"] = json!({CARRIED[0].2: "[{"});
        assert_eq!(validate(&broken).len(), 1);
    }
}
