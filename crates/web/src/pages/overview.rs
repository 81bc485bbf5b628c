//! An application at a glance: how it stands, what was found, where its time went, who worked when.

use std::sync::Arc;

use stoke_history::model::data::{Executor, JobStatus, StageStatus};
use stoke_history::model::metrics::at;

use super::{App, Missing, Visit, jobs, note, state_of};
use crate::page::{Cell, Facts, Note, Page, Section, Shares, Tasks};
use crate::picture::grid::{Grid, LANES, MOST_TASKS};
use crate::picture::timeline::{Life, Timeline};
use crate::verdict::Verdict;

/// Findings that are shown here; the others are on their page.
const MOST_FINDINGS: usize = 3;

/// Executors that do the work: the driver only where there are no others, as in a local run.
fn workers(app: &App) -> Vec<&Executor> {
    let all: Vec<&Executor> = app.view.executors().collect();
    let apart: Vec<&Executor> = all.iter().copied().filter(|one| one.id != "driver").collect();
    if apart.is_empty() { all } else { apart }
}

/// Tasks of all stages.
pub fn tasks(app: &App) -> i64 {
    app.view
        .stages()
        .map(|stage| i64::from(stage.completed_tasks + stage.failed_tasks + stage.killed_tasks))
        .sum()
}

/// How busy executors were; nothing when there were too many tasks to look at.
///
/// # Errors
/// When tasks were put away and cannot be read again.
fn grid(app: &App) -> Result<Option<Arc<Grid>>, Missing> {
    if tasks(app) > MOST_TASKS {
        return Ok(None);
    }
    let found = app.kept.grids.of(app.attempt.log.clone(), &app.view, || {
        let stages = app.view.stages().map(|stage| (stage.id, stage.attempt));
        let span = (app.attempt.start, app.until().max(app.attempt.start + 1));
        Grid::of(&app.view, stages, span)
    });
    Ok(Some(found?))
}

/// The page.
///
/// # Errors
/// When tasks were put away and cannot be read again.
pub fn page(app: &App, visit: &Visit, verdict: &Verdict) -> Result<Page, Missing> {
    let grid = grid(app)?;
    let mut page = app.page(visit, "overview", "", app.listed.name.clone(), None);
    page.crumbs.pop();
    page.state = Some(state_of(&app.attempt));
    page.subtitle = app.listed.id.clone();
    page.rest = Some(format!(
        "{}/api/v1/applications/{}",
        app.place.base,
        crate::address::part(&app.listed.id)
    ));
    page.sections.push(facts(app, visit));
    page.sections.extend(found(visit, verdict, Some(MOST_FINDINGS)));
    page.sections.extend(core_time(app, visit));
    page.sections.push(timeline(app, visit, grid.as_deref()));
    page.sections.push(totals(app, visit));
    Ok(page)
}

/// The page of findings.
pub fn findings(app: &App, visit: &Visit, verdict: &Verdict) -> Page {
    let w = visit.w;
    let mut page = app.page(visit, "findings", "findings/", w.findings.to_owned(), None);
    page.sections.extend(found(visit, verdict, None));
    page
}

/// What was found, or why nothing was.
fn found(visit: &Visit, verdict: &Verdict, most: Option<usize>) -> Vec<Section> {
    let w = visit.w;
    match verdict {
        Verdict::Found(findings) if findings.is_empty() => vec![note("findings", w.no_findings)],
        Verdict::Found(findings) => {
            let shown = findings.iter().take(most.unwrap_or(usize::MAX)).cloned().collect();
            vec![Section::Findings(shown)]
        }
        Verdict::Later => vec![note("findings", w.findings_later)],
        Verdict::TooLarge => vec![note("findings", w.findings_too_large)],
        Verdict::Failed(why) => vec![Section::Note(Note {
            id: "findings",
            text: format!("{} {why}", w.findings_failed),
            bad: true,
        })],
    }
}

fn facts(app: &App, visit: &Visit) -> Section {
    let w = visit.w;
    let (attempt, until) = (&app.attempt, app.until());
    let mut of_jobs = Tasks::default();
    for job in app.view.jobs() {
        of_jobs.total += 1;
        match job.status {
            JobStatus::Running => of_jobs.active += 1,
            JobStatus::Succeeded => of_jobs.done += 1,
            JobStatus::Failed => of_jobs.failed += 1,
        }
    }
    let mut of_stages = Tasks::default();
    for stage in app.view.stages() {
        of_stages.total += 1;
        match stage.status {
            StageStatus::Active | StageStatus::Pending => of_stages.active += 1,
            StageStatus::Complete => of_stages.done += 1,
            StageStatus::Failed => of_stages.failed += 1,
            StageStatus::Skipped => of_stages.skipped += 1,
        }
    }
    let others = app.listed.attempts.iter().filter_map(|other| {
        let place = crate::address::Place {
            attempt: other.id.clone(),
            ..app.place.clone()
        };
        Some((other.id.clone()?, place.to("")))
    });
    let others: Vec<(String, String)> = others.collect();
    let executors = app.view.executors().filter(|one| one.id != "driver").count();
    let part = crate::address::part;
    let before = app.before.as_ref().map_or(Cell::Nothing, |before| {
        let to = format!(
            "{}/compare?a={}&b={}",
            app.place.base,
            part(before),
            part(&app.listed.id)
        );
        Cell::Link(w.compare.to_owned(), to)
    });
    Section::Facts(Facts {
        id: "application",
        title: "",
        items: vec![
            (
                "duration",
                w.duration,
                Cell::Millis(if attempt.completed {
                    attempt.duration
                } else {
                    until - attempt.start
                }),
            ),
            ("jobs", w.jobs, Cell::Tasks(of_jobs)),
            ("stages", w.stages, Cell::Tasks(of_stages)),
            ("tasks", w.tasks, Cell::Count(tasks(app))),
            (
                "executors",
                w.executors,
                Cell::Count(i64::try_from(executors).unwrap_or(0)),
            ),
            (
                "exitCode",
                w.exit_code,
                attempt
                    .exit_code
                    .map_or(Cell::Nothing, |code| Cell::Number(code.into())),
            ),
            ("started", w.started, Cell::Moment(attempt.start)),
            ("ended", w.ended, Cell::moment(Some(attempt.end))),
            ("lastUpdated", w.last_change, Cell::Moment(attempt.last_updated)),
            ("user", w.user, Cell::text(&attempt.user)),
            ("version", w.version, Cell::text(&attempt.spark_version)),
            ("before", w.before_it, before),
            (
                "attempts",
                w.attempts,
                if others.len() > 1 {
                    Cell::Links(others)
                } else {
                    Cell::Nothing
                },
            ),
        ],
    })
}

