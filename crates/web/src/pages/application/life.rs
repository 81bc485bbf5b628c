//! How an application came to where it is: its life as a line, its steps, attempts and conditions.

use super::Application;
use crate::live::life::{self, Step};
use crate::live::row::{millis, state_of as state_of_phase};
use crate::page::{Cell, Row, Section, Shares, Table};
use crate::pages::{Visit, plain};
use crate::words::Words;

fn step_words(w: &Words, step: Step) -> (&'static str, &'static str) {
    let p = w.platform();
    match step {
        Step::Created => (p.created, p.step_created),
        Step::Submitted => (w.submitted, p.step_submitted),
        Step::Scheduled => (p.driver_scheduled, p.step_scheduled),
        Step::Started => (p.driver_started, p.step_started),
        Step::FirstExecutor => (p.first_executor, p.step_executor),
        Step::Ended => (w.ended, w.ended),
    }
}

pub(super) fn line(app: &Application, steps: &[(Step, i64)], visit: &Visit) -> Section {
    let p = visit.w.platform();
    let spans = life::spans(steps, app.now);
    // Executors of an ended run are gone, and no one knows here when they were.
    let is_known = !app.row.phase.is_terminal() || steps.iter().any(|(step, _)| *step == Step::FirstExecutor);
    let label = |step: Step| match step {
        Step::Started if !is_known => p.step_ran,
        step => step_words(visit.w, step).1,
    };
    let total: i64 = spans.iter().map(|(_, millis)| millis).sum::<i64>().max(1);
    let mut left = 0;
    let parts = spans.iter().map(|(step, millis)| {
        let from = left * 1000 / total;
        left += millis;
        let wide = left * 1000 / total - from;
        (step.name(), label(*step), Cell::Millis(*millis), from, wide)
    });
    Section::Shares(Shares {
        id: "life",
        title: p.life,
        about: p.life_about,
        parts: parts.collect(),
    })
}

pub(super) fn steps_table(steps: &[(Step, i64)], visit: &Visit) -> Section {
    let (w, p) = (visit.w, visit.w.platform());
    let mut rows: Vec<Row> = Vec::new();
    for (place, (step, at)) in steps.iter().enumerate() {
        let since = place.checked_sub(1).map(|before| at - steps[before].1);
        rows.push(
            vec![
                Cell::Text(step_words(w, *step).0.to_owned()),
                Cell::Moment(*at),
                since.map_or(Cell::Nothing, Cell::Millis),
            ]
            .into(),
        );
    }
    Section::Table(Table {
        id: "steps",
        title: p.reached,
        empty: w.nothing_here,
        columns: plain(&[
            ("step", p.step, false),
            ("at", p.when, true),
            ("after", w.duration, true),
        ]),
        rows,
        paging: None,
    })
}

pub(super) fn attempts_table(attempts: &[life::Attempt], visit: &Visit) -> Section {
    let (w, p) = (visit.w, visit.w.platform());
    let row = |attempt: &life::Attempt| -> Row {
        vec![
            Cell::Number(attempt.number),
            Cell::State(state_of_phase(attempt.phase)),
            Cell::Moment(attempt.submitted),
            Cell::moment(attempt.ended),
            Cell::span(Some(attempt.submitted), attempt.ended),
            Cell::text(&attempt.reason),
        ]
        .into()
    };
    Section::Table(Table {
        id: "attempts",
        title: p.attempts_told,
        empty: w.nothing_here,
        columns: plain(&[
            ("attempt", w.attempt, true),
            ("state", w.state, false),
            ("submitted", w.submitted, true),
            ("ended", w.ended, true),
            ("duration", w.duration, true),
            ("reason", w.reason, false),
        ]),
        rows: attempts.iter().map(row).collect(),
        paging: None,
    })
}

pub(super) fn conditions(app: &Application, visit: &Visit) -> Section {
    let (w, p) = (visit.w, visit.w.platform());
    let rows = app.status.conditions.iter().map(|one| -> Row {
        vec![
            Cell::Code(one.type_.clone()),
            Cell::Text(one.status.clone()),
            Cell::text(&one.reason),
            Cell::text(&one.message),
            Cell::Moment(millis(&one.last_transition_time)),
        ]
        .into()
    });
    Section::Table(Table {
        id: "conditions",
        title: p.conditions,
        empty: w.nothing_here,
        columns: plain(&[
            ("type", p.condition, false),
            ("status", p.status, false),
            ("reason", w.reason, false),
            ("message", p.message, false),
            ("since", p.since, true),
        ]),
        rows: rows.collect(),
        paging: None,
    })
}
