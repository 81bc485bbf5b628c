//! A place whose files are listed, read, written and deleted.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion};
use tokio::runtime::Handle;

use crate::{Entry, Objects, StorageError, Upload, Verb};

/// How often an update is tried again when others write the same file.
const UPDATES: usize = 20;

/// File of a directory that who replaces another one holds.
const LOCK: &str = ".lock";
/// How often, and how long each time, the lock of a directory is waited for.
const WAITS: usize = 500;
const WAIT: Duration = Duration::from_millis(20);

/// A bucket with a prefix, or a directory. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) prefix: Path,
    url: String,
    /// Where the store is, when it is a directory of this machine.
    directory: Option<PathBuf>,
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
        Self {
            store,
            prefix,
            url,
            directory: None,
        }
    }

    /// Says that the store is this directory, whose files are replaced under a lock.
    #[cfg(feature = "connect")]
    pub(crate) fn in_directory(mut self, directory: &std::path::Path) -> Self {
        self.directory = Some(directory.to_path_buf());
        self
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
        Self {
            directory: self.directory.clone(),
            ..Self::over(self.store.clone(), Path::from_iter(parts), format!("{url}{below}"))
        }
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
        Ok(without_markers(entries.collect()))
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

    /// The content of a file; none when it is not there.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn content(&self, path: &str) -> Result<Option<Bytes>, StorageError> {
        Ok(self.whole(path).await?.map(|(bytes, _)| bytes))
    }

    async fn whole(&self, path: &str) -> Result<Option<(Bytes, UpdateVersion)>, StorageError> {
        let failed = |cause| self.failed(Verb::Read, path, cause);
        let found = match self.store.get(&self.path(path)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(cause) => return Err(failed(cause)),
        };
        let version = UpdateVersion {
            e_tag: found.meta.e_tag.clone(),
            version: found.meta.version.clone(),
        };
        Ok(Some((found.bytes().await.map_err(failed)?, version)))
    }

    /// Replaces a file by what `made` makes of its content (none when it is not there). When another writer was faster, `made` is asked again with
    /// what that one wrote.
    ///
    /// # Errors
    /// What `made` says; the store does not answer, does not take it, or others were faster each time.
    pub async fn update<E: From<StorageError>>(
        &self,
        path: &str,
        mut made: impl FnMut(Option<Bytes>) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        for _ in 0..UPDATES {
            let (before, mode) = match self.whole(path).await? {
                Some(_) if self.directory.is_some() => {
                    if self.replace(path, &mut made).await? {
                        return Ok(());
                    }
                    continue;
                }
                Some((bytes, version)) => (Some(bytes), PutMode::Update(version)),
                None => (None, PutMode::Create),
            };
            let content = made(before)?;
            match self.store.put_opts(&self.path(path), content.into(), mode.into()).await {
                Ok(_) => return Ok(()),
                Err(object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. }) => {}
                Err(cause) => return Err(self.failed(Verb::Write, path, cause).into()),
            }
        }
        let cause = format!("others wrote it {UPDATES} times meanwhile");
        Err(StorageError::new(Verb::Write, self.shown(path), cause).into())
    }

    /// Replaces a file of this machine under the lock of its directory. False: it is not there any more.
    async fn replace<E: From<StorageError>>(
        &self,
        path: &str,
        made: &mut impl FnMut(Option<Bytes>) -> Result<Vec<u8>, E>,
    ) -> Result<bool, E> {
        let failed = |cause: std::io::Error| StorageError::new(Verb::Write, self.shown(path), cause);
        let whole = self.path(path);
        let root = self.directory.clone().unwrap_or_default();
        let file = root.join(whole.as_ref());
        let beside = file.parent().map_or(root, std::path::Path::to_path_buf);
        let lock = beside.join(LOCK);
        let lock = File::open(&lock).or_else(|_| File::create(&lock)).map_err(failed)?;
        let mut waits = 0;
        while let Err(error) = lock.try_lock() {
            if waits == WAITS {
                return Err(failed(error.into()).into());
            }
            waits += 1;
            tokio::time::sleep(WAIT).await;
        }
        let Some((before, _)) = self.whole(path).await? else {
            return Ok(false);
        };
        let content = made(Some(before))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let new = beside.join(format!(".{name}.{}.new", std::process::id()));
        let written = File::create(&new).and_then(|mut to| {
            to.write_all(&content)?;
            to.sync_all()?;
            std::fs::rename(&new, &file)
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written.map_err(failed)?;
        Ok(true)
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
        // As it stands, which is how a listing names it; only what cannot stand so is written otherwise.
        let below = Path::parse(below).unwrap_or_else(|_| Path::from(below));
        Path::from_iter(self.prefix.parts().chain(below.parts()))
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

/// Without the empty objects that stand for directories: Hadoop's connectors make `report/v1/` beside `report/v1/part-0.parquet`, and a listing has it without its
/// last slash.
fn without_markers(entries: Vec<Entry>) -> Vec<Entry> {
    let directories: HashSet<String> = entries
        .iter()
        .flat_map(|entry| entry.path.match_indices('/').map(|(at, _)| entry.path[..at].to_owned()))
        .collect();
    let is_marker = |entry: &Entry| entry.size == 0 && (entry.path.is_empty() || directories.contains(&entry.path));
    entries.into_iter().filter(|entry| !is_marker(entry)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    #[test]
    fn directories_are_not_files() {
        let entries = |all: &[(&str, u64)]| -> Vec<Entry> {
            let one = |(path, size): &(&str, u64)| Entry {
                path: (*path).to_owned(),
                size: *size,
                modified: 0,
                tag: None,
            };
            all.iter().map(one).collect()
        };
        for (listed, left) in [
            (
                &[("", 0), ("part-0.parquet", 9), ("_SUCCESS", 0)][..],
                &["part-0.parquet", "_SUCCESS"][..],
            ),
            (
                &[("a", 0), ("a/b", 0), ("a/b/c.csv", 4), ("ab", 0)],
                &["a/b/c.csv", "ab"],
            ),
            // The place is the file itself, or a file has the name of a directory.
            (&[("", 7)], &[""]),
            (&[("a", 3), ("a/b", 3)], &["a", "a/b"]),
            (&[("", 0)], &[]),
        ] {
            let found = without_markers(entries(listed));
            let found: Vec<&str> = found.iter().map(|entry| entry.path.as_str()).collect();
            assert_eq!(found, left, "{listed:?}");
        }
    }

    #[test]
    fn updates_at_the_same_time_are_all_kept() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let place = Place::over(Arc::new(InMemory::new()), Path::from("a"), "s3://lake/a".into());
        let add = |place: Place, letter: u8| async move {
            let made = |before: Option<Bytes>| -> Result<Vec<u8>, StorageError> {
                Ok([before.unwrap_or_default().as_ref(), &[letter]].concat())
            };
            place.update("log", made).await.unwrap();
        };
        runtime.block_on(async {
            let all: Vec<_> = (b'a'..=b'h')
                .map(|letter| tokio::spawn(add(place.clone(), letter)))
                .collect();
            for one in all {
                one.await.unwrap();
            }
            let mut content = place.content("log").await.unwrap().unwrap().to_vec();
            content.sort_unstable();
            assert_eq!(content, b"abcdefgh");
            assert!(place.content("other").await.unwrap().is_none());
            let refused: Result<(), StorageError> = place
                .update("log", |_| Err(StorageError::new(Verb::Read, "x", "no")))
                .await;
            assert_eq!(refused.unwrap_err().cause(), "no");
        });
    }

    #[test]
    fn listed_files_are_read_by_the_names_of_the_listing() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let place = Place::over(Arc::new(InMemory::new()), Path::from("a"), "s3://lake/a".into());
        runtime.block_on(async {
            for name in ["orders%2f%eu.jsonl", "b c/~d#.txt", "100%"] {
                place.write(name, name.as_bytes().to_vec()).await.unwrap();
            }
            let listed = place.list("").await.unwrap();
            assert_eq!(listed.len(), 3);
            for entry in listed {
                assert_eq!(
                    place.content(&entry.path).await.unwrap().unwrap(),
                    entry.path.as_bytes()
                );
            }
        });
    }

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
