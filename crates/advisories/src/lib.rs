//! Room `advisories`: known vulnerabilities of packages, offline.
//!
//! In: advisories in the OSV schema (a file, a directory, an archive as osv.dev publishes it) and a package with its version. Out: one file on disk,
//! and the [`Known`] vulnerabilities of that package and version, each with its names, its severity and the version that fixes it.
//! - [`gather`]: reads advisories out of files, directories and archives
//! - [`database`]: the file they are kept in: a table sorted by package, so that a lookup reads a few kilobytes of it, however large it is
//! - [`lookup`]: which advisories concern a version, and which of them are one vulnerability under several names
//! - [`version`], [`maven`]: the order of versions: PEP 440 for PyPI, `ComparableVersion` for Maven
//! - [`severity`]: CVSS vectors to a level
//!
//! Source of the rules: the OSV schema, version 1.7 (ossf.github.io/osv-schema). An advisory that cannot be read makes the whole update fail, since a
//! database with holes would let things pass. Never: a network; whoever downloads hands over files.

pub mod database;
pub mod gather;
pub mod lookup;
pub mod maven;
pub mod osv;
pub mod severity;
pub mod version;

pub use database::{About, Database, DatabaseError};
pub use gather::{GatherError, Gathered};
pub use lookup::{Answer, Known};
pub use severity::{Level, Severity};
pub use version::Ecosystem;
