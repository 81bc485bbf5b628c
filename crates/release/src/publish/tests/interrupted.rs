//! Commands that are cut off at every point, and several at the same time.

use super::*;
use crate::ledger::tests::interrupted::{cut, waits};

/// Its clock stands still while something is done, and jumps to what is waited for.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

/// A table and versions are the same to these tests.
async fn begin(world: &World, with_table: bool) {
    if with_table {
        world
            .put_table(1, &table(&[(1, None), (2, Some(1))], &[("main", 1), ("stoke", 2)]))
            .await;
    } else {
        for name in ["1", "2"] {
            world.write_version(name).await;
        }
        let mut destination = world.versions(Some("1"));
        published(
            world,
            "first",
            "data",
            Some("1"),
            &mut destination,
            &mut Judge::passes(),
        )
        .await
        .unwrap();
    }
}

async fn go(world: &World, with_table: bool, judge: &mut Judge) -> Result<Ended, Stopped> {
    match with_table {
        true => published(world, "a", "data", None, &mut world.table(), judge).await,
        false => published(world, "a", "data", Some("2"), &mut world.versions(Some("2")), judge).await,
    }
}

async fn undo(world: &World, with_table: bool, target: &Target) -> Result<Ended, Stopped> {
    match with_table {
        true => back(world, "data", target, &mut world.table()).await,
        false => back(world, "data", target, &mut world.versions(None)).await,
    }
}

async fn seen(world: &World, with_table: bool) -> Option<String> {
    match with_table {
        true => world.table().look().await.unwrap().current,
        false => world.versions(None).look().await.unwrap().current,
    }
}

#[test]
fn cut_off_at_every_point_readers_see_one_or_the_other() {
    for with_table in [true, false] {
        let mut points = 0;
        for turns in 0.. {
            let whole = runtime().block_on(async {
                let world = World::new(waits()).await;
                begin(&world, with_table).await;
                let mut judge = Judge::passes();
                let ended = cut(go(&world, with_table, &mut judge), turns).await.is_some();
                let between = seen(&world, with_table).await.unwrap();
                assert!(["1", "2"].contains(&between.as_str()));
                let again = go(&world, with_table, &mut judge).await.unwrap();
                assert_eq!(again.version.as_deref(), Some("2"), "after {turns} turns");
                assert_eq!(seen(&world, with_table).await.as_deref(), Some("2"));
                let to_two = |event: &Event| matches!(event, Event::DataMoving { to, .. } | Event::DataMoved { to, .. } if to == "2");
                assert_eq!(world.events(to_two).await, 2, "after {turns} turns");
                assert_eq!(world.events(|event| matches!(event, Event::DataAbandoned { .. })).await, 0);
                assert!((1..=2).contains(&judge.asked.load(Ordering::Relaxed)));
                assert!(world.data("data").await.open.is_none());
                // Back, cut off as well, and given again.
                let target = Target::Version("1".into());
                let _ = cut(undo(&world, with_table, &target), turns).await;
                undo(&world, with_table, &target).await.unwrap();
                assert_eq!(seen(&world, with_table).await.as_deref(), Some("1"), "after {turns} turns");
                let undone = |event: &Event| matches!(event, Event::DataMoving { step: Step::Rollback, .. } | Event::DataMoved { step: Step::Rollback, .. });
                assert_eq!(world.events(undone).await, 2, "after {turns} turns");
                let data = world.data("data").await;
                assert!(data.went_bad("2") && data.open.is_none() && data.current().unwrap().version == "1");
                ended
            });
            points = turns;
            if whole {
                break;
            }
        }
        assert!(points > 20, "{points}");
    }
}

#[test]
fn the_way_back_is_not_held_up_by_a_publication_that_hangs() {
    for with_table in [true, false] {
        for turns in 0.. {
            let whole = runtime().block_on(async {
                let world = World::new(waits()).await;
                begin(&world, with_table).await;
                let ended = cut(go(&world, with_table, &mut Judge::passes()), turns).await.is_some();
                let was = seen(&world, with_table).await.unwrap();
                let undone = undo(&world, with_table, &Target::Before).await;
                assert_eq!(
                    seen(&world, with_table).await.as_deref(),
                    Some("1"),
                    "after {turns} turns"
                );
                match undone {
                    // It took back what readers saw, or gave up what was begun.
                    Ok(ended) => assert!(was == "2" || ended.given_up.is_some(), "after {turns} turns"),
                    // Nothing was begun yet, and nothing is there before the first.
                    Err(stopped) => assert_eq!(codes(&stopped), ["release-data-no-good"], "after {turns} turns"),
                }
                assert!(world.data("data").await.open.is_none());
                ended
            });
            if whole {
                break;
            }
        }
    }
}

