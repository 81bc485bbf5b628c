//! ResourceQuotas: which of them an object falls under, what it uses, whether that is too much.

use serde_json::Value;

use super::resources::{Amounts, count, of_pod, read, written};
use crate::apimachinery::resources::Resource;

/// Resources of pods that can be limited without a prefix.
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// Plain names that count objects of core kinds.
const COUNTED: [&str; 6] = [
    "configmaps",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
];

/// What an object uses, by the names of quotas.
pub fn usage(resource: &Resource, object: &Value) -> Amounts {
    let one = count(1);
    let mut used = Amounts::from([(format!("count/{}", resource.qualified()), one)]);
    if resource.group.is_empty() && COUNTED.contains(&resource.plural.as_str()) {
        used.insert(resource.plural.clone(), one);
    }
    let spec = &object["spec"];
    match &*resource.key {
        "pods" if !ended(object) => pod(spec, &mut used),
        "services" => match spec["type"].as_str() {
            Some("NodePort") => drop(used.insert("services.nodeports".into(), ports(spec))),
            Some("LoadBalancer") => {
                used.insert("services.loadbalancers".into(), one);
                if spec["allocateLoadBalancerNodePorts"] != false {
                    used.insert("services.nodeports".into(), ports(spec));
                }
            }
            _ => {}
        },
        "persistentvolumeclaims" => {
            let size = read(&spec["resources"]["requests"])
                .get("storage")
                .copied()
                .unwrap_or(0);
            used.insert("requests.storage".into(), size);
            if let Some(class) = spec["storageClassName"].as_str() {
                used.insert(format!("{class}.storageclass.storage.k8s.io/requests.storage"), size);
                used.insert(
                    format!("{class}.storageclass.storage.k8s.io/persistentvolumeclaims"),
                    one,
                );
            }
        }
        _ => {}
    }
    used
}

fn ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn ports(service: &Value) -> i128 {
    count(service["ports"].as_array().map_or(0, Vec::len))
}

fn pod(spec: &Value, used: &mut Amounts) {
    used.insert("pods".into(), count(1));
    for (name, amount) in of_pod(spec, "requests") {
        if COMPUTE.contains(&name.as_str()) || name.starts_with("hugepages-") {
            used.insert(name.clone(), amount);
        }
        used.insert(format!("requests.{name}"), amount);
    }
    for (name, amount) in of_pod(spec, "limits") {
        if COMPUTE.contains(&name.as_str()) {
            used.insert(format!("limits.{name}"), amount);
        }
    }
}

/// Whether a quota's scopes let it count an object.
pub fn in_scope(quota: &Value, resource: &Resource, object: &Value) -> bool {
    let plain = quota["spec"]["scopes"].as_array().into_iter().flatten();
    let plain = plain.map(|scope| (scope.as_str().unwrap_or_default(), "Exists", &Value::Null));
    let selected = quota["spec"]["scopeSelector"]["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten();
    let selected = selected.map(|expression| {
        let text = |field: &str| expression[field].as_str().unwrap_or_default();
        (text("scopeName"), text("operator"), &expression["values"])
    });
    plain.chain(selected).all(|(scope, operator, values)| {
        &*resource.key == "pods" && in_one_scope(scope, operator, values, &object["spec"])
    })
}

fn in_one_scope(scope: &str, operator: &str, values: &Value, spec: &Value) -> bool {
    let terminating = spec["activeDeadlineSeconds"].is_number();
    let best_effort = || {
        let quality = crate::apimachinery::kinds::quality_of_service(spec);
        quality == "BestEffort"
    };
    let affinity = || {
        ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
            let kinds = &spec["affinity"][kind];
            let required = kinds["requiredDuringSchedulingIgnoredDuringExecution"]
                .as_array()
                .into_iter()
                .flatten();
            let preferred = kinds["preferredDuringSchedulingIgnoredDuringExecution"]
                .as_array()
                .into_iter()
                .flatten();
            let mut terms = required.chain(preferred.map(|weighted| &weighted["podAffinityTerm"]));
            terms.any(|term| !term["namespaces"].is_null() || !term["namespaceSelector"].is_null())
        })
    };
    match scope {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => best_effort(),
        "NotBestEffort" => !best_effort(),
        "CrossNamespacePodAffinity" => affinity(),
        "PriorityClass" => {
            let class = spec["priorityClassName"].as_str().filter(|name| !name.is_empty());
            let listed = class.is_some_and(|class| {
                values
                    .as_array()
                    .is_some_and(|list| list.iter().any(|name| name == class))
            });
            match operator {
                "In" => listed,
                "NotIn" => class.is_some() && !listed,
                "DoesNotExist" => class.is_none(),
                _ => class.is_some(),
            }
        }
        _ => false,
    }
}

