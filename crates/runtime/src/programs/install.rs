//! Puts a program into the home: files of Maven, a private Python environment, and the scripts by which a container calls it.
//!
//! As with Sparks: one installation at a time per program, over all processes; a directory without its record, which is written last, counts as nothing and is
//! wiped by the next try; every file has the SHA-256 of the lock; pip's own settings are honoured. What was fetched whole from Maven before an interruption is
//! kept until the installation is done.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::catalogue::Program;
use super::fetch::{self, Get};
use super::lock::{Artifact, Lock};
use super::record::Record;
use crate::error::InstallError;
use crate::image::PROGRAM;
use crate::install::pip::{Pip, Requirement};
use crate::install::python::Interpreter;
use crate::install::{Progress, Stage, lock, python, start_afresh, wipe};

/// Unpacks archives, since Python reads all of them: `.tar.gz`, and the `.txz` inside a jar. Arguments: archive, directory, and how many
/// leading directories are left out.
const UNPACK: &str = r#"
import io, pathlib, sys, tarfile, zipfile
archive, target, leading = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
if zipfile.is_zipfile(archive):
    with zipfile.ZipFile(archive) as jar:
        inner = [name for name in jar.namelist() if name.endswith(".txz")]
        archive = io.BytesIO(jar.read(inner[0]))
    source = tarfile.open(fileobj=archive)
else:
    source = tarfile.open(archive)
with source:
    for member in source:
        parts = pathlib.PurePosixPath(member.name).parts[leading:]
        if not parts or ".." in parts or member.name.startswith("/") or member.isdev():
            continue
        if (member.issym() or member.islnk()) and ("/" in member.linkname or ".." in member.linkname):
            continue
        member.name = "/".join(parts)
        source.extract(member, target)
"#;

