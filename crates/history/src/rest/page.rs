//! Pages of a stage attempt's tasks: memory for the page, not for the stage attempt.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use crate::json::Json;
use crate::model::View;
use crate::model::data::StageKey;
use crate::model::task::{Outcome, Task};

/// Tasks in memory at a time, where they are wanted in another order than they are kept in.
const AT_ONCE: usize = 20_000;

/// Writes tasks as they come.
pub(super) fn write(json: &mut Json<'_>, view: &View, tasks: impl Iterator<Item = io::Result<Task>>) {
    let mut failed = None;
    let readable = tasks.map_while(|task| task.map_err(|error| failed = Some(error)).ok());
    json.list(readable, |json, task| super::show::task(json, view, &task));
    if let Some(error) = failed {
        json.fail(error);
    }
}

/// Tasks in the order of a number: their ids, 4 bytes a task.
#[derive(Debug)]
pub(super) struct Order {
    /// What ids are counted from.
    least: i64,
    ids: Ids,
}

#[derive(Debug)]
enum Ids {
    Near(Vec<u32>),
    /// Ids that are too far apart, as in a damaged log.
    Far(Vec<i64>),
}

/// The tasks that are wanted, in the order of a number and of their ids, or the other way round.
pub(super) fn order<W: FnMut(&Task) -> bool + Send>(
    view: &View,
    key: StageKey,
    wanted: impl Fn() -> W + Sync,
    number: impl Fn(&Task) -> i64 + Sync,
    descending: bool,
) -> io::Result<Order> {
    let begin = || (wanted(), Vec::new());
    let found = view.look_at_tasks(key, begin, |(wanted, found), task| {
        if wanted(task) {
            found.push((number(task), task.id));
        }
    })?;
    let found = found.into_iter().map(|(_, found)| found).collect();
    Ok(Order::of(found, descending))
}

/// The bits a number below `range` takes.
fn bits(range: u64) -> u32 {
    u64::BITS - range.leading_zeros()
}

impl Order {
    /// Of numbers and ids, in lists.
    fn of(found: Vec<Vec<(i64, i64)>>, descending: bool) -> Order {
        let all = || found.iter().flatten();
        let least = |of: fn(&(i64, i64)) -> i64| all().map(of).min().unwrap_or(0);
        let greatest = |of: fn(&(i64, i64)) -> i64| all().map(of).max().unwrap_or(0);
        let (number, id) = (least(|one| one.0), least(|one| one.1));
        let numbers = greatest(|one| one.0).wrapping_sub(number).cast_unsigned();
        let range = greatest(|one| one.1).wrapping_sub(id).cast_unsigned();
        let (high, low) = (bits(numbers), bits(range));
        let ids = match high + low <= u64::BITS && low <= u32::BITS {
            true => {
                // Both as one number, which is half of what two take.
                let shift = |number: u64| number.checked_shl(low).unwrap_or(0);
                let packed = |one: (i64, i64)| {
                    let apart = |number: i64, least: i64| number.wrapping_sub(least).cast_unsigned();
                    shift(apart(one.0, number)) | apart(one.1, id)
                };
                let mut keys: Vec<u64> = Vec::with_capacity(all().count());
                for part in found {
                    keys.extend(part.into_iter().map(packed));
                }
                keys.sort_unstable();
                let mask = shift(1).wrapping_sub(1);
                let mut ids: Vec<u32> = keys.into_iter().map(|key| (key & mask) as u32).collect();
                if descending {
                    ids.reverse();
                }
                Ids::Near(ids)
            }
            false => {
                let mut keys = found.concat();
                keys.sort_unstable();
                if descending {
                    keys.reverse();
                }
                Ids::Far(keys.into_iter().map(|(_, id)| id).collect())
            }
        };
        Order { least: id, ids }
    }

