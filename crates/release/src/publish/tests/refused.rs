//! What is never published.

use super::*;
use crate::ledger::tests::interrupted::runtime;

/// What readers see stays, and nothing is under way.
async fn untouched(world: &World, before: &(u64, Value)) {
    assert_eq!(world.metadata().await, *before);
    assert!(world.data("orders").await.open.is_none());
    assert_eq!(world.events(|event| matches!(event, Event::DataMoved { .. })).await, 0);
}

#[test]
fn tables_that_are_not_as_they_must_be() {
    let good = || table(&[(1, None), (2, Some(1)), (3, Some(1))], &[("main", 1), ("stoke", 2)]);
    let with = |change: fn(&mut Value)| {
        let mut metadata = good();
        change(&mut metadata);
        metadata
    };
    let main = |metadata: &mut Value, id: i64| {
        metadata["refs"]["main"]["snapshot-id"] = json!(id);
        metadata["current-snapshot-id"] = json!(id);
    };
    let cases: Vec<(&str, Value, &str, bool)> = vec![
        (
            "no property",
            with(|all| all["properties"] = json!({})),
            "release-data-wap",
            false,
        ),
        (
            "property is false",
            with(|all| all["properties"]["write.wap.enabled"] = json!("false")),
            "release-data-wap",
            false,
        ),
        (
            "no branch",
            with(|all| drop(all["refs"].as_object_mut().unwrap().remove("stoke"))),
            "release-data-branch",
            true,
        ),
        (
            "main went on from elsewhere",
            {
                let mut all = good();
                main(&mut all, 3);
                all
            },
            "release-data-behind",
            false,
        ),
        (
            "the branch is behind",
            {
                let mut all = good();
                all["refs"]["stoke"]["snapshot-id"] = json!(1);
                main(&mut all, 3);
                all
            },
            "release-data-behind",
            false,
        ),
        (
            "a snapshot in between expired",
            with(|all| all["snapshots"][1]["parent-snapshot-id"] = json!(99)),
            "release-data-unread",
            true,
        ),
        (
            "the branch is what readers see, and no one audited it",
            with(|all| all["refs"]["stoke"]["snapshot-id"] = json!(1)),
            "release-data-overtaken",
            false,
        ),
        (
            "another release wrote it",
            with(|all| all["snapshots"][1]["summary"]["stoke.release"] = json!(release(2).to_string())),
            "release-data-release",
            false,
        ),
    ];
    for (name, metadata, code, unknown) in cases {
        runtime().block_on(async {
            let world = World::in_memory().await;
            world.put_table(1, &metadata).await;
            let before = world.metadata().await;
            let mut judge = Judge::passes();
            let stopped = published(&world, "a", "orders", None, &mut world.table(), &mut judge)
                .await
                .unwrap_err();
            assert_eq!(codes(&stopped), [code], "{name}");
            let Stopped::Refused(reasons) = &stopped else {
                panic!("{name}")
            };
            assert_eq!(reasons[0].cannot_tell, unknown, "{name}");
            assert!(reasons[0].fix.is_some(), "{name}");
            assert_eq!(judge.asked.load(Ordering::Relaxed), 0, "{name}");
            untouched(&world, &before).await;
        });
    }
    // What the configuration of the release puts into its snapshots fits.
    runtime().block_on(async {
        let world = World::in_memory().await;
        let mut metadata = good();
        metadata["snapshots"][1]["summary"]["stoke.release"] = json!(release(1).to_string());
        world.put_table(1, &metadata).await;
        published(&world, "a", "orders", None, &mut world.table(), &mut Judge::passes())
            .await
            .unwrap();
    });
}

