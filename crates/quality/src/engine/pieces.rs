//! Pieces of the data that threads take in turn.
//!
//! A row group of Parquet is one piece, a file of text as many as there are threads: who takes one of these reads blocks of the file until there are none
//! left. Where there are fewer row groups than threads, the columns of each are divided among several.

use std::collections::BTreeMap;

use super::plan::{Plan, Task};
use crate::data::{Content, Unit};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it is.
    pub unit: Unit,
    /// The checks that it is read for; all when none.
    checks: Option<Vec<usize>>,
    /// Whether its rows count; of the pieces of a row group, those of one do.
    pub counts: bool,
}

impl Piece {
    fn of(unit: Unit) -> Self {
        Self {
            unit,
            checks: None,
            counts: true,
        }
    }

    /// Whether it is read for a check.
    pub fn has(&self, check: usize) -> bool {
        self.checks.as_ref().is_none_or(|checks| checks.contains(&check))
    }
}

/// The pieces of the data.
pub fn pieces(plan: &Plan<'_>, units: &[Unit], threads: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for unit in units {
        match &plan.dataset.files[unit.file].content {
            Ok(Content::Text(_)) => pieces.extend(std::iter::repeat_n(Piece::of(*unit), threads)),
            _ => divide(plan, *unit, threads / units.len(), &mut pieces),
        }
    }
    pieces
}

/// Divides the checks of a row group into at most so many pieces that share no column, of about the same size.
fn divide(plan: &Plan<'_>, unit: Unit, most: usize, pieces: &mut Vec<Piece>) {
    // Checks by the least column that they share with others.
    let mut together: BTreeMap<usize, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    let mut others: Vec<usize> = Vec::new();
    for (check, planned) in plan.files[unit.file].iter().enumerate() {
        let read = |_: &&_| !matches!(plan.tasks[check], Task::Schema | Task::Refused(_));
        let planned = planned.as_ref().ok().filter(read);
        let mut columns: Vec<usize> = planned.iter().flat_map(|planned| planned.all_columns()).collect();
        let mut checks = vec![check];
        while let Some(shared) = together
            .iter()
            .find_map(|(key, (_, known))| known.iter().any(|column| columns.contains(column)).then_some(*key))
        {
            let (more, known) = together.remove(&shared).unwrap_or_default();
            checks.extend(more);
            columns.extend(known);
        }
        match columns.iter().min() {
            Some(least) => {
                together.insert(*least, (checks, columns));
            }
            None => others.push(check),
        }
    }
    if most < 2 || together.len() < 2 {
        pieces.push(Piece::of(unit));
        return;
    }
    let size = |(_, columns): &(Vec<usize>, Vec<usize>)| {
        let mut columns = columns.clone();
        columns.sort_unstable();
        columns.dedup();
        columns
            .iter()
            .map(|column| plan.dataset.files[unit.file].bytes_of(&unit, *column))
            .sum::<u64>()
    };
    let mut groups: Vec<(u64, Vec<usize>)> = together.into_values().map(|group| (size(&group), group.0)).collect();
    groups.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let mut shares: Vec<(u64, Vec<usize>)> = vec![(0, Vec::new()); most.min(groups.len())];
    for (size, checks) in groups {
        if let Some((sum, share)) = shares.iter_mut().min_by_key(|(sum, _)| *sum) {
            *sum += size;
            share.extend(checks);
        }
    }
    for (position, (_, mut checks)) in shares.into_iter().enumerate() {
        if position == 0 {
            checks.extend(&others);
        }
        pieces.push(Piece {
            unit,
            checks: Some(checks),
            counts: position == 0,
        });
    }
}