/// What a change of an object uses more than it did; empty where Kubernetes counts only new objects. Of what exists already only
/// Services (ports, load balancers) and claims (size) may come to use more.
pub fn increase(resource: &Resource, old: &Value, new: &Value) -> Amounts {
    if !matches!(&*resource.key, "services" | "persistentvolumeclaims") {
        return Amounts::new();
    }
    let before = usage(resource, old);
    let mut more = usage(resource, new);
    for (name, amount) in &mut more {
        *amount -= before.get(name).copied().unwrap_or(0);
    }
    more.retain(|_, amount| *amount > 0);
    more
}

/// Why an object that uses `wanted` (more) may not be stored under a quota that limits `hard` and of which `used` is used.
pub fn refusal(
    quota: &str,
    hard: &Amounts,
    used: &Amounts,
    wanted: &Amounts,
    resource: &Resource,
    object: &Value,
) -> Option<String> {
    if &*resource.key == "pods" {
        let missing = unspecified(hard, &object["spec"]);
        if !missing.is_empty() {
            return Some(format!("failed quota: {quota}: must specify {}", missing.join("; ")));
        }
    }
    let at = |amounts: &Amounts, name: &str| amounts.get(name).copied().unwrap_or(0);
    let exceeded: Vec<&String> = hard
        .iter()
        .filter(|(name, most)| at(wanted, name) > 0 && at(used, name) + at(wanted, name) > **most)
        .map(|(name, _)| name)
        .collect();
    if exceeded.is_empty() {
        return None;
    }
    let list = |amounts: &Amounts| {
        let texts = exceeded
            .iter()
            .map(|name| format!("{name}={}", written(name, at(amounts, name))));
        texts.collect::<Vec<_>>().join(",")
    };
    Some(format!(
        "exceeded quota: {quota}, requested: {}, used: {}, limited: {}",
        list(wanted),
        list(used),
        list(hard)
    ))
}

