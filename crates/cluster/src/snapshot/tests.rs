//! A cluster's directory, saved, damaged, put back.

use super::*;
use serde_json::json;

use crate::store::{Key, Store, Write, WriteKind};

fn cluster(directory: &Path) -> PathBuf {
    let home = directory.join("default");
    fs::create_dir_all(home.join("volumes/v")).unwrap();
    fs::create_dir_all(home.join("pods/p")).unwrap();
    fs::write(home.join("volumes/v/data"), b"bytes").unwrap();
    fs::write(home.join("pods/p/scratch"), b"of a process").unwrap();
    fs::write(home.join("pid"), b"1").unwrap();
    std::os::unix::fs::symlink("data", home.join("volumes/v/link")).unwrap();
    drop(Store::open(&home.join(DATABASE)).unwrap());
    home
}

#[test]
fn a_cluster_comes_back_as_it_was_without_what_belongs_to_processes() {
    let directory = tempfile::tempdir().unwrap();
    let home = cluster(directory.path());
    let file = directory.path().join("s.tar.gz");
    let saved = save(&home, &[], &file, &mut |_| {}).unwrap();
    assert_eq!(describe(&file).unwrap(), saved);
    fs::write(home.join("volumes/v/data"), b"changed").unwrap();
    let refused = restore(&file, &home, &[], false, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, SnapshotError::Occupied(_)), "{refused}");
    let mut last = Progress::default();
    restore(&file, &home, &[], true, &mut |progress| last = progress).unwrap();
    assert_eq!(fs::read(home.join("volumes/v/data")).unwrap(), b"bytes");
    assert_eq!(fs::read_link(home.join("volumes/v/link")).unwrap(), Path::new("data"));
    assert!(!home.join("pods").exists() && !home.join("pid").exists());
    assert_eq!(last.files, 3);
    let names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(names.len(), 2, "nothing is left beside them: {names:?}");
}

#[test]
fn what_lies_beside_comes_back_too_unless_it_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let home = cluster(directory.path());
    let beside = [Beside {
        name: "objects",
        directory: directory.path().join("object-store"),
    }];
    let store = &beside[0].directory;
    fs::create_dir_all(store.join("blobs/0")).unwrap();
    fs::write(store.join("lock"), b"").unwrap();
    fs::write(store.join("blobs/0/1"), b"blob").unwrap();
    let index = Connection::open(store.join("index.db")).unwrap();
    index
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        .unwrap();
    let file = directory.path().join("s.tar.gz");
    save(&home, &beside, &file, &mut |_| {}).unwrap();
    index.execute_batch("INSERT INTO t VALUES (2)").unwrap();
    drop(index);
    fs::remove_file(store.join("blobs/0/1")).unwrap();
    let held = File::open(store.join("lock")).unwrap();
    held.lock_shared().unwrap();
    let refused = restore(&file, &home, &beside, true, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, SnapshotError::InUse(_)), "{refused}");
    drop(held);
    restore(&file, &home, &beside, true, &mut |_| {}).unwrap();
    assert_eq!(fs::read(store.join("blobs/0/1")).unwrap(), b"blob");
    let count: i64 = Connection::open(store.join("index.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 1);
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["default", "object-store", "s.tar.gz"]);
    assert!(!home.join(BESIDE).exists());
}

#[test]
fn a_damaged_file_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let home = cluster(directory.path());
    let file = directory.path().join("s.tar.gz");
    save(&home, &[], &file, &mut |_| {}).unwrap();
    let whole = fs::read(&file).unwrap();
    let bad = directory.path().join("bad");
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    for bytes in [
        &whole[..whole.len() - 5],
        &whole[..whole.len() / 2],
        &[],
        b"text",
        &flipped,
    ] {
        fs::write(&bad, bytes).unwrap();
        let error = restore(&bad, &home, &[], true, &mut |_| {}).unwrap_err();
        assert!(
            matches!(error, SnapshotError::Damaged { .. } | SnapshotError::Database(_)),
            "{error}"
        );
        assert_eq!(fs::read(home.join("volumes/v/data")).unwrap(), b"bytes");
        assert!(!directory.path().join(".default.restoring").exists());
    }
}

#[test]
fn a_restore_that_was_cut_between_its_renames_is_taken_back_first() {
    let directory = tempfile::tempdir().unwrap();
    let home = cluster(directory.path());
    let file = directory.path().join("s.tar.gz");
    save(&home, &[], &file, &mut |_| {}).unwrap();
    fs::rename(&home, directory.path().join(".default.replaced")).unwrap();
    let bad = directory.path().join("bad");
    fs::write(&bad, b"text").unwrap();
    restore(&bad, &home, &[], true, &mut |_| {}).unwrap_err();
    assert_eq!(fs::read(home.join("volumes/v/data")).unwrap(), b"bytes");
}

#[test]
fn what_cannot_be_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("s.tar.gz");
    let none = save(&directory.path().join("none"), &[], &file, &mut |_| {}).unwrap_err();
    assert!(matches!(none, SnapshotError::NoCluster(_)), "{none}");
    let home = cluster(directory.path());
    let lock = api::lock(&home).unwrap();
    save(&home, &[], &file, &mut |_| {}).unwrap();
    let running = restore(&file, &home, &[], true, &mut |_| {}).unwrap_err();
    assert!(matches!(running, SnapshotError::Running(_)), "{running}");
    drop(lock);
    let twice = save(&home, &[], &file, &mut |_| {}).unwrap_err();
    assert!(matches!(twice, SnapshotError::Exists(_)), "{twice}");

    let newer = directory.path().join("newer");
    let out = GzEncoder::new(File::create(&newer).unwrap(), Compression::fast());
    let mut tar = tar::Builder::new(out);
    let text = br#"{"format": 2, "stoke": "9.0", "savedAt": ""}"#;
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    tar.append_data(&mut header, DESCRIPTION, &text[..]).unwrap();
    tar.into_inner().unwrap().finish().unwrap();
    let refused = restore(&newer, &home, &[], true, &mut |_| {}).unwrap_err();
    assert!(refused.to_string().contains("stoke 9.0"), "{refused}");
}

#[tokio::test]
async fn a_cluster_that_is_being_written_is_saved_at_one_moment() {
    let directory = tempfile::tempdir().unwrap();
    let home = cluster(directory.path());
    let store = Store::open(&home.join(DATABASE)).unwrap();
    let write = |number: usize| {
        let name = format!("m{number:03}");
        let key = Key::new(&"configmaps".into(), "default", &name);
        Write::new(key, WriteKind::Create, &mut json!({"metadata": {"name": name}}))
    };
    let saving = tokio::task::spawn_blocking({
        let (home, file) = (home.clone(), directory.path().join("s.tar.gz"));
        move || save(&home, &[], &file, &mut |_| {}).map(|_| file)
    });
    for number in 0..200 {
        store.write(write(number)).await.unwrap();
    }
    let file = saving.await.unwrap().unwrap();
    let other = directory.path().join("other");
    restore(&file, &other, &[], false, &mut |_| {}).unwrap();
    let copy = Store::open(&other.join(DATABASE)).unwrap();
    let page = copy.list(&"configmaps".into(), None, None, usize::MAX, |_| true);
    let expected: Vec<String> = (0..page.items.len()).map(|number| format!("m{number:03}")).collect();
    let found: Vec<String> = page.items.iter().map(|object| object.key.name.to_string()).collect();
    assert_eq!(found, expected, "the first writes and no others");
}
