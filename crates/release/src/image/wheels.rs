//! Python packages: pip resolves requirements to wheels for the base's interpreter once; the lock has their digests; here they are unpacked.
//!
//! Only wheels are taken: a source distribution would run code of its own, and give other bits on every machine. What pip writes when it installs is not written
//! (`INSTALLER`, `REQUESTED`, compiled files): it says when and where, not what.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::error::BuildError;
use super::layer::{Item, Source, Tree};
use super::lock::{Python, Wheel};
use super::sources::unreadable;
use crate::oci::{Cache, Descriptor, Digest, Hashing, Platform};

/// For whom wheels are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// `3.10`.
    pub version: String,
    pub platform: Platform,
}

/// Newest glibc (2.x) that wheels may ask for, by the oldest base in use: Ubuntu 22.04 of Spark's own images has 2.35.
const GLIBC: u32 = 35;
/// The media type that wheels have in the cache only.
const WHEEL: &str = "application/vnd.pypi.wheel";

/// Tags for pip: wheels are chosen for the image's interpreter, not for the Python that pip runs in.
///
/// # Errors
/// A machine that there are no such wheels for.
pub fn tags(interpreter: &Interpreter) -> Result<Vec<String>, BuildError> {
    let architecture = match interpreter.platform.architecture.as_str() {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => {
            let message = format!("wheels for {other} are not looked for");
            return Err(BuildError::input(
                "stoke::build::platform",
                message,
                "name linux/amd64 or linux/arm64 with --platform",
            ));
        }
    };
    let version = interpreter.version.replace('.', "");
    let mut all = vec![
        "--only-binary=:all:".to_owned(),
        "--python-version".to_owned(),
        interpreter.version.clone(),
        "--implementation".to_owned(),
        "cp".to_owned(),
    ];
    for abi in [format!("cp{version}"), "abi3".to_owned(), "none".to_owned()] {
        all.extend(["--abi".to_owned(), abi]);
    }
    let manylinux = (5..=GLIBC)
        .rev()
        .map(|minor| format!("manylinux_2_{minor}_{architecture}"));
    let named = ["manylinux2014", "manylinux2010", "manylinux1", "linux"].map(|name| format!("{name}_{architecture}"));
    for platform in manylinux.chain(named) {
        all.extend(["--platform".to_owned(), platform]);
    }
    Ok(all)
}

/// What a lock's wheels were resolved for.
#[must_use]
pub fn key(requirements: &[u8], interpreter: &Interpreter) -> Digest {
    let mut sum = Hashing::new();
    sum.update(requirements);
    sum.update(format!("\0{}\0{}", interpreter.version, interpreter.platform).as_bytes());
    sum.end()
}

/// Wheels of a job, each a file of the cache.
#[derive(Debug)]
pub struct Wheels {
    pub locked: Python,
    paths: Vec<PathBuf>,
}

/// Wheels for requirements: those of the lock when it is for them, else resolved.
///
/// # Errors
/// pip is not there or fails: no network, no wheel for this interpreter, requirements that contradict each other; a wheel that is not the one in the lock.
pub async fn gather(
    requirements: &Path,
    interpreter: &Interpreter,
    lock: Option<&Python>,
    locked_only: bool,
    python: &Path,
    cache: &Cache,
) -> Result<Wheels, BuildError> {
    let text = std::fs::read(requirements).map_err(|error| unreadable(requirements, &error))?;
    let key = key(&text, interpreter);
    if let Some(lock) = lock.filter(|lock| lock.key == key) {
        let paths: Option<Vec<PathBuf>> = lock.wheels.iter().map(|wheel| kept(wheel, cache)).collect();
        if let Some(paths) = paths {
            return Ok(Wheels {
                locked: lock.clone(),
                paths,
            });
        }
        let list: Vec<String> = lock.wheels.iter().filter_map(pinned).collect();
        if list.len() != lock.wheels.len() {
            return Err(BuildError::input(
                "stoke::build::lock",
                "stoke-image.lock names files that are not wheels",
                "delete it, and the next build writes another",
            ));
        }
        let arguments = ["--no-deps", "--require-hashes"].map(OsString::from).to_vec();
        let found = download(&list.join("\n"), requirements, interpreter, arguments, python, cache).await?;
        if found.locked_wheels() != lock.wheels {
            return Err(BuildError::environment(
                "stoke::build::dependencies",
                "the package index gave other wheels than those of stoke-image.lock",
                "build with --update to resolve again",
            ));
        }
        return Ok(Wheels {
            locked: lock.clone(),
            paths: found.0.into_iter().map(|(_, path)| path).collect(),
        });
    }
    if locked_only {
        let message = format!("stoke-image.lock is not for {} as it is now", requirements.display());
        return Err(BuildError::input(
            "stoke::build::lock",
            message,
            "build without --locked once, and keep the lock that it writes",
        ));
    }
    // Where includes and constraints are looked for is the file's own directory.
    let found = download_file(requirements, interpreter, python, cache).await?;
    let wheels = found.locked_wheels();
    let paths = found.0.into_iter().map(|(_, path)| path).collect();
    Ok(Wheels {
        locked: Python { key, wheels },
        paths,
    })
}

