//! The pass over the data: units are taken in turn by threads, each column is converted once a batch, and every check takes what it needs.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Map;

use super::aggregate::{Extreme, Gathered};
use super::keys::Collector;
use super::plan::{Answer, FilePlan, Plan, Task};
use super::rows::is_left_out;
use crate::column::{Class, Column, Values};
use crate::contract::{Check, Kind};
use crate::data::{BATCH_ROWS, Batch, Unit};
use crate::report::{EXAMPLES, Example};

/// What was gathered for one check.
#[derive(Debug, Default)]
pub struct State {
    /// Why it cannot be told.
    pub reason: Option<String>,
    /// Rows looked at.
    pub considered: u64,
    /// Of them rows that are otherwise.
    pub unexpected: u64,
    /// The first of these: position of the file, row from 1, values.
    pub examples: Vec<(usize, u64, Map<String, serde_json::Value>)>,
    /// Numbers.
    pub gathered: Gathered,
    /// Keys of the threads.
    pub collectors: Vec<Collector>,
    /// Rows that the check's condition holds for.
    pub chosen: u64,
    /// Which members of a set occur.
    pub found: Vec<bool>,
    /// First and last values of units, by file and group.
    pub edges: BTreeMap<(usize, usize), Edges>,
}

/// First and last value of a unit, and the row of the first.
#[derive(Clone, Debug)]
pub struct Edges {
    first: Extreme,
    first_row: u64,
    last: Extreme,
}

/// What the pass gave.
#[derive(Debug)]
pub struct Scanned {
    /// For each check.
    pub states: Vec<State>,
    /// Rows; none when a file cannot be read to its end.
    pub rows: Option<u64>,
}

/// Limits of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Threads.
    pub threads: usize,
    /// Bytes of keys that stay in memory.
    pub key_memory: usize,
}

/// Makes the pass.
pub fn scan(plan: &Plan<'_>, limits: Limits) -> Scanned {
    let units = plan.dataset.units();
    let threads = limits.threads.clamp(1, units.len().max(1));
    let rows: Option<u64> = units.iter().map(|unit| unit.rows).sum();
    let broken = plan.dataset.files.iter().any(|file| file.content.is_err());
    let next = AtomicUsize::new(0);
    let keys = plan.tasks.iter().filter(|task| **task == Task::Keys).count().max(1);
    let memory = limits.key_memory / keys / threads;
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
        let mut worker = Worker::new(plan, &ranges, rows.unwrap_or(u64::MAX), memory);
        while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
            worker.unit(unit);
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
    for worker in workers {
        counted += worker.rows;
        unreadable |= worker.unreadable;
        for (state, more) in states.iter_mut().zip(worker.states) {
            state.merge(more);
        }
    }
    for (state, (check, task)) in states.iter_mut().zip(plan.contract.checks.iter().zip(&plan.tasks)) {
        if *task == Task::Order {
            across_edges(plan, state, check);
        }
        state.examples.sort_by_key(|(file, row, _)| (*file, *row));
        state.examples.truncate(EXAMPLES);
    }
    Scanned {
        states,
        rows: (!unreadable).then_some(counted),
    }
}

impl State {
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
    states: Vec<State>,
    rows: u64,
    unreadable: bool,
}

