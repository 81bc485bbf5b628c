use serde_json::json;

use super::*;

fn pods() -> ResourceKey {
    Arc::from("pods")
}

fn write(name: &str, kind: WriteKind, data: &str) -> Write {
    let mut value = json!({"metadata": {"name": name, "uid": name, "labels": {"app": data}}, "data": data});
    Write::new(Key::new(&pods(), "default", name), kind, &mut value)
}

async fn behaves(store: Store) {
    let first = store.write(write("a", WriteKind::Create, "1")).await.unwrap();
    assert_eq!(first.value()["metadata"]["resourceVersion"], first.revision.to_string());
    assert_eq!(
        store.write(write("a", WriteKind::Create, "2")).await.unwrap_err(),
        WriteError::Exists
    );
    let expected = first.revision;
    let second = store
        .write(write("a", WriteKind::Update { expected }, "2"))
        .await
        .unwrap();
    assert!(second.revision > first.revision);
    assert_eq!(
        store
            .write(write("a", WriteKind::Update { expected }, "3"))
            .await
            .unwrap_err(),
        WriteError::Conflict
    );
    assert_eq!(
        store
            .write(write("b", WriteKind::Update { expected }, "3"))
            .await
            .unwrap_err(),
        WriteError::NotFound
    );
    store.write(write("b", WriteKind::Create, "1")).await.unwrap();
    let gone = store
        .write(write(
            "a",
            WriteKind::Delete {
                expected: second.revision,
            },
            "2",
        ))
        .await
        .unwrap();
    assert!(store.get(&gone.key).is_none());
    let (events, complete) = store.events_after(&Interest::one(&pods()), expected, 10).unwrap();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| (event.kind, event.object.key.name.to_string()))
        .collect();
    assert_eq!(
        kinds,
        [
            (EventKind::Modified, "a".into()),
            (EventKind::Added, "b".into()),
            (EventKind::Deleted, "a".into())
        ]
    );
    assert_eq!(complete, store.revision());
}

#[tokio::test]
async fn conditional_writes_in_memory() {
    behaves(Store::in_memory()).await;
}

#[tokio::test]
async fn conditional_writes_on_disk_and_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cluster.db");
    let store = Store::open(&path).unwrap();
    behaves(store.clone()).await;
    let revision = store.revision();
    store.close().await;
    let again = Store::open(&path).unwrap();
    assert_eq!(again.revision(), revision);
    let page = again.list(&pods(), Some("default"), None, 10, |_| true);
    assert_eq!(
        page.items.iter().map(|object| &*object.key.name).collect::<Vec<_>>(),
        ["b"]
    );
    assert!(
        again.events_after(&Interest::All, revision - 1, 10).is_err(),
        "events before the restart are gone and said to be"
    );
    assert!(again.events_after(&Interest::All, revision, 10).unwrap().0.is_empty());
}

#[tokio::test]
async fn many_writers_share_commits_and_none_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cluster.db");
    let store = Store::open(&path).unwrap();
    let writers = (0..300).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.write(write(&format!("p{number}"), WriteKind::Create, "x")).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    drop(store);
    assert_eq!(
        Store::open(&path)
            .unwrap()
            .list(&pods(), None, None, 1000, |_| true)
            .items
            .len(),
        300
    );
}

#[tokio::test]
async fn a_page_continues_after_its_last_key() {
    let store = Store::in_memory();
    for name in ["a", "b", "c"] {
        store.write(write(name, WriteKind::Create, "x")).await.unwrap();
    }
    let first = store.list(&pods(), None, None, 2, |_| true);
    assert_eq!((first.items.len(), first.more, first.total), (2, true, 3));
    let last = &first.items[1].key;
    let rest = store.list(
        &pods(),
        None,
        Some((last.namespace.clone(), last.name.clone())),
        2,
        |_| true,
    );
    assert_eq!((rest.items.len(), &*rest.items[0].key.name), (1, "c"));
    assert!(!rest.more, "nothing follows");
    assert!(
        !store.list(&pods(), None, None, 3, |_| true).more,
        "an exact fit is the last page"
    );
}

#[tokio::test]
async fn a_damaged_or_newer_file_is_refused_with_a_message() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cluster.db");
    std::fs::write(&path, vec![b'x'; 5000]).unwrap();
    let Err(refused) = Store::open(&path) else {
        panic!("a damaged file was opened")
    };
    assert!(
        refused
            .to_string()
            .contains("move the cluster's directory away to start again"),
        "{refused}"
    );
    assert_eq!(
        std::fs::read(&path).unwrap(),
        vec![b'x'; 5000],
        "nothing is written over it"
    );
    std::fs::write(&path, []).unwrap();
    let refused = Store::open(&path)
        .err()
        .map(|refused| refused.to_string())
        .unwrap_or_default();
    assert!(refused.contains("the file is empty"), "{refused}");
    assert!(
        std::fs::read(&path).unwrap().is_empty(),
        "an empty file is left as it is"
    );
    std::fs::remove_file(&path).unwrap();
    let log = directory.path().join("cluster.db-wal");
    std::fs::write(&log, "x").unwrap();
    let refused = Store::open(&path)
        .err()
        .map(|refused| refused.to_string())
        .unwrap_or_default();
    assert!(refused.contains("cluster.db-wal") && !path.exists(), "{refused}");
    std::fs::remove_file(&log).unwrap();
    // What a start left that ended at once.
    std::fs::write(directory.path().join("cluster.db.new"), "half").unwrap();
    Store::open(&path).unwrap().close().await;
    assert!(!directory.path().join("cluster.db.new").exists());
    std::fs::remove_file(&path).unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    assert!(matches!(Store::open(&path), Err(DiskError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn an_old_list_is_read_while_the_window_reaches_back() {
    let store = Store::in_memory();
    for name in ["a", "b", "c"] {
        store.write(write(name, WriteKind::Create, "1")).await.unwrap();
    }
    let then = store.revision();
    let b = store.get(&Key::new(&pods(), "default", "b")).unwrap();
    store
        .write(write("b", WriteKind::Update { expected: b.revision }, "2"))
        .await
        .unwrap();
    let a = store.get(&Key::new(&pods(), "default", "a")).unwrap();
    store
        .write(write("a", WriteKind::Delete { expected: a.revision }, "1"))
        .await
        .unwrap();
    store.write(write("d", WriteKind::Create, "1")).await.unwrap();
    let old = store
        .list_at(then, &pods(), Some("default"), None, 2, |_| true)
        .unwrap();
    let shown: Vec<_> = old
        .items
        .iter()
        .map(|object| (object.key.name.to_string(), object.value()["data"].clone()))
        .collect();
    assert_eq!(shown, [("a".into(), json!("1")), ("b".into(), json!("1"))]);
    assert_eq!((old.more, old.total, old.revision), (true, 3, then));
    let rest = store
        .list_at(then, &pods(), None, Some(("default".into(), "b".into())), 2, |_| true)
        .unwrap();
    assert_eq!(
        rest.items.iter().map(|object| &*object.key.name).collect::<Vec<_>>(),
        ["c"]
    );
    assert!(
        store.list_at(0, &pods(), None, None, 2, |_| true).is_ok(),
        "everything since the start is in the window"
    );
    for number in 0..20_000_u32 {
        store
            .write(write(&format!("x{number}"), WriteKind::Create, "1"))
            .await
            .unwrap();
    }
    assert!(
        store.list_at(then, &pods(), None, None, 2, |_| true).is_err(),
        "the window is bounded"
    );
}
