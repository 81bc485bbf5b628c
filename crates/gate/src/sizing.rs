//! Pods against what their namespace allows: sizes that can never run are told before they wait.
//!
//! Only what holds whatever else runs is an error: a pod outside a limit range, a driver, or a driver with its first executor, above a
//! quota's hard limit. Quotas with scopes are left to the API server, and so is what others use at the moment.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, ResourceQuota};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::quantity::Quantity;
use stoke_model::units::people::counted;

/// What a namespace allows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allowed {
    /// Its limit ranges.
    pub ranges: Vec<LimitRange>,
    pub quotas: Vec<ResourceQuota>,
}

/// The pods of one application.
#[derive(Clone, Copy, Debug)]
pub struct Pods<'a> {
    /// The driver, and the path of its spec: `spec.driver`.
    pub driver: (&'a Value, &'a str),
    /// One executor, and the path of its spec.
    pub executor: Option<(&'a Value, &'a str)>,
    /// How many executors it begins with.
    pub executors: i64,
}

type Amounts = BTreeMap<String, Quantity>;

/// Everything about the sizes of these pods that can be told from what the namespace allows.
#[must_use]
pub fn misfits(pods: &Pods<'_>, allowed: &Allowed) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let roles = [
        Some(("driver", pods.driver)),
        pods.executor.map(|one| ("executor", one)),
    ];
    for (role, (pod, path)) in roles.into_iter().flatten() {
        for range in &allowed.ranges {
            let name = range.metadata.name.as_deref().unwrap_or_default();
            for item in range.spec.iter().flat_map(|spec| &spec.limits) {
                in_range(name, item, role, (pod, path), &mut found);
            }
        }
    }
    for quota in &allowed.quotas {
        in_quota(quota, pods, &mut found);
    }
    found
}

fn in_range(name: &str, item: &LimitRangeItem, role: &str, (pod, path): (&Value, &str), found: &mut Vec<Diagnostic>) {
    let sized: Vec<(String, Amounts, Amounts)> = match item.type_.as_str() {
        "Container" => containers(pod)
            .map(|container| {
                let name = container["name"].as_str().unwrap_or_default();
                let of = |what: &str| amounts(&container["resources"][what]);
                (format!("the {role}'s container {name}"), of("requests"), of("limits"))
            })
            .collect(),
        "Pod" => vec![(format!("the {role} pod"), total(pod, "requests"), total(pod, "limits"))],
        _ => return,
    };
    for (who, requests, limits) in &sized {
        for (resource, most) in bounds(item.max.as_ref()) {
            // A limit is at least the request, so one of the two is enough.
            let asked = [("limits", limits), ("requests", requests)];
            let above = asked
                .iter()
                .find_map(|(what, amounts)| Some((*what, *amounts.get(&resource)?)).filter(|(_, asked)| *asked > most));
            if let Some((what, asked)) = above {
                let message = format!("{who} has {what}.{resource} {asked}; LimitRange `{name}` allows at most {most}");
                let said = Diagnostic::new(Severity::Error, "above-limit-range", message);
                let said = said.with_path(field(path, &resource, what));
                found.push(said.with_fix(format!("ask for less, or have `{name}` raised")));
            }
        }
        for (resource, least) in bounds(item.min.as_ref()) {
            if let Some(asked) = requests.get(&resource).filter(|asked| **asked < least) {
                let message =
                    format!("{who} has requests.{resource} {asked}; LimitRange `{name}` wants at least {least}");
                let said = Diagnostic::new(Severity::Error, "below-limit-range", message);
                found.push(
                    said.with_path(field(path, &resource, "requests"))
                        .with_fix("ask for more"),
                );
            }
        }
    }
}

