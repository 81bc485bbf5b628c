//! Streaming: the queries of Structured Streaming with their rates, batches and state, and the batches of a `StreamingContext`.

use stoke_history::detail::{Batch, Detail, StreamingQuery};

use super::{App, Missing, Visit, count, note, plain};
use crate::page::{Cell, Facts, Page, Row, Section, State, Table, Text};
use crate::picture::chart::{Axis, Chart};

fn state(query: &StreamingQuery) -> State {
    match (&query.failure, query.ended) {
        (Some(_), _) => State::Failed,
        (None, true) => State::Ended,
        (None, false) => State::Running,
    }
}

fn called(query: &StreamingQuery) -> String {
    query.name.clone().unwrap_or_else(|| query.run.clone())
}

fn rate(rate: Option<f64>) -> Cell {
    rate.map_or(Cell::Nothing, |rate| Cell::Fraction((rate * 100.0).round() / 100.0))
}

fn mean(batches: &[Batch], of: impl Fn(&Batch) -> Option<f64>) -> Option<f64> {
    let known: Vec<f64> = batches.iter().filter_map(of).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

/// All queries.
pub fn list(app: &App, visit: &Visit, detail: &Detail) -> Page {
    let w = visit.w;
    let mut page = app.page(visit, "streams", "StreamingQuery/", w.streaming.to_owned(), None);
    let (paging, range) = visit.page(detail.queries.len());
    let newest: Vec<&StreamingQuery> = detail.queries.iter().rev().collect();
    let row = |query: &&StreamingQuery| -> Row {
        let to = app.place.to(&format!(
            "StreamingQuery/statistics/?id={}",
            crate::address::part(&query.run)
        ));
        vec![
            Cell::Link(called(query), to),
            Cell::State(state(query)),
            Cell::moment(query.started),
            count(query.told),
            rate(mean(&query.batches, |batch| batch.input_rate)),
            rate(mean(&query.batches, |batch| batch.process_rate)),
            query
                .batches
                .last()
                .map_or(Cell::Nothing, |batch| Cell::Millis(batch.took)),
            query
                .batches
                .last()
                .map_or(Cell::Nothing, |batch| Cell::Count(batch.state_rows)),
            Cell::Code(query.id.clone()),
            Cell::text(
                query
                    .failure
                    .as_deref()
                    .and_then(|why| why.lines().next())
                    .unwrap_or_default(),
            ),
        ]
        .into()
    };
    page.sections.push(Section::Table(Table {
        id: "queries",
        title: "",
        empty: w.no_streams,
        columns: plain(&[
            ("name", w.name, false),
            ("state", w.state, false),
            ("started", w.started, true),
            ("batches", w.batches, true),
            ("inputRate", w.input_rate, true),
            ("processRate", w.process_rate, true),
            ("lastDuration", w.last_batch, true),
            ("stateRows", w.state_rows, true),
            ("id", w.id, false),
            ("error", w.error, false),
        ]),
        rows: newest[range].iter().map(row).collect(),
        paging: Some(paging),
    }));
    page
}

/// One query.
///
/// # Errors
/// When there is no such run of a query.
pub fn one(app: &App, visit: &Visit, detail: &Detail) -> Result<Page, Missing> {
    let w = visit.w;
    let run = visit.query.first("id").unwrap_or_default();
    let query = detail
        .queries
        .iter()
        .find(|query| query.run == run)
        .ok_or(Missing::NotFound)?;
    let crumb = Some((w.streaming, "StreamingQuery/"));
    let mut page = app.page(visit, "stream", "StreamingQuery/", called(query), crumb);
    page.subtitle = format!("{} · {}", query.id, query.run);
    page.state = Some(state(query));
    let last = query.batches.last();
    page.sections.push(Section::Facts(Facts {
        id: "query",
        title: "",
        items: vec![
            ("started", w.started, Cell::moment(query.started)),
            ("batches", w.batches, count(query.told)),
            (
                "rows",
                w.input_records,
                Cell::Count(query.batches.iter().map(|batch| batch.rows).sum()),
            ),
            (
                "inputRate",
                w.input_rate,
                rate(mean(&query.batches, |batch| batch.input_rate)),
            ),
            (
                "processRate",
                w.process_rate,
                rate(mean(&query.batches, |batch| batch.process_rate)),
            ),
            (
                "stateRows",
                w.state_rows,
                last.map_or(Cell::Nothing, |batch| Cell::Count(batch.state_rows)),
            ),
            (
                "stateMemory",
                w.state_memory,
                last.map_or(Cell::Nothing, |batch| Cell::some_bytes(batch.state_memory)),
            ),
            (
                "watermark",
                w.watermark,
                Cell::moment(last.and_then(|batch| batch.watermark)),
            ),
            (
                "sources",
                w.source,
                Cell::text(last.map(|batch| batch.sources.join(", ")).unwrap_or_default()),
            ),
            (
                "sink",
                w.sink,
                Cell::text(last.map(|batch| batch.sink.clone()).unwrap_or_default()),
            ),
        ],
    }));
    if let Some(failure) = &query.failure {
        page.sections.push(Section::Text(Text {
            id: "failure",
            title: w.failure,
            text: failure.clone(),
            open: true,
        }));
    }
    if query.batches.len() > 1 {
        page.sections.extend(charts(visit, &query.batches).map(Section::Chart));
    }
    page.sections.push(Section::Table(batches(visit, &query.batches)));
    Ok(page)
}

fn across(batches: &[Batch]) -> Axis {
    Axis {
        from: batches.first().map_or(0.0, |batch| batch.at as f64),
        until: batches.last().map_or(1.0, |batch| batch.at as f64),
        factors: false,
    }
}

/// A few moments below a picture, as time since its beginning.
pub fn moments(visit: &Visit, chart: &mut Chart, axis: Axis) {
    let w = visit.w;
    let marks = (0..=4).map(|part| {
        let at = axis.from + (axis.until - axis.from) * f64::from(part) / 4.0;
        (at, w.millis(&((at - axis.from) as i64)))
    });
    chart.label_below(marks);
}

fn charts(visit: &Visit, batches: &[Batch]) -> [Chart; 3] {
    let w = visit.w;
    let axis = across(batches);
    let at = |batch: &Batch| batch.at as f64;
    let rates = batches
        .iter()
        .flat_map(|batch| [batch.input_rate, batch.process_rate])
        .flatten();
    let mut speed = Chart::new(w.rates, w.rates_about, axis, Axis::up_to(rates));
    speed.label_beside(|rate| w.fraction(&rate));
    let line = |of: fn(&Batch) -> Option<f64>| {
        batches
            .iter()
            .map(move |batch| (at(batch), of(batch).unwrap_or(f64::NAN)))
    };
    speed.line("line1", line(|batch| batch.input_rate));
    speed.line("line2", line(|batch| batch.process_rate));
    speed.legend = vec![("line1", w.input_rate.to_owned()), ("line2", w.process_rate.to_owned())];
    let mut times = Chart::new(
        w.batch_times,
        "",
        axis,
        Axis::up_to(batches.iter().map(|batch| batch.took as f64)),
    );
    times.label_beside(|millis| w.millis(&(millis as i64)));
    times.line("line", line(|batch| Some(batch.took as f64)));
    let mut kept = Chart::new(
        w.state_rows,
        "",
        axis,
        Axis::up_to(batches.iter().map(|batch| batch.state_rows as f64)),
    );
    kept.label_beside(|rows| w.count(&(rows as i64)));
    kept.line("line3", line(|batch| Some(batch.state_rows as f64)));
    [speed, times, kept].map(|mut chart| {
        moments(visit, &mut chart, axis);
        chart
    })
}

fn batches(visit: &Visit, all: &[Batch]) -> Table {
    let w = visit.w;
    let (paging, range) = visit.page(all.len());
    let newest: Vec<&Batch> = all.iter().rev().collect();
    let row = |batch: &&Batch| -> Row {
        let parts = batch
            .parts
            .iter()
            .filter(|(name, took)| name != "triggerExecution" && *took > 0);
        let parts: Vec<String> = parts.map(|(name, took)| format!("{name} {}", w.millis(took))).collect();
        vec![
            Cell::Number(batch.id),
            Cell::Moment(batch.at),
            Cell::Millis(batch.took),
            Cell::Count(batch.rows),
            rate(batch.input_rate),
            rate(batch.process_rate),
            Cell::Count(batch.state_rows),
            Cell::some_bytes(batch.state_memory),
            Cell::Count(batch.late_rows),
            Cell::moment(batch.watermark),
            Cell::text(parts.join(", ")),
        ]
        .into()
    };
    Table {
        id: "batches",
        title: w.batches,
        empty: w.nothing_here,
        columns: plain(&[
            ("id", w.batch, true),
            ("at", w.started, true),
            ("duration", w.duration, true),
            ("rows", w.input_records, true),
            ("inputRate", w.input_rate, true),
            ("processRate", w.process_rate, true),
            ("stateRows", w.state_rows, true),
            ("stateMemory", w.state_memory, true),
            ("lateRows", w.late_rows, true),
            ("watermark", w.watermark, true),
            ("parts", w.batch_parts, false),
        ]),
        rows: newest[range].iter().map(row).collect(),
        paging: Some(paging),
    }
}

/// The batches of a `StreamingContext`, by the jobs that are of them.
pub fn contexts(app: &App, visit: &Visit, detail: &Detail) -> Page {
    let w = visit.w;
    let mut page = app.page(visit, "dstreams", "streaming/", w.dstreams.to_owned(), None);
    page.sections.push(note("about", w.dstreams_about));
    let (paging, range) = visit.page(detail.batches.len());
    let newest: Vec<(&i64, &Vec<i32>)> = detail.batches.iter().rev().collect();
    let row = |(at, ids): &(&i64, &Vec<i32>)| -> Row {
        let jobs: Vec<_> = ids.iter().filter_map(|id| app.view.job(*id)).collect();
        let began = jobs.iter().filter_map(|job| job.submitted).min();
        let ended = jobs
            .iter()
            .map(|job| job.completed.unwrap_or_else(|| app.until()))
            .max();
        let failed = jobs.iter().any(|job| super::state_of_job(job.status) == State::Failed);
        vec![
            Cell::Moment(**at),
            Cell::State(if failed { State::Failed } else { State::Succeeded }),
            Cell::span(Some(**at), began),
            Cell::span(began, ended),
            Cell::Links(
                jobs.iter()
                    .map(|job| (job.id.to_string(), app.place.job(job.id)))
                    .collect(),
            ),
        ]
        .into()
    };
    page.sections.push(Section::Table(Table {
        id: "batches",
        title: w.batches,
        empty: w.no_streams,
        columns: plain(&[
            ("at", w.batch, true),
            ("state", w.state, false),
            ("delay", w.scheduler_delay, true),
            ("duration", w.duration, true),
            ("jobs", w.jobs, false),
        ]),
        rows: newest[range].iter().map(row).collect(),
        paging: Some(paging),
    }));
    page
}
