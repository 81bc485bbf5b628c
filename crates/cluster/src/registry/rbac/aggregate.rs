//! Cluster roles that gather the rules of others, chosen by their labels.

use serde_json::Value;

use crate::apimachinery::selectors::LabelSelector;
use crate::apimachinery::table::label_selector;
use crate::store::fields_of;

/// Whether a cluster role gathers its rules.
pub fn is_aggregated(role: &Value) -> bool {
    role["aggregationRule"]["clusterRoleSelectors"].is_array()
}

/// The rules a cluster role gathers from all cluster roles, given in the order of their names; each rule once.
pub fn aggregated_rules(role: &Value, all: &[Value]) -> Vec<Value> {
    let mut rules: Vec<Value> = Vec::new();
    let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array();
    for selector in selectors.into_iter().flatten() {
        // An empty selector selects everything; one that cannot be read selects nothing.
        let text = match label_selector(selector) {
            Value::String(text) if text != "<none>" => text,
            _ => String::new(),
        };
        let Ok(selector) = LabelSelector::parse(&text) else {
            continue;
        };
        for other in all {
            if other["metadata"]["name"] == role["metadata"]["name"] || !selector.matches(&fields_of(other)) {
                continue;
            }
            for rule in other["rules"].as_array().into_iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_of_selected_roles_are_gathered_once() {
        let role = |name: &str, label: &str, verb: &str| json!({"metadata": {"name": name, "labels": {"to": label}}, "rules": [{"verbs": [verb]}]});
        let all = [
            role("a", "x", "get"),
            role("b", "y", "list"),
            role("c", "x", "get"),
            role("d", "z", "watch"),
        ];
        let gatherer = json!({"metadata": {"name": "g"}, "aggregationRule": {"clusterRoleSelectors": [
            {"matchLabels": {"to": "x"}}, {"matchExpressions": [{"key": "to", "operator": "In", "values": ["z"]}]}]}});
        assert!(is_aggregated(&gatherer));
        assert_eq!(
            aggregated_rules(&gatherer, &all),
            [json!({"verbs": ["get"]}), json!({"verbs": ["watch"]})]
        );
    }
}
