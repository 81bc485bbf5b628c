//! Files that hold the bytes of larger objects and parts. A file is written once, under a number never used before, and never changed.
//!
//! A file belongs to the store when the index has a row for its number; any other file is what a killed process left and is swept
//! by the next process that finds itself alone.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, Ordering};

/// Low bits of a number that count within one opening of the store; the bits above say which opening.
const COUNTER_BITS: u32 = 32;
/// Numbers whose files share a directory, as a power of two.
const DIRECTORY_BITS: u32 = 12;
/// Bytes gathered before they are written.
const BUFFER: usize = 256 << 10;

/// The directory of files.
#[derive(Debug)]
pub struct Blobs {
    directory: PathBuf,
    next: AtomicI64,
    sync: bool,
    /// The directory made last, so that it is made and synced once.
    made: Mutex<Option<PathBuf>>,
}

impl Blobs {
    /// Files under `directory`, numbered within `epoch`, a number no other opening of this store has had.
    /// With `sync` a file and its directory entry are on the disk before [`NewBlob::finish`] returns.
    pub fn new(directory: PathBuf, epoch: i64, sync: bool) -> Self {
        Blobs {
            directory,
            next: AtomicI64::new(epoch << COUNTER_BITS),
            sync,
            made: Mutex::new(None),
        }
    }

    /// A number for bytes that are kept in the index itself.
    pub fn number(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn path(&self, number: i64) -> PathBuf {
        self.directory
            .join(format!("{:x}", number >> DIRECTORY_BITS))
            .join(format!("{number:x}"))
    }

    /// Begins a file.
    pub fn create(&self) -> io::Result<NewBlob> {
        let number = self.number();
        let path = self.path(number);
        let parent = path.parent().unwrap_or(&self.directory).to_path_buf();
        {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            if made.as_ref() != Some(&parent) {
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&parent)?;
                if self.sync {
                    File::open(&self.directory)?.sync_all()?;
                }
                *made = Some(parent.clone());
            }
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(NewBlob {
            number,
            parent,
            sync: self.sync,
            file: Some(BufWriter::with_capacity(BUFFER, file)),
            path: Some(path),
        })
    }

    /// Opens a file for reading.
    pub fn open(&self, number: i64) -> io::Result<File> {
        File::open(self.path(number))
    }

    /// Removes a file; one that is gone already is not an error.
    pub fn remove(&self, number: i64) -> io::Result<()> {
        match std::fs::remove_file(self.path(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes files of earlier openings that the index does not know. Returns how many. Only for the one process that has the store.
    pub fn sweep(&self, known: &HashSet<i64>) -> io::Result<usize> {
        let current = self.next.load(Ordering::Relaxed) >> COUNTER_BITS;
        let mut removed = 0;
        for directory in entries(&self.directory)? {
            for path in entries(&directory)? {
                let number = path
                    .file_name()
                    .and_then(|name| i64::from_str_radix(&name.to_string_lossy(), 16).ok());
                let orphan = number.is_some_and(|number| number >> COUNTER_BITS < current && !known.contains(&number));
                if orphan && std::fs::remove_file(&path).is_ok() {
                    removed += 1;
                }
            }
            // Only an empty directory goes, and one that is in use is made again.
            if self.made.lock().unwrap_or_else(PoisonError::into_inner).as_ref() != Some(&directory) {
                let _ = std::fs::remove_dir(&directory);
            }
        }
        Ok(removed)
    }
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(directory) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A file being written. Dropped before [`NewBlob::keep`], it is removed.
#[derive(Debug)]
pub struct NewBlob {
    number: i64,
    parent: PathBuf,
    sync: bool,
    file: Option<BufWriter<File>>,
    path: Option<PathBuf>,
}

impl NewBlob {
    pub fn number(&self) -> i64 {
        self.number
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => Err(io::Error::other("the file is finished")),
        }
    }

    /// Ends the file and sees it safely on the disk.
    pub fn finish(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        if self.sync {
            file.sync_data()?;
            File::open(&self.parent)?.sync_all()?;
        }
        Ok(())
    }

    /// The index knows it now.
    pub fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for NewBlob {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_kept_is_removed_and_one_that_is_kept_can_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(directory.path().join("blobs"), 1, true);
        let mut kept = blobs.create().unwrap();
        kept.write(b"abc").unwrap();
        kept.finish().unwrap();
        let number = kept.number();
        kept.keep();
        let dropped = blobs.create().unwrap();
        let gone = dropped.number();
        drop(dropped);
        assert_eq!(io::read_to_string(blobs.open(number).unwrap()).unwrap(), "abc");
        assert!(blobs.open(gone).is_err());
        blobs.remove(number).unwrap();
        blobs.remove(number).unwrap();
        assert!(blobs.open(number).is_err());
    }

    #[test]
    fn the_sweep_takes_only_unknown_files_of_earlier_openings() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("blobs");
        let make = |blobs: &Blobs| {
            let mut blob = blobs.create().unwrap();
            blob.finish().unwrap();
            let number = blob.number();
            blob.keep();
            number
        };
        let earlier = Blobs::new(root.clone(), 1, false);
        let (known, orphan) = (make(&earlier), make(&earlier));
        let now = Blobs::new(root, 2, false);
        let fresh = make(&now);
        assert_eq!(now.sweep(&HashSet::from([known])).unwrap(), 1);
        assert!(now.open(known).is_ok() && now.open(fresh).is_ok() && now.open(orphan).is_err());
    }
}