impl<'p, 'd> Worker<'p, 'd> {
    fn new(plan: &'p Plan<'d>, ranges: &[Option<(i64, i64)>], rows: u64, memory: usize) -> Self {
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
            states: states.collect(),
            rows: 0,
            unreadable: false,
        }
    }

    fn unit(&mut self, unit: &Unit) {
        let file = &self.plan.dataset.files[unit.file];
        let plans = &self.plan.files[unit.file];
        let mut wanted: Vec<usize> = Vec::new();
        for (check, planned) in plans.iter().enumerate() {
            // One that cannot be told anyway is not worth reading for.
            let Ok(planned) = planned else { continue };
            if matches!(self.plan.tasks[check], Task::Schema | Task::Refused(_)) {
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
        if let (Some(rows), true) = (unit.rows, wanted.is_empty()) {
            self.rows += rows;
            return;
        }
        let planned = |check: &usize| plans[*check].as_ref().ok();
        let mut columns: Vec<usize> = wanted
            .iter()
            .filter_map(planned)
            .flat_map(|plan| {
                plan.columns
                    .iter()
                    .chain(plan.filter.iter().flat_map(|filter| &filter.columns))
                    .copied()
            })
            .collect();
        columns.sort_unstable();
        columns.dedup();
        let failed = |worker: &mut Self, reason: String| {
            worker.unreadable = true;
            for check in &wanted {
                worker.states[*check].reason = Some(format!("{} cannot be read: {reason}", file.path));
            }
        };
        let batches = match file.read(unit, &columns) {
            Ok(batches) => batches,
            Err(reason) => return failed(self, reason),
        };
        let mut first_row = unit.first_row;
        for batch in batches {
            let batch = match batch {
                Ok(batch) => batch,
                Err(reason) => return failed(self, reason),
            };
            self.batch(unit, &batch, &columns, &wanted, first_row);
            first_row += batch.rows as u64;
        }
        self.rows += first_row - unit.first_row;
        if unit.rows.is_some_and(|rows| rows != first_row - unit.first_row) {
            failed(
                self,
                "the row group has another number of rows than its footer says".into(),
            );
        }
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
            let taken = own.and_then(|own| {
                let Some(filter) = &planned.filter else {
                    let rows = Rows::all(unit.file, first_row);
                    return take(state, self.plan, *check, planned, &own, unit, &rows);
                };
                let mask = filter.mask(batch.rows, &get)?;
                state.chosen += mask.count_set_bits() as u64;
                let kept = own
                    .iter()
                    .map(|column| column.filter(&mask))
                    .collect::<Result<Vec<_>, _>>()?;
                let rows = Rows {
                    chosen: Some(mask.set_indices().collect()),
                    ..Rows::all(unit.file, first_row)
                };
                let own: Vec<&Column> = kept.iter().collect();
                take(state, self.plan, *check, planned, &own, unit, &rows)
            });
            if let Err(reason) = taken {
                state.reason = Some(format!("{reason} ({})", file.path));
            }
        }
    }
}

/// Rows of a file that a batch holds.
struct Rows {
    file: usize,
    first: u64,
    /// Those a condition holds for, when there is one.
    chosen: Option<Vec<usize>>,
}

impl Rows {
    fn all(file: usize, first: u64) -> Self {
        Self {
            file,
            first,
            chosen: None,
        }
    }

    /// The number in the file, from 1, of a row.
    fn number(&self, row: usize) -> u64 {
        let row = self
            .chosen
            .as_ref()
            .and_then(|chosen| chosen.get(row).copied())
            .unwrap_or(row);
        self.first + row as u64 + 1
    }
}

/// Lets a check take a batch.
fn take(
    state: &mut State,
    plan: &Plan<'_>,
    check: usize,
    planned: &FilePlan,
    columns: &[&Column],
    unit: &Unit,
    rows: &Rows,
) -> Result<(), String> {
    let of = &plan.contract.checks[check];
    match &plan.tasks[check] {
        Task::Rows => {
            let Some(rule) = &planned.rule else {
                return Err("the check has no rule".into());
            };
            let judged = rule.judge(columns)?;
            state.considered += judged.considered as u64;
            let bad = judged.bad.count_set_bits();
            if bad > 0 {
                state.unexpected += bad as u64;
                for row in judged.bad.set_indices() {
                    if !note(state, of, columns, rows, row) {
                        break;
                    }
                }
            }
        }
        Task::Keys => {
            let left_out = |row: usize| is_left_out(of.leave_out, columns, row);
            for collector in &mut state.collectors {
                let taken = collector.take(columns, left_out);
                taken.map_err(|error| format!("keys cannot be kept: {error}"))?;
            }
        }
        Task::Gather(needs) => {
            if let [column] = columns {
                state.gathered.take(column, *needs);
            }
        }
        Task::Found => found(state, of, planned, columns, rows),
        Task::Order => order(state, of, columns, unit, rows)?,
        // The rows a condition holds for are counted by whoever evaluates it.
        Task::Count => {}
        Task::Schema | Task::Refused(_) => {}
    }
    Ok(())
}

