//! Spark Connect: sessions and what was asked in them.

use stoke_history::detail::{Detail, Operation, Session};

use super::{App, Missing, Visit, count, plain};
use crate::page::{Cell, Facts, Page, Row, Section, State, Table};

fn state(operation: &Operation) -> State {
    match operation {
        Operation { failure: Some(_), .. } => State::Failed,
        Operation { cancelled: true, .. } => State::Killed,
        Operation { ended: Some(_), .. } => State::Succeeded,
        _ => State::Running,
    }
}

fn to(app: &App, session: &str) -> String {
    app.place
        .to(&format!("connect/session/?id={}", crate::address::part(session)))
}

/// Sessions and operations.
pub fn list(app: &App, visit: &Visit, detail: &Detail) -> Page {
    let w = visit.w;
    let mut page = app.page(visit, "connect", "connect/", "Spark Connect".to_owned(), None);
    let row = |session: &Session| -> Row {
        let operations = detail
            .operations
            .iter()
            .filter(|operation| operation.session == session.id);
        let open = session.closed.is_none();
        vec![
            Cell::Link(session.id.clone(), to(app, &session.id)),
            Cell::text(&session.user),
            Cell::State(if open { State::Running } else { State::Ended }),
            Cell::Moment(session.started),
            Cell::span(
                Some(session.started),
                Some(session.closed.unwrap_or_else(|| app.until())),
            ),
            count(operations.count()),
        ]
        .into()
    };
    page.sections.push(Section::Table(Table {
        id: "sessions",
        title: w.sessions,
        empty: w.no_sessions,
        columns: plain(&[
            ("id", w.id, false),
            ("user", w.user, false),
            ("state", w.state, false),
            ("started", w.started, true),
            ("duration", w.duration, true),
            ("operations", w.operations, true),
        ]),
        rows: detail.sessions.iter().rev().map(row).collect(),
        paging: None,
    }));
    let all: Vec<&Operation> = detail.operations.iter().rev().collect();
    page.sections.push(Section::Table(operations(app, visit, &all)));
    page
}

/// One session.
///
/// # Errors
/// When there is no such session.
pub fn one(app: &App, visit: &Visit, detail: &Detail) -> Result<Page, Missing> {
    let w = visit.w;
    let id = visit.query.first("id").unwrap_or_default();
    let session = detail
        .sessions
        .iter()
        .find(|session| session.id == id)
        .ok_or(Missing::NotFound)?;
    let crumb = Some(("Spark Connect", "connect/"));
    let mut page = app.page(visit, "session", "connect/", w.session.to_owned(), crumb);
    page.subtitle.clone_from(&session.id);
    page.sections.push(Section::Facts(Facts {
        id: "session",
        title: "",
        items: vec![
            ("user", w.user, Cell::text(&session.user)),
            ("started", w.started, Cell::Moment(session.started)),
            ("closed", w.ended, Cell::moment(session.closed)),
        ],
    }));
    let own = detail
        .operations
        .iter()
        .rev()
        .filter(|operation| operation.session == session.id);
    let own: Vec<&Operation> = own.collect();
    page.sections.push(Section::Table(operations(app, visit, &own)));
    Ok(page)
}

fn operations(app: &App, visit: &Visit, all: &[&Operation]) -> Table {
    let w = visit.w;
    let (paging, range) = visit.page(all.len());
    let row = |operation: &&Operation| -> Row {
        let jobs: Vec<_> = app
            .view
            .jobs()
            .filter(|job| job.tags.contains(&operation.tag))
            .collect();
        let mut executions: Vec<i64> = jobs.iter().filter_map(|job| job.sql_execution).collect();
        executions.sort_unstable();
        executions.dedup();
        let statement: String = operation.statement.chars().take(300).collect();
        let detail = operation.failure.as_deref().unwrap_or_default();
        vec![
            Cell::text(statement.split_whitespace().collect::<Vec<_>>().join(" ")),
            Cell::State(state(operation)),
            Cell::text(&operation.user),
            Cell::Moment(operation.started),
            Cell::span(Some(operation.started), operation.analyzed),
            Cell::span(operation.ready, operation.ended),
            Cell::span(
                Some(operation.started),
                Some(operation.closed.unwrap_or_else(|| app.until())),
            ),
            operation.rows.map_or(Cell::Nothing, Cell::Count),
            Cell::Links(
                jobs.iter()
                    .map(|job| (job.id.to_string(), app.place.job(job.id)))
                    .collect(),
            ),
            Cell::Links(
                executions
                    .iter()
                    .map(|id| (id.to_string(), app.place.execution(*id)))
                    .collect(),
            ),
            Cell::Link(operation.session.chars().take(8).collect(), to(app, &operation.session)),
            Cell::text(detail.chars().take(300).collect::<String>()),
        ]
        .into()
    };
    Table {
        id: "operations",
        title: w.operations,
        empty: w.no_sessions,
        columns: plain(&[
            ("statement", w.statement, false),
            ("state", w.state, false),
            ("user", w.user, false),
            ("started", w.started, true),
            ("analysis", w.analysis, true),
            ("execution", w.execution_time, true),
            ("duration", w.duration, true),
            ("rows", w.rows_given, true),
            ("jobs", w.jobs, false),
            ("executions", w.sql, false),
            ("session", w.session, false),
            ("error", w.error, false),
        ]),
        rows: all[range].iter().map(row).collect(),
        paging: Some(paging),
    }
}
