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
    for path in SYSTEM {
        push_as_is(&mut mounts, Path::new(path));
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
