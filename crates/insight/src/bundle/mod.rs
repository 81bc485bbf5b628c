//! Everything the doctor needs in one file that another machine can read.
//!
//! In: Kubernetes objects, logs, an event log. Out: a zip archive without secrets ([`write()`]), and from such an archive, or from a directory
//! it was unpacked to, facts again ([`read()`], [`read_directory()`]). What is redacted is in [`redact`]; nothing is written that did not go
//! through it. Memory: the event log is streamed; objects and logs are held.
//!
//! | file | what |
//! |---|---|
//! | `index.json` | [`Index`]: the format and its version, the application, notes, which log is whose |
//! | `objects.json` | the manifest with its status, pods, events, quotas, network policies, claims, nodes, as JSON |
//! | `logs/NAME.log` | a container's log, its first and last lines |
//! | `event-log.json` | the event log as text, one event on a line |

mod read;
pub mod redact;
mod write;

pub use read::{BundleError, read, read_directory, read_index, read_objects};
pub use write::{Contents, write};

use serde::{Deserialize, Serialize};

use crate::facts::cluster::Role;
use crate::facts::{Facts, Objects};

/// What [`Index::format`] says.
pub const FORMAT: &str = "stoke-bundle";
/// The version of the format this room writes, and the newest it reads.
pub const VERSION: u32 = 1;

const INDEX: &str = "index.json";
const OBJECTS: &str = "objects.json";
const EVENT_LOG: &str = "event-log.json";

/// What a bundle has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Index {
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// The Stoke that wrote it.
    pub stoke: String,
    /// The application's name.
    pub application: String,
    /// When it was gathered, in milliseconds since 1970.
    pub gathered: i64,
    /// What could not be had and why.
    pub notes: Vec<String>,
    /// Whether it has `objects.json`.
    pub objects: bool,
    /// Its logs, the driver's first.
    pub logs: Vec<IndexLog>,
    /// Whether it has `event-log.json`.
    pub event_log: bool,
}

/// A log of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IndexLog {
    pub file: String,
    /// Where it was read from: a pod, a file.
    pub source: String,
    /// The executor's id; none for the driver.
    pub executor: Option<String>,
    /// Lines left out in the middle.
    pub left_out: u64,
    /// Runs of lines: the number of the first in the whole log, and how many.
    pub lines: Vec<(u64, u64)>,
}

/// A bundle that was read.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    pub index: Index,
    /// The Kubernetes objects of it, as they were written.
    pub objects: Option<Objects>,
    /// What it tells.
    pub facts: Facts,
}

impl IndexLog {
    fn role(&self) -> Role {
        match &self.executor {
            Some(id) => Role::Executor(id.clone()),
            None => Role::Driver,
        }
    }
}
