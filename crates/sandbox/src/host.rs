//! What a container sees of the machine it runs on: programs, libraries and the harmless part of `/etc`. No home directories.

use std::path::{Path, PathBuf};

use crate::spec::{Mount, Source};

/// Directories of programs and libraries. A symbolic link (merged `/usr`) stays one.
const SYSTEM: [&str; 8] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
];

/// Where loaders are looked for.
const LIBRARIES: &str = "/lib";

/// The part of `/etc` that programs need and that says nothing about the machine's users.
const ETC: [&str; 30] = [
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "default/locale",
    "fonts",
    "gai.conf",
    "host.conf",
    "java",
    "java-11-openjdk",
    "java-17-openjdk",
    "java-21-openjdk",
    "jvm",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "pki",
    "protocols",
    "resolv.conf",
    "rpc",
    "services",
    "ssl",
    "timezone",
];

/// The mounts that make the host's programs, libraries, devices and curated `/etc` visible, read-only.
pub fn system_mounts() -> Vec<Mount> {
    let mut mounts = Vec::new();
    for path in SYSTEM.map(Path::new) {
        match path == Path::new(LIBRARIES) && has_foreign_loader() {
            true => push_entries(&mut mounts, path, path),
            false => push_as_is(&mut mounts, path),
        }
    }
    for name in ETC {
        let path = Path::new("/etc").join(name);
        // The link may lead to a directory that is not visible inside (/run/systemd/resolve): show the content itself.
        if path.exists() {
            mounts.push(Mount::bind(&path, &path, true));
        }
    }
    // Everything Java packages of distributions put in /etc (java-17-openjdk and the like).
    for entry in std::fs::read_dir("/etc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if (name.starts_with("java-") || name.starts_with("python3")) && !ETC.contains(&&*name) {
            mounts.push(Mount::bind(entry.path(), entry.path(), true));
        }
    }
    mounts.extend(processors());
    mounts
}

/// What a container with a file tree of its own still needs of the machine: how names are resolved, and what its processors are.
pub fn machine_mounts() -> Vec<Mount> {
    let resolver = Path::new("/etc/resolv.conf");
    let resolver = resolver.exists().then(|| Mount::bind(resolver, resolver, true));
    resolver.into_iter().chain(processors()).collect()
}

fn processors() -> Option<Mount> {
    let path = Path::new("/sys/devices/system");
    path.is_dir().then(|| Mount::bind(path, path, true))
}

/// `/dev` as container runtimes make it: the six harmless devices, standard links, and 64 MiB of shared memory.
pub(crate) fn device_mounts() -> Vec<Mount> {
    let mut mounts = vec![Mount {
        target: "/dev".into(),
        source: Source::Tmpfs {
            size: Some(1 << 20),
            mode: 0o755,
        },
        read_only: false,
    }];
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let path = Path::new("/dev").join(name);
        if path.exists() {
            mounts.push(Mount::bind(&path, &path, false));
        }
    }
    for (name, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        mounts.push(Mount {
            target: Path::new("/dev").join(name),
            source: Source::Symlink(to.into()),
            read_only: false,
        });
    }
    mounts.push(Mount::tmpfs("/dev/shm", Some(64 << 20)));
    mounts
}

/// `/etc/passwd` and `/etc/group` for a workload with these ids: root, nobody and the user `spark`.
pub fn account_files(user: u32, group: u32, home: &str) -> Vec<Mount> {
    let mut passwd =
        String::from("root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    let mut groups = String::from("root:x:0:\nnogroup:x:65534:\n");
    if user != 0 {
        passwd.push_str(&format!("spark:x:{user}:{group}:spark:{home}:/bin/bash\n"));
    }
    if group != 0 {
        groups.push_str(&format!("spark:x:{group}:\n"));
    }
    vec![Mount::file("/etc/passwd", passwd), Mount::file("/etc/group", groups)]
}

/// Whether this machine of another C library has musl installed too, for programs of that C library. Some see its loader in `/lib` and take the machine for one of musl: snappy-java
/// 1.1.10 does, and loads a library that the JVM of this machine cannot. Images of Spark have no such loader, so containers do not see it.
#[must_use]
pub fn has_foreign_loader() -> bool {
    let own = interpreter(Path::new("/bin/sh"));
    own.is_some_and(|loader| !is_loader_of_musl(&loader)) && has_loader_of_musl(Path::new(LIBRARIES))
}

fn is_loader_of_musl(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("ld-musl-")
}

fn has_loader_of_musl(directory: &Path) -> bool {
    let mut entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.any(|entry| is_loader_of_musl(&entry.path()))
}

/// Shows the entries of the host's `directory` at `path` one by one, without loaders of musl.
fn push_entries(mounts: &mut Vec<Mount>, directory: &Path, path: &Path) {
    // Merged `/usr`: entries lead to where they are.
    let leads_to = directory.is_symlink().then(|| directory.canonicalize().ok()).flatten();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|entry| !is_loader_of_musl(entry))
        .collect();
    entries.sort();
    for entry in entries {
        let Some(name) = entry.file_name() else { continue };
        let link = match &leads_to {
            Some(to) => Some(to.join(name)),
            None => std::fs::read_link(&entry).ok(),
        };
        mounts.push(match link {
            Some(to) => Mount {
                target: path.join(name),
                source: Source::Symlink(to),
                read_only: true,
            },
            None => Mount::bind(&entry, path.join(name), true),
        });
    }
}

