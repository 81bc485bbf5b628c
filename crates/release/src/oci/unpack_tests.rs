#![allow(clippy::unwrap_used)]
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::oci::media;

/// An entry of a tar: what it is, its path, what it holds or leads to. Paths are written as they are, also those that `tar` would refuse to write.
type Entry<'a> = (EntryType, &'a str, &'a str);

fn tar_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, path, content) in entries {
        let mut header = tar::Header::new_ustar();
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(if *kind == EntryType::Directory { 0o555 } else { 0o640 });
        header.set_mtime(7);
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        let bytes = if is_link { "" } else { content };
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, bytes.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn unpack(layers: &[&[Entry<'_>]], limits: Limits) -> (tempfile::TempDir, OciResult<()>) {
    let outer = tempfile::tempdir().unwrap();
    let directory = outer.path().join("root");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(outer.path().join("outside"), "untouched").unwrap();
    let mut unpacking = Unpacking::into(&directory, limits).unwrap();
    let mut result = Ok(());
    for layer in layers {
        let tar = tar_of(layer);
        let diff_id = Digest::of(&tar);
        result = result.and_then(|()| {
            unpacking
                .layer(media::LAYER_TAR, &tar[..], Some(&diff_id), "layer")
                .map(drop)
        });
    }
    let result = result.and_then(|()| unpacking.finish());
    assert_eq!(
        std::fs::read_to_string(outer.path().join("outside")).unwrap(),
        "untouched"
    );
    (outer, result)
}

/// Files below the root: path and content, or `-> target`.
fn seen(outer: &tempfile::TempDir) -> Vec<String> {
    fn walk(path: &Path, root: &Path, into: &mut Vec<String>) {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_symlink() {
                into.push(format!("{name} -> {}", path.read_link().unwrap().display()));
            } else if path.is_dir() {
                into.push(format!("{name}/"));
                walk(&path, root, into);
            } else {
                into.push(format!("{name} {}", std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = outer.path().join("root");
    let mut all = Vec::new();
    walk(&root, &root, &mut all);
    all.sort();
    all
}

const D: EntryType = EntryType::Directory;
const F: EntryType = EntryType::Regular;
const S: EntryType = EntryType::Symlink;
const L: EntryType = EntryType::Link;

#[test]
fn layers_lie_over_each_other() {
    let cases: [(&[&[Entry<'_>]], &[&str]); 10] = [
        // Files, directories and links; a later one replaces.
        (
            &[
                &[(D, "a/", ""), (F, "./a/b", "1"), (S, "c", "/a/b"), (L, "d", "a/b")],
                &[(F, "a/b", "2")],
            ],
            &["a/", "a/b 2", "c -> /a/b", "d 1"],
        ),
        // A whiteout removes a file, and a directory with all in it.
        (
            &[
                &[(F, "a/b/c", "1"), (F, "a/d", "1")],
                &[(F, "a/.wh.b", ""), (F, "a/.wh.none", "")],
            ],
            &["a/", "a/d 1"],
        ),
        // An opaque one removes what is below, but not what its own layer brings, wherever it stands.
        (
            &[
                &[(F, "a/b/c", "1"), (F, "a/d", "1")],
                &[(F, "a/b/e", "2"), (F, "a/.wh..wh..opq", ""), (F, "a/f", "2")],
            ],
            &["a/", "a/b/", "a/b/e 2", "a/f 2"],
        ),
        // A whiteout and a file of the same name.
        (
            &[&[(F, "a/b", "1")], &[(F, ".wh.a", ""), (F, "a/c", "2")]],
            &["a/", "a/c 2"],
        ),
        // A directory becomes a file, a file a directory, a link a file.
        (
            &[
                &[(F, "a/b", "1"), (F, "c", "1"), (S, "l", "../outside")],
                &[(F, "a", "2"), (D, "c", ""), (F, "l", "2")],
            ],
            &["a 2", "c/", "l 2"],
        ),
        // Links to directories are followed inside of the image: `/usr/lib` of it, not of the machine.
        (
            &[&[(D, "usr/lib", ""), (S, "lib", "usr/lib")], &[(F, "lib/x", "1")]],
            &["lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x 1"],
        ),
        (
            &[&[(S, "lib", "/abs/lib"), (F, "lib/x", "1")]],
            &["abs/", "abs/lib/", "abs/lib/x 1", "lib -> /abs/lib"],
        ),
        // `..` in a link ends at the root of the image.
        (
            &[&[(S, "up", "../../.."), (F, "up/outside", "inside")]],
            &["outside inside", "up -> ../../.."],
        ),
        // A file replaces a link and is not written through it.
        (&[&[(S, "x", "../outside"), (F, "x", "1")]], &["x 1"]),
        // Devices of `dev` are a container's own; an absolute path is one of the image.
        (
            &[&[(EntryType::Char, "dev/null", ""), (F, "/etc/x", "1")]],
            &["dev/", "etc/", "etc/x 1"],
        ),
    ];
    for (layers, wanted) in cases {
        let (outer, result) = unpack(layers, Limits::default());
        result.unwrap();
        assert_eq!(seen(&outer), wanted, "{layers:?}");
    }
}

#[test]
fn what_leads_outside_is_refused() {
    let cases: [&[&[Entry<'_>]]; 9] = [
        &[&[(F, "../outside", "1")]],
        &[&[(F, "a/../../outside", "1")]],
        &[&[(L, "x", "../outside")]],
        &[&[(S, "s", "../outside"), (L, "x", "s/none")]],
        &[&[(F, "a/.wh...", "")]],
        &[&[(F, ".wh...", "")]],
        &[&[(EntryType::Block, "sda", "")]],
        &[&[(S, "a", "b"), (S, "b", "a"), (F, "a/x", "1")]],
        &[&[(F, "a", "1"), (F, "a/b", "1")]],
    ];
    for layers in cases {
        let (_, result) = unpack(layers, Limits::default());
        assert_eq!(result.unwrap_err().kind(), Kind::Layer, "{layers:?}");
    }
}

#[test]
fn bombs_end_at_the_limits() {
    let limits = Limits {
        bytes: 100_000,
        files: 10,
    };
    let many: Vec<String> = (0..11).map(|at| format!("f{at}")).collect();
    let many: Vec<Entry<'_>> = many.iter().map(|name| (F, name.as_str(), "")).collect();
    assert_eq!(unpack(&[&many[..10]], limits).1, Ok(()));
    assert_eq!(unpack(&[&many], limits).1.unwrap_err().kind(), Kind::Layer);
    let large = "x".repeat(60_000);
    let two = [(F, "a", large.as_str()), (F, "b", large.as_str())];
    assert_eq!(unpack(&[&two[..1]], limits).1, Ok(()));
    assert_eq!(
        unpack(&[&two[..1], &two[1..]], limits).1.unwrap_err().kind(),
        Kind::Layer
    );
    // A gigabyte of zeros after the end of the tar, in a megabyte of gzip.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut gzip, &tar_of(&two[..1])).unwrap();
    io::copy(&mut io::repeat(0).take(1 << 30), &mut gzip).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut unpacking = Unpacking::into(directory.path(), limits).unwrap();
    let error = unpacking
        .layer(media::LAYER_GZIP, &gzip.finish().unwrap()[..], None, "bomb")
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Layer, "{error}");
}

#[test]
fn damage_is_found() {
    let tar = tar_of(&[(F, "a", "1"), (F, "b", &"x".repeat(5000))]);
    let layer = |bytes: &[u8], media_type: &str, diff_id: Option<&Digest>| {
        let directory = tempfile::tempdir().unwrap();
        let mut unpacking = Unpacking::into(directory.path(), Limits::default()).unwrap();
        unpacking
            .layer(media_type, bytes, diff_id, "layer")
            .map_err(|error| error.kind())
    };
    assert!(layer(&tar, media::LAYER_TAR, Some(&Digest::of(&tar))).is_ok());
    assert_eq!(layer(&tar, media::LAYER_TAR, Some(&Digest::of(b""))), Err(Kind::Digest));
    assert!(layer(&tar[..3000], media::LAYER_TAR, None).is_err());
    assert!(layer(&tar, media::LAYER_GZIP, None).is_err());
    assert!(layer(&tar, media::LAYER_ZSTD, None).is_err());
    assert_eq!(layer(&tar, "text/html", None), Err(Kind::Unsupported));
    let zstd = zstd::stream::encode_all(&tar[..], 3).unwrap();
    assert_eq!(
        layer(&zstd, media::LAYER_ZSTD, Some(&Digest::of(&tar))).unwrap().bytes,
        5001
    );
}

#[test]
fn modes_and_times_are_those_of_the_layer() {
    let (outer, result) = unpack(
        &[&[(D, "a", ""), (F, "a/b", "1")], &[(F, "a/c", "2")]],
        Limits::default(),
    );
    result.unwrap();
    let meta = |name: &str| outer.path().join("root").join(name).metadata().unwrap();
    assert_eq!(meta("a").mode() & 0o7777, 0o555);
    assert_eq!((meta("a/b").mode() & 0o7777, meta("a/b").mtime()), (0o640, 7));
    // So that the directory can be removed.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(outer.path().join("root/a"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_owner_gets_the_rights_that_the_viewer_has() {
    let viewer = Viewer {
        user: 185,
        groups: vec![185, 5],
    };
    for (mode, user, group, seen) in [
        (0o644, 0, 0, 0o444),
        (0o755, 0, 0, 0o555),
        (0o640, 0, 0, 0o040),
        (0o640, 0, 5, 0o440),
        (0o664, 0, 185, 0o664),
        (0o640, 185, 185, 0o640),
        (0o400, 185, 0, 0o400),
        (0o1777, 0, 0, 0o1777),
        (0o4755, 0, 0, 0o4555),
    ] {
        assert_eq!(viewer.mode(mode, user, group), seen, "{mode:o} {user}:{group}");
    }
    let root = Viewer {
        user: 0,
        groups: Vec::new(),
    };
    assert_eq!(root.mode(0o640, 7, 7), 0o640);

    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, mode, user) in [
        ("etc/", EntryType::Directory, 0o755, 0),
        ("etc/secret", EntryType::Regular, 0o600, 0),
        ("etc/passwd", EntryType::Regular, 0o644, 0),
        ("own", EntryType::Regular, 0o600, 185),
        ("implied/own", EntryType::Regular, 0o600, 185),
        ("tmp/", EntryType::Directory, 0o1777, 0),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_path(path).unwrap();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(user);
        header.set_gid(user);
        header.set_size(0);
        header.set_cksum();
        builder.append(&header, &b""[..]).unwrap();
    }
    let tar = builder.into_inner().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut unpacking = Unpacking::into(directory.path(), Limits::default()).unwrap();
    unpacking.layer(media::LAYER_TAR, &tar[..], None, "layer").unwrap();
    unpacking.finish_for(&viewer).unwrap();
    for (path, mode) in [
        ("", 0o555),
        ("etc", 0o555),
        ("implied", 0o555),
        ("etc/secret", 0o000),
        ("etc/passwd", 0o444),
        ("own", 0o600),
        ("tmp", 0o1777),
    ] {
        let found = directory.path().join(path).metadata().unwrap().mode() & 0o7777;
        assert_eq!(found, mode, "{path}: {found:o}");
    }
}
