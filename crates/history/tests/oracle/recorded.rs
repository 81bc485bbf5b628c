//! What Spark's own History Server answered, kept with the logs it was asked about.
//!
//! Logs are as Spark wrote them; those that are derived from them are made again each time. Tier full asks the real server about the same logs and fails
//! where it answers something else; `STOKE_WRITE_RECORDS=1` beside it makes logs and record again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use crate::derive;
use crate::server::Answered;

/// Whether a question is in the record: every endpoint for everything there is, and one in sixteen of those with parameters.
pub fn wanted(url: &str) -> bool {
    !url.contains('?') || XxHash64::oneshot(0, url.as_bytes()).is_multiple_of(16)
}

/// Answers by what was asked.
pub type Answers = BTreeMap<String, Answered>;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// Files by their path.
    pub logs: BTreeMap<String, Vec<u8>>,
    /// Of each of [`crate::server::settings`].
    pub answers: Vec<Answers>,
}

impl Record {
    pub fn path() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/spark-4.1.4-answers.zstd")
    }

    pub fn read() -> Result<Record, String> {
        let path = Record::path();
        let failed = |why: String| format!("{}: {why}", path.display());
        let packed = fs::read(&path).map_err(|error| failed(error.to_string()))?;
        let bytes = zstd::decode_all(&packed[..]).map_err(|error| failed(error.to_string()))?;
        postcard::from_bytes(&bytes).map_err(|error| failed(error.to_string()))
    }

    pub fn write(&self) -> Result<(), String> {
        let bytes = postcard::to_stdvec(self).map_err(|error| error.to_string())?;
        let packed = zstd::encode_all(&bytes[..], 19).map_err(|error| error.to_string())?;
        fs::write(Record::path(), packed).map_err(|error| error.to_string())
    }

    /// The logs of these directories, and no answers yet.
    pub fn of(directories: &[PathBuf]) -> io::Result<Record> {
        let mut record = Record::default();
        for directory in directories {
            record.add(directory, directory)?;
        }
        Ok(record)
    }

    fn add(&mut self, root: &Path, directory: &Path) -> io::Result<()> {
        for file in fs::read_dir(directory)? {
            let path = file?.path();
            if path.is_dir() {
                self.add(root, &path)?;
                continue;
            }
            let name = path.strip_prefix(root).unwrap_or(&path);
            // Checksums of Hadoop's are not logs.
            if !name
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'))
            {
                self.logs.insert(name.to_string_lossy().into_owned(), fs::read(&path)?);
            }
        }
        Ok(())
    }

    /// Writes the logs and those derived from them below a directory, and says where.
    pub fn derived(&self, below: &Path) -> io::Result<PathBuf> {
        let (made, all) = (below.join("made"), below.join("all"));
        for (name, bytes) in &self.logs {
            let path = made.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&made))?;
            fs::write(path, bytes)?;
        }
        fs::create_dir(&all)?;
        derive::copy_and_derive(&[made], &all)?;
        date(&all)?;
        Ok(all)
    }
}

/// When a log was written last is part of what is answered.
fn date(directory: &Path) -> io::Result<()> {
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        if path.is_dir() {
            date(&path)?;
        }
        File::open(&path)?.set_modified(UNIX_EPOCH + Duration::from_secs(1_800_000_000))?;
    }
    Ok(())
}
