//! SQL executions, and the plan of one of them.

use std::collections::BTreeMap;

use stoke_history::model::data::Sql;
use stoke_history::model::graph::Graph;
use stoke_history::rest::redacted;

use super::{App, Missing, Visit, is_chosen, plain, sort_by, state_of_execution};
use crate::page::{Cell, Facts, Page, Row, Section, State, Table, Text};
use crate::picture::plan::{Plan, headline};

const SORTS: [&str; 4] = ["id", "description", "submitted", "duration"];

/// What a row shows: an execution is large.
struct Short {
    id: i64,
    description: String,
    state: State,
    submitted: i64,
    lasted: i64,
    jobs: Vec<(String, String)>,
    error: String,
}

impl Short {
    fn of(app: &App, sql: &Sql) -> Short {
        let mut jobs: Vec<i32> = sql.jobs.iter().map(|(id, _)| *id).collect();
        jobs.sort_unstable();
        Short {
            id: sql.id,
            description: sql.description.clone(),
            state: state_of_execution(sql.status()),
            submitted: sql.submitted,
            lasted: sql
                .completed
                .unwrap_or_else(|| app.until())
                .saturating_sub(sql.submitted),
            jobs: jobs.into_iter().map(|id| (id.to_string(), app.place.job(id))).collect(),
            error: sql
                .error
                .as_deref()
                .unwrap_or_default()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// All executions.
///
/// # Errors
/// When one was put away and cannot be read again.
pub fn list(app: &App, visit: &Visit) -> Result<Page, Missing> {
    let w = visit.w;
    let mut page = app.page(visit, "sql", "SQL/", w.sql.to_owned(), None);
    page.rest = Some(app.place.rest("sql"));
    let mut all = Vec::new();
    for id in app.view.executions() {
        let sql = app
            .view
            .execution(id)
            .ok_or_else(|| Missing::Broken(format!("SQL execution {id}")))?;
        all.push(Short::of(app, &sql));
    }
    let states: Vec<State> = all.iter().map(|one| one.state).collect();
    let text = visit.searched();
    let wanted = |one: &&Short| {
        let has = |text: &str| one.description.to_lowercase().contains(text) || one.id.to_string() == text;
        is_chosen(visit, one.state) && text.as_deref().is_none_or(has)
    };
    let mut rows: Vec<&Short> = all.iter().filter(wanted).collect();
    let (sort, descending) = visit.sort(&SORTS, "id", true);
    match sort {
        "description" => sort_by(&mut rows, descending, |one| one.description.to_lowercase()),
        "submitted" => sort_by(&mut rows, descending, |one| one.submitted),
        "duration" => sort_by(&mut rows, descending, |one| one.lasted),
        _ => sort_by(&mut rows, descending, |one| one.id),
    }
    let (paging, range) = visit.page(rows.len());
    let columns = [
        ("id", w.id, true),
        ("description", w.description, false),
        ("state", w.state, false),
        ("submitted", w.submitted, true),
        ("duration", w.duration, true),
        ("jobs", w.jobs, false),
        ("error", w.error, false),
    ];
    let row = |one: &&Short| -> Row {
        let to = app.place.execution(one.id);
        let description = one.description.lines().next().unwrap_or_default();
        vec![
            Cell::To(one.id, to.clone()),
            Cell::Link(
                if description.is_empty() {
                    one.id.to_string()
                } else {
                    description.to_owned()
                },
                to,
            ),
            Cell::State(one.state),
            Cell::Moment(one.submitted),
            Cell::Millis(one.lasted),
            Cell::Links(one.jobs.iter().take(12).cloned().collect()),
            Cell::text(&one.error),
        ]
        .into()
    };
    page.sections.push(Section::Filter(visit.filter(
        w.search_description,
        &[State::Running, State::Succeeded, State::Failed],
        &states,
    )));
    page.sections.push(Section::Table(Table {
        id: "executions",
        title: "",
        empty: if all.is_empty() { w.no_executions } else { w.no_match },
        columns: visit.columns(&columns, &SORTS, (sort, descending)),
        rows: rows[range].iter().map(row).collect(),
        paging: Some(paging),
    }));
    Ok(page)
}

/// One execution, with its plan as it is now, or as it began.
///
/// # Errors
/// When it is not there.
pub fn one(app: &App, visit: &Visit, initial: Option<&Graph>) -> Result<Page, Missing> {
    let w = visit.w;
    let sql = visit
        .number("id")
        .and_then(|id| app.view.execution(id))
        .ok_or(Missing::NotFound)?;
    let short = Short::of(app, &sql);
    let title = format!("{} {}", w.execution, sql.id);
    let mut page = app.page(visit, "execution", "SQL/", title, Some((w.sql, "SQL/")));
    page.subtitle = sql.description.lines().next().unwrap_or_default().to_owned();
    page.state = Some(short.state);
    page.rest = Some(app.place.rest(&format!("sql/{}", sql.id)));
    let mut stages = sql.stages.clone();
    stages.sort_unstable();
    let stages = stages.iter().filter_map(|id| app.view.attempts(*id).last());
    let stages: Vec<(String, String)> = stages
        .map(|stage| (stage.id.to_string(), app.place.stage((stage.id, stage.attempt))))
        .collect();
    let adaptive = match (initial, sql.plan_text.contains("AdaptiveSparkPlan")) {
        (Some(_), _) => Cell::Link(w.plan_after.to_owned(), visit.here.with(&[("plan", "")])),
        (None, true) => Cell::Link(w.plan_before.to_owned(), visit.here.with(&[("plan", "initial")])),
        (None, false) => Cell::Nothing,
    };
    page.sections.push(Section::Facts(Facts {
        id: "execution",
        title: "",
        items: vec![
            ("submitted", w.submitted, Cell::Moment(short.submitted)),
            ("duration", w.duration, Cell::Millis(short.lasted)),
            ("jobs", w.jobs, Cell::Links(short.jobs)),
            ("stages", w.stages, Cell::Links(stages)),
            ("adaptive", w.adaptive, adaptive),
        ],
    }));
    if let Some(error) = sql.error.clone().filter(|error| !error.is_empty()) {
        page.sections.push(Section::Text(Text {
            id: "error",
            title: w.failure,
            text: error,
            open: true,
        }));
    }
    let drawn = match initial {
        Some(graph) => {
            page.sections
                .push(Section::Table(changed(visit, graph, sql.graph.as_ref())));
            Plan::of_graph(graph, &sql)
        }
        None => Plan::of(&sql),
    };
    if let Some(mut plan) = drawn {
        plan.title = if initial.is_some() { w.plan_before } else { w.plan };
        plan.about = w.plan_about;
        let (path, took) = plan.slow_path();
        if path.len() > 1 {
            let names: Vec<&str> = path.iter().map(|node| node.name.as_str()).collect();
            let text = format!("{}: {} ({})", w.slow_path, names.join(" → "), w.millis(&took));
            page.sections.push(super::note("slowPath", text));
        }
        let row = |node: &crate::picture::plan::Drawn| Row {
            anchor: Some(format!("node-{}", node.id)),
            cells: vec![
                Cell::Number(node.id),
                Cell::Text(node.name.clone()),
                node.millis.map_or(Cell::Nothing, Cell::Millis),
                Cell::text(if node.slow { w.yes } else { "" }),
                Cell::text(node.codegen.clone().unwrap_or_default()),
                Cell::text(
                    node.measured
                        .iter()
                        .map(|(name, value)| format!("{name}: {}", headline(value)))
                        .collect::<Vec<_>>()
                        .join("; "),
                ),
                Cell::Code(node.text.chars().take(500).collect()),
            ],
        };
        let table = Table {
            id: "nodes",
            title: w.nodes,
            empty: w.nothing_here,
            columns: plain(&[
                ("id", w.id, true),
                ("operator", w.operator, false),
                ("milliseconds", w.duration, true),
                ("slowPath", w.slow_path, false),
                ("codegen", "Codegen", false),
                ("measured", w.measured, false),
                ("description", w.description, false),
            ]),
            rows: plan.nodes.iter().map(row).collect(),
            paging: None,
        };
        page.sections.extend([Section::Plan(plan), Section::Table(table)]);
    }
    if !sql.modified_configs.is_empty() {
        let rows = redacted(&sql.modified_configs, true);
        page.sections.push(Section::Table(Table {
            id: "configuration",
            title: w.configuration,
            empty: w.nothing_here,
            columns: plain(&[("name", w.property, false), ("value", w.value, false)]),
            rows: rows
                .map(|(name, value)| Row::from(vec![Cell::Code(name.to_owned()), Cell::text(value)]))
                .collect(),
            paging: None,
        }));
    }
    if !sql.plan_text.is_empty() {
        page.sections.push(Section::Text(Text {
            id: "planText",
            title: w.plan_text,
            text: sql.plan_text.clone(),
            open: false,
        }));
    }
    if !sql.details.is_empty() {
        page.sections.push(Section::Text(Text {
            id: "details",
            title: w.details,
            text: sql.details.clone(),
            open: false,
        }));
    }
    Ok(page)
}

/// Operators of which adaptive execution made more or fewer.
fn changed(visit: &Visit, before: &Graph, after: Option<&Graph>) -> Table {
    let w = visit.w;
    let mut counts: BTreeMap<String, [i64; 2]> = BTreeMap::new();
    for (place, graph) in [Some(before), after].into_iter().enumerate() {
        for node in graph.into_iter().flat_map(|graph| &graph.nodes) {
            // Stages of generated code are numbered, and numbered otherwise.
            let name = node.name.split(" (").next().unwrap_or_default().trim();
            counts.entry(name.to_owned()).or_default()[place] += 1;
        }
    }
    let differ = counts.into_iter().filter(|(_, [before, after])| before != after);
    let rows =
        differ.map(|(name, [before, after])| vec![Cell::Text(name), Cell::Count(before), Cell::Count(after)].into());
    Table {
        id: "changed",
        title: w.adaptive,
        empty: w.nothing_differs,
        columns: plain(&[
            ("operator", w.operator, false),
            ("before", w.plan_before, true),
            ("after", w.plan_after, true),
        ]),
        rows: rows.collect(),
        paging: None,
    }
}