    pub(super) fn len(&self) -> usize {
        match &self.ids {
            Ids::Near(ids) => ids.len(),
            Ids::Far(ids) => ids.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps those at these places.
    pub(super) fn keep(&mut self, places: Range<usize>) {
        fn keep<T>(ids: &mut Vec<T>, places: Range<usize>) {
            ids.truncate(places.end);
            ids.drain(..places.start.min(ids.len()));
        }
        match &mut self.ids {
            Ids::Near(ids) => keep(ids, places),
            Ids::Far(ids) => keep(ids, places),
        }
    }

    /// The ids at these places.
    fn ids(&self, places: Range<usize>) -> Vec<i64> {
        let end = places.end.min(self.len());
        let places = places.start.min(end)..end;
        match &self.ids {
            Ids::Near(ids) => ids[places]
                .iter()
                .map(|id| self.least.wrapping_add(i64::from(*id)))
                .collect(),
            Ids::Far(ids) => ids[places].to_vec(),
        }
    }

    /// The tasks at these places.
    pub(super) fn at(&self, view: &View, key: StageKey, places: Range<usize>) -> io::Result<Vec<Task>> {
        of_ids(view, key, &self.ids(places))
    }

    /// Keeps those whose id is wanted.
    pub(super) fn retain(&mut self, wanted: impl Fn(i64) -> bool) {
        match &mut self.ids {
            Ids::Near(ids) => ids.retain(|id| wanted(self.least.wrapping_add(i64::from(*id)))),
            Ids::Far(ids) => ids.retain(|id| wanted(*id)),
        }
    }

    /// The tasks, a part of them in memory at a time.
    pub(super) fn tasks<'a>(&'a self, view: &'a View, key: StageKey) -> impl Iterator<Item = io::Result<Task>> + 'a {
        let parts = (0..self.len()).step_by(AT_ONCE);
        parts.flat_map(
            move |begin| match self.at(view, key, begin..begin.saturating_add(AT_ONCE)) {
                Ok(tasks) => tasks.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            },
        )
    }
}

/// A metric of a task as Spark's store keeps it, to be sorted by: those of tasks that did not succeed come first, the greatest of them
/// before the others.
pub(super) fn stored(task: &Task, place: usize) -> i64 {
    match (task.metrics.as_ref().map(|metrics| metrics.get(place)), task.status) {
        (None, _) => -1,
        (Some(number), Outcome::Succeeded) => number,
        (Some(number), _) => !number,
    }
}

/// Tasks by their ids, in the order of `wanted`.
fn of_ids(view: &View, key: StageKey, wanted: &[i64]) -> io::Result<Vec<Task>> {
    let places: HashMap<i64, usize> = wanted.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let mut ids: Vec<i64> = places.keys().copied().collect();
    ids.sort_unstable();
    let mut found = Vec::with_capacity(wanted.len());
    for task in view.tasks_near(key, &ids) {
        let task = task?;
        if let Some(place) = places.get(&task.id) {
            found.push((*place, task));
        }
    }
    found.sort_by_key(|(place, _)| *place);
    Ok(found.into_iter().map(|(_, task)| task).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_those_of_numbers_and_ids() {
        let near = vec![vec![(5, 7), (-3, 9), (5, 2)], vec![], vec![(0, 8)]];
        let all_same = vec![vec![(4, 4), (4, 3)]];
        let wide = vec![vec![(i64::MIN, 1), (i64::MAX, 2), (-1, 3)]];
        let far = vec![vec![(1, i64::MAX), (1, i64::MIN), (0, 5), (2, 1 << 40)]];
        for found in [near, all_same, wide, far, vec![vec![(1, 1)]], vec![]] {
            let mut expected = found.concat();
            expected.sort_unstable();
            let mut expected: Vec<i64> = expected.into_iter().map(|(_, id)| id).collect();
            for descending in [false, true] {
                let mut order = Order::of(found.clone(), descending);
                assert_eq!(order.ids(0..usize::MAX), expected, "{found:?}");
                order.retain(|id| id != 8);
                assert_eq!(
                    order.ids(1..2),
                    expected
                        .iter()
                        .filter(|id| **id != 8)
                        .skip(1)
                        .take(1)
                        .copied()
                        .collect::<Vec<_>>()
                );
                order.keep(1..3);
                assert!(order.len() <= 2);
                expected.reverse();
            }
        }
    }
}
