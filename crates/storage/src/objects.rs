//! A place for threads: each read waits for a request. Not to be called from an asynchronous task of the same runtime.

use std::io::{self, Read};

use bytes::Bytes;
use object_store::ObjectStoreExt;
use tokio::runtime::Handle;

use crate::{Entry, Place, StorageError, Verb};

/// Bytes of the first request of a reader, which may want a header only, and of later ones at most.
const PIECES: (u64, u64) = (64 << 10, 8 << 20);

/// What a store holds at a place. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Objects {
    place: Place,
    runtime: Handle,
}

impl Objects {
    pub(crate) fn new(place: Place, runtime: Handle) -> Self {
        Self { place, runtime }
    }

    /// Its URL, without the last slash.
    #[must_use]
    pub fn url(&self) -> &str {
        self.place.url()
    }

    /// Another place of the same store; `..` goes up.
    #[must_use]
    pub fn other(&self, path: &str) -> Self {
        Self::new(self.place.other(path), self.runtime.clone())
    }

    /// The files there.
    ///
    /// # Errors
    /// The store does not answer.
    pub fn list(&self) -> Result<Vec<Entry>, StorageError> {
        self.runtime.block_on(self.place.list(""))
    }

    /// The file of this name; an empty name is the place itself.
    ///
    /// # Errors
    /// It is not there, or the store does not answer.
    pub fn head(&self, path: &str) -> Result<Entry, StorageError> {
        self.runtime.block_on(self.place.head(path))
    }

    /// A stretch of a file.
    ///
    /// # Errors
    /// It ends before, or the store does not answer.
    pub fn range(&self, path: &str, start: u64, length: usize) -> io::Result<Bytes> {
        let bytes = self.up_to(path, start, length)?;
        match bytes.len() == length {
            true => Ok(bytes),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn up_to(&self, path: &str, start: u64, length: usize) -> io::Result<Bytes> {
        let range = start..start.saturating_add(length as u64);
        let object = self.place.path(path);
        let fetched = self.runtime.block_on(self.place.store.get_range(&object, range));
        fetched.map_err(|cause| io::Error::other(self.place.failed(Verb::Read, path, cause)))
    }

    /// The bytes of a file between two places in it, by requests that grow.
    #[must_use]
    pub fn reader(&self, path: &str, start: u64, end: u64) -> Pieces {
        Pieces {
            objects: self.clone(),
            path: path.to_owned(),
            at: start,
            end,
            piece: Bytes::new(),
            next: PIECES.0,
        }
    }

    /// The content of a file; none when it is not there.
    ///
    /// # Errors
    /// The store does not answer.
    pub fn content(&self, path: &str) -> Result<Option<Bytes>, StorageError> {
        self.runtime.block_on(self.place.content(path))
    }

    /// Replaces a file as [`Place::update`] does.
    ///
    /// # Errors
    /// As there.
    pub fn update<E: From<StorageError>>(
        &self,
        path: &str,
        made: impl FnMut(Option<Bytes>) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        self.runtime.block_on(self.place.update(path, made))
    }

    /// Deletes a file; one that is gone already is deleted.
    ///
    /// # Errors
    /// The store does not do it.
    pub fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.runtime.block_on(self.place.delete(path))
    }
}

/// A file read in order.
#[derive(Debug)]
pub struct Pieces {
    objects: Objects,
    path: String,
    at: u64,
    end: u64,
    piece: Bytes,
    next: u64,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            let length = self.end.saturating_sub(self.at).min(self.next);
            if length == 0 {
                return Ok(0);
            }
            self.next = (self.next * 2).min(PIECES.1);
            let length = usize::try_from(length).map_err(io::Error::other)?;
            self.piece = self.objects.up_to(&self.path, self.at, length)?;
            self.at += self.piece.len() as u64;
        }
        let take = into.len().min(self.piece.len());
        into[..take].copy_from_slice(&self.piece.split_to(take));
        Ok(take)
    }
}
