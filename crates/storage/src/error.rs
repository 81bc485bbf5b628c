//! What went wrong at a place.

use std::fmt;

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Its URL was read.
    Address,
    /// It was opened: settings that contradict each other, a directory that cannot be made.
    Open,
    /// It was listed.
    List,
    /// A file was read.
    Read,
    /// A file was written.
    Write,
    /// A file was deleted.
    Delete,
}

/// What went wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageError {
    verb: Verb,
    place: String,
    cause: String,
}

impl StorageError {
    /// An error at a place: a URL, a path, or a file below one.
    pub fn new(verb: Verb, place: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self {
            verb,
            place: place.into(),
            cause: cause.to_string(),
        }
    }

    /// What was tried.
    #[must_use]
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// The URL or path.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Why it failed.
    #[must_use]
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self.verb {
            Verb::Address => {
                "write s3://bucket/path, gs://bucket/path, abfss://container@account.dfs.core.windows.net/path or file:///directory"
            }
            Verb::Open => {
                "check that the directory may be written, or the variables of that cloud (AWS_…, GOOGLE_…, AZURE_…)"
            }
            Verb::List | Verb::Read => "check that it exists and may be read",
            Verb::Write | Verb::Delete => "check that it may be written",
        }
    }

    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.verb {
            Verb::Address => "stoke::storage::address",
            Verb::Open => "stoke::storage::open",
            Verb::List => "stoke::storage::list",
            Verb::Read => "stoke::storage::read",
            Verb::Write => "stoke::storage::write",
            Verb::Delete => "stoke::storage::delete",
        }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, place, cause } = self;
        match verb {
            Verb::Address => write!(
                f,
                "`{place}` is not the address of a place for files: {cause}; {}",
                self.fix()
            ),
            Verb::Open => write!(f, "cannot open {place}: {cause}; {}", self.fix()),
            Verb::List => write!(f, "cannot list {place}: {cause}; {}", self.fix()),
            Verb::Read => write!(f, "cannot read {place}: {cause}"),
            Verb::Write => write!(f, "cannot write {place}: {cause}"),
            Verb::Delete => write!(f, "cannot delete {place}: {cause}"),
        }
    }
}

impl std::error::Error for StorageError {}
