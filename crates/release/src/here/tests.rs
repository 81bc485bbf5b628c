#![allow(clippy::unwrap_used)]
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::oci::copy::Quiet;
use crate::oci::{Descriptor, Index, RootFs, media, text};

/// A layer of these files, all of user and group 0.
fn layer(files: &[(&str, &str, u32)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content, mode) in files {
        let mut header = tar::Header::new_ustar();
        header.set_path(path).unwrap();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(*mode);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Puts an image of one layer into a layout.
fn image(layout: &Layout, tar: &[u8], platform: Platform, user: &str, tag: &str) -> Descriptor {
    let put = |kind: &str, bytes: &[u8]| {
        let descriptor = Descriptor::of(kind, bytes);
        layout.put_blob(&descriptor, bytes).unwrap();
        descriptor
    };
    let config = Config {
        platform,
        config: Execution {
            user: user.to_owned(),
            env: vec!["A=1".to_owned()],
            ..Execution::default()
        },
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: vec![Digest::of(tar)],
        },
        history: Vec::new(),
    };
    let layer = put(media::LAYER_TAR, tar);
    let config = put(media::CONFIG, &text(&config).unwrap());
    let bytes = text(&Manifest::image(config, vec![layer])).unwrap();
    let descriptor = Descriptor::of(media::MANIFEST, &bytes);
    layout.put_manifest(descriptor.clone(), &bytes, Some(tag)).unwrap();
    descriptor
}

struct Bench {
    directory: tempfile::TempDir,
    machine: Machine,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let machine = Machine::open(&directory.path().join("images"), 1 << 30, Settings::default()).unwrap();
        Self { directory, machine }
    }

    fn store(&self) -> Layout {
        Layout::create(&self.machine.store).unwrap()
    }

    fn present(&self, name: &str) -> OciResult<Option<Ready>> {
        futures::executor::block_on(self.machine.present(name, &Quiet))
    }

    fn root(&self, ready: &Ready, user: u32, group: u32) -> Root {
        futures::executor::block_on(self.machine.root(ready, user, group, &[], &[], &Quiet)).unwrap()
    }
}

const PASSWD: &str = "root:x:0:0::/root:\nspark:x:185:185::/home/spark:\n";

#[test]
fn names_lead_to_images() {
    let bench = Bench::new();
    let tar = layer(&[("etc/passwd", PASSWD, 0o644), ("app", "code", 0o600)]);
    let made = image(&bench.store(), &tar, Platform::here(), "spark", "team/etl:v1");
    let other = bench.directory.path().join("other");
    image(
        &Layout::create(&other).unwrap(),
        &tar,
        Platform::here(),
        "0",
        "x:latest",
    );
    let place = format!("oci:{}", other.display());
    for (name, id) in [
        ("local:team/etl:v1", "team/etl@"),
        ("team/etl:v1", "team/etl@"),
        (&format!("local:team/etl@{}", made.digest), "image@"),
        (&format!("elsewhere.example/etl@{}", made.digest), "image@"),
        (&place, "image@"),
        (&format!("{place}:x:latest"), "x@"),
    ] {
        let ready = bench.present(name).unwrap().unwrap();
        assert!(ready.id.starts_with(&format!("{id}sha256:")), "{name}: {}", ready.id);
    }
    for name in ["team/etl:v2", "127.0.0.1:1/team/etl:v1"] {
        assert_eq!(bench.present(name).unwrap(), None, "{name}");
    }
    for (name, kind) in [
        ("UPPER", Kind::Reference),
        ("oci:relative", Kind::Reference),
        ("local:", Kind::Reference),
        ("local:none", Kind::NotFound),
        ("archive:/nowhere.tar", Kind::NotFound),
    ] {
        assert_eq!(bench.present(name).unwrap_err().kind(), kind, "{name}");
    }
    let known = bench.machine.list().unwrap();
    assert_eq!((known.len(), known[0].name.as_str()), (1, "local:team/etl:v1"));
}

