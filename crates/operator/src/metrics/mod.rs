//! What the operator counts, under the published names and ours, in the text format of Prometheus.
//!
//! In: transitions, pieces of work, requests, as they happen; the cache, when someone asks. Out: the text of `/metrics`.
//! - [`catalogue`]: every metric there is, with its meaning; nothing else can be counted, and the table in the documentation is made from it
//! - `registry`: series of numbers, and their text
//! - `applications`: transitions and states to numbers
//! - `jobs`: what each job did last, and what it waits for
//! - `schedules`: what each schedule missed, and what comes next
//! - `executors`: executors that were lost
//! - `class`: a failure's message to its class
//! - `work`: the work queue
//! - `servers`: Connect servers, their sessions and operations
//! - `admission`: reviews and certificates
//! - `logs`: kept logs
//! - `policies`: what policies said, and whether they could be asked
//! - `requests`: requests to the API server, in all and per application
//! - `process`: CPU, memory, files and network of the process, from `/proc`
//!
//! Counting never waits and never fails; a scrape costs one pass over the cache, O(applications).

mod admission;
mod applications;
pub mod catalogue;
mod class;
mod executors;
mod jobs;
mod logs;
mod policies;
mod process;
mod registry;
mod requests;
mod schedules;
mod servers;
#[cfg(test)]
mod tests;
mod work;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::time::Instant;

use crate::controller::Key;
use crate::controller::cache::Cache;
use crate::gate::Gate;
use registry::Registry;

pub(crate) use class::class;
pub(crate) use requests::counted;

/// What is counted, and how it is named.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsConfig {
    /// Put before the published names.
    pub prefix: String,
    /// Labels of applications that become labels of the published metrics; `Unknown` where an application has none.
    pub labels: Vec<String>,
    /// Upper bounds in seconds of the buckets of the start latency.
    pub start_latency_buckets: Vec<f64>,
    /// Upper bounds in seconds of the buckets of the submission latency.
    pub submit_latency_buckets: Vec<f64>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            labels: Vec::new(),
            start_latency_buckets: (1..=10).map(|step| f64::from(step) * 30.0).collect(),
            submit_latency_buckets: (0..10).map(|power| 0.5 * f64::from(1 << power)).collect(),
        }
    }
}

/// Counts. Every clone counts into the same.
#[derive(Clone)]
pub struct Metrics(Arc<Counts>);

struct Counts {
    config: MetricsConfig,
    registry: Mutex<Registry>,
    live: OnceLock<(Cache, Gate)>,
    working: Mutex<HashMap<(&'static str, Key), Instant>>,
    requests: Mutex<HashMap<Key, u64>>,
    servers: Mutex<BTreeMap<Key, servers::Seen>>,
    jobs: Mutex<jobs::Jobs>,
    lost: Mutex<HashSet<String>>,
    /// Whether applications write event logs that do not say so.
    writes_event_logs: AtomicBool,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(MetricsConfig::default())
    }
}

impl Metrics {
    /// Counts from zero.
    #[must_use]
    pub fn new(config: MetricsConfig) -> Self {
        let registry = Registry::new(&config);
        Self(Arc::new(Counts {
            config,
            registry: Mutex::new(registry),
            live: OnceLock::new(),
            working: Mutex::default(),
            requests: Mutex::default(),
            servers: Mutex::default(),
            jobs: Mutex::default(),
            lost: Mutex::default(),
            writes_event_logs: AtomicBool::new(false),
        }))
    }

    /// The text format of Prometheus 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        self.observe_work();
        self.observe_states();
        self.observe_jobs();
        self.observe_schedules();
        self.observe_servers();
        self.observe_process();
        self.with(|registry| registry.text())
    }

    /// Reads the states of applications from this cache, those that are ours.
    pub(crate) fn attach(&self, cache: &Cache, gate: &Gate) {
        let _ = self.0.live.set((cache.clone(), gate.clone()));
    }

    /// Applications that say nothing of event logs write one.
    pub(crate) fn event_logs_by_default(&self) {
        self.0
            .writes_event_logs
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }

    fn with<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        // The numbers are whole between any two statements that could panic.
        change(&mut self.0.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
