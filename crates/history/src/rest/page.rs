//! Pages of a stage attempt's tasks: memory for the page, not for the stage attempt.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use crate::json::Json;
use crate::model::View;
use crate::model::data::StageKey;
use crate::model::task::Task;

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

/// Writes the tasks that are wanted at the places of `page`, in the order of a number and of their ids, or the other way round.
pub(super) fn by(
    json: &mut Json<'_>,
    view: &View,
    key: StageKey,
    wanted: impl Fn(&Task) -> bool,
    number: impl Fn(&Task) -> i64,
    descending: bool,
    page: Range<usize>,
) {
    let mut order: Vec<(i64, i64)> = Vec::new();
    for task in view.tasks(key) {
        match task {
            Ok(task) if wanted(&task) => order.push((number(&task), task.id)),
            Ok(_) => {}
            Err(error) => return json.fail(error),
        }
    }
    order.sort_unstable();
    if descending {
        order.reverse();
    }
    let page = page.start.min(order.len())..page.end.min(order.len());
    let parts = order[page].chunks(AT_ONCE);
    let tasks = parts.flat_map(|part| match of_ids(view, key, part) {
        Ok(tasks) => tasks.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    });
    write(json, view, tasks);
}

/// Tasks by their ids, in the order of `wanted`.
fn of_ids(view: &View, key: StageKey, wanted: &[(i64, i64)]) -> io::Result<Vec<Task>> {
    let places: HashMap<i64, usize> = wanted.iter().enumerate().map(|(place, (_, id))| (*id, place)).collect();
    let mut found = Vec::with_capacity(wanted.len());
    for task in view.tasks(key) {
        let task = task?;
        if let Some(place) = places.get(&task.id) {
            found.push((*place, task));
        }
    }
    found.sort_by_key(|(place, _)| *place);
    Ok(found.into_iter().map(|(_, task)| task).collect())
}
