//! The pass over the data: [`pieces`](super::pieces) of it are taken in turn by threads, each column is converted once a batch, and every check takes what
//! it needs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use super::aggregate::Gathered;
use super::keys::Collector;
use super::pieces::{Piece, pieces};
use super::plan::{Answer, Plan, Task};
use super::take::{Edges, Noted, Rows, across_edges, take};
use crate::column::{Class, Column};
use crate::contract::Kind;
use crate::data::{Batch, Batches, Blocks, DataFile, Unit};
use crate::report::EXAMPLES;

/// What was gathered for one check.
#[derive(Debug, Default)]
pub struct State {
    /// Why it cannot be determined.
    pub reason: Option<String>,
    /// Rows looked at.
    pub considered: u64,
    /// Of them rows that are otherwise.
    pub unexpected: u64,
    /// The first of these.
    pub examples: Vec<Noted>,
    /// Numbers.
    pub gathered: Gathered,
    /// Keys of the threads.
    pub collectors: Vec<Collector>,
    /// Rows that the check's condition holds for.
    pub chosen: u64,
    /// Which members of a set occur.
    pub found: Vec<bool>,
    /// First and last values of row groups and blocks, by file and number.
    pub edges: BTreeMap<(usize, usize), Edges>,
}

/// What the pass gave.
#[derive(Debug)]
pub struct Scanned {
    /// For each check.
    pub states: Vec<State>,
    /// Rows; none when a file cannot be read to its end.
    pub rows: Option<u64>,
}

/// Bytes of keys that each thread has at least for each check: with less, it would write to its file all the time.
const LEAST_KEYS: usize = 256 << 10;

/// Limits of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub threads: usize,
    /// Bytes of keys that stay in memory.
    pub key_memory: usize,
}

/// Makes the pass.
pub fn scan(plan: &Plan<'_>, limits: Limits) -> Scanned {
    let units = plan.dataset.units();
    let pieces = pieces(plan, &units, limits.threads.max(1));
    let threads = limits.threads.clamp(1, pieces.len().max(1));
    let blocks: Vec<OnceLock<Option<Blocks>>> = plan.dataset.files.iter().map(|_| OnceLock::new()).collect();
    let rows: Option<u64> = units.iter().map(|unit| unit.rows).sum();
    let broken = plan.dataset.files.iter().any(|file| file.content.is_err());
    let next = AtomicUsize::new(0);
    let keys = plan.tasks.iter().filter(|task| **task == Task::Keys).count().max(1);
    let memory = (limits.key_memory / keys / threads).max(LEAST_KEYS.min(limits.key_memory));
    let ranges: Vec<Option<(i64, i64)>> = (0..plan.tasks.len())
        .map(|check| {
            // Bits do not count how often; the most frequent value is asked for by its count.
            let counts = matches!(
                plan.contract.checks[check].kind,
                Kind::DistinctValues { .. } | Kind::Divergence { .. }
            );
            let long = plan.tasks[check] == Task::Keys && !counts && plan.reason(check).is_none();
            if long { plan.long_range(&units, check) } else { None }
        })
        .collect();
    let work = || {
        let mut worker = Worker::new(plan, &blocks, &ranges, rows.unwrap_or(u64::MAX), memory);
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            worker.piece(piece);
        }
        worker
    };
    let done: Mutex<Vec<Worker<'_, '_>>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let worker = work();
                done.lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .push(worker);
            });
        }
    });
    let workers = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut counted = 0;
    let mut unreadable = broken;
    let mut states: Vec<State> = (0..plan.tasks.len()).map(|_| State::default()).collect();
    let mut of_blocks: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    for worker in workers {
        counted += worker.rows;
        unreadable |= worker.unreadable;
        of_blocks.extend(worker.of_blocks);
        for (state, more) in states.iter_mut().zip(worker.states) {
            state.merge(more);
        }
    }
    let before = rows_before(of_blocks);
    for (state, (check, task)) in states.iter_mut().zip(plan.contract.checks.iter().zip(&plan.tasks)) {
        state.count_from(&before);
        if *task == Task::Order {
            across_edges(plan, state, check);
        }
        state.examples.sort_by_key(|noted| (noted.file, noted.row));
        state.examples.truncate(EXAMPLES);
    }
    Scanned {
        states,
        rows: (!unreadable).then_some(counted),
    }
}

