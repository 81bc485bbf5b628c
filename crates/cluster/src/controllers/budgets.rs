//! PodDisruptionBudgets say how many of their pods may be disturbed now.
//!
//! In: a budget, its pods and the sizes of what controls them. Out: its status, which evictions draw on. The count is a pure function.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::facts::{Condition, PodFacts, read, resolve};
use super::ownership::JustMeta;
use super::work::{Controller, Settled};
use crate::apimachinery::selectors::LabelSelector;
use crate::registry::Registry;
use crate::store::{Event, Interest, Key, ResourceKey, Store};

const BUDGETS: &str = "poddisruptionbudgets.policy";
/// How long an eviction may take before the budget stops waiting for it.
const EVICTION_TAKES: SignedDuration = SignedDuration::from_mins(2);

/// The controller of PodDisruptionBudgets.
pub(super) struct Budgets {
    client: Client,
}

/// Sizes of the controllers of a budget's pods, or why they cannot be determined.
type Expected = Result<i64, String>;

impl Budgets {
    /// A controller of this server's budgets.
    pub fn new(registry: &Arc<Registry>) -> Budgets {
        Budgets {
            client: Client::new(registry, "disruption-controller"),
        }
    }

    /// How many pods the controllers of these pods want.
    fn expected(&self, namespace: &str, pods: &[PodFacts]) -> Expected {
        let store = &self.client.registry.store;
        let mut sizes: BTreeMap<String, i64> = BTreeMap::new();
        for pod in pods {
            let mut owner = pod.metadata.controller().cloned();
            let mut found = None;
            // A ReplicaSet's own controller, if it has one, is what counts.
            while let Some(reference) = owner.take() {
                let resource = match reference.kind.as_str() {
                    "ReplicaSet" => "replicasets.apps",
                    "Deployment" => "deployments.apps",
                    "StatefulSet" => "statefulsets.apps",
                    "ReplicationController" => "replicationcontrollers",
                    _ => break,
                };
                let key = Key::new(&resource.into(), namespace, &reference.name);
                let Some(object) = store.get(&key).filter(|object| *object.fields.uid == *reference.uid) else {
                    break;
                };
                found = Some((
                    reference.uid.clone(),
                    object.value()["spec"]["replicas"].as_i64().unwrap_or(1),
                ));
                owner = read::<JustMeta>(&object)
                    .unwrap_or_default()
                    .metadata
                    .controller()
                    .cloned();
            }
            match found {
                Some((uid, size)) => drop(sizes.insert(uid, size)),
                None => return Err(format!("found no controllers for pod {:?}", pod.metadata.name)),
            }
        }
        Ok(sizes.values().sum())
    }
}

/// The status of a budget, and when it changes by itself.
fn status(budget: &Value, pods: &[PodFacts], expected: &Expected, now: Timestamp) -> (Value, Option<SignedDuration>) {
    let spec = &budget["spec"];
    let count = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let percent = |value: &Value| value.is_string();
    let counted = match (&spec["minAvailable"], &spec["maxUnavailable"]) {
        (Value::Null, Value::Null) => Ok((count, count)),
        (Value::Null, most) => expected
            .clone()
            .map(|total| (total, (total - resolve(most, total, true)).max(0))),
        (least, _) if percent(least) => expected.clone().map(|total| (total, resolve(least, total, true))),
        (least, _) => Ok((count, least.as_i64().unwrap_or(0))),
    };
    let (total, desired, failed) = match counted {
        Ok((total, desired)) => (total, desired, None),
        Err(why) => (0, 0, Some(why)),
    };
    let mut going: Map<String, Value> = Map::new();
    let mut later = None;
    for (name, since) in budget["status"]["disruptedPods"].as_object().into_iter().flatten() {
        let alive = pods
            .iter()
            .any(|pod| pod.metadata.name == *name && !pod.metadata.deleting());
        let since_when: Option<Timestamp> = since.as_str().and_then(|text| text.parse().ok());
        let left = since_when.map_or(SignedDuration::ZERO, |since| EVICTION_TAKES - now.duration_since(since));
        if alive && left > SignedDuration::ZERO {
            going.insert(name.clone(), since.clone());
            later = Some(later.map_or(left, |known: SignedDuration| known.min(left)));
        }
    }
    let healthy = pods
        .iter()
        .filter(|pod| !pod.metadata.deleting() && pod.ready() && !going.contains_key(&pod.metadata.name))
        .count();
    let healthy = i64::try_from(healthy).unwrap_or(i64::MAX);
    let allowed = if failed.is_some() || total <= 0 {
        0
    } else {
        (healthy - desired).max(0)
    };
    let (word, reason, message) = match (&failed, allowed) {
        (Some(why), _) => ("False", "SyncFailed", why.as_str()),
        (None, 0) => ("False", "InsufficientPods", ""),
        (None, _) => ("True", "SufficientPods", ""),
    };
    let known: Vec<Condition> = serde_json::from_value(budget["status"]["conditions"].clone()).unwrap_or_default();
    let mut condition = Condition::new("DisruptionAllowed", word, reason, message, now);
    if let Some(before) = Condition::find(&known, "DisruptionAllowed").filter(|before| before.status == word) {
        condition.last_transition_time = before.last_transition_time;
    }
    condition.observed_generation = budget["metadata"]["generation"].as_i64();
    let mut condition = json!(condition);
    condition["message"] = message.into();
    let mut status = json!({"observedGeneration": budget["metadata"]["generation"], "disruptionsAllowed": allowed,
        "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": total, "conditions": [condition]});
    if !going.is_empty() {
        status["disruptedPods"] = going.into();
    }
    (status, later)
}

