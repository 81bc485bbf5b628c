//! ResourceQuotas, LimitRanges, PriorityClasses and PodDisruptionBudgets: what is wrong, what may not change.

use serde_json::{Value, json};

use super::workload_validation::{number_or_percent, one_of, selector_errors};
use crate::apimachinery::meta::check_qualified;
use crate::apimachinery::quantity;
use crate::apimachinery::status::FieldError;
use crate::apimachinery::validation::resources::is_standard;

/// Priorities above this are the system's.
const HIGHEST_OF_USERS: i64 = 1_000_000_000;
const SYSTEM_CLASSES: [(&str, i64); 2] = [
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
];

/// Which pods a quota can be about.
const SCOPES: [&str; 6] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
];

/// Complaints about a PriorityClass.
pub(super) fn validate_priority_class(class: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let name = class["metadata"]["name"].as_str().unwrap_or_default();
    let value = class["value"].as_i64().unwrap_or(0);
    if name.starts_with("system-") {
        let known = SYSTEM_CLASSES.iter().find(|(known, _)| *known == name);
        let why = match known {
            None => Some(format!("{name} is not a known system priority class")),
            Some((_, own)) if *own != value => Some(format!("value of {name} PriorityClass must be {own}")),
            Some(_) if class["globalDefault"] == true => {
                Some(format!("globalDefault of {name} PriorityClass must be false"))
            }
            Some(_) => None,
        };
        if let Some(why) = why {
            let detail =
                format!("priority class names with 'system-' prefix are reserved for system use only. error: {why}");
            errors.push(FieldError::forbidden("metadata.name", &detail));
        }
    } else if value > HIGHEST_OF_USERS {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}");
        errors.push(FieldError::forbidden("value", &detail));
    }
    errors
}

/// Complaints about a PriorityClass that is new, besides.
pub(super) fn validate_new_priority_class(class: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if class["preemptionPolicy"] == "" {
        errors.push(FieldError::required("preemptionPolicy", ""));
    } else {
        let policies = ["PreemptLowerPriority", "Never"];
        one_of(&class["preemptionPolicy"], "preemptionPolicy", &policies, &mut errors);
    }
    errors
}

/// Complaints about a change of a PriorityClass.
pub(super) fn validate_priority_class_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if old["value"] != new["value"] {
        errors.push(FieldError::forbidden("value", "may not be changed in an update."));
    }
    if old["preemptionPolicy"] != new["preemptionPolicy"] {
        errors.push(FieldError::invalid(
            "preemptionPolicy",
            &new["preemptionPolicy"],
            "field is immutable",
        ));
    }
    errors
}

/// Complaints about a ResourceQuota.
pub(super) fn validate_quota(quota: &Value) -> Vec<FieldError> {
    let spec = &quota["spec"];
    let mut errors = Vec::new();
    for (name, amount) in spec["hard"].as_object().into_iter().flatten() {
        let nanos = amount.as_str().and_then(quantity::parse).unwrap_or(0);
        let path = format!("spec.hard[{name}]");
        if nanos < 0 {
            errors.push(FieldError::invalid(&path, amount, "must be greater than or equal to 0"));
        }
        errors.extend(check_qualified(name, &path));
        if !name.contains('/') && !is_counted(name) {
            let value = name.as_str().into();
            errors.push(FieldError::invalid(
                &path,
                &value,
                "must be a standard resource for quota",
            ));
            if check_qualified(name, &path).is_empty() && !name.contains('.') {
                let detail = "must be a standard resource type or fully qualified";
                errors.push(FieldError::invalid(&path, &value, detail));
            }
        }
        let whole = name.starts_with("count/")
            || !name.contains('.') && !matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage");
        if whole && nanos % 1_000_000_000 != 0 {
            errors.push(FieldError::invalid(&path, amount, "must be an integer"));
        }
    }
    let scopes = spec["scopes"].as_array().map(Vec::as_slice).unwrap_or_default();
    for scope in scopes {
        if !scope.as_str().is_some_and(|scope| SCOPES.contains(&scope)) {
            errors.push(FieldError::invalid("spec.scopes", &spec["scopes"], "unsupported scope"));
        }
    }
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if scopes.iter().any(|scope| scope == one) && scopes.iter().any(|scope| scope == other) {
            errors.push(FieldError::invalid(
                "spec.scopes",
                &spec["scopes"],
                "conflicting scopes",
            ));
        }
    }
    check_scope_selector(spec, &mut errors);
    check_scoped_resources(spec, &mut errors);
    errors
}

/// Whether a scope says anything of a resource: those that pods ask for have scopes.
fn is_scoped(scope: &str, resource: &str) -> bool {
    let of_pods = ["pods", "count/pods"].contains(&resource);
    match scope {
        "BestEffort" => of_pods,
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => {
            let name = resource
                .strip_prefix("requests.")
                .or_else(|| resource.strip_prefix("limits."))
                .unwrap_or(resource);
            of_pods || matches!(name, "cpu" | "memory")
        }
        _ => true,
    }
}

