//! One contract: how it stands, the checks of its last run, its freshness, what was set aside, and its verdicts over time.

use std::collections::BTreeMap;

use stoke_quality::ledger::{Run, Series, Standing, Summary};
use stoke_quality::outcome::CheckOutcome;

use super::data::{AGAIN, aside, is_bad, state_of, state_of_run, verdict_of};
use super::{MOST_ROWS, Visit, count, plain};
use crate::page::{Cell, Facts, Note, Page, Row, Section, State, Table};
use crate::picture::chart::{Axis, Chart};

/// Verdicts that are drawn.
const DRAWN: usize = 500;
/// Names of checks in a row of a verdict.
const NAMED: usize = 5;
/// Rows of tables that illustrate.
const MOST: usize = 100;

/// The page, as of a moment (milliseconds since 1970).
pub fn page(visit: &Visit, series: &Series, summary: &Summary, now: i64) -> Page {
    let (w, d) = (visit.w, visit.w.data());
    let mut page = Page {
        kind: "contract",
        title: summary.name.clone(),
        subtitle: summary.folder.clone(),
        state: Some(state_of(summary.standing)),
        crumbs: vec![
            (w.applications.to_owned(), format!("{}/", visit.base)),
            (d.data.to_owned(), format!("{}/data/", visit.base)),
        ],
        live: Some(AGAIN),
        ..Page::default()
    };
    let sections = &mut page.sections;
    if summary.standing != Standing::Holds {
        sections.push(Section::Note(Note {
            id: "why",
            text: summary.why.clone(),
            bad: true,
        }));
    }
    if summary.damage.lines > 0 {
        sections.push(Section::Note(Note {
            id: "damage",
            text: d.damaged.replacen("{}", &summary.damage.lines.to_string(), 1),
            bad: true,
        }));
    }
    sections.push(facts(visit, summary));
    if let Some(last) = &summary.last {
        sections.push(checks(visit, last));
        sections.push(freshness(visit, last, now));
        sections.push(set_aside(visit, last));
    }
    if !summary.others.is_empty() {
        sections.push(others(visit, summary));
    }
    sections.extend(over_time(visit, &series.runs));
    sections.push(runs(visit, &series.runs));
    sections.push(over_runs(visit, &series.runs));
    if summary.damage.lines > 0 {
        sections.push(damage(visit, summary));
    }
    sections.push(Section::whole("quality", &summary));
    page
}

fn facts(visit: &Visit, summary: &Summary) -> Section {
    let d = visit.w.data();
    let last = summary.last.as_ref();
    let outcome = last.and_then(|run| run.outcome.as_ref());
    let format = outcome.and_then(|outcome| serde_json::to_value(outcome.format).ok());
    let format = format.and_then(|format| format.as_str().map(str::to_owned));
    let moment = |at: Option<jiff::Timestamp>| Cell::moment(at.map(|at| at.as_millisecond()));
    Section::Facts(Facts {
        id: "contract",
        title: "",
        items: vec![
            ("name", d.contract, Cell::Text(summary.name.clone())),
            ("folder", d.folder, Cell::text(&summary.folder)),
            ("state", d.standing, Cell::State(state_of(summary.standing))),
            ("why", d.why, Cell::text(&summary.why)),
            ("since", d.since, moment(summary.since)),
            ("checked", d.checked, moment(last.map(|run| run.at))),
            (
                "data",
                d.data_of,
                last.map_or(Cell::Nothing, |run| Cell::Code(run.place.clone())),
            ),
            (
                "rows",
                d.data_rows,
                last.and_then(|run| run.rows).map_or(Cell::Nothing, count),
            ),
            (
                "files",
                d.files,
                outcome.map_or(Cell::Nothing, |outcome| count(outcome.files)),
            ),
            (
                "score",
                d.score,
                last.and_then(|run| run.score).map_or(Cell::Nothing, Cell::Fraction),
            ),
            ("freshUntil", d.fresh_until, moment(summary.fresh_until)),
            ("format", d.format, Cell::text(format.unwrap_or_default())),
            ("verdicts", d.verdicts, count(summary.verdicts)),
            ("failedVerdicts", d.verdicts_failed, count(summary.failed)),
            ("file", d.file, Cell::Code(format!("{}.jsonl", summary.id))),
        ],
    })
}

fn percent(check: &CheckOutcome) -> Cell {
    match (check.unexpected, check.considered) {
        (Some(unexpected), Some(considered @ 1..)) => Cell::Fraction(unexpected as f64 / considered as f64 * 100.0),
        _ => Cell::Nothing,
    }
}

