//! Kept logs in numbers.

use std::time::Duration;

use super::registry::whole;
use super::{Metrics, catalogue};

impl Metrics {
    /// A log is to be kept, or a pod to be removed after it.
    pub(crate) fn log_queued(&self) {
        self.with(|registry| registry.add(&catalogue::KEEP_LOG_WAITING, &[], 1.0));
    }

    /// One of them was done or given up.
    pub(crate) fn log_done(&self) {
        self.with(|registry| registry.add(&catalogue::KEEP_LOG_WAITING, &[], -1.0));
    }

    /// What came of one log.
    pub(crate) fn log_kept(&self, role: &str, result: &str, bytes: u64, took: Duration) {
        self.with(|registry| {
            registry.add(&catalogue::KEPT_LOGS, &[role, result], 1.0);
            registry.add(&catalogue::KEPT_LOG_BYTES, &[role], whole(bytes));
            registry.observe(&catalogue::KEEP_LOG_TIME, &[], took.as_secs_f64());
        });
    }
}
