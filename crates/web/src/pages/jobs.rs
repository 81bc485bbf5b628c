//! The jobs of an application, and one of them.

use stoke_history::model::data::Job;

use super::{App, Missing, Visit, is_chosen, sort_by, state_of_job, state_of_stage};
use crate::page::{Cell, Facts, Page, Row, Section, State, Table, Tasks};
use crate::pages::{graphs, stages};
use crate::picture::timeline::{Span, Timeline};

const SORTS: [&str; 5] = ["id", "description", "submitted", "duration", "tasks"];

/// What a job is called.
pub fn called(job: &Job) -> &str {
    job.description
        .as_deref()
        .filter(|text| !text.is_empty())
        .unwrap_or(&job.name)
}

/// The tasks of a job.
fn tasks(job: &Job) -> Cell {
    Cell::Tasks(Tasks {
        total: job.tasks.into(),
        done: job.completed_tasks.into(),
        active: job.active_tasks.into(),
        failed: job.failed_tasks.into(),
        killed: job.killed_tasks.into(),
        skipped: job.skipped_tasks.into(),
    })
}

/// A job on a time line.
pub fn span(app: &App, job: &Job) -> Option<Span> {
    let from = job.submitted?;
    let until = job.completed.unwrap_or_else(|| app.until());
    Some(Span {
        from,
        until,
        class: state_of_job(job.status).name(),
        title: format!("{} {}", job.id, called(job)),
        label: job.id.to_string(),
        to: app.place.job(job.id),
    })
}

/// All jobs.
pub fn list(app: &App, visit: &Visit) -> Page {
    let w = visit.w;
    let mut page = app.page(visit, "jobs", "jobs/", w.jobs.to_owned(), None);
    page.rest = Some(app.place.rest("jobs"));
    let all: Vec<&Job> = app.view.jobs().collect();
    let states: Vec<State> = all.iter().map(|job| state_of_job(job.status)).collect();
    let text = visit.searched();
    let wanted = |job: &&Job| {
        let has = |text: &str| {
            called(job).to_lowercase().contains(text)
                || job.id.to_string() == text
                || job.group.as_deref() == Some(text)
        };
        is_chosen(visit, state_of_job(job.status)) && text.as_deref().is_none_or(has)
    };
    let mut rows: Vec<&Job> = all.iter().copied().filter(wanted).collect();
    let (sort, descending) = visit.sort(&SORTS, "id", true);
    let until = app.until();
    match sort {
        "description" => sort_by(&mut rows, descending, |job| called(job).to_lowercase()),
        "submitted" => sort_by(&mut rows, descending, |job| job.submitted),
        "duration" => sort_by(&mut rows, descending, |job| {
            job.completed.unwrap_or(until) - job.submitted.unwrap_or(until)
        }),
        "tasks" => sort_by(&mut rows, descending, |job| job.tasks),
        _ => sort_by(&mut rows, descending, |job| job.id),
    }
    let (paging, range) = visit.page(rows.len());
    let columns = [
        ("id", w.id, true),
        ("description", w.description, false),
        ("state", w.state, false),
        ("submitted", w.submitted, true),
        ("duration", w.duration, true),
        ("stages", w.stages_done, true),
        ("tasks", w.tasks, true),
    ];
    let row = |job: &&Job| -> Row {
        vec![
            Cell::To(job.id.into(), app.place.job(job.id)),
            Cell::Link(called(job).to_owned(), app.place.job(job.id)),
            Cell::State(state_of_job(job.status)),
            Cell::moment(job.submitted),
            Cell::span(job.submitted, Some(job.completed.unwrap_or(until))),
            Cell::Tasks(stages_of(job)),
            tasks(job),
        ]
        .into()
    };
    let table = Table {
        id: "jobs",
        title: "",
        empty: if all.is_empty() { w.no_jobs } else { w.no_match },
        columns: visit.columns(&columns, &SORTS, (sort, descending)),
        rows: rows[range].iter().map(row).collect(),
        paging: Some(paging),
    };
    let spans = all.iter().filter_map(|job| span(app, job)).collect();
    let (mut picture, left_out) = Timeline::of((app.attempt.start, until), spans, &[], None);
    picture.title = w.timeline;
    if left_out > 0 {
        picture.notes.push(format!("{left_out} {}", w.more_jobs));
    }
    let filter = visit.filter(
        w.search_description,
        &[State::Running, State::Succeeded, State::Failed],
        &states,
    );
    if !picture.bars.is_empty() {
        page.sections.push(Section::Timeline(picture));
    }
    page.sections.extend([Section::Filter(filter), Section::Table(table)]);
    page
}