/// Keeps a row as an example; false when there are enough.
fn note(state: &mut State, check: &Check, columns: &[&Column], rows: &Rows, row: usize) -> bool {
    if state.examples.len() >= EXAMPLES {
        return false;
    }
    let values = check
        .columns
        .iter()
        .zip(columns)
        .map(|(name, column)| (name.clone(), column.show(row)));
    state.examples.push((rows.file, rows.number(row), values.collect()));
    true
}

fn found(state: &mut State, check: &Check, planned: &FilePlan, columns: &[&Column], rows: &Rows) {
    let (Some(set), [column]) = (&planned.set, columns) else {
        return;
    };
    for row in (0..column.len()).filter(|row| !column.is_null(*row)) {
        state.considered += 1;
        let at = if column.is_valid(row) {
            set.find(column, row)
        } else {
            None
        };
        match at.and_then(|at| state.found.get_mut(at)) {
            Some(found) => *found = true,
            None => {
                state.unexpected += 1;
                note(state, check, columns, rows, row);
            }
        }
    }
}

fn order(state: &mut State, check: &Check, columns: &[&Column], unit: &Unit, rows: &Rows) -> Result<(), String> {
    let [column] = columns else { return Ok(()) };
    let value = |row: usize| match &column.values {
        Values::Long(values) => Some(Extreme::Long(values.values()[row])),
        Values::Decimal(values) => Some(Extreme::Decimal(values.values()[row])),
        Values::Float(values) => Some(Extreme::Float(values.values()[row])),
        _ => None,
    };
    let key = (unit.file, unit.group);
    for row in 0..column.len() {
        if column.is_malformed(row) {
            return Err("a value is not of the column's type, and has no place in an order".into());
        }
        if !column.is_valid(row) {
            continue;
        }
        let Some(value) = value(row) else {
            return Err(format!(
                "the column is {}, which is not looked at for an order",
                column.class.name()
            ));
        };
        state.considered += 1;
        let at = rows.number(row);
        match state.edges.get_mut(&key) {
            None => {
                let edges = Edges {
                    first: value.clone(),
                    first_row: at,
                    last: value,
                };
                state.edges.insert(key, edges);
            }
            Some(edges) => {
                let before = std::mem::replace(&mut edges.last, value.clone());
                if !in_order(&check.kind, &before, &value) {
                    state.unexpected += 1;
                    note(state, check, columns, rows, row);
                }
            }
        }
    }
    Ok(())
}

/// Whether a value may follow another.
pub fn in_order(kind: &Kind, before: &Extreme, after: &Extreme) -> bool {
    let Kind::Increasing { strictly, descending } = kind else {
        return true;
    };
    let ordering = match (before, after) {
        (Extreme::Long(before), Extreme::Long(after)) => Some(after.cmp(before)),
        (Extreme::Decimal(before), Extreme::Decimal(after)) => Some(after.cmp(before)),
        // Not a number follows anything.
        (Extreme::Float(before), Extreme::Float(after)) => after.partial_cmp(before),
        _ => None,
    };
    let Some(ordering) = ordering else { return true };
    let ordering = if *descending { ordering.reverse() } else { ordering };
    if *strictly { ordering.is_gt() } else { ordering.is_ge() }
}

/// The first value of each unit is compared with the last of the one before.
fn across_edges(plan: &Plan<'_>, state: &mut State, check: &Check) {
    let edges: Vec<((usize, usize), Edges)> = std::mem::take(&mut state.edges).into_iter().collect();
    for pair in edges.windows(2) {
        let ((_, before), ((file, _), after)) = (&pair[0], &pair[1]);
        if in_order(&check.kind, &before.last, &after.first) {
            continue;
        }
        state.unexpected += 1;
        let class = plan.files[*file]
            .iter()
            .zip(&plan.contract.checks)
            .find(|(_, of)| of.id == check.id);
        let class = class.and_then(|(planned, _)| planned.as_ref().ok()?.classes.first().copied());
        let values = check
            .columns
            .iter()
            .map(|name| (name.clone(), after.first.show(class.unwrap_or(Class::Int))));
        state.examples.push((*file, after.first_row, values.collect()));
    }
}

