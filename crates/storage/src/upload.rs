//! A file that is written part by part: small ones by one request, others by a multipart upload.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};

use crate::{StorageError, Verb};

/// The smallest part S3 takes but for the last, in bytes.
const PART: usize = 5 << 20;

/// A file being written. It is there, and replaces one of its name, when [`Upload::finish`] has returned.
pub struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    shown: String,
    begun: Option<Box<dyn MultipartUpload>>,
    held: Vec<u8>,
    stored: u64,
}

impl Upload {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: Path, shown: String) -> Self {
        Self {
            store,
            path,
            shown,
            begun: None,
            held: Vec::new(),
            stored: 0,
        }
    }

    /// Adds bytes; sends them once they are enough for a part.
    ///
    /// # Errors
    /// The store does not take them. [`Upload::give_up`] then frees what it holds.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.held.extend_from_slice(bytes);
        match self.held.len() >= PART {
            true => self.send().await,
            false => Ok(()),
        }
    }

    async fn send(&mut self) -> Result<(), StorageError> {
        let part = std::mem::take(&mut self.held);
        self.stored += part.len() as u64;
        let shown = &self.shown;
        let failed = |cause| StorageError::new(Verb::Write, shown.clone(), cause);
        let upload = match &mut self.begun {
            Some(upload) => upload,
            none => none.insert(self.store.put_multipart(&self.path).await.map_err(failed)?),
        };
        upload.put_part(part.into()).await.map_err(failed)
    }

    /// Makes the file be there; gives its size in bytes.
    ///
    /// # Errors
    /// The store does not take it; nothing is left of it.
    pub async fn finish(mut self) -> Result<u64, StorageError> {
        if self.begun.is_none() {
            let rest = std::mem::take(&mut self.held);
            let stored = rest.len() as u64;
            let put = self.store.put(&self.path, rest.into()).await;
            return put
                .map(|_| stored)
                .map_err(|cause| StorageError::new(Verb::Write, self.shown, cause));
        }
        let rest = match self.held.is_empty() {
            true => Ok(()),
            false => self.send().await,
        };
        let whole = match rest {
            Ok(()) => match &mut self.begun {
                Some(upload) => upload.complete().await.map(drop),
                None => Ok(()),
            }
            .map_err(|cause| StorageError::new(Verb::Write, self.shown.clone(), cause)),
            Err(error) => Err(error),
        };
        if let Err(error) = whole {
            self.give_up().await;
            return Err(error);
        }
        Ok(self.stored)
    }

    /// No one pays for parts of an object that never was.
    pub async fn give_up(mut self) {
        if let Some(mut upload) = self.begun.take() {
            // It is given up all the same; stores collect what is left by their own rules.
            let _ = upload.abort().await;
        }
    }
}