/// A wheel of the cache, when it is there.
fn kept(wheel: &Wheel, cache: &Cache) -> Option<PathBuf> {
    let path = cache.path(&wheel.digest);
    let size = path.metadata().ok()?.len();
    cache.get(&Descriptor::new(WHEEL, wheel.digest.clone(), size))?;
    Some(path)
}

/// `name==version --hash=sha256:…`.
fn pinned(wheel: &Wheel) -> Option<String> {
    let (name, version) = wheel.project()?;
    Some(format!("{name}=={version} --hash=sha256:{}", wheel.digest.hex()))
}

struct Downloaded(Vec<(Wheel, PathBuf)>);

impl Downloaded {
    fn locked_wheels(&self) -> Vec<Wheel> {
        self.0.iter().map(|(wheel, _)| wheel.clone()).collect()
    }
}

async fn download(
    list: &str,
    requirements: &Path,
    interpreter: &Interpreter,
    arguments: Vec<OsString>,
    python: &Path,
    cache: &Cache,
) -> Result<Downloaded, BuildError> {
    let failed = |error: std::io::Error| {
        BuildError::environment(
            "stoke::build::file",
            format!("a list for pip: {error}"),
            "check the disk",
        )
    };
    let file = tempfile::Builder::new().suffix(".txt").tempfile().map_err(failed)?;
    std::fs::write(file.path(), list).map_err(failed)?;
    pip(file.path(), requirements, interpreter, arguments, python, cache).await
}

async fn download_file(
    requirements: &Path,
    interpreter: &Interpreter,
    python: &Path,
    cache: &Cache,
) -> Result<Downloaded, BuildError> {
    pip(requirements, requirements, interpreter, Vec::new(), python, cache).await
}

async fn pip(
    list: &Path,
    shown: &Path,
    interpreter: &Interpreter,
    arguments: Vec<OsString>,
    python: &Path,
    cache: &Cache,
) -> Result<Downloaded, BuildError> {
    let folder = cache.directory().join("ingest");
    let folder = std::path::absolute(&folder).map_err(|error| unreadable(&folder, &error))?;
    let list = std::path::absolute(list).map_err(|error| unreadable(list, &error))?;
    let target = tempfile::tempdir_in(&folder).map_err(|error| unreadable(&folder, &error))?;
    let mut command = tokio::process::Command::new(python);
    command
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--dest",
        ])
        .arg(target.path())
        .args(tags(interpreter)?)
        .args(arguments)
        .arg("-r")
        .arg(&list)
        // Paths in requirements are those of their file.
        .current_dir(
            shown
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // An interrupted build leaves no pip behind.
        .kill_on_drop(true);
    let output = command.output().await;
    let output = output.map_err(|error| {
        BuildError::environment(
            "stoke::build::dependencies",
            format!("{}: {error}", python.display()),
            "install Python 3 with pip, or name one with STOKE_PYTHON",
        )
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(refused(&said, shown, interpreter));
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(target.path())
        .map_err(|error| unreadable(target.path(), &error))?
        .flatten()
    {
        let path = entry.path();
        let file = entry.file_name().to_string_lossy().into_owned();
        if !file.ends_with(".whl") {
            let message = format!("pip brought {file}, which is not a wheel");
            return Err(BuildError::input(
                "stoke::build::dependencies",
                message,
                "build a wheel of it, put it into the directory and name it in the requirements",
            ));
        }
        let (digest, size) = sum(&path)?;
        let descriptor = Descriptor::new(WHEEL, digest.clone(), size);
        let open = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        cache.put(&descriptor, open, &file)?;
        let kept = cache.path(&digest);
        found.push((Wheel { file, digest }, kept));
    }
    found.sort();
    Ok(Downloaded(found))
}

/// Why pip failed, in words that say what to do.
fn refused(said: &str, requirements: &Path, interpreter: &Interpreter) -> BuildError {
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("ERROR:"))
        .map(|line| line.trim_start_matches("ERROR:").trim())
        .collect();
    let text = match errors.is_empty() {
        true => said
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("no reason was given")
            .to_owned(),
        false => errors.join(" "),
    };
    let text = stoke_diagnostics::printable(&text);
    let place = format!(
        "{}: for Python {} on {}",
        requirements.display(),
        interpreter.version,
        interpreter.platform
    );
    let network = said.contains("Failed to establish a new connection")
        || said.contains("Temporary failure in name resolution")
        || said.contains("Max retries exceeded");
    if network {
        return BuildError::environment(
            "stoke::build::dependencies",
            format!("{place}: the package index cannot be reached: {text}"),
            "check the network and `pip config list`; a lock whose wheels are in the cache needs no index",
        );
    }
    let fix = match said.contains("No matching distribution") {
        true => {
            "choose versions that have wheels for this interpreter; a package that has none must be built as one first (`pip wheel`)"
        }
        false => "fix the requirements as pip says",
    };
    BuildError::input("stoke::build::dependencies", format!("{place}: {text}"), fix)
}

fn sum(path: &Path) -> Result<(Digest, u64), BuildError> {
    let failed = |error: std::io::Error| unreadable(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut sum = Hashing::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            let size = sum.count();
            return Ok((sum.end(), size));
        }
        sum.update(&buffer[..count]);
    }
}

