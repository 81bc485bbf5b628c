//! Files at a URL: `s3://`, `s3a://`, `gs://`, `abfss://`, `wasbs://`, `file://`, and plain paths.
//!
//! In: a URL and what says how its store is reached. Out: a place whose files are listed, read, written and deleted.
//! - [`Address`]: what a URL or a path means; the only parser of them
//! - [`Access`]: endpoint, credentials and path style, from variables of the environment and from Spark's keys
//! - [`StorageError`]: the place, the cause and the fix
//! - `Place`, `Objects` (feature `objects`): an open place, for asynchronous code and for threads
//! - `open`, `https`, `connector`, `fetch`, `fetch_pieces` (feature `connect`): the way to the clouds and to any server over HTTPS, with the policy of trying again
//!
//! Never: credentials in messages, a cloud's own client library, or a second try of what its caller tries again.

mod access;
mod address;
mod error;

#[cfg(feature = "connect")]
mod connect;
#[cfg(feature = "connect")]
mod https;
#[cfg(feature = "objects")]
mod objects;
#[cfg(feature = "objects")]
mod place;
#[cfg(feature = "objects")]
mod upload;

pub use access::{Access, keys};
pub use address::{Address, Cloud};
pub use error::{StorageError, Verb};

#[cfg(feature = "connect")]
pub use connect::{Files, open, open_files};
#[cfg(feature = "connect")]
pub use https::{Connector, HttpClient, HttpRequestBody, connector, fetch, fetch_pieces, https, in_full};
#[cfg(feature = "objects")]
pub use objects::{Objects, Pieces};
#[cfg(feature = "objects")]
pub use place::Place;
#[cfg(feature = "objects")]
pub use upload::Upload;

/// A file of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path below the listed place, with `/`; empty when the place is the file itself.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was changed, in milliseconds since 1970.
    pub modified: i64,
    /// What changes when its content does, where the store has such a thing.
    pub tag: Option<String>,
}

impl Entry {
    /// A file of this machine, named by its path below the listed place.
    #[must_use]
    pub fn of_file(path: String, meta: &std::fs::Metadata) -> Self {
        let modified = meta.modified().ok();
        let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        Self {
            path,
            size: meta.len(),
            modified: since
                .and_then(|since| i64::try_from(since.as_millis()).ok())
                .unwrap_or(0),
            tag: None,
        }
    }
}
