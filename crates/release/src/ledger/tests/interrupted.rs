//! Steps that are cut off at every point, and several at the same time.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::throttle::{ThrottleConfig, ThrottledStore};

use stoke_diagnostics::Diagnostic;
use stoke_storage::{Access, Address, Place};

use super::super::act::{Deliver, Stopped, carry_out};
use super::super::keep::LedgerError;
use super::super::*;
use super::{at, codes, digest, world};
use crate::oci::Digest;

/// What an environment has, and how often it changed.
#[derive(Default)]
struct Cluster {
    has: Mutex<BTreeMap<String, Vec<Digest>>>,
}

struct Hand<'a>(&'a Cluster);

impl Deliver for Hand<'_> {
    async fn deliver(&mut self, plan: &Plan) -> Result<(), Diagnostic> {
        tokio::task::yield_now().await;
        {
            let mut has = self.0.has.lock().unwrap();
            let there = has.entry(plan.environment.clone()).or_default();
            if there.last() != Some(&plan.release) {
                there.push(plan.release.clone());
            }
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}

fn ledger(directory: &std::path::Path, by: &str) -> Ledger {
    Ledger::new(
        stoke_storage::open(&Address::Local(directory.into()), &Access::default()).unwrap(),
        by.into(),
    )
}

/// Lets a future run for a number of polls, then drops it, as a kill would. True when it ended before.
pub(crate) async fn cut<T>(future: impl Future<Output = T>, turns: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = turns;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A store in memory that lets others go first before each request.
pub(crate) fn waits() -> Arc<dyn ObjectStore> {
    let pause = Duration::from_millis(1);
    let config = ThrottleConfig {
        wait_get_per_call: pause,
        wait_put_per_call: pause,
        wait_list_per_call: pause,
        ..ThrottleConfig::default()
    };
    Arc::new(ThrottledStore::new(InMemory::new(), config))
}

#[test]
fn cut_off_at_every_point_nothing_is_lost_or_doubled() {
    // In memory a request that is cut off does not happen, and the points are the same each time.
    let points = cut_off_everywhere(|_| waits());
    assert!(points > 10, "{points}");
    // On a disk it happens later. How many points there are depends on how fast the disk is.
    cut_off_everywhere(|directory| Arc::new(LocalFileSystem::new_with_prefix(directory).unwrap()));
}

/// How many points there were.
fn cut_off_everywhere(store: impl Fn(&std::path::Path) -> Arc<dyn ObjectStore>) -> usize {
    let world = world();
    let mut points = 0;
    for turns in 0.. {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path());
        let cluster = Cluster::default();
        let whole = runtime().block_on(async {
            let clock = || at(10);
            let place = Place::over(store, Path::default(), "ledger".into());
            let ledger = Ledger::new(place, "one".into());
            for number in [1, 2] {
                let event = Event::Created {
                    release: digest(number),
                    name: "etl".into(),
                };
                ledger
                    .record::<LedgerError>(None, |_| Ok(Some((event.clone(), at(0)))))
                    .await
                    .unwrap();
            }
            let to = |number: u64| {
                let environments = &world.environments;
                move |history: &History| {
                    promote(history, environments, &digest(number), "dev", at(10), &Facts::default())
                }
            };
            carry_out(&ledger, None, &clock, to(1), &mut Hand(&cluster))
                .await
                .unwrap();
            let ended = cut(carry_out(&ledger, None, &clock, to(2), &mut Hand(&cluster)), turns)
                .await
                .is_some();
            // What was on its way to the disk arrives.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let (_, entries) = carry_out(&ledger, None, &clock, to(2), &mut Hand(&cluster))
                .await
                .unwrap();
            let of = |wanted: &dyn Fn(&Event) -> bool| entries.iter().filter(|entry| wanted(&entry.event)).count();
            assert_eq!(
                of(&|event| matches!(event, Event::Intended { release, .. } if *release == digest(2))),
                1,
                "after {turns} turns"
            );
            assert_eq!(
                of(&|event| matches!(event, Event::Deployed { release, .. } if *release == digest(2))),
                1,
                "after {turns} turns"
            );
            assert_eq!(cluster.has.lock().unwrap()["dev"], [digest(1), digest(2)]);
            // Back, cut off as well.
            let back = |history: &History| rollback(history, &world.environments, "dev", at(20));
            let _ = cut(carry_out(&ledger, None, &clock, back, &mut Hand(&cluster)), turns).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            let read = ledger.read(None).await.unwrap();
            if History::of(&read).place("dev").unwrap().current() != Some(&digest(1)) {
                carry_out(&ledger, None, &clock, back, &mut Hand(&cluster))
                    .await
                    .unwrap();
            }
            let read = ledger.read(None).await.unwrap();
            assert_eq!(
                History::of(&read).place("dev").unwrap().current(),
                Some(&digest(1)),
                "after {turns} turns"
            );
            assert_eq!(cluster.has.lock().unwrap()["dev"], [digest(1), digest(2), digest(1)]);
            ended
        });
        points = turns;
        if whole {
            break;
        }
    }
    points
}

#[test]
fn promotions_at_the_same_time_are_one_after_the_other() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let cluster = Cluster::default();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let created = (1..=8u64).map(|number| {
                let ledger = ledger(directory.path(), &format!("maker {number}"));
                async move {
                    let event = Event::Created {
                        release: digest(number),
                        name: "etl".into(),
                    };
                    ledger
                        .record::<LedgerError>(None, |_| Ok(Some((event.clone(), at(0)))))
                        .await
                        .unwrap();
                }
            });
            futures::future::join_all(created).await;
            let promoted = (1..=8u64).map(|number| {
                let ledger = ledger(directory.path(), &format!("promoter {number}"));
                let (environments, cluster) = (&world.environments, &cluster);
                async move {
                    let decide = |history: &History| {
                        promote(history, environments, &digest(number), "dev", at(10), &Facts::default())
                    };
                    match carry_out(&ledger, None, &|| at(10), decide, &mut Hand(cluster)).await {
                        Ok(_) => true,
                        Err(Stopped::Refused(reasons)) => {
                            assert_eq!(codes(reasons), ["release-busy"]);
                            false
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
            });
            let done = futures::future::join_all(promoted)
                .await
                .into_iter()
                .filter(|done| *done)
                .count();
            let entries = ledger(directory.path(), "reader").read(None).await.unwrap();
            let deployed = entries
                .iter()
                .filter(|entry| matches!(entry.event, Event::Deployed { .. }))
                .count();
            assert!(done >= 1 && deployed == done, "{done} {deployed}");
            assert_eq!(
                entries
                    .iter()
                    .filter(|entry| matches!(entry.event, Event::Created { .. }))
                    .count(),
                8
            );
            let current = History::of(&entries).place("dev").unwrap().current().cloned();
            assert_eq!(cluster.has.lock().unwrap()["dev"].last().cloned(), current);
        });
}
