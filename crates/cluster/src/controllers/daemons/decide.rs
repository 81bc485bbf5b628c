//! Which nodes a DaemonSet's pods are made on, which go, and what its status says: a pure function.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::controllers::facts::{PodFacts, resolve};

/// Label that says of which revision a pod is.
pub(super) const HASH: &str = "controller-revision-hash";

/// One node, as far as the set is concerned.
#[derive(Clone, Debug)]
pub(super) struct NodeFacts {
    pub name: String,
    /// Whether a pod is to be started on it.
    pub wants: bool,
    /// Whether a pod that is there may stay.
    pub keeps: bool,
}

/// What follows from the facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Decision {
    /// Nodes that get a pod.
    pub make: Vec<String>,
    /// Pods that go.
    pub remove: Vec<String>,
    /// Pods that failed and go.
    pub failed: Vec<String>,
    pub status: Value,
    /// When time alone changes something.
    pub later: Option<SignedDuration>,
}

fn node_of(pod: &PodFacts) -> Option<&str> {
    if let Some(node) = pod.spec.node_name.as_deref().filter(|node| !node.is_empty()) {
        return Some(node);
    }
    pod.metadata.annotations.get(super::TARGET).map(String::as_str)
}

/// Decides. `update` is the hash of the current template.
pub(super) fn decide(set: &Value, update: &str, nodes: &[NodeFacts], pods: &[PodFacts], now: Timestamp) -> Decision {
    let minimum = set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
    let mut on: BTreeMap<&str, Vec<&PodFacts>> = BTreeMap::new();
    for pod in pods {
        if let Some(node) = node_of(pod) {
            on.entry(node).or_default().push(pod);
        }
    }
    let current = |pod: &PodFacts| pod.metadata.labels.get(HASH).map(String::as_str) == Some(update);
    let available = |pod: &PodFacts| pod.active() && pod.available(minimum, now);
    let mut decision = Decision::default();
    let mut counts = Counts::default();
    let rolling = set["spec"]["updateStrategy"]["type"] == "RollingUpdate";
    let bounds = &set["spec"]["updateStrategy"]["rollingUpdate"];
    let desired = i64::try_from(nodes.iter().filter(|node| node.wants).count()).unwrap_or(0);
    let surge = resolve(&bounds["maxSurge"], desired, true);
    let unavailable = resolve(&bounds["maxUnavailable"], desired, true);
    let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
    let (mut old_ready, mut old_idle) = (Vec::new(), Vec::new());
    let mut missing = 0;
    for node in nodes {
        let here = on.get(node.name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let active: Vec<&&PodFacts> = here.iter().filter(|pod| pod.active()).collect();
        for pod in here.iter().filter(|pod| pod.ended() && !pod.metadata.deleting()) {
            decision.failed.push(pod.metadata.name.clone());
        }
        if !node.wants {
            counts.misscheduled += i64::from(!active.is_empty());
            if !node.keeps {
                decision
                    .remove
                    .extend(active.iter().map(|pod| pod.metadata.name.clone()));
            }
            continue;
        }
        counts.desired += 1;
        let going = here.iter().any(|pod| pod.metadata.deleting() && !pod.ended());
        if active.is_empty() {
            missing += 1;
            if !going
                && decision
                    .failed
                    .iter()
                    .all(|name| !here.iter().any(|pod| pod.metadata.name == *name))
            {
                decision.make.push(node.name.clone());
            }
            continue;
        }
        counts.scheduled += 1;
        let best = active.iter().max_by_key(|pod| (current(pod), available(pod)));
        counts.ready += i64::from(active.iter().any(|pod| pod.ready()));
        counts.available += i64::from(active.iter().any(|pod| available(pod)));
        counts.updated += i64::from(active.iter().any(|pod| current(pod)));
        missing += i64::from(!active.iter().any(|pod| available(pod)));
        let new: Vec<&&&PodFacts> = active.iter().filter(|pod| current(pod)).collect();
        let old: Vec<&&&PodFacts> = active.iter().filter(|pod| !current(pod)).collect();
        // Of several pods of one template on a node the best stays.
        let mut twins: Vec<&&&PodFacts> = if new.is_empty() { old.clone() } else { new.clone() };
        twins.retain(|pod| best.is_none_or(|best| best.metadata.uid != pod.metadata.uid));
        decision
            .remove
            .extend(twins.iter().map(|pod| pod.metadata.name.clone()));
        if !new.is_empty() {
            let replaced = new.iter().any(|pod| available(pod));
            let idle = old.iter().filter(|pod| replaced || !available(pod));
            decision.remove.extend(idle.map(|pod| pod.metadata.name.clone()));
            continue;
        }
        if let Some(pod) = best.filter(|_| rolling) {
            let list = if available(pod) { &mut old_ready } else { &mut old_idle };
            list.push((node.name.clone(), pod.metadata.name.clone()));
        }
    }
    if surge > 0 {
        let room = usize::try_from(surge).unwrap_or(0);
        decision
            .make
            .extend(old_idle.into_iter().chain(old_ready).take(room).map(|(node, _)| node));
    } else {
        // Pods that are not available anyway cost nothing.
        decision.remove.extend(old_idle.into_iter().map(|(_, pod)| pod));
        let room = usize::try_from(unavailable - missing).unwrap_or(0);
        decision
            .remove
            .extend(old_ready.into_iter().take(room).map(|(_, pod)| pod));
    }
    decision.status = counts.written(set);
    let waits = pods
        .iter()
        .filter(|pod| pod.ready() && !pod.available(minimum, now))
        .filter_map(PodFacts::ready_since);
    let wait = waits
        .map(|since| SignedDuration::from_secs(minimum) - now.duration_since(since))
        .min();
    decision.later = wait.map(|wait| wait.max(SignedDuration::from_millis(10)));
    decision
}

#[derive(Default)]
struct Counts {
    desired: i64,
    scheduled: i64,
    misscheduled: i64,
    ready: i64,
    available: i64,
    updated: i64,
}

impl Counts {
    fn written(&self, set: &Value) -> Value {
        let mut status = json!({"observedGeneration": set["metadata"]["generation"], "currentNumberScheduled": self.scheduled,
            "numberMisscheduled": self.misscheduled, "desiredNumberScheduled": self.desired, "numberReady": self.ready});
        for (field, count) in [
            ("updatedNumberScheduled", self.updated),
            ("numberAvailable", self.available),
            ("numberUnavailable", self.desired - self.available),
        ] {
            if count > 0 {
                status[field] = count.into();
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(strategy: Value) -> Value {
        json!({"metadata": {"generation": 1}, "spec": {"updateStrategy": strategy}})
    }

    fn pod(name: &str, node: &str, hash: &str, state: &str) -> PodFacts {
        let phase = if state == "ready" { "Running" } else { state };
        let ready = if state == "ready" { "True" } else { "False" };
        serde_json::from_value(json!({"metadata": {"name": name, "uid": name, "labels": {HASH: hash}}, "spec": {"nodeName": node},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}))
        .unwrap()
    }

    fn nodes() -> Vec<NodeFacts> {
        let node = |name: &str, wants, keeps| NodeFacts {
            name: name.into(),
            wants,
            keeps,
        };
        vec![node("a", true, true), node("b", true, true), node("c", false, false)]
    }

    fn decided(strategy: Value, pods: &[PodFacts]) -> Decision {
        decide(
            &set(strategy),
            "new",
            &nodes(),
            pods,
            "2026-01-01T00:01:00Z".parse().unwrap(),
        )
    }

    fn rolling(surge: i64) -> Value {
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1 - surge, "maxSurge": surge}})
    }

    #[test]
    fn every_wanted_node_has_one_pod() {
        let first = decided(rolling(0), &[]);
        assert_eq!(first.make, ["a", "b"]);
        let pods = [
            pod("p", "a", "new", "ready"),
            pod("q", "a", "new", "Pending"),
            pod("r", "c", "new", "ready"),
        ];
        let next = decided(rolling(0), &pods);
        assert_eq!(
            (next.make, next.remove),
            (vec!["b".to_owned()], vec!["q".to_owned(), "r".to_owned()])
        );
        assert_eq!(next.status["numberMisscheduled"], 1);
        let failed = decided(rolling(0), &[pod("p", "a", "new", "Failed")]);
        assert_eq!(
            (failed.failed, failed.make),
            (vec!["p".to_owned()], vec!["b".to_owned()])
        );
    }

    #[test]
    fn an_update_goes_node_by_node() {
        let both = [pod("p", "a", "old", "ready"), pod("q", "b", "old", "ready")];
        assert_eq!(decided(rolling(0), &both).remove, ["p"]);
        let half = [pod("q", "b", "old", "ready")];
        let waiting = decided(rolling(0), &half);
        assert_eq!((waiting.make, waiting.remove), (vec!["a".to_owned()], vec![]));
        assert!(decided(json!({"type": "OnDelete"}), &both).remove.is_empty());
        assert_eq!(decided(rolling(1), &both).make, ["a"]);
        let beside = [
            pod("p", "a", "old", "ready"),
            pod("n", "a", "new", "ready"),
            pod("q", "b", "new", "ready"),
        ];
        assert_eq!(decided(rolling(1), &beside).remove, ["p"]);
    }
}
