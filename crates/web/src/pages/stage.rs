//! A stage attempt: how its tasks were distributed, who did them, and the tasks themselves.

use stoke_history::model::data::{Stage, StageKey};
use stoke_history::model::metrics::at;
use stoke_history::model::task::{Outcome, Task};
use stoke_history::rest::{Tally, TaskOrder, TaskSummary};

use super::graphs;
use super::stages::called;
use super::{App, Missing, Visit, plain, state_of_stage, tasks_of};
use crate::kept::Digest;
use crate::page::{Cell, Facts, Note, Page, Row, Section, State, Table, Text};
use crate::picture::grid::{Filling, Grid, LANES};
use crate::picture::histogram::Counting;
use crate::picture::timeline::{Life, Timeline};

/// Executors of a stage that are listed.
const MOST_EXECUTORS: usize = 100;
/// The quantiles that are shown.
const QUANTILES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// How many times the median the longest task must have taken, and how many milliseconds more, to be named.
const SKEWED: i64 = 3;
const SKEWED_BY: i64 = 500;

/// Columns that can be sorted, with the heading of Spark's table that sorts alike.
const SORTS: [(&str, &str); 14] = [
    ("index", "Index"),
    ("id", "ID"),
    ("attempt", "Attempt"),
    ("state", "Status"),
    ("locality", "Locality Level"),
    ("executor", "Executor ID"),
    ("host", "Host"),
    ("launched", "Launch Time"),
    ("duration", "Duration"),
    ("gc", "GC Time"),
    ("input", "Input Size / Records"),
    ("shuffleRead", "Shuffle Read Size / Records"),
    ("shuffleWrite", "Shuffle Write Size / Records"),
    ("spill", "Spill (Disk)"),
];

fn state_of_task(status: Outcome) -> State {
    match status {
        Outcome::Running | Outcome::GetResult => State::Running,
        Outcome::Failed => State::Failed,
        Outcome::Killed => State::Killed,
        Outcome::Succeeded => State::Succeeded,
    }
}

/// The page.
///
/// # Errors
/// When there is no such stage attempt, or its tasks cannot be read again.
pub fn page(app: &App, visit: &Visit) -> Result<Page, Missing> {
    let w = visit.w;
    let id: i32 = visit.number("id").ok_or(Missing::NotFound)?;
    let stage = match visit.number::<i32>("attempt") {
        Some(attempt) => app.view.stage((id, attempt)),
        None => app.view.attempts(id).last(),
    };
    let stage = stage.ok_or(Missing::NotFound)?;
    let key = (stage.id, stage.attempt);
    let mut page = app.page(
        visit,
        "stage",
        "stages/",
        format!("{} {}", w.stage, stage.id),
        Some((w.stages, "stages/")),
    );
    page.subtitle = called(stage).to_owned();
    page.state = Some(state_of_stage(stage.status));
    page.rest = Some(app.place.rest(&format!("stages/{}/{}", stage.id, stage.attempt)));
    page.sections.push(facts(app, visit, stage));
    if let Some(failure) = &stage.failure {
        page.sections.push(Section::Text(Text {
            id: "failure",
            title: w.failure,
            text: failure.clone(),
            open: true,
        }));
    }
    let digest = app
        .kept
        .digests
        .of((app.attempt.log.clone(), key), &app.view, || digest(app, stage))?;
    if let Some(note) = digest.quantiles.as_ref().and_then(|summary| skew(visit, summary)) {
        page.sections.push(note);
    }
    page.sections.extend(digest.histogram.clone().map(Section::Histogram));
    page.sections.extend(
        digest
            .quantiles
            .as_ref()
            .map(|summary| Section::Table(quantile_table(visit, summary))),
    );
    page.sections.extend(timeline(app, visit, stage, &digest.grid)?);
    page.sections.extend(graphs::accumulators(visit, stage));
    let graph = app
        .detail
        .as_deref()
        .and_then(|detail| graphs::of_stage(visit, stage, detail));
    page.sections.extend(graph.into_iter().flatten());
    page.sections.push(Section::Table(executors(app, visit, key)?));
    page.sections.extend(tasks(app, visit, key)?);
    if !stage.details.is_empty() {
        page.sections.push(Section::Text(Text {
            id: "details",
            title: w.details,
            text: stage.details.clone(),
            open: false,
        }));
    }
    Ok(page)
}

