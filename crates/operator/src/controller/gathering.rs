//! News of executors alone waits for more of it: five executors that start are one turn, one write and one Event, not ten.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::Key;

/// How long, as the decision has it.
const GATHER: Duration = crate::application::GATHER.unsigned_abs();

/// Since when which applications wait for more news of their executors. Every clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Gathering(Arc<Mutex<HashMap<Key, Instant>>>);

impl Gathering {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long an application has waited; none when it does not.
    pub(super) fn waited(&self, key: &Key) -> Option<SignedDuration> {
        let since = *self.lock().get(key)?;
        Some(SignedDuration::try_from(since.elapsed()).unwrap_or(SignedDuration::MAX))
    }

    /// An application waits from now on, if it does not already.
    pub(super) fn begin(&self, key: &Key) {
        self.lock().entry(key.clone()).or_insert_with(Instant::now);
    }

    /// The application was worked on for another reason, or is gone.
    pub(super) fn end(&self, key: &Key) {
        self.lock().remove(key);
    }
}

/// Applications whose executors have news, until it is time to look.
#[derive(Default)]
pub(super) struct Later {
    gathering: Gathering,
    /// Every wait is as long, so the first is over first.
    due: VecDeque<(Instant, Key)>,
}

impl Later {
    /// No one waits yet.
    pub(super) fn new(gathering: Gathering) -> Self {
        Self {
            gathering,
            due: VecDeque::new(),
        }
    }

    /// An application waits from now on, if it does not already.
    pub(super) fn put(&mut self, key: Key) {
        let now = Instant::now();
        let mut waiting = self.gathering.lock();
        if !waiting.contains_key(&key) {
            waiting.insert(key.clone(), now);
            self.due.push_back((now + GATHER, key));
        }
    }

    /// Returns, when it is time, the next application to look at; never when none waits. Nothing is lost when it is not awaited to its end.
    pub(super) async fn next(&mut self) -> Key {
        let Some((due, _)) = self.due.front() else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(*due).await;
        match self.due.pop_front() {
            Some((_, key)) => key,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("n", name)
    }

    #[tokio::test(start_paused = true)]
    async fn an_application_is_looked_at_once_when_its_wait_is_over() {
        let begun = Instant::now();
        let gathering = Gathering::default();
        let mut later = Later::new(gathering.clone());
        later.put(key("a"));
        tokio::time::sleep(Duration::from_millis(200)).await;
        for name in ["a", "b", "a"] {
            later.put(key(name));
        }
        let waited = gathering.waited(&key("a")).unwrap();
        assert!(waited >= SignedDuration::from_millis(200), "{waited:?}");
        let mut looked = Vec::new();
        while let Ok(key) = tokio::time::timeout(Duration::from_secs(5), later.next()).await {
            assert!(gathering.waited(&key).unwrap() >= crate::application::GATHER);
            gathering.end(&key);
            looked.push((key.name, begun.elapsed().as_millis()));
        }
        let expected = [("a", 500), ("b", 700)].map(|(name, at)| (name.to_owned(), at));
        assert!(
            looked
                .iter()
                .zip(&expected)
                .all(|((name, at), (wanted, due))| name == wanted && (*due..due + 5).contains(at)),
            "{looked:?}"
        );
        assert_eq!(looked.len(), 2);
        assert!(gathering.lock().is_empty());
        // What was looked at for another reason begins again.
        later.put(key("a"));
        gathering.end(&key("a"));
        assert_eq!(gathering.waited(&key("a")), None);
        gathering.begin(&key("a"));
        assert!(gathering.waited(&key("a")).is_some());
    }
}