/// Scopes that say nothing of a resource the quota is about. Counts of objects of any kind are left alone.
fn check_scoped_resources(spec: &Value, errors: &mut Vec<FieldError>) {
    let detail = "unsupported scope applied to resource";
    let names = spec["hard"].as_object().into_iter().flatten().map(|(name, _)| name);
    let names: Vec<&String> = names.filter(|name| is_standard(name)).collect();
    let beside = |scope: &Value| {
        let scope = scope.as_str().unwrap_or_default();
        names.iter().any(|name| !is_scoped(scope, name))
    };
    let scopes = spec["scopes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if scopes.iter().any(beside) {
        errors.push(FieldError::invalid("spec.scopes", &spec["scopes"], detail));
    }
    let list = spec["scopeSelector"]["matchExpressions"].as_array();
    let list = list.map(Vec::as_slice).unwrap_or_default();
    if list.iter().any(|expression| beside(&expression["scopeName"])) {
        let told = |expression: &Value| json!({"ScopeName": expression["scopeName"], "Operator": expression["operator"], "Values": expression["values"]});
        let told = json!({"MatchExpressions": list.iter().map(told).collect::<Vec<_>>()});
        errors.push(FieldError::invalid(
            "spec.scopeSelector.matchExpressions",
            &told,
            detail,
        ));
    }
}

/// What a quota of this name, without a group, counts.
fn is_counted(name: &str) -> bool {
    name != "storage" && is_standard(name)
}