#[test]
fn metadata_that_cannot_be_read() {
    let whole = table(&[(1, None)], &[("stoke", 1)]).to_string();
    let cut = whole[..whole.len() / 2].to_owned();
    for (name, files) in [
        ("none", vec![]),
        ("half", vec![("v1.metadata.json", cut.as_str())]),
        ("no JSON", vec![("v1.metadata.json", "<html>")]),
        (
            "the hint names what is not there",
            vec![("v1.metadata.json", whole.as_str()), ("version-hint.text", "4")],
        ),
        ("a catalogue's", vec![("00003-9c12d441.metadata.json", whole.as_str())]),
        (
            "a version to come",
            vec![("v1.metadata.json", r#"{"format-version": 9, "location": "x"}"#)],
        ),
    ] {
        runtime().block_on(async {
            let world = World::in_memory().await;
            for (file, content) in files {
                let path = format!("metadata/{file}");
                world
                    .place("orders")
                    .write(&path, content.as_bytes().to_vec())
                    .await
                    .unwrap();
            }
            let mut judge = Judge::passes();
            let stopped = published(&world, "a", "orders", None, &mut world.table(), &mut judge)
                .await
                .unwrap_err();
            assert_eq!(codes(&stopped), ["release-data-unread"], "{name}");
            assert_eq!(judge.asked.load(Ordering::Relaxed), 0, "{name}");
            let stopped = back(&world, "orders", &Target::Before, &mut world.table())
                .await
                .unwrap_err();
            assert_eq!(codes(&stopped), ["release-data-unread"], "{name}");
            assert_eq!(world.entries().await.len(), 3, "{name}");
        });
    }
}

#[test]
fn an_audit_that_fails_or_cannot_read() {
    runtime().block_on(async {
        for (verdict, code, entries) in [
            (Ok(Verdict::Fail), "release-data-audit", 1),
            (Err(()), "release-data-unread", 0),
        ] {
            let world = World::in_memory().await;
            world
                .put_table(1, &table(&[(1, None), (2, Some(1))], &[("main", 1), ("stoke", 2)]))
                .await;
            let before = world.metadata().await;
            let mut judge = Judge::says(verdict);
            // Also the second time: a verdict that fails is not remembered as one that passes.
            for times in 1..=2 {
                let stopped = published(&world, "a", "orders", None, &mut world.table(), &mut judge)
                    .await
                    .unwrap_err();
                assert_eq!(codes(&stopped), [code]);
                untouched(&world, &before).await;
                let audits = world.events(|event| matches!(event, Event::DataAudited { .. })).await;
                assert_eq!(audits, entries * times);
            }
        }
        // One that passed counts for ten minutes, for the same contract and the same data.
        let world = World::in_memory().await;
        world.put_table(1, &table(&[(1, None)], &[("stoke", 1)])).await;
        let audited = |contract: &[u8], verdict, number| Event::DataAudited {
            release: release(number),
            environment: "prod".into(),
            data: "orders".into(),
            version: "1".into(),
            contract: Digest::of(contract),
            seal: None,
            verdict,
            evidence: Digest::of(b""),
        };
        world.record(audited(b"another", Verdict::Pass, 1)).await;
        world.record(audited(b"contract", Verdict::Pass, 2)).await;
        world.record(audited(b"contract", Verdict::Pass, 1)).await;
        world.later(601);
        let stopped = published(
            &world,
            "a",
            "orders",
            None,
            &mut world.table(),
            &mut Judge::says(Err(())),
        )
        .await;
        assert_eq!(codes(&stopped.unwrap_err()), ["release-data-unread"]);
        world.record(audited(b"contract", Verdict::Fail, 1)).await;
        let stopped = published(
            &world,
            "a",
            "orders",
            None,
            &mut world.table(),
            &mut Judge::says(Err(())),
        )
        .await;
        assert_eq!(codes(&stopped.unwrap_err()), ["release-data-unread"]);
        world.record(audited(b"contract", Verdict::Pass, 1)).await;
        published(
            &world,
            "a",
            "orders",
            None,
            &mut world.table(),
            &mut Judge::says(Err(())),
        )
        .await
        .unwrap();
    });
}

#[test]
fn versions_that_are_not_whole() {
    let cases: [(&str, &[&str], &str); 5] = [
        ("nothing", &[], "release-data-branch"),
        ("no mark of its end", &["part-0.csv"], "release-data-incomplete"),
        (
            "under way",
            &["_SUCCESS", "_temporary/0/part-0.csv"],
            "release-data-incomplete",
        ),
        (
            "a table of Delta",
            &["_delta_log/00000000000000000000.json", "part-0.parquet"],
            "",
        ),
        ("partitions", &["_SUCCESS", "day=1/part-0.csv"], ""),
    ];
    for (name, files, code) in cases {
        runtime().block_on(async {
            let world = World::in_memory().await;
            for file in files {
                world.write(&format!("v1/{file}"), "x").await;
            }
            let mut destination = world.versions(Some("v1"));
            let ended = published(
                &world,
                "a",
                "report",
                Some("v1"),
                &mut destination,
                &mut Judge::passes(),
            )
            .await;
            match ended {
                Ok(_) => assert!(code.is_empty(), "{name}"),
                Err(stopped) => {
                    assert_eq!(codes(&stopped), [code], "{name}");
                    assert!(world.pointer().await.is_none(), "{name}");
                }
            }
        });
    }
    for (name, is_one) in [
        ("2026-09-27", true),
        ("runs/7", true),
        ("current.json", false),
        ("", false),
        ("..", false),
        ("a//b", false),
        ("a/../b", false),
        ("_temporary", false),
        (".hidden", false),
        ("/a", false),
    ] {
        assert_eq!(super::super::pointer::is_version(name), is_one, "{name}");
    }
}

#[test]
fn a_version_that_changes_after_its_audit_or_its_publication() {
    runtime().block_on(async {
        let world = World::in_memory().await;
        for name in ["v1", "v2", "v3"] {
            world.write_version(name).await;
        }
        for name in ["v1", "v2"] {
            let mut destination = world.versions(Some(name));
            published(
                &world,
                "a",
                "report",
                Some(name),
                &mut destination,
                &mut Judge::passes(),
            )
            .await
            .unwrap();
        }
        // What is to be gone back to is not what it was.
        world.write("v1/part-0.csv", "id\nchanged\n").await;
        let stopped = back(&world, "report", &Target::Before, &mut world.versions(None))
            .await
            .unwrap_err();
        assert_eq!(codes(&stopped), ["release-data-changed"]);
        for path in ["part-0.csv", "_SUCCESS"] {
            world.place("report").delete(&format!("v1/{path}")).await.unwrap();
        }
        let stopped = back(&world, "report", &Target::Before, &mut world.versions(None))
            .await
            .unwrap_err();
        assert_eq!(codes(&stopped), ["release-data-gone"]);
        assert_eq!(world.pointer().await.unwrap().version, "v2");
        // Between the intent and the step.
        struct Late(Versions<'static>, World);
        impl Destination for Late {
            async fn look(&mut self) -> Result<Seen, Diagnostic> {
                self.0.look().await
            }
            async fn is_whole(&mut self, version: &str, seal: Option<&Digest>) -> Result<(), Diagnostic> {
                self.0.is_whole(version, seal).await
            }
            async fn set(&mut self, change: &Change) -> Result<bool, Diagnostic> {
                self.1.write("v3/part-1.csv", "more").await;
                self.0.set(change).await
            }
        }
        let mut late = Late(world.versions(Some("v3")), world.clone());
        let stopped = published(&world, "a", "report", Some("v3"), &mut late, &mut Judge::passes())
            .await
            .unwrap_err();
        assert_eq!(codes(&stopped), ["release-data-changed"]);
        assert!(world.data("report").await.open.is_none());
        assert_eq!(world.pointer().await.unwrap().version, "v2");
        // A pointer that is none is not overwritten.
        world.write("current.json", "{}").await;
        let mut destination = world.versions(Some("v3"));
        let stopped = published(
            &world,
            "a",
            "report",
            Some("v3"),
            &mut destination,
            &mut Judge::passes(),
        )
        .await
        .unwrap_err();
        assert_eq!(codes(&stopped), ["release-data-place"]);
    });
}

#[test]
fn an_environment_without_a_release_publishes_nothing() {
    let seen = Seen {
        candidate: Some("1".into()),
        ..Seen::default()
    };
    let reasons = decide::publish(
        &History::default(),
        &key("orders"),
        None,
        None,
        &release(9),
        &seen,
        NOW(),
    );
    assert_eq!(reasons.unwrap_err()[0].code, "release-data-release");
    runtime().block_on(async {
        let world = World::in_memory().await;
        let history = History::of(&world.entries().await);
        let reasons = decide::publish(&history, &key("o"), Some(&release(2)), None, &release(9), &seen, NOW());
        assert_eq!(reasons.unwrap_err()[0].code, "release-data-release");
        // A clock that is behind the ledger decides nothing.
        let early = NOW() - jiff::SignedDuration::from_secs(60);
        let reasons = decide::publish(&history, &key("o"), None, None, &release(9), &seen, early);
        assert_eq!(reasons.unwrap_err()[0].code, "release-clock");
    });
}
