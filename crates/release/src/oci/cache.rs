//! Blobs by digest on this machine: one directory for any number of processes, with a limit on its size.
//!
//! `blobs/sha256/<hex>` is whole and right, always: a blob gets its name when its last byte was seen to be. `ingest/<hex>` is one that is on its way; who writes
//! it holds a lock on it, and what is left of one that was broken off is where the next download goes on. The time of a blob's last change is when it was used
//! last: those used longest ago go first when there are too many.

use std::fs::{File, FileTimes};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

use super::digest::{Digest, Hashing};
use super::error::{Kind, OciError, OciResult};
use super::model::Descriptor;

/// How long a download that was broken off is kept.
const BROKEN_OFF: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
    limit: u64,
}

/// A blob that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    pub used: SystemTime,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub blobs: u64,
    /// In bytes.
    pub freed: u64,
    /// What is still there, in bytes.
    pub kept: u64,
}

impl Cache {
    /// A cache in a directory, of at most this many bytes.
    ///
    /// # Errors
    /// A directory that cannot be made.
    pub fn open(directory: &Path, limit: u64) -> OciResult<Self> {
        for folder in ["blobs/sha256", "ingest"] {
            let path = directory.join(folder);
            std::fs::create_dir_all(&path).map_err(OciError::at(&path))?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            limit,
        })
    }

    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a blob is when it is there.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs/sha256").join(digest.hex())
    }

    /// A blob, when it is there. What was opened stays readable when it is removed.
    #[must_use]
    pub fn get(&self, descriptor: &Descriptor) -> Option<File> {
        let file = File::open(self.path(&descriptor.digest)).ok()?;
        if file.metadata().ok()?.len() != descriptor.size {
            return None;
        }
        // When it cannot be marked as used it goes sooner than it should, which costs a download.
        let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
        Some(file)
    }

    /// Keeps what is read, when it is what the descriptor says.
    ///
    /// # Errors
    /// Other content; a disk that is full.
    pub fn put(&self, descriptor: &Descriptor, mut content: impl Read, place: &str) -> OciResult<File> {
        if let Some(file) = self.get(descriptor) {
            return Ok(file);
        }
        let mut ingest = self.ingest(descriptor, true)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = content.read(&mut buffer).map_err(OciError::at(Path::new(place)))?;
            if count == 0 {
                return ingest.finish(place);
            }
            ingest.write(&buffer[..count], place)?;
        }
    }

    /// Takes a file of the cache's own file system over, which its writer summed up.
    ///
    /// # Errors
    /// A disk that cannot be written.
    pub fn adopt(&self, file: tempfile::NamedTempFile, digest: &Digest) -> OciResult<()> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(digest);
        let readable = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(readable).map_err(OciError::at(&path))?;
        super::layout::persist(file, &path)
    }

    /// Begins to take a blob in, or goes on where another left off. Waits for a process that is at it.
    ///
    /// # Errors
    /// A disk that cannot be written.
    pub fn ingest(&self, descriptor: &Descriptor, afresh: bool) -> OciResult<Ingest> {
        let path = self.directory.join("ingest").join(descriptor.digest.hex());
        let mut file = loop {
            let open = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path);
            let file = open.map_err(OciError::at(&path))?;
            flock(&file, FlockOperation::LockExclusive).map_err(|error| OciError::io(&path, &error.into()))?;
            // Who held the lock may have given the file its name, or removed it: then it is another file now.
            use std::os::unix::fs::MetadataExt;
            let mine = file.metadata().map_err(OciError::at(&path))?.ino();
            if path.metadata().is_ok_and(|there| there.ino() == mine) {
                break file;
            }
        };
        let mut sum = Hashing::new();
        let there = file.metadata().map_err(OciError::at(&path))?.len();
        if afresh || there > descriptor.size {
            file.set_len(0).map_err(OciError::at(&path))?;
        } else {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let count = file.read(&mut buffer).map_err(OciError::at(&path))?;
                if count == 0 {
                    break;
                }
                sum.update(&buffer[..count]);
            }
        }
        Ok(Ingest {
            target: self.path(&descriptor.digest),
            path,
            file,
            sum,
            descriptor: descriptor.clone(),
        })
    }

    /// What is kept, the one used longest ago first.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn list(&self) -> OciResult<Vec<Kept>> {
        let folder = self.directory.join("blobs/sha256");
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(OciError::at(&folder))? {
            let entry = entry.map_err(OciError::at(&folder))?;
            let Ok(digest) = format!("sha256:{}", entry.file_name().to_string_lossy()).parse() else {
                continue;
            };
            // Another process may have removed it.
            let Ok(meta) = entry.metadata() else { continue };
            all.push(Kept {
                digest,
                size: meta.len(),
                used: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            });
        }
        all.sort_by(|a, b| (a.used, &a.digest).cmp(&(b.used, &b.digest)));
        Ok(all)
    }

    /// Removes what was used longest ago until the rest fits into the cache's limit.
    ///
    /// # Errors
    /// A directory that cannot be read or written.
    pub fn fit(&self) -> OciResult<Swept> {
        self.prune(self.limit, SystemTime::now())
    }

    /// Removes what was used longest ago until at most `most` bytes are left, and downloads that were broken off a week ago (all of them, for 0 bytes).
    ///
    /// # Errors
    /// A directory that cannot be read or written.
    pub fn prune(&self, most: u64, now: SystemTime) -> OciResult<Swept> {
        let mut swept = Swept::default();
        let all = self.list()?;
        swept.kept = all.iter().map(|blob| blob.size).sum();
        for blob in all {
            if swept.kept <= most {
                break;
            }
            let path = self.path(&blob.digest);
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(OciError::io(&path, &error)),
            }
            swept.blobs += 1;
            swept.freed += blob.size;
            swept.kept -= blob.size;
        }
        let folder = self.directory.join("ingest");
        for entry in std::fs::read_dir(&folder).map_err(OciError::at(&folder))?.flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            let age = meta
                .modified()
                .ok()
                .and_then(|time| now.duration_since(time).ok())
                .unwrap_or_default();
            let Ok(file) = File::open(entry.path()) else { continue };
            // One that is being written is locked.
            let is_free = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
            if is_free && (most == 0 || age > BROKEN_OFF) && std::fs::remove_file(entry.path()).is_ok() {
                swept.blobs += 1;
                swept.freed += meta.len();
            }
        }
        Ok(swept)
    }
}

