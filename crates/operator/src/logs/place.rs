//! Where logs are kept: a bucket with a prefix, or a directory.

use std::io::Write;
use std::sync::Arc;

use flate2::write::MultiGzDecoder;
use futures::TryStreamExt;
use jiff::Timestamp;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::clouds;

/// A place for logs. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Its URL without the last slash.
    url: String,
}

/// By its URL: the store inside may hold credentials.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({})", self.url)
    }
}

/// Why logs cannot be kept there, or what is kept cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Not a URL of a kind that is known.
    #[error(
        "`{0}` is no place for logs: write s3://bucket/prefix, gs://bucket/prefix, abfss://container@account.dfs.core.windows.net/prefix or file:///directory"
    )]
    Unknown(String),
    /// The store refused its settings, or did not answer.
    #[error("{url}: {cause}")]
    Store {
        /// Which place.
        url: String,
        /// The store's message.
        cause: object_store::Error,
    },
    /// The directory cannot be used.
    #[error("{url}: {cause}")]
    Directory {
        /// Which place.
        url: String,
        /// The system's message.
        cause: std::io::Error,
    },
}

impl PlaceError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "stoke::logs::place",
            Self::Store { .. } => "stoke::logs::store",
            Self::Directory { .. } => "stoke::logs::directory",
        }
    }
}

/// One kept log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Directory of its run: `<attempt>-<trace id>`.
    pub run: String,
    /// Name in that directory: `<pod>.log.gz`, or `<pod>.<container>.log.gz` for a container beside Spark's.
    pub file: String,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// Bytes, compressed.
    pub size: u64,
    path: Path,
}

impl Kept {
    /// Which attempt of the application it is of.
    #[must_use]
    pub fn attempt(&self) -> Option<u32> {
        self.run.split('-').next()?.parse().ok()
    }
}

impl Place {
    /// The place at this URL: `file:///directory`, `s3://bucket/prefix`, `gs://bucket/prefix` or `abfss://container@account.dfs.core.windows.net/prefix`,
    /// reached by what `variables` say of that cloud (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `AWS_WEB_IDENTITY_TOKEN_FILE`, …;
    /// `GOOGLE_APPLICATION_CREDENTIALS`, …; `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_FEDERATED_TOKEN_FILE`, …).
    ///
    /// # Errors
    /// Another URL; variables that contradict each other; a directory that cannot be made.
    pub fn open(url: &str, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, PlaceError> {
        let unknown = || PlaceError::Unknown(url.to_owned());
        let shown = url.trim_end_matches('/').to_owned();
        if let Some(directory) = url.strip_prefix("file://") {
            if !directory.starts_with('/') {
                return Err(unknown());
            }
            std::fs::create_dir_all(directory).map_err(|cause| PlaceError::Directory {
                url: shown.clone(),
                cause,
            })?;
            let store = LocalFileSystem::new_with_prefix(directory).map_err(|cause| PlaceError::Store {
                url: shown.clone(),
                cause,
            })?;
            return Ok(Self::over(Arc::new(store), Path::default(), shown));
        }
        let variables: Vec<_> = variables.into_iter().collect();
        let opened = clouds::open(url, &variables).ok_or_else(unknown)?;
        let (store, prefix) = opened.map_err(|cause| PlaceError::Store {
            url: shown.clone(),
            cause,
        })?;
        Ok(Self::over(store, prefix, shown))
    }

    /// A place in a store that is there already, shown to people as `url`.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>, prefix: Path, url: String) -> Self {
        Self { store, prefix, url }
    }

    /// The store behind it and the prefix in it, for those who keep something else there.
    #[must_use]
    pub fn store_and_prefix(&self) -> (Arc<dyn ObjectStore>, Path) {
        (self.store.clone(), self.prefix.clone())
    }

    pub(super) fn store(&self) -> &dyn ObjectStore {
        self.store.as_ref()
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Path of an object below it; parts are names of Kubernetes objects.
    pub(super) fn path(&self, parts: &[&str]) -> Path {
        parts.iter().fold(self.prefix.clone(), |path, part| path.join(*part))
    }

    /// All kept logs of the applications of this name in this namespace, the latest last.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn list(&self, namespace: &str, application: &str) -> Result<Vec<Kept>, PlaceError> {
        let below = self.path(&[namespace, application]);
        let objects: Vec<_> = self
            .store
            .list(Some(&below))
            .try_collect()
            .await
            .map_err(|cause| self.failed(cause))?;
        let mut kept: Vec<Kept> = objects
            .into_iter()
            .filter_map(|object| {
                let mut parts = object.location.prefix_match(&below)?;
                let (run, file) = (parts.next()?, parts.next()?);
                let stored_at = Timestamp::from_second(object.last_modified.timestamp()).ok()?;
                Some(Kept {
                    run: run.as_ref().to_owned(),
                    file: file.as_ref().to_owned(),
                    stored_at,
                    size: object.size,
                    path: object.location.clone(),
                })
            })
            .collect();
        kept.sort_by(|one, other| {
            (one.stored_at, &one.run, &one.file).cmp(&(other.stored_at, &other.run, &other.file))
        });
        Ok(kept)
    }

    /// Writes what is kept into `out`, as it was logged.
    ///
    /// # Errors
    /// The store does not answer, the object is not in gzip, or `out` takes nothing more.
    pub async fn read(&self, kept: &Kept, out: impl Write) -> Result<(), PlaceError> {
        let unreadable = |cause| PlaceError::Directory {
            url: format!("{}/…/{}/{}", self.url, kept.run, kept.file),
            cause,
        };
        let object = self.store.get(&kept.path).await.map_err(|cause| self.failed(cause))?;
        let mut bytes = object.into_stream();
        let mut decoder = MultiGzDecoder::new(out);
        while let Some(part) = bytes.try_next().await.map_err(|cause| self.failed(cause))? {
            decoder.write_all(&part).map_err(unreadable)?;
        }
        decoder.try_finish().map_err(unreadable)
    }

    fn failed(&self, cause: object_store::Error) -> PlaceError {
        PlaceError::Store {
            url: self.url.clone(),
            cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_buckets_and_directories() {
        for (url, shown) in [
            ("s3://logs", Some("s3://logs")),
            ("s3://logs/spark/", Some("s3://logs/spark")),
            ("s3a://logs/spark", Some("s3a://logs/spark")),
            ("gs://logs/spark", Some("gs://logs/spark")),
            ("hdfs://name/logs", None),
            ("s3:///spark", None),
            ("file://relative", None),
            ("/directory", None),
        ] {
            let place = Place::open(url, []).ok();
            assert_eq!(place.as_ref().map(Place::url), shown, "{url}");
        }
    }

    #[test]
    fn nothing_shows_credentials() {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "access"),
            ("AWS_SECRET_ACCESS_KEY", "very-secret"),
            ("PATH", "/bin"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let place = Place::open("s3://logs/spark", variables).unwrap();
        let shown = format!("{place:?} {:?}", super::super::KeepLogs::new(place.clone()));
        assert!(
            !shown.contains("very-secret") && shown.contains("s3://logs/spark"),
            "{shown}"
        );
    }
}
