//! Where a pod may run: selectors, affinity, tolerations, spread.

use serde_json::Value;

use super::environment::check_labels;
use super::{Complaints, entries, is_empty, items, text, words};
use crate::apimachinery::schema::Path;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// A structured selector of labels.
pub fn check_selector(selector: &Value, at: &Path<'_>, said: &mut Complaints) {
    check_labels(&selector["matchLabels"], &at.field("matchLabels"), said);
    let at = at.field("matchExpressions");
    for (index, requirement) in items(&selector["matchExpressions"]) {
        let at = at.item(index);
        let place = at.field("values");
        match text(&requirement["operator"]) {
            "In" | "NotIn" if is_empty(&requirement["values"]) => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                said.required(&place, detail);
            }
            "Exists" | "DoesNotExist" if !is_empty(&requirement["values"]) => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                said.forbidden(&place, detail);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => said.invalid(&at.field("operator"), other, "not a valid selector operator"),
        }
        let key = text(&requirement["key"]);
        said.text(&at.field("key"), key, words::qualified(key));
        for (index, value) in items(&requirement["values"]) {
            said.text(&place.item(index), text(value), words::label_value(text(value)));
        }
    }
}

/// `spec.affinity`.
pub(super) fn check_affinity(affinity: &Value, at: &Path<'_>, said: &mut Complaints) {
    let node = &affinity["nodeAffinity"];
    let place = at.field("nodeAffinity");
    if node[REQUIRED].is_object() {
        check_node_selector(&node[REQUIRED], &place.field(REQUIRED), said);
    }
    let list = place.field(PREFERRED);
    for (index, preference) in items(&node[PREFERRED]) {
        let at = list.item(index);
        check_weight(&preference["weight"], &at.field("weight"), said);
        check_term(&preference["preference"], false, &at.field("preference"), said);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let place = at.field(kind);
        let list = place.field(REQUIRED);
        for (index, term) in items(&affinity[kind][REQUIRED]) {
            check_pod_term(term, &list.item(index), said);
        }
        let list = place.field(PREFERRED);
        for (index, term) in items(&affinity[kind][PREFERRED]) {
            let at = list.item(index);
            check_weight(&term["weight"], &at.field("weight"), said);
            check_pod_term(&term["podAffinityTerm"], &at.field("podAffinityTerm"), said);
        }
    }
}

/// Terms of which a node has to meet one.
pub(super) fn check_node_selector(selector: &Value, at: &Path<'_>, said: &mut Complaints) {
    let at = at.field("nodeSelectorTerms");
    if is_empty(&selector["nodeSelectorTerms"]) {
        said.required(&at, "must have at least one node selector term");
    }
    for (index, term) in items(&selector["nodeSelectorTerms"]) {
        check_term(term, true, &at.item(index), said);
    }
}

fn check_weight(weight: &Value, at: &Path<'_>, said: &mut Complaints) {
    let number = weight.as_i64().unwrap_or(0);
    if !(1..=100).contains(&number) {
        said.invalid(at, number, "must be in the range 1-100");
    }
}

fn check_term(term: &Value, strict: bool, at: &Path<'_>, said: &mut Complaints) {
    let list = at.field("matchExpressions");
    for (index, requirement) in items(&term["matchExpressions"]) {
        check_requirement(requirement, strict, &list.item(index), said);
    }
    let list = at.field("matchFields");
    for (index, requirement) in items(&term["matchFields"]) {
        check_field(requirement, &list.item(index), said);
    }
}