/// Core time: held by executors, in tasks, computing, collecting garbage.
fn core_time(app: &App, visit: &Visit) -> Option<Section> {
    let w = visit.w;
    let workers = workers(app);
    let until = app.until();
    let lasted = |one: &Executor| {
        one.removed
            .unwrap_or(until)
            .min(until)
            .saturating_sub(one.added.max(app.attempt.start))
            .max(0)
    };
    let held: i64 = workers.iter().map(|one| lasted(one) * i64::from(one.cores)).sum();
    // An executor runs `max_tasks` tasks on its cores: each takes its part of them.
    let cpus = |one: &Executor| f64::from(one.cores.max(1)) / f64::from(one.max_tasks.max(1));
    let local = workers.iter().all(|one| one.id == "driver");
    let sum = |place: usize| app.view.stages().map(|stage| stage.metrics.get(place)).sum::<i64>();
    let in_tasks: i64 = match local {
        true => sum(at::RUN_TIME),
        false => workers.iter().map(|one| (one.duration as f64 * cpus(one)) as i64).sum(),
    };
    if held <= 0 {
        return None;
    }
    let in_tasks = in_tasks.clamp(0, held);
    let gc = sum(at::GC_TIME).clamp(0, in_tasks);
    let computing = (sum(at::CPU_TIME) / 1_000_000).clamp(0, in_tasks - gc);
    let parts = [
        ("computing", w.computing, computing),
        ("gc", w.gc, gc),
        ("waiting", w.waiting, in_tasks - gc - computing),
        ("idle", w.idle, held - in_tasks),
    ];
    let mut left = 0;
    let parts = parts.into_iter().map(|(id, label, millis)| {
        let wide = (i128::from(millis) * 1000 / i128::from(held)) as i64;
        let part = (id, label, Cell::Cores(millis), left, wide);
        left += wide;
        part
    });
    let mut parts: Vec<_> = parts.collect();
    parts.push(("held", w.held, Cell::Cores(held), 0, 0));
    Some(Section::Shares(Shares {
        id: "coreTime",
        title: w.core_time,
        about: w.core_time_about,
        parts,
    }))
}

fn timeline(app: &App, visit: &Visit, grid: Option<&Grid>) -> Section {
    let w = visit.w;
    let until = app.until().max(app.attempt.start + 1);
    let spans = app.view.jobs().filter_map(|job| jobs::span(app, job)).collect();
    let mut lives: Vec<Life> = workers(app)
        .into_iter()
        .map(|one| Life {
            id: one.id.clone(),
            from: one.added,
            until: one.removed,
            slots: one.max_tasks,
            title: match &one.remove_reason {
                Some(reason) => format!("{} {}: {reason}", w.executor, one.id),
                None => format!("{} {} {}", w.executor, one.id, one.hostname()),
            },
        })
        .collect();
    lives.sort_by_key(|life| (life.id.parse::<i64>().unwrap_or(-1), life.id.clone()));
    let more = lives.len().saturating_sub(LANES);
    lives.truncate(LANES);
    let (mut picture, left_out) = Timeline::of((app.attempt.start, until), spans, &lives, grid);
    picture.title = w.timeline;
    picture.about = w.timeline_about;
    if left_out > 0 {
        picture.notes.push(format!("{left_out} {}", w.more_jobs));
    }
    if more > 0 {
        picture.notes.push(format!("{more} {}", w.more_lanes));
    }
    if grid.is_none() {
        picture.notes.push(w.too_many_tasks.to_owned());
    }
    Section::Timeline(picture)
}

fn totals(app: &App, visit: &Visit) -> Section {
    let w = visit.w;
    let sum = |place: usize| {
        app.view
            .stages()
            .map(|stage| stage.metrics.get(place))
            .fold(0i64, i64::wrapping_add)
    };
    Section::Facts(Facts {
        id: "totals",
        title: w.totals,
        items: vec![
            ("input", w.input, Cell::Bytes(sum(at::INPUT_BYTES))),
            ("output", w.output, Cell::Bytes(sum(at::OUTPUT_BYTES))),
            (
                "shuffleRead",
                w.shuffle_read,
                Cell::Bytes(sum(at::LOCAL_BYTES).wrapping_add(sum(at::REMOTE_BYTES))),
            ),
            ("shuffleWrite", w.shuffle_write, Cell::Bytes(sum(at::WRITE_BYTES))),
            ("spill", w.spill, Cell::Bytes(sum(at::DISK_SPILLED))),
            ("taskTime", w.task_time, Cell::Millis(sum(at::RUN_TIME))),
            ("gc", w.gc, Cell::Millis(sum(at::GC_TIME))),
        ],
    })
}
