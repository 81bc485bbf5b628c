use std::io::Cursor;

use super::*;

enum Entry<'a> {
    File(&'a str, &'a str),
    Directory(&'a str),
    Link(&'a str, &'a str),
    Symbolic(&'a str, &'a str),
}
use Entry::{Directory, File as Regular, Link, Symbolic};

fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        match entry {
            Regular(path, text) => {
                header.set_size(text.len() as u64);
                header.set_cksum();
                builder.append_data(&mut header, path, text.as_bytes()).unwrap();
            }
            Directory(path) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                builder.append_data(&mut header, path, &b""[..]).unwrap();
            }
            Link(path, target) => {
                header.set_entry_type(tar::EntryType::Link);
                header.set_size(0);
                builder.append_link(&mut header, path, target).unwrap();
            }
            Symbolic(path, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

fn inventory(all: &[Vec<u8>]) -> Result<Inventory, SbomError> {
    layers(all.len(), &mut |index| Ok(Box::new(Cursor::new(all[index].clone()))))
}

fn names(all: &[&[Entry<'_>]]) -> Vec<String> {
    let all: Vec<Vec<u8>> = all.iter().map(|entries| archive(entries)).collect();
    let found = inventory(&all).unwrap();
    assert_eq!(found.unread, []);
    found
        .packages
        .iter()
        .map(|package| format!("{}@{}", package.name, package.version))
        .collect()
}

const SIX: &str = "Metadata-Version: 2.1\nName: six\nVersion: 1.17.0\n\n";
const OLD: &str = "Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\n\n";
const AT: &str = "usr/lib/site-packages/six.dist-info/METADATA";

#[test]
fn higher_layers_hide_what_lower_ones_have() {
    let rows: Vec<(&[&[Entry<'_>]], &[&str])> = vec![
        (&[&[Regular(AT, SIX)]], &["six@1.17.0"]),
        // One above the other, and another beside it.
        (&[&[Regular(AT, OLD)], &[Regular(AT, SIX)]], &["six@1.17.0"]),
        (
            &[&[Regular(AT, OLD)], &[Regular("opt/six.dist-info/METADATA", SIX)]],
            &["six@1.16.0", "six@1.17.0"],
        ),
        // Removed: the file, its directory, one higher.
        (
            &[
                &[Regular(AT, OLD)],
                &[Regular("usr/lib/site-packages/six.dist-info/.wh.METADATA", "")],
            ],
            &[],
        ),
        (
            &[
                &[Regular(AT, OLD)],
                &[Regular("./usr/lib/site-packages/.wh.six.dist-info", "")],
            ],
            &[],
        ),
        (&[&[Regular(AT, OLD)], &[Regular(".wh.usr", "")]], &[]),
        // Removed and put there again, by the same layer and by one above.
        (
            &[&[Regular(AT, OLD)], &[Regular("usr/.wh.lib", ""), Regular(AT, SIX)]],
            &["six@1.17.0"],
        ),
        (
            &[&[Regular(AT, OLD)], &[Regular("usr/.wh.lib", "")], &[Regular(AT, OLD)]],
            &["six@1.16.0"],
        ),
        // A directory whose content below is hidden, and what is beside it.
        (
            &[
                &[Regular(AT, OLD), Regular("opt/a.dist-info/METADATA", SIX)],
                &[Directory("usr/lib"), Regular("usr/lib/.wh..wh..opq", "")],
            ],
            &["six@1.17.0"],
        ),
        (
            &[
                &[Regular(AT, OLD)],
                &[Regular(AT, SIX), Regular("usr/lib/.wh..wh..opq", "")],
            ],
            &["six@1.17.0"],
        ),
        // Something else where a directory was, and a directory where the file was.
        (&[&[Regular(AT, OLD)], &[Symbolic("usr/lib", "/opt")]], &[]),
        (&[&[Regular(AT, OLD)], &[Directory(AT)]], &[]),
        // A name that only begins alike.
        (
            &[
                &[Regular(AT, OLD)],
                &[Regular("usr/lib/site-packages/six.dist-inf", "x")],
            ],
            &["six@1.16.0"],
        ),
        // The same layer twice: the later counts.
        (&[&[Regular(AT, OLD), Regular(AT, SIX)]], &["six@1.17.0"]),
    ];
    for (number, (layers, expected)) in rows.iter().enumerate() {
        assert_eq!(names(layers), *expected, "row {number}");
    }
}

#[test]
fn hard_links_have_the_content_they_name() {
    let cached = "root/.cache/six.dist-info/METADATA";
    let found = inventory(&[archive(&[Regular(cached, SIX), Link(AT, cached)])]).unwrap();
    let places: Vec<&String> = found.packages[0].places.iter().collect();
    assert_eq!(places, [cached, AT]);
    // Whose content is elsewhere is said, not left out.
    let found = inventory(&[archive(&[Regular("x", SIX), Link(AT, "x")])]).unwrap();
    assert_eq!(found.unread.len(), 1);
}

#[test]
fn what_is_not_a_whole_layer_is_refused() {
    let plain = archive(&[Regular(AT, SIX)]);
    assert_eq!(inventory(&[plain.clone(), Vec::new()]).unwrap().packages.len(), 1);
    for (number, broken) in [(1, plain[..600].to_vec()), (1, vec![b'x'; 2000])] {
        let read = inventory(&[broken, plain.clone()]);
        assert!(
            matches!(read, Err(SbomError::Layer { number: found, .. }) if found == number),
            "{read:?}"
        );
    }
    // A reader that finds at its end that it gave something else.
    struct Liar(Cursor<Vec<u8>>);
    impl Read for Liar {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(std::io::Error::other("another digest")),
                count => Ok(count),
            }
        }
    }
    let read = layers(1, &mut |_| Ok(Box::new(Liar(Cursor::new(plain.clone())))));
    assert!(read.unwrap_err().to_string().contains("another digest"));
}

#[test]
fn paths_are_known_for_what_they_are() {
    for (path, is) in [
        ("var/lib/dpkg/status", Some(Interest::Status)),
        ("var/lib/dpkg/status.d/base", Some(Interest::StatusPart)),
        ("var/lib/dpkg/status.d/base.md5sums", None),
        ("x/var/lib/dpkg/status", None),
        ("lib/apk/db/installed", Some(Interest::Apk)),
        ("usr/lib/sysimage/rpm/rpmdb.sqlite", Some(Interest::RpmSqlite)),
        ("usr/lib/sysimage/rpm/Packages.db", Some(Interest::RpmNdb)),
        ("var/lib/rpm/Packages", Some(Interest::RpmBerkeley)),
        ("opt/venv/lib/a.dist-info/METADATA", Some(Interest::Python)),
        ("opt/a.egg-info", Some(Interest::Python)),
        ("opt/a.egg-info/PKG-INFO", Some(Interest::Python)),
        ("opt/METADATA", None),
        ("opt/spark/jars/a.jar", Some(Interest::Archive)),
    ] {
        assert_eq!(interest(path), is, "{path}");
    }
    assert_eq!(clean(Path::new("./a//b/")).as_deref(), Some("a/b"));
    assert_eq!(clean(Path::new("a/../../etc")), None);
}

#[test]
fn a_directory_is_read_like_a_layer() {
    let root = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put(AT, SIX);
    put(
        "etc/os-release",
        "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian 12\"\n",
    );
    put(
        "var/lib/dpkg/status",
        "Package: bash\nStatus: install ok installed\nVersion: 5\n",
    );
    put("opt/broken.jar", "no");
    std::os::unix::fs::symlink("/", root.path().join("loop")).unwrap();
    let found = directory(root.path()).unwrap();
    let purls: Vec<String> = found.packages.iter().filter_map(super::super::Package::purl).collect();
    assert_eq!(purls, ["pkg:deb/debian/bash@5?distro=debian-12", "pkg:pypi/six@1.17.0"]);
    assert_eq!(found.os.unwrap().name, "Debian 12");
    assert_eq!(found.unread[0].place, "opt/broken.jar");
    assert!(matches!(
        directory(&root.path().join("no")),
        Err(SbomError::Target { .. })
    ));
}