#[test]
fn publishers_at_the_same_time() {
    runtime().block_on(async {
        // The same version: it is published once, and all say so.
        let world = World::new(waits()).await;
        begin(&world, true).await;
        let all = (0..6).map(|number| {
            let world = world.clone();
            async move {
                let (mut destination, mut judge) = (world.table(), Judge::passes());
                published(
                    &world,
                    &format!("p{number}"),
                    "data",
                    None,
                    &mut destination,
                    &mut judge,
                )
                .await
            }
        });
        for ended in futures::future::join_all(all).await {
            assert_eq!(ended.unwrap().version.as_deref(), Some("2"));
        }
        assert_eq!(world.events(|event| matches!(event, Event::DataMoved { .. })).await, 1);
        assert_eq!(world.metadata().await.0, 2);

        // Several versions: one after the other, or told that one is under way.
        let world = World::new(waits()).await;
        let names: Vec<String> = (1..=6).map(|number| format!("v{number}")).collect();
        for name in &names {
            world.write_version(name).await;
        }
        let all = names.iter().map(|name| {
            let world = world.clone();
            async move {
                let (mut destination, mut judge) = (world.versions(Some(name)), Judge::passes());
                published(&world, name, "data", Some(name), &mut destination, &mut judge).await
            }
        });
        let mut done = 0;
        for ended in futures::future::join_all(all).await {
            match ended {
                Ok(_) => done += 1,
                Err(stopped) => assert_eq!(codes(&stopped), ["release-data-busy"]),
            }
        }
        let moved = world.events(|event| matches!(event, Event::DataMoved { .. })).await;
        let data = world.data("data").await;
        assert!(done >= 1 && moved == done && data.open.is_none(), "{done} {moved}");
        assert_eq!(world.pointer().await.unwrap().version, data.current().unwrap().version);
    });
}

/// A destination before whose step something else happens.
struct Meddled<S, F>(S, Option<F>);

impl<S: Destination, F: AsyncFnOnce()> Destination for Meddled<S, F> {
    async fn look(&mut self) -> Result<Seen, Diagnostic> {
        self.0.look().await
    }

    async fn is_whole(&mut self, version: &str, seal: Option<&Digest>) -> Result<(), Diagnostic> {
        self.0.is_whole(version, seal).await
    }

    async fn set(&mut self, change: &Change) -> Result<bool, Diagnostic> {
        if let Some(meddle) = self.1.take() {
            meddle().await;
        }
        self.0.set(change).await
    }
}

#[test]
fn someone_else_publishes_in_between() {
    runtime().block_on(async {
        // Another writer of the table, that knows nothing of the ledger.
        let world = World::in_memory().await;
        begin(&world, true).await;
        let others = table(&[(1, None), (2, Some(1)), (3, Some(1))], &[("main", 3), ("stoke", 2)]);
        let meddle = async || world.put_table(2, &others).await;
        let mut destination = Meddled(world.table(), Some(meddle));
        let stopped = published(&world, "a", "data", None, &mut destination, &mut Judge::passes())
            .await
            .unwrap_err();
        assert_eq!(codes(&stopped), ["release-data-overtaken"]);
        assert_eq!(world.metadata().await, (2, others));
        assert!(world.data("data").await.open.is_none());
        // A commit to another branch publishes nothing.
        let world = World::in_memory().await;
        begin(&world, true).await;
        let others = table(
            &[(1, None), (2, Some(1)), (3, Some(1))],
            &[("main", 1), ("stoke", 2), ("mine", 3)],
        );
        let meddle = async || world.put_table(2, &others).await;
        let mut destination = Meddled(world.table(), Some(meddle));
        published(&world, "a", "data", None, &mut destination, &mut Judge::passes())
            .await
            .unwrap();
        let (number, after) = world.metadata().await;
        assert_eq!((number, &after["refs"]["mine"]["snapshot-id"]), (3, &json!(3)));
        // And what was published since is not taken back.
        world
            .put_table(4, &table(&[(1, None), (2, Some(1)), (5, Some(2))], &[("main", 5)]))
            .await;
        let stopped = back(&world, "data", &Target::Before, &mut world.table())
            .await
            .unwrap_err();
        assert_eq!(codes(&stopped), ["release-data-overtaken"]);
    });
}

/// One command sleeps before its step; others finish its work, take it back, and it wakes.
#[test]
fn a_command_that_wakes_up_late_changes_nothing() {
    for with_table in [true, false] {
        runtime().block_on(async {
            let world = World::in_memory().await;
            begin(&world, with_table).await;
            let meddle = async || {
                go(&world, with_table, &mut Judge::passes()).await.unwrap();
                assert_eq!(seen(&world, with_table).await.as_deref(), Some("2"));
                undo(&world, with_table, &Target::Before).await.unwrap();
            };
            let stopped = match with_table {
                true => {
                    let mut destination = Meddled(world.table(), Some(meddle));
                    published(&world, "late", "data", None, &mut destination, &mut Judge::passes()).await
                }
                false => {
                    let mut destination = Meddled(world.versions(Some("2")), Some(meddle));
                    published(
                        &world,
                        "late",
                        "data",
                        Some("2"),
                        &mut destination,
                        &mut Judge::passes(),
                    )
                    .await
                }
            };
            assert!(stopped.is_err(), "{stopped:?}");
            assert_eq!(seen(&world, with_table).await.as_deref(), Some("1"));
            let data = world.data("data").await;
            assert!(data.went_bad("2") && data.open.is_none());
        });
    }
    // One whose time is over gives way, and reports it.
    runtime().block_on(async {
        let world = World::in_memory().await;
        begin(&world, false).await;
        world.write_version("3").await;
        let meddle = async || {
            let mut other = world.versions(Some("3"));
            let early = published(&world, "b", "data", Some("3"), &mut other, &mut Judge::passes()).await;
            assert_eq!(codes(&early.unwrap_err()), ["release-data-busy"]);
            world.later(601);
            published(&world, "b", "data", Some("3"), &mut other, &mut Judge::passes())
                .await
                .unwrap();
        };
        let mut destination = Meddled(world.versions(Some("2")), Some(meddle));
        let stopped = published(
            &world,
            "late",
            "data",
            Some("2"),
            &mut destination,
            &mut Judge::passes(),
        )
        .await;
        assert_eq!(codes(&stopped.unwrap_err()), ["release-data-overtaken"]);
        assert_eq!(world.pointer().await.unwrap().version, "3");
    });
}
