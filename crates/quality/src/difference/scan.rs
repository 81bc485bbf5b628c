//! A pass over one side: threads take row groups and blocks in turn, and rows come out in the one form.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::cells::Cells;
use super::schema::Plan;
use super::{Step, Watch};
use crate::data::{Batch, Blocks, Content, Dataset, Unit};
use crate::error::QualityError;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A batch as a taker sees it.
pub(super) struct Rows<'a> {
    /// One for each column of the plan.
    pub cells: &'a [Cells],
    pub rows: usize,
    /// Distinguishes batches of one side, and is the same when it is read again.
    pub place: u64,
}

/// What a pass reads, and by how many.
pub(super) struct Pass<'a> {
    pub plan: &'a Plan,
    pub side: Side,
    pub dataset: &'a Dataset,
    /// Columns of the plan that are read; those behind are not.
    pub columns: usize,
    pub threads: usize,
    pub watch: &'a dyn Watch,
    /// What is done, for progress.
    pub doing: &'static str,
}

impl Pass<'_> {
    /// Makes the pass; each thread has a state of its own.
    ///
    /// # Errors
    /// When a file cannot be read to its end, what `take` says, or that it was stopped.
    pub(super) fn run<S: Send>(
        &self,
        make: impl Fn() -> S + Sync,
        take: impl Fn(&mut S, &Rows<'_>) -> Result<(), String> + Sync,
    ) -> Result<Vec<S>, QualityError> {
        let mut pieces: Vec<Unit> = Vec::new();
        for unit in self.dataset.units() {
            let text = matches!(self.dataset.files[unit.file].content, Ok(Content::Text(_)));
            pieces.extend(std::iter::repeat_n(unit, if text { self.threads } else { 1 }));
        }
        let total: Option<u64> = self.dataset.units().iter().map(|unit| unit.rows).sum();
        let blocks: Vec<OnceLock<Option<Blocks>>> = self.dataset.files.iter().map(|_| OnceLock::new()).collect();
        let (next, done, failed) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let failure: Mutex<Option<QualityError>> = Mutex::new(None);
        let states: Mutex<Vec<S>> = Mutex::new(Vec::new());
        let work = || {
            let mut state = make();
            while let Some(unit) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                let took = self.piece(unit, &blocks[unit.file], |batch, place| {
                    if failed.load(Ordering::Acquire) || self.watch.stopped() {
                        return Err(None);
                    }
                    let cells = self.cells(unit.file, batch).map_err(Some)?;
                    let rows = Rows {
                        cells: &cells,
                        rows: batch.rows,
                        place,
                    };
                    take(&mut state, &rows).map_err(Some)?;
                    let rows = done.fetch_add(batch.rows as u64, Ordering::Relaxed) + batch.rows as u64;
                    self.watch.progress(&Step {
                        doing: self.doing,
                        done: rows,
                        of: total,
                    });
                    Ok(())
                });
                if let Err(cause) = took {
                    let error = match cause {
                        Some(cause) => QualityError::Data {
                            place: self.dataset.place.clone(),
                            cause: format!("{}: {cause}", self.dataset.files[unit.file].path),
                            fix: "nothing was compared; write the data again, or give a place whose files are whole"
                                .into(),
                        },
                        None => QualityError::Interrupted,
                    };
                    // The cause stands before others are ended by it.
                    failure
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .get_or_insert(error);
                    failed.store(true, Ordering::Release);
                    break;
                }
            }
            states.lock().unwrap_or_else(PoisonError::into_inner).push(state);
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads.clamp(1, pieces.len().max(1)) {
                scope.spawn(work);
            }
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(states.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Reads a row group, or blocks of a file of text until there are none left.
    fn piece(
        &self,
        unit: &Unit,
        blocks: &OnceLock<Option<Blocks>>,
        mut each: impl FnMut(&Batch, u64) -> Result<(), Option<String>>,
    ) -> Result<(), Option<String>> {
        let file = &self.dataset.files[unit.file];
        let mut columns = self.positions(unit.file);
        columns.sort_unstable();
        let mut all = |batches: crate::data::Batches<'_>, part: usize| -> Result<(), Option<String>> {
            for (number, batch) in batches.enumerate() {
                let place = ((unit.file as u64) << 44) | ((part as u64) << 20) | number as u64;
                each(&batch.map_err(Some)?, place)?;
            }
            Ok(())
        };
        if matches!(file.content, Ok(Content::Parquet(_))) {
            return all(file.read(unit, &columns).map_err(Some)?, unit.group);
        }
        let Some(blocks) = blocks.get_or_init(|| file.blocks()) else {
            return all(file.read(unit, &columns).map_err(Some)?, unit.group);
        };
        while let Some(block) = blocks.next() {
            let block = block.map_err(Some)?;
            all(file.read_block(&block, &columns).map_err(Some)?, block.number)?;
        }
        Ok(())
    }

    /// Where columns of the plan are in a file, as far as it has them.
    fn positions(&self, file: usize) -> Vec<usize> {
        let names = self.plan.columns[..self.columns].iter();
        names.filter_map(|column| self.position(file, &column.name)).collect()
    }

    fn position(&self, file: usize, name: &str) -> Option<usize> {
        let fields = self.dataset.files[file].schema.fields();
        fields.iter().position(|field| field.name() == name)
    }

    /// The columns of the plan of a batch, in its order.
    fn cells(&self, file: usize, batch: &Batch) -> Result<Vec<Cells>, String> {
        let mut read = self.positions(file);
        read.sort_unstable();
        let columns = self.plan.columns[..self.columns].iter();
        columns
            .map(|column| {
                let Some(position) = self.position(file, &column.name) else {
                    return Ok(Cells::Null);
                };
                let at = read
                    .binary_search(&position)
                    .map_err(|_| "a column was not read".to_owned())?;
                let meant = match self.side {
                    Side::Left => &column.left,
                    Side::Right => &column.right,
                };
                Cells::of(&batch.columns[at], meant, column.form).map_err(|cause| format!("`{}`: {cause}", column.name))
            })
            .collect()
    }
}