/// Rows of repeated keys, for examples; the first of them, in order.
///
/// # Errors
/// When a file cannot be read any more.
pub fn repeated_examples(
    plan: &Plan<'_>,
    check: usize,
    repeated: &super::keys::Repeated,
) -> Result<Vec<Example>, String> {
    let of = &plan.contract.checks[check];
    let mut state = State::default();
    for unit in plan.dataset.units() {
        let file = &plan.dataset.files[unit.file];
        let Ok(planned) = &plan.files[unit.file][check] else {
            continue;
        };
        let mut sorted = planned.columns.clone();
        sorted.extend(planned.filter.iter().flat_map(|filter| &filter.columns));
        sorted.sort_unstable();
        sorted.dedup();
        let mut first_row = unit.first_row;
        for batch in file.read(&unit, &sorted)? {
            let batch = batch?;
            let mut columns = Vec::with_capacity(planned.columns.len());
            for column in &planned.columns {
                let at = sorted.binary_search(column).unwrap_or_default();
                let meant = file.schema.field(*column).data_type();
                columns.push(Column::of(&batch.columns[at], meant, plan.contract.nan_is_null)?);
            }
            let columns: Vec<&Column> = columns.iter().collect();
            let mask = planned.mask(&sorted, file, &batch, plan.contract.nan_is_null)?;
            let rows = Rows::all(unit.file, first_row);
            for row in 0..batch.rows {
                let chosen = mask.as_ref().is_none_or(|mask| mask.value(row));
                let counts = chosen && !is_left_out(of.leave_out, &columns, row) && repeated.contains(&columns, row);
                if counts && !note(&mut state, of, &columns, &rows, row) {
                    return Ok(examples(plan, state));
                }
            }
            first_row += batch.rows as u64;
        }
    }
    Ok(examples(plan, state))
}

/// Examples with the names of their files.
pub fn examples(plan: &Plan<'_>, state: State) -> Vec<Example> {
    let named = state.examples.into_iter().map(|(file, row, values)| Example {
        file: plan.dataset.files[file].path.clone(),
        row,
        values,
    });
    named.collect()
}

/// The keys of some columns of data, for references.
///
/// # Errors
/// When the data cannot be read, or have no such columns.
pub fn all_keys(
    dataset: &crate::data::Dataset,
    names: &[String],
    nan_is_null: bool,
) -> Result<(Vec<u128>, Vec<Class>), String> {
    let mut keys = Vec::new();
    let mut classes: Option<Vec<Class>> = None;
    for file in &dataset.files {
        if let Err(reason) = &file.content {
            return Err(format!("{} cannot be read: {reason}", file.path));
        }
    }
    for unit in dataset.units() {
        let file = &dataset.files[unit.file];
        let positions = names
            .iter()
            .map(|name| super::plan::position(file, name))
            .collect::<Result<Vec<usize>, String>>()?;
        let own: Vec<Class> = positions
            .iter()
            .map(|at| Class::of(file.schema.field(*at).data_type()))
            .collect();
        if classes.as_ref().is_some_and(|classes| *classes != own) {
            return Err(format!(
                "the columns of {} are of other types than those of files before",
                file.path
            ));
        }
        classes = Some(own);
        let mut sorted = positions.clone();
        sorted.sort_unstable();
        sorted.dedup();
        for batch in file.read(&unit, &sorted)? {
            let batch = batch?;
            let mut columns = Vec::with_capacity(positions.len());
            for position in &positions {
                let at = sorted.binary_search(position).unwrap_or_default();
                columns.push(Column::of(
                    &batch.columns[at],
                    file.schema.field(*position).data_type(),
                    nan_is_null,
                )?);
            }
            let columns: Vec<&Column> = columns.iter().collect();
            keys.reserve(BATCH_ROWS);
            let complete = (0..batch.rows).filter(|row| columns.iter().all(|column| column.is_valid(*row)));
            keys.extend(complete.map(|row| super::keys::row_key(&columns, row)));
        }
    }
    Ok((keys, classes.unwrap_or_default()))
}
