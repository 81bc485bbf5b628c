//! Connect servers by state, and how much each is used as far as its page was read.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::{Metrics, catalogue};
use crate::controller::Key;

/// All states, so that one no one is in says 0.
const STATES: [&str; 6] = ["New", "Provisioning", "Ready", "NotReady", "Idle", "Failed"];

/// What is known of a server.
pub(super) struct Seen {
    state: &'static str,
    /// Sessions and operations; none when they are not known.
    counts: Option<(u32, u32)>,
}

impl Metrics {
    /// A server is in this state; sessions and operations where they are known.
    pub(crate) fn server(&self, key: &Key, state: &'static str, counts: Option<(u32, u32)>) {
        let mut servers = self.0.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = servers.insert(key.clone(), Seen { state, counts });
        drop(servers);
        if state == "Idle" && before.is_some_and(|before| before.state == "Ready") {
            self.with(|registry| registry.add(&catalogue::CONNECT_IDLE_STOPS, &[], 1.0));
        }
    }

    /// A server is gone, or another operator's.
    pub(crate) fn forget_server(&self, key: &Key) {
        self.0
            .servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    /// How many servers are in which state now, and how much they are used.
    pub(super) fn observe_servers(&self) {
        let servers = self.0.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut states: BTreeMap<&str, f64> = STATES.iter().map(|state| (*state, 0.0)).collect();
        let (mut sessions, mut operations, mut ready) = (Vec::new(), Vec::new(), Vec::new());
        for (key, seen) in servers.iter() {
            *states.entry(seen.state).or_default() += 1.0;
            let labels = || vec![key.namespace.clone(), key.name.clone()];
            if seen.state != "Idle" {
                ready.push((labels(), f64::from(u8::from(seen.state == "Ready"))));
            }
            if let Some((of_sessions, of_operations)) = seen.counts {
                sessions.push((labels(), f64::from(of_sessions)));
                operations.push((labels(), f64::from(of_operations)));
            }
        }
        drop(servers);
        let states = states.into_iter().map(|(state, count)| (vec![state.to_owned()], count));
        self.with(|registry| {
            registry.replace(&catalogue::CONNECT_SERVERS, states);
            registry.replace(&catalogue::CONNECT_READY, ready);
            registry.replace(&catalogue::CONNECT_SESSIONS, sessions);
            registry.replace(&catalogue::CONNECT_OPERATIONS, operations);
        });
    }
}