fn check_requirement(requirement: &Value, strict: bool, at: &Path<'_>, said: &mut Complaints) {
    let values = at.field("values");
    let count = requirement["values"].as_array().map_or(0, Vec::len);
    match text(&requirement["operator"]) {
        "In" | "NotIn" if count == 0 => {
            said.required(&values, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            said.forbidden(&values, detail);
        }
        "Gt" | "Lt" if count != 1 => {
            let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            said.required(&values, detail);
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => said.invalid(&at.field("operator"), other, "not a valid selector operator"),
    }
    let key = text(&requirement["key"]);
    said.text(&at.field("key"), key, words::qualified(key));
    // A preference for a value that no node can have is only useless.
    for (index, value) in items(&requirement["values"]).filter(|_| strict) {
        said.text(&values.item(index), text(value), words::label_value(text(value)));
    }
}

fn check_field(requirement: &Value, at: &Path<'_>, said: &mut Complaints) {
    let values = at.field("values");
    match text(&requirement["operator"]) {
        "In" | "NotIn" => {
            if requirement["values"].as_array().map_or(0, Vec::len) != 1 {
                let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                said.required(&values, detail);
            }
        }
        other => said.invalid(&at.field("operator"), other, "not a valid selector operator"),
    }
    match text(&requirement["key"]) {
        "metadata.name" => {
            for (index, value) in items(&requirement["values"]) {
                said.text(&values.item(index), text(value), words::subdomain(text(value)));
            }
        }
        other => said.invalid(&at.field("key"), other, "not a valid field selector key"),
    }
}

fn check_pod_term(term: &Value, at: &Path<'_>, said: &mut Complaints) {
    for field in ["labelSelector", "namespaceSelector"] {
        if term[field].is_object() {
            check_selector(&term[field], &at.field(field), said);
        }
    }
    for (_, namespace) in items(&term["namespaces"]) {
        let name = text(namespace);
        said.text(&at.field("namespace"), name, words::label(name));
    }
    let keys = at.field("matchLabelKeys");
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        let list = at.field(field);
        if !is_empty(&term[field]) && term["labelSelector"].is_null() {
            said.forbidden(&list, "must not be specified when labelSelector is not set");
        }
        for (index, key) in items(&term[field]) {
            said.text(&list.item(index), text(key), words::qualified(text(key)));
        }
    }
    for (index, key) in items(&term["matchLabelKeys"]) {
        if items(&term["mismatchLabelKeys"]).any(|(_, other)| other == key) {
            let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
            said.invalid(&keys.item(index), key.clone(), detail);
        }
    }
    let key = text(&term["topologyKey"]);
    if key.is_empty() {
        said.required(&at.field("topologyKey"), "can not be empty");
    }
    said.text(&at.field("topologyKey"), key, words::qualified(key));
}

/// `spec.tolerations`.
pub(super) fn check_tolerations(list: &Value, at: &Path<'_>, said: &mut Complaints) {
    for (index, toleration) in items(list) {
        let at = at.item(index);
        let (key, operator) = (text(&toleration["key"]), text(&toleration["operator"]));
        let (value, effect) = (text(&toleration["value"]), text(&toleration["effect"]));
        let place = at.field("operator");
        if !key.is_empty() {
            said.text(&at.field("key"), key, words::qualified(key));
        } else if operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            said.invalid(&place, operator, detail);
        }
        if !toleration["tolerationSeconds"].is_null() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            said.invalid(&at.field("effect"), effect, detail);
        }
        match operator {
            "" | "Equal" => said.text(&place, value, words::label_value(value)),
            "Exists" if !value.is_empty() => {
                said.invalid(&place, value, "value must be empty when `operator` is 'Exists'");
            }
            "Exists" => {}
            other => said.unsupported(&place, other, &["Equal", "Exists"]),
        }
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        if !effect.is_empty() {
            said.one_of(&at.field("effect"), &toleration["effect"], &effects);
        }
    }
}

/// `spec.topologySpreadConstraints`.
pub(super) fn check_spread(list: &Value, at: &Path<'_>, said: &mut Complaints) {
    let pair = |constraint: &Value| {
        (
            constraint["topologyKey"].clone(),
            constraint["whenUnsatisfiable"].clone(),
        )
    };
    for (index, constraint) in items(list) {
        let at = at.item(index);
        let (key, action) = (text(&constraint["topologyKey"]), text(&constraint["whenUnsatisfiable"]));
        let skew = constraint["maxSkew"].as_i64().unwrap_or(0);
        if skew <= 0 {
            said.invalid(&at.field("maxSkew"), skew, "must be greater than zero");
        }
        if key.is_empty() {
            said.required(&at.field("topologyKey"), "can not be empty");
        }
        if !matches!(action, "DoNotSchedule" | "ScheduleAnyway") {
            let words = ["DoNotSchedule", "ScheduleAnyway"];
            said.unsupported(&at.field("whenUnsatisfiable"), action, &words);
        }
        if items(list)
            .skip(index + 1)
            .any(|(_, later)| pair(later) == pair(constraint))
        {
            let pair = format!("{{{key}, {action}}}");
            said.duplicate(&at.field("{topologyKey, whenUnsatisfiable}"), pair);
        }
        if let Some(domains) = constraint["minDomains"].as_i64() {
            let at = at.field("minDomains");
            if domains <= 0 {
                said.invalid(&at, domains, "must be greater than zero");
            }
            if action != "DoNotSchedule" {
                let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                said.invalid(&at, domains, &detail);
            }
        }
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            said.one_of(&at.field(field), &constraint[field], &["Honor", "Ignore"]);
        }
        check_keys(constraint, &at, said);
        if constraint["labelSelector"].is_object() {
            check_selector(&constraint["labelSelector"], &at.field("labelSelector"), said);
        }
    }
}

fn check_keys(constraint: &Value, at: &Path<'_>, said: &mut Complaints) {
    let selector = &constraint["labelSelector"];
    let list = at.field("matchLabelKeys");
    if !is_empty(&constraint["matchLabelKeys"]) && selector.is_null() {
        said.forbidden(&list, "must not be specified when labelSelector is not set");
        return;
    }
    for (index, key) in items(&constraint["matchLabelKeys"]) {
        let key = text(key);
        said.text(&list.item(index), key, words::qualified(key));
        let expressed = items(&selector["matchExpressions"]).any(|(_, requirement)| requirement["key"] == key);
        if expressed || entries(&selector["matchLabels"]).any(|(label, _)| label == key) {
            said.invalid(&at.item(index), key, "exists in both matchLabelKeys and labelSelector");
        }
    }
}
