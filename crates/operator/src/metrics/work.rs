//! The work queue in numbers.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::{Metrics, catalogue};
use crate::controller::Key;
use crate::controller::queue::Worked;

impl Metrics {
    /// So many objects wait in this queue, one more than before.
    pub(crate) fn queued(&self, queue: &str, waiting: usize) {
        self.with(|registry| registry.add(&catalogue::QUEUE_ADDS, &[queue], 1.0));
        self.waiting(queue, waiting);
    }

    /// So many objects wait in this queue; one of them has waited so long and is worked on now.
    pub(crate) fn taken(&self, queue: &str, waiting: usize, waited: Duration) {
        self.with(|registry| registry.observe(&catalogue::QUEUE_WAIT, &[queue], waited.as_secs_f64()));
        self.waiting(queue, waiting);
    }

    fn waiting(&self, queue: &str, waiting: usize) {
        let waiting = f64::from(u32::try_from(waiting).unwrap_or(u32::MAX));
        self.with(|registry| registry.set(&catalogue::QUEUE_DEPTH, &[queue], waiting));
    }

    /// Times a piece of work.
    pub(crate) async fn timed(&self, queue: &'static str, key: Key, work: impl Future<Output = Worked>) -> Worked {
        let begun = Instant::now();
        let guard = Working {
            metrics: self,
            entry: (queue, key),
        };
        self.0
            .working
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(guard.entry.clone(), begun);
        let worked = work.await;
        let seconds = begun.elapsed().as_secs_f64();
        let result = match worked {
            Worked::Failed => "error",
            Worked::Done(Some(_)) => "requeue_after",
            Worked::Again => "requeue",
            Worked::Done(None) => "success",
        };
        self.with(|registry| {
            registry.observe(&catalogue::QUEUE_WORK, &[queue], seconds);
            registry.observe(&catalogue::RECONCILE_TIME, &[queue], seconds);
            registry.add(&catalogue::RECONCILES, &[queue, result], 1.0);
            let failed = f64::from(u8::from(worked == Worked::Failed));
            registry.add(&catalogue::RECONCILE_ERRORS, &[queue], failed);
            registry.add(&catalogue::QUEUE_RETRIES, &[queue], failed);
        });
        worked
    }

    /// What is under way now, by queue.
    pub(super) fn observe_work(&self) {
        let mut queues: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for ((queue, _), begun) in self.0.working.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let seconds = begun.elapsed().as_secs_f64();
            let (all, longest) = queues.entry(queue).or_default();
            *all += seconds;
            *longest = longest.max(seconds);
        }
        self.with(|registry| {
            for queue in registry.first_labels(&catalogue::RECONCILES) {
                let (all, longest) = queues.get(queue.as_str()).copied().unwrap_or_default();
                registry.set(&catalogue::QUEUE_UNFINISHED, &[&queue], all);
                registry.set(&catalogue::QUEUE_LONGEST, &[&queue], longest);
            }
        });
    }
}

/// Work under way; forgotten when it ends, also when it is cut off.
struct Working<'a> {
    metrics: &'a Metrics,
    entry: (&'static str, Key),
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.metrics
            .0
            .working
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.entry);
    }
}