fn in_quota(quota: &ResourceQuota, pods: &Pods<'_>, found: &mut Vec<Diagnostic>) {
    let Some(spec) = &quota.spec else { return };
    if spec.scopes.as_ref().is_some_and(|scopes| !scopes.is_empty()) || spec.scope_selector.is_some() {
        return;
    }
    let name = quota.metadata.name.as_deref().unwrap_or_default();
    for (key, hard) in bounds(spec.hard.as_ref()) {
        let Some((what, resource)) = count_key(&key) else {
            continue;
        };
        let of = |pod: &Value| match what {
            "pods" => Quantity::from_units(1),
            what => total(pod, what).get(resource).copied().unwrap_or_default(),
        };
        let (driver, driver_path) = pods.driver;
        let driver = of(driver);
        let mut complain = |severity, code: &'static str, path: &str, message: String, fix: String| {
            let said = Diagnostic::new(severity, code, message);
            found.push(said.with_path(field(path, resource, what)).with_fix(fix));
        };
        let raise = format!("have quota `{name}` raised");
        if driver > hard {
            let message = format!("the driver pod has {key} {driver}; ResourceQuota `{name}` allows {hard} in all");
            complain(
                Severity::Error,
                "above-quota",
                driver_path,
                message,
                format!("ask for less, or {raise}"),
            );
            continue;
        }
        let Some((executor, executor_path)) = pods.executor.filter(|_| pods.executors > 0) else {
            continue;
        };
        let executor = of(executor);
        if driver + executor > hard {
            let message = format!(
                "the driver and one executor have {key} {}; ResourceQuota `{name}` allows {hard} in all, so no executor could ever start",
                driver + executor
            );
            complain(
                Severity::Error,
                "above-quota",
                executor_path,
                message,
                format!("ask for less, or {raise}"),
            );
            continue;
        }
        let each = executor.nanos();
        let fit = if each > 0 {
            (hard.nanos() - driver.nanos()) / each
        } else {
            i128::MAX
        };
        if fit < i128::from(pods.executors) {
            let message = format!(
                "{fit} of {} with {key} {executor} each fit beside the driver; ResourceQuota `{name}` allows {hard} in all",
                counted(pods.executors, "executor")
            );
            complain(
                Severity::Warning,
                "quota-too-small",
                executor_path,
                message,
                format!("ask for fewer, or {raise}"),
            );
        }
    }
}

/// Which amounts of pods a quota's key counts: requests or limits of a resource, or pods.
fn count_key(key: &str) -> Option<(&'static str, &str)> {
    match key {
        "pods" | "count/pods" => Some(("pods", "pods")),
        "cpu" | "memory" | "ephemeral-storage" => Some(("requests", key)),
        _ => match key.split_once('.')? {
            // Claims are counted otherwise.
            ("requests", "storage") => None,
            ("requests", resource) => Some(("requests", resource)),
            ("limits", resource) => Some(("limits", resource)),
            _ => None,
        },
    }
}

/// The field by which a size is chosen.
pub(crate) fn field(path: &str, resource: &str, what: &str) -> String {
    let connect = path == "spec.server";
    match (resource, what) {
        ("cpu", "limits") if !connect => format!("{path}.coreLimit"),
        ("cpu", _) => format!("{path}.cores"),
        ("memory", _) => format!("{path}.memory"),
        ("pods", _) if path.ends_with("executor") => format!("{path}.instances"),
        _ => path.to_owned(),
    }
}

fn bounds(bounds: Option<&BTreeMap<String, Written>>) -> impl Iterator<Item = (String, Quantity)> {
    let read = |(key, value): (&String, &Written)| Some((key.clone(), value.0.parse().ok()?));
    bounds.into_iter().flatten().filter_map(read)
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
}

fn amounts(value: &Value) -> Amounts {
    let read = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.parse().ok()?));
    value.as_object().into_iter().flatten().filter_map(read).collect()
}