fn facts(app: &App, visit: &Visit, stage: &Stage) -> Section {
    let w = visit.w;
    let m = |place| stage.metrics.get(place);
    let attempts = app.view.attempts(stage.id);
    let attempts = attempts.map(|one| (one.attempt.to_string(), app.place.stage((one.id, one.attempt))));
    let jobs = stage.jobs.iter().map(|id| (id.to_string(), app.place.job(*id)));
    let until = stage.completed.or_else(|| stage.submitted.map(|_| app.until()));
    Section::Facts(Facts {
        id: "stage",
        title: "",
        items: vec![
            ("duration", w.duration, Cell::span(stage.submitted, until)),
            ("tasks", w.tasks, tasks_of(stage)),
            ("executorRunTime", w.task_time, Cell::Millis(m(at::RUN_TIME))),
            ("jvmGcTime", w.gc, Cell::Millis(m(at::GC_TIME))),
            ("inputBytes", w.input, Cell::some_bytes(m(at::INPUT_BYTES))),
            ("inputRecords", w.input_records, Cell::Count(m(at::INPUT_RECORDS))),
            ("outputBytes", w.output, Cell::some_bytes(m(at::OUTPUT_BYTES))),
            ("outputRecords", w.output_records, Cell::Count(m(at::OUTPUT_RECORDS))),
            (
                "shuffleReadBytes",
                w.shuffle_read,
                Cell::some_bytes(stage.metrics.sum(at::LOCAL_BYTES, at::REMOTE_BYTES)),
            ),
            (
                "shuffleWriteBytes",
                w.shuffle_write,
                Cell::some_bytes(m(at::WRITE_BYTES)),
            ),
            (
                "memoryBytesSpilled",
                w.spill_memory,
                Cell::some_bytes(m(at::MEMORY_SPILLED)),
            ),
            ("diskBytesSpilled", w.spill, Cell::some_bytes(m(at::DISK_SPILLED))),
            ("submitted", w.submitted, Cell::moment(stage.submitted)),
            ("attempts", w.attempts, Cell::Links(attempts.collect())),
            ("jobs", w.jobs, Cell::Links(jobs.collect())),
            ("pool", w.pool, Cell::text(&stage.pool)),
            ("graph", w.rdd_graph, app.ask_for_graph(visit)),
        ],
    })
}

fn skew(visit: &Visit, summary: &TaskSummary) -> Option<Section> {
    let shown = summary.shown();
    let (_, durations) = shown.iter().find(|(name, _)| *name == "duration")?;
    let (median, longest) = (*durations.get(2)? as i64, *durations.get(4)? as i64);
    (longest > SKEWED * median.max(1) && longest - median > SKEWED_BY).then(|| {
        let times = format!("{:.1}", longest as f64 / median.max(1) as f64);
        Section::Note(Note {
            id: "skew",
            text: visit.w.skewed.replacen("{}", &times, 1),
            bad: true,
        })
    })
}

fn quantile_table(visit: &Visit, summary: &TaskSummary) -> Table {
    let w = visit.w;
    let row = |(name, numbers): (&'static str, Vec<f64>)| -> Option<Row> {
        let (label, cell): (&str, fn(i64) -> Cell) = match name {
            "duration" => (w.duration, Cell::Millis),
            "schedulerDelay" => (w.scheduler_delay, Cell::Millis),
            "executorDeserializeTime" => (w.deserialize_time, Cell::Millis),
            "jvmGcTime" => (w.gc, Cell::Millis),
            "resultSerializationTime" => (w.serialization_time, Cell::Millis),
            "gettingResultTime" => (w.getting_result, Cell::Millis),
            "peakExecutionMemory" => (w.peak_memory, Cell::Bytes),
            "inputBytes" => (w.input, Cell::Bytes),
            "inputRecords" => (w.input_records, Cell::Count),
            "outputBytes" => (w.output, Cell::Bytes),
            "outputRecords" => (w.output_records, Cell::Count),
            "shuffleReadBytes" => (w.shuffle_read, Cell::Bytes),
            "shuffleReadRecords" => (w.read_records, Cell::Count),
            "shuffleFetchWaitTime" => (w.fetch_wait, Cell::Millis),
            "shuffleRemoteBytesRead" => (w.remote_read, Cell::Bytes),
            "shuffleWriteBytes" => (w.shuffle_write, Cell::Bytes),
            "shuffleWriteRecords" => (w.write_records, Cell::Count),
            "shuffleWriteTime" => (w.write_time, |nanos| Cell::Millis(nanos / 1_000_000)),
            "memoryBytesSpilled" => (w.spill_memory, Cell::Bytes),
            "diskBytesSpilled" => (w.spill, Cell::Bytes),
            _ => return None,
        };
        // What is nothing for every task says nothing.
        let told = numbers.iter().any(|number| *number != 0.0) || name == "duration";
        let cells = numbers.into_iter().map(|number| {
            if number.is_nan() {
                Cell::Nothing
            } else {
                cell(number as i64)
            }
        });
        let first = std::iter::once(Cell::Text(label.to_owned()));
        told.then(|| {
            first
                .chain(cells)
                .chain([Cell::Code(name.to_owned())])
                .collect::<Vec<_>>()
                .into()
        })
    };
    let columns = plain(&[
        ("measure", w.measure, false),
        ("least", w.least, true),
        ("quarter", w.quarter, true),
        ("median", w.median, true),
        ("threeQuarters", w.three_quarters, true),
        ("greatest", w.greatest, true),
        ("id", w.as_rest, false),
    ]);
    Table {
        id: "quantiles",
        title: w.quantiles,
        empty: w.nothing_here,
        columns,
        rows: summary.shown().into_iter().filter_map(row).collect(),
        paging: None,
    }
}

