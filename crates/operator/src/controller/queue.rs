//! The work queue: every key is worked on by one task at a time, keys never wait for each other, and a failing key backs off alone.
//!
//! A key that was not worked on lately goes first: an application that was just created gets its driver before those that run get their
//! executors counted. One of four turns goes to the others as long as some wait, so that neither starves the other.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Key;
use crate::metrics::Metrics;

/// How a piece of work ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Worked {
    /// Done; look again after so long, or only when something happens.
    Done(Option<Duration>),
    /// What was known was out of date and is not any more: again, at once.
    Again,
    /// It failed; again after a wait that doubles with every failure.
    Failed,
}

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What surrounds a queue: where its length and waits are counted, and under which name.
pub(crate) struct Counting {
    pub(crate) queue: &'static str,
    pub(crate) metrics: Metrics,
    /// Changes when the API server is back: what failed for want of it need not wait any longer.
    pub(crate) returns: watch::Receiver<u64>,
}

/// Turns that new keys have in a row while others wait.
const NEW_IN_A_ROW: u8 = 3;

/// The keys to be worked on.
struct Ready {
    new: VecDeque<(Key, Instant)>,
    others: VecDeque<(Key, Instant)>,
    new_in_a_row: u8,
    counting: Counting,
}

impl Ready {
    fn new(counting: Counting) -> Ready {
        Ready {
            new: VecDeque::new(),
            others: VecDeque::new(),
            new_in_a_row: 0,
            counting,
        }
    }

    fn len(&self) -> usize {
        self.new.len() + self.others.len()
    }

    fn push(&mut self, key: Key, new: bool) {
        let queue = if new { &mut self.new } else { &mut self.others };
        queue.push_back((key, Instant::now()));
        self.counting.metrics.queued(self.counting.queue, self.len());
    }

    fn pop(&mut self) -> Option<Key> {
        let new = self.others.is_empty() || self.new_in_a_row < NEW_IN_A_ROW;
        let taken = if new { self.new.pop_front() } else { None };
        self.new_in_a_row = if taken.is_some() {
            self.new_in_a_row.saturating_add(1)
        } else {
            0
        };
        let (key, since) = taken.or_else(|| self.others.pop_front())?;
        let metrics = &self.counting.metrics;
        metrics.taken(self.counting.queue, self.len(), since.elapsed());
        Some(key)
    }
}

#[derive(Default)]
struct Slot {
    running: bool,
    touched: bool,
    due: Option<Instant>,
    failures: u32,
}

