//! What the failure of a pod means to its Job, and when a Job has succeeded early.

use std::collections::BTreeSet;

use serde_json::Value;

use super::indexes;
use crate::controllers::facts::PodFacts;

/// What follows from a failed pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It counts towards the limit.
    Count,
    /// It does not count.
    Ignore,
    /// Its index has failed.
    FailIndex,
    /// The Job has failed; the message says why.
    FailJob(String),
}

/// Applies the first rule of a `podFailurePolicy` that matches.
pub(super) fn judge(policy: &Value, pod: &PodFacts) -> Verdict {
    for (position, rule) in policy["rules"].as_array().into_iter().flatten().enumerate() {
        let action = rule["action"].as_str().unwrap_or_default();
        let Some(what) = matched(rule, pod) else { continue };
        return match action {
            "Ignore" => Verdict::Ignore,
            "FailIndex" => Verdict::FailIndex,
            "FailJob" => Verdict::FailJob(format!("{what} matching FailJob rule at index {position}")),
            _ => Verdict::Count,
        };
    }
    Verdict::Count
}

/// What of the pod a rule matches, as a sentence.
fn matched(rule: &Value, pod: &PodFacts) -> Option<String> {
    let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
    if rule["onExitCodes"].is_object() {
        let wanted = &rule["onExitCodes"];
        let codes: Vec<i64> = wanted["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_i64)
            .collect();
        let statuses = pod
            .status
            .init_container_statuses
            .iter()
            .chain(&pod.status.container_statuses);
        for status in statuses {
            let Some(ended) = &status.state.terminated else {
                continue;
            };
            let ours = wanted["containerName"].as_str().is_none_or(|name| name == status.name);
            let listed = codes.contains(&ended.exit_code);
            let hit = if wanted["operator"] == "In" { listed } else { !listed };
            if ours && ended.exit_code != 0 && hit {
                return Some(format!(
                    "Container {} for pod {namespace}/{name} failed with exit code {}",
                    status.name, ended.exit_code
                ));
            }
        }
        return None;
    }
    for pattern in rule["onPodConditions"].as_array().into_iter().flatten() {
        let wanted = pattern["status"].as_str().unwrap_or("True");
        let mut conditions = pod.status.conditions.iter();
        let hit = conditions.any(|condition| pattern["type"] == *condition.kind && condition.status == wanted);
        if hit {
            let kind = pattern["type"].as_str().unwrap_or_default();
            return Some(format!("Pod {namespace}/{name} has condition {kind}"));
        }
    }
    None
}

/// The first rule of a `successPolicy` that the completed indexes satisfy, as a sentence.
pub(super) fn succeeded_early(policy: &Value, completed: &BTreeSet<i64>, completions: i64) -> Option<String> {
    for (position, rule) in policy["rules"].as_array().into_iter().flatten().enumerate() {
        let wanted = rule["succeededIndexes"]
            .as_str()
            .map(|text| indexes::parse(text, completions));
        let hits = match &wanted {
            Some(wanted) => wanted.intersection(completed).count(),
            None => completed.len(),
        };
        let needed = match (rule["succeededCount"].as_u64(), &wanted) {
            (Some(count), _) => usize::try_from(count).unwrap_or(usize::MAX),
            (None, Some(wanted)) => wanted.len(),
            (None, None) => continue,
        };
        if hits >= needed {
            return Some(format!("Matched rules at index {position}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(exit_code: i64, condition: &str) -> PodFacts {
        serde_json::from_value(
            json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {}, "status": {"phase": "Failed",
            "conditions": [{"type": condition, "status": "True"}],
            "containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": exit_code}}}]}}),
        )
        .unwrap()
    }

    #[test]
    fn the_first_matching_rule_decides() {
        let policy = json!({"rules": [
            {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}},
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [1, 2]}}]});
        for (code, condition, expected) in [
            (
                42,
                "x",
                Verdict::FailJob(
                    "Container main for pod n/p failed with exit code 42 matching FailJob rule at index 0".into(),
                ),
            ),
            (1, "DisruptionTarget", Verdict::Ignore),
            (7, "x", Verdict::FailIndex),
            (1, "x", Verdict::Count),
            (0, "x", Verdict::Count),
        ] {
            assert_eq!(judge(&policy, &pod(code, condition)), expected, "{code} {condition}");
        }
        let condition = json!({"rules": [{"action": "FailJob", "onPodConditions": [{"type": "C"}]}]});
        let message = "Pod n/p has condition C matching FailJob rule at index 0";
        assert_eq!(judge(&condition, &pod(1, "C")), Verdict::FailJob(message.into()));
    }

    #[test]
    fn a_success_policy_needs_its_indexes_or_its_count() {
        let done = BTreeSet::from([0, 2, 3]);
        for (rule, expected) in [
            (json!({"succeededIndexes": "0,2"}), true),
            (json!({"succeededIndexes": "0-2"}), false),
            (json!({"succeededIndexes": "0-2", "succeededCount": 2}), true),
            (json!({"succeededCount": 4}), false),
            (json!({"succeededCount": 3}), true),
        ] {
            let found = succeeded_early(&json!({"rules": [rule]}), &done, 10);
            assert_eq!(found.is_some(), expected, "{rule}");
        }
    }
}