/// Largest file of a wheel, and most files of one.
const LARGEST: u64 = 4 << 30;
const MOST: usize = 200_000;

impl Wheels {
    /// What identifies the layer that they make.
    #[must_use]
    pub fn identity(&self) -> String {
        self.locked
            .wheels
            .iter()
            .map(|wheel| format!("{} {}\n", wheel.file, wheel.digest))
            .collect()
    }

    /// Unpacks them into a tree, below a directory of the image.
    ///
    /// # Errors
    /// A file that is not a wheel, or one with paths that lead out of it; two wheels that bring different files of one name.
    pub fn tree(&self, to: &str) -> Result<Tree, BuildError> {
        let root = to.trim_start_matches('/');
        let mut tree = Tree::default();
        let mut owners: BTreeMap<String, (usize, u32)> = BTreeMap::new();
        for (at, path) in self.paths.iter().enumerate() {
            let name = &self.locked.wheels[at].file;
            let bad = |why: String| {
                BuildError::input(
                    "stoke::build::dependencies",
                    format!("{name}: {why}"),
                    "ask who made the wheel, or take another version",
                )
            };
            let file = File::open(path).map_err(|error| unreadable(path, &error))?;
            let mut archive = zip::ZipArchive::new(file).map_err(|error| bad(error.to_string()))?;
            if archive.len() > MOST {
                return Err(bad(format!("more than {MOST} files")));
            }
            for position in 0..archive.len() {
                let entry = archive.by_index_raw(position).map_err(|error| bad(error.to_string()))?;
                if entry.is_dir() {
                    continue;
                }
                let written = entry.name().to_owned();
                let (size, crc) = (entry.size(), entry.crc32());
                let executable = entry.unix_mode().is_some_and(|mode| mode & 0o100 != 0);
                let is_link = entry.unix_mode().is_some_and(|mode| mode & 0o170_000 == 0o120_000);
                drop(entry);
                if is_link || size > LARGEST {
                    return Err(bad(format!("`{written}` is a link, or larger than {LARGEST} bytes")));
                }
                let Some((below, script)) = place(&written) else {
                    return Err(bad(format!("`{written}` leads out of the wheel")));
                };
                let Some(below) = below else { continue };
                let target = format!("{root}/{below}");
                if let Some((other, known)) = owners.get(&target)
                    && *known != crc
                {
                    let message = format!(
                        "{name} and {} both bring {below}, with different content",
                        self.locked.wheels[*other].file
                    );
                    return Err(BuildError::input(
                        "stoke::build::dependencies",
                        message,
                        "leave one of them out of the requirements",
                    ));
                }
                owners.insert(target.clone(), (at, crc));
                tree.put_directories(root, &target);
                let content = match script {
                    true => {
                        let mut bytes = Vec::new();
                        let mut entry = archive.by_index(position).map_err(|error| bad(error.to_string()))?;
                        entry.read_to_end(&mut bytes).map_err(|error| bad(error.to_string()))?;
                        Source::Bytes(started_by_env(bytes))
                    }
                    false => Source::Zip(path.clone(), position),
                };
                tree.put(
                    target,
                    Item::File {
                        content,
                        executable: executable || script,
                    },
                );
            }
        }
        Ok(tree)
    }
}

