//! What is read of a log beside what `history` keeps of it, read once and kept as long as the log stays as it is: what the doctor finds, and
//! the run with every task, for those who reason about its time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use stoke_diagnostics::Diagnostic;
use stoke_eventlog::{Log, Options, StorageError};
use stoke_history::index::{Index, Stamp};
use stoke_history::listing::Attempt;
use stoke_history::rest::Library;
use stoke_insight::doctor::examine;
use stoke_insight::facts::{Facts, Run, collect};
use stoke_insight::whatif::{Model, Outcome, Plan, WhatIfError, what_if};

use crate::lately::Effort;
use crate::pages::Missing;

/// Stored bytes of a log that is read for the first page of its application; a larger one is read for the page of findings.
const AT_ONCE: u64 = 16 << 20;
/// Stored bytes of a log that is read for a page at all: the doctor keeps a row for each task in memory.
const MOST: u64 = 512 << 20;
/// Logs whose findings are kept.
const KEPT: usize = 256;
/// Runs that are kept, and tasks of all of them together, of 120 bytes each: one that has more is read again whenever it is asked for.
const RUNS: usize = 8;
const TASKS: usize = 1_200_000;
/// Tasks of runs that stay while a large log is read: no two large runs are in memory beside each other.
const BESIDE: usize = 300_000;

/// A run with every task.
#[derive(Debug)]
pub struct Whole {
    facts: Facts,
    model: OnceLock<Option<Model>>,
    read: Effort,
}

impl Whole {
    fn read(index: &Index, log: &Log) -> Result<Arc<Whole>, StorageError> {
        let begun = Instant::now();
        let facts = Facts {
            run: Some(collect::run(index.source(), log, Options::default())?),
            now: index.now(),
            ..Facts::default()
        };
        Ok(Arc::new(Whole {
            facts,
            model: OnceLock::new(),
            read: Effort::since(begun),
        }))
    }

    /// What its log tells.
    pub fn run(&self) -> Option<&Run> {
        self.facts.run.as_ref()
    }

    fn tasks(&self) -> usize {
        let stages = self.run().into_iter().flat_map(|run| run.stages.values());
        stages.map(|stage| stage.tasks.len()).sum()
    }

    /// What it would have taken on these executors. What all predictions share is found out once.
    ///
    /// # Errors
    /// When nothing can be predicted.
    pub fn predict(&self, run: &Run, plan: Plan) -> Result<Outcome, WhatIfError> {
        match self.model.get_or_init(|| Model::of(run).ok()) {
            Some(model) => model.predict(run, plan),
            None => what_if(run, plan),
        }
    }
}

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
#[derive(Debug)]
struct Kept {
    stamp: Stamp,
    found: Arc<Vec<Diagnostic>>,
    effort: Effort,
}

/// A log, its state, and its run.
type KeptRun = (String, Stamp, Arc<Whole>);

fn tasks(runs: &[KeptRun]) -> usize {
    runs.iter().map(|(_, _, run)| run.tasks()).sum()
}

/// Findings by log.
#[derive(Debug, Default)]
pub struct Verdicts {
    known: Mutex<HashMap<String, Kept>>,
    /// The one asked for last at the end.
    runs: Mutex<Vec<KeptRun>>,
    /// One log is read at a time.
    reading: Mutex<()>,
}

impl Verdicts {
    /// The findings of an attempt. A large log is read only where that is `wanted`; of one that is still written those of a moment ago are good
    /// enough where they are asked for by an open page (`by_itself`).
    pub fn of(&self, index: &Index, attempt: &Attempt, wanted: bool, by_itself: bool) -> Verdict {
        let Some(log) = index.log(attempt) else {
            return Verdict::Failed("the log is gone".to_owned());
        };
        let stamp = Stamp::of(&log);
        let lately = by_itself && !attempt.completed;
        if let Some(known) = self.known(&attempt.log, &stamp, lately) {
            return Verdict::Found(known);
        }
        match stamp.bytes() {
            MOST.. => return Verdict::TooLarge,
            AT_ONCE.. if !wanted => return Verdict::Later,
            _ => {}
        }
        let _alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.known(&attempt.log, &stamp, lately) {
            return Verdict::Found(known);
        }
        let begun = Instant::now();
        // One that has not ended grows older.
        let kept = self.kept(&attempt.log, &stamp, false);
        let kept = kept.filter(|whole| whole.run().is_some_and(|run| run.ended.is_some()));
        let whole = match kept.map_or_else(|| self.read(index, &attempt.log, &log, &stamp), Ok) {
            Ok(whole) => whole,
            Err(error) => return Verdict::Failed(error.to_string()),
        };
        let found = Arc::new(examine(&whole.facts));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        let effort = Effort::since(begun);
        let kept = Kept {
            stamp,
            found: found.clone(),
            effort,
        };
        known.insert(attempt.log.clone(), kept);
        Verdict::Found(found)
    }

    /// The run of an attempt, with every task; by when, as findings are.
    ///
    /// # Errors
    /// When the log is gone, too large for a page, or cannot be read.
    pub fn run(&self, index: &Index, attempt: &Attempt, by_itself: bool) -> Result<Arc<Whole>, Missing> {
        let log = index.log(attempt).ok_or(Missing::NotFound)?;
        let stamp = Stamp::of(&log);
        let lately = by_itself && !attempt.completed;
        if let Some(whole) = self.kept(&attempt.log, &stamp, lately) {
            return Ok(whole);
        }
        if stamp.bytes() >= MOST {
            return Err(Missing::TooLarge);
        }
        let _alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(whole) = self.kept(&attempt.log, &stamp, lately) {
            return Ok(whole);
        }
        let read = self.read(index, &attempt.log, &log, &stamp);
        read.map_err(|error| Missing::Broken(error.to_string()))
    }

    fn kept(&self, log: &str, stamp: &Stamp, lately: bool) -> Option<Arc<Whole>> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |whole: &Whole| lately && whole.read.is_good(Instant::now());
        let found = runs
            .iter()
            .position(|(name, of, whole)| name == log && (of == stamp || is_good(whole)))?;
        let found = runs.remove(found);
        let whole = found.2.clone();
        runs.push(found);
        Some(whole)
    }

    fn read(&self, index: &Index, name: &str, log: &Log, stamp: &Stamp) -> Result<Arc<Whole>, StorageError> {
        if stamp.bytes() >= AT_ONCE {
            self.forget(|runs| tasks(runs) > BESIDE);
        }
        let whole = Whole::read(index, log)?;
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|(known, ..)| known != name);
        runs.push((name.to_owned(), stamp.clone(), whole.clone()));
        drop(runs);
        self.forget(|runs| runs.len() > RUNS || tasks(runs) > TASKS);
        Ok(whole)
    }

    /// Lets go of the runs asked for longest ago while there are too many.
    fn forget(&self, too_many: impl Fn(&[KeptRun]) -> bool) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = (0..=runs.len()).find(|gone| !too_many(&runs[*gone..]));
        runs.drain(..gone.unwrap_or(0));
    }

    fn known(&self, log: &str, stamp: &Stamp, lately: bool) -> Option<Arc<Vec<Diagnostic>>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |kept: &&Kept| kept.stamp == *stamp || (lately && kept.effort.is_good(Instant::now()));
        known.get(log).filter(is_good).map(|kept| kept.found.clone())
    }
}
