//! What a Deployment does next: a pure function of the Deployment, its ReplicaSets and their pods.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::actions::{Action, Decision};
use super::facts::{Deployment, Set};
use super::revisions::{
    DESIRED, HASH, MAXIMUM, REVISION, copied_annotations, hash, is_new, revision_of, with_revision,
};
use super::scale;
use super::status::rollout_status;
use crate::controllers::facts::{Condition, controller_reference};

/// Everything observed.
pub(super) struct Observed<'a> {
    pub deployment: &'a Deployment,
    /// The Deployment as stored.
    pub value: &'a Value,
    /// Its ReplicaSets, the oldest first.
    pub sets: &'a [Set],
    /// Pods of each ReplicaSet, by its UID, that have not ended.
    pub pods: &'a BTreeMap<String, usize>,
}

pub(super) fn decide(observed: &Observed<'_>, now: Timestamp) -> Decision {
    let Observed {
        deployment,
        value,
        sets,
        pods,
    } = observed;
    let new = sets.iter().find(|set| is_new(set, &deployment.spec.template));
    let old: Vec<&Set> = sets
        .iter()
        .filter(|set| new.is_none_or(|new| new.uid() != set.uid()))
        .collect();
    if deployment.metadata.deleting() {
        return rollout_status(deployment, new, &old, None, now);
    }
    if deployment.spec.paused {
        let mut decision = Decision {
            actions: scale::rescale(deployment, new, &old),
            ..Decision::default()
        };
        if let Some(new) = new {
            decision.actions.extend(keep_revision(deployment, new, &old));
        }
        if decision.actions.is_empty() {
            decision.actions = history(deployment, &old);
        }
        return finish(decision, deployment, new, &old, now);
    }
    if scale::asked(deployment, sets) {
        let actions = scale::rescale(deployment, new, &old);
        if !actions.is_empty() {
            let decision = Decision {
                actions,
                ..Decision::default()
            };
            return finish(decision, deployment, new, &old, now);
        }
    }
    let recreate = deployment.spec.strategy.kind == "Recreate";
    let mut decision = Decision::default();
    if recreate {
        decision.actions = old
            .iter()
            .filter(|set| set.replicas() > 0)
            .map(|set| scale::to(deployment, set, 0))
            .collect();
        let running = old
            .iter()
            .any(|set| pods.get(set.uid()).is_some_and(|count| *count > 0));
        if !decision.actions.is_empty() || running {
            return finish(decision, deployment, new, &old, now);
        }
    }
    let Some(new_set) = new else {
        decision.actions = create(deployment, value, &old, sets);
        return finish(decision, deployment, new, &old, now);
    };
    decision.actions.extend(keep_revision(deployment, new_set, &old));
    if decision.actions.is_empty() {
        decision.actions = if recreate {
            scale::up(deployment, new_set, &old)
        } else {
            let up = scale::up(deployment, new_set, &old);
            if up.is_empty() {
                scale::down(deployment, new_set, &old)
            } else {
                up
            }
        };
    }
    let status = &deployment.status;
    let wanted = deployment.replicas();
    let complete = status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
        && status.observed_generation >= deployment.metadata.generation;
    if complete && decision.actions.is_empty() {
        decision.actions = history(deployment, &old);
    }
    finish(decision, deployment, new, &old, now)
}

/// The status is written after every look, so that progress is dated, whatever is to be done.
fn finish(
    mut decision: Decision,
    deployment: &Deployment,
    new: Option<&Set>,
    old: &[&Set],
    now: Timestamp,
) -> Decision {
    let outcome = rollout_status(deployment, new, old, announced(deployment, new, &decision.actions), now);
    decision.status = outcome.status;
    decision.later = outcome.later;
    for action in &decision.actions {
        match action {
            Action::Change {
                name,
                replicas: Some((from, to)),
                ..
            } => {
                let direction = if to > from { "up" } else { "down" };
                let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
                decision.events.push((false, "ScalingReplicaSet", message));
            }
            Action::Create(set) if set["spec"]["replicas"].as_i64().unwrap_or(0) > 0 => {
                let name = set["metadata"]["name"].as_str().unwrap_or_default();
                let message = format!("Scaled up replica set {name} from 0 to {}", set["spec"]["replicas"]);
                decision.events.push((false, "ScalingReplicaSet", message));
            }
            _ => {}
        }
    }
    decision
}

