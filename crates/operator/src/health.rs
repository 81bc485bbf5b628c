//! Whether the operator lives (its queues move) and is ready (it has seen everything once).
//!
//! A sentinel key goes through each work queue as every application does. When it stays out too long, no application is worked on either:
//! then the process is better started again. An API server that is down is no reason: nothing would be better after a restart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::controller::Key;

/// How often the sentinel is sent.
const BEAT: Duration = Duration::from_secs(5);
/// How long it may stay out: more than the time for which hung requests can hold all workers.
const PATIENCE: Duration = Duration::from_secs(180);

/// Tells; every clone tells the same.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By queue: when the sentinel last came through.
    beats: HashMap<&'static str, Instant>,
    /// Scopes that were listed, and how many there are.
    listed: usize,
    expected: Option<usize>,
    /// Why the webhook cannot answer; none when it can, or when there is none.
    webhook: Option<String>,
    /// Why policies are not known; none when they are, or when there are none.
    policies: Option<String>,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that no one owns.
    pub(crate) fn sentinel() -> Key {
        Key::new("", "sentinel")
    }

    /// Sends the sentinel through a queue from time to time; ends with the queue.
    pub(crate) async fn watch(&self, queue: &'static str, touch: mpsc::UnboundedSender<Key>) {
        self.beat(queue);
        while touch.send(Self::sentinel()).is_ok() {
            tokio::time::sleep(BEAT).await;
        }
    }

    /// The sentinel came through.
    pub(crate) fn beat(&self, queue: &'static str) {
        self.state().beats.insert(queue, Instant::now());
    }

    /// The operator is about to list so many scopes.
    pub(crate) fn expect(&self, scopes: usize) {
        self.state().expected = Some(scopes);
    }

    /// Applications and pods of one more scope were listed.
    pub(crate) fn listed(&self) {
        self.state().listed += 1;
    }

    /// The webhook can answer, or why it cannot: a service leads to operators that are ready only.
    pub(crate) fn webhook(&self, answers: Result<(), String>) {
        self.state().webhook = answers.err();
    }

    /// Policies were read, whether they can be used or not, or why they were not.
    pub(crate) fn policies(&self, read: Result<(), String>) {
        self.state().policies = read.err();
    }

    /// Fails when a queue does not move.
    ///
    /// # Errors
    /// Which queue, and for how long.
    pub fn alive(&self) -> Result<(), String> {
        let stuck = |(queue, beat): (&&str, &Instant)| {
            let silent = beat.elapsed();
            (silent > PATIENCE).then(|| format!("the queue of {queue} has not moved for {} s", silent.as_secs()))
        };
        self.state().beats.iter().find_map(stuck).map_or(Ok(()), Err)
    }

    /// Fails until everything was listed once, policies among it, and the webhook, when there is one, can answer.
    ///
    /// # Errors
    /// What is missing.
    pub fn ready(&self) -> Result<(), String> {
        let state = self.state();
        match state.expected {
            Some(expected) if state.listed >= expected => {
                state.webhook.clone().or(state.policies.clone()).map_or(Ok(()), Err)
            }
            Some(expected) => Err(format!("{} of {expected} scopes are listed", state.listed)),
            None => Err("the operator has not begun".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_stands_still_is_told() {
        let health = Health::default();
        assert!(health.ready().is_err() && health.alive().is_ok());
        health.expect(2);
        health.listed();
        assert_eq!(health.ready(), Err("1 of 2 scopes are listed".to_owned()));
        health.listed();
        assert!(health.ready().is_ok());
        health.webhook(Err("no certificate".to_owned()));
        assert_eq!(health.ready(), Err("no certificate".to_owned()));
        health.webhook(Ok(()));
        assert!(health.ready().is_ok());
        health.policies(Err("not read".to_owned()));
        assert_eq!(health.ready(), Err("not read".to_owned()));
        health.policies(Ok(()));
        assert!(health.ready().is_ok());
        // A queue that takes keys and never works on them.
        let (touch, _taken) = mpsc::unbounded_channel();
        let standing = health.watch("SparkApplication", touch);
        assert!(tokio::time::timeout(Duration::from_secs(179), standing).await.is_err());
        assert!(health.alive().is_ok());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(
            health.alive(),
            Err("the queue of SparkApplication has not moved for 181 s".to_owned())
        );
        health.beat("SparkApplication");
        assert!(health.alive().is_ok());
    }
}