/// The stages of a job as something that gets done.
fn stages_of(job: &Job) -> Tasks {
    Tasks {
        total: i64::try_from(job.stage_ids.len()).unwrap_or(0),
        done: job.completed_stages.into(),
        active: job.active_stages.into(),
        failed: job.failed_stages.into(),
        skipped: job.skipped_stages.into(),
        killed: 0,
    }
}

/// One job.
///
/// # Errors
/// When there is no such job.
pub fn one(app: &App, visit: &Visit) -> Result<Page, Missing> {
    let w = visit.w;
    let job = visit
        .number("id")
        .and_then(|id| app.view.job(id))
        .ok_or(Missing::NotFound)?;
    let title = format!("{} {}", w.job, job.id);
    let mut page = app.page(visit, "job", "jobs/", title, Some((w.jobs, "jobs/")));
    page.subtitle = called(job).to_owned();
    page.state = Some(state_of_job(job.status));
    page.rest = Some(app.place.rest(&format!("jobs/{}", job.id)));
    let until = app.until();
    let execution = job
        .sql_execution
        .map_or(Cell::Nothing, |id| Cell::To(id, app.place.execution(id)));
    page.sections.push(Section::Facts(Facts {
        id: "job",
        title: "",
        items: vec![
            ("submitted", w.submitted, Cell::moment(job.submitted)),
            (
                "duration",
                w.duration,
                Cell::span(job.submitted, Some(job.completed.unwrap_or(until))),
            ),
            ("stages", w.stages_done, Cell::Tasks(stages_of(job))),
            ("tasks", w.tasks, tasks(job)),
            ("execution", w.execution, execution),
            ("group", w.group, Cell::text(job.group.clone().unwrap_or_default())),
            ("tags", w.tags, Cell::text(job.tags.join(", "))),
            ("graph", w.stage_graph, app.ask_for_graph(visit)),
        ],
    }));
    let attempts: Vec<_> = job.stage_ids.iter().flat_map(|id| app.view.attempts(*id)).collect();
    let spans = attempts.iter().filter_map(|stage| {
        let from = stage.submitted?;
        Some(Span {
            from,
            until: stage.completed.unwrap_or(until),
            class: state_of_stage(stage.status).name(),
            title: format!("{} {}", stage.id, stage.name),
            label: stage.id.to_string(),
            to: app.place.stage((stage.id, stage.attempt)),
        })
    });
    let begin = job.submitted.unwrap_or(app.attempt.start);
    let (mut picture, _) = Timeline::of((begin, job.completed.unwrap_or(until)), spans.collect(), &[], None);
    picture.title = w.timeline;
    if !picture.bars.is_empty() {
        page.sections.push(Section::Timeline(picture));
    }
    let graph = app
        .detail
        .as_deref()
        .and_then(|detail| graphs::of_job(app, visit, job, detail));
    page.sections.extend(graph);
    for stage in attempts.iter().filter(|stage| stage.failure.is_some()) {
        page.sections.push(Section::Text(crate::page::Text {
            id: "failure",
            title: w.failure,
            text: stage.failure.clone().unwrap_or_default(),
            open: true,
        }));
    }
    page.sections
        .push(Section::Table(stages::table(app, visit, &attempts, None)));
    Ok(page)
}
