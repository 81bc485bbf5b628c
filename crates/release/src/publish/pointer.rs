//! Versions below a place, and the object `current.json` that names the one that readers see.
//!
//! A version is a directory of the place, written once by one run. The object is made and replaced only if it is what was expected.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stoke_diagnostics::Diagnostic;
use stoke_storage::{Entry, Place, StorageError};

use super::{Change, Destination, Seen, refusal, unknown};
use crate::oci::Digest;

/// The object that names what readers see.
pub const FILE: &str = "current.json";
/// What it is.
pub const KIND: &str = "https://stoke.dev/data/pointer/v1";

/// What the object says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pointer {
    pub kind: String,
    /// The name of the version.
    pub version: String,
    /// Where it is, as Spark reads it.
    pub location: String,
    /// The release that changed what readers see.
    pub release: Digest,
    /// Digest of the list of its objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<Digest>,
    /// Sequence of the intent in the ledger; each change has a higher one.
    pub intent: u64,
    pub published: Timestamp,
}

impl Pointer {
    /// # Errors
    /// It is something else.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let pointer: Pointer = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match pointer.kind == KIND {
            true => Ok(pointer),
            false => Err(format!("it is a `{}`, not a `{KIND}`", pointer.kind)),
        }
    }
}

/// Whether a name is one of a version: a directory below the place, and not the object itself.
#[must_use]
pub fn is_version(name: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.starts_with(['_', '.']);
    name != FILE && name.split('/').all(plain) && !name.contains(char::is_control)
}

/// The place of versions.
pub struct Versions<'a> {
    place: Place,
    /// The place as it was written, for readers.
    url: String,
    /// What is to be published.
    wanted: Option<String>,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
}

impl<'a> Versions<'a> {
    #[must_use]
    pub fn new(place: Place, url: &str, wanted: Option<String>, clock: &'a (dyn Fn() -> Timestamp + Sync)) -> Self {
        Self {
            place,
            url: url.trim_end_matches('/').to_owned(),
            wanted,
            clock,
        }
    }

    /// What the object says; none when nothing was published yet.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn pointer(&self) -> Result<Option<Pointer>, Diagnostic> {
        let bytes = self.place.content(FILE).await.map_err(failed)?;
        let pointer = bytes.map(|bytes| self.read(&bytes)).transpose();
        pointer.map_err(|why| *why)
    }

    fn read(&self, bytes: &[u8]) -> Result<Pointer, Box<Diagnostic>> {
        Pointer::read(bytes).map_err(|why| {
            Box::new(unknown(
                "release-data-place",
                format!("{}/{FILE} cannot be read: {why}", self.url),
                "find who wrote it, and restore it from a copy; what readers see is not known",
            ))
        })
    }

    /// Where a version is, as Spark reads it.
    #[must_use]
    pub fn location(&self, version: &str) -> String {
        format!("{}/{version}", self.url)
    }

    /// The objects of a version, and the digest of their list.
    async fn list(&self, version: &str) -> Result<(Vec<Entry>, Digest), Diagnostic> {
        let mut entries = self.place.list(version).await.map_err(failed)?;
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        let line = |entry: &Entry| {
            let tag = entry.tag.as_deref().unwrap_or_default();
            format!("{}\t{}\t{tag}\n", entry.path, entry.size)
        };
        let list: String = entries.iter().map(line).collect();
        Ok((entries, Digest::of(list.as_bytes())))
    }
}

/// What is wrong with the objects of a version, if anything.
#[must_use]
pub fn incomplete(version: &str, location: &str, paths: &[&str]) -> Option<Diagnostic> {
    if paths.is_empty() {
        return Some(unknown(
            "release-data-branch",
            format!("{location} holds no objects: no run wrote the version {version}"),
            "run the release with that place as its output, then publish it",
        ));
    }
    let left = paths
        .iter()
        .find(|path| path.split('/').any(|part| part == "_temporary"));
    let ended = paths.iter().any(|path| {
        path.split('/').next_back() == Some("_SUCCESS")
            || path.contains("_delta_log/")
            || path.contains("metadata/") && path.ends_with(".metadata.json")
    });
    let why = match (left, ended) {
        (Some(left), _) => format!("{left} is left of a write that did not come to its end"),
        (None, false) => "no `_SUCCESS` says that its write came to its end".to_owned(),
        (None, true) => return None,
    };
    Some(refusal(
        "release-data-incomplete",
        format!("{location}: {why}"),
        "let the run write it again under another name; Spark writes `_SUCCESS` unless mapreduce.fileoutputcommitter.marksuccessfuljobs is false",
    ))
}

impl Destination for Versions<'_> {
    async fn look(&mut self) -> Result<Seen, Diagnostic> {
        let mut seen = Seen {
            current: self.pointer().await?.map(|pointer| pointer.version),
            ..Seen::default()
        };
        if let Some(wanted) = self.wanted.clone() {
            let (entries, seal) = self.list(&wanted).await?;
            let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
            seen.reasons
                .extend(incomplete(&wanted, &self.location(&wanted), &paths));
            seen.candidate = Some(wanted);
            seen.seal = Some(seal);
        }
        Ok(seen)
    }

    async fn is_whole(&mut self, version: &str, seal: Option<&Digest>) -> Result<(), Diagnostic> {
        let (entries, now) = self.list(version).await?;
        let location = self.location(version);
        match seal {
            _ if entries.is_empty() => Err(refusal(
                "release-data-gone",
                format!("{location} holds no objects any more"),
                "restore it, or go back to another version with --version",
            )),
            Some(seal) if *seal != now => Err(refusal(
                "release-data-changed",
                format!("{location} is not what was published: the list of its objects is {now}, and was {seal}"),
                "find who wrote there; go back to another version with --version, or write a new one",
            )),
            _ => Ok(()),
        }
    }

    async fn set(&mut self, change: &Change) -> Result<bool, Diagnostic> {
        if let Some(seal) = &change.seal {
            self.is_whole(&change.to, Some(seal)).await?;
        }
        let pointer = Pointer {
            kind: KIND.to_owned(),
            version: change.to.clone(),
            location: self.location(&change.to),
            release: change.release.clone(),
            list: change.seal.clone(),
            intent: change.intent,
            published: (self.clock)(),
        };
        let text = serde_json::to_vec_pretty(&pointer).unwrap_or_default();
        let written = self.place.update(FILE, |before: Option<Bytes>| {
            let before = before
                .map(|bytes| self.read(&bytes))
                .transpose()
                .map_err(Unset::Failed)?;
            match &before {
                Some(before) if before.intent >= change.intent => Err(Unset::Others),
                _ if before.as_ref().map(|before| &before.version) != change.from.as_ref() => Err(Unset::Others),
                _ => Ok(text.clone()),
            }
        });
        match written.await {
            Ok(()) => Ok(true),
            // Or it was written by this, and the answer got lost: a look shows it.
            Err(Unset::Others) => Ok(false),
            Err(Unset::Failed(why)) => Err(*why),
        }
    }
}

enum Unset {
    Others,
    Failed(Box<Diagnostic>),
}

impl From<StorageError> for Unset {
    fn from(error: StorageError) -> Self {
        Unset::Failed(Box::new(failed(error)))
    }
}

/// What a store says.
pub(super) fn failed(error: StorageError) -> Diagnostic {
    unknown("release-data-place", error.to_string(), error.fix())
}
