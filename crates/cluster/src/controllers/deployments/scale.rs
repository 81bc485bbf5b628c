//! How many pods each ReplicaSet of a Deployment has: rolling updates, rescaling in proportion.

use std::collections::BTreeMap;

use super::actions::Action;
use super::facts::{Deployment, Set};
use super::revisions::{DESIRED, MAXIMUM};

/// Sets a ReplicaSet's size, and notes for which size of the Deployment.
pub(super) fn to(deployment: &Deployment, set: &Set, replicas: i64) -> Action {
    let mut annotations = sizes(deployment);
    annotations.retain(|name, value| set.metadata.annotations.get(name) != Some(value));
    Action::Change {
        name: set.metadata.name.clone(),
        replicas: (set.replicas() != replicas).then_some((set.replicas(), replicas)),
        annotations,
        minimum: None,
    }
}

fn sizes(deployment: &Deployment) -> BTreeMap<String, String> {
    let wanted = deployment.replicas();
    BTreeMap::from([
        (DESIRED.to_owned(), wanted.to_string()),
        (MAXIMUM.to_owned(), (wanted + deployment.max_surge()).to_string()),
    ])
}

fn needed(action: &Action) -> bool {
    !matches!(action, Action::Change { replicas: None, annotations, .. } if annotations.is_empty())
}

/// Whether the Deployment was scaled since its ReplicaSets were.
pub(super) fn asked(deployment: &Deployment, sets: &[Set]) -> bool {
    sets.iter().filter(|set| set.replicas() > 0).any(|set| {
        let noted = set
            .metadata
            .annotations
            .get(DESIRED)
            .and_then(|text| text.parse::<i64>().ok());
        noted.is_some_and(|noted| noted != deployment.replicas())
    })
}

/// Size of a ReplicaSet that is made now, beside `others` pods of older ones.
pub(super) fn first_size(deployment: &Deployment, others: i64) -> i64 {
    new_size(deployment, 0, others)
}

/// Size of the newest ReplicaSet: as far as the surge allows.
fn new_size(deployment: &Deployment, own: i64, all: i64) -> i64 {
    let wanted = deployment.replicas();
    if deployment.spec.strategy.kind == "Recreate" {
        return wanted;
    }
    let most = wanted + deployment.max_surge();
    if all >= most {
        return own;
    }
    own + (most - all).min(wanted - own)
}

/// Scales the newest ReplicaSet up (or down to what is wanted).
pub(super) fn up(deployment: &Deployment, new: &Set, old: &[&Set]) -> Vec<Action> {
    let (own, wanted) = (new.replicas(), deployment.replicas());
    if own == wanted {
        return Vec::new();
    }
    let all = own + old.iter().map(|set| set.replicas()).sum::<i64>();
    let size = if own > wanted {
        wanted
    } else {
        new_size(deployment, own, all)
    };
    if size == own {
        return Vec::new();
    }
    vec![to(deployment, new, size)]
}

/// Scales old ReplicaSets down as far as availability allows: first pods that are not available anyway, then others.
pub(super) fn down(deployment: &Deployment, new: &Set, old: &[&Set]) -> Vec<Action> {
    let old_pods: i64 = old.iter().map(|set| set.replicas()).sum();
    if old_pods == 0 {
        return Vec::new();
    }
    let least = deployment.replicas() - deployment.max_unavailable();
    let missing = new.replicas() - new.status.available_replicas;
    let may_go = old_pods + new.replicas() - least - missing;
    if may_go <= 0 {
        return Vec::new();
    }
    let mut sizes: Vec<(&Set, i64)> = old.iter().map(|set| (*set, set.replicas())).collect();
    let mut left = may_go;
    for (set, size) in &mut sizes {
        let useless = (*size - set.status.available_replicas).clamp(0, left);
        *size -= useless;
        left -= useless;
    }
    let available = new.status.available_replicas + old.iter().map(|set| set.status.available_replicas).sum::<i64>();
    let mut spare = (available - least).max(0);
    for (_, size) in &mut sizes {
        let fewer = (*size).min(spare);
        *size -= fewer;
        spare -= fewer;
    }
    let changed = sizes.into_iter().filter(|(set, size)| set.replicas() != *size);
    changed.map(|(set, size)| to(deployment, set, size)).collect()
}

/// Brings the sizes in line with a Deployment that was scaled or is paused: in proportion while several ReplicaSets have pods.
pub(super) fn rescale(deployment: &Deployment, new: Option<&Set>, old: &[&Set]) -> Vec<Action> {
    let wanted = deployment.replicas();
    let all: Vec<&Set> = old.iter().copied().chain(new).collect();
    let active: Vec<&Set> = all.iter().copied().filter(|set| set.replicas() > 0).collect();
    let only = match active.as_slice() {
        [] => new.or(old.last().copied()).map(|set| vec![set]),
        [set] => Some(vec![*set]),
        _ => None,
    };
    if let Some(only) = only {
        return only
            .into_iter()
            .map(|set| to(deployment, set, wanted))
            .filter(needed)
            .collect();
    }
    let saturated = new.is_some_and(|new| {
        let noted = new
            .metadata
            .annotations
            .get(DESIRED)
            .and_then(|text| text.parse::<i64>().ok());
        new.replicas() == wanted && noted == Some(wanted) && new.status.available_replicas == wanted
    });
    if saturated {
        let old = old.iter().filter(|set| set.replicas() > 0);
        return old.map(|set| to(deployment, set, 0)).collect();
    }
    if deployment.spec.strategy.kind != "RollingUpdate" {
        return Vec::new();
    }
    proportional(deployment, active)
}

/// Shares what is to be added or taken away among ReplicaSets by their sizes; what rounding leaves goes to the largest.
fn proportional(deployment: &Deployment, mut active: Vec<&Set>) -> Vec<Action> {
    let wanted = deployment.replicas();
    let allowed = if wanted > 0 { wanted + deployment.max_surge() } else { 0 };
    let total: i64 = active.iter().map(|set| set.replicas()).sum();
    let add = allowed - total;
    let made = |set: &Set| set.metadata.creation_timestamp;
    // Among equals, growth goes to the newest and shrinking takes from the oldest.
    active.sort_by(|one, other| {
        let by_age = if add > 0 {
            made(other).cmp(&made(one))
        } else {
            made(one).cmp(&made(other))
        };
        other.replicas().cmp(&one.replicas()).then(by_age)
    });
    let mut shares: Vec<i64> = Vec::new();
    let mut added = 0;
    for set in &active {
        let share = if add == 0 { 0 } else { fraction(deployment, set) };
        let rest = add - added;
        let share = if add > 0 { share.min(rest) } else { share.max(rest) };
        added += share;
        shares.push(share);
    }
    let rest = add - added;
    let sizes = active.iter().zip(&shares).enumerate().map(|(index, (set, share))| {
        let size = set.replicas() + share + if index == 0 { rest } else { 0 };
        to(deployment, set, size.max(0))
    });
    sizes.filter(needed).collect()
}

/// What a ReplicaSet's share of the Deployment's new size is more than it has.
fn fraction(deployment: &Deployment, set: &Set) -> i64 {
    if deployment.replicas() == 0 {
        return -set.replicas();
    }
    let most = deployment.replicas() + deployment.max_surge();
    let noted = set
        .metadata
        .annotations
        .get(MAXIMUM)
        .and_then(|text| text.parse::<i64>().ok());
    let before = noted.unwrap_or(deployment.status.replicas).max(1);
    // Rounded to the nearest.
    let share = (set.replicas() * most * 2 + before) / (before * 2);
    share - set.replicas()
}
