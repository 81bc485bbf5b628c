//! Where bytes come from: a local directory, or an object store under a prefix.
//!
//! Reading blocks, because checks run on threads. Over an object store each read waits for a request of the given runtime; do not call from one of its
//! own asynchronous tasks.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;

/// Bytes fetched from an object store by the first request of a reader, which may want a header only, and by later ones at most.
const PIECES: (u64, u64) = (64 << 10, 8 << 20);

/// A file of some data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Path below the place, parts separated by `/`; empty when the place is the file itself.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// A place with data.
#[derive(Clone, Debug)]
pub struct Storage(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Local(PathBuf),
    Store {
        store: Arc<dyn ObjectStore>,
        prefix: ObjectPath,
        runtime: Handle,
    },
}

impl Storage {
    /// A local file or directory.
    pub fn local(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Local(path.into()))
    }

    /// What an object store holds under `prefix`, or the one object of that name. Requests run on `runtime`.
    pub fn store(store: Arc<dyn ObjectStore>, prefix: ObjectPath, runtime: Handle) -> Self {
        Self(Kind::Store { store, prefix, runtime })
    }

    /// The path, on a local disk.
    pub fn local_path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Local(path) => Some(path),
            Kind::Store { .. } => None,
        }
    }

    /// The place, for people.
    pub fn place(&self) -> String {
        match &self.0 {
            Kind::Local(path) => path.display().to_string(),
            Kind::Store { store, prefix, .. } => format!("{store}/{prefix}"),
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
            Kind::Store { store, prefix, runtime } => {
                let mut parts: Vec<String> = prefix.parts().map(|part| part.as_ref().to_owned()).collect();
                for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
                    if part == ".." {
                        parts.pop();
                    } else {
                        parts.push(part.to_owned());
                    }
                }
                Self::store(store.clone(), ObjectPath::from_iter(parts), runtime.clone())
            }
        }
    }

    /// All files there, sorted by path.
    ///
    /// # Errors
    /// When the place does not exist or cannot be listed.
    pub fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = match &self.0 {
            Kind::Local(path) => {
                let meta = std::fs::metadata(path)?;
                let mut entries = Vec::new();
                if meta.is_file() {
                    entries.push(Entry {
                        path: String::new(),
                        size: meta.len(),
                    });
                } else {
                    walk(path, "", &mut entries)?;
                }
                entries
            }
            Kind::Store { store, prefix, runtime } => {
                runtime.block_on(list_store(store, prefix)).map_err(io::Error::other)?
            }
        };
        entries.sort();
        Ok(entries)
    }

    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened. Errors of a store come with the first read.
    pub fn open(&self, entry: &Entry) -> io::Result<Blob> {
        let kind = match &self.0 {
            Kind::Local(path) if entry.path.is_empty() => BlobKind::File(Arc::new(File::open(path)?)),
            Kind::Local(path) => BlobKind::File(Arc::new(File::open(path.join(&entry.path))?)),
            Kind::Store { store, prefix, runtime } => BlobKind::Object {
                store: store.clone(),
                path: ObjectPath::from_iter(prefix.parts().chain(ObjectPath::from(entry.path.as_str()).parts())),
                runtime: runtime.clone(),
            },
        };
        Ok(Blob { kind, size: entry.size })
    }
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
        let meta = std::fs::metadata(file.path())?;
        if meta.is_file() {
            entries.push(Entry { path, size: meta.len() });
        } else if meta.is_dir() && !file.file_type()?.is_symlink() {
            walk(root, &path, entries)?;
        }
    }
    Ok(())
}

async fn list_store(store: &Arc<dyn ObjectStore>, prefix: &ObjectPath) -> object_store::Result<Vec<Entry>> {
    let all: Vec<_> = store.list(Some(prefix)).try_collect().await?;
    let below = |location: &ObjectPath| {
        let parts = location.prefix_match(prefix)?;
        Some(
            parts
                .map(|part| part.as_ref().to_owned())
                .collect::<Vec<String>>()
                .join("/"),
        )
    };
    let mut entries: Vec<Entry> = all
        .into_iter()
        .filter_map(|meta| {
            Some(Entry {
                path: below(&meta.location)?,
                size: meta.size,
            })
        })
        .collect();
    if entries.is_empty() {
        // The place may be one object, which a listing by prefix leaves out.
        let meta = store.head(prefix).await?;
        entries.push(Entry {
            path: String::new(),
            size: meta.size,
        });
    }
    Ok(entries)
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
    Object {
        store: Arc<dyn ObjectStore>,
        path: ObjectPath,
        runtime: Handle,
    },
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
            BlobKind::Object { store, path, runtime } => {
                let range = start..start + length as u64;
                let bytes = runtime
                    .block_on(store.get_range(path, range))
                    .map_err(io::Error::other)?;
                if bytes.len() == length {
                    Ok(bytes)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                }
            }
        }
    }

    /// From an offset to the end.
    pub fn reader(&self, start: u64) -> Pieces {
        Pieces {
            blob: self.clone(),
            at: start,
            piece: Bytes::new(),
            next: PIECES.0,
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
pub struct Pieces {
    blob: Blob,
    at: u64,
    piece: Bytes,
    next: u64,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.blob.size.saturating_sub(self.at);
        if let BlobKind::File(file) = &self.blob.kind {
            let most = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = file.read_at(&mut into[..most], self.at)?;
            self.at += read as u64;
            return Ok(read);
        }
        if self.piece.is_empty() {
            let left = left.min(self.next);
            if left == 0 {
                return Ok(0);
            }
            self.next = (self.next * 2).min(PIECES.1);
            self.piece = self
                .blob
                .range(self.at, usize::try_from(left).map_err(io::Error::other)?)?;
            self.at += left;
        }
        let take = into.len().min(self.piece.len());
        into[..take].copy_from_slice(&self.piece.split_to(take));
        Ok(take)
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