/// From when until when a stage attempt ran.
fn span(app: &App, stage: &Stage) -> Option<(i64, i64)> {
    let from = stage.first_launched.or(stage.submitted)?;
    Some((from, stage.completed.unwrap_or_else(|| app.until()).max(from + 1)))
}

/// What all its tasks say together: a look at each of them, and another one for what differs between them.
fn digest(app: &App, stage: &Stage) -> Result<Digest, Missing> {
    #[derive(Default)]
    struct Seen {
        counting: Counting,
        tally: Tally,
        grid: Option<Filling>,
    }
    let key = (stage.id, stage.attempt);
    let span = span(app, stage).unwrap_or((0, 1));
    let seen = app.view.look_at_tasks(key, Seen::default, |seen, task| {
        if task.status != Outcome::Running {
            seen.counting.add(task.duration, task.status == Outcome::Succeeded);
        }
        seen.tally.add(task);
        seen.grid.get_or_insert_with(|| Filling::over(span)).add(task);
    })?;
    let (mut counting, mut tally, mut grid) = (Counting::default(), Tally::default(), Filling::over(span));
    for one in seen {
        counting.merge(&one.counting);
        tally = tally.and(&one.tally);
        one.grid.into_iter().for_each(|other| grid.merge(other));
    }
    Ok(Digest {
        histogram: counting.picture(),
        quantiles: TaskSummary::of_tally(tally, &app.view, key, &QUANTILES)?,
        grid: grid.done(&app.view),
    })
}

fn timeline(app: &App, visit: &Visit, stage: &Stage, grid: &Grid) -> Result<Option<Section>, Missing> {
    let Some((from, until)) = span(app, stage) else {
        return Ok(None);
    };
    let key = (stage.id, stage.attempt);
    let busy = app.view.stage_executors(key)?;
    let mut lives: Vec<Life> = busy
        .iter()
        .map(|(id, done)| {
            let known = app.view.executor(id);
            Life {
                id: id.to_string(),
                from,
                until: None,
                slots: known.map_or(1, |known| known.max_tasks),
                title: format!("{} {id}: {}", visit.w.executor, visit.w.millis(&done.task_time)),
            }
        })
        .collect();
    lives.sort_by_key(|life| (life.id.parse::<i64>().unwrap_or(-1), life.id.clone()));
    let more = lives.len().saturating_sub(LANES);
    lives.truncate(LANES);
    let (mut picture, _) = Timeline::of((from, until), Vec::new(), &lives, Some(grid));
    picture.title = visit.w.timeline;
    picture.about = visit.w.busy_about;
    if more > 0 {
        picture.notes.push(format!("{more} {}", visit.w.more_lanes));
    }
    Ok((!picture.lanes.is_empty()).then_some(Section::Timeline(picture)))
}

