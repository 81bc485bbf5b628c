//! Whether a pod may stand beside those that are there: pod affinity, anti-affinity and topology spread.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod, PodAffinityTerm, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// Labels by name.
pub(super) type Labels = BTreeMap<String, String>;

/// What the decision knows of the cluster besides nodes and pods.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// Labels of each namespace.
    pub namespaces: BTreeMap<String, Labels>,
    /// PodDisruptionBudgets.
    pub budgets: Vec<Budget>,
}

/// A PodDisruptionBudget.
#[derive(Debug, Clone, Default)]
pub(super) struct Budget {
    pub namespace: String,
    /// The pods it protects.
    pub selector: Option<LabelSelector>,
    /// How many of them may go.
    pub allowed: i32,
}

/// Why a pod may not stand on a node, and whether the end of other pods could change that.
pub(super) type Objection = (&'static str, bool);

/// Whether labels satisfy a selector; no selector matches nothing, an empty one everything.
pub(super) fn selects(selector: Option<&LabelSelector>, labels: &Labels) -> bool {
    let Some(selector) = selector else { return false };
    let mut pairs = selector.match_labels.iter().flatten();
    pairs.all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().flatten().all(|expression| {
            let value = labels.get(&expression.key);
            let values = expression.values.as_deref().unwrap_or_default();
            match expression.operator.as_str() {
                "In" => value.is_some_and(|value| values.contains(value)),
                "NotIn" => value.is_none_or(|value| !values.contains(value)),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

fn labels_of(pod: &Pod) -> Labels {
    pod.metadata.labels.clone().unwrap_or_default()
}

fn namespace_of(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or("default")
}

/// Whether a term of `owner` speaks of `target`.
fn speaks_of(term: &PodAffinityTerm, owner: &Pod, target: &Pod, around: &Surroundings) -> bool {
    let space = namespace_of(target);
    let named = term.namespaces.as_deref().unwrap_or_default();
    let here = match (&term.namespace_selector, named.is_empty()) {
        (None, true) => space == namespace_of(owner),
        (selector, _) => {
            let none = Labels::new();
            let labels = around.namespaces.get(space).unwrap_or(&none);
            named.iter().any(|name| name == space)
                || selector
                    .as_ref()
                    .is_some_and(|selector| selects(Some(selector), labels))
        }
    };
    here && selects(term.label_selector.as_ref(), &labels_of(target))
}

fn required(pod: &Pod, anti: bool) -> Vec<PodAffinityTerm> {
    let Some(affinity) = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()) else {
        return Vec::new();
    };
    let terms = if anti {
        affinity
            .pod_anti_affinity
            .as_ref()
            .and_then(|kind| kind.required_during_scheduling_ignored_during_execution.clone())
    } else {
        affinity
            .pod_affinity
            .as_ref()
            .and_then(|kind| kind.required_during_scheduling_ignored_during_execution.clone())
    };
    terms.unwrap_or_default()
}

/// Preferred terms with their weights, those of anti-affinity negative.
fn preferred(pod: &Pod) -> Vec<(i64, &PodAffinityTerm)> {
    let Some(affinity) = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()) else {
        return Vec::new();
    };
    let kind = affinity.pod_affinity.as_ref();
    let together = kind.and_then(|kind| kind.preferred_during_scheduling_ignored_during_execution.as_ref());
    let kind = affinity.pod_anti_affinity.as_ref();
    let apart = kind.and_then(|kind| kind.preferred_during_scheduling_ignored_during_execution.as_ref());
    let together = together.into_iter().flatten();
    let together = together.map(|term| (i64::from(term.weight), &term.pod_affinity_term));
    let apart = apart.into_iter().flatten();
    let apart = apart.map(|term| (-i64::from(term.weight), &term.pod_affinity_term));
    together.chain(apart).collect()
}

/// How much a pod and those that are there would rather have each other near on a node.
pub(super) fn attraction(pod: &Pod, node: &Node, nodes: &[Node], others: &[Pod], around: &Surroundings) -> i64 {
    let mine = preferred(pod);
    let mut sum = 0;
    for other in others {
        let Some(there) = node_of(other, nodes) else { continue };
        let near = |term: &PodAffinityTerm| {
            let here = domain(node, &term.topology_key);
            here.is_some() && domain(there, &term.topology_key) == here
        };
        let own = mine
            .iter()
            .filter(|(_, term)| near(term) && speaks_of(term, pod, other, around));
        sum += own.map(|(weight, _)| weight).sum::<i64>();
        let theirs = preferred(other).into_iter();
        let theirs = theirs.filter(|(_, term)| near(term) && speaks_of(term, other, pod, around));
        sum += theirs.map(|(weight, _)| weight).sum::<i64>();
    }
    sum
}

/// The domain a node is in.
fn domain<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

fn node_of<'a>(pod: &Pod, nodes: &'a [Node]) -> Option<&'a Node> {
    let name = pod.spec.as_ref()?.node_name.as_deref()?;
    nodes.iter().find(|node| node.metadata.name.as_deref() == Some(name))
}

/// What stands against a pod on a node because of the pods that are there. `others` are bound and have not ended.
pub(super) fn objection(
    pod: &Pod,
    node: &Node,
    nodes: &[Node],
    others: &[&Pod],
    around: &Surroundings,
) -> Option<Objection> {
    spread(pod, node, nodes, others).or_else(|| affinity(pod, node, nodes, others, around))
}

fn affinity(pod: &Pod, node: &Node, nodes: &[Node], others: &[&Pod], around: &Surroundings) -> Option<Objection> {
    let wanted = required(pod, false);
    if !wanted.is_empty() {
        let friend = |other: &&&Pod| wanted.iter().all(|term| speaks_of(term, pod, other, around));
        let friends: Vec<&&Pod> = others.iter().filter(friend).collect();
        let met = wanted.iter().all(|term| {
            let here = domain(node, &term.topology_key);
            here.is_some()
                && friends
                    .iter()
                    .any(|other| node_of(other, nodes).and_then(|node| domain(node, &term.topology_key)) == here)
        });
        // The first of a group of pods that want to be together may go anywhere.
        let first = friends.is_empty()
            && wanted
                .iter()
                .all(|term| domain(node, &term.topology_key).is_some() && speaks_of(term, pod, pod, around));
        if !met && !first {
            return Some(("node(s) didn't match pod affinity rules", false));
        }
    }
    let together = |other: &Pod, key: &str| {
        let here = domain(node, key);
        here.is_some() && node_of(other, nodes).and_then(|node| domain(node, key)) == here
    };
    for term in required(pod, true) {
        if others
            .iter()
            .any(|other| speaks_of(&term, pod, other, around) && together(other, &term.topology_key))
        {
            return Some(("node(s) didn't match pod anti-affinity rules", true));
        }
    }
    for other in others {
        for term in required(other, true) {
            if speaks_of(&term, other, pod, around) && together(other, &term.topology_key) {
                return Some(("node(s) didn't satisfy existing pods anti-affinity rules", true));
            }
        }
    }
    None
}

fn spread(pod: &Pod, node: &Node, nodes: &[Node], others: &[&Pod]) -> Option<Objection> {
    let constraints = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.topology_spread_constraints.as_deref())
        .unwrap_or_default();
    let hard: Vec<&TopologySpreadConstraint> = constraints
        .iter()
        .filter(|constraint| constraint.when_unsatisfiable == "DoNotSchedule")
        .collect();
    let eligible = |node: &&Node| {
        hard.iter()
            .all(|constraint| domain(node, &constraint.topology_key).is_some())
    };
    for constraint in &hard {
        let key = &constraint.topology_key;
        let Some(here) = domain(node, key) else {
            return Some((
                "node(s) didn't match pod topology spread constraints (missing required label)",
                false,
            ));
        };
        let mut counts: BTreeMap<&str, i32> = nodes
            .iter()
            .filter(eligible)
            .filter_map(|node| domain(node, key))
            .map(|name| (name, 0))
            .collect();
        let mut selector = constraint.label_selector.clone();
        for key in constraint.match_label_keys.iter().flatten() {
            if let Some(value) = labels_of(pod).get(key) {
                let map = selector.get_or_insert_default().match_labels.get_or_insert_default();
                map.insert(key.clone(), value.clone());
            }
        }
        let counted = |labels: &Labels| selects(selector.as_ref(), labels);
        for other in others.iter().filter(|other| namespace_of(other) == namespace_of(pod)) {
            let goes = other.metadata.deletion_timestamp.is_some();
            if goes || !counted(&labels_of(other)) {
                continue;
            }
            if let Some(count) = node_of(other, nodes)
                .and_then(|node| domain(node, key))
                .and_then(|name| counts.get_mut(name))
            {
                *count += 1;
            }
        }
        let few = constraint
            .min_domains
            .is_some_and(|least| i32::try_from(counts.len()).unwrap_or(i32::MAX) < least);
        let least = if few {
            0
        } else {
            counts.values().copied().min().unwrap_or(0)
        };
        let own = i32::from(counted(&labels_of(pod)));
        if counts.get(here).copied().unwrap_or(0) + own - least > constraint.max_skew {
            return Some(("node(s) didn't match pod topology spread constraints", true));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(name: &str, zone: &str) -> Node {
        serde_json::from_value(
            json!({"metadata": {"name": name, "labels": {"zone": zone, "kubernetes.io/hostname": name}}}),
        )
        .unwrap()
    }

    fn pod(labels: Value, at: &str, spec: Value) -> Pod {
        let mut value = json!({"metadata": {"name": "p", "namespace": "a", "labels": labels}, "spec": spec});
        value["spec"]["containers"] = json!([]);
        if !at.is_empty() {
            value["spec"]["nodeName"] = at.into();
        }
        serde_json::from_value(value).unwrap()
    }

    fn term(kind: &str, more: Value) -> Value {
        let mut term = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "db"}}});
        for (name, field) in more.as_object().unwrap() {
            term[name] = field.clone();
        }
        json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}})
    }

    fn said(pod: &Pod, others: &[Pod]) -> Vec<&'static str> {
        let nodes = [node("n1", "x"), node("n2", "y")];
        let others: Vec<&Pod> = others.iter().collect();
        let mut around = Surroundings::default();
        around
            .namespaces
            .insert("a".into(), Labels::from([("team".into(), "one".into())]));
        let check = |node: &Node| objection(pod, node, &nodes, &others, &around).map_or("", |(reason, _)| reason);
        nodes.iter().map(check).collect()
    }

    #[test]
    fn affinity_and_its_opposite() {
        let database = pod(json!({"app": "db"}), "n1", json!({}));
        let close = pod(json!({}), "", term("podAffinity", json!({})));
        let rules = "node(s) didn't match pod affinity rules";
        assert_eq!(said(&close, std::slice::from_ref(&database)), ["", rules]);
        assert_eq!(said(&close, &[]), [rules, rules]);
        let first = pod(json!({"app": "db"}), "", term("podAffinity", json!({})));
        assert_eq!(said(&first, &[]), ["", ""]);
        let apart = pod(json!({}), "", term("podAntiAffinity", json!({})));
        assert_eq!(
            said(&apart, std::slice::from_ref(&database)),
            ["node(s) didn't match pod anti-affinity rules", ""]
        );
        let elsewhere = pod(json!({}), "", term("podAntiAffinity", json!({"namespaces": ["b"]})));
        assert_eq!(said(&elsewhere, std::slice::from_ref(&database)), ["", ""]);
        let team = json!({"namespaceSelector": {"matchLabels": {"team": "one"}}});
        let by_team = pod(json!({}), "", term("podAntiAffinity", team));
        assert_eq!(
            said(&by_team, &[database]),
            ["node(s) didn't match pod anti-affinity rules", ""]
        );
        let shy = pod(json!({"app": "x"}), "n2", term("podAntiAffinity", json!({})));
        let comer = pod(json!({"app": "db"}), "", json!({}));
        assert_eq!(
            said(&comer, &[shy]),
            ["", "node(s) didn't satisfy existing pods anti-affinity rules"]
        );
    }

    #[test]
    fn pods_spread_over_domains() {
        let constraint = |key: &str| {
            json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app": "db"}}}]})
        };
        let there = [pod(json!({"app": "db"}), "n1", json!({}))];
        let even = pod(json!({"app": "db"}), "", constraint("zone"));
        assert_eq!(
            said(&even, &there),
            ["node(s) didn't match pod topology spread constraints", ""]
        );
        assert_eq!(said(&even, &[]), ["", ""]);
        let missing = "node(s) didn't match pod topology spread constraints (missing required label)";
        assert_eq!(said(&pod(json!({}), "", constraint("rack")), &[]), [missing, missing]);
    }
}
