//! What is written.

use super::super::metadata::{Metadata, Standing};
use super::*;
use crate::ledger::tests::interrupted::runtime;

#[test]
fn a_branch_is_published_and_taken_back_by_the_next_metadata_file() {
    runtime().block_on(async {
        let world = World::in_memory().await;
        let before = table(&[(1, None), (2, Some(1)), (3, Some(2))], &[("main", 1), ("stoke", 3)]);
        world.put_table(7, &before).await;
        // Numbers before that are gone; the hint is behind what is there.
        world
            .place("orders")
            .write("metadata/version-hint.text", b"7".to_vec())
            .await
            .unwrap();
        for number in 1..7 {
            world
                .place("orders")
                .write(&format!("metadata/v{number}.metadata.json"), b"old".to_vec())
                .await
                .unwrap();
        }
        let read = |number: u64| {
            let world = world.clone();
            async move {
                let path = format!("metadata/v{number}.metadata.json");
                let bytes = world.place("orders").content(&path).await.unwrap().unwrap();
                serde_json::from_slice::<Value>(&bytes).unwrap()
            }
        };
        let mut judge = Judge::passes();
        let ended = published(&world, "a", "orders", None, &mut world.table(), &mut judge)
            .await
            .unwrap();
        assert_eq!(
            (ended.version.as_deref(), ended.before.as_deref(), ended.changed),
            (Some("3"), Some("1"), true)
        );
        let after = read(8).await;
        assert_eq!(after["refs"]["main"], json!({"type": "branch", "snapshot-id": 3}));
        assert_eq!(after["refs"]["stoke-before"], json!({"type": "tag", "snapshot-id": 1}));
        assert_eq!(after["refs"]["stoke"], before["refs"]["stoke"]);
        assert_eq!(after["current-snapshot-id"], 3);
        let now = NOW().as_millisecond();
        assert_eq!(after["last-updated-ms"], now);
        assert_eq!(after["snapshot-log"], json!([{"timestamp-ms": now, "snapshot-id": 3}]));
        assert_eq!(
            after["metadata-log"],
            json!([{"timestamp-ms": 5, "metadata-file": "s3a://lake/orders/metadata/v7.metadata.json"}])
        );
        assert_eq!(after["snapshots"], before["snapshots"]);
        let hint = world
            .place("orders")
            .content("metadata/version-hint.text")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(hint.as_ref(), b"8");
        // Again: nothing is left to do, and nothing is audited.
        let ended = published(&world, "b", "orders", None, &mut world.table(), &mut judge)
            .await
            .unwrap();
        assert!(!ended.changed && ended.version.as_deref() == Some("3"));
        assert_eq!(judge.asked.load(Ordering::Relaxed), 1);

        let ended = back(&world, "orders", &Target::Before, &mut world.table())
            .await
            .unwrap();
        assert_eq!(
            (ended.version.as_deref(), ended.before.as_deref()),
            (Some("1"), Some("3"))
        );
        let after = read(9).await;
        // The branch was built on it, and goes; a tag keeps what was taken back.
        assert_eq!(after["refs"]["main"]["snapshot-id"], 1);
        assert_eq!(after["refs"]["stoke"], Value::Null);
        assert_eq!(after["refs"]["stoke-before"], json!({"type": "tag", "snapshot-id": 3}));
        let data = world.data("orders").await;
        assert!(data.went_bad("3") && data.current().unwrap().release.is_none());
        // There is nothing else to go back to.
        let stopped = back(&world, "orders", &Target::Before, &mut world.table())
            .await
            .unwrap_err();
        assert_eq!(codes(&stopped), ["release-data-no-good"]);
    });
}