/// Where a file of a wheel goes below the directory of packages (PyPA, "Binary distribution format", `*.data`): none at all for headers. Whether it is a script.
/// No place for a path that leads out.
fn place(written: &str) -> Option<(Option<String>, bool)> {
    let parts: Vec<&str> = written.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) || written.contains(['\\', '\0']) {
        return None;
    }
    if let [data, kind, rest @ ..] = &parts[..]
        && data.ends_with(".data")
        && !rest.is_empty()
    {
        let rest = rest.join("/");
        return Some(match *kind {
            "purelib" | "platlib" => (Some(rest), false),
            "scripts" => (Some(format!("bin/{rest}")), true),
            "headers" => (None, false),
            // `data` is what lies below the prefix of an environment.
            _ => (Some(rest), false),
        });
    }
    Some((Some(written.to_owned()), false))
}

/// `#!python` of a wheel's script is for the installer to fill in.
fn started_by_env(script: Vec<u8>) -> Vec<u8> {
    let line = script.iter().position(|byte| *byte == b'\n').unwrap_or(script.len());
    match script[..line].starts_with(b"#!python") {
        true => [b"#!/usr/bin/env python3", &script[line..]].concat(),
        false => script,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    fn wheel(directory: &Path, file: &str, files: &[(&str, &str)]) -> PathBuf {
        let path = directory.join(file);
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, text) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default().unix_permissions(0o644))
                .unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    fn tree(wheels: &[(&str, &[(&str, &str)])]) -> Result<Vec<String>, String> {
        let directory = tempfile::tempdir().unwrap();
        let paths = wheels
            .iter()
            .map(|(name, files)| wheel(directory.path(), name, files))
            .collect();
        let locked = wheels
            .iter()
            .map(|(name, _)| Wheel {
                file: (*name).to_owned(),
                digest: Digest::of(b""),
            })
            .collect();
        let wheels = Wheels {
            locked: Python {
                key: Digest::of(b""),
                wheels: locked,
            },
            paths,
        };
        let tree = wheels.tree("/opt/app/lib").map_err(|error| error.to_string())?;
        let files = tree.items().filter(|(_, item)| !matches!(item, Item::Directory));
        Ok(files
            .map(|(path, item)| match item {
                Item::File {
                    content: Source::Bytes(bytes),
                    ..
                } => format!("{path} {}", String::from_utf8_lossy(bytes)),
                _ => path.to_owned(),
            })
            .collect())
    }

    #[test]
    fn wheels_are_unpacked_where_they_belong() {
        let found = tree(&[(
            "a-1-py3-none-any.whl",
            &[
                ("a/__init__.py", ""),
                ("a-1.dist-info/METADATA", ""),
                ("a-1.data/purelib/b.py", ""),
                ("a-1.data/scripts/run", "#!python\nx"),
                ("a-1.data/headers/a.h", ""),
                ("a-1.data/data/share/x", ""),
            ],
        )]);
        assert_eq!(
            found.unwrap(),
            [
                "opt/app/lib/a-1.dist-info/METADATA",
                "opt/app/lib/a/__init__.py",
                "opt/app/lib/b.py",
                "opt/app/lib/bin/run #!/usr/bin/env python3\nx",
                "opt/app/lib/share/x",
            ]
        );
        for bad in [
            "../x",
            "/etc/passwd",
            "a/../../x",
            "a\\..\\x",
            "a-1.data/purelib/../../x",
        ] {
            assert!(
                tree(&[("a-1-py3-none-any.whl", &[(bad, "")])])
                    .unwrap_err()
                    .contains("leads out"),
                "{bad}"
            );
        }
        let same = tree(&[
            ("a-1-py3-none-any.whl", &[("ns/__init__.py", "1")]),
            ("b-1-py3-none-any.whl", &[("ns/__init__.py", "1")]),
        ]);
        assert!(same.is_ok());
        let other = tree(&[
            ("a-1-py3-none-any.whl", &[("ns/__init__.py", "1")]),
            ("b-1-py3-none-any.whl", &[("ns/__init__.py", "2")]),
        ]);
        assert!(other.unwrap_err().contains("both bring ns/__init__.py"));
    }

    #[test]
    fn what_pip_says_is_passed_on() {
        let interpreter = Interpreter {
            version: "3.10".into(),
            platform: Platform::linux("amd64"),
        };
        let error = refused(
            "ERROR: Could not find a version\nERROR: No matching distribution found for x\n",
            Path::new("r.txt"),
            &interpreter,
        );
        assert!(
            error.is_input
                && error
                    .to_string()
                    .contains("r.txt: for Python 3.10 on linux/amd64: Could not find a version No matching"),
            "{error}"
        );
        let error = refused(
            "WARNING: Retrying after connection broken by Failed to establish a new connection\nERROR: x",
            Path::new("r.txt"),
            &interpreter,
        );
        assert!(!error.is_input);
        assert!(
            tags(&Interpreter {
                version: "3.10".into(),
                platform: Platform::linux("s390x")
            })
            .is_err()
        );
    }
}
