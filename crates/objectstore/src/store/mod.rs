//! Buckets, objects and multipart uploads on a directory: `index.db` (SQLite) and `blobs/`.
//!
//! In: changes and reads as closures over the index. Out: what they return, once it is durable.
//! - an object is visible when its row is committed and not before; a reader has the old one or the new one, whole
//! - [`writer`] makes all changes, one sync for all that wait; reads go beside it, each on a connection of its own
//! - files that nothing names any longer stay for a minute, for readers in the midst of them
//!
//! Several processes may have one directory open (`stoke up` and a `stoke run` beside it). It never changes a file that is complete, and it
//! never removes one while it could be the one of a write in progress.

pub mod blobs;
pub mod buckets;
pub mod condition;
pub mod contents;
pub mod error;
pub mod list;
pub mod objects;
pub mod record;
mod schema;
pub mod uploads;
pub mod writer;

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use blobs::{Blobs, NewBlob};
use contents::{Entry, Piece};
use error::StoreError;
use writer::{Change, Writer};

/// Reading connections kept for the next reader.
const IDLE_READERS: usize = 8;
/// How long a file outlives the last object that names it, milliseconds.
const GRACE: i64 = 60_000;

/// Milliseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// An open store. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    index: PathBuf,
    sync: bool,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    blobs: Blobs,
    /// Shared by every process that has the store open.
    lock: File,
}

impl Store {
    /// Opens the store in `directory`, made if missing. With `sync`, what is acknowledged survives the loss of power; without, a killed
    /// process only.
    pub fn open(directory: &Path, sync: bool) -> Result<Store, StoreError> {
        let files = directory.join("blobs");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&files)?;
        let index = directory.join("index.db");
        let private = |path: &Path| {
            let mut options = std::fs::OpenOptions::new();
            options
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .mode(0o600)
                .open(path)
        };
        // SQLite makes its files beside it with the permissions this one has.
        drop(private(&index)?);
        let lock = private(&directory.join("lock"))?;
        let alone = lock.try_lock().is_ok();
        if !alone {
            lock.lock_shared()?;
        }
        let mut connection = schema::connect(&index, sync)?;
        let epoch = schema::open(&mut connection)?;
        let store = Store(Arc::new(Inner {
            index,
            sync,
            writer: Writer::start(connection)?,
            readers: Mutex::default(),
            blobs: Blobs::new(files, epoch, sync),
            lock,
        }));
        if alone {
            store.sweep_behind();
        }
        Ok(store)
    }

    /// Removes what killed processes left, while requests are served already; then lets other processes in.
    fn sweep_behind(&self) {
        let store = self.clone();
        std::thread::spawn(move || {
            let known = store.read_here(|index| {
                let mut select = index.prepare("SELECT id FROM blobs WHERE data IS NULL")?;
                let known = select
                    .query_map([], |row| row.get(0))?
                    .collect::<Result<HashSet<i64>, _>>()?;
                Ok(known)
            });
            match known.and_then(|known| Ok(store.0.blobs.sweep(&known)?)) {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "files of unfinished writes removed"),
                Err(error) => tracing::warn!(%error, "files of unfinished writes could not be looked for"),
            }
            let shared = store.0.lock.unlock().and_then(|()| store.0.lock.lock_shared());
            if let Err(error) = shared {
                tracing::warn!(%error, "the store's lock could not be shared");
            }
        });
    }

    fn reader(&self) -> Result<Connection, StoreError> {
        let idle = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| schema::connect(&self.0.index, self.0.sync), Ok)
    }

    /// Reads the index, on this thread.
    fn read_here<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let reader = self.reader()?;
        // One transaction, so that everything read is of one moment.
        reader.prepare_cached("BEGIN")?.execute([])?;
        let result = work(&reader);
        let ended = reader
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]));
        let mut idle = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.is_ok() && idle.len() < IDLE_READERS {
            idle.push(reader);
        }
        result
    }

    /// Reads the index at one moment.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let store = self.clone();
        let read = tokio::task::spawn_blocking(move || store.read_here(work));
        read.await.map_err(|error| StoreError::Internal(error.to_string()))?
    }

    /// Makes a change; it is durable when this returns.
    pub async fn change<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Change<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.0.writer.change(None, work).await
    }

    /// Makes a change with new bytes.
    pub async fn change_with<T, F>(&self, piece: Piece, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Change<'_>, Entry) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (blob, entry) = match piece {
            Piece::Inline(data) => (None, Entry::Inline(self.0.blobs.number(), data)),
            Piece::File(blob, size) => {
                let entry = Entry::File(blob.number(), size);
                (Some(blob), entry)
            }
        };
        self.0.writer.change(blob, move |change| work(change, entry)).await
    }

    /// Begins a file for new bytes.
    pub fn new_blob(&self) -> std::io::Result<NewBlob> {
        self.0.blobs.create()
    }

    /// Opens a file of the store.
    pub fn open_blob(&self, number: i64) -> std::io::Result<File> {
        self.0.blobs.open(number)
    }

    /// Removes files that nothing has named for a minute (or, in need, at all), and uploads begun before `oldest`.
    pub async fn tidy(&self, oldest: i64, in_need: bool) -> Result<(), StoreError> {
        self.change(move |change| uploads::expire(change, oldest)).await?;
        let before = now() - if in_need { 0 } else { GRACE };
        let dead = self
            .read(move |index| {
                let mut select = index.prepare_cached("SELECT id FROM blobs WHERE dead IS NOT NULL AND dead <= ?1")?;
                Ok(select
                    .query_map([before], |row| row.get(0))?
                    .collect::<Result<Vec<i64>, _>>()?)
            })
            .await?;
        if dead.is_empty() {
            return Ok(());
        }
        let store = self.clone();
        let removed = tokio::task::spawn_blocking(move || {
            let gone = |number: &i64| store.0.blobs.remove(*number).is_ok();
            dead.into_iter().filter(gone).collect::<Vec<i64>>()
        });
        let removed = removed.await.map_err(|error| StoreError::Internal(error.to_string()))?;
        // The row goes last: a file without a row would stay until the next sweep.
        self.change(move |change| {
            let mut delete = change
                .index
                .prepare_cached("DELETE FROM blobs WHERE id = ?1 AND dead IS NOT NULL")?;
            for number in removed {
                delete.execute([number])?;
            }
            Ok(())
        })
        .await
    }

    /// The directory's free and total bytes are none of ours; whether the index answers is.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.read(|index| Ok(index.query_row("SELECT count(*) FROM buckets", [], |_| Ok(()))?))
            .await
    }

    /// Writes everything that waits and closes the index for writing.
    pub fn close(&self) {
        self.0.writer.close();
        self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