/// The loader that a program asks for (ELF, 64 bits, little-endian: `PT_INTERP`); none for what has none or is something else.
fn interpreter(program: &Path) -> Option<PathBuf> {
    let file = std::fs::File::open(program).ok()?;
    let read = |at: u64, size: usize| {
        let mut bytes = vec![0; size];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, at).ok()?;
        Some(bytes)
    };
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let header = read(0, 64)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (
        number(&header[32..40]),
        number(&header[54..56]),
        number(&header[56..58]),
    );
    for index in 0..count {
        let entry = read(table.checked_add(index * size)?, 56)?;
        if number(&entry[..4]) == 3 {
            let text = read(
                number(&entry[8..16]),
                usize::try_from(number(&entry[32..40]).min(4096)).ok()?,
            )?;
            let text = text.split(|byte| *byte == 0).next()?;
            return Some(PathBuf::from(String::from_utf8_lossy(text).into_owned()));
        }
    }
    None
}

/// Shows `path` as it is on the host: a link as a link, a directory as a directory, nothing as nothing.
fn push_as_is(mounts: &mut Vec<Mount>, path: &Path) {
    if let Ok(to) = std::fs::read_link(path) {
        mounts.push(Mount {
            target: PathBuf::from(path),
            source: Source::Symlink(to),
            read_only: true,
        });
    } else if path.is_dir() {
        mounts.push(Mount::bind(path, path, true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands at each name.
    fn shown(directory: &Path) -> Vec<(String, Source)> {
        let mut mounts = Vec::new();
        push_entries(&mut mounts, directory, Path::new("/lib"));
        let name = |mount: &Mount| mount.target.strip_prefix("/lib").unwrap().display().to_string();
        mounts.into_iter().map(|mount| (name(&mount), mount.source)).collect()
    }

    #[test]
    fn everything_but_a_foreign_loader_is_seen() {
        let root = tempfile::tempdir().unwrap();
        let lib = root.path().join("usr/lib");
        std::fs::create_dir_all(lib.join("x86_64-linux-gnu")).unwrap();
        for name in ["ld-linux.so.2", "ld-musl-x86_64.so.1"] {
            std::fs::write(lib.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("x86_64-linux-gnu", lib.join("link")).unwrap();
        let merged = root.path().join("lib");
        std::os::unix::fs::symlink("usr/lib", &merged).unwrap();
        let names = ["ld-linux.so.2", "link", "x86_64-linux-gnu"];
        let real = lib.canonicalize().unwrap();
        assert_eq!(
            shown(&merged),
            names.map(|name| (name.to_owned(), Source::Symlink(real.join(name))))
        );
        let bound = |name: &str| Source::Bind(lib.join(name));
        let sources = [
            bound(names[0]),
            Source::Symlink("x86_64-linux-gnu".into()),
            bound(names[2]),
        ];
        assert_eq!(
            shown(&lib),
            std::iter::zip(names.map(str::to_owned), sources).collect::<Vec<_>>()
        );
        assert!(has_loader_of_musl(&merged) && !has_loader_of_musl(&lib.join("x86_64-linux-gnu")));
    }

    #[test]
    fn programs_name_their_loader() {
        let loader = interpreter(&std::env::current_exe().unwrap());
        assert_eq!(loader.is_some(), cfg!(not(target_feature = "crt-static")), "{loader:?}");
        let text = tempfile::NamedTempFile::new().unwrap();
        for bytes in [
            &b"#!/bin/sh\n"[..],
            b"",
            &[b"\x7fELF\x02\x01".as_slice(), &[0xff; 90]].concat(),
        ] {
            std::fs::write(text.path(), bytes).unwrap();
            assert_eq!(interpreter(text.path()), None);
        }
        assert!(is_loader_of_musl(Path::new("/lib/ld-musl-x86_64.so.1")));
        assert!(!is_loader_of_musl(Path::new("/lib64/ld-linux-x86-64.so.2")));
    }
}
