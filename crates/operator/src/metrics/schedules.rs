//! What schedules missed, and what comes next: out of their statuses, at a scrape. And the leases that say whose they are.

use jiff::Timestamp;
use serde_json::Value;

use super::registry::whole;
use super::{Metrics, catalogue};

fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

#[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are exact")]
pub(super) fn epoch(at: Timestamp) -> f64 {
    at.as_second() as f64
}

impl Metrics {
    /// Reads the statuses of all schedules that are ours.
    pub(super) fn observe_schedules(&self) {
        let Some((cache, gate)) = self.0.live.get() else { return };
        let (mut missed, mut skipped, mut next, mut interval, mut invalid) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (key, schedule) in cache.schedules() {
            if !gate.is_ours(&key) {
                continue;
            }
            let status = schedule.status();
            let team = schedule.summary.team.to_string();
            let labels = || vec![key.namespace.clone(), key.name.clone(), team.clone()];
            let count = |field: &str| whole(status[field].as_u64().unwrap_or_default());
            missed.push((labels(), count("missedRuns")));
            skipped.push((labels(), count("skippedRuns")));
            let broken = status["scheduleState"] == "FailedValidation";
            invalid.push((labels(), f64::from(u8::from(broken))));
            if let Some(due) = instant(&status["nextRun"]) {
                next.push((labels(), epoch(due)));
                if let Some(last) = instant(&status["lastRun"]).filter(|last| *last < due) {
                    interval.push((labels(), due.duration_since(last).as_secs_f64()));
                }
            }
        }
        let (leases, held) = gate.held();
        let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        self.with(|registry| {
            registry.replace(&catalogue::SCHEDULE_MISSED, missed);
            registry.replace(&catalogue::SCHEDULE_SKIPPED, skipped);
            registry.replace(&catalogue::SCHEDULE_NEXT, next);
            registry.replace(&catalogue::SCHEDULE_INTERVAL, interval);
            registry.replace(&catalogue::SCHEDULE_INVALID, invalid);
            registry.set(&catalogue::LEASES, &[], number(leases));
            registry.set(&catalogue::LEASES_HELD, &[], number(held));
        });
    }
}
