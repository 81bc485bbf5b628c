//! A place whose files are listed, read, written and deleted.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;

use crate::{Entry, Objects, StorageError, Upload, Verb};

/// A bucket with a prefix, or a directory. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) prefix: Path,
    url: String,
}

/// By its URL: the store inside may hold credentials.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.url)
    }
}

impl Place {
    /// A place in a store that is there already, shown to people as `url`.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>, prefix: Path, url: String) -> Self {
        Self { store, prefix, url }
    }

    /// Its URL, without the last slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same place for threads, whose reads wait for requests on `runtime`.
    #[must_use]
    pub fn on(&self, runtime: Handle) -> Objects {
        Objects::new(self.clone(), runtime)
    }

    /// Another place of the same store; `..` goes up.
    #[must_use]
    pub fn other(&self, path: &str) -> Self {
        let mut parts: Vec<String> = self.prefix.parts().map(|part| part.as_ref().to_owned()).collect();
        let mut url = self.url.as_str();
        let mut below = String::new();
        for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." {
                if below.is_empty() && parts.pop().is_some() {
                    url = url.rsplit_once('/').map_or(url, |(up, _)| up);
                } else {
                    parts.pop();
                    below.truncate(below.rfind('/').unwrap_or(0));
                }
            } else {
                parts.push(part.to_owned());
                below.push('/');
                below.push_str(part);
            }
        }
        Self::over(self.store.clone(), Path::from_iter(parts), format!("{url}{below}"))
    }

    /// The files below `directory`, a path below this place; in no order.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn list(&self, directory: &str) -> Result<Vec<Entry>, StorageError> {
        let below = self.path(directory);
        let found: object_store::Result<Vec<_>> = self.store.list(Some(&below)).try_collect().await;
        let found = found.map_err(|cause| self.failed(Verb::List, directory, cause))?;
        let entries = found.into_iter().filter_map(|meta| {
            let parts = meta.location.prefix_match(&below)?;
            let path: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
            Some(Entry {
                path: path.join("/"),
                size: meta.size,
                modified: meta.last_modified.timestamp_millis(),
                tag: meta.e_tag,
            })
        });
        Ok(entries.collect())
    }

    /// The file of this name.
    ///
    /// # Errors
    /// It is not there, or the store does not answer.
    pub async fn head(&self, path: &str) -> Result<Entry, StorageError> {
        let found = self.store.head(&self.path(path)).await;
        let meta = found.map_err(|cause| self.failed(Verb::Read, path, cause))?;
        Ok(Entry {
            path: path.to_owned(),
            size: meta.size,
            modified: meta.last_modified.timestamp_millis(),
            tag: meta.e_tag,
        })
    }

    /// The bytes of a file as they come.
    ///
    /// # Errors
    /// It is not there, or the store does not answer.
    pub async fn read(&self, path: &str) -> Result<BoxStream<'static, Result<Bytes, StorageError>>, StorageError> {
        let found = self.store.get(&self.path(path)).await;
        let found = found.map_err(|cause| self.failed(Verb::Read, path, cause))?;
        let shown = self.shown(path);
        let failed = move |cause| StorageError::new(Verb::Read, shown.clone(), cause);
        Ok(found.into_stream().map_err(failed).boxed())
    }

    /// Writes a file; one of that name is replaced.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn write(&self, path: &str, bytes: impl Into<PutPayload>) -> Result<(), StorageError> {
        let put = self.store.put(&self.path(path), bytes.into()).await;
        put.map(drop).map_err(|cause| self.failed(Verb::Write, path, cause))
    }

    /// Writes a file part by part.
    #[must_use]
    pub fn upload(&self, path: &str) -> Upload {
        Upload::new(self.store.clone(), self.path(path), self.shown(path))
    }

    /// Deletes a file; one that is gone already is deleted.
    ///
    /// # Errors
    /// The store does not do it.
    pub async fn delete(&self, path: &str) -> Result<(), StorageError> {
        match self.store.delete(&self.path(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.failed(Verb::Delete, path, cause)),
        }
    }

    pub(crate) fn path(&self, below: &str) -> Path {
        Path::from_iter(self.prefix.parts().chain(Path::from(below).parts()))
    }

    pub(crate) fn shown(&self, path: &str) -> String {
        match path.is_empty() {
            true => self.url.clone(),
            false => format!("{}/{path}", self.url),
        }
    }

    pub(crate) fn failed(&self, verb: Verb, path: &str, cause: object_store::Error) -> StorageError {
        StorageError::new(verb, self.shown(path), cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    #[test]
    fn other_places_are_shown_by_their_url() {
        let place = Place::over(Arc::new(InMemory::new()), Path::from("a/b"), "s3://lake/a/b".into());
        for (path, url, prefix) in [
            ("c", "s3://lake/a/b/c", "a/b/c"),
            ("../c", "s3://lake/a/c", "a/c"),
            ("./c/../d/e", "s3://lake/a/b/d/e", "a/b/d/e"),
            ("../../../x", "s3://lake/x", "x"),
        ] {
            let other = place.other(path);
            assert_eq!((other.url(), other.prefix.as_ref()), (url, prefix), "{path}");
        }
    }
}
