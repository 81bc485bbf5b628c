//! What is read of a log beside what `history` keeps of it, read once and kept as long as the log stays as it is: what the doctor finds, and
//! the run with every task, for those who reason about its time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use stoke_diagnostics::Diagnostic;
use stoke_eventlog::Options;
use stoke_history::index::{Index, Stamp};
use stoke_history::listing::Attempt;
use stoke_history::rest::Library;
use stoke_insight::doctor::examine;
use stoke_insight::facts::{Facts, Run, collect};

use crate::pages::Missing;

/// Stored bytes of a log that is read for the first page of its application; a larger one is read for the page of findings.
const AT_ONCE: u64 = 16 << 20;
/// Stored bytes of a log that is read for a page at all: the doctor keeps a row for each task in memory.
const MOST: u64 = 512 << 20;
/// Logs whose findings are kept.
const KEPT: usize = 256;
/// Runs that are kept, and tasks of all of them together: one that has more is read again whenever it is asked for.
const RUNS: usize = 8;
const TASKS: usize = 400_000;

/// What is known of a log.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It was read.
    Found(Arc<Vec<Diagnostic>>),
    /// It is large and was not read yet.
    Later,
    TooLarge,
    /// It cannot be read.
    Failed(String),
}

/// Findings, and the state of the log they were found in.
type Kept = (Stamp, Arc<Vec<Diagnostic>>);

/// Findings by log.
#[derive(Debug, Default)]
pub struct Verdicts {
    known: Mutex<HashMap<String, Kept>>,
    /// The one asked for last at the end.
    runs: Mutex<Vec<(String, Stamp, Arc<Run>)>>,
    /// One log is read at a time.
    reading: Mutex<()>,
}

impl Verdicts {
    /// The findings of an attempt. A large log is read only where that is wanted.
    pub fn of(&self, index: &Index, attempt: &Attempt, wanted: bool) -> Verdict {
        let Some(log) = index.log(attempt) else {
            return Verdict::Failed("the log is gone".to_owned());
        };
        let stamp = Stamp::of(&log);
        if let Some(known) = self.known(&attempt.log, &stamp) {
            return Verdict::Found(known);
        }
        match stamp.bytes() {
            MOST.. => return Verdict::TooLarge,
            AT_ONCE.. if !wanted => return Verdict::Later,
            _ => {}
        }
        let _alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.known(&attempt.log, &stamp) {
            return Verdict::Found(known);
        }
        let run = match collect::run(index.source(), &log, Options::default()) {
            Ok(run) => run,
            Err(error) => return Verdict::Failed(error.to_string()),
        };
        let facts = Facts {
            run: Some(run),
            now: index.now(),
            ..Facts::default()
        };
        let found = Arc::new(examine(&facts));
        if let Some(run) = facts.run {
            self.keep(&attempt.log, &stamp, Arc::new(run));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(attempt.log.clone(), (stamp, found.clone()));
        Verdict::Found(found)
    }

    /// The run of an attempt, with every task.
    ///
    /// # Errors
    /// When the log is gone, too large for a page, or cannot be read.
    pub fn run(&self, index: &Index, attempt: &Attempt) -> Result<Arc<Run>, Missing> {
        let log = index.log(attempt).ok_or(Missing::NotFound)?;
        let stamp = Stamp::of(&log);
        let kept = || -> Option<Arc<Run>> {
            let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            let found = runs
                .iter()
                .position(|(name, of, _)| *name == attempt.log && *of == stamp)?;
            let found = runs.remove(found);
            let run = found.2.clone();
            runs.push(found);
            Some(run)
        };
        if let Some(run) = kept() {
            return Ok(run);
        }
        if stamp.bytes() >= MOST {
            return Err(Missing::TooLarge);
        }
        let _alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = kept() {
            return Ok(run);
        }
        let run = collect::run(index.source(), &log, Options::default());
        let run = Arc::new(run.map_err(|error| Missing::Broken(error.to_string()))?);
        self.keep(&attempt.log, &stamp, run.clone());
        Ok(run)
    }

    fn keep(&self, log: &str, stamp: &Stamp, run: Arc<Run>) {
        let tasks = |run: &Run| run.stages.values().map(|stage| stage.tasks.len()).sum::<usize>();
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|(name, ..)| name != log);
        runs.push((log.to_owned(), stamp.clone(), run));
        while runs.len() > RUNS || runs.iter().map(|(_, _, run)| tasks(run)).sum::<usize>() > TASKS {
            runs.remove(0);
        }
    }

    fn known(&self, log: &str, stamp: &Stamp) -> Option<Arc<Vec<Diagnostic>>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(log)
            .filter(|(of, _)| of == stamp)
            .map(|(_, found)| found.clone())
    }
}
