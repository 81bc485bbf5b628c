//! The stages of an application.

use stoke_history::model::data::Stage;
use stoke_history::model::metrics::at;

use super::{App, Visit, is_chosen, plain, sort_by, state_of_stage, tasks_of};
use crate::page::{Cell, Page, Paging, Row, Section, State, Table};

const SORTS: [&str; 10] = [
    "id",
    "description",
    "submitted",
    "duration",
    "tasks",
    "input",
    "output",
    "shuffleRead",
    "shuffleWrite",
    "spill",
];

/// What a stage is called.
pub fn called(stage: &Stage) -> &str {
    stage
        .description
        .as_deref()
        .filter(|text| !text.is_empty())
        .unwrap_or(&stage.name)
}

fn lasted(app: &App, stage: &Stage) -> Cell {
    Cell::span(
        stage.submitted,
        stage.completed.or_else(|| stage.submitted.map(|_| app.until())),
    )
}

/// A table of stage attempts; with a way to others where it is a page of them.
pub fn table(app: &App, visit: &Visit, stages: &[&Stage], paging: Option<(Paging, &str, bool)>) -> Table {
    let w = visit.w;
    let columns = [
        ("id", w.id, true),
        ("attempt", w.attempt, true),
        ("description", w.description, false),
        ("state", w.state, false),
        ("submitted", w.submitted, true),
        ("duration", w.duration, true),
        ("tasks", w.tasks, true),
        ("input", w.input, true),
        ("output", w.output, true),
        ("shuffleRead", w.shuffle_read, true),
        ("shuffleWrite", w.shuffle_write, true),
        ("spill", w.spill, true),
    ];
    let row = |stage: &&Stage| -> Row {
        let to = app.place.stage((stage.id, stage.attempt));
        vec![
            Cell::To(stage.id.into(), to.clone()),
            Cell::Count(stage.attempt.into()),
            Cell::Link(called(stage).to_owned(), to),
            Cell::State(state_of_stage(stage.status)),
            Cell::moment(stage.submitted),
            lasted(app, stage),
            tasks_of(stage),
            Cell::some_bytes(stage.metrics.get(at::INPUT_BYTES)),
            Cell::some_bytes(stage.metrics.get(at::OUTPUT_BYTES)),
            Cell::some_bytes(read(stage)),
            Cell::some_bytes(stage.metrics.get(at::WRITE_BYTES)),
            Cell::some_bytes(stage.metrics.get(at::DISK_SPILLED)),
        ]
        .into()
    };
    Table {
        id: "stages",
        title: if paging.is_some() { "" } else { w.stages },
        empty: w.nothing_here,
        columns: match &paging {
            Some((_, sort, descending)) => visit.columns(&columns, &SORTS, (sort, *descending)),
            None => plain(&columns),
        },
        rows: stages.iter().map(row).collect(),
        paging: paging.map(|(paging, ..)| paging),
    }
}

fn read(stage: &Stage) -> i64 {
    stage.metrics.sum(at::REMOTE_BYTES, at::LOCAL_BYTES)
}

/// All stages.
pub fn list(app: &App, visit: &Visit) -> Page {
    let w = visit.w;
    let mut page = app.page(visit, "stages", "stages/", w.stages.to_owned(), None);
    page.rest = Some(app.place.rest("stages"));
    let all: Vec<&Stage> = app.view.stages().collect();
    let states: Vec<State> = all.iter().map(|stage| state_of_stage(stage.status)).collect();
    let text = visit.searched();
    let wanted = |stage: &&Stage| {
        let has = |text: &str| {
            called(stage).to_lowercase().contains(text)
                || stage.name.to_lowercase().contains(text)
                || stage.id.to_string() == text
        };
        is_chosen(visit, state_of_stage(stage.status)) && text.as_deref().is_none_or(has)
    };
    let mut rows: Vec<&Stage> = all.iter().copied().filter(wanted).collect();
    let (sort, descending) = visit.sort(&SORTS, "id", true);
    let metric = |stage: &&Stage, place: usize| stage.metrics.get(place);
    match sort {
        "description" => sort_by(&mut rows, descending, |stage| called(stage).to_lowercase()),
        "submitted" => sort_by(&mut rows, descending, |stage| stage.submitted),
        "duration" => sort_by(&mut rows, descending, |stage| match lasted(app, stage) {
            Cell::Millis(millis) => millis,
            _ => -1,
        }),
        "tasks" => sort_by(&mut rows, descending, |stage| stage.tasks),
        "input" => sort_by(&mut rows, descending, |stage| metric(stage, at::INPUT_BYTES)),
        "output" => sort_by(&mut rows, descending, |stage| metric(stage, at::OUTPUT_BYTES)),
        "shuffleRead" => sort_by(&mut rows, descending, |stage| read(stage)),
        "shuffleWrite" => sort_by(&mut rows, descending, |stage| metric(stage, at::WRITE_BYTES)),
        "spill" => sort_by(&mut rows, descending, |stage| metric(stage, at::DISK_SPILLED)),
        _ => sort_by(&mut rows, descending, |stage| (stage.id, stage.attempt)),
    }
    let (paging, range) = visit.page(rows.len());
    let filter = visit.filter(
        w.search_description,
        &[
            State::Running,
            State::Succeeded,
            State::Failed,
            State::Pending,
            State::Skipped,
        ],
        &states,
    );
    let table = table(app, visit, &rows[range], Some((paging, sort, descending)));
    page.sections = vec![Section::Filter(filter), Section::Table(table)];
    page
}