#[test]
fn a_branch_stands_somewhere() {
    let of = |snapshots: &[(i64, Option<i64>)]| Metadata::of(table(snapshots, &[])).unwrap();
    let chain = of(&[(1, None), (2, Some(1)), (3, Some(2)), (4, Some(1))]);
    for (one, to, wanted) in [
        (3, Some(3), Standing::Same),
        (3, Some(1), Standing::Ahead(vec![3, 2])),
        (3, None, Standing::Ahead(vec![3, 2, 1])),
        (1, Some(3), Standing::Behind),
        (4, Some(3), Standing::Apart),
        (9, Some(3), Standing::NotKnown(9)),
        (9, None, Standing::NotKnown(9)),
    ] {
        assert_eq!(chain.standing(one, to), wanted, "{one} {to:?}");
    }
    // A snapshot in between expired; a circle ends.
    let gap = of(&[(1, None), (3, Some(2)), (5, Some(6)), (6, Some(5))]);
    assert_eq!(gap.standing(3, Some(1)), Standing::NotKnown(2));
    assert_eq!(gap.standing(5, Some(1)), Standing::Apart);
    for wrong in [
        "[]",
        "{}",
        "{\"format-version\": 4, \"location\": \"x\"}",
        "{\"format-version\": 2}",
        "not json",
    ] {
        assert!(Metadata::read(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn a_change_asserts_all_that_it_stands_on() {
    let metadata = Metadata::of(table(&[(1, None), (2, Some(1))], &[("main", 1), ("stoke", 2)])).unwrap();
    let update = metadata.change("stoke", Some(1), 2, false);
    let at = |name: &str, id: Option<i64>| json!({"type": "assert-ref-snapshot-id", "ref": name, "snapshot-id": id});
    let uuid = json!({"type": "assert-table-uuid", "uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1"});
    assert_eq!(
        update.requirements,
        [uuid, at("main", Some(1)), at("stoke-before", None)]
    );
    assert_eq!(
        update.updates,
        [
            json!({"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": 2}),
            json!({"action": "set-snapshot-ref", "ref-name": "stoke-before", "type": "tag", "snapshot-id": 1}),
        ]
    );
    // An empty table; how long main keeps snapshots stays as it is.
    let mut empty = table(&[(2, None)], &[("stoke", 2)]);
    empty["refs"]["main"] = json!({"type": "branch", "max-ref-age-ms": 5});
    let update = Metadata::of(empty).unwrap().change("stoke", None, 2, false);
    assert_eq!(update.requirements[1], at("main", None));
    assert_eq!(update.updates[0]["max-ref-age-ms"], 5);
    assert_eq!(update.updates.len(), 1);
    // Back: a branch that went on from elsewhere stays.
    let metadata = Metadata::of(table(
        &[(1, None), (2, Some(1)), (3, Some(1))],
        &[("main", 2), ("stoke", 3)],
    ))
    .unwrap();
    let update = metadata.change("stoke", Some(2), 1, true);
    assert!(update.updates.iter().all(|one| one["action"] != "remove-snapshot-ref"));
    // The log of former metadata files has a greatest length.
    let mut long = table(&[(1, None), (2, Some(1))], &[("main", 1), ("stoke", 2)]);
    long["properties"]["write.metadata.previous-versions-max"] = json!("2");
    long["metadata-log"] =
        json!([{"timestamp-ms": 1, "metadata-file": "a"}, {"timestamp-ms": 2, "metadata-file": "b"}]);
    let metadata = Metadata::of(long).unwrap();
    let after: Value =
        serde_json::from_slice(&metadata.after(&metadata.change("stoke", Some(1), 2, false), "c", 3)).unwrap();
    assert_eq!(after["metadata-log"][0]["metadata-file"], "b");
    assert_eq!(
        (&after["metadata-log"][1]["metadata-file"], &after["last-updated-ms"]),
        (&json!("c"), &json!(5))
    );
}

#[test]
fn compressed_metadata_stay_compressed() {
    use std::io::{Read, Write};
    runtime().block_on(async {
        let world = World::in_memory().await;
        let metadata = table(&[(1, None)], &[("stoke", 1)]).to_string();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(metadata.as_bytes()).unwrap();
        let place = world.place("orders");
        place
            .write("metadata/v1.gz.metadata.json", encoder.finish().unwrap())
            .await
            .unwrap();
        published(&world, "a", "orders", None, &mut world.table(), &mut Judge::passes())
            .await
            .unwrap();
        let written = place.content("metadata/v2.gz.metadata.json").await.unwrap().unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(written.as_ref())
            .read_to_string(&mut text)
            .unwrap();
        assert!(text.contains("\"current-snapshot-id\":1"), "{text}");
    });
}

#[test]
fn a_pointer_names_the_version_and_where_it_is() {
    runtime().block_on(async {
        let world = World::in_memory().await;
        for name in ["monday", "tuesday"] {
            world.write_version(name).await;
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
        let pointer = world.pointer().await.unwrap();
        assert_eq!(
            (pointer.version.as_str(), pointer.location.as_str()),
            ("tuesday", "s3a://lake/report/tuesday")
        );
        assert!(pointer.list.is_some() && pointer.release == release(1));
        let ended = back(&world, "report", &Target::Before, &mut world.versions(None))
            .await
            .unwrap();
        assert_eq!(ended.version.as_deref(), Some("monday"));
        let taken_back = world.pointer().await.unwrap();
        assert!(taken_back.version == "monday" && taken_back.intent > pointer.intent);
        // By name it is the same each time, and forwards again is a publication.
        let to = Target::Version("monday".into());
        let ended = back(&world, "report", &to, &mut world.versions(None)).await.unwrap();
        assert!(!ended.changed);
        let mut destination = world.versions(Some("tuesday"));
        let stopped = published(
            &world,
            "a",
            "report",
            Some("tuesday"),
            &mut destination,
            &mut Judge::passes(),
        )
        .await;
        assert_eq!(codes(&stopped.unwrap_err()), ["release-data-rolled-back"]);
    });
}

#[test]
fn data_go_back_with_their_release() {
    runtime().block_on(async {
        let world = World::in_memory().await;
        let publish = |name: &'static str| {
            let world = world.clone();
            async move {
                world.write_version(name).await;
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
        };
        publish("old-1").await;
        world.deploy(2).await;
        // The release before published nothing since: nothing is to go back with this one.
        let to = Target::BeforeRelease(release(2));
        assert!(
            !back(&world, "report", &to, &mut world.versions(None))
                .await
                .unwrap()
                .changed
        );
        publish("new-1").await;
        publish("new-2").await;
        let ended = back(&world, "report", &to, &mut world.versions(None)).await.unwrap();
        assert_eq!(ended.version.as_deref(), Some("old-1"));
        assert!(
            !back(&world, "report", &to, &mut world.versions(None))
                .await
                .unwrap()
                .changed
        );
        let data = world.data("report").await;
        assert_eq!(data.current().unwrap().release, Some(release(1)));
    });
}
