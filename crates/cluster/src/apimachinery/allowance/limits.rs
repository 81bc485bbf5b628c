//! LimitRanges: what containers get that ask for nothing, and how much containers, pods and claims may ask for.

use serde_json::{Value, json};

use super::resources::{Amounts, of_pod, read, written};
use crate::apimachinery::meta::write_empty;

/// Fills what a LimitRange may leave out: a default limit is the maximum, a default request the default limit or the minimum.
pub fn default(range: &mut Value) {
    if range["spec"].is_object() {
        write_empty(&mut range["spec"], "limits");
    }
    for item in range
        .pointer_mut("/spec/limits")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if item["type"] != "Container" {
            continue;
        }
        for (target, source) in [
            ("default", "max"),
            ("defaultRequest", "default"),
            ("defaultRequest", "min"),
        ] {
            let Some(from) = item[source].as_object().cloned() else {
                continue;
            };
            for (name, quantity) in from {
                if item[target][&name].is_null() {
                    item[target][&name] = quantity;
                }
            }
        }
    }
}

/// Gives a pod's containers the defaults of a range, and notes that in an annotation.
pub fn apply(range: &Value, pod: &mut Value) {
    let mut notes = Vec::new();
    for item in items(range, "Container") {
        for list in ["initContainers", "containers"] {
            let containers = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                let kind = if list == "containers" {
                    "container"
                } else {
                    "init container"
                };
                for (part, source, word) in [
                    ("requests", "defaultRequest", "request"),
                    ("limits", "default", "limit"),
                ] {
                    let mut set = Vec::new();
                    for (name, quantity) in item[source].as_object().into_iter().flatten() {
                        if container["resources"][part][name].is_null() {
                            container["resources"][part][name] = quantity.clone();
                            set.push(name.as_str());
                        }
                    }
                    if !set.is_empty() {
                        let container = container["name"].as_str().unwrap_or_default();
                        notes.push(format!("{} {word} for {kind} {container}", set.join(", ")));
                    }
                }
            }
        }
    }
    if !notes.is_empty() {
        let note = format!("LimitRanger plugin set: {}", notes.join("; "));
        if !pod["metadata"]["annotations"].is_object() {
            pod["metadata"]["annotations"] = json!({});
        }
        pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"] = note.into();
    }
}

fn items<'a>(range: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let items = range["spec"]["limits"].as_array().into_iter().flatten();
    items.filter(move |item| item["type"] == kind)
}

/// What a pod violates of a range.
pub fn of_pod_violations(range: &Value, pod: &Value) -> Vec<String> {
    let spec = &pod["spec"];
    let mut found = Vec::new();
    for item in items(range, "Container") {
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array().into_iter().flatten() {
                let (requests, limits) = (
                    read(&container["resources"]["requests"]),
                    read(&container["resources"]["limits"]),
                );
                check(item, "Container", &requests, &limits, &mut found);
            }
        }
    }
    for item in items(range, "Pod") {
        let (requests, limits) = (of_pod(spec, "requests"), of_pod(spec, "limits"));
        check(item, "Pod", &requests, &limits, &mut found);
    }
    found
}

/// What a claim violates of a range.
pub fn of_claim_violations(range: &Value, claim: &Value) -> Vec<String> {
    let kind = "PersistentVolumeClaim";
    let mut found = Vec::new();
    for item in items(range, kind) {
        let requests = read(&claim["spec"]["resources"]["requests"]);
        minimum(item, kind, &requests, &Amounts::new(), &mut found);
        for (name, most) in read(&item["max"]) {
            let request = requests.get(&name).copied();
            let text = |amount| written(&name, amount);
            if let Some(request) = request.filter(|request| *request > most) {
                let bound = text(most);
                found.push(format!(
                    "maximum {name} usage per {kind} is {bound}, but request is {}",
                    text(request)
                ));
            }
        }
    }
    found
}

