//! The executors of an application, the driver among them.

use stoke_history::model::data::Executor;
use stoke_history::rest::executor_times;

use super::overview::tasks;
use super::streaming::moments;
use super::{App, Missing, Visit, is_chosen, plain, sort_by};
use crate::page::{Cell, Page, Row, Section, State, Table};
use crate::picture::chart::{Axis, Chart};
use crate::picture::grid::MOST_TASKS;
use crate::picture::load::{self, Load};

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
///
/// # Errors
/// When tasks were put away and cannot be read again.
pub fn page(app: &App, visit: &Visit) -> Result<Page, Missing> {
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
    page.sections.extend(over_time(app, visit)?);
    Ok(page)
}

/// Garbage collection and memory over time; nothing when there were too many tasks to look at.
fn over_time(app: &App, visit: &Visit) -> Result<Vec<Section>, Missing> {
    let w = visit.w;
    if tasks(app) > MOST_TASKS || tasks(app) == 0 {
        return Ok(Vec::new());
    }
    let load = app.kept.loads.of(app.attempt.log.clone(), &app.view, || {
        Load::of(&app.view, (app.attempt.start, app.until().max(app.attempt.start + 1)))
    })?;
    let axis = Axis {
        from: 0.0,
        until: (load.step * i64::try_from(load.cells.len()).unwrap_or(1)) as f64,
        factors: false,
    };
    let at = |place: usize| (place as f64 + 0.5) * load.step as f64;
    let share = |cell: &load::Cell| match cell.tasks {
        0 => f64::NAN,
        tasks => cell.gc as f64 * 100.0 / tasks as f64,
    };
    let peak = |bytes: i64| if bytes > 0 { bytes as f64 } else { f64::NAN };
    let mut gc = Chart::new(
        w.gc_over_time,
        w.gc_over_time_about,
        axis,
        Axis::up_to(load.cells.iter().map(share)),
    );
    gc.label_beside(|percent| format!("{} %", w.fraction(&percent)));
    gc.line(
        "line3",
        load.cells
            .iter()
            .enumerate()
            .map(|(place, cell)| (at(place), share(cell))),
    );
    let heights = load.cells.iter().flat_map(|cell| [peak(cell.heap), peak(cell.process)]);
    let mut memory = Chart::new(w.memory_over_time, w.memory_over_time_about, axis, Axis::up_to(heights));
    memory.label_beside(|bytes| w.bytes(&(bytes as i64)));
    let line = |of: fn(&load::Cell) -> i64| {
        load.cells
            .iter()
            .enumerate()
            .map(move |(place, cell)| (at(place), peak(of(cell))))
    };
    memory.line("line1", line(|cell| cell.heap));
    memory.line("line2", line(|cell| cell.process));
    memory.legend = vec![("line1", w.peak_heap.to_owned()), ("line2", w.peak_rss.to_owned())];
    moments(visit, &mut gc, axis);
    moments(visit, &mut memory, axis);
    let row = |(place, cell): (usize, &load::Cell)| -> Row {
        vec![
            Cell::Moment(load.from + i64::try_from(place).unwrap_or(0) * load.step),
            Cell::Millis(cell.tasks),
            Cell::Millis(cell.gc),
            Cell::some_bytes(cell.heap),
            Cell::some_bytes(cell.process),
        ]
        .into()
    };
    let told = load
        .cells
        .iter()
        .enumerate()
        .filter(|(_, cell)| **cell != load::Cell::default());
    let table = Table {
        id: "overTime",
        title: w.over_time,
        empty: w.nothing_here,
        columns: plain(&[
            ("from", w.started, true),
            ("taskTime", w.task_time, true),
            ("gc", w.gc, true),
            ("heap", w.peak_heap, true),
            ("rss", w.peak_rss, true),
        ]),
        rows: told.map(row).collect(),
        paging: None,
    };
    Ok(vec![Section::Chart(gc), Section::Chart(memory), Section::Table(table)])
}