/// Runs `work` for every key that is touched or due, at most `workers` at a time, until `stop` turns true.
pub(crate) async fn run<W, F>(
    mut touched: mpsc::UnboundedReceiver<Key>,
    mut stop: watch::Receiver<bool>,
    workers: usize,
    counting: Counting,
    work: W,
) where
    W: Fn(Key) -> F,
    F: Future<Output = Worked> + Send + 'static,
{
    let mut slots: HashMap<Key, Slot> = HashMap::new();
    let mut timers: BTreeSet<(Instant, Key)> = BTreeSet::new();
    let mut returns = counting.returns.clone();
    let mut ready = Ready::new(counting);
    let mut heard: Vec<Key> = Vec::new();
    let mut tasks: JoinSet<(Key, Worked)> = JoinSet::new();
    loop {
        while tasks.len() < workers
            && let Some(key) = ready.pop()
        {
            let slot = slots.entry(key.clone()).or_default();
            slot.running = true;
            slot.touched = false;
            if let Some(due) = slot.due.take() {
                timers.remove(&(due, key.clone()));
            }
            let working = work(key.clone());
            tasks.spawn(async move {
                // One application's trouble must not become that of the queue.
                let worked = AssertUnwindSafe(working).catch_unwind().await.unwrap_or_else(|_| {
                    tracing::error!(%key, "a panic while working on this application; trying again");
                    Worked::Failed
                });
                (key, worked)
            });
        }
        let next = timers.first().map(|(due, _)| *due);
        tokio::select! {
            () = super::stopped(&mut stop) => return,
            received = touched.recv_many(&mut heard, 1024) => {
                if received == 0 {
                    return;
                }
                for key in heard.drain(..) {
                    let new = !slots.contains_key(&key);
                    let slot = slots.entry(key.clone()).or_default();
                    if !std::mem::replace(&mut slot.touched, true) && !slot.running {
                        ready.push(key, new);
                    }
                }
            }
            Some(ended) = tasks.join_next() => {
                // Only an aborted task has no answer, and none is aborted while the queue runs.
                let Ok((key, worked)) = ended else { continue };
                let slot = slots.entry(key.clone()).or_default();
                slot.running = false;
                slot.failures = if worked == Worked::Failed { slot.failures.saturating_add(1) } else { 0 };
                let wait = match worked {
                    Worked::Done(wait) => wait,
                    Worked::Again => Some(Duration::ZERO),
                    Worked::Failed => Some(FIRST_WAIT.saturating_mul(1 << (slot.failures - 1).min(16)).min(LONGEST_WAIT)),
                };
                // A failure waits even when something happened meanwhile: that something will not fix it.
                if slot.touched && worked != Worked::Failed || wait == Some(Duration::ZERO) {
                    slot.touched = true;
                    ready.push(key, false);
                } else if let Some(wait) = wait {
                    slot.touched = false;
                    let due = Instant::now() + wait;
                    slot.due = Some(due);
                    timers.insert((due, key));
                } else {
                    slots.remove(&key);
                }
            }
            Ok(()) = returns.changed() => {
                for (key, slot) in &mut slots {
                    let failed = std::mem::take(&mut slot.failures) > 0;
                    if failed && !slot.touched && let Some(due) = slot.due.take() {
                        timers.remove(&(due, key.clone()));
                        slot.touched = true;
                        ready.push(key.clone(), false);
                    }
                }
            }
            () = until(next) => {
                let now = Instant::now();
                while timers.first().is_some_and(|(due, _)| *due <= now)
                    && let Some((_, key)) = timers.pop_first()
                {
                    let slot = slots.entry(key.clone()).or_default();
                    slot.due = None;
                    if !std::mem::replace(&mut slot.touched, true) && !slot.running {
                        ready.push(key, false);
                    }
                }
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn key(name: &str) -> Key {
        Key::new("n", name)
    }

    /// Runs the queue over these touches with this work until all is quiet; returns (name, milliseconds) of each start.
    async fn starts(
        touches: &[&str],
        work: impl Fn(&str, usize) -> (u64, Worked) + Send + Sync + 'static,
    ) -> Vec<(String, u64)> {
        let (send, touched) = mpsc::unbounded_channel();
        let (_keep, stop) = watch::channel(false);
        let begun = Instant::now();
        let log: Arc<Mutex<Vec<(String, u64)>>> = Arc::default();
        let work = Arc::new(work);
        for name in touches {
            send.send(key(name)).unwrap();
        }
        let returns = watch::Sender::new(0);
        let counting = Counting {
            queue: "test",
            metrics: Metrics::default(),
            returns: returns.subscribe(),
        };
        let queue = run(touched, stop, 2, counting, |key: Key| {
            let (log, work) = (log.clone(), work.clone());
            async move {
                let turn = {
                    let mut log = log.lock().unwrap();
                    log.push((key.name.clone(), begun.elapsed().as_millis() as u64));
                    log.iter().filter(|(name, _)| *name == key.name).count()
                };
                let (takes, worked) = work(&key.name, turn);
                tokio::time::sleep(Duration::from_millis(takes)).await;
                worked
            }
        });
        let _ = tokio::time::timeout(Duration::from_secs(60), queue).await;
        drop(send);
        let log = log.lock().unwrap();
        log.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn touches_of_a_key_become_one_piece_of_work() {
        assert_eq!(
            starts(&["a", "a", "a"], |_, _| (10, Worked::Done(None))).await,
            [("a".into(), 0)]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn new_keys_go_first_and_the_others_have_every_fourth_turn() {
        let mut ready = Ready::new(Counting {
            queue: "test",
            metrics: Metrics::default(),
            returns: watch::Sender::new(0).subscribe(),
        });
        for name in ["a", "b"] {
            ready.push(key(name), false);
        }
        for name in ["1", "2", "3", "4", "5", "6", "7"] {
            ready.push(key(name), true);
        }
        let order: Vec<String> = std::iter::from_fn(|| ready.pop()).map(|key| key.name).collect();
        assert_eq!(order, ["1", "2", "3", "a", "4", "5", "6", "b", "7"]);
        ready.push(key("c"), false);
        assert_eq!((ready.pop(), ready.pop()), (Some(key("c")), None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_key_does_not_delay_another() {
        let starts = starts(&["slow", "a", "b"], |name, _| {
            (if name == "slow" { 1000 } else { 10 }, Worked::Done(None))
        })
        .await;
        assert_eq!(starts, [("slow".into(), 0), ("a".into(), 0), ("b".into(), 10)]);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_back_off_and_success_looks_again_when_asked() {
        let starts = starts(&["a"], |_, turn| match turn {
            1..=3 => (0, Worked::Failed),
            4 => (0, Worked::Again),
            5 => (0, Worked::Done(Some(Duration::from_secs(7)))),
            _ => (0, Worked::Done(None)),
        })
        .await;
        let times: Vec<u64> = starts.iter().map(|(_, at)| *at).collect();
        assert_eq!(times[..3], [0, 50, 150]);
        assert!(
            (350..=352).contains(&times[3]) && (350..=353).contains(&times[4]),
            "{times:?}"
        );
        assert!((7350..=7355).contains(&times[5]) && times.len() == 6, "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_a_failure_of_its_key_alone() {
        let starts = starts(&["a", "b"], |name, turn| match (name, turn) {
            ("a", 1) => panic!("on purpose"),
            _ => (0, Worked::Done(None)),
        })
        .await;
        assert_eq!(starts, [("a".into(), 0), ("b".into(), 0), ("a".into(), 50)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_goes_on_when_the_server_is_back_and_what_waits_for_its_time_does_not() {
        let (send, touched) = mpsc::unbounded_channel();
        let (_keep, stop) = watch::channel(false);
        let returns = watch::Sender::new(0);
        let counting = Counting {
            queue: "test",
            metrics: Metrics::default(),
            returns: returns.subscribe(),
        };
        let (begun, back) = (Instant::now(), Duration::from_secs(40));
        let log: Arc<Mutex<Vec<(String, u128)>>> = Arc::default();
        for name in ["fails", "waits"] {
            send.send(key(name)).unwrap();
        }
        let queue = run(touched, stop, 2, counting, |key: Key| {
            let log = log.clone();
            async move {
                log.lock()
                    .unwrap()
                    .push((key.name.clone(), begun.elapsed().as_millis()));
                match key.name.as_str() {
                    "waits" => Worked::Done(Some(Duration::from_secs(50))),
                    _ if begun.elapsed() < back + Duration::from_millis(30) => Worked::Failed,
                    _ => Worked::Done(None),
                }
            }
        });
        let returning = async {
            tokio::time::sleep(back).await;
            returns.send_modify(|returns| *returns += 1);
            tokio::time::sleep(Duration::from_secs(20)).await;
        };
        tokio::select! {
            () = queue => {}
            () = returning => {}
        }
        let log = log.lock().unwrap();
        let of = |name: &str| -> Vec<u128> { log.iter().filter(|one| one.0 == name).map(|one| one.1).collect() };
        assert!(matches!(of("waits")[..], [0, 50_000..=50_005]), "{log:?}");
        // Without the return the turn after 25.6 s would be the one after 51 s. The first wait afterwards is the first one again.
        let fails = of("fails");
        let late = &fails[fails.len() - 2..];
        assert!(matches!(late, [40_000..=40_005, 40_050..=40_060]), "{fails:?}");
    }
}
