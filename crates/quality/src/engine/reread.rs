//! Passes of their own over some columns: rows of repeated keys for examples, and the keys of other data.

use super::plan::Plan;
use super::rows::is_left_out;
use super::scan::State;
use super::take::{Rows, note};
use crate::column::{Class, Column};
use crate::data::BATCH_ROWS;
use crate::report::Example;

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
            let rows = Rows::all(unit, first_row);
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
    let named = state.examples.into_iter().map(|noted| Example {
        file: plan.dataset.files[noted.file].path.clone(),
        row: noted.row,
        values: noted.values,
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