/// Limited compute resources that containers do not specify, with the containers.
fn unspecified(hard: &Amounts, spec: &Value) -> Vec<String> {
    let lists =
        ["initContainers", "containers"].map(|list| spec[list].as_array().map(Vec::as_slice).unwrap_or_default());
    let mut missing = Vec::new();
    for name in hard.keys() {
        let (part, plain) = match name.split_once('.') {
            Some(("requests", plain)) => ("requests", plain),
            Some(("limits", plain)) => ("limits", plain),
            _ => ("requests", name.as_str()),
        };
        if !COMPUTE[..2].contains(&plain) {
            continue;
        }
        let without = lists
            .iter()
            .copied()
            .flatten()
            .filter(|container| container["resources"][part][plain].is_null());
        let names: Vec<&str> = without.filter_map(|container| container["name"].as_str()).collect();
        if !names.is_empty() {
            missing.push(format!("{name} for: {}", names.join(",")));
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apimachinery::resources::Resources;

    fn resource(group: &str, plural: &str) -> std::sync::Arc<Resource> {
        Resources::built_in().find(group, "v1", plural).unwrap()
    }

    fn pod(resources: Value) -> Value {
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "resources": resources}]}, "status": {"phase": "Pending"}})
    }

    #[test]
    fn what_is_too_much_is_told_in_the_published_words() {
        let pods = resource("", "pods");
        let hard = read(&json!({"pods": "2", "requests.cpu": "1", "limits.memory": "1Gi"}));
        let used = read(&json!({"pods": "1", "requests.cpu": "500m"}));
        let small = json!({"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi", "cpu": "1"}});
        let refusal = |pod: &Value| refusal("q", &hard, &used, &usage(&pods, pod), &pods, pod);
        assert_eq!(refusal(&pod(small)), None);
        let large = json!({"requests": {"cpu": "600m"}, "limits": {"memory": "2Gi"}});
        assert_eq!(
            refusal(&pod(large)).unwrap(),
            "exceeded quota: q, requested: limits.memory=2Gi,requests.cpu=600m, used: limits.memory=0,requests.cpu=500m, limited: limits.memory=1Gi,requests.cpu=1"
        );
        assert_eq!(
            refusal(&pod(json!({}))).unwrap(),
            "failed quota: q: must specify limits.memory for: c; requests.cpu for: c"
        );
        let mut done = pod(json!({}));
        done["status"]["phase"] = "Succeeded".into();
        assert_eq!(usage(&pods, &done).keys().collect::<Vec<_>>(), ["count/pods"]);
    }

    #[test]
    fn a_change_counts_by_what_it_uses_more() {
        let claim = |size: &str| json!({"spec": {"resources": {"requests": {"storage": size}}}});
        let claims = resource("", "persistentvolumeclaims");
        let more = increase(&claims, &claim("1Gi"), &claim("3Gi"));
        assert_eq!(more, read(&json!({"requests.storage": "2Gi"})));
        assert!(increase(&claims, &claim("3Gi"), &claim("1Gi")).is_empty());
        let service = |kind: &str| json!({"spec": {"type": kind, "ports": [{}]}});
        let more = increase(&resource("", "services"), &service("ClusterIP"), &service("NodePort"));
        assert_eq!(more, Amounts::from([("services.nodeports".into(), count(1))]));
        let sized = |cpu: &str| pod(json!({"requests": {"cpu": cpu}}));
        assert!(increase(&resource("", "pods"), &sized("1"), &sized("2")).is_empty());
    }

    #[test]
    fn objects_of_every_kind_are_counted() {
        let deployment = usage(&resource("apps", "deployments"), &json!({}));
        assert_eq!(deployment.keys().collect::<Vec<_>>(), ["count/deployments.apps"]);
        let service = json!({"spec": {"type": "LoadBalancer", "ports": [{}, {}]}});
        let used = usage(&resource("", "services"), &service);
        assert_eq!(
            (
                used["services.loadbalancers"],
                used["services.nodeports"],
                used["services"]
            ),
            (count(1), count(2), count(1))
        );
        let claim = json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "3Gi"}}}});
        let used = usage(&resource("", "persistentvolumeclaims"), &claim);
        assert_eq!(
            used["requests.storage"],
            used["fast.storageclass.storage.k8s.io/requests.storage"]
        );
        assert_eq!(
            used["fast.storageclass.storage.k8s.io/persistentvolumeclaims"],
            count(1)
        );
    }

    #[test]
    fn scopes_choose_the_pods_a_quota_counts() {
        let pods = resource("", "pods");
        let plain = json!({"spec": {"containers": [{}]}});
        let deadline =
            json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}], "activeDeadlineSeconds": 5}});
        let urgent = json!({"spec": {"containers": [{}], "priorityClassName": "high"}});
        let scoped = |scope: &str| json!({"spec": {"scopes": [scope]}});
        for (scope, pod, expected) in [
            ("Terminating", &deadline, true),
            ("Terminating", &plain, false),
            ("NotTerminating", &plain, true),
            ("BestEffort", &plain, true),
            ("BestEffort", &deadline, false),
            ("NotBestEffort", &deadline, true),
            ("PriorityClass", &urgent, true),
            ("PriorityClass", &plain, false),
        ] {
            assert_eq!(in_scope(&scoped(scope), &pods, pod), expected, "{scope}");
        }
        let selecting = |operator: &str, values: Value| {
            json!({"spec": {"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": operator, "values": values}]}}})
        };
        assert!(in_scope(&selecting("In", json!(["high"])), &pods, &urgent));
        assert!(!in_scope(&selecting("In", json!(["low"])), &pods, &urgent));
        assert!(in_scope(&selecting("NotIn", json!(["low"])), &pods, &urgent));
        assert!(in_scope(&selecting("DoesNotExist", json!(null)), &pods, &plain));
        assert!(!in_scope(&scoped("BestEffort"), &resource("", "services"), &json!({})));
    }
}