fn checks(visit: &Visit, last: &Run) -> Section {
    let (w, d) = (visit.w, visit.w.data());
    let mut all: Vec<&CheckOutcome> = last.outcome.iter().flat_map(|outcome| &outcome.checks).collect();
    // What fails first, in the order of the contract.
    all.sort_by_key(|check| (!check.fails(), !is_bad(check)));
    let row = |check: &&CheckOutcome| -> Row {
        vec![
            Cell::Code(check.id.clone()),
            Cell::text(check.columns.join(", ")),
            Cell::text(check.severity.name()),
            verdict_of(check),
            Cell::text(&check.expected),
            check.unexpected.map_or(Cell::Nothing, count),
            check.considered.map_or(Cell::Nothing, count),
            percent(check),
            Cell::text(check.reason.as_deref().unwrap_or_default()),
        ]
        .into()
    };
    Section::Table(Table {
        id: "checks",
        title: d.checks,
        empty: d.not_kept,
        columns: plain(&[
            ("check", d.check, false),
            ("columns", d.columns, false),
            ("severity", d.severity, false),
            ("verdict", d.verdict, false),
            ("expected", d.expected, false),
            ("unexpected", d.unexpected, true),
            ("considered", d.considered, true),
            ("percent", d.percent, true),
            ("reason", w.reason, false),
        ]),
        rows: all.iter().take(MOST_ROWS).map(row).collect(),
        paging: None,
    })
}

fn freshness(visit: &Visit, last: &Run, now: i64) -> Section {
    let d = visit.w.data();
    let row = |(check, freshness): (&CheckOutcome, &stoke_quality::report::Freshness)| -> Row {
        let until = freshness.until().map(|until| until.as_millisecond());
        let latest = freshness.latest.as_millisecond();
        let state = if until.is_some_and(|until| now > until) {
            State::Stale
        } else {
            State::Holds
        };
        vec![
            Cell::Code(check.id.clone()),
            Cell::State(state),
            Cell::Moment(latest),
            Cell::Millis(freshness.max_age.saturating_mul(1000)),
            Cell::moment(until),
            Cell::Millis(now.saturating_sub(latest).max(0)),
        ]
        .into()
    };
    Section::Table(Table {
        id: "freshness",
        title: d.freshness,
        empty: d.freshness_none,
        columns: plain(&[
            ("check", d.check, false),
            ("state", d.standing, false),
            ("latest", d.latest_value, true),
            ("maxAge", d.may_be_old, true),
            ("freshUntil", d.fresh_until, true),
            ("age", d.is_old, true),
        ]),
        rows: last.freshness().map(row).collect(),
        paging: None,
    })
}

fn set_aside(visit: &Visit, last: &Run) -> Section {
    let d = visit.w.data();
    let quarantine = last.outcome.as_ref().and_then(|outcome| outcome.quarantine.as_ref());
    let rows = quarantine.into_iter().flat_map(|quarantine| {
        let row = |(check, rows): (&String, &serde_json::Value)| -> Row {
            vec![
                Cell::Code(check.clone()),
                rows.as_u64().map_or(Cell::Nothing, count),
                count(quarantine.quarantined),
                count(quarantine.passed),
                Cell::Code(quarantine.place.clone()),
            ]
            .into()
        };
        quarantine.reasons.iter().map(row)
    });
    Section::Table(Table {
        id: "setAside",
        title: d.set_aside_reasons,
        empty: d.set_aside_none,
        columns: plain(&[
            ("check", d.check, false),
            ("rows", d.set_aside_by, true),
            ("quarantined", d.set_aside_in_all, true),
            ("passed", d.let_through, true),
            ("place", d.set_aside_place, false),
        ]),
        rows: rows.collect(),
        paging: None,
    })
}

fn others(visit: &Visit, summary: &Summary) -> Section {
    let (w, d) = (visit.w, visit.w.data());
    let row = |run: &Run| -> Row {
        vec![
            Cell::Code(run.place.clone()),
            Cell::Moment(run.at.as_millisecond()),
            Cell::Text(run.told()),
        ]
        .into()
    };
    Section::Table(Table {
        id: "others",
        title: d.others_broken,
        empty: w.nothing_here,
        columns: plain(&[
            ("data", d.data_of, false),
            ("checked", d.checked, true),
            ("why", d.why, false),
        ]),
        rows: summary.others.iter().take(MOST).map(row).collect(),
        paging: None,
    })
}

