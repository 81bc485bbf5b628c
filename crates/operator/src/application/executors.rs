//! The map of executor states in the status: bounded, and never at the cost of a live executor.

use std::collections::BTreeMap;

use stoke_model::crd::{ExecutorState, SparkApplicationStatus};

use super::decide::{shows_executors, vanished};
use super::facts::ExecutorPod;
use super::note::EventNote;

/// Executors kept in the status when nothing else is said. Live ones are always kept, even beyond this number.
pub const KEPT_EXECUTORS: usize = 1000;

/// Brings the map up to date with the pods seen and notes what changed.
pub(super) fn update(
    status: &mut SparkApplicationStatus,
    pods: &[ExecutorPod],
    kept: Option<usize>,
    events: &mut Vec<EventNote>,
) {
    let state = status.app_state.state;
    if !shows_executors(state) {
        return;
    }
    let mine: BTreeMap<&str, &ExecutorPod> = pods
        .iter()
        .filter(|pod| pod.submission_id == status.submission_id)
        .map(|pod| (pod.name.as_str(), pod))
        .collect();
    for (name, known) in &mut status.executor_state {
        if !mine.contains_key(name.as_str()) && !is_final(*known) {
            *known = vanished(state);
        }
    }
    let mut changed = Vec::new();
    for (name, pod) in &mine {
        let known = status.executor_state.get(*name).copied();
        // A pod that ended does not come back; a late, older report must not say so.
        if known == Some(pod.state) || known.is_some_and(is_final) {
            continue;
        }
        status.executor_state.insert((*name).to_owned(), pod.state);
        changed.push(*pod);
    }
    prune(status, &mine, kept.unwrap_or(KEPT_EXECUTORS));
    // An ended executor beyond the bound comes and goes in every round; it is not news.
    changed.retain(|pod| status.executor_state.contains_key(&pod.name));
    for state in STATES {
        let entered: Vec<&ExecutorPod> = changed.iter().copied().filter(|pod| pod.state == state).collect();
        events.extend(EventNote::executors(&entered));
    }
}

const STATES: [ExecutorState; 5] = [
    ExecutorState::Pending,
    ExecutorState::Running,
    ExecutorState::Completed,
    ExecutorState::Failed,
    ExecutorState::Unknown,
];

fn is_final(state: ExecutorState) -> bool {
    matches!(state, ExecutorState::Completed | ExecutorState::Failed)
}

/// Drops ended executors, the oldest first, until the map is within its bound.
fn prune(status: &mut SparkApplicationStatus, pods: &BTreeMap<&str, &ExecutorPod>, kept: usize) {
    let surplus = status.executor_state.len().saturating_sub(kept);
    if surplus == 0 {
        return;
    }
    let live = |state: ExecutorState| matches!(state, ExecutorState::Pending | ExecutorState::Running);
    let mut ended: Vec<(u64, String)> = status
        .executor_state
        .iter()
        .filter(|(_, state)| !live(**state))
        .map(|(name, _)| {
            (
                pods.get(name.as_str())
                    .and_then(|pod| pod.id)
                    .unwrap_or_else(|| id_in(name)),
                name.clone(),
            )
        })
        .collect();
    ended.sort_unstable();
    for (_, name) in ended.into_iter().take(surplus) {
        status.executor_state.remove(&name);
    }
}

/// The number that ends an executor's pod name (`pi-…-exec-12`).
fn id_in(name: &str) -> u64 {
    name.rsplit('-').next().and_then(|id| id.parse().ok()).unwrap_or(0)
}
