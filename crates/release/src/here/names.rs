//! What names and digests meant: a small file for each, replaced as a whole.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::accounts::Accounts;
use crate::oci::{Digest, Execution, OciError, OciResult, text};

#[derive(Debug, Clone)]
pub(super) struct Names {
    directory: PathBuf,
}

/// What is known of an image that was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// For this machine.
    pub manifest: Digest,
    pub execution: Execution,
    pub accounts: Accounts,
}

#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
    digest: Digest,
}

impl Names {
    pub(super) fn open(directory: &Path) -> OciResult<Self> {
        for folder in ["tags", "images"] {
            let path = directory.join(folder);
            std::fs::create_dir_all(&path).map_err(OciError::at(&path))?;
        }
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    fn tag(&self, name: &str) -> PathBuf {
        self.directory.join("tags").join(Digest::of(name.as_bytes()).hex())
    }

    fn image(&self, digest: &Digest) -> PathBuf {
        self.directory.join("images").join(digest.hex())
    }

    /// What a name meant when it was asked for last.
    pub(super) fn digest(&self, name: &str) -> OciResult<Option<Digest>> {
        Ok(read::<Named>(&self.tag(name))?.map(|named| named.digest))
    }

    pub(super) fn name(&self, name: &str, digest: &Digest) -> OciResult<()> {
        let named = Named {
            name: name.to_owned(),
            digest: digest.clone(),
        };
        write(&self.tag(name), &named)
    }

    /// Whether there was such a name.
    pub(super) fn forget(&self, name: &str) -> OciResult<bool> {
        let path = self.tag(name);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(OciError::io(&path, &error)),
        }
    }

    pub(super) fn all(&self) -> OciResult<Vec<(String, Digest)>> {
        let mut all = Vec::new();
        for path in files(&self.directory.join("tags"))? {
            all.extend(read::<Named>(&path)?.map(|named| (named.name, named.digest)));
        }
        all.sort();
        Ok(all)
    }

    pub(super) fn record(&self, digest: &Digest) -> OciResult<Option<Record>> {
        read(&self.image(digest))
    }

    pub(super) fn remember(&self, digest: &Digest, record: &Record) -> OciResult<()> {
        write(&self.image(digest), record)
    }

    /// Forgets images that are not wanted, and names that led to them.
    pub(super) fn keep(&self, wanted: impl Fn(&Record) -> bool) -> OciResult<()> {
        for path in files(&self.directory.join("images"))? {
            if read::<Record>(&path)?.is_some_and(|record| !wanted(&record)) {
                std::fs::remove_file(&path).map_err(OciError::at(&path))?;
            }
        }
        for (name, digest) in self.all()? {
            if self.record(&digest)?.is_none() {
                self.forget(&name)?;
            }
        }
        Ok(())
    }
}

fn files(folder: &Path) -> OciResult<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(OciError::at(folder))?.flatten();
    let whole = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    Ok(whole.map(|entry| entry.path()).collect())
}

/// What a file says. One that cannot be understood was written by another version, and says nothing: what it was is asked for again.
fn read<T: DeserializeOwned>(path: &Path) -> OciResult<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(OciError::io(path, &error)),
    }
}

fn write<T: Serialize>(path: &Path, value: &T) -> OciResult<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let file = tempfile::Builder::new()
        .prefix(".part-")
        .tempfile_in(folder)
        .map_err(OciError::at(folder))?;
    std::fs::write(file.path(), text(value)?).map_err(OciError::at(path))?;
    file.persist(path).map_err(|error| OciError::io(path, &error.error))?;
    Ok(())
}