/// How many rows of a file come before each of its blocks.
fn rows_before(of_blocks: BTreeMap<(usize, usize), u64>) -> BTreeMap<(usize, usize), u64> {
    let mut last = (0, 0);
    let counted = of_blocks.into_iter().map(|((file, block), rows)| {
        let before = if last.0 == file { last.1 } else { 0 };
        last = (file, before + rows);
        ((file, block), before)
    });
    counted.collect()
}

impl State {
    /// Rows of blocks are counted from the block's first until it is known how many come before.
    fn count_from(&mut self, before: &BTreeMap<(usize, usize), u64>) {
        let of = |file: usize, group: usize| before.get(&(file, group)).copied().unwrap_or(0);
        for noted in &mut self.examples {
            noted.row += of(noted.file, noted.group);
        }
        for ((file, group), edges) in &mut self.edges {
            edges.first_row += of(*file, *group);
        }
    }

    fn merge(&mut self, more: Self) {
        self.reason = self.reason.take().or(more.reason);
        self.considered += more.considered;
        self.unexpected += more.unexpected;
        self.chosen += more.chosen;
        self.examples.extend(more.examples);
        self.gathered.merge(more.gathered);
        self.collectors.extend(more.collectors);
        if self.found.len() < more.found.len() {
            self.found.resize(more.found.len(), false);
        }
        for (found, more) in self.found.iter_mut().zip(more.found) {
            *found |= more;
        }
        self.edges.extend(more.edges);
    }
}

struct Worker<'p, 'd> {
    plan: &'p Plan<'d>,
    /// Of the files of text, once someone has begun one.
    blocks: &'p [OnceLock<Option<Blocks>>],
    states: Vec<State>,
    rows: u64,
    /// Rows of blocks, by file and number.
    of_blocks: BTreeMap<(usize, usize), u64>,
    unreadable: bool,
}

impl<'p, 'd> Worker<'p, 'd> {
    fn new(
        plan: &'p Plan<'d>,
        blocks: &'p [OnceLock<Option<Blocks>>],
        ranges: &[Option<(i64, i64)>],
        rows: u64,
        memory: usize,
    ) -> Self {
        let states = plan.tasks.iter().enumerate().map(|(check, task)| {
            let mut state = State::default();
            if *task == Task::Keys && plan.reason(check).is_none() {
                state
                    .collectors
                    .push(Collector::new(ranges[check], rows, plan.is_long(check), memory));
            }
            if let (Task::Found, Kind::DistinctValues { values, .. }) = (task, &plan.contract.checks[check].kind) {
                state.found = vec![false; values.len()];
            }
            state
        });
        Self {
            plan,
            blocks,
            states: states.collect(),
            rows: 0,
            of_blocks: BTreeMap::new(),
            unreadable: false,
        }
    }

    fn piece(&mut self, piece: &Piece) {
        let unit = &piece.unit;
        let file = &self.plan.dataset.files[unit.file];
        let wanted = self.wanted(piece);
        if let (Some(rows), true) = (unit.rows, wanted.is_empty()) {
            self.rows += if piece.counts { rows } else { 0 };
            return;
        }
        let columns = self.columns(unit, &wanted);
        let read = match self.blocks[unit.file].get_or_init(|| file.blocks()) {
            None => file
                .read(unit, &columns)
                .and_then(|batches| self.batches(unit, batches, &columns, &wanted))
                .and_then(|rows| {
                    self.rows += if piece.counts { rows } else { 0 };
                    if unit.rows.is_some_and(|promised| promised != rows) {
                        return Err("the row group has another number of rows than its footer says".into());
                    }
                    Ok(())
                }),
            Some(blocks) => self.text(file, unit, blocks, &columns, &wanted),
        };
        if let Err(reason) = read {
            self.unreadable = true;
            for check in &wanted {
                self.states[*check].reason = Some(format!("{} cannot be read: {reason}", file.path));
            }
        }
    }