fn check(item: &Value, kind: &str, requests: &Amounts, limits: &Amounts, found: &mut Vec<String>) {
    minimum(item, kind, requests, limits, found);
    for (name, most) in read(&item["max"]) {
        let head = format!("maximum {name} usage per {kind} is {}", written(&name, most));
        match (limits.get(&name), requests.get(&name)) {
            (None, _) => found.push(format!("{head}.  No limit is specified")),
            (Some(limit), _) if *limit > most => found.push(format!("{head}, but limit is {}", written(&name, *limit))),
            (_, Some(request)) if *request > most => {
                found.push(format!("{head}, but request is {}", written(&name, *request)));
            }
            _ => {}
        }
    }
    for (name, most) in read(&item["maxLimitRequestRatio"]) {
        let head = format!(
            "{name} max limit to request ratio per {kind} is {}",
            written(&name, most)
        );
        let of = |amounts: &Amounts| amounts.get(&name).copied().filter(|amount| *amount > 0);
        match (of(requests), of(limits)) {
            (None, _) => found.push(format!("{head}, but no request is specified or request is 0")),
            (_, None) => found.push(format!("{head}, but no limit is specified or limit is 0")),
            (Some(request), Some(limit)) => {
                // Compared in whole numbers: limit / request > ratio, where the ratio is in billionths.
                let too_much = limit.saturating_mul(1_000_000_000) > most.saturating_mul(request);
                if too_much {
                    #[allow(clippy::cast_precision_loss, reason = "for a message only")]
                    let ratio = limit as f64 / request as f64;
                    found.push(format!("{head}, but provided ratio is {ratio:.6}"));
                }
            }
        }
    }
}

fn minimum(item: &Value, kind: &str, requests: &Amounts, limits: &Amounts, found: &mut Vec<String>) {
    for (name, least) in read(&item["min"]) {
        let head = format!("minimum {name} usage per {kind} is {}", written(&name, least));
        match (requests.get(&name), limits.get(&name)) {
            (None, _) => found.push(format!("{head}.  No request is specified")),
            (Some(request), _) if *request < least => {
                found.push(format!("{head}, but request is {}", written(&name, *request)));
            }
            (_, Some(limit)) if *limit < least => {
                found.push(format!("{head}, but limit is {}", written(&name, *limit)))
            }
            _ => {}
        }
    }
}

/// Several violations as one sentence.
pub fn sentence(mut violations: Vec<String>) -> Option<String> {
    match violations.len() {
        0 => None,
        1 => violations.pop(),
        _ => {
            add_once(&mut violations);
            Some(format!("[{}]", violations.join(", ")))
        }
    }
}

/// The same violation of two containers is told once.
fn add_once(violations: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    violations.retain(|violation| seen.insert(violation.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(item: Value) -> Value {
        let mut range = json!({"spec": {"limits": [item]}});
        default(&mut range);
        range
    }

    fn pod(resources: Value) -> Value {
        json!({"metadata": {}, "spec": {"containers": [{"name": "c", "resources": resources}]}})
    }

    #[test]
    fn defaults_follow_from_the_bounds() {
        let filled = range(json!({"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "100m", "memory": "1Mi"}}));
        let item = &filled["spec"]["limits"][0];
        assert_eq!(item["default"], json!({"cpu": "1"}));
        assert_eq!(item["defaultRequest"], json!({"cpu": "1", "memory": "1Mi"}));
    }

    #[test]
    fn containers_get_what_they_do_not_ask_for() {
        let range = range(
            json!({"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "200m", "memory": "8Mi"}}),
        );
        let mut pod = pod(json!({"requests": {"memory": "1Mi"}}));
        apply(&range, &mut pod);
        let resources = &pod["spec"]["containers"][0]["resources"];
        assert_eq!(
            *resources,
            json!({"requests": {"memory": "1Mi", "cpu": "200m"}, "limits": {"cpu": "1"}})
        );
        assert_eq!(
            pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
            "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
        );
    }

    #[test]
    fn bounds_are_told_in_the_published_words() {
        let bounds = json!({"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "2"}});
        let range = json!({"spec": {"limits": [bounds]}});
        for (resources, expected) in [
            (json!({"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}), vec![]),
            (
                json!({"requests": {"cpu": "50m"}, "limits": {"cpu": "100m"}}),
                vec!["minimum cpu usage per Container is 100m, but request is 50m"],
            ),
            (
                json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}),
                vec!["maximum cpu usage per Container is 1, but limit is 2"],
            ),
            (
                json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}}),
                vec!["cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000"],
            ),
            (
                json!({}),
                vec![
                    "minimum cpu usage per Container is 100m.  No request is specified",
                    "maximum cpu usage per Container is 1.  No limit is specified",
                    "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
                ],
            ),
        ] {
            assert_eq!(of_pod_violations(&range, &pod(resources)), expected);
        }
        let claims = json!({"spec": {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "2Gi"}, "min": {"storage": "1Gi"}}]}});
        let claim = |size: &str| json!({"spec": {"resources": {"requests": {"storage": size}}}});
        assert!(of_claim_violations(&claims, &claim("2Gi")).is_empty());
        assert_eq!(
            of_claim_violations(&claims, &claim("3Gi")),
            ["maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"]
        );
        assert_eq!(sentence(vec!["a".into(), "b".into(), "a".into()]).unwrap(), "[a, b]");
    }
}
