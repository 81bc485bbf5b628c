//! Proof by data: a release runs in the shadow of another one, on the same inputs and with its outputs kept apart, and what both wrote is compared.
//!
//! In: an application, and what was seen of both runs. Out: the application as it runs in the shadow ([`plan`]), a verdict with its reasons ([`judge`]), and the
//! [`Record`] that stands for it in the ledger. Nothing here runs anything.

pub mod judge;
pub mod plan;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity};

pub use judge::{Compared, Conclusion, Facts, Judgement, Limits, Output, Side, Written, judge};
pub use plan::shadowed;

use crate::oci::Digest;

/// Name of the gate that this is.
pub const GATE: &str = "shadow";

/// What a record is.
pub const KIND: &str = "https://stoke.dev/predicates/shadow/v1";

/// What was done and seen; its digest stands in the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub kind: String,
    /// What was tried.
    pub release: Digest,
    /// What it was compared with.
    pub against: Digest,
    pub verdict: Conclusion,
    pub began: Timestamp,
    pub ended: Timestamp,
    pub inputs: Inputs,
    pub old: Side,
    pub new: Side,
    pub outputs: Vec<Output>,
    /// What took longer, and why, as `stoke compare` says it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub comparison: Value,
    /// What stands behind the verdict.
    #[serde(default)]
    pub reasons: Vec<Value>,
    /// What a reader should know.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What both runs read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    pub places: Vec<String>,
    pub objects: u64,
    pub bytes: u64,
    /// Of the list of objects with their sizes and ETags, which is kept beside the record.
    pub list: Digest,
}

impl Record {
    /// Reads a record about a release.
    ///
    /// # Errors
    /// Bytes that are something else, a record about another release, or one that does not say enough to pass or fail.
    pub fn read(bytes: &[u8], release: &Digest) -> Result<Self, Box<Diagnostic>> {
        let wrong = |message: String, fix: &str| {
            Box::new(Diagnostic::new(Severity::Error, "release-shadow-record", message).with_fix(fix))
        };
        let record: Record = serde_json::from_slice(bytes).map_err(|error| {
            wrong(
                format!("that is not a record of a shadow run: {error}"),
                "`stoke release shadow --output json` writes one",
            )
        })?;
        if record.kind != KIND {
            let message = format!("the record is a `{}`, not a `{KIND}`", record.kind);
            return Err(wrong(message, "make it with this Stoke: `stoke release shadow`"));
        }
        if record.release != *release {
            let message = format!("the record is about {}, not about {release}", record.release);
            return Err(wrong(
                message,
                "run this release in the shadow: what another one wrote says nothing of it",
            ));
        }
        Ok(record)
    }
}
