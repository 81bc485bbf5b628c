//! Event logs of the applications that ran on this machine: written by every driver that says nothing of its own, kept between clusters,
//! read by `stoke history` and `stoke doctor`.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use stoke_eventlog::{Source, StorageError};
use stoke_history::retention::{Deletion, Why, delete};
use stoke_storage::{Address, Files, open_files};
use tokio::runtime::Handle;

use crate::error::{LaptopError, Outcome};
use crate::home::Home;
use crate::object_store;

/// Logs of ended applications kept on this machine: those changed last.
const KEPT: usize = 200;

pub fn directory(home: &Home) -> PathBuf {
    home.root().join("event-logs")
}

/// Where drivers see it.
pub fn url() -> String {
    format!("file://{}", stoke_runtime::EVENT_LOGS)
}

/// The event logs at a place: a directory, `file:///directory`, or a URL of S3, Google Cloud Storage or Azure Blob Storage.
///
/// # Errors
/// When there is no such directory, or no such kind of place.
pub async fn source(place: &str, home: &Home) -> Outcome<Source> {
    let address = Address::parse(place).map_err(LaptopError::storage)?;
    let access = object_store::reach_any(home).await?;
    match open_files(&address, &access, Handle::current()).map_err(LaptopError::storage)? {
        Files::Objects(objects) => Ok(Source::objects(objects)),
        Files::Local(directory) => {
            let found = directory.canonicalize().map_err(|error| {
                LaptopError::input("stoke::event-log::directory", format!("{place}: {error}"))
                    .fix("name the directory applications write to: their spark.eventLog.dir")
            })?;
            Ok(Source::directory(found))
        }
    }
}

/// Deletes the logs that are beyond [`KEPT`]. Logs still being written stay, whatever became of their drivers.
///
/// # Errors
/// When the directory cannot be listed, or at the first log that cannot be deleted; the next time goes on there.
pub fn prune(directory: &Path) -> Result<(), StorageError> {
    let source = Source::directory(directory);
    let mut ended = source.logs()?;
    ended.retain(|log| !log.in_progress);
    ended.sort_by_key(|log| Reverse(log.modified()));
    let gone: Vec<Deletion> = ended
        .iter()
        .skip(KEPT)
        .map(|log| Deletion::of(log, Why::TooMany))
        .collect();
    delete(&source, &gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_ended_logs_go() {
        let directory = tempfile::tempdir().unwrap();
        for number in 0..KEPT + 3 {
            let file = directory.path().join(format!("app-{number:04}"));
            std::fs::write(&file, "{}").unwrap();
            let changed = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000 + number as u64);
            std::fs::File::options()
                .append(true)
                .open(&file)
                .unwrap()
                .set_modified(changed)
                .unwrap();
        }
        std::fs::write(directory.path().join("app-old.inprogress"), "{}").unwrap();
        prune(directory.path()).unwrap();
        let left = Source::directory(directory.path()).logs().unwrap();
        assert_eq!(left.len(), KEPT + 1);
        assert_eq!(left[0].path, "app-0003");
    }
}
