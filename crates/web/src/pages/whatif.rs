//! How long a run would have taken with other executors, and how large it should be: `stoke what-if` and `stoke size` say the same.

use std::collections::BTreeSet;

use stoke_insight::facts::Run;
use stoke_insight::size::{self, NodeShape, Sizing, for_run};
use stoke_insight::whatif::{Outcome, Plan, WhatIfError, recorded_plan};

use super::{App, Visit, plain};
use crate::page::{Cell, Facts, Field, Form, Input, Note, Page, Row, Section, Table, Text};
use crate::picture::chart::{Axis, Chart};

/// Tasks above which the curve has a few points only, and above which it has two: each schedules all tasks again.
const MANY: usize = 50_000;
const TOO_MANY: usize = 300_000;
/// Executors that the curve goes to, at most.
const MOST: u32 = 2_000;

/// The page; `predict` says what other executors would have taken.
pub fn page(app: &App, visit: &Visit, run: &Run, predict: &dyn Fn(Plan) -> Result<Outcome, WhatIfError>) -> Page {
    let w = visit.w;
    let mut page = app.page(visit, "whatif", "what-if/", w.what_if.to_owned(), None);
    page.subtitle = w.what_if_about.to_owned();
    let recorded = recorded_plan(run);
    let asked = Plan {
        executors: visit.number("executors").unwrap_or(recorded.executors),
        cores: visit.number("cores").unwrap_or(recorded.cores),
    };
    let most = furthest(recorded, asked);
    page.sections.push(Section::Form(Form {
        title: w.other_executors,
        action: visit.here.path().to_owned(),
        fields: vec![
            Field {
                name: "executors",
                label: w.executors,
                value: asked.executors.to_string(),
                kind: Input::Slider(1, most.into()),
            },
            Field {
                name: "cores",
                label: w.cores_each,
                value: asked.cores.to_string(),
                kind: Input::Number(1, 128),
            },
        ],
        kept: visit.here.without(&["executors", "cores"]),
        button: w.predict,
    }));
    match predict(asked) {
        Ok(outcome) => {
            page.sections.push(Section::Facts(facts(visit, &outcome)));
            let outcomes = curve(run, &outcome, most, predict);
            page.sections.push(Section::Chart(chart(visit, &outcomes, &outcome)));
            page.sections.push(Section::Table(table(visit, &outcomes)));
            page.sections
                .push(Section::Table(list("limits", w.not_known, &outcome.limits)));
            page.sections.push(Section::whole("outcome", &outcome));
        }
        Err(error) => page.sections.push(bad("outcome", error.to_string())),
    }
    sizing(visit, run, &mut page);
    page
}

fn bad(id: &'static str, text: String) -> Section {
    Section::Note(Note { id, text, bad: true })
}

