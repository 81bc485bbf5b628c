//! Makes the class-data archives or ahead-of-time caches, inside a container, because an archive is only good for jars at the very paths it was made with.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use super::{PREPARED, Situation, classes, speed};
use crate::launch::{Archive, Facts, Method};

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
    let method = situation.method();
    let file = archive.file(method);
    let temporary = Temporary(directory.join(format!(".{file}.{}", std::process::id())));
    let list = Temporary(std::env::temp_dir().join(format!("{}.classes", archive.name())));
    let arguments = match method {
        Method::ClassData => {
            std::fs::write(&list.0, classes::list(archive)).map_err(|error| told(&list.0, error))?;
            command(facts, &list.0, &temporary.0)
        }
        Method::AheadOfTime => {
            let kept = directory.join(archive.recorded_options());
            let text = std::fs::read(&kept).map_err(|error| told(&kept, error))?;
            let options: Vec<String> =
                serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", kept.display()))?;
            assembly(facts, &options, &directory.join(archive.recording()), &temporary.0)
        }
    };
    let output = Command::new(situation.java())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| told(Path::new(&situation.java()), error))?;
    if output.status.success() && temporary.0.is_file() {
        let target = directory.join(file);
        std::fs::rename(&temporary.0, &target).map_err(|error| told(&target, error))?;
        // As large as the cache, and of no more use.
        let _ = std::fs::remove_file(directory.join(archive.recording()));
        return Ok(());
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
    // Ended by a signal means that someone did not want it now, not that it is impossible.
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

/// The arguments with which the JVM makes an ahead-of-time cache of a recording: the options of the recorded run, since a cache is only good
/// for those, and G1, with which objects are put into a cache.
fn assembly(facts: &Facts, options: &[String], recording: &Path, cache: &Path) -> Vec<String> {
    let own = |option: &&String| {
        !(option.starts_with("-Xm")
            || option.starts_with("-XX:MaxRAM=")
            || super::options::choose_collector([option.as_str()].into_iter()))
    };
    let mut arguments: Vec<String> = options.iter().filter(own).cloned().collect();
    arguments.extend(["-Xmx512m", "-XX:+UseG1GC", "-XX:AOTMode=create"].map(str::to_owned));
    arguments.push(format!("-XX:AOTConfiguration={}", recording.display()));
    arguments.push(format!("-XX:AOTCache={}", cache.display()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_made_with_the_options_of_its_run() {
        let facts = Facts {
            version: "4.1.4".into(),
            java_major: 25,
            java_modules: vec![],
            class_path: vec!["/opt/spark/jars/a.jar".into(), "/opt/spark/jars/b.jar".into()],
            driver_options: Some(vec![]),
            root_names: vec![],
        };
        let options = [
            "-XX:ActiveProcessorCount=1",
            "-XX:MaxRAM=1476395008",
            "-XX:+UseSerialGC",
            "-Xms1g",
            "-Xmx1g",
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
        ]
        .map(str::to_owned);
        assert_eq!(
            assembly(
                &facts,
                &options,
                Path::new("/p/driver.recording"),
                Path::new("/p/.driver.aot.7")
            )
            .join(" "),
            "-XX:ActiveProcessorCount=1 --add-opens=java.base/java.nio=ALL-UNNAMED -Xmx512m -XX:+UseG1GC -XX:AOTMode=create \
             -XX:AOTConfiguration=/p/driver.recording -XX:AOTCache=/p/.driver.aot.7 -cp /opt/spark/jars/a.jar:/opt/spark/jars/b.jar"
        );
    }
}
