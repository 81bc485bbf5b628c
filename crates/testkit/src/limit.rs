//! A time after which a test has failed: a client that waits for ever must not hold up all that comes after it.
//!
//! Ten minutes, and half an hour in the higher tiers; `STOKE_TEST_LIMIT=3600` gives tests that were asked to do more than usual so many seconds.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::Tier;

/// Seconds that no test of the default tier needs, on the slowest of machines.
const LIMIT: u64 = 600;

/// As [`LIMIT`], of the higher tiers: a platform that is installed, taken up, used and stopped several times.
const LONG: u64 = 1800;

/// Runs a test in a thread of its own and fails it when it takes longer than the limit; what it waits for is left behind.
pub fn limited<E: Send + From<String> + 'static>(
    test: impl FnOnce() -> Result<(), E> + Send + 'static,
) -> Result<(), E> {
    limited_in(Tier::Default, test)
}

/// As [`limited`], by the tier of the test.
pub(crate) fn limited_in<E: Send + From<String> + 'static>(
    tier: Tier,
    test: impl FnOnce() -> Result<(), E> + Send + 'static,
) -> Result<(), E> {
    let given = std::env::var("STOKE_TEST_LIMIT").ok();
    let usual = match tier {
        Tier::Default => LIMIT,
        Tier::Full | Tier::Real => LONG,
    };
    let seconds = given.and_then(|text| text.parse().ok()).unwrap_or(usual);
    within(Duration::from_secs(seconds), test)
}

fn within<E: Send + From<String> + 'static>(
    limit: Duration,
    test: impl FnOnce() -> Result<(), E> + Send + 'static,
) -> Result<(), E> {
    let (sender, receiver) = channel();
    let running = std::thread::spawn(move || {
        // No one listens any more when the limit is over.
        let _ = sender.send(test());
    });
    match receiver.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(format!("not done after {} s", limit.as_secs()).into()),
        // It panicked, and its words are what the test fails with.
        Err(RecvTimeoutError::Disconnected) => match running.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => Err("the test ended without a result".to_owned().into()),
        },
    }
}