/// The score of the last verdicts as a line; nothing where there are too few.
fn over_time(visit: &Visit, runs: &[Run]) -> Option<Section> {
    let d = visit.w.data();
    let shown = &runs[runs.len().saturating_sub(DRAWN)..];
    let at = |run: &Run| run.at.as_millisecond();
    let (from, until) = (shown.iter().map(at).min()?, shown.iter().map(at).max()?);
    if from == until {
        return None;
    }
    let across = Axis {
        from: from as f64,
        until: until as f64,
        factors: false,
    };
    let up = Axis::up_to([100.0].into_iter());
    let mut chart = Chart::new(d.verdicts_over_time, d.verdicts_over_time_about, across, up);
    chart.label_beside(|number| visit.w.fraction(&number));
    let mark = |place: i64| from + (until - from) / 4 * place;
    chart.label_below((0..4).map(|place| {
        let label: String = crate::words::iso(&mark(place)).chars().take(16).collect();
        (mark(place) as f64, label.replace('T', " "))
    }));
    chart.line(
        "line",
        shown.iter().map(|run| (at(run) as f64, run.score.unwrap_or(f64::NAN))),
    );
    for run in shown.iter().filter(|run| !run.passed) {
        let title = format!("{}: {}", crate::words::moment(&at(run)), run.told());
        chart.dot("dot bad", (at(run) as f64, run.score.unwrap_or(0.0)), title, None);
    }
    chart.legend.push(("line", d.score.to_owned()));
    chart.legend.push(("dot bad", d.verdicts_failed.to_owned()));
    Some(Section::Chart(chart))
}

/// The verdicts, the newest first.
fn runs(visit: &Visit, runs: &[Run]) -> Section {
    let (w, d) = (visit.w, visit.w.data());
    let (paging, range) = visit.page(runs.len());
    let row = |run: &Run| -> Row {
        let failed: Vec<&CheckOutcome> = run
            .outcome
            .iter()
            .flat_map(|outcome| &outcome.checks)
            .filter(|check| is_bad(check))
            .collect();
        let mut names: Vec<String> = failed
            .iter()
            .take(NAMED)
            .map(|check| match (check.unexpected, check.considered) {
                (Some(unexpected), Some(considered)) => format!("{} ({unexpected}/{considered})", check.id),
                _ => check.id.clone(),
            })
            .collect();
        if failed.len() > NAMED {
            names.push(format!("+{}", failed.len() - NAMED));
        }
        vec![
            Cell::Moment(run.at.as_millisecond()),
            Cell::State(state_of_run(run)),
            run.score.map_or(Cell::Nothing, Cell::Fraction),
            run.rows.map_or(Cell::Nothing, count),
            Cell::text(names.join(", ")),
            aside(run).map_or(Cell::Nothing, count),
            Cell::Code(run.place.clone()),
        ]
        .into()
    };
    Section::Table(Table {
        id: "verdicts",
        title: d.verdicts,
        empty: w.nothing_here,
        columns: plain(&[
            ("checked", d.checked, true),
            ("state", d.verdict, false),
            ("score", d.score, true),
            ("rows", d.data_rows, true),
            ("failed", d.checks_failed, false),
            ("setAside", d.set_aside, true),
            ("data", d.data_of, false),
        ]),
        rows: runs.iter().rev().skip(range.start).take(range.len()).map(row).collect(),
        paging: Some(paging),
    })
}

/// How often each check failed in the runs that are kept.
fn over_runs(visit: &Visit, runs: &[Run]) -> Section {
    let d = visit.w.data();
    let mut checks: BTreeMap<&str, (usize, i64)> = BTreeMap::new();
    for run in runs {
        for check in run
            .outcome
            .iter()
            .flat_map(|outcome| &outcome.checks)
            .filter(|check| is_bad(check))
        {
            let (times, last) = checks.entry(&check.id).or_default();
            *times += 1;
            *last = run.at.as_millisecond();
        }
    }
    let mut checks: Vec<(&str, (usize, i64))> = checks.into_iter().collect();
    checks.sort_by_key(|(_, (times, _))| std::cmp::Reverse(*times));
    let row = |(check, (times, last)): &(&str, (usize, i64))| -> Row {
        vec![Cell::Code((*check).to_owned()), count(*times), Cell::Moment(*last)].into()
    };
    Section::Table(Table {
        id: "overRuns",
        title: d.over_runs,
        empty: d.never_failed,
        columns: plain(&[
            ("check", d.check, false),
            ("times", d.times_failed, true),
            ("last", d.last_failed, true),
        ]),
        rows: checks.iter().take(MOST).map(row).collect(),
        paging: None,
    })
}

fn damage(visit: &Visit, summary: &Summary) -> Section {
    let (w, d) = (visit.w, visit.w.data());
    let row = |one: &stoke_quality::ledger::DamagedLine| -> Row { vec![count(one.line), Cell::text(&one.why)].into() };
    Section::Table(Table {
        id: "damagedLines",
        title: d.damaged_lines,
        empty: w.nothing_here,
        columns: plain(&[("line", d.damaged_line, true), ("reason", w.reason, false)]),
        rows: summary.damage.named.iter().map(row).collect(),
        paging: None,
    })
}
