//! Which pods make room for a more important one: a pure function.

use k8s_openapi::api::core::v1::{Node, Pod};

use super::fit::fits;
use super::neighbours::{Surroundings, selects};

/// Pods that would have to go from one node.
#[derive(Debug, Clone)]
struct Candidate<'a> {
    node: String,
    victims: Vec<&'a Pod>,
    /// Of these, how many their budgets protect.
    protected: usize,
}

pub(super) fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}

/// The node to make room on and the pods that go: fewest that a budget protects, then the least important, then the fewest.
pub(super) fn victims<'a>(
    pod: &Pod,
    nodes: &[Node],
    others: &'a [Pod],
    around: &Surroundings,
) -> Option<(String, Vec<&'a Pod>)> {
    let candidates = nodes
        .iter()
        .filter_map(|node| on_node(pod, node, nodes, others, around));
    let best = candidates.min_by_key(|candidate| {
        let priorities = candidate.victims.iter().map(|victim| i64::from(priority(victim)));
        let highest = priorities.clone().max();
        (
            candidate.protected,
            highest,
            priorities.sum::<i64>(),
            candidate.victims.len(),
            candidate.node.clone(),
        )
    })?;
    Some((best.node, best.victims))
}

fn on_node<'a>(
    pod: &Pod,
    node: &Node,
    nodes: &[Node],
    others: &'a [Pod],
    around: &Surroundings,
) -> Option<Candidate<'a>> {
    let name = node.metadata.name.clone().unwrap_or_default();
    let lesser = |other: &&Pod| {
        other.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(name.as_str())
            && priority(other) < priority(pod)
    };
    let mut possible: Vec<&Pod> = others.iter().filter(lesser).collect();
    if possible.is_empty() {
        return None;
    }
    let mut staying: Vec<Pod> = others.iter().filter(|other| !lesser(other)).cloned().collect();
    fits(pod, node, nodes, &staying, around).ok()?;
    // The most important and longest running are spared first; those that a budget protects before all.
    possible.sort_by_key(|victim| {
        let started = victim
            .status
            .as_ref()
            .and_then(|status| status.start_time.as_ref())
            .map(|time| time.0);
        (std::cmp::Reverse(priority(victim)), started.is_none(), started)
    });
    let shielded = protected(&possible, around);
    let order = possible.iter().zip(&shielded).filter(|(_, shielded)| **shielded);
    let order = order.chain(possible.iter().zip(&shielded).filter(|(_, shielded)| !**shielded));
    let (mut victims, mut count) = (Vec::new(), 0);
    for (victim, shielded) in order {
        staying.push((*victim).clone());
        if fits(pod, node, nodes, &staying, around).is_err() {
            staying.pop();
            victims.push(*victim);
            count += usize::from(*shielded);
        }
    }
    Some(Candidate {
        node: name,
        victims,
        protected: count,
    })
}

/// Which of these pods their budgets would not let go.
fn protected(pods: &[&Pod], around: &Surroundings) -> Vec<bool> {
    let mut left: Vec<i32> = around.budgets.iter().map(|budget| budget.allowed).collect();
    let mut found = Vec::new();
    for pod in pods {
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        let mut shielded = false;
        for (budget, left) in around.budgets.iter().zip(&mut left) {
            let own = pod.metadata.namespace.as_deref() == Some(budget.namespace.as_str());
            if own && selects(budget.selector.as_ref(), &labels) {
                *left -= 1;
                shielded |= *left < 0;
            }
        }
        found.push(shielded);
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::neighbours::Budget;
    use super::*;

    fn node() -> Node {
        serde_json::from_value(
            json!({"metadata": {"name": "n1"}, "status": {"allocatable": {"cpu": "2", "pods": "10"}}}),
        )
        .unwrap()
    }

    fn pod(name: &str, priority: i32, cpu: &str, at: &str) -> Pod {
        let mut value = json!({"metadata": {"name": name, "uid": name, "namespace": "a", "labels": {"name": name}},
            "spec": {"priority": priority, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}});
        if !at.is_empty() {
            value["spec"]["nodeName"] = at.into();
        }
        serde_json::from_value(value).unwrap()
    }

    fn names(found: Option<(String, Vec<&Pod>)>) -> Vec<String> {
        let victims = found.map(|(_, victims)| victims).unwrap_or_default();
        victims
            .into_iter()
            .filter_map(|pod| pod.metadata.name.clone())
            .collect()
    }

    #[test]
    fn the_least_important_pods_go_and_only_as_many_as_needed() {
        let others = [pod("low", 1, "1", "n1"), pod("mid", 5, "1", "n1")];
        let around = Surroundings::default();
        assert_eq!(
            names(victims(&pod("new", 10, "1", ""), &[node()], &others, &around)),
            ["low"]
        );
        assert_eq!(
            names(victims(&pod("new", 10, "2", ""), &[node()], &others, &around)),
            ["mid", "low"]
        );
        assert!(victims(&pod("new", 1, "1", ""), &[node()], &others, &around).is_none());
        assert!(victims(&pod("new", 10, "3", ""), &[node()], &others, &around).is_none());
    }

    #[test]
    fn a_pod_that_a_budget_protects_goes_only_if_no_other_will_do() {
        let others = [pod("low", 1, "1", "n1"), pod("mid", 5, "1", "n1")];
        let selector = serde_json::from_value(json!({"matchLabels": {"name": "low"}})).unwrap();
        let around = Surroundings {
            budgets: vec![Budget {
                namespace: "a".into(),
                selector: Some(selector),
                allowed: 0,
            }],
            ..Surroundings::default()
        };
        assert_eq!(
            names(victims(&pod("new", 10, "1", ""), &[node()], &others, &around)),
            ["mid"]
        );
        assert_eq!(
            names(victims(&pod("new", 10, "2", ""), &[node()], &others, &around)).len(),
            2
        );
    }
}