/// A blob on its way. Dropped unfinished, what has arrived stays for the next one; what was wrong does not.
#[derive(Debug)]
pub struct Ingest {
    path: PathBuf,
    target: PathBuf,
    file: File,
    sum: Hashing,
    descriptor: Descriptor,
}

impl Ingest {
    /// Bytes that are there.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.sum.count()
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// More than the blob has: all is dropped. A full disk: all is dropped.
    pub fn write(&mut self, bytes: &[u8], place: &str) -> OciResult<()> {
        if self.sum.count() + bytes.len() as u64 > self.descriptor.size {
            self.discard();
            let message = format!(
                "{place}: more than the {} bytes of {}",
                self.descriptor.size, self.descriptor.digest
            );
            return Err(OciError::new(Kind::Size, message));
        }
        if let Err(error) = self.file.write_all(bytes) {
            let error = OciError::io(&self.path, &error);
            if error.kind() == Kind::DiskFull {
                self.discard();
            }
            return Err(error);
        }
        self.sum.update(bytes);
        Ok(())
    }

    /// Begins again from nothing.
    ///
    /// # Errors
    /// A disk that cannot be written.
    pub fn restart(&mut self) -> OciResult<()> {
        self.file.set_len(0).map_err(OciError::at(&self.path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(OciError::at(&self.path))?;
        self.sum = Hashing::new();
        Ok(())
    }

    /// Gives it its name, when it is right.
    ///
    /// # Errors
    /// Too short: what is there stays. Another digest: all is dropped.
    pub fn finish(mut self, place: &str) -> OciResult<File> {
        let sum = std::mem::take(&mut self.sum);
        if let Err(error) = sum.check(&self.descriptor, place) {
            if error.kind() == Kind::Digest {
                self.discard();
            }
            return Err(error);
        }
        self.file.sync_data().map_err(OciError::at(&self.path))?;
        std::fs::rename(&self.path, &self.target).map_err(OciError::at(&self.target))?;
        File::open(&self.target).map_err(OciError::at(&self.target))
    }

    fn discard(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::oci::media;

    fn blob(byte: u8, size: usize) -> (Descriptor, Vec<u8>) {
        let bytes = vec![byte; size];
        (Descriptor::of(media::LAYER_GZIP, &bytes), bytes)
    }

    #[test]
    fn what_is_wrong_is_never_kept() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), 1 << 20).unwrap();
        let (wanted, bytes) = blob(1, 1000);
        let (_, other) = blob(2, 1000);
        for (content, kind) in [
            (&other[..], Kind::Digest),
            (&bytes[..999], Kind::Size),
            (&[1; 1001][..], Kind::Size),
        ] {
            assert_eq!(cache.put(&wanted, content, "here").unwrap_err().kind(), kind);
            assert!(cache.get(&wanted).is_none() && cache.list().unwrap().is_empty());
        }
        let mut text = Vec::new();
        cache
            .put(&wanted, &bytes[..], "here")
            .unwrap()
            .read_to_end(&mut text)
            .unwrap();
        assert_eq!(text, bytes);
    }