pub(super) fn program(
    runtimes: &Path,
    program: &'static Program,
    force: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, InstallError> {
    with(runtimes, program, force, &fetch::over_https, progress)
}

fn with(
    runtimes: &Path,
    program: &'static Program,
    force: bool,
    get: Get<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, InstallError> {
    let what = program.full_name();
    let wanted = program.lock()?;
    let place = runtimes.join("programs");
    let directory = place.join(program.directory_name());
    let lock = lock(&place, &program.directory_name(), progress)?;
    if !force && Record::read(&directory, program).is_some_and(|record| record.verify_sizes().is_ok()) {
        return Ok(directory);
    }
    let unpacks = wanted.artifacts.iter().any(is_archive);
    // The oldest Python whose `tarfile` reads all of this.
    let python = match wanted.python.or(unpacks.then_some((3, 9))) {
        Some(oldest) => Some(python::find(oldest, &what)?),
        None => None,
    };
    // Unpacked, programs have twice to five times the size.
    start_afresh(&directory, wanted.download())?;
    let downloads = place.join(format!(".{}.downloads", program.directory_name()));
    let files = fetch::artifacts(&what, &wanted.artifacts, &downloads, get, progress)?;
    if !files.is_empty() {
        progress(Progress::at(Stage::Installing));
    }
    for (artifact, file) in wanted.artifacts.iter().zip(&files) {
        put(artifact, file, &directory, python.as_ref())?;
    }
    let environment = match (&python, wanted.packages.is_empty()) {
        (Some(python), false) => {
            packages(&what, &wanted, python, &directory, &lock, progress)?;
            Some(python.base.clone())
        }
        _ => None,
    };
    scripts(program, &directory)?;
    progress(Progress::at(Stage::Checking));
    Record::make(&directory, program, environment)?;
    // Only a waste of space from here on.
    let _ = std::fs::remove_dir_all(&downloads);
    Ok(directory)
}

fn is_archive(artifact: &Artifact) -> bool {
    artifact.kind == "tar.gz" || artifact.group == "io.zonky.test.postgres"
}

/// Puts a file of Maven in place: a jar as it is, an archive unpacked.
fn put(artifact: &Artifact, file: &Path, directory: &Path, python: Option<&Interpreter>) -> Result<(), InstallError> {
    let (true, Some(python)) = (is_archive(artifact), python) else {
        let jars = super::jars(directory);
        std::fs::create_dir_all(&jars).map_err(InstallError::io(&jars))?;
        let target = jars.join(artifact.file());
        return std::fs::copy(file, &target).map(drop).map_err(InstallError::io(target));
    };
    let target = directory.join("unpacked");
    let output = Command::new(&python.executable)
        .args(["-c", UNPACK])
        .args([file, &target])
        .arg(if artifact.kind == "tar.gz" { "1" } else { "0" })
        .output()
        .map_err(InstallError::io(&python.executable))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(match text.contains("No space left") {
        true => InstallError::DiskFull {
            directory: target,
            detail: "no space left".into(),
        },
        false => InstallError::Unusable {
            directory: target,
            reason: format!("{artifact} cannot be unpacked: {text}"),
        },
    })
}

/// Makes a private environment with the packages of the lock.
fn packages(
    what: &str,
    wanted: &Lock,
    python: &Interpreter,
    directory: &Path,
    lock: &File,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), InstallError> {
    progress(Progress::at(Stage::Environment));
    let environment = directory.join("venv");
    python.make_environment(&environment, lock)?;
    let requirement = |package: &super::lock::Package| Requirement {
        package: package.name.clone(),
        version: package.version.clone(),
        sha256: Some(package.sha256.clone()),
        marker: package.marker.clone(),
    };
    Pip {
        python: environment.join("bin/python"),
        directory: directory.to_owned(),
        what: what.to_owned(),
        requirements: wanted.packages.iter().map(requirement).collect(),
        download: Some(wanted.packages.iter().map(|package| package.bytes).sum()),
    }
    .install(lock, progress)?;
    // What pip told is of no use once it has succeeded.
    for name in ["pip.log", "pip-report.json", "requirements.txt"] {
        let _ = std::fs::remove_file(directory.join(name));
    }
    Ok(())
}

/// The image's programs, as scripts that call [`super::launch`] in a container.
fn scripts(program: &Program, directory: &Path) -> Result<(), InstallError> {
    let place = directory.join("bin");
    std::fs::create_dir_all(&place).map_err(InstallError::io(&place))?;
    let entry = std::iter::once((super::launch::ENTRY, String::new()));
    let commands = program.commands.iter().map(|name| (*name, format!(" {name}")));
    for (name, word) in entry.chain(commands) {
        let text = format!(
            "#!/bin/sh\nexec {PROGRAM} __entrypoint {} {}{word} \"$@\"\n",
            super::launch::ARGUMENT,
            program.name
        );
        crate::launch::write(&place, name, text.as_bytes(), 0o755).map_err(InstallError::io(place.join(name)))?;
    }
    Ok(())
}

/// Removes an installed program and what an interrupted installation left of it.
pub(super) fn remove(runtimes: &Path, program: &Program) -> Result<bool, InstallError> {
    let place = runtimes.join("programs");
    let name = program.directory_name();
    let all = [place.join(&name), place.join(format!(".{name}.downloads"))];
    if !all.iter().any(|path| path.exists()) {
        return Ok(false);
    }
    let _lock = lock(&place, &name, &mut |_| {})?;
    all.iter().try_for_each(|path| wipe(path))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::Programs;

    /// A repository that has nothing of what is asked.
    fn nothing(_: &str, _: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
        Err("the answer is 404 Not Found".into())
    }

    #[test]
    fn what_broke_off_counts_as_nothing_and_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let kafka = Programs::named("kafka").unwrap();
        let programs = Programs::new(root.path().to_owned(), None);
        let error = with(root.path(), kafka, false, &nothing, &mut |_| {}).unwrap_err();
        assert_eq!(error.code(), "stoke::runtime::no-network");
        assert!(
            error.to_string().contains(".jar cannot be fetched: the answer is 404"),
            "{error}"
        );
        assert!(!programs.installed(kafka));
        assert!(programs.remove(kafka).unwrap() && !programs.remove(kafka).unwrap());
    }

    #[test]
    fn other_bytes_than_the_locks_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let nessie = Programs::named("nessie").unwrap();
        let altered: Get<'_> = &|_, take| take(b"something else");
        let mut stages = Vec::new();
        let error = with(root.path(), nessie, false, altered, &mut |progress| {
            stages.push(progress.stage)
        })
        .unwrap_err();
        assert_eq!(error.code(), "stoke::runtime::checksum");
        assert!(stages.iter().all(|stage| *stage == Stage::Downloading), "{stages:?}");
        assert!(!Programs::new(root.path().to_owned(), None).installed(nessie));
    }

    #[test]
    fn scripts_call_the_launcher_with_their_name() {
        let root = tempfile::tempdir().unwrap();
        scripts(Programs::named("mlflow").unwrap(), root.path()).unwrap();
        let text = std::fs::read_to_string(root.path().join("bin/mlflow")).unwrap();
        assert_eq!(
            text,
            "#!/bin/sh\nexec /opt/stoke/bin/stoke __entrypoint __program mlflow mlflow \"$@\"\n"
        );
    }
}
