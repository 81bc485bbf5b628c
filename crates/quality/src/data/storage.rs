//! Where bytes come from: a local directory, or an object store under a prefix.
//!
//! Reading blocks, because checks run on threads; see [`Objects`].

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use stoke_storage::{Entry, Objects, StorageError};

/// A place with data.
#[derive(Clone, Debug)]
pub struct Storage(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Local(PathBuf),
    Objects(Objects),
}

impl Storage {
    /// A local file or directory.
    pub fn local(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Local(path.into()))
    }

    /// What an object store holds, or its one object of that name.
    pub fn objects(objects: Objects) -> Self {
        Self(Kind::Objects(objects))
    }

    /// The path, on a local disk.
    pub fn local_path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Local(path) => Some(path),
            Kind::Objects(_) => None,
        }
    }

    /// The place, for people.
    pub fn place(&self) -> String {
        match &self.0 {
            Kind::Local(path) => path.display().to_string(),
            Kind::Objects(objects) => objects.url().to_owned(),
        }
    }

    /// Another place, relative to this one (to the directory it is in, when it is a file), or absolute on a local disk.
    pub fn other(&self, path: &str) -> Self {
        match &self.0 {
            Kind::Local(here) => {
                let base = if here.is_file() {
                    here.parent().unwrap_or(here)
                } else {
                    here
                };
                Self::local(base.join(path))
            }
            Kind::Objects(objects) => Self::objects(objects.other(path)),
        }
    }

    /// All files there, sorted by path; at least one.
    ///
    /// # Errors
    /// When the place does not exist or cannot be listed.
    pub fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = self.files()?;
        if let (Kind::Objects(objects), true) = (&self.0, entries.is_empty()) {
            // The place may be one object, which a listing by prefix leaves out.
            entries.push(objects.head("").map_err(io::Error::other)?);
        }
        Ok(entries)
    }

    /// The files there, sorted by path; none where a store has none below that name.
    ///
    /// # Errors
    /// When a directory does not exist, or the place cannot be listed.
    pub fn files(&self) -> io::Result<Vec<Entry>> {
        let mut entries = match &self.0 {
            Kind::Local(path) => {
                let meta = std::fs::metadata(path)?;
                let mut entries = Vec::new();
                if meta.is_file() {
                    entries.push(Entry::of_file(String::new(), &meta));
                } else {
                    walk(path, "", &mut entries)?;
                }
                entries
            }
            Kind::Objects(objects) => objects.list().map_err(io::Error::other)?,
        };
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(entries)
    }

    /// The content of a file below; none when it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn content(&self, path: &str) -> io::Result<Option<Bytes>> {
        match &self.0 {
            Kind::Local(root) => match std::fs::read(root.join(path)) {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
            Kind::Objects(objects) => objects.content(path).map_err(io::Error::other),
        }
    }

    /// Replaces a file below as a whole by what `made` makes of its content. Writers at the same time lose nothing; `made` may be asked again.
    ///
    /// # Errors
    /// What `made` says; the file cannot be read or written.
    pub fn update<E: From<Unwritten>>(
        &self,
        path: &str,
        mut made: impl FnMut(Option<Bytes>) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        match &self.0 {
            Kind::Local(root) => {
                let _alone = locked(root).map_err(Unwritten::from)?;
                let content = made(self.content(path).map_err(Unwritten::from)?)?;
                replace(root, path, &content).map_err(Unwritten::from)?;
                Ok(())
            }
            Kind::Objects(objects) => {
                // What the store says and what `made` says are two things.
                let asked = objects.update(path, |before| made(before).map_err(Problem::Made));
                asked.map_err(|problem| match problem {
                    Problem::Made(error) => error,
                    Problem::Store(error) => Unwritten(error.cause().to_owned()).into(),
                })
            }
        }
    }

    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened. Errors of a store come with the first read.
    pub fn open(&self, entry: &Entry) -> io::Result<Blob> {
        let kind = match &self.0 {
            Kind::Local(path) if entry.path.is_empty() => BlobKind::File(Arc::new(File::open(path)?)),
            Kind::Local(path) => BlobKind::File(Arc::new(File::open(path.join(&entry.path))?)),
            Kind::Objects(objects) => BlobKind::Object {
                objects: objects.clone(),
                path: entry.path.clone(),
            },
        };
        Ok(Blob { kind, size: entry.size })
    }
}