/// The conditions of a quota on the pods it counts; the real server does not say which of them it means.
fn check_scope_selector(spec: &Value, errors: &mut Vec<FieldError>) {
    let path = "spec.scopeSelector.matchExpressions";
    for expression in spec["scopeSelector"]["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let scope = expression["scopeName"].as_str().unwrap_or_default();
        let known = SCOPES.contains(&scope);
        if !known {
            let place = format!("{path}.scopeName");
            errors.push(FieldError::invalid(&place, &scope.into(), "unsupported scope"));
        }
        let filled = expression["values"].as_array().is_some_and(|values| !values.is_empty());
        let place = format!("{path}.values");
        let operator = expression["operator"].as_str().unwrap_or_default();
        match operator {
            "In" | "NotIn" if !filled => {
                let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                errors.push(FieldError::required(&place, detail));
            }
            "Exists" | "DoesNotExist" if filled => {
                let detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                errors.push(FieldError::invalid(&place, &expression["values"], detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let place = format!("{path}.operator");
                errors.push(FieldError::invalid(
                    &place,
                    &other.into(),
                    "not a valid selector operator",
                ));
            }
        }
        if known && scope != "PriorityClass" && matches!(operator, "In" | "NotIn" | "DoesNotExist") {
            let detail = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            let place = format!("{path}.operator");
            errors.push(FieldError::invalid(&place, &expression["operator"], detail));
        }
    }
}

/// Complaints about a LimitRange.
pub(super) fn validate_limit_range(range: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let amount = |value: &Value| value.as_str().and_then(quantity::parse);
    for (index, item) in range["spec"]["limits"].as_array().into_iter().flatten().enumerate() {
        let path = format!("spec.limits[{index}]");
        let kind = item["type"].as_str().unwrap_or_default();
        check_limit_kind(range, index, kind, &path, &mut errors);
        check_limit_names(item, kind, &path, &mut errors);
        if kind == "Pod" {
            for field in ["default", "defaultRequest"] {
                if item[field].as_object().is_some_and(|map| !map.is_empty()) {
                    let detail = "may not be specified when `type` is 'Pod'";
                    errors.push(FieldError::forbidden(&format!("{path}.{field}"), detail));
                }
            }
        }
        if kind == "PersistentVolumeClaim" && item["min"]["storage"].is_null() && item["max"]["storage"].is_null() {
            let detail = "either minimum or maximum storage value is required, but neither was provided";
            errors.push(FieldError::required(&format!("{path}.limits"), detail));
        }
        check_ratio(item, &path, &mut errors);
        let orders = [
            ("min", "max", "min", "max"),
            ("min", "defaultRequest", "min", "default request"),
            ("min", "default", "min", "default"),
            ("defaultRequest", "max", "default request", "max"),
            ("defaultRequest", "default", "default request", "default limit"),
            ("default", "max", "default", "max"),
        ];
        for (low, high, low_word, high_word) in orders {
            for (name, lower) in item[low].as_object().into_iter().flatten() {
                let upper = &item[high][name];
                if amount(lower)
                    .zip(amount(upper))
                    .is_some_and(|(lower, upper)| lower > upper)
                {
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    let detail = format!(
                        "{low_word} value {} is greater than {high_word} value {}",
                        text(lower),
                        text(upper)
                    );
                    // Which of the two is blamed, and with which value, is as the real server has it.
                    let (field, value) = match (low, high) {
                        ("min", "defaultRequest") => (high, upper),
                        ("min", "default") => (high, lower),
                        ("default", "max") => (low, upper),
                        _ => (low, lower),
                    };
                    errors.push(FieldError::invalid(&format!("{path}.{field}[{name}]"), value, &detail));
                }
            }
        }
    }
    errors
}

/// A ratio of a limit to its request that smallest and largest leave no room for.
fn check_ratio(item: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let amount = |value: &Value| value.as_str().and_then(quantity::parse).map(|nanos| nanos as f64);
    for (name, ratio) in item["maxLimitRequestRatio"].as_object().into_iter().flatten() {
        let (least, most) = (amount(&item["min"][name]), amount(&item["max"][name]));
        let (Some(wanted), Some(least), Some(most)) = (amount(ratio), least, most) else {
            continue;
        };
        let room = most / least;
        if wanted / 1e9 > room {
            let text = ratio.as_str().unwrap_or_default();
            let detail = format!("ratio {text} is greater than max/min = {room:.6}");
            let place = format!("{path}.maxLimitRequestRatio[{name}]");
            errors.push(FieldError::invalid(&place, ratio, &detail));
        }
    }
}

fn check_limit_kind(range: &Value, index: usize, kind: &str, path: &str, errors: &mut Vec<FieldError>) {
    let place = format!("{path}.type");
    let wrong = check_qualified(kind, &place);
    let right = wrong.is_empty();
    errors.extend(wrong);
    if right && !kind.contains('/') && !matches!(kind, "Pod" | "Container" | "PersistentVolumeClaim") {
        let detail = "must be a standard limit type or fully qualified";
        errors.push(FieldError::invalid(&place, &kind.into(), detail));
    }
    let before = range["spec"]["limits"].as_array().into_iter().flatten().take(index);
    if before.into_iter().any(|item| item["type"] == kind) {
        errors.push(FieldError::duplicate(&place, &kind.into()));
    }
}

/// Resources that a limit of this kind can be about, and the ratio of a limit to its request.
fn check_limit_names(item: &Value, kind: &str, path: &str, errors: &mut Vec<FieldError>) {
    for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        for (name, value) in item[field].as_object().into_iter().flatten() {
            let place = format!("{path}.{field}[{name}]");
            errors.extend(check_qualified(name, &place));
            let own = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
            if !name.contains('/') && check_qualified(name, &place).is_empty() {
                if !own && !is_counted(name) && name != "storage" {
                    let detail = "must be a standard resource type or fully qualified";
                    errors.push(FieldError::invalid(&place, &name.as_str().into(), detail));
                }
                if !own && matches!(kind, "Pod" | "Container") {
                    let detail = "must be a standard resource for containers";
                    errors.push(FieldError::invalid(&place, &name.as_str().into(), detail));
                }
            }
            let ratio = value.as_str().and_then(quantity::parse);
            if field == "maxLimitRequestRatio" && ratio.is_some_and(|ratio| ratio < 1_000_000_000) {
                let detail = format!("ratio {} is less than 1", value.as_str().unwrap_or_default());
                errors.push(FieldError::invalid(&place, value, &detail));
            }
        }
    }
}

/// Complaints about a PodDisruptionBudget.
pub(super) fn validate_budget(budget: &Value) -> Vec<FieldError> {
    let spec = &budget["spec"];
    let mut errors = Vec::new();
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        let detail = "minAvailable and maxUnavailable cannot be both set";
        let value = json!({"MinAvailable": spec["minAvailable"], "Selector": spec["selector"],
            "MaxUnavailable": spec["maxUnavailable"], "UnhealthyPodEvictionPolicy": spec["unhealthyPodEvictionPolicy"]});
        errors.push(FieldError::invalid("spec", &value, detail));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        let percent = spec[field]
            .as_str()
            .and_then(|text| text.strip_suffix('%')?.parse::<u64>().ok());
        if percent.is_some_and(|percent| percent > 100) {
            let path = format!("spec.{field}");
            errors.push(FieldError::invalid(
                &path,
                &spec[field],
                "must not be greater than 100%",
            ));
        }
    }
    number_or_percent(&spec["minAvailable"], "spec.minAvailable", &mut errors);
    number_or_percent(&spec["maxUnavailable"], "spec.maxUnavailable", &mut errors);
    errors.extend(selector_errors(&spec["selector"], "spec.selector"));
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    one_of(
        &spec["unhealthyPodEvictionPolicy"],
        "spec.unhealthyPodEvictionPolicy",
        &policies,
        &mut errors,
    );
    errors
}
