//! Two runs side by side: what changed, and which change explains the time. `stoke compare` says the same.

use stoke_history::listing::Listed;
use stoke_insight::compare::{Comparison, Side, compare};
use stoke_insight::facts::Run;

use super::{Visit, count, note, plain};
use crate::page::{Cell, Field, Form, Input, Note, Page, Row, Section, Table};
use crate::picture::waterfall::Waterfall;

/// Applications that a field offers.
const OFFERED: usize = 100;

/// The page, and the two runs where both are named.
pub fn page(visit: &Visit, listed: &[Listed], runs: Option<(&Run, &Run)>) -> Page {
    let w = visit.w;
    let mut page = Page {
        kind: "compare",
        title: w.compare.to_owned(),
        crumbs: vec![(w.applications.to_owned(), format!("{}/", visit.base))],
        ..Page::default()
    };
    page.sections.push(Section::Form(form(visit, listed)));
    match runs {
        Some((a, b)) => {
            let comparison = compare(a, b);
            page.sections.extend(told(visit, &comparison));
        }
        None => page.sections.push(note("choose", w.compare_choose)),
    }
    page
}

fn form(visit: &Visit, listed: &[Listed]) -> Form {
    let w = visit.w;
    let offered = || {
        let named = |one: &Listed| (one.id.clone(), one.name.clone());
        listed.iter().take(OFFERED).map(named).collect()
    };
    let field = |name: &'static str, label: &'static str| Field {
        name,
        label,
        value: visit.query.first(name).unwrap_or_default().to_owned(),
        kind: Input::Text(offered()),
    };
    Form {
        action: visit.here.path().to_owned(),
        fields: vec![field("a", w.run_a), field("b", w.run_b)],
        kept: visit.here.without(&["a", "b"]),
        button: w.compare,
        ..Form::default()
    }
}

fn told(visit: &Visit, comparison: &Comparison) -> Vec<Section> {
    let w = visit.w;
    let (a, b) = (&comparison.a, &comparison.b);
    let percent = comparison.difference.abs() * 100 / a.milliseconds.max(1);
    let headline = match (comparison.is_same_time(), comparison.difference > 0) {
        (true, _) => w.took_the_same.to_owned(),
        (false, true) => w.took_longer.replacen("{}", &percent.to_string(), 1),
        (false, false) => w.took_shorter.replacen("{}", &percent.to_string(), 1),
    };
    let parts: Vec<(i64, String)> = comparison
        .explanations
        .iter()
        .map(|part| (part.milliseconds, part.text.clone()))
        .collect();
    let mut picture = Waterfall::of(&parts, w.others, w.in_all);
    (picture.title, picture.about) = (w.difference, w.difference_about);
    let mut sections = vec![
        Section::Note(Note {
            id: "headline",
            text: headline,
            bad: !comparison.is_same_time() && comparison.difference > 0,
        }),
        Section::Waterfall(picture),
        Section::Table(explanations(visit, comparison)),
        Section::Table(sides(visit, a, b)),
    ];
    let text = |value: &Option<String>| value.as_deref().map_or(Cell::Nothing, Cell::text);
    let rows = comparison.settings.iter().map(|change| {
        let cells = vec![Cell::Code(change.key.clone()), text(&change.a), text(&change.b)];
        Row::from(cells)
    });
    sections.push(Section::Table(Table {
        id: "settings",
        title: w.settings_changed,
        empty: w.nothing_differs,
        columns: plain(&[
            ("name", w.property, false),
            ("a", w.first_run, false),
            ("b", w.second_run, false),
        ]),
        rows: rows.collect(),
        paging: None,
    }));
    sections.push(Section::Table(queries(visit, comparison)));
    sections.push(Section::Table(stages(visit, comparison)));
    sections.push(Section::whole("comparison", &comparison));
    sections
}

fn explanations(visit: &Visit, comparison: &Comparison) -> Table {
    let w = visit.w;
    let rows = comparison.explanations.iter().map(|part| {
        let seen: Vec<String> = part
            .evidence
            .iter()
            .map(|seen| format!("{}: {}", seen.place, seen.seen))
            .collect();
        Row::from(vec![
            Cell::Change(part.milliseconds),
            Cell::Text(part.text.clone()),
            Cell::text(seen.join("; ")),
        ])
    });
    let whole = vec![
        Cell::Change(comparison.difference),
        Cell::Text(w.in_all.to_owned()),
        Cell::Nothing,
    ];
    Table {
        id: "explanations",
        title: w.why,
        empty: w.nothing_differs,
        columns: plain(&[
            ("milliseconds", w.duration, true),
            ("text", w.why, false),
            ("evidence", w.evidence, false),
        ]),
        rows: rows.chain([whole.into()]).collect(),
        paging: None,
    }
}

