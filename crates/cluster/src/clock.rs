//! The time of day of the whole cluster: one clock for the API server, the controllers, the scheduler and the node.
//!
//! It is the machine's. Tests move it ([`shift`]) as an administrator, a time server or a laptop's sleep moves the machine's. What waits
//! for a moment of the day waits by the monotonic clock, which does not notice; [`jumps`] does, and whoever waits looks again. Revisions,
//! UIDs and names never come from a clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Milliseconds that tests have moved the clock by.
static SHIFTED: AtomicI64 = AtomicI64::new(0);
/// Time between two comparisons of the clocks.
const EVERY: Duration = Duration::from_secs(1);
/// A difference that no slow machine makes.
const JUMP: SignedDuration = SignedDuration::from_secs(2);

/// The time of day.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    match SHIFTED.load(Ordering::Relaxed) {
        0 => now,
        shifted => now.checked_add(SignedDuration::from_millis(shifted)).unwrap_or(now),
    }
}

/// Moves the clock of every cluster of this process, for tests.
#[doc(hidden)]
pub fn shift(by: SignedDuration) {
    let millis = i64::try_from(by.as_millis()).unwrap_or(0);
    SHIFTED.fetch_add(millis, Ordering::Relaxed);
}

/// How far the clock went beyond the time that passed, if that is a jump.
fn jumped(before: Timestamp, after: Timestamp, passed: Duration) -> Option<SignedDuration> {
    let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
    let beyond = after.duration_since(before).saturating_sub(passed);
    (beyond.abs() > JUMP).then_some(beyond)
}

/// Counts every jump of the clock, a second late at most: the machine slept, or someone set its time. Ends with the cluster.
pub(crate) async fn jumps(told: watch::Sender<u64>, stopping: CancellationToken) {
    let mut before = (now(), Instant::now());
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stopping.cancelled() => return,
        }
        let after = (now(), Instant::now());
        if let Some(by) = jumped(before.0, after.0, after.1.duration_since(before.1)) {
            tracing::info!(
                seconds = by.as_secs(),
                "the clock jumped; what waits for a time looks again"
            );
            told.send_modify(|count| *count += 1);
        }
        before = after;
    }
}

/// A time in whole seconds, as Kubernetes keeps it.
pub(crate) fn seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_what_no_slow_machine_makes() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let passed = Duration::from_secs;
        assert_eq!(jumped(at(100), at(101), passed(1)), None);
        assert_eq!(
            jumped(at(100), at(130), passed(30)),
            None,
            "a machine that was busy for long"
        );
        assert_eq!(
            jumped(at(100), at(102), passed(1)),
            None,
            "a correction of the time server"
        );
        assert_eq!(
            jumped(at(100), at(3701), passed(1)),
            Some(SignedDuration::from_hours(1))
        );
        assert_eq!(
            jumped(at(3701), at(101), passed(1)),
            Some(SignedDuration::from_secs(-3601))
        );
    }
}
