//! Blue and green of data: what a run wrote where no reader sees it is audited, published in one atomic step, and taken back in one.
//!
//! In: the ledger, what a place shows ([`Seen`]), the time, the verdict of an audit. Out: the next step ([`decide`]), done one after the other ([`act`]) by a
//! [`Destination`], which changes what readers see only if they still see what was expected.
//! - [`metadata`]: the metadata of an Iceberg table: its branches, whether one is ahead of another, and what a change of them is
//! - [`iceberg`]: a table by its path, or in a catalogue that speaks Iceberg's REST
//! - [`pointer`]: directories of versions, and a small object that names the one that readers see
//!
//! What was not read, or not audited, is never published.

pub mod act;
pub mod decide;
pub mod iceberg;
pub mod metadata;
pub mod pointer;
#[cfg(test)]
mod tests;

use stoke_diagnostics::{Diagnostic, Severity};

use crate::ledger::{Step, Verdict};
use crate::oci::Digest;

pub use act::{Ended, Stopped, publish, roll_back};
pub use decide::{Key, Target};

/// What a place shows.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What readers see.
    pub current: Option<String>,
    /// What a run wrote, and may be published.
    pub candidate: Option<String>,
    /// Digest of the list of the candidate's objects; none for a snapshot, which never changes.
    pub seal: Option<Digest>,
    /// What readers would see with it besides: snapshots between the current one and the candidate.
    pub brings: Vec<String>,
    /// The release that the place says wrote it.
    pub written_by: Option<String>,
    /// What speaks against it.
    pub reasons: Vec<Diagnostic>,
}

/// What readers are to see instead of what they see.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub release: Digest,
    pub step: Step,
    pub from: Option<String>,
    pub to: String,
    pub seal: Option<Digest>,
    /// Sequence of its intent in the ledger.
    pub intent: u64,
}

/// Where readers find data.
pub trait Destination {
    /// What is there now.
    fn look(&mut self) -> impl Future<Output = Result<Seen, Diagnostic>>;
    /// Whether an earlier version is still there, and is what it was.
    fn is_whole(&mut self, version: &str, seal: Option<&Digest>) -> impl Future<Output = Result<(), Diagnostic>>;
    /// Does it in one atomic step. False: readers see something else than was expected, or another writer was faster; look again.
    fn set(&mut self, change: &Change) -> impl Future<Output = Result<bool, Diagnostic>>;
}

/// The verdict of an audit, and the digest of its report.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    pub verdict: Verdict,
    pub evidence: Digest,
    /// What the report says in a line.
    pub summary: String,
}

/// Holds data against their contract.
pub trait Auditor {
    /// Digest of the contract.
    fn contract(&self) -> Digest;
    /// # Errors
    /// The data could not be read, so nothing was audited.
    fn audit(&mut self, version: &str) -> impl Future<Output = Result<Audit, Diagnostic>>;
}

fn refusal(code: &'static str, message: String, fix: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Severity::Error, code, message).with_fix(fix.into())
}

/// What is not known, so that nothing is done.
fn unknown(code: &'static str, message: String, fix: impl Into<String>) -> Diagnostic {
    refusal(code, message, fix).unknown()
}
