//! A time after which a test has failed: a client that waits for ever must not hold up all that comes after it.
//!
//! Ten minutes; `STOKE_TEST_LIMIT=3600` gives tests that were asked to do more than usual so many seconds.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// What no test of ours needs, on the slowest of machines.
const LIMIT: u64 = 600;

/// Runs a test in a thread of its own and fails it when it takes longer than the limit; what it waits for is left behind.
pub fn limited<E: Send + From<String> + 'static>(
    test: impl FnOnce() -> Result<(), E> + Send + 'static,
) -> Result<(), E> {
    let given = std::env::var("STOKE_TEST_LIMIT").ok();
    let seconds = given.and_then(|text| text.parse().ok()).unwrap_or(LIMIT);
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