/// What a budget selects: nothing without a selector, everything with an empty one.
fn selects(budget: &Value) -> Option<LabelSelector> {
    budget["spec"]["selector"]
        .is_object()
        .then(|| LabelSelector::from_selector(&budget["spec"]["selector"]))
}

impl Controller for Budgets {
    const NAME: &'static str = "budgets";

    fn resource(&self) -> ResourceKey {
        BUDGETS.into()
    }

    fn sources(&self) -> Interest {
        Interest::of(&[
            "pods",
            "replicasets.apps",
            "deployments.apps",
            "statefulsets.apps",
            "replicationcontrollers",
        ])
    }

    fn concerns(&self, store: &Store, event: &Event) -> Vec<Key> {
        let object = &event.object;
        let budgets = || {
            store
                .list(&BUDGETS.into(), Some(&object.key.namespace), None, usize::MAX, |_| true)
                .items
        };
        let keys: BTreeSet<Key> = match &*object.key.resource {
            "pods" => {
                let versions = [Some(object), event.previous.as_ref()];
                let budgets = budgets().into_iter().filter(|budget| {
                    let selector = selects(&budget.value());
                    selector.is_some_and(|selector| versions.iter().flatten().any(|pod| selector.matches(&pod.fields)))
                });
                budgets.map(|budget| budget.key.clone()).collect()
            }
            "replicasets.apps" | "deployments.apps" | "statefulsets.apps" | "replicationcontrollers" => {
                budgets().into_iter().map(|budget| budget.key.clone()).collect()
            }
            _ => BTreeSet::new(),
        };
        keys.into_iter().collect()
    }

    async fn settle(self: Arc<Self>, key: Key) -> Settled {
        let store = &self.client.registry.store;
        let Some(object) = store.get(&key) else { return Ok(None) };
        let mut budget = object.value();
        let pods: Vec<PodFacts> = match selects(&budget) {
            None => Vec::new(),
            Some(selector) => {
                let list = store.list(&"pods".into(), Some(&key.namespace), None, usize::MAX, |pod| {
                    selector.matches(&pod.fields)
                });
                let pods = list.items.iter().filter_map(|pod| read::<PodFacts>(pod));
                pods.filter(|pod| !pod.ended()).collect()
            }
        };
        let expected = self.expected(&key.namespace, &pods);
        let (status, later) = status(&budget, &pods, &expected, crate::clock::now());
        if status != budget["status"] {
            budget["status"] = status;
            match self.client.update_status(BUDGETS, &budget).await {
                Err(refusal) if matches!(refusal.code, 404 | 409) => return Ok(Some(Duration::ZERO)),
                other => drop(other?),
            }
        }
        Ok(later.and_then(|time| Duration::try_from(time).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, ready: bool) -> PodFacts {
        let ready = if ready { "True" } else { "False" };
        serde_json::from_value(
            json!({"metadata": {"name": name}, "spec": {}, "status": {"phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}]}}),
        )
        .unwrap()
    }

    #[test]
    fn disruptions_allowed_are_the_healthy_pods_beyond_those_needed() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let pods = [pod("a", true), pod("b", true), pod("c", false)];
        for (spec, allowed, desired, expected) in [
            (json!({"minAvailable": 1}), 1, 1, 3),
            (json!({"minAvailable": 2}), 0, 2, 3),
            (json!({"minAvailable": "50%"}), 0, 2, 4),
            (json!({"maxUnavailable": 3}), 1, 1, 4),
            (json!({"maxUnavailable": "50%"}), 0, 2, 4),
            (json!({"maxUnavailable": "100%"}), 2, 0, 4),
        ] {
            let (status, _) = status(
                &json!({"metadata": {"generation": 1}, "spec": spec}),
                &pods,
                &Ok(4),
                now,
            );
            let found =
                ["disruptionsAllowed", "desiredHealthy", "expectedPods"].map(|field| status[field].as_i64().unwrap());
            assert_eq!(found, [allowed, desired, expected], "{spec}");
            assert_eq!(status["currentHealthy"], 2);
            let reason = if allowed > 0 {
                "SufficientPods"
            } else {
                "InsufficientPods"
            };
            assert_eq!(status["conditions"][0]["reason"], reason);
        }
    }

    #[test]
    fn a_pod_on_its_way_out_is_not_healthy_any_more() {
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        let mut budget =
            json!({"metadata": {"generation": 1}, "spec": {"minAvailable": 1}, "status": {"disruptionsAllowed": 1}});
        crate::registry::eviction::draw(&mut budget, "a", now);
        assert_eq!(budget["status"]["disruptionsAllowed"], 0);
        let (after, later) = status(&budget, &[pod("a", true), pod("b", true)], &Ok(2), now);
        assert_eq!(
            (&after["currentHealthy"], &after["disruptionsAllowed"]),
            (&json!(1), &json!(0))
        );
        assert_eq!(later, Some(EVICTION_TAKES));
        let much_later = "2026-01-01T00:03:01Z".parse().unwrap();
        let (over, _) = status(&budget, &[pod("a", true), pod("b", true)], &Ok(2), much_later);
        assert_eq!(over["disruptionsAllowed"], 1);
        let (unknown, _) = status(
            &json!({"metadata": {}, "spec": {"maxUnavailable": 1}}),
            &[pod("a", true)],
            &Err("no".into()),
            now,
        );
        assert_eq!(
            (&unknown["disruptionsAllowed"], &unknown["conditions"][0]["reason"]),
            (&json!(0), &json!("SyncFailed"))
        );
    }
}