    #[test]
    fn a_broken_download_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), 1 << 20).unwrap();
        let (wanted, bytes) = blob(1, 1000);
        let mut first = cache.ingest(&wanted, false).unwrap();
        first.write(&bytes[..300], "here").unwrap();
        drop(first);
        let mut second = cache.ingest(&wanted, false).unwrap();
        assert_eq!(second.count(), 300);
        second.write(&bytes[300..], "here").unwrap();
        second.finish("here").unwrap();
        assert!(cache.get(&wanted).is_some());
        assert_eq!(std::fs::read_dir(directory.path().join("ingest")).unwrap().count(), 0);
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), 2500).unwrap();
        let blobs: Vec<_> = (0..4).map(|byte| blob(byte, 1000)).collect();
        for (at, (wanted, bytes)) in blobs.iter().enumerate() {
            let file = cache.put(wanted, &bytes[..], "here").unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(at as u64 * 100);
            file.set_times(FileTimes::new().set_modified(time)).unwrap();
        }
        cache.get(&blobs[0].0).unwrap();
        let swept = cache.fit().unwrap();
        assert_eq!(
            swept,
            Swept {
                blobs: 2,
                freed: 2000,
                kept: 2000
            }
        );
        let there: Vec<bool> = blobs.iter().map(|(wanted, _)| cache.get(wanted).is_some()).collect();
        assert_eq!(there, [true, false, false, true]);
        // One that is being written is not touched.
        let (wanted, _) = blob(9, 10);
        let mut ingest = cache.ingest(&wanted, false).unwrap();
        ingest.write(&[9; 5], "here").unwrap();
        cache.prune(0, SystemTime::now()).unwrap();
        ingest.write(&[9; 5], "here").unwrap();
        ingest.finish("here").unwrap();
    }

    #[test]
    fn processes_take_turns() {
        let directory = tempfile::tempdir().unwrap();
        let (wanted, bytes) = blob(7, 300_000);
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let cache = Cache::open(directory.path(), 1 << 30).unwrap();
                let (wanted, bytes) = (wanted.clone(), bytes.clone());
                std::thread::spawn(move || cache.put(&wanted, &bytes[..], "here").map(drop))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
        let cache = Cache::open(directory.path(), 1 << 30).unwrap();
        assert_eq!(cache.list().unwrap().len(), 1);
    }
}
