//! How checks take a batch: rows are judged, keys and numbers gathered, and rows that are otherwise noted.

use super::aggregate::Extreme;
use super::plan::{FilePlan, Plan, Task};
use super::rows::is_left_out;
use super::scan::State;
use crate::column::{Class, Column, Values};
use crate::contract::{Check, Kind};
use crate::data::Unit;
use crate::report::EXAMPLES;

/// A row that is otherwise.
#[derive(Clone, Debug)]
pub struct Noted {
    /// Position of the file.
    pub file: usize,
    /// Its row group or block.
    pub group: usize,
    /// Row from 1.
    pub row: u64,
    /// Values of the check's columns.
    pub values: serde_json::Map<String, serde_json::Value>,
}

/// First and last value of a row group or block, and the row of the first.
#[derive(Clone, Debug)]
pub struct Edges {
    first: Extreme,
    /// Row from 1.
    pub first_row: u64,
    last: Extreme,
}

/// Rows of a file that a batch holds.
pub(super) struct Rows {
    pub(super) unit: Unit,
    /// How many of the file come before it.
    pub(super) first: u64,
    /// Those a condition holds for, when there is one.
    pub(super) chosen: Option<Vec<usize>>,
}

impl Rows {
    pub(super) fn all(unit: Unit, first: u64) -> Self {
        Self {
            unit,
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
pub(super) fn take(
    state: &mut State,
    plan: &Plan<'_>,
    check: usize,
    planned: &FilePlan,
    columns: &[&Column],
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
        Task::Order => order(state, of, columns, rows)?,
        // The rows a condition holds for are counted by whoever evaluates it.
        Task::Count => {}
        Task::Schema | Task::Refused(_) => {}
    }
    Ok(())
}

/// Keeps a row as an example; false when there are enough.
pub(super) fn note(state: &mut State, check: &Check, columns: &[&Column], rows: &Rows, row: usize) -> bool {
    if state.examples.len() >= EXAMPLES {
        return false;
    }
    let values = check
        .columns
        .iter()
        .zip(columns)
        .map(|(name, column)| (name.clone(), column.show(row)));
    state.examples.push(Noted {
        file: rows.unit.file,
        group: rows.unit.group,
        row: rows.number(row),
        values: values.collect(),
    });
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

fn order(state: &mut State, check: &Check, columns: &[&Column], rows: &Rows) -> Result<(), String> {
    let [column] = columns else { return Ok(()) };
    let value = |row: usize| match &column.values {
        Values::Long(values) => Some(Extreme::Long(values.values()[row])),
        Values::Decimal(values) => Some(Extreme::Decimal(values.values()[row])),
        Values::Float(values) => Some(Extreme::Float(values.values()[row])),
        _ => None,
    };
    let key = (rows.unit.file, rows.unit.group);
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

/// The first value of each row group or block is compared with the last of the one before.
pub(super) fn across_edges(plan: &Plan<'_>, state: &mut State, check: &Check) {
    let edges: Vec<((usize, usize), Edges)> = std::mem::take(&mut state.edges).into_iter().collect();
    for pair in edges.windows(2) {
        let ((_, before), ((file, group), after)) = (&pair[0], &pair[1]);
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
        state.examples.push(Noted {
            file: *file,
            group: *group,
            row: after.first_row,
            values: values.collect(),
        });
    }
}