    /// The checks of a piece that its values are read for; what footers answer is taken from there.
    fn wanted(&mut self, piece: &Piece) -> Vec<usize> {
        let unit = &piece.unit;
        let plans = &self.plan.files[unit.file];
        let mut wanted: Vec<usize> = Vec::new();
        for (check, planned) in plans.iter().enumerate() {
            // One that cannot be determined anyway is not worth reading for.
            let Ok(planned) = planned else { continue };
            if !piece.has(check) || matches!(self.plan.tasks[check], Task::Schema | Task::Refused(_)) {
                continue;
            }
            if !planned.reads {
                self.states[check].considered += unit.rows.unwrap_or(0);
                continue;
            }
            match self.plan.footer(unit, check) {
                Some(Answer::Fine { considered }) => self.states[check].considered += considered,
                Some(Answer::Numbers { rows, nulls, extremes }) => {
                    let class = planned.classes.first().copied().unwrap_or(Class::Null);
                    self.states[check].gathered.take_footer(rows, nulls, extremes, class);
                }
                None => wanted.push(check),
            }
        }
        wanted
    }

    /// The columns of some checks, ascending.
    fn columns(&self, unit: &Unit, checks: &[usize]) -> Vec<usize> {
        let plans = &self.plan.files[unit.file];
        let planned = checks.iter().filter_map(|check| plans[*check].as_ref().ok());
        let mut columns: Vec<usize> = planned.flat_map(|plan| plan.all_columns()).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Takes blocks of a file of text as long as there are any.
    fn text(
        &mut self,
        file: &DataFile,
        unit: &Unit,
        blocks: &Blocks,
        columns: &[usize],
        wanted: &[usize],
    ) -> Result<(), String> {
        while let Some(block) = blocks.next() {
            let block = block?;
            let of = Unit {
                group: block.number,
                ..*unit
            };
            let read = file
                .read_block(&block, columns)
                .and_then(|batches| self.batches(&of, batches, columns, wanted));
            match read {
                Ok(rows) => {
                    self.rows += rows;
                    self.of_blocks.insert((unit.file, block.number), rows);
                }
                Err(reason) => {
                    blocks.stop();
                    // Read from its beginning, the file tells the line.
                    let mut all = file.read(unit, columns)?;
                    return Err(all.find_map(Result::err).unwrap_or(reason));
                }
            }
        }
        Ok(())
    }

    /// Lets checks take batches; gives the number of rows.
    fn batches(
        &mut self,
        unit: &Unit,
        batches: Batches<'_>,
        columns: &[usize],
        wanted: &[usize],
    ) -> Result<u64, String> {
        let mut rows = 0;
        for batch in batches {
            let batch = batch?;
            self.batch(unit, &batch, columns, wanted, unit.first_row + rows);
            rows += batch.rows as u64;
        }
        Ok(rows)
    }

    fn batch(&mut self, unit: &Unit, batch: &Batch, columns: &[usize], wanted: &[usize], first_row: u64) {
        let file = &self.plan.dataset.files[unit.file];
        let converted: Vec<Result<Column, String>> = columns
            .iter()
            .zip(&batch.columns)
            .map(|(column, array)| {
                Column::of(
                    array,
                    file.schema.field(*column).data_type(),
                    self.plan.contract.nan_is_null,
                )
            })
            .collect();
        for check in wanted {
            let Ok(planned) = &self.plan.files[unit.file][*check] else {
                continue;
            };
            let state = &mut self.states[*check];
            if state.reason.is_some() {
                continue;
            }
            let get = |column: usize| match columns.binary_search(&column) {
                Ok(at) => converted[at].as_ref().map_err(Clone::clone),
                Err(_) => Err("a column was not read".to_owned()),
            };
            let own: Result<Vec<&Column>, String> = planned.columns.iter().map(|column| get(*column)).collect();
            let taken = own.and_then(|own| planned.seen(own)).and_then(|own| {
                let own: Vec<&Column> = own.iter().map(AsRef::as_ref).collect();
                let Some(filter) = &planned.filter else {
                    let rows = Rows::all(*unit, first_row);
                    return take(state, self.plan, *check, planned, &own, &rows);
                };
                let mask = filter.mask(batch.rows, &get)?;
                state.chosen += mask.count_set_bits() as u64;
                let kept = own
                    .iter()
                    .map(|column| column.filter(&mask))
                    .collect::<Result<Vec<_>, _>>()?;
                let rows = Rows {
                    chosen: Some(mask.set_indices().collect()),
                    ..Rows::all(*unit, first_row)
                };
                let own: Vec<&Column> = kept.iter().collect();
                take(state, self.plan, *check, planned, &own, &rows)
            });
            if let Err(reason) = taken {
                state.reason = Some(format!("{reason} ({})", file.path));
            }
        }
    }
}
