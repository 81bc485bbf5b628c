//! Logs of drivers and executors, kept in an object store after their pods are gone.
//!
//! In: an application whose run ends, or whose driver is about to be deleted, and its pods. Out: one object per container,
//! `<place>/<namespace>/<application>/<attempt>-<trace id>/<pod>.log.gz`, and where it is.
//! - `place`: what is kept at a place of `stoke_storage`, listed and read
//! - `copy`: one log, streamed into one object in bounded memory
//! - `keeper`: copies what was decided on, a bounded number at a time, and knows how far each log is
//! - `which`: what is to be kept of a run
//!
//! The names derive from the pods, so that a copy made twice is one object. The transition function decides what is copied and
//! waited for; a store that is down holds no application longer than [`KeepLogs::hold`]. Never: reads of what was kept, deletions of it, or
//! credentials in messages.

mod copy;
mod keeper;
mod place;
mod which;

use std::time::Duration;

use stoke_storage::Place;

pub use copy::Sizes;
pub use place::{Kept, list, read};
pub use which::{PodLog, Which};

pub(crate) use keeper::Keeper;
pub(crate) use which::{DELETE_EXECUTORS, RunLogs, kept_for_their_logs, logs_of};

/// How logs are kept.
#[derive(Clone, Debug)]
pub struct KeepLogs {
    /// Where.
    pub place: Place,
    /// Which, of applications that do not say so themselves.
    pub which: Which,
    /// How long an application waits for its logs at most before it goes on without them.
    pub hold: Duration,
    /// Logs that are copied at the same time, in all.
    pub at_once: usize,
    /// How much of one log is kept.
    pub sizes: Sizes,
}

impl KeepLogs {
    /// Keeps logs there, with what is usual otherwise.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self {
            place,
            which: Which::Driver,
            hold: Duration::from_secs(20),
            at_once: 8,
            sizes: Sizes::default(),
        }
    }
}
