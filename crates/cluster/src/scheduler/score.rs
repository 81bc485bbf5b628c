//! Which of the nodes a pod fits it prefers: preferred node affinity, soft taints, preferred pod affinity, by the weights of the real
//! scheduler's plugins (2, 3 and 2, each from 0 to 100). The first of equals wins.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::neighbours::{Surroundings, attraction};
use stoke_model::kubernetes::selection::{matches_term, tolerates};

/// The node to take.
pub(super) fn best<'a>(
    pod: &Pod,
    possible: &[&'a Node],
    nodes: &[Node],
    others: &[Pod],
    around: &Surroundings,
) -> Option<&'a Node> {
    if possible.len() < 2 {
        return possible.first().copied();
    }
    let wished = from_zero(possible.iter().map(|node| affinity(pod, node)).collect());
    let tainted = from_zero(possible.iter().map(|node| taints(pod, node)).collect());
    let near = possible.iter().map(|node| attraction(pod, node, nodes, others, around));
    let near = between(near.collect());
    let score = |index: usize| 2 * wished[index] + 3 * (100 - tainted[index]) + 2 * near[index];
    let best = (0..possible.len()).min_by_key(|index| (-score(*index), *index))?;
    possible.get(best).copied()
}

/// Weights of the preferred terms that a node satisfies.
fn affinity(pod: &Pod, node: &Node) -> i64 {
    let none = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let terms = affinity
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref());
    let met = terms.into_iter().flatten();
    let met = met.filter(|term| matches_term(&term.preference, node, labels));
    met.map(|term| i64::from(term.weight)).sum()
}

/// Soft taints that a pod does not tolerate.
fn taints(pod: &Pod, node: &Node) -> i64 {
    let tolerations = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.tolerations.as_deref())
        .unwrap_or_default();
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let soft = taints.filter(|taint| taint.effect == "PreferNoSchedule" && !tolerates(tolerations, taint));
    i64::try_from(soft.count()).unwrap_or(i64::MAX)
}

/// From 0 to 100, the highest at 100.
fn from_zero(scores: Vec<i64>) -> Vec<i64> {
    let most = scores.iter().copied().max().unwrap_or(0);
    scores
        .into_iter()
        .map(|score| if most > 0 { score * 100 / most } else { 0 })
        .collect()
}

/// From 0 to 100, the lowest at 0 and the highest at 100.
fn between(scores: Vec<i64>) -> Vec<i64> {
    let (least, most) = (
        scores.iter().copied().min().unwrap_or(0),
        scores.iter().copied().max().unwrap_or(0),
    );
    let range = most - least;
    scores
        .into_iter()
        .map(|score| if range > 0 { (score - least) * 100 / range } else { 0 })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(name: &str, labels: Value, taints: Value) -> Node {
        let labels = json!({"name": name, "labels": labels});
        serde_json::from_value(json!({"metadata": labels, "spec": {"taints": taints}})).unwrap()
    }

    #[test]
    fn preferences_choose_among_nodes() {
        let soft = json!([{"key": "k", "effect": "PreferNoSchedule"}]);
        let nodes = [
            node("a", json!({"disk": "hdd", "zone": "1"}), json!([])),
            node("b", json!({"disk": "ssd", "zone": "2"}), json!([])),
            node("c", json!({"disk": "ssd", "zone": "3"}), soft),
        ];
        let there: Pod = serde_json::from_value(json!({"metadata": {"name": "o", "uid": "o", "namespace": "n",
            "labels": {"app": "db"}}, "spec": {"nodeName": "b", "containers": []}}))
        .unwrap();
        let ssd = json!({"weight": 10, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}});
        let near = json!({"weight": 5, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "db"}}}});
        let node_affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [ssd]}});
        for (affinity, tolerations, expected) in [
            (json!({}), json!([]), "a"),
            (node_affinity.clone(), json!([]), "b"),
            (node_affinity, json!([{"operator": "Exists"}]), "b"),
            (
                json!({"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [near]}}),
                json!([]),
                "b",
            ),
            (
                json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [near]}}),
                json!([]),
                "a",
            ),
        ] {
            let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "uid": "p", "namespace": "n"},
                "spec": {"affinity": affinity, "tolerations": tolerations, "containers": []}}))
            .unwrap();
            let possible: Vec<&Node> = nodes.iter().collect();
            let others = std::slice::from_ref(&there);
            let chosen = best(&pod, &possible, &nodes, others, &Surroundings::default()).unwrap();
            assert_eq!(chosen.metadata.name.as_deref(), Some(expected), "{affinity}");
        }
    }
}
