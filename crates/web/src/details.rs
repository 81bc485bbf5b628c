//! What logs tell beside what `history` keeps, read when a page asks for it and kept as long as the log stays as it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use stoke_history::detail::{self, Detail};
use stoke_history::index::{Index, Stamp};
use stoke_history::listing::Attempt;
use stoke_history::model::graph::Graph;

use crate::lately::Effort;
use crate::pages::Missing;

/// Stored bytes of a log that is read without being asked to.
const AT_ONCE: u64 = 16 << 20;
/// Logs that are kept.
const KEPT: usize = 16;

/// A log's path, its state then, what it told, and when.
type Read = (String, Stamp, Arc<Detail>, Effort);

/// What logs told.
#[derive(Debug, Default)]
pub struct Details {
    /// The one asked for last at the end.
    known: Mutex<Vec<Read>>,
    reading: Mutex<()>,
}

impl Details {
    /// What the log of an attempt tells; nothing when it is large and was not asked for. Of one that is still written what it told a moment ago
    /// is good enough where an open page asks (`by_itself`).
    ///
    /// # Errors
    /// When the log is gone or cannot be opened.
    pub fn of(
        &self,
        index: &Index,
        attempt: &Attempt,
        wanted: bool,
        by_itself: bool,
    ) -> Result<Option<Arc<Detail>>, Missing> {
        let log = index.log(attempt).ok_or(Missing::NotFound)?;
        let stamp = Stamp::of(&log);
        let lately = by_itself && !attempt.completed;
        if let Some(known) = self.known(&attempt.log, &stamp, lately) {
            return Ok(Some(known));
        }
        if stamp.bytes() >= AT_ONCE && !wanted {
            return Ok(None);
        }
        let _alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.known(&attempt.log, &stamp, lately) {
            return Ok(Some(known));
        }
        let begun = Instant::now();
        let read = Arc::new(detail::read(index.source(), &log)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(path, ..)| *path != attempt.log);
        if known.len() >= KEPT {
            known.remove(0);
        }
        known.push((attempt.log.clone(), stamp, read.clone(), Effort::since(begun)));
        Ok(Some(read))
    }

    /// The plan an execution began with.
    ///
    /// # Errors
    /// When the log is gone or cannot be opened, or does not tell of the execution.
    pub fn first_plan(&self, index: &Index, attempt: &Attempt, execution: i64) -> Result<Graph, Missing> {
        let log = index.log(attempt).ok_or(Missing::NotFound)?;
        detail::first_plan(index.source(), &log, execution)?.ok_or(Missing::NotFound)
    }

    fn known(&self, path: &str, stamp: &Stamp, lately: bool) -> Option<Arc<Detail>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |effort: &Effort| lately && effort.is_good(Instant::now());
        let place = known
            .iter()
            .position(|(name, of, _, effort)| name == path && (of == stamp || is_good(effort)))?;
        let found = known.remove(place);
        let detail = found.2.clone();
        known.push(found);
        Some(detail)
    }
}
