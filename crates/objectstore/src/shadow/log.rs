//! The access log of a shadow: a line of JSON for each request, and what of it matters in memory.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::places::url;
use crate::store::now;

/// Refusals that are kept with their keys.
const KEPT: usize = 100;

/// What a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    Read,
    Write,
    Refused,
    /// A pinned object is another one by now.
    Changed,
}

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// Milliseconds since 1970.
    pub time: i64,
    /// As S3 names it: `PutObject`.
    pub operation: String,
    /// What was asked for.
    pub object: String,
    pub effect: Effect,
    /// What a write changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landed: Option<String>,
}

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refusal {
    pub operation: String,
    /// `s3://bucket/key`.
    pub object: String,
}

/// What a log holds, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    pub reads: u64,
    pub writes: u64,
    pub refused: u64,
    /// The first of those that were refused, each once.
    pub refusals: BTreeSet<Refusal>,
    /// Pinned objects that were another one when they were asked for.
    pub changed: BTreeSet<String>,
    /// Where writes landed outside of the shadow's own keys: nothing, or the store is broken.
    pub strays: BTreeSet<String>,
    /// Why lines could not be written, if any: the log is not whole then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

/// A log that is being written.
pub struct Log {
    inner: Mutex<(BufWriter<File>, Seen)>,
}

impl Log {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            inner: Mutex::new((BufWriter::new(File::create(path)?), Seen::default())),
        })
    }

    fn add(
        &self,
        operation: &str,
        object: String,
        effect: Effect,
        landed: Option<String>,
        note: impl FnOnce(&mut Seen),
    ) {
        let line = Line {
            time: now(),
            operation: operation.to_owned(),
            object,
            effect,
            landed,
        };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, seen) = &mut *inner;
        note(seen);
        let text = serde_json::to_string(&line).unwrap_or_default();
        if let Err(error) = writeln!(file, "{text}") {
            seen.broken = Some(error.to_string());
        }
    }

    pub(super) fn read(&self, operation: &str, bucket: &str, key: &str) {
        self.add(operation, url(bucket, key), Effect::Read, None, |seen| seen.reads += 1);
    }

    /// A write, with the bucket and the key that the store is given.
    pub(super) fn write(&self, operation: &str, asked: (&str, &str), landed: (&str, &str), own: &str) {
        let place = url(landed.0, landed.1);
        let stray = (landed.0 != super::BUCKET || !landed.1.starts_with(own)).then(|| place.clone());
        self.add(operation, url(asked.0, asked.1), Effect::Write, Some(place), |seen| {
            seen.writes += 1;
            seen.strays.extend(stray);
        });
    }

    pub(crate) fn refuse(&self, operation: &str, bucket: &str, key: &str) {
        let object = url(bucket, key);
        let refusal = Refusal {
            operation: operation.to_owned(),
            object: object.clone(),
        };
        self.add(operation, object, Effect::Refused, None, |seen| {
            seen.refused += 1;
            if seen.refusals.len() < KEPT {
                seen.refusals.insert(refusal);
            }
        });
    }

    pub(super) fn changed(&self, operation: &str, bucket: &str, key: &str) {
        let object = url(bucket, key);
        self.add(operation, object.clone(), Effect::Changed, None, |seen| {
            seen.changed.insert(object);
        });
    }

    /// What it holds by now; all of it is in the file when this returns.
    pub fn seen(&self) -> Seen {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, seen) = &mut *inner;
        if let Err(error) = file.flush() {
            seen.broken = Some(error.to_string());
        }
        seen.clone()
    }
}