#[test]
fn a_tree_has_the_rights_of_who_sees_it() {
    let bench = Bench::new();
    let tar = layer(&[("etc/passwd", PASSWD, 0o644), ("secret", "key", 0o600)]);
    image(&bench.store(), &tar, Platform::here(), "spark", "etl");
    let ready = bench.present("etl").unwrap().unwrap();
    assert_eq!(
        (ready.user.user, ready.user.group, ready.user.name.as_deref()),
        (185, 185, Some("spark"))
    );
    let mode = |root: &Root, path: &str| root.tree.join(path).metadata().unwrap().permissions().mode() & 0o777;
    let own = bench.root(&ready, 185, 185);
    assert_eq!((mode(&own, "secret"), mode(&own, "etc/passwd")), (0, 0o444));
    let root = bench.root(&ready, 0, 7);
    assert_eq!((mode(&root, "secret"), mode(&root, "etc/passwd")), (0o600, 0o644));
    // Once for each; in use, neither goes.
    let again = bench.root(&ready, 185, 185);
    assert_eq!(again.tree, own.tree);
    let trees = bench.machine.trees().unwrap();
    assert_eq!(trees.len(), 2);
    assert!(trees.iter().all(|tree| tree.is_in_use));
    let now = SystemTime::now();
    assert_eq!(bench.machine.prune(0, now).unwrap().trees.blobs, 0);
    drop((own, again));
    let pruned = bench.machine.prune(0, now).unwrap();
    assert_eq!((pruned.trees.blobs, bench.machine.trees().unwrap().len()), (1, 1));
    assert!(root.tree.join("secret").exists());
    drop(root);
    bench.machine.prune(0, now).unwrap();
    let left: Vec<_> = std::fs::read_dir(bench.directory.path().join("images/trees"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // The store is as it was, so the tree is made again.
    assert!(bench.present("etl").unwrap().is_some());
    assert_eq!(bench.machine.trees().unwrap().len(), 1);
}

#[test]
fn what_does_not_run_here_is_refused() {
    let bench = Bench::new();
    let tar = layer(&[("etc/passwd", PASSWD, 0o644)]);
    let store = bench.store();
    let foreign = image(&store, &tar, Platform::linux("s390x"), "", "other");
    image(&store, &tar, Platform::here(), "jo", "stranger");
    let mut entry = foreign.clone();
    entry.platform = Some(Platform::linux("s390x"));
    let index = text(&Index::new(vec![entry])).unwrap();
    store
        .put_manifest(Descriptor::of(media::INDEX, &index), &index, Some("index"))
        .unwrap();
    for (name, words) in [
        (
            "other",
            "no match for platform in manifest: the image is for linux/s390x",
        ),
        ("index", "has no image for linux/"),
        ("stranger", "unable to find user jo: no matching entries in passwd file"),
    ] {
        let error = bench.present(name).unwrap_err();
        assert!(error.message().contains(words), "{name}: {error}");
    }
    // A blob that was changed on the disk.
    let made = image(&store, &layer(&[("a", "1", 0o644)]), Platform::here(), "", "changed");
    let manifest: Manifest = serde_json::from_slice(&std::fs::read(store.blob_path(&made.digest)).unwrap()).unwrap();
    let blob = store.blob_path(&manifest.layers[0].digest);
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[600] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    assert_eq!(bench.present("changed").unwrap_err().kind(), Kind::Digest);
    assert!(bench.machine.trees().unwrap().is_empty(), "half an image was kept");
}

#[test]
fn what_no_name_leads_to_is_swept() {
    let bench = Bench::new();
    let store = bench.store();
    let [old, new] = ["1", "2"].map(|text| layer(&[("a", text, 0o644)]));
    let first = image(&store, &old, Platform::here(), "", "etl");
    let second = image(&store, &new, Platform::here(), "", "etl");
    let later = SystemTime::now() + std::time::Duration::from_secs(7200);
    assert_eq!(
        bench.machine.prune(1 << 30, SystemTime::now()).unwrap().store.blobs,
        0,
        "it may be being written"
    );
    assert_eq!(bench.machine.prune(1 << 30, later).unwrap().store.blobs, 3);
    assert!(!store.has(&first) && store.has(&second));
    bench.machine.forget("local:etl").unwrap();
    for name in ["etl", "local:etl", "local:tool:v1"] {
        assert_eq!(bench.machine.forget(name).unwrap_err().kind(), Kind::NotFound, "{name}");
    }
    assert_eq!(bench.machine.prune(1 << 30, later).unwrap().store.blobs, 3);
}
