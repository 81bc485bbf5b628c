//! The executors of an application, the driver among them.

use stoke_history::model::data::Executor;
use stoke_history::rest::executor_times;

use super::{App, Visit, is_chosen, sort_by};
use crate::page::{Cell, Page, Row, Section, State, Table};

const SORTS: [&str; 12] = [
    "id",
    "address",
    "added",
    "cores",
    "tasks",
    "failed",
    "taskTime",
    "gc",
    "input",
    "shuffleRead",
    "shuffleWrite",
    "heap",
];

/// How an executor stands.
fn state(executor: &Executor) -> State {
    match executor.active {
        true => State::Running,
        false => State::Gone,
    }
}

/// The page.
pub fn page(app: &App, visit: &Visit) -> Page {
    let w = visit.w;
    let mut page = app.page(visit, "executors", "executors/", w.executors.to_owned(), None);
    page.rest = Some(app.place.rest("allexecutors"));
    let all: Vec<&Executor> = app.view.executors().collect();
    let states: Vec<State> = all.iter().map(|one| state(one)).collect();
    let text = visit.searched();
    let wanted = |one: &&Executor| {
        let has = |text: &str| {
            let reason = one.remove_reason.as_deref().unwrap_or_default();
            [one.id.as_str(), one.address().unwrap_or_default(), reason]
                .iter()
                .any(|shown| shown.to_lowercase().contains(text))
        };
        is_chosen(visit, state(one)) && text.as_deref().is_none_or(has)
    };
    let mut rows: Vec<&Executor> = all.iter().copied().filter(wanted).collect();
    let (sort, descending) = visit.sort(&SORTS, "id", false);
    let times = |one: &Executor| executor_times(one, &app.attempt, app.now);
    let heap = |one: &Executor| one.peaks.get("JVMHeapMemory").unwrap_or(0);
    match sort {
        "address" => sort_by(&mut rows, descending, |one| {
            one.address().unwrap_or_default().to_owned()
        }),
        "added" => sort_by(&mut rows, descending, |one| one.added),
        "cores" => sort_by(&mut rows, descending, |one| one.cores),
        "tasks" => sort_by(&mut rows, descending, |one| one.total_tasks),
        "failed" => sort_by(&mut rows, descending, |one| one.failed_tasks),
        "taskTime" => sort_by(&mut rows, descending, |one| times(one).0),
        "gc" => sort_by(&mut rows, descending, |one| times(one).1),
        "input" => sort_by(&mut rows, descending, |one| one.input_bytes),
        "shuffleRead" => sort_by(&mut rows, descending, |one| one.shuffle_read),
        "shuffleWrite" => sort_by(&mut rows, descending, |one| one.shuffle_write),
        "heap" => sort_by(&mut rows, descending, |one| heap(one)),
        // The driver is before the first.
        _ => sort_by(&mut rows, descending, |one| {
            (one.id.parse::<i64>().unwrap_or(-1), one.id.clone())
        }),
    }
    let (paging, range) = visit.page(rows.len());
    let columns = [
        ("id", w.executor, false),
        ("state", w.state, false),
        ("address", w.address, false),
        ("cores", w.cores, true),
        ("tasks", w.tasks, true),
        ("failed", w.failed, true),
        ("taskTime", w.task_time, true),
        ("gc", w.gc, true),
        ("input", w.input, true),
        ("shuffleRead", w.shuffle_read, true),
        ("shuffleWrite", w.shuffle_write, true),
        ("storage", w.storage_memory, true),
        ("disk", w.disk_used, true),
        ("heap", w.peak_heap, true),
        ("rss", w.peak_rss, true),
        ("added", w.added, true),
        ("removed", w.removed, true),
        ("reason", w.reason, false),
        ("log", w.log, false),
    ];
    let row = |one: &&Executor| -> Row {
        let (task_time, gc_time) = times(one);
        // Only what a browser takes for a page: a log says where, and logs are of others.
        let logs = one
            .logs
            .iter()
            .filter(|(_, to)| to.starts_with("http://") || to.starts_with("https://"));
        let logs: Vec<(String, String)> = logs.cloned().collect();
        vec![
            Cell::Text(one.id.clone()),
            Cell::State(state(one)),
            Cell::text(one.address().unwrap_or_default()),
            Cell::Count(one.cores.into()),
            Cell::Count(one.total_tasks.into()),
            Cell::Count(one.failed_tasks.into()),
            Cell::Millis(task_time),
            Cell::Millis(gc_time),
            Cell::some_bytes(one.input_bytes),
            Cell::some_bytes(one.shuffle_read),
            Cell::some_bytes(one.shuffle_write),
            Cell::some_bytes(one.memory_used),
            Cell::some_bytes(one.disk_used),
            Cell::some_bytes(heap(one)),
            Cell::some_bytes(one.peaks.get("ProcessTreeJVMRSSMemory").unwrap_or(0)),
            Cell::Moment(one.added),
            Cell::moment(one.removed),
            Cell::text(one.remove_reason.as_deref().unwrap_or_default()),
            if logs.is_empty() {
                Cell::Nothing
            } else {
                Cell::Links(logs)
            },
        ]
        .into()
    };
    let filter = visit.filter(w.search, &[State::Running, State::Gone], &states);
    let table = Table {
        id: "executors",
        title: "",
        empty: if all.is_empty() { w.nothing_here } else { w.no_match },
        columns: visit.columns(&columns, &SORTS, (sort, descending)),
        rows: rows[range].iter().map(row).collect(),
        paging: Some(paging),
    };
    page.sections = vec![Section::Filter(filter), Section::Table(table)];
    page
}
