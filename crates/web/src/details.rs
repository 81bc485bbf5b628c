//! What logs tell beside what `history` keeps, read when a page asks for it and kept as long as the log stays as it is.

use std::sync::{Arc, Mutex, PoisonError};

use stoke_history::detail::{self, Detail};
use stoke_history::index::{Index, Stamp};
use stoke_history::listing::Attempt;
use stoke_history::model::graph::Graph;

use crate::pages::Missing;

/// Stored bytes of a log that is read without being asked to.
const AT_ONCE: u64 = 16 << 20;
/// Logs that are kept.
const KEPT: usize = 16;

/// A log's path, its state then, and what it told.
type Read = (String, Stamp, Arc<Detail>);

/// What logs told.
#[derive(Debug, Default)]
pub struct Details {
    /// The one asked for last at the end.
    known: Mutex<Vec<Read>>,
    reading: Mutex<()>,
}

impl Details {
    /// What the log of an attempt tells; nothing when it is large and was not asked for.
    ///
    /// # Errors
    /// When the log is gone or cannot be opened.
    pub fn of(&self, index: &Index, attempt: &Attempt, wanted: bool) -> Result<Option<Arc<Detail>>, Missing> {
        let log = index.log(attempt).ok_or(Missing::NotFound)?;
        let stamp = Stamp::of(&log);
        if let Some(known) = self.known(&attempt.log, &stamp) {
            return Ok(Some(known));
        }
        if stamp.bytes() >= AT_ONCE && !wanted {
            return Ok(None);
        }
        let _alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.known(&attempt.log, &stamp) {
            return Ok(Some(known));
        }
        let read = Arc::new(detail::read(index.source(), &log)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(path, ..)| *path != attempt.log);
        if known.len() >= KEPT {
            known.remove(0);
        }
        known.push((attempt.log.clone(), stamp, read.clone()));
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

    fn known(&self, path: &str, stamp: &Stamp) -> Option<Arc<Detail>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let place = known.iter().position(|(name, of, _)| name == path && of == stamp)?;
        let found = known.remove(place);
        let detail = found.2.clone();
        known.push(found);
        Some(detail)
    }
}