/// The condition that says which ReplicaSet was made or found for a new template.
fn announced(deployment: &Deployment, new: Option<&Set>, actions: &[Action]) -> Option<(&'static str, String)> {
    let deadline = deployment.has_deadline();
    if let Some(Action::Create(set)) = actions.first() {
        let name = set["metadata"]["name"].as_str().unwrap_or_default();
        return deadline.then(|| ("NewReplicaSetCreated", format!("Created new replica set {name:?}")));
    }
    let known = Condition::find(&deployment.status.conditions, "Progressing").is_some();
    let new = new.filter(|_| deadline && !known && !deployment.spec.paused)?;
    Some((
        "FoundNewReplicaSet",
        format!("Found new replica set {:?}", new.metadata.name),
    ))
}

/// Keeps the revision and the copied annotations of the current ReplicaSet true.
fn keep_revision(deployment: &Deployment, new: &Set, old: &[&Set]) -> Vec<Action> {
    let highest = old.iter().map(|set| revision_of(&set.metadata)).max().unwrap_or(0);
    let mut annotations = copied_annotations(deployment, Some(new));
    let own = revision_of(&new.metadata);
    let revision = if own <= highest { highest + 1 } else { own };
    if revision != own {
        annotations.extend(with_revision(&new.metadata, revision));
    }
    let minimum =
        (new.spec.min_ready_seconds != deployment.spec.min_ready_seconds).then_some(deployment.spec.min_ready_seconds);
    let mut actions = Vec::new();
    if !annotations.is_empty() || minimum.is_some() {
        actions.push(Action::Change {
            name: new.metadata.name.clone(),
            replicas: None,
            annotations,
            minimum,
        });
    }
    if revision_of(&deployment.metadata) != revision {
        actions.push(Action::Annotate(REVISION.into(), revision.to_string()));
    }
    actions
}

/// The ReplicaSet for a new template.
fn create(deployment: &Deployment, value: &Value, old: &[&Set], all: &[Set]) -> Vec<Action> {
    let spec = &deployment.spec;
    // The owner's name and the template's hash name the set: to make it twice is to find it made.
    let suffix = hash(&spec.template, deployment.status.collision_count);
    let highest = old.iter().map(|set| revision_of(&set.metadata)).max().unwrap_or(0);
    let revision = (highest + 1).to_string();
    let mut annotations = copied_annotations(deployment, None);
    annotations.insert(REVISION.into(), revision.clone());
    annotations.insert(DESIRED.into(), deployment.replicas().to_string());
    annotations.insert(
        MAXIMUM.into(),
        (deployment.replicas() + deployment.max_surge()).to_string(),
    );
    let mut template = spec.template.clone();
    template["metadata"]["labels"][HASH] = suffix.clone().into();
    let mut selector = spec.selector.clone();
    selector["matchLabels"][HASH] = suffix.clone().into();
    let counts = all.iter().map(Set::replicas).sum::<i64>();
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("{}-{suffix}", deployment.metadata.name), "namespace": deployment.metadata.namespace,
            "labels": template["metadata"]["labels"], "annotations": annotations,
            "ownerReferences": [controller_reference(value)]},
        "spec": {"replicas": scale::first_size(deployment, counts), "selector": selector, "template": template},
    });
    if spec.min_ready_seconds > 0 {
        set["spec"]["minReadySeconds"] = spec.min_ready_seconds.into();
    }
    let mut actions = vec![Action::Create(set)];
    if deployment.metadata.annotations.get(REVISION) != Some(&revision) {
        actions.push(Action::Annotate(REVISION.into(), revision));
    }
    actions
}

/// Old ReplicaSets beyond those kept for undoing.
fn history(deployment: &Deployment, old: &[&Set]) -> Vec<Action> {
    let Some(limit) = deployment.spec.revision_history_limit else {
        return Vec::new();
    };
    let mut idle: Vec<&&Set> = old
        .iter()
        .filter(|set| {
            set.replicas() == 0
                && set.status.replicas == 0
                && set.metadata.generation <= set.status.observed_generation
                && !set.metadata.deleting()
        })
        .collect();
    idle.sort_by_key(|set| (revision_of(&set.metadata), set.metadata.creation_timestamp));
    let surplus = idle.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    idle.into_iter()
        .take(surplus)
        .map(|set| Action::Delete {
            name: set.metadata.name.clone(),
            uid: set.metadata.uid.clone(),
        })
        .collect()
}