/// Why a file could not be replaced.
#[derive(Debug, Clone)]
pub struct Unwritten(pub String);

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

enum Problem<E> {
    Made(E),
    Store(StorageError),
}

impl<E> From<StorageError> for Problem<E> {
    fn from(error: StorageError) -> Self {
        Self::Store(error)
    }
}

/// File of a directory that who replaces another one holds.
const LOCK: &str = ".lock";

/// The lock of a directory, as long as it is kept.
fn locked(directory: &Path) -> io::Result<File> {
    let path = directory.join(LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(_) => File::create(&path)?,
    };
    file.lock()?;
    Ok(file)
}

fn replace(directory: &Path, path: &str, content: &[u8]) -> io::Result<()> {
    // As the user's mask says: others than who writes it may be to read it.
    let readable = Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().permissions(readable).tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(directory.join(path)).map_err(|error| error.error)?;
    Ok(())
}

fn walk(root: &Path, below: &str, entries: &mut Vec<Entry>) -> io::Result<()> {
    for file in std::fs::read_dir(root.join(below))? {
        let file = file?;
        let Ok(name) = file.file_name().into_string() else {
            return Err(io::Error::other(format!(
                "the name {:?} is not UTF-8",
                file.file_name()
            )));
        };
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        // Symbolic links are followed to files, not to directories, which could be a circle.
        let meta = match std::fs::metadata(file.path()) {
            Ok(meta) => meta,
            // It is gone since the directory was read; a link that leads nowhere is not.
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.path().symlink_metadata().is_err() => {
                continue;
            }
            Err(error) => return Err(error),
        };
        if meta.is_file() {
            entries.push(Entry::of_file(path, &meta));
        } else if meta.is_dir() && !file.file_type()?.is_symlink() {
            walk(root, &path, entries)?;
        }
    }
    Ok(())
}

/// An open file. Clones read the same file, at the same time.
#[derive(Clone, Debug)]
pub struct Blob {
    kind: BlobKind,
    size: u64,
}

#[derive(Clone, Debug)]
enum BlobKind {
    File(Arc<File>),
    Object { objects: Objects, path: String },
}

impl Blob {
    /// A stretch of it.
    ///
    /// # Errors
    /// When it cannot be read, or ends before.
    pub fn range(&self, start: u64, length: usize) -> io::Result<Bytes> {
        match &self.kind {
            BlobKind::File(file) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, start)?;
                Ok(bytes.into())
            }
            BlobKind::Object { objects, path } => objects.range(path, start, length),
        }
    }

    /// From an offset to the end.
    pub fn reader(&self, start: u64) -> Pieces {
        match &self.kind {
            BlobKind::File(file) => Pieces::File {
                file: file.clone(),
                at: start,
                end: self.size,
            },
            BlobKind::Object { objects, path } => Pieces::Object(objects.reader(path, start, self.size)),
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn all(&self) -> io::Result<Bytes> {
        self.range(0, usize::try_from(self.size).map_err(io::Error::other)?)
    }
}

/// A file read in order: a local one directly, an object by requests for pieces that grow.
#[derive(Debug)]
pub enum Pieces {
    /// A local file; clones of it are read elsewhere at the same time.
    File {
        file: Arc<File>,
        /// Offset of the next byte.
        at: u64,
        /// Where it ends.
        end: u64,
    },
    Object(stoke_storage::Pieces),
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File { file, at, end } => {
                let left = end.saturating_sub(*at);
                let most = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let read = file.read_at(&mut into[..most], *at)?;
                *at += read as u64;
                Ok(read)
            }
            Self::Object(pieces) => pieces.read(into),
        }
    }
}

impl parquet::file::reader::Length for Blob {
    fn len(&self) -> u64 {
        self.size
    }
}

impl parquet::file::reader::ChunkReader for Blob {
    type T = io::BufReader<Pieces>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(io::BufReader::new(self.reader(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        Ok(self.range(start, length)?)
    }
}
