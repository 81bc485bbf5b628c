//! What a StatefulSet does next: a pure function of the set, its revisions and its pods.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::controllers::facts::{Meta, PodFacts, nullable};
use crate::controllers::history::Revision;

/// Label that says of which revision a pod is.
pub(super) const HASH: &str = "controller-revision-hash";

/// A StatefulSet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Set {
    pub metadata: Meta,
    pub spec: SetSpec,
    #[serde(deserialize_with = "nullable")]
    pub status: SetStatus,
}

/// What is asked of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SetSpec {
    pub replicas: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub service_name: String,
    pub pod_management_policy: Option<String>,
    pub update_strategy: Value,
    pub ordinals: Value,
    #[serde(deserialize_with = "nullable")]
    pub min_ready_seconds: i64,
    pub revision_history_limit: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub volume_claim_templates: Vec<Value>,
    pub persistent_volume_claim_retention_policy: Value,
    pub selector: Value,
}

/// How it was at the last look.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SetStatus {
    pub current_replicas: i64,
    #[serde(deserialize_with = "nullable")]
    pub current_revision: String,
    pub collision_count: Option<i64>,
}

impl Set {
    fn start(&self) -> i64 {
        self.spec.ordinals["start"].as_i64().unwrap_or(0)
    }

    fn replicas(&self) -> i64 {
        self.spec.replicas.unwrap_or(1)
    }

    fn ordered(&self) -> bool {
        self.spec.pod_management_policy.as_deref() != Some("Parallel")
    }

    fn rolling(&self) -> bool {
        self.spec.update_strategy["type"] == "RollingUpdate"
    }

    fn partition(&self) -> i64 {
        self.spec.update_strategy["rollingUpdate"]["partition"]
            .as_i64()
            .unwrap_or(0)
    }

    /// The ordinal of a pod of this set.
    pub fn ordinal(&self, pod: &str) -> Option<i64> {
        let digits = pod.strip_prefix(&self.metadata.name)?.strip_prefix('-')?;
        digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse().ok())?
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Make the pod of an ordinal from a revision, with its claims.
    Create { ordinal: i64, revision: String },
    /// Delete a pod because it is not wanted any more; its claims may go with it.
    Condemn(String),
    /// Delete a pod so that it is made again from the current template.
    Replace(String),
    /// Delete a pod that has ended, so that it is made again.
    Recreate(String),
}

/// What follows from the facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Decision {
    /// Things to do now.
    pub actions: Vec<Action>,
    pub status: Value,
    /// When time alone changes something.
    pub later: Option<SignedDuration>,
}

fn revision_of(pod: &PodFacts) -> &str {
    pod.metadata.labels.get(HASH).map_or("", String::as_str)
}

fn healthy(set: &Set, pod: &PodFacts, now: Timestamp) -> bool {
    !pod.metadata.deleting() && pod.phase() == "Running" && pod.available(set.spec.min_ready_seconds, now)
}

/// Decides. The last of `revisions` is that of the current template.
pub(super) fn decide(set: &Set, revisions: &[Revision], pods: &[PodFacts], now: Timestamp) -> Decision {
    let update = revisions.last().map_or("", |revision| revision.metadata.name.as_str());
    let known = |name: &str| revisions.iter().any(|revision| revision.metadata.name == name);
    let current = Some(set.status.current_revision.as_str())
        .filter(|name| known(name))
        .unwrap_or(update);
    let mut by_ordinal: BTreeMap<i64, &PodFacts> = BTreeMap::new();
    for pod in pods {
        if let Some(ordinal) = set.ordinal(&pod.metadata.name) {
            by_ordinal.insert(ordinal, pod);
        }
    }
    let mut decision = Decision::default();
    if !set.metadata.deleting() {
        decision.actions = next(set, current, update, &by_ordinal, now);
    }
    decision.status = status(set, current, update, &by_ordinal, now);
    let waits = pods
        .iter()
        .filter(|pod| pod.ready() && !pod.available(set.spec.min_ready_seconds, now));
    let waits = waits.filter_map(PodFacts::ready_since);
    let wait = waits
        .map(|since| SignedDuration::from_secs(set.spec.min_ready_seconds) - now.duration_since(since))
        .min();
    decision.later = wait.map(|wait| wait.max(SignedDuration::from_millis(10)));
    decision
}