fn executors(app: &App, visit: &Visit, key: StageKey) -> Result<Table, Missing> {
    let w = visit.w;
    let mut all: Vec<_> = app.view.stage_executors(key)?.into_iter().collect();
    all.sort_by_key(|(_, done)| std::cmp::Reverse(done.task_time));
    let total = all.len();
    all.truncate(MOST_EXECUTORS);
    let row = |(id, done): &(_, stoke_history::model::data::ExecutorStage)| -> Row {
        let id: &str = AsRef::<str>::as_ref(id);
        let host = app
            .view
            .executor(id)
            .map_or(String::new(), |known| known.hostname().to_owned());
        vec![
            Cell::Text(id.to_owned()),
            Cell::text(host),
            Cell::Millis(done.task_time),
            Cell::Count(done.succeeded.into()),
            Cell::Count(done.failed.into()),
            Cell::Count(done.killed.into()),
            Cell::some_bytes(done.metrics.get(at::INPUT_BYTES)),
            Cell::some_bytes(done.metrics.sum(at::REMOTE_BYTES, at::LOCAL_BYTES)),
            Cell::some_bytes(done.metrics.get(at::WRITE_BYTES)),
            Cell::some_bytes(done.metrics.get(at::DISK_SPILLED)),
        ]
        .into()
    };
    Ok(Table {
        id: "executors",
        title: w.of_executors,
        empty: w.nothing_here,
        columns: plain(&[
            ("executor", w.executor, false),
            ("host", w.host, false),
            ("taskTime", w.task_time, true),
            ("succeeded", w.succeeded, true),
            ("failed", w.failed, true),
            ("killed", w.killed, true),
            ("input", w.input, true),
            ("shuffleRead", w.shuffle_read, true),
            ("shuffleWrite", w.shuffle_write, true),
            ("spill", w.spill, true),
        ]),
        rows: all.iter().map(row).collect(),
        paging: (total > MOST_EXECUTORS).then(|| crate::page::Paging {
            total,
            from: 1,
            to: MOST_EXECUTORS,
            ..Default::default()
        }),
    })
}

/// The filter and the table of tasks, sorted and searched as Spark's own table is.
fn tasks(app: &App, visit: &Visit, key: StageKey) -> Result<[Section; 2], Missing> {
    let w = visit.w;
    let names: Vec<&'static str> = SORTS.iter().map(|(name, _)| *name).collect();
    let (sort, descending) = visit.sort(&names, "index", false);
    let heading = SORTS
        .iter()
        .find(|(name, _)| *name == sort)
        .map_or("Index", |(_, heading)| heading);
    let searched = visit.searched();
    let asked = (app.attempt.log.clone(), key, sort, descending, searched.clone());
    let order = app.kept.orders.of(asked, &app.view, || {
        TaskOrder::of(&app.view, key, (heading, descending), searched.as_deref())?.ok_or(Missing::NotFound)
    })?;
    let (paging, range) = visit.page(order.len());
    let found = order.tasks(&app.view, key, range)?;
    let columns = [
        ("index", w.index, true),
        ("id", w.id, true),
        ("attempt", w.attempt, true),
        ("state", w.state, false),
        ("locality", w.locality, false),
        ("executor", w.executor, false),
        ("host", w.host, false),
        ("launched", w.launched, true),
        ("duration", w.duration, true),
        ("gc", w.gc, true),
        ("input", w.input, true),
        ("shuffleRead", w.shuffle_read, true),
        ("shuffleWrite", w.shuffle_write, true),
        ("spill", w.spill, true),
        ("speculative", w.speculative, false),
        ("error", w.error, false),
    ];
    let row = |task: &Task| -> Row {
        let m = |place| task.metrics.as_ref().map_or(0, |metrics| metrics.get(place));
        let error = task.error.as_deref().unwrap_or_default();
        let first = error.lines().next().unwrap_or_default();
        vec![
            Cell::Count(task.index.into()),
            Cell::Number(task.id),
            Cell::Count(task.attempt.into()),
            Cell::State(state_of_task(task.status)),
            Cell::text(app.view.name(task.locality)),
            Cell::text(app.view.name(task.executor)),
            Cell::text(app.view.name(task.host)),
            Cell::Moment(task.launched),
            Cell::Millis(task.duration),
            Cell::Millis(m(at::GC_TIME)),
            Cell::some_bytes(m(at::INPUT_BYTES)),
            Cell::some_bytes(m(at::LOCAL_BYTES) + m(at::REMOTE_BYTES)),
            Cell::some_bytes(m(at::WRITE_BYTES)),
            Cell::some_bytes(m(at::DISK_SPILLED)),
            if task.speculative {
                Cell::Text("✓".to_owned())
            } else {
                Cell::Nothing
            },
            Cell::text(first.chars().take(300).collect::<String>()),
        ]
        .into()
    };
    let filter = visit.filter(w.search_tasks, &[], &[]);
    let table = Table {
        id: "tasks",
        title: w.tasks,
        empty: if searched.is_some() { w.no_match } else { w.nothing_here },
        columns: visit.columns(&columns, &names, (sort, descending)),
        rows: found.iter().map(row).collect(),
        paging: Some(paging),
    };
    Ok([Section::Filter(filter), Section::Table(table)])
}
