//! What shadows leave on this machine while they run, and that nothing of it stays.

use std::fs::File;
use std::path::PathBuf;

use jiff::Timestamp;
use stoke_laptop::home::{Home, create_private};
use stoke_model::units::people;
use stoke_objectstore::shadow;
use stoke_objectstore::store::Store;

use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

/// File of a directory whose lock says that its run is under way.
const IN_USE: &str = "in-use";
/// File of a directory that is to stay.
const KEPT: &str = "kept";

/// The names and files of one command.
pub struct World {
    id: String,
    directory: PathBuf,
    _lock: File,
}

pub fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::environment("stoke::object-store::shadow", error)
        .fix("check the disk of the home; what is left is below the bucket `stoke-shadow`, and the next shadow run removes it")
}

impl World {
    /// Removes what commands that died left, and makes a place for this one.
    pub async fn begin(home: &Home, store: &Store, terminal: &mut Terminal) -> Outcome<Self> {
        let all = home.root().join("shadow");
        create_private(&all)?;
        shadow::prepare(store).await.map_err(failed)?;
        for entry in std::fs::read_dir(&all)?.flatten() {
            let directory = entry.path();
            let free = || File::open(directory.join(IN_USE)).is_ok_and(|lock| lock.try_lock().is_ok());
            if directory.join(KEPT).exists() || !free() {
                continue;
            }
            let id = entry.file_name().to_string_lossy().into_owned();
            let objects = shadow::clean(store, &format!("{id}-")).await.map_err(failed)?;
            std::fs::remove_dir_all(&directory)?;
            terminal.note(format!(
                "removed what the interrupted shadow run {id} left: {}",
                people::counted(objects, "object")
            ));
        }
        let id = format!(
            "{}-{}",
            Timestamp::now()
                .strftime("%Y%m%dT%H%M%S%3fZ")
                .to_string()
                .replace('.', ""),
            std::process::id()
        );
        let directory = all.join(&id);
        create_private(&directory)?;
        let lock = File::create(directory.join(IN_USE))?;
        lock.try_lock().map_err(std::io::Error::from)?;
        Ok(Self {
            id,
            directory,
            _lock: lock,
        })
    }

    /// The name of the shadow of a side.
    pub fn name(&self, side: &str) -> String {
        format!("{}-{side}", self.id)
    }

    /// The access log of a side.
    pub fn log(&self, side: &str) -> PathBuf {
        self.directory.join(format!("{side}.jsonl"))
    }

    /// Removes everything, unless it is to stay; then it is named.
    pub async fn end(self, store: &Store, keep: bool, terminal: &mut Terminal) -> Outcome<()> {
        if keep {
            File::create(self.directory.join(KEPT))?;
            terminal.note(format!(
                "kept  s3://{}/{}-old, s3://{0}/{1}-new and {}",
                shadow::BUCKET,
                self.id,
                self.directory.display()
            ));
            return Ok(());
        }
        shadow::clean(store, &format!("{}-", self.id)).await.map_err(failed)?;
        Ok(std::fs::remove_dir_all(&self.directory)?)
    }
}
