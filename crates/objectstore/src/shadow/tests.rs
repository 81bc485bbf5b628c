use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::credentials;
use crate::digest::Digester;
use crate::store::condition::Condition;
use crate::store::contents::Piece;
use crate::store::objects::NewObject;
use crate::store::record::Record;

async fn put(store: &Store, bucket: &str, key: &str, content: &str) {
    let mut digester = Digester::new([]);
    digester.update(content.as_bytes());
    let new = NewObject {
        size: content.len() as u64,
        etag: digester.finish().etag(),
        record: Record::default(),
    };
    let (bucket, key) = (bucket.to_owned(), key.to_owned());
    store
        .change_with(Piece::Inline(content.as_bytes().to_vec()), move |change, entry| {
            objects::put(change, &bucket, &key, &new, entry, &Condition::None)
        })
        .await
        .unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

async fn store(directory: &Path) -> Store {
    let store = Store::open(directory, false).unwrap();
    store
        .change(|change| buckets::create(change, "lake", ""))
        .await
        .unwrap();
    prepare(&store).await.unwrap();
    store
}

fn places() -> Places {
    Places {
        reads: vec![Spot::new("lake", "in")],
        writes: vec![Spot::new("lake", "out")],
    }
}

#[test]
fn pins_say_what_is_otherwise_and_cleaning_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = store(directory.path()).await;
        for (key, content) in [
            ("in/a", "1"),
            ("in/b", "2"),
            ("inx", "3"),
            ("out/old", "4"),
            ("other", "5"),
        ] {
            put(&store, "lake", key, content).await;
        }
        let pins = Pins::take(&store, &places()).await.unwrap();
        let keys: Vec<&str> = pins.iter().map(|(_, key, _)| key).collect();
        assert_eq!(keys, ["in/a", "in/b", "out/old"]);
        put(&store, "lake", "in/a", "one").await;
        put(&store, "lake", "in/c", "3").await;
        put(&store, "lake", "other", "six").await;
        let changes = pins.changes(&Pins::take(&store, &places()).await.unwrap());
        let changes: Vec<(String, pins::Change)> = changes.into_iter().map(|one| (one.object, one.what)).collect();
        assert_eq!(
            changes,
            [
                ("s3://lake/in/a".to_owned(), pins::Change::Replaced),
                ("s3://lake/in/c".to_owned(), pins::Change::Added)
            ]
        );

        let shadow = Shadow::new("s1", places(), Arc::new(pins), &directory.path().join("log")).unwrap();
        put(&store, BUCKET, "s1/lake/out/new", "1234").await;
        put(&store, BUCKET, "s10/lake/out/new", "of another").await;
        shadow.bury("lake", "out/old");
        shadow.bury("lake", "out/never");
        let written = shadow.written(&store).await.unwrap();
        assert_eq!(
            written[&Spot::new("lake", "out")],
            Written {
                objects: 1,
                bytes: 4,
                deleted: 1
            }
        );
        assert_eq!(clean(&store, "s1/").await.unwrap(), 1);
        assert_eq!(clean(&store, "s1/").await.unwrap(), 0);
        assert_eq!(all(&store, BUCKET, "").await.unwrap().len(), 1);
        store.close();
    });
}

#[test]
fn shadows_are_known_by_their_keys_while_they_are_let_in() {
    let directory = tempfile::tempdir().unwrap();
    let shadow = Shadow::new("s", places(), Arc::default(), &directory.path().join("log")).unwrap();
    let (shadows, shadow) = (Shadows::default(), Arc::new(shadow));
    let key = shadow.credentials().access_key_id.clone();
    assert!(shadows.by_key(&key).is_none());
    shadows.add(shadow.clone());
    assert_eq!(shadows.by_key(&key).unwrap().name(), "s");
    assert_ne!(credentials::Credentials::generate().unwrap().access_key_id, key);
    shadows.remove(&shadow);
    assert!(shadows.by_key(&key).is_none());

    shadow.log().read("GetObject", "lake", "in/a");
    shadow
        .log()
        .write("PutObject", ("lake", "out/a"), (BUCKET, "s/lake/out/a"), "s/");
    shadow
        .log()
        .write("PutObject", ("lake", "out/a"), ("lake", "out/a"), "s/");
    shadow.log().refuse("PutObject", "lake", "elsewhere");
    shadow.log().changed("GetObject", "lake", "in/b");
    let seen = shadow.log().seen();
    assert_eq!((seen.reads, seen.writes, seen.refused), (1, 2, 1));
    assert_eq!(seen.strays, BTreeSet::from(["s3://lake/out/a".to_owned()]));
    assert_eq!(seen.changed, BTreeSet::from(["s3://lake/in/b".to_owned()]));
    let text = std::fs::read_to_string(directory.path().join("log")).unwrap();
    let lines: Vec<log::Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[1].landed.as_deref(), Some("s3://stoke-shadow/s/lake/out/a"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// However it is cut into pages, a shadow sees what it wrote over what was pinned, without what it deleted.
    #[test]
    fn a_listing_is_the_writes_over_the_pins(
        pinned in prop::collection::btree_set("[ab/]{1,4}", 0..16),
        written in prop::collection::btree_set("[ab/]{1,4}", 0..16),
        buried in prop::collection::btree_set("[ab/]{1,4}", 0..16),
        prefix in "[ab/]{0,2}", delimited in any::<bool>(), limit in 1usize..7,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        expected.extend(pinned.iter().filter(|key| !buried.contains(*key)).map(|key| (key.clone(), 9)));
        expected.extend(written.iter().map(|key| (key.clone(), 1)));
        let pins = Pins::new(pinned.iter().map(|key| {
            ("lake".to_owned(), key.clone(), Pin { size: 9, etag: "e".into(), modified: 0 })
        }));
        let whole = Places { reads: Vec::new(), writes: vec![Spot::new("lake", "")] };
        let shadow = Shadow::new("s", whole, Arc::new(pins), &directory.path().join("log")).unwrap();
        buried.iter().for_each(|key| shadow.bury("lake", key));
        let (mut plain, mut rolled) = (Vec::new(), BTreeSet::new());
        let delimiter = delimited.then(|| "/".to_string());
        for (key, size) in expected.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            match delimiter.as_deref().and_then(|delimiter| list::rolled_up(key, &prefix, delimiter)) {
                Some(prefix) => { rolled.insert(prefix.to_string()); }
                None => plain.push((key.clone(), *size)),
            }
        }
        let (mut found, mut prefixes) = (Vec::new(), Vec::new());
        runtime().block_on(async {
            let store = store(&directory.path().join("store")).await;
            for key in &written {
                put(&store, BUCKET, &format!("s/lake/{key}"), "w").await;
            }
            let shadow = Arc::new(shadow);
            let mut query = Query { prefix: prefix.clone(), delimiter, after: After::Nothing, limit };
            loop {
                let page = shadow.page(&store, "lake", query.clone()).await.unwrap();
                assert!(page.objects.len() + page.prefixes.len() <= limit);
                found.extend(page.objects.into_iter().map(|object| (object.key, object.size)));
                prefixes.extend(page.prefixes);
                match page.next {
                    Some(next) => query.after = next,
                    None => break,
                }
            }
            store.close();
        });
        prop_assert_eq!(found, plain);
        prop_assert_eq!(prefixes, rolled.into_iter().collect::<Vec<_>>());
    }
}