/// What a pod has in all: its containers together, or its largest init container.
pub(crate) fn total(pod: &Value, what: &str) -> Amounts {
    let each = |list: &'static str| {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers.map(|container| {
            let mut found = amounts(&container["resources"][what]);
            if what == "requests" {
                // A limit without a request is the request too.
                for (resource, limit) in amounts(&container["resources"]["limits"]) {
                    found.entry(resource).or_insert(limit);
                }
            }
            found
        })
    };
    let mut sum = Amounts::new();
    for amounts in each("containers") {
        for (resource, amount) in amounts {
            let known = sum.entry(resource).or_default();
            *known = amount + *known;
        }
    }
    for amounts in each("initContainers") {
        for (resource, amount) in amounts {
            let known = sum.entry(resource).or_default();
            *known = amount.max(*known);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(cpu: &str, memory: &str) -> Value {
        json!({"spec": {"containers": [{"name": "spark", "resources": {
            "requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}}]}})
    }

    fn range(kind: &str, limits: Value) -> Allowed {
        let mut limits = limits;
        limits["type"] = json!(kind);
        Allowed {
            ranges: vec![
                serde_json::from_value(json!({"metadata": {"name": "small"}, "spec": {"limits": [limits]}})).unwrap(),
            ],
            quotas: Vec::new(),
        }
    }

    fn quota(hard: Value, scopes: Value) -> Allowed {
        Allowed {
            ranges: Vec::new(),
            quotas: vec![
                serde_json::from_value(json!({"metadata": {"name": "team"}, "spec": {"hard": hard, "scopes": scopes}}))
                    .unwrap(),
            ],
        }
    }

    fn found(allowed: &Allowed) -> Vec<(&'static str, String)> {
        let (driver, executor) = (pod("1", "1408Mi"), pod("2", "2Gi"));
        let pods = Pods {
            driver: (&driver, "spec.driver"),
            executor: Some((&executor, "spec.executor")),
            executors: 3,
        };
        misfits(&pods, allowed)
            .into_iter()
            .map(|one| (&*one.code.to_string().leak(), one.path))
            .collect()
    }

    #[test]
    fn limit_ranges() {
        let cases = [
            ("Container", json!({"max": {"memory": "2Gi", "cpu": "2"}}), vec![]),
            (
                "Container",
                json!({"max": {"memory": "1500Mi"}}),
                vec![("above-limit-range", "spec.executor.memory")],
            ),
            (
                "Container",
                json!({"max": {"cpu": "500m"}}),
                vec![
                    ("above-limit-range", "spec.driver.cores"),
                    ("above-limit-range", "spec.executor.cores"),
                ],
            ),
            (
                "Container",
                json!({"min": {"cpu": "2"}}),
                vec![("below-limit-range", "spec.driver.cores")],
            ),
            (
                "Pod",
                json!({"max": {"memory": "1Gi"}}),
                vec![
                    ("above-limit-range", "spec.driver.memory"),
                    ("above-limit-range", "spec.executor.memory"),
                ],
            ),
            ("PersistentVolumeClaim", json!({"max": {"storage": "1Gi"}}), vec![]),
        ];
        for (kind, limits, expected) in cases {
            let expected: Vec<(&str, String)> = expected
                .into_iter()
                .map(|(code, path)| (code, path.to_owned()))
                .collect();
            assert_eq!(found(&range(kind, limits.clone())), expected, "{kind} {limits}");
        }
    }

    #[test]
    fn quotas() {
        let cases = [
            (json!({"requests.cpu": "7"}), vec![]),
            (
                json!({"requests.cpu": "6"}),
                vec![("quota-too-small", "spec.executor.cores")],
            ),
            (json!({"cpu": "2"}), vec![("above-quota", "spec.executor.cores")]),
            (
                json!({"limits.memory": "1Gi"}),
                vec![("above-quota", "spec.driver.memory")],
            ),
            (json!({"limits.cpu": "1m"}), vec![]),
            (json!({"pods": "1"}), vec![("above-quota", "spec.executor.instances")]),
            (
                json!({"count/pods": "3"}),
                vec![("quota-too-small", "spec.executor.instances")],
            ),
            (
                json!({"requests.storage": "1", "count/secrets": "0", "services": "0"}),
                vec![],
            ),
        ];
        for (hard, expected) in cases {
            let expected: Vec<(&str, String)> = expected
                .into_iter()
                .map(|(code, path)| (code, path.to_owned()))
                .collect();
            assert_eq!(found(&quota(hard.clone(), json!([]))), expected, "{hard}");
        }
        assert_eq!(
            found(&quota(json!({"cpu": "1m"}), json!(["BestEffort"]))),
            vec![],
            "scopes are the API server's"
        );
    }

    #[test]
    fn init_containers_run_before_and_limits_stand_for_requests() {
        let pod = json!({"spec": {
            "containers": [{"resources": {"limits": {"cpu": "1"}}}, {"resources": {"requests": {"cpu": "2"}}}],
            "initContainers": [{"resources": {"requests": {"cpu": "4"}}}]}});
        assert_eq!(total(&pod, "requests")["cpu"], "4".parse().unwrap());
        assert_eq!(total(&pod, "limits")["cpu"], "1".parse().unwrap());
    }
}