fn next(set: &Set, current: &str, update: &str, pods: &BTreeMap<i64, &PodFacts>, now: Timestamp) -> Vec<Action> {
    let wanted = set.start()..set.start() + set.replicas();
    let mut actions = Vec::new();
    for ordinal in wanted.clone() {
        let Some(pod) = pods.get(&ordinal) else {
            let revision = if needs_current(set, ordinal) { current } else { update };
            actions.push(Action::Create {
                ordinal,
                revision: revision.to_owned(),
            });
            if set.ordered() {
                return actions;
            }
            continue;
        };
        if pod.ended() && !pod.metadata.deleting() {
            actions.push(Action::Recreate(pod.metadata.name.clone()));
            if set.ordered() {
                return actions;
            }
            continue;
        }
        if set.ordered() && !healthy(set, pod, now) {
            return actions;
        }
    }
    let unhealthy = pods
        .values()
        .find(|pod| !healthy(set, pod, now))
        .map(|pod| pod.metadata.name.as_str());
    let condemned = pods.iter().rev().filter(|(ordinal, _)| !wanted.contains(ordinal));
    for (_, pod) in condemned {
        if pod.metadata.deleting() {
            if set.ordered() {
                return actions;
            }
            continue;
        }
        if set.ordered() && !healthy(set, pod, now) && unhealthy != Some(pod.metadata.name.as_str()) {
            return actions;
        }
        actions.push(Action::Condemn(pod.metadata.name.clone()));
        if set.ordered() {
            return actions;
        }
    }
    if !actions.is_empty() || !set.rolling() {
        return actions;
    }
    // One pod at a time, the last first, each after the ones above it are well.
    for ordinal in wanted.rev() {
        if ordinal < set.partition() {
            break;
        }
        let Some(pod) = pods.get(&ordinal) else { break };
        if revision_of(pod) != update && !pod.metadata.deleting() {
            return vec![Action::Replace(pod.metadata.name.clone())];
        }
        if !healthy(set, pod, now) {
            break;
        }
    }
    Vec::new()
}

/// Whether a pod that is made now still belongs to the revision before: while a rollout goes on, those it has not reached.
fn needs_current(set: &Set, ordinal: i64) -> bool {
    if !set.rolling() {
        return false;
    }
    if set.partition() > 0 {
        return ordinal < set.partition();
    }
    ordinal < set.start() + set.status.current_replicas
}

