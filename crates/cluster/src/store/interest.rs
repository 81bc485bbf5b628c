//! Who wants to hear of which commits: a commit wakes those whom it concerns and no one else.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::ResourceKey;

/// The resources someone wants to hear of.
#[derive(Clone, Debug)]
pub enum Interest {
    /// Every resource.
    All,
    /// These.
    Of(Arc<[ResourceKey]>),
}

impl Interest {
    /// One resource.
    pub fn one(resource: &ResourceKey) -> Interest {
        Interest::Of([resource.clone()].into())
    }

    /// Resources by their keys, as `pods` or `deployments.apps`.
    pub fn of(resources: &[&str]) -> Interest {
        Interest::Of(resources.iter().map(|resource| ResourceKey::from(*resource)).collect())
    }

    /// Whether a resource is among them.
    pub fn includes(&self, resource: &str) -> bool {
        match self {
            Interest::All => true,
            Interest::Of(wanted) => wanted.iter().any(|wanted| **wanted == *resource),
        }
    }
}

/// Everyone who listens. A commit costs one comparison for each, and a wake-up only for those it concerns.
#[derive(Default)]
pub(super) struct Listeners(Mutex<Vec<(Interest, watch::Sender<u64>)>>);

impl Listeners {
    /// A receiver that knows the revision `now`.
    pub(super) fn add(&self, interest: Interest, now: u64) -> watch::Receiver<u64> {
        let (sender, receiver) = watch::channel(now);
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.push((interest, sender));
        receiver
    }

    /// Wakes those who want to hear of one of the changed resources; forgets those who listen no more.
    pub(super) fn tell(&self, mut changed: Vec<ResourceKey>, revision: u64) {
        changed.sort_unstable();
        changed.dedup();
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|(interest, sender)| {
            if changed.iter().any(|resource| interest.includes(resource)) {
                sender.send(revision).is_ok()
            } else {
                !sender.is_closed()
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_wakes_those_whom_it_concerns() {
        let listeners = Listeners::default();
        let mut all = listeners.add(Interest::All, 1);
        let mut pods = listeners.add(Interest::of(&["pods"]), 1);
        let mut some = listeners.add(Interest::of(&["secrets", "nodes"]), 1);
        let gone = listeners.add(Interest::All, 1);
        drop(gone);
        let mut woken = |changed: &[&str], revision| {
            listeners.tell(changed.iter().map(|key| ResourceKey::from(*key)).collect(), revision);
            [&mut all, &mut pods, &mut some].map(|receiver| {
                let changed = receiver.has_changed().unwrap();
                assert!(!changed || *receiver.borrow_and_update() == revision);
                changed
            })
        };
        assert_eq!(woken(&["pods"], 2), [true, true, false]);
        assert_eq!(woken(&["nodes", "pods", "nodes"], 3), [true, true, true]);
        assert_eq!(woken(&["configmaps"], 4), [true, false, false]);
        assert_eq!(listeners.0.lock().unwrap().len(), 3, "who listens no more is forgotten");
    }
}