fn sides(visit: &Visit, a: &Side, b: &Side) -> Table {
    let w = visit.w;
    let place = |id: &str| format!("{}/history/{}/", visit.base, crate::address::part(id));
    let run = |side: &Side| Cell::Link(side.id.clone(), place(&side.id));
    let mut rows: Vec<Row> = Vec::new();
    let mut row = |label: &'static str, of: &dyn Fn(&Side) -> Cell| {
        let (one, other) = (of(a), of(b));
        let differs = if one == other { "" } else { "≠" };
        rows.push(vec![Cell::Text(label.to_owned()), one, other, Cell::text(differs)].into());
    };
    row(w.id, &run);
    row(w.name, &|side| Cell::text(&side.name));
    row(w.duration, &|side| Cell::Millis(side.milliseconds));
    row(w.executors, &|side| count(side.executors));
    row(w.room_for_tasks, &|side| Cell::Count(side.slots.into()));
    row(w.tasks_succeeded, &|side| count(side.succeeded));
    row(w.tasks_failed, &|side| count(side.failed));
    row(w.tasks_killed, &|side| count(side.killed));
    row(w.stages_again, &|side| count(side.stage_retries));
    let bytes = |bytes: u64| Cell::Bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
    row(w.input, &|side| bytes(side.input));
    row(w.shuffle_read, &|side| bytes(side.shuffle_read));
    row(w.output, &|side| bytes(side.output));
    row(w.spill, &|side| bytes(side.disk_spilled));
    Table {
        id: "sides",
        title: w.side_by_side,
        empty: w.nothing_here,
        columns: plain(&[
            ("measure", w.measure, false),
            ("a", w.first_run, true),
            ("b", w.second_run, true),
            ("differs", w.differs, false),
        ]),
        rows,
        paging: None,
    }
}

fn queries(visit: &Visit, comparison: &Comparison) -> Table {
    let w = visit.w;
    let rows = comparison.queries.iter().map(|query| {
        let mut changes = Vec::new();
        let listed = |names: &[String]| {
            if names.is_empty() {
                "–".to_owned()
            } else {
                names.join(", ")
            }
        };
        if let Some((a, b)) = &query.operators {
            changes.push(format!("{}: {} → {}", w.operator, listed(a), listed(b)));
        }
        if let Some((a, b)) = &query.partitions {
            changes.push(format!("{}: {a:?} → {b:?}", w.partitions));
        }
        if let Some((a, b)) = &query.pushed_filters {
            changes.push(format!("{}: {} → {}", w.pushed_filters, listed(a), listed(b)));
        }
        Row::from(vec![
            Cell::Number(query.ids.0),
            Cell::Number(query.ids.1),
            Cell::text(query.description.lines().next().unwrap_or_default()),
            Cell::Text(changes.join("; ")),
        ])
    });
    Table {
        id: "queries",
        title: w.plans_changed,
        empty: w.nothing_differs,
        columns: plain(&[
            ("a", w.first_run, true),
            ("b", w.second_run, true),
            ("description", w.description, false),
            ("changes", w.what_differs, false),
        ]),
        rows: rows.collect(),
        paging: None,
    }
}

/// Stages, those that differ most first.
fn stages(visit: &Visit, comparison: &Comparison) -> Table {
    let w = visit.w;
    let mut all: Vec<_> = comparison.stages.iter().collect();
    let differs = |times: (i64, i64)| times.1 - times.0;
    all.sort_by_key(|stage| std::cmp::Reverse(differs(stage.milliseconds).abs()));
    let (paging, range) = visit.page(all.len());
    let id = |id: Option<i32>| id.map_or(Cell::Nothing, |id| Cell::Number(id.into()));
    let rows = all[range].iter().map(|stage| {
        let bytes = |bytes: u64| Cell::some_bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
        Row::from(vec![
            Cell::text(&stage.name),
            id(stage.ids.0),
            id(stage.ids.1),
            Cell::Millis(stage.milliseconds.0),
            Cell::Millis(stage.milliseconds.1),
            Cell::Change(differs(stage.milliseconds)),
            Cell::Count(stage.tasks.0.into()),
            Cell::Count(stage.tasks.1.into()),
            bytes(stage.read.0),
            bytes(stage.read.1),
            bytes(stage.written.0),
            bytes(stage.written.1),
        ])
    });
    Table {
        id: "stages",
        title: w.stages,
        empty: w.nothing_here,
        columns: plain(&[
            ("name", w.name, false),
            ("idA", w.id_a, true),
            ("idB", w.id_b, true),
            ("millisecondsA", w.time_a, true),
            ("millisecondsB", w.time_b, true),
            ("difference", w.difference, true),
            ("tasksA", w.tasks_a, true),
            ("tasksB", w.tasks_b, true),
            ("readA", w.read_a, true),
            ("readB", w.read_b, true),
            ("writtenA", w.written_a, true),
            ("writtenB", w.written_b, true),
        ]),
        rows: rows.collect(),
        paging: Some(paging),
    }
}
