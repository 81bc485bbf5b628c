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

/// Tasks in the order of a number: their ids, 16 bytes a task.
#[derive(Debug)]
pub(super) struct Order(Vec<(i64, i64)>);

/// The tasks that are wanted, in the order of a number and of their ids, or the other way round.
pub(super) fn order(
    view: &View,
    key: StageKey,
    wanted: impl Fn(&Task) -> bool,
    number: impl Fn(&Task) -> i64,
    descending: bool,
) -> io::Result<Order> {
    let mut order: Vec<(i64, i64)> = Vec::new();
    for task in view.tasks(key) {
        let task = task?;
        if wanted(&task) {
            order.push((number(&task), task.id));
        }
    }
    order.sort_unstable();
    if descending {
        order.reverse();
    }
    Ok(Order(order))
}

impl Order {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps those at these places.
    pub(super) fn keep(&mut self, places: Range<usize>) {
        self.0.truncate(places.end);
        self.0.drain(..places.start.min(self.0.len()));
    }

    /// The tasks at these places.
    pub(super) fn at(&self, view: &View, key: StageKey, places: Range<usize>) -> io::Result<Vec<Task>> {
        let end = places.end.min(self.0.len());
        of_ids(view, key, self.0.get(places.start.min(end)..end).unwrap_or_default())
    }

    /// Keeps those whose id is wanted.
    pub(super) fn retain(&mut self, wanted: impl Fn(&i64) -> bool) {
        self.0.retain(|(_, id)| wanted(id));
    }

    /// The tasks, a part of them in memory at a time.
    pub(super) fn tasks<'a>(&'a self, view: &'a View, key: StageKey) -> impl Iterator<Item = io::Result<Task>> + 'a {
        self.0
            .chunks(AT_ONCE)
            .flat_map(move |part| match of_ids(view, key, part) {
                Ok(tasks) => tasks.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
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
fn of_ids(view: &View, key: StageKey, wanted: &[(i64, i64)]) -> io::Result<Vec<Task>> {
    let places: HashMap<i64, usize> = wanted.iter().enumerate().map(|(place, (_, id))| (*id, place)).collect();
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
