//! What is kept of runs whose cluster ended with them: a bundle each, without the event log, which is kept beside the others.
//!
//! `<home>/runs/<Spark's id of the application>.zip`; those of the last [`KEPT`] runs stay. Secrets are redacted as in every bundle.

use std::cmp::Reverse;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use stoke_insight::bundle::{self, Bundle};
use stoke_insight::facts::Cluster;

use super::Gathered;
use crate::error::{LaptopError, Outcome};
use crate::home::{self, Home};

/// Runs kept.
const KEPT: usize = 200;

fn directory(home: &Home) -> PathBuf {
    home.root().join("runs")
}

/// Keeps what was gathered about a run that ended.
///
/// # Errors
/// When it cannot be written.
pub async fn keep(gathered: Gathered, home: &Home) -> Outcome<()> {
    let directory = directory(home);
    let writing = tokio::task::spawn_blocking(move || {
        let id = gathered.id();
        // An application that was never submitted has no id, and nothing to be kept.
        if !is_id(&id) {
            return Ok(());
        }
        let failed = |error: std::io::Error| {
            LaptopError::environment("stoke::runs::keep", format!("{}: {error}", directory.display()))
        };
        home::create_private(&directory).map_err(failed)?;
        let gathered = Gathered {
            event_log: None,
            ..gathered
        };
        super::bundle::write(&gathered, &directory.join(format!("{id}.zip")))?;
        for (_, old) in newest_first(&directory).into_iter().skip(KEPT) {
            let _ = std::fs::remove_file(old);
        }
        Ok(())
    });
    writing
        .await
        .map_err(|error| LaptopError::environment("stoke::gather::ended", error))?
}

/// The last run of the application with this name, or the run with this id; none when none is kept that can be read.
pub async fn find(home: &Home, name: &str) -> Option<Gathered> {
    let (directory, name) = (directory(home), name.to_owned());
    let reading = tokio::task::spawn_blocking(move || {
        let by_id = directory.join(format!("{name}.zip"));
        let path = match is_id(&name) && by_id.is_file() {
            true => by_id,
            false => newest_first(&directory)
                .into_iter()
                .map(|(_, path)| path)
                .find(|path| {
                    File::open(path)
                        .ok()
                        .and_then(|file| bundle::read_index(BufReader::new(file)).ok())
                        .is_some_and(|index| index.application == name)
                })?,
        };
        let Bundle { index, objects, facts } = bundle::read(BufReader::new(File::open(path).ok()?)).ok()?;
        Some(Gathered {
            name: index.application,
            objects,
            logs: facts.logs,
            event_log: None,
            notes: index.notes,
            now: Timestamp::from_millisecond(index.gathered).ok()?,
        })
    });
    reading.await.ok().flatten()
}

/// What the cluster of a run had of it, by its id; none when none is kept that can be read.
pub fn cluster(home: &Home, id: &str) -> Option<Cluster> {
    let path = directory(home).join(format!("{id}.zip"));
    let file = is_id(id).then(|| File::open(path).ok())??;
    let objects = bundle::read_objects(BufReader::new(file)).ok()??;
    Some(Cluster::of_objects(objects))
}

/// Whether this can be the name of a file: it comes from an object's status.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn newest_first(directory: &Path) -> Vec<(SystemTime, PathBuf)> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<(SystemTime, PathBuf)> = entries
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "zip"))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    found.sort_by_key(|(modified, _)| Reverse(*modified));
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stoke_insight::facts::Objects;

    use super::*;

    fn run(name: &str, id: &str, attempt: u32) -> Gathered {
        Gathered {
            objects: Some(Objects {
                application: json!({"status": {"sparkApplicationId": id, "executionAttempts": attempt}}),
                ..Objects::default()
            }),
            ..Gathered::new(name)
        }
    }

    #[tokio::test]
    async fn the_last_run_of_a_name_is_found_and_any_by_its_id() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::find(Some(directory.path().into())).unwrap();
        assert!(find(&home, "pi").await.is_none());
        for (attempt, id) in ["spark-1", "spark-2", "spark-3"].into_iter().enumerate() {
            keep(run("pi", id, attempt as u32), &home).await.unwrap();
            let file = File::open(self::directory(&home).join(format!("{id}.zip"))).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(attempt as u64))
                .unwrap();
        }
        keep(run("other", "../../escapes", 1), &home).await.unwrap();
        keep(run("other", "", 1), &home).await.unwrap();
        let attempt = |found: Option<Gathered>| {
            found.unwrap().objects.unwrap().application["status"]["executionAttempts"].clone()
        };
        assert_eq!(attempt(find(&home, "pi").await), 2);
        assert_eq!(attempt(find(&home, "spark-1").await), 0);
        assert!(find(&home, "other").await.is_none());
        std::fs::write(self::directory(&home).join("spark-9.zip"), "no archive").unwrap();
        assert_eq!(attempt(find(&home, "pi").await), 2);
    }

    #[tokio::test]
    async fn the_oldest_runs_go() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::find(Some(directory.path().into())).unwrap();
        home::create_private(&self::directory(&home)).unwrap();
        for number in 0..KEPT + 3 {
            let path = self::directory(&home).join(format!("spark-{number}.zip"));
            std::fs::write(&path, "").unwrap();
            let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            File::options()
                .append(true)
                .open(path)
                .unwrap()
                .set_modified(old)
                .unwrap();
        }
        keep(run("pi", "spark-new", 1), &home).await.unwrap();
        let left = newest_first(&self::directory(&home));
        assert_eq!(left.len(), KEPT);
        assert!(left[0].1.ends_with("spark-new.zip"));
    }
}
