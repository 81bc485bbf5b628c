//! Makes the class-data archives, inside a container, because an archive is only good for jars at the very paths it was made with.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use super::{PREPARED, Situation, classes, speed};
use crate::launch::{Archive, Facts};

/// Makes the archives named. An archive appears whole or not at all; where the JVM refuses, a file says why, and it is not tried again.
pub(super) fn run(situation: &Situation, names: &[String]) -> ExitCode {
    let Some(facts) = &situation.facts else {
        super::complain("the facts of this Spark are missing");
        return ExitCode::FAILURE;
    };
    let mut all_done = true;
    for archive in Archive::ALL
        .into_iter()
        .filter(|archive| names.iter().any(|name| name == archive.name()))
    {
        if let Err(reason) = make(situation, facts, archive, Path::new(PREPARED)) {
            super::complain(&format!("no archive for the {}: {reason}", archive.name()));
            all_done = false;
        }
    }
    if all_done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn make(situation: &Situation, facts: &Facts, archive: Archive, directory: &Path) -> Result<(), String> {
    let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let temporary = Temporary(directory.join(format!(".{}.{}", archive.file(), std::process::id())));
    let list = Temporary(std::env::temp_dir().join(format!("{}.classes", archive.name())));
    std::fs::write(&list.0, classes::list(archive)).map_err(|error| told(&list.0, error))?;
    let output = Command::new(situation.java())
        .args(command(facts, &list.0, &temporary.0))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| told(Path::new(&situation.java()), error))?;
    if output.status.success() && temporary.0.is_file() {
        let target = directory.join(archive.file());
        return std::fs::rename(&temporary.0, &target).map_err(|error| told(&target, error));
    }
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let tail: Vec<&str> = text.lines().rev().take(8).collect();
    let reason = format!(
        "java ended with {}: {}",
        output.status,
        tail.into_iter().rev().collect::<Vec<_>>().join("\n")
    );
    // Ended by a signal means that somebody did not want it now, not that it is impossible.
    if output.status.code().is_some() && !text.contains("No space left") {
        let _ = std::fs::write(directory.join(archive.failure()), &reason);
    }
    Err(reason)
}

/// The arguments with which the JVM makes an archive.
fn command(facts: &Facts, list: &Path, archive: &Path) -> Vec<String> {
    let mut arguments: Vec<String> = ["-Xshare:dump", "-Xmx512m", "-Xlog:cds=off", "-Xlog:cds+heap=off"]
        .map(str::to_owned)
        .to_vec();
    arguments.push(format!("-XX:SharedClassListFile={}", list.display()));
    arguments.push(format!("-XX:SharedArchiveFile={}", archive.display()));
    arguments.extend(speed::supported(
        facts.driver_options.as_deref().unwrap_or_default(),
        facts,
    ));
    arguments.extend(["-cp".to_owned(), facts.class_path.join(":")]);
    arguments
}

/// A file that is gone when this is.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
