//! The status of a Deployment: counts, and the conditions Available, Progressing and ReplicaFailure.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::actions::Decision;
use super::facts::{Deployment, DeploymentStatus, Set};
use crate::controllers::facts::{Condition, whole};

/// The status after a look. `announced` is the reason and message of a ReplicaSet just made or found.
pub(super) fn rollout_status(
    deployment: &Deployment,
    new: Option<&Set>,
    old: &[&Set],
    announced: Option<(&'static str, String)>,
    now: Timestamp,
) -> Decision {
    let sum = |field: fn(&Set) -> i64| old.iter().copied().chain(new).map(field).sum::<i64>();
    let available = sum(|set| set.status.available_replicas);
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: sum(|set| set.status.replicas),
        updated_replicas: new.map_or(0, |set| set.status.replicas),
        ready_replicas: sum(|set| set.status.ready_replicas),
        available_replicas: available,
        collision_count: deployment.status.collision_count,
        conditions: deployment.status.conditions.clone(),
    };
    let enough = available >= deployment.replicas() - deployment.max_unavailable();
    let available_now = if enough {
        Condition::new(
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
            now,
        )
    } else {
        let message = "Deployment does not have minimum availability.";
        Condition::new("Available", "False", "MinimumReplicasUnavailable", message, now)
    };
    set(&mut status.conditions, available_now, now);
    if !deployment.metadata.deleting() {
        progress(deployment, &mut status, new, announced, now);
    }
    let failure = new
        .into_iter()
        .chain(old.iter().copied())
        .find_map(|set| Condition::find(&set.status.conditions, "ReplicaFailure"));
    match failure {
        Some(failure) => set(&mut status.conditions, failure.clone(), now),
        None => status.conditions.retain(|condition| condition.kind != "ReplicaFailure"),
    }
    let unavailable = (sum(Set::replicas) - available).max(0);
    let later = until_deadline(deployment, &status, now);
    Decision {
        status: Some(written(&status, unavailable)),
        later,
        ..Decision::default()
    }
}

fn written(status: &DeploymentStatus, unavailable: i64) -> Value {
    let mut value = json!({"observedGeneration": status.observed_generation});
    for (field, count) in [
        ("replicas", status.replicas),
        ("updatedReplicas", status.updated_replicas),
        ("readyReplicas", status.ready_replicas),
        ("availableReplicas", status.available_replicas),
        ("unavailableReplicas", unavailable),
    ] {
        if count > 0 {
            value[field] = count.into();
        }
    }
    if !status.conditions.is_empty() {
        value["conditions"] = json!(status.conditions);
    }
    if let Some(count) = status.collision_count {
        value["collisionCount"] = count.into();
    }
    value
}

/// Sets a condition, unless it says the same already; the transition is dated only when the status word changes.
fn set(conditions: &mut Vec<Condition>, mut condition: Condition, now: Timestamp) {
    condition.last_update_time = Some(whole(now));
    let known = conditions.iter().position(|known| known.kind == condition.kind);
    match known.map(|index| &mut conditions[index]) {
        Some(known) if known.status == condition.status && known.reason == condition.reason => {}
        Some(known) => {
            if known.status == condition.status {
                condition.last_transition_time = known.last_transition_time;
            }
            *known = condition;
        }
        None => conditions.push(condition),
    }
}

fn progress(
    deployment: &Deployment,
    status: &mut DeploymentStatus,
    new: Option<&Set>,
    announced: Option<(&'static str, String)>,
    now: Timestamp,
) {
    if !deployment.has_deadline() {
        status.conditions.retain(|condition| condition.kind != "Progressing");
        return;
    }
    let current = Condition::find(&deployment.status.conditions, "Progressing");
    let reason = current.map_or("", |condition| condition.reason.as_str());
    if deployment.spec.paused {
        if reason != "ProgressDeadlineExceeded" && reason != "DeploymentPaused" {
            let paused = Condition::new(
                "Progressing",
                "Unknown",
                "DeploymentPaused",
                "Deployment is paused",
                now,
            );
            set(&mut status.conditions, paused, now);
        }
        return;
    }
    if reason == "DeploymentPaused" && announced.is_none() {
        let resumed = Condition::new(
            "Progressing",
            "Unknown",
            "DeploymentResumed",
            "Deployment is resumed",
            now,
        );
        set(&mut status.conditions, resumed, now);
        return;
    }
    if let Some((reason, message)) = announced {
        set(
            &mut status.conditions,
            Condition::new("Progressing", "True", reason, message, now),
            now,
        );
        return;
    }
    let name = match new {
        Some(set) => format!("ReplicaSet {:?}", set.metadata.name),
        None => format!("Deployment {:?}", deployment.metadata.name),
    };
    // What was complete stays so while only availability changes.
    let settled = status.replicas == status.updated_replicas && reason == "NewReplicaSetAvailable";
    if settled {
        return;
    }
    let before = &deployment.status;
    let wanted = deployment.replicas();
    let complete = status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
        && status.observed_generation >= deployment.metadata.generation;
    let moved = status.updated_replicas > before.updated_replicas
        || status.replicas - status.updated_replicas < before.replicas - before.updated_replicas
        || status.ready_replicas > before.ready_replicas
        || status.available_replicas > before.available_replicas;
    if complete {
        let message = format!("{name} has successfully progressed.");
        let condition = Condition::new("Progressing", "True", "NewReplicaSetAvailable", message, now);
        set(&mut status.conditions, condition, now);
    } else if moved {
        let message = format!("{name} is progressing.");
        let mut condition = Condition::new("Progressing", "True", "ReplicaSetUpdated", message, now);
        condition.last_update_time = Some(whole(now));
        // Every step forward is dated: the deadline counts from the last one.
        if let Some(known) = current.filter(|known| known.status == "True") {
            condition.last_transition_time = known.last_transition_time;
        }
        status.conditions.retain(|condition| condition.kind != "Progressing");
        status.conditions.push(condition);
    } else if timed_out(deployment, current, now) {
        let message = format!("{name} has timed out progressing.");
        let condition = Condition::new("Progressing", "False", "ProgressDeadlineExceeded", message, now);
        set(&mut status.conditions, condition, now);
    }
}

fn timed_out(deployment: &Deployment, current: Option<&Condition>, now: Timestamp) -> bool {
    match current {
        None => false,
        Some(condition) if condition.reason == "NewReplicaSetAvailable" => false,
        Some(condition) if condition.reason == "ProgressDeadlineExceeded" => true,
        Some(condition) => deadline(deployment, condition).is_some_and(|deadline| now > deadline),
    }
}

fn deadline(deployment: &Deployment, condition: &Condition) -> Option<Timestamp> {
    let seconds = deployment.spec.progress_deadline_seconds?;
    let from = condition.last_update_time.or(condition.last_transition_time)?;
    from.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// When a rollout that does not move is to be found late.
fn until_deadline(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> Option<SignedDuration> {
    if !deployment.has_deadline() || deployment.spec.paused || deployment.metadata.deleting() {
        return None;
    }
    let condition = Condition::find(&status.conditions, "Progressing")?;
    if matches!(
        condition.reason.as_str(),
        "NewReplicaSetAvailable" | "ProgressDeadlineExceeded"
    ) {
        return None;
    }
    let left = deadline(deployment, condition)?.duration_since(now);
    Some(left.max(SignedDuration::ZERO) + SignedDuration::from_secs(1))
}