fn millis(millis: u64) -> Cell {
    Cell::Millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

fn list(id: &'static str, title: &'static str, texts: &[String]) -> Table {
    Table {
        id,
        title,
        empty: "–",
        columns: plain(&[("text", title, false)]),
        rows: texts.iter().map(|text| vec![Cell::text(text)].into()).collect(),
        paging: None,
    }
}

/// Executors that are looked at: four times those there were, and twice those asked for.
fn furthest(recorded: Plan, asked: Plan) -> u32 {
    let wide = recorded
        .executors
        .saturating_mul(4)
        .max(asked.executors.saturating_mul(2));
    wide.clamp(8, MOST.max(asked.executors))
}

/// The predictions for other executors of the same cores.
fn curve(
    run: &Run,
    asked: &Outcome,
    most: u32,
    predict: &dyn Fn(Plan) -> Result<Outcome, WhatIfError>,
) -> Vec<Outcome> {
    let recorded = asked.recorded_plan.executors;
    let tasks: usize = run.stages.values().map(|stage| stage.tasks.len()).sum();
    let mut wanted: BTreeSet<u32> = BTreeSet::from([recorded, asked.plan.executors]);
    match tasks {
        TOO_MANY.. => {}
        MANY.. => wanted.extend([recorded.div_ceil(2), recorded.saturating_mul(2), most]),
        _ => {
            let mut step = 1;
            while step <= most {
                wanted.extend([step, (step.saturating_mul(3) / 2).min(most)]);
                step = step.saturating_mul(2);
            }
            wanted.insert(most);
        }
    }
    let outcome = |executors: u32| match executors == asked.plan.executors {
        true => Some(asked.clone()),
        false => {
            let plan = Plan {
                executors,
                cores: asked.plan.cores,
            };
            predict(plan).ok()
        }
    };
    wanted.into_iter().filter_map(outcome).collect()
}

fn facts(visit: &Visit, outcome: &Outcome) -> Facts {
    let w = visit.w;
    let change =
        i64::try_from(outcome.predicted).unwrap_or(i64::MAX) - i64::try_from(outcome.recorded).unwrap_or(i64::MAX);
    let percent = format!(
        "{}{:.1} %",
        if outcome.error >= 0.0 { "+" } else { "−" },
        outcome.error.abs() * 100.0
    );
    Facts {
        id: "prediction",
        title: "",
        items: vec![
            ("predicted", w.predicted, millis(outcome.predicted)),
            ("recorded", w.recorded, millis(outcome.recorded)),
            ("change", w.difference, Cell::Change(change)),
            ("coreHours", w.core_hours_paid, Cell::Fraction(outcome.core_hours)),
            (
                "recordedCoreHours",
                w.core_hours_recorded,
                Cell::Fraction(outcome.recorded_core_hours),
            ),
            ("least", w.at_least, millis(outcome.range.least)),
            ("most", w.at_most, millis(outcome.range.most)),
            ("error", w.own_error, Cell::Text(percent)),
            ("withoutTasks", w.no_task_runs, millis(outcome.without_tasks)),
            ("criticalPath", w.critical_path, millis(outcome.bounds.critical_path)),
            (
                "reliable",
                w.reliable,
                Cell::Text(if outcome.reliable { w.yes } else { w.no }.to_owned()),
            ),
        ],
    }
}

fn chart(visit: &Visit, outcomes: &[Outcome], asked: &Outcome) -> Chart {
    let w = visit.w;
    let x = |outcome: &Outcome| f64::from(outcome.plan.executors);
    // The range the log allows, and the error of the simulation itself around it.
    let error = asked.error.abs();
    let lower = |outcome: &Outcome| outcome.range.least.min(outcome.predicted) as f64 * (1.0 - error).max(0.0);
    let upper = |outcome: &Outcome| outcome.range.most.max(outcome.predicted) as f64 * (1.0 + error);
    let across = Axis {
        from: outcomes.first().map_or(1.0, x),
        until: outcomes.last().map_or(2.0, x),
        factors: true,
    };
    let heights = outcomes.iter().map(upper).chain([asked.recorded as f64]);
    let mut chart = Chart::new(w.curve, w.curve_about, across, Axis::up_to(heights));
    chart.label_beside(|height| w.millis(&(height as i64)));
    // Labels that would touch are left out.
    let mut labelled = 0.0;
    let marks = outcomes.iter().filter_map(|outcome| {
        let at = x(outcome);
        let apart = at / labelled > 1.3;
        apart.then(|| {
            labelled = at;
            (at, outcome.plan.executors.to_string())
        })
    });
    chart.label_below(marks.collect::<Vec<_>>().into_iter());
    let points =
        |of: &dyn Fn(&Outcome) -> f64| -> Vec<(f64, f64)> { outcomes.iter().map(|one| (x(one), of(one))).collect() };
    chart.band("band", &points(&lower), &points(&upper));
    chart.line("line", points(&|outcome| outcome.predicted as f64).into_iter());
    for outcome in outcomes {
        let executors = outcome.plan.executors.to_string();
        let title = format!(
            "{executors} × {}: {}",
            outcome.plan.cores,
            w.millis(&i64::try_from(outcome.predicted).unwrap_or(i64::MAX))
        );
        let to = visit.here.with(&[("executors", &executors)]);
        let class = if outcome.plan == asked.plan { "dot asked" } else { "dot" };
        chart.dot(class, (x(outcome), outcome.predicted as f64), title, Some(to));
    }
    let recorded = asked.recorded_plan;
    chart.dot(
        "dot recorded",
        (f64::from(recorded.executors), asked.recorded as f64),
        format!(
            "{}: {} × {}: {}",
            w.recorded,
            recorded.executors,
            recorded.cores,
            w.millis(&i64::try_from(asked.recorded).unwrap_or(i64::MAX))
        ),
        None,
    );
    chart.legend = vec![
        ("line", w.predicted.to_owned()),
        ("band", w.with_error.to_owned()),
        ("dot recorded", w.recorded.to_owned()),
    ];
    chart
}

fn table(visit: &Visit, outcomes: &[Outcome]) -> Table {
    let w = visit.w;
    let row = |outcome: &Outcome| -> Row {
        let executors = outcome.plan.executors;
        vec![
            Cell::To(
                executors.into(),
                visit.here.with(&[("executors", &executors.to_string())]),
            ),
            Cell::Count(outcome.plan.cores.into()),
            millis(outcome.predicted),
            millis(outcome.range.least),
            millis(outcome.range.most),
            millis(outcome.without_tasks),
            Cell::Fraction(outcome.core_hours),
        ]
        .into()
    };
    Table {
        id: "curve",
        title: w.curve,
        empty: w.nothing_here,
        columns: plain(&[
            ("executors", w.executors, true),
            ("cores", w.cores_each, true),
            ("predicted", w.predicted, true),
            ("least", w.at_least, true),
            ("most", w.at_most, true),
            ("withoutTasks", w.no_task_runs, true),
            ("coreHours", w.core_hours_paid, true),
        ]),
        rows: outcomes.iter().map(row).collect(),
        paging: None,
    }
}

/// The size it should have had.
fn sizing(visit: &Visit, run: &Run, page: &mut Page) {
    let w = visit.w;
    let text = |name: &str| visit.query.first(name).unwrap_or_default().to_owned();
    page.sections.push(Section::Form(Form {
        title: w.size,
        action: visit.here.path().to_owned(),
        fields: vec![Field {
            name: "node",
            label: w.node_shape,
            value: text("node"),
            kind: Input::Text(Vec::new()),
        }],
        kept: visit.here.without(&["node"]),
        button: w.size,
    }));
    let shape = Some(text("node")).filter(|shape| !shape.trim().is_empty());
    let sized = shape
        .map(|shape| NodeShape::parse(&shape))
        .transpose()
        .and_then(|node| {
            let options = size::Options {
                node,
                spark_version: run.spark_version.clone(),
                ..size::Options::default()
            };
            for_run(run, &options)
        });
    match sized {
        Ok(sizing) => page.sections.extend(sized_as(visit, &sizing)),
        Err(error) => page.sections.push(bad("sizing", error.to_string())),
    }
}

fn sized_as(visit: &Visit, sizing: &Sizing) -> Vec<Section> {
    let w = visit.w;
    let bytes = |bytes: u64| Cell::Bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
    let count = |count: u64| Cell::Count(i64::try_from(count).unwrap_or(i64::MAX));
    let mut sections = vec![Section::Facts(Facts {
        id: "size",
        title: "",
        items: vec![
            ("executors", w.executors, count(sizing.executors.into())),
            ("cores", w.cores_each, count(sizing.cores.into())),
            ("heap", w.heap, bytes(sizing.heap)),
            ("overhead", w.beside_heap, bytes(sizing.overhead)),
            ("partitions", w.shuffle_partitions, count(sizing.partitions)),
            ("driverCores", w.driver_cores, count(sizing.driver_cores.into())),
            ("driverHeap", w.driver_heap, bytes(sizing.driver_heap)),
        ],
    })];
    if let Some(packing) = &sizing.packing {
        sections.push(Section::Table(list("packing", w.on_nodes, &packing.lines())));
    }
    sections.push(Section::Table(list("reasons", w.why, &sizing.reasons)));
    if !sizing.missing.is_empty() {
        sections.push(Section::Table(list("missing", w.not_known, &sizing.missing)));
    }
    sections.push(Section::Text(Text {
        id: "patch",
        title: w.patch,
        text: format!("{:#}", sizing.patch),
        open: false,
    }));
    sections.push(Section::whole("sizing", &sizing));
    sections
}
