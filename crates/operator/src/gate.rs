//! Which applications this operator may work on: those whose shard's lease it holds, in the namespaces that are selected.
//!
//! The work queue asks before every piece of work, and cuts one off in the middle when its shard is lost. A lease that was not renewed in
//! time closes its shard by itself: no task has to run for that.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::controller::Key;

/// Until when each shard is held; none when it is not.
type Shards = Vec<Option<Instant>>;
type Namespaces = Option<Arc<BTreeSet<String>>>;

/// Asks; cheap to clone.
#[derive(Clone, Debug)]
pub struct Gate {
    shards: watch::Receiver<Shards>,
    namespaces: watch::Receiver<Namespaces>,
    gains: watch::Receiver<u64>,
    /// Of a gate that is always open.
    _keep: Option<Arc<GateControl>>,
}

/// Opens and closes.
#[derive(Debug)]
pub struct GateControl {
    shards: watch::Sender<Shards>,
    namespaces: watch::Sender<Namespaces>,
    gains: watch::Sender<u64>,
}

impl Gate {
    /// A gate of `shards` closed shards (0: no leases, every application is ours), and what opens it. All namespaces are selected.
    #[must_use]
    pub fn new(shards: usize) -> (GateControl, Gate) {
        let (shards, of_shards) = watch::channel(vec![None; shards]);
        let (namespaces, of_namespaces) = watch::channel(None);
        let (gains, of_gains) = watch::channel(0);
        let control = GateControl {
            shards,
            namespaces,
            gains,
        };
        let gate = Gate {
            shards: of_shards,
            namespaces: of_namespaces,
            gains: of_gains,
            _keep: None,
        };
        (control, gate)
    }

    /// A gate that never closes.
    #[must_use]
    pub fn open() -> Gate {
        let (control, gate) = Gate::new(0);
        Gate {
            _keep: Some(Arc::new(control)),
            ..gate
        }
    }

    /// True when an object of this namespace and name is ours now.
    pub(crate) fn is_ours(&self, key: &Key) -> bool {
        self.until(key).is_some_and(|until| until > Instant::now())
    }

    /// When the key stops to be ours if nothing is renewed; none when it is not.
    fn until(&self, key: &Key) -> Option<Instant> {
        let selected = self.namespaces.borrow();
        if selected
            .as_ref()
            .is_some_and(|selected| !selected.contains(&key.namespace))
        {
            return None;
        }
        let shards = self.shards.borrow();
        match shards.len() {
            0 => Some(Instant::now() + std::time::Duration::from_secs(86_400)),
            count => shards[shard(key, count)],
        }
    }

    /// Does the work as long as the key is ours; none when it is not, or ceased to be.
    pub(crate) async fn while_ours<T>(&self, key: &Key, work: impl Future<Output = T>) -> Option<T> {
        if !self.is_ours(key) {
            return None;
        }
        tokio::select! {
            biased;
            () = self.clone().lost(key) => None,
            done = work => Some(done),
        }
    }

    async fn lost(mut self, key: &Key) {
        loop {
            let Some(until) = self.until(key).filter(|until| *until > Instant::now()) else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = changed(&mut self.shards) => {}
                () = changed(&mut self.namespaces) => {}
            }
        }
    }

    /// How many parts applications are divided into, and how many of them are ours now.
    pub(crate) fn held(&self) -> (usize, usize) {
        let shards = self.shards.borrow();
        let now = Instant::now();
        match shards.len() {
            0 => (1, 1),
            count => (count, shards.iter().flatten().filter(|until| **until > now).count()),
        }
    }

    /// Returns when keys may have become ours since the last call.
    pub(crate) async fn gained(&mut self) {
        changed(&mut self.gains).await;
    }
}

impl GateControl {
    /// Holds a shard until then.
    pub fn hold(&self, shard: usize, until: Instant) {
        let mut gained = false;
        self.shards.send_modify(|shards| {
            if let Some(held) = shards.get_mut(shard) {
                gained = held.is_none_or(|held| held <= Instant::now());
                *held = Some(until);
            }
        });
        if gained {
            self.gains.send_modify(|gains| *gains = gains.wrapping_add(1));
        }
    }

    /// Holds a shard no longer.
    pub fn lose(&self, shard: usize) {
        self.shards.send_modify(|shards| {
            if let Some(held) = shards.get_mut(shard) {
                *held = None;
            }
        });
    }

    /// Selects these namespaces and no others; none selects all.
    pub fn select(&self, namespaces: Option<BTreeSet<String>>) {
        self.namespaces.send_replace(namespaces.map(Arc::new));
        self.gains.send_modify(|gains| *gains = gains.wrapping_add(1));
    }
}

/// The shard of an object among `count`; the same in every operator, whatever its version.
fn shard(key: &Key, count: usize) -> usize {
    let digest = Sha256::digest(key.to_string().as_bytes());
    let number = digest
        .iter()
        .take(4)
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    usize::try_from(number).unwrap_or_default() % count
}

async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        // No one is left to change it.
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(namespace: &str, name: &str) -> Key {
        Key::new(namespace, name)
    }

    #[test]
    fn shards_are_stable_and_even() {
        assert_eq!(
            shard(&key("default", "pi"), 16),
            12,
            "an upgrade must not move applications"
        );
        let mut counts = [0; 4];
        for number in 0..4000 {
            counts[shard(&key("default", &format!("app-{number}")), 4)] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_cut_off_when_its_lease_runs_out_or_is_lost_and_goes_on_while_it_is_renewed() {
        let (control, gate) = Gate::new(1);
        let key = key("default", "pi");
        let nap = || tokio::time::sleep(Duration::from_secs(25));
        assert_eq!(gate.while_ours(&key, nap()).await, None, "not held");
        let begun = Instant::now();
        control.hold(0, begun + Duration::from_secs(10));
        assert_eq!(gate.while_ours(&key, nap()).await, None, "runs out");
        assert_eq!(begun.elapsed().as_secs(), 10);
        control.hold(0, Instant::now() + Duration::from_secs(10));
        let renewing = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(5)).await;
                control.hold(0, Instant::now() + Duration::from_secs(10));
            }
        };
        let (done, ()) = tokio::join!(gate.while_ours(&key, nap()), renewing);
        assert_eq!(done, Some(()));
        let begun = Instant::now();
        let losing = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            control.lose(0);
        };
        let (done, ()) = tokio::join!(gate.while_ours(&key, nap()), losing);
        assert_eq!((done, begun.elapsed().as_secs()), (None, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn namespaces_come_and_go() {
        let (control, mut gate) = Gate::new(0);
        assert!(gate.is_ours(&key("a", "pi")));
        control.select(Some(["a".to_owned()].into()));
        assert!(gate.is_ours(&key("a", "pi")) && !gate.is_ours(&key("b", "pi")));
        gate.gained().await;
        control.select(Some(["b".to_owned()].into()));
        gate.gained().await;
        assert!(!gate.is_ours(&key("a", "pi")) && gate.is_ours(&key("b", "pi")));
        assert!(Gate::open().is_ours(&key("b", "pi")));
    }
}