fn status(set: &Set, current: &str, update: &str, pods: &BTreeMap<i64, &PodFacts>, now: Timestamp) -> Value {
    let count =
        |test: &dyn Fn(&PodFacts) -> bool| i64::try_from(pods.values().filter(|pod| test(pod)).count()).unwrap_or(0);
    let ready = count(&|pod| pod.phase() == "Running" && pod.ready());
    let available = count(&|pod| pod.phase() == "Running" && pod.available(set.spec.min_ready_seconds, now));
    let replicas = count(&|_| true);
    let updated = count(&|pod| !pod.metadata.deleting() && revision_of(pod) == update);
    let mut shown_current = current;
    let mut of_current = count(&|pod| !pod.metadata.deleting() && revision_of(pod) == current);
    if set.rolling() && updated == replicas && ready == replicas && updated == set.replicas() {
        shown_current = update;
        of_current = updated;
    }
    let mut status = json!({"observedGeneration": set.metadata.generation, "replicas": replicas, "availableReplicas": available,
        "currentRevision": shown_current, "updateRevision": update,
        "collisionCount": set.status.collision_count.unwrap_or(0)});
    for (field, number) in [
        ("readyReplicas", ready),
        ("currentReplicas", of_current),
        ("updatedReplicas", updated),
    ] {
        if number > 0 {
            status[field] = number.into();
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-01T00:01:00Z";

    fn set(replicas: i64, spec: Value, status: Value) -> Set {
        let mut value = json!({"metadata": {"name": "web", "generation": 2},
            "spec": {"replicas": replicas, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}},
            "status": status});
        for (name, field) in spec.as_object().unwrap() {
            value["spec"][name] = field.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    fn pod(ordinal: i64, revision: &str, state: &str) -> PodFacts {
        let phase = if matches!(state, "ready" | "unready" | "dying") {
            "Running"
        } else {
            state
        };
        let ready = if state == "ready" { "True" } else { "False" };
        let mut value = json!({"metadata": {"name": format!("web-{ordinal}"), "labels": {HASH: revision}}, "spec": {"nodeName": "n"},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        if state == "dying" {
            value["metadata"]["deletionTimestamp"] = NOW.into();
        }
        serde_json::from_value(value).unwrap()
    }

    fn revision(name: &str) -> Revision {
        serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
    }

    fn actions(set: &Set, revisions: &[&str], pods: &[PodFacts]) -> Vec<Action> {
        let revisions: Vec<Revision> = revisions.iter().map(|name| revision(name)).collect();
        decide(set, &revisions, pods, NOW.parse().unwrap()).actions
    }

    fn create(ordinal: i64, revision: &str) -> Action {
        Action::Create {
            ordinal,
            revision: revision.into(),
        }
    }

    #[test]
    fn pods_come_in_order_and_go_in_reverse() {
        let three = set(3, json!({}), json!({}));
        assert_eq!(actions(&three, &["a"], &[]), [create(0, "a")]);
        assert_eq!(actions(&three, &["a"], &[pod(0, "a", "unready")]), []);
        assert_eq!(actions(&three, &["a"], &[pod(0, "a", "ready")]), [create(1, "a")]);
        let one = set(1, json!({}), json!({}));
        let all = [pod(0, "a", "ready"), pod(1, "a", "ready"), pod(2, "a", "ready")];
        assert_eq!(actions(&one, &["a"], &all), [Action::Condemn("web-2".into())]);
        let dying = [pod(0, "a", "ready"), pod(1, "a", "ready"), pod(2, "a", "dying")];
        assert_eq!(actions(&one, &["a"], &dying), []);
        // Scaling down halts at an unhealthy pod below the one to go.
        let sick = [pod(0, "a", "unready"), pod(1, "a", "ready")];
        assert_eq!(actions(&one, &["a"], &sick), []);
        let failed = [pod(0, "a", "Failed")];
        assert_eq!(actions(&one, &["a"], &failed), [Action::Recreate("web-0".into())]);
    }

    #[test]
    fn parallel_pods_come_and_go_together() {
        let parallel = json!({"podManagementPolicy": "Parallel", "ordinals": {"start": 5}});
        assert_eq!(
            actions(&set(2, parallel.clone(), json!({})), &["a"], &[]),
            [create(5, "a"), create(6, "a")]
        );
        let pods = [pod(5, "a", "unready"), pod(6, "a", "unready")];
        let gone = [Action::Condemn("web-6".into()), Action::Condemn("web-5".into())];
        assert_eq!(actions(&set(0, parallel, json!({})), &["a"], &pods), gone);
    }

    #[test]
    fn an_update_replaces_from_the_last_down_to_the_partition() {
        let pods = [pod(0, "a", "ready"), pod(1, "a", "ready"), pod(2, "a", "ready")];
        let plain = set(3, json!({}), json!({"currentRevision": "a", "currentReplicas": 3}));
        assert_eq!(actions(&plain, &["a", "b"], &pods), [Action::Replace("web-2".into())]);
        let waiting = [pod(0, "a", "ready"), pod(1, "a", "ready"), pod(2, "b", "unready")];
        assert_eq!(actions(&plain, &["a", "b"], &waiting), []);
        let going = [pod(0, "a", "ready"), pod(1, "a", "ready"), pod(2, "b", "ready")];
        assert_eq!(actions(&plain, &["a", "b"], &going), [Action::Replace("web-1".into())]);
        let spec = json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}});
        let partitioned = set(3, spec, json!({"currentRevision": "a", "currentReplicas": 2}));
        assert_eq!(actions(&partitioned, &["a", "b"], &going), []);
        // Below the partition a pod that is lost comes back as it was.
        assert_eq!(actions(&partitioned, &["a", "b"], &going[1..]), [create(0, "a")]);
        let on_delete = set(
            3,
            json!({"updateStrategy": {"type": "OnDelete"}}),
            json!({"currentRevision": "a"}),
        );
        assert_eq!(actions(&on_delete, &["a", "b"], &pods), []);
        assert_eq!(actions(&on_delete, &["a", "b"], &pods[..2]), [create(2, "b")]);
    }

    #[test]
    fn the_status_completes_the_rollout() {
        let at = NOW.parse().unwrap();
        let rolling = set(2, json!({}), json!({"currentRevision": "a"}));
        let revisions = [revision("a"), revision("b")];
        let half = decide(&rolling, &revisions, &[pod(0, "a", "ready"), pod(1, "b", "ready")], at).status;
        assert_eq!(
            (&half["currentRevision"], &half["updateRevision"]),
            (&json!("a"), &json!("b"))
        );
        assert_eq!(
            (&half["currentReplicas"], &half["updatedReplicas"]),
            (&json!(1), &json!(1))
        );
        let whole = decide(&rolling, &revisions, &[pod(0, "b", "ready"), pod(1, "b", "ready")], at).status;
        assert_eq!(
            (&whole["currentRevision"], &whole["currentReplicas"]),
            (&json!("b"), &json!(2))
        );
        assert_eq!(whole["observedGeneration"], 2);
    }
}
