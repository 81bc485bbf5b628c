//! The loop every workload controller runs in: events become keys, keys are settled one at a time each, failures are tried again later.
//!
//! The store is the cache: what a controller wrote is what it reads next, so no expectations are kept, and a controller that is killed
//! anywhere finds on its next start exactly what it had done.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use super::{Cursor, News};
use crate::registry::Registry;
use crate::store::{Event, Interest, Key, ResourceKey, Store};

/// Objects of one controller settled at the same time.
const WORKERS: usize = 8;
/// Time before the second try; every further failure doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(10);
/// The longest time between two tries.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// What one look at an object came to: when to look again at the latest, or why it failed.
pub(super) type Settled = Result<Option<Duration>, String>;

/// Looks after the objects of one kind.
pub(super) trait Controller: Send + Sync + 'static {
    /// Name in logs.
    const NAME: &'static str;

    /// Resource whose objects are settled.
    fn resource(&self) -> ResourceKey;

    /// Resources besides its own whose events may concern it.
    fn sources(&self) -> Interest;

    /// Objects to settle because of an event of one of these.
    fn concerns(&self, store: &Store, event: &Event) -> Vec<Key>;

    /// Keys to settle at the start besides those of its objects.
    fn strays(&self, _store: &Store) -> Vec<Key> {
        Vec::new()
    }

    /// Brings one object in order.
    fn settle(self: Arc<Self>, key: Key) -> impl Future<Output = Settled> + Send;
}

/// Runs a controller until the server stops.
pub(super) async fn run<C: Controller>(registry: Arc<Registry>, controller: C) {
    let controller = Arc::new(controller);
    let resource = controller.resource();
    let interest = match controller.sources() {
        Interest::All => Interest::All,
        Interest::Of(sources) => Interest::Of(sources.iter().chain([&resource]).cloned().collect()),
    };
    let mut cursor = Cursor::new(&registry, interest);
    let mut jumps = registry.jumps.subscribe();
    let mut queue = Queue::default();
    let mut tasks: JoinSet<Settled> = JoinSet::new();
    let mut keys: HashMap<Id, Key> = HashMap::new();
    look(&registry, &*controller, &mut queue);
    loop {
        let now = Instant::now();
        while tasks.len() < WORKERS
            && let Some(key) = queue.take(now)
        {
            let handle = tasks.spawn(controller.clone().settle(key.clone()));
            keys.insert(handle.id(), key);
        }
        let due = if tasks.len() < WORKERS { queue.next_due() } else { None };
        tokio::select! {
            news = cursor.next() => match news {
                None => return,
                Some(News::LookAgain) => look(&registry, &*controller, &mut queue),
                Some(News::Events(events)) => {
                    let now = Instant::now();
                    for event in events {
                        let found = if event.object.key.resource == resource {
                            vec![event.object.key.clone()]
                        } else {
                            controller.concerns(&registry.store, &event)
                        };
                        found.into_iter().for_each(|key| queue.add(key, now));
                    }
                }
            },
            // What was to be done at a time of the day may be due now, or long be over.
            Ok(()) = jumps.changed() => look(&registry, &*controller, &mut queue),
            Some(done) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                let (id, settled) = match done {
                    Ok((id, settled)) => (id, settled),
                    Err(error) => (error.id(), Err(format!("it panicked: {error}"))),
                };
                if let Some(key) = keys.remove(&id) {
                    if let Err(error) = &settled {
                        tracing::debug!(controller = C::NAME, object = ?key, %error, "an object could not be settled; trying again");
                    }
                    queue.done(key, settled, Instant::now());
                }
            }
            () = tokio::time::sleep_until(due.unwrap_or(now)), if due.is_some() => {}
        }
    }
}

fn look<C: Controller>(registry: &Registry, controller: &C, queue: &mut Queue) {
    let now = Instant::now();
    let objects = registry
        .store
        .list(&controller.resource(), None, None, usize::MAX, |_| true)
        .items;
    let keys = objects.iter().map(|object| object.key.clone());
    keys.chain(controller.strays(&registry.store))
        .for_each(|key| queue.add(key, now));
}

/// Keys to settle, each at most once at a time.
#[derive(Default)]
struct Queue {
    order: BTreeSet<(Instant, u64, Key)>,
    due: HashMap<Key, (Instant, u64)>,
    working: HashSet<Key>,
    /// Keys whose facts changed while they were being settled.
    again: HashSet<Key>,
    failures: HashMap<Key, u32>,
    count: u64,
}

impl Queue {
    /// Settles a key at a moment, or earlier if that was already wanted.
    fn add(&mut self, key: Key, at: Instant) {
        if self.working.contains(&key) {
            self.again.insert(key);
            return;
        }
        if let Some((known, count)) = self.due.get(&key).copied() {
            if known <= at {
                return;
            }
            self.order.remove(&(known, count, key.clone()));
        }
        self.count += 1;
        self.due.insert(key.clone(), (at, self.count));
        self.order.insert((at, self.count, key));
    }

    fn next_due(&self) -> Option<Instant> {
        self.order.first().map(|(at, ..)| *at)
    }

    /// The next key whose time has come.
    fn take(&mut self, now: Instant) -> Option<Key> {
        if self.next_due()? > now {
            return None;
        }
        let (_, _, key) = self.order.pop_first()?;
        self.due.remove(&key);
        self.working.insert(key.clone());
        Some(key)
    }

    fn done(&mut self, key: Key, settled: Settled, now: Instant) {
        self.working.remove(&key);
        let changed = self.again.remove(&key);
        let later = match settled {
            Ok(later) => {
                self.failures.remove(&key);
                later
            }
            Err(_) => {
                let failures = self.failures.entry(key.clone()).or_default();
                let delay = FIRST_DELAY * 2_u32.saturating_pow((*failures).min(16));
                *failures += 1;
                Some(delay.min(LONGEST_DELAY))
            }
        };
        if let Some(later) = later {
            self.add(key.clone(), now + later);
        }
        if changed {
            self.add(key, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new(&"x".into(), "n", name)
    }

    #[test]
    fn a_key_is_settled_once_at_a_time_and_again_when_it_changed_meanwhile() {
        let mut queue = Queue::default();
        let now = Instant::now();
        queue.add(key("a"), now);
        queue.add(key("a"), now);
        assert_eq!(queue.take(now), Some(key("a")));
        assert_eq!(queue.take(now), None);
        queue.add(key("a"), now);
        assert_eq!(queue.take(now), None, "it is being settled");
        queue.done(key("a"), Ok(None), now);
        assert_eq!(queue.take(now), Some(key("a")));
        queue.done(key("a"), Ok(None), now);
        assert_eq!(queue.take(now), None);
    }

    #[test]
    fn failures_wait_longer_each_time_and_an_event_cuts_the_wait_short() {
        let mut queue = Queue::default();
        let now = Instant::now();
        for tries in 0..20 {
            queue.add(key("a"), now);
            assert!(queue.take(now).is_some());
            queue.done(key("a"), Err("no".into()), now);
            let wait = queue.next_due().unwrap() - now;
            let expected = (FIRST_DELAY * 2_u32.pow(tries.min(16))).min(LONGEST_DELAY);
            assert_eq!(wait, expected);
        }
        queue.add(key("b"), now + Duration::from_secs(5));
        queue.add(key("b"), now);
        assert_eq!(queue.take(now), Some(key("b")));
        queue.done(key("b"), Ok(Some(Duration::from_secs(1))), now);
        assert_eq!(queue.take(now), None);
        assert_eq!(queue.take(now + Duration::from_secs(1)), Some(key("b")));
    }
}
