//! Objectives: how each stands, its budget with what is known of it, the evidence against it, and what follows. `stoke slo status` prints the same.

use serde_json::json;
use stoke_observe::slo::record::Why;
use stoke_observe::slo::status::{Status, Verdict};

use super::{Missing, Visit, count, is_chosen, note, plain, sort_by};
use crate::address;
use crate::observed::{Objectives, Reading};
use crate::page::{Cell, Facts, Note, Page, Part, Row, Section, State, Table};
use crate::words::observe::ObserveWords;

/// What can be sorted by.
const SORTS: [&str; 7] = ["objective", "job", "service", "events", "bad", "budget", "state"];
/// How often the page is looked at again, in milliseconds.
const AGAIN: u32 = 10_000;
/// Notes that are shown.
const NOTES: usize = 10;

/// How an objective stands, as pages have it.
fn state_of(status: &Status) -> State {
    match (status.paging(), status.verdict) {
        (true, _) => State::Firing,
        (_, Verdict::Kept) => State::Holds,
        (_, Verdict::Broken) => State::Broken,
        (_, Verdict::CannotBeShown | Verdict::NoRuns) => State::Unknown,
    }
}

/// Two digits after the point: the JSON has all of them in `statuses`.
fn percent(share: f64) -> f64 {
    (share * 10_000.0).round() / 100.0
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn between(low: f64, high: f64) -> Cell {
    Cell::Text(format!("{low:.2} – {high:.2}"))
}

/// What a status asks of people.
fn follows(o: &ObserveWords, status: &Status) -> String {
    let mut said = Vec::new();
    if status.overdue_seconds > 0 {
        said.push(o.overdue);
    }
    if status.evidence.iter().any(|reading| reading.paging) {
        said.push(o.pages_now);
    }
    if status.is_ticket() {
        said.push(o.ticket_now);
    }
    said.push(match status.verdict {
        Verdict::Kept => o.kept,
        Verdict::Broken => o.is_broken,
        Verdict::CannotBeShown => o.not_shown,
        Verdict::NoRuns => o.no_runs,
    });
    said.join(", ")
}

/// The meter that is nearest to its threshold, in hundredths.
fn evidence(o: &ObserveWords, status: &Status) -> Cell {
    let nearest = status
        .evidence
        .iter()
        .max_by(|a, b| (a.evidence / a.threshold).total_cmp(&(b.evidence / b.threshold)));
    nearest.map_or(Cell::Nothing, |reading| meter(o, reading.evidence, reading.threshold))
}

fn meter(o: &ObserveWords, evidence: f64, threshold: f64) -> Cell {
    let hundredths = |number: f64| (number * 100.0).round() as i64;
    Cell::Part(Part {
        used: hundredths(evidence),
        total: hundredths(threshold),
        text: o
            .evidence_of
            .replacen("{}", &format!("{evidence:.1}"), 1)
            .replacen("{}", &format!("{threshold:.1}"), 1),
    })
}

/// What is read and when, and what is wrong with that. Nothing to show where it was never read.
pub fn reading<'a, T>(visit: &Visit, reading: &'a Reading<T>, sections: &mut Vec<Section>) -> Option<&'a T> {
    let o = visit.w.observe();
    if let Some(trouble) = &reading.trouble {
        sections.push(Section::Note(Note {
            id: "trouble",
            text: format!("{} {trouble}", o.trouble),
            bad: true,
        }));
    }
    let Some((at, value)) = &reading.last else {
        if reading.trouble.is_none() {
            sections.push(note("none", o.not_read));
        }
        return None;
    };
    sections.push(Section::Facts(Facts {
        id: "reading",
        title: "",
        items: vec![
            ("place", o.read_from, Cell::Code(reading.place.clone())),
            ("at", o.read_at, Cell::Moment(at.as_millisecond())),
        ],
    }));
    Some(&**value)
}

/// The list.
pub fn page(visit: &Visit, objectives: Option<&Reading<Objectives>>) -> Page {
    let (w, o) = (visit.w, visit.w.observe());
    let mut page = Page {
        kind: "objectives",
        title: o.objectives.to_owned(),
        crumbs: vec![(w.applications.to_owned(), format!("{}/", visit.base))],
        ..Page::default()
    };
    let Some(objectives) = objectives else {
        page.sections.push(note("none", o.no_objectives));
        return page;
    };
    page.live = Some(AGAIN);
    let Some(all) = reading(visit, objectives, &mut page.sections) else {
        return page;
    };
    page.sections.push(note("about", o.evidence_about));
    if all.services > 0 {
        page.sections
            .push(note("services", format!("{} {}", o.services_about, all.services)));
    }
    for text in all.notes.iter().take(NOTES) {
        page.sections.push(Section::Note(Note {
            id: "unread",
            text: text.clone(),
            bad: true,
        }));
    }
    table(visit, all, &mut page.sections);
    page.sections.push(Section::whole("statuses", &all.statuses));
    page
}

fn table(visit: &Visit, all: &Objectives, sections: &mut Vec<Section>) {
    let (w, o) = (visit.w, visit.w.observe());
    let text = visit.searched();
    let has = |shown: &str, text: &str| shown.to_lowercase().contains(text);
    let found: Vec<&Status> = all
        .statuses
        .iter()
        .filter(|one| {
            text.as_deref().is_none_or(|text| {
                has(&one.objective, text)
                    || has(&one.service, text)
                    || has(one.job.as_deref().unwrap_or_default(), text)
            })
        })
        .collect();
    let states: Vec<State> = found.iter().map(|one| state_of(one)).collect();
    let mut shown: Vec<&Status> = found
        .into_iter()
        .filter(|one| is_chosen(visit, state_of(one)))
        .collect();
    let (sort, descending) = visit.sort(&SORTS, "state", false);
    let left = |one: &&Status| one.budget.map(|budget| (budget.remaining * 1e6) as i64);
    match sort {
        "objective" => sort_by(&mut shown, descending, |one| one.objective.clone()),
        "job" => sort_by(&mut shown, descending, |one| one.job.clone()),
        "service" => sort_by(&mut shown, descending, |one| one.service.clone()),
        "events" => sort_by(&mut shown, descending, |one| one.events),
        "bad" => sort_by(&mut shown, descending, |one| one.bad),
        "budget" => sort_by(&mut shown, descending, left),
        // What needs someone comes first.
        _ => sort_by(&mut shown, descending, |one| urgency(one)),
    }
    let (paging, range) = visit.page(shown.len());
    let row = |one: &&Status| -> Row {
        let budget = one.budget;
        let of_budget = budget.and_then(|budget| budget.remaining_between);
        vec![
            Cell::Link(
                one.objective.clone(),
                address::objective(&visit.base, &one.objective, one.job.as_deref()),
            ),
            Cell::text(one.job.as_deref().unwrap_or(o.all_jobs)),
            Cell::State(state_of(one)),
            Cell::Text(follows(o, one)),
            evidence(o, one),
            budget.map_or(Cell::Nothing, |budget| Cell::Fraction(percent(budget.remaining))),
            of_budget.map_or(Cell::Nothing, |one| between(percent(one.low), percent(one.high))),
            one.forecast
                .and_then(|forecast| forecast.days)
                .map_or(Cell::Nothing, |days| Cell::Fraction(rounded(days))),
            Cell::Fraction(percent(one.target)),
            Cell::Code(one.measure.to_owned()),
            count(one.events),
            count(one.bad),
            Cell::text(&one.service),
        ]
        .into()
    };
    let columns = [
        ("objective", o.objective, false),
        ("job", o.job, false),
        ("state", w.state, false),
        ("follows", o.what_follows, false),
        ("evidence", o.evidence, false),
        ("budget", o.budget_left, true),
        ("budgetBetween", o.budget_between, true),
        ("forecast", o.forecast, true),
        ("target", o.target, true),
        ("measure", o.measure, false),
        ("events", o.events, true),
        ("bad", o.bad, true),
        ("service", o.service, false),
    ];
    let table = Table {
        id: "objectives",
        title: "",
        empty: if all.statuses.is_empty() {
            o.no_statuses
        } else {
            w.no_match
        },
        columns: visit.columns(&columns, &SORTS, (sort, descending)),
        rows: shown[range].iter().map(row).collect(),
        paging: Some(paging),
    };
    let filter = visit.filter(
        o.search_objectives,
        &[State::Firing, State::Broken, State::Unknown, State::Holds],
        &states,
    );
    sections.extend([Section::Filter(filter), Section::Table(table)]);
}

fn urgency(status: &Status) -> u8 {
    match state_of(status) {
        State::Firing => 0,
        State::Broken => 1,
        _ if status.is_ticket() => 2,
        State::Unknown => 3,
        _ => 4,
    }
}

/// One objective, of one job where each has a record of its own.
///
/// # Errors
/// There is none of that name.
pub fn one(visit: &Visit, objectives: Option<&Reading<Objectives>>) -> Result<Page, Missing> {
    let (w, o) = (visit.w, visit.w.observe());
    let objectives = objectives.ok_or(Missing::NotFound)?;
    let (id, job) = (visit.query.first("id").unwrap_or_default(), visit.query.first("job"));
    let mut page = Page {
        kind: "objective",
        crumbs: vec![
            (w.applications.to_owned(), format!("{}/", visit.base)),
            (o.objectives.to_owned(), format!("{}/objectives/", visit.base)),
        ],
        live: Some(AGAIN),
        ..Page::default()
    };
    let all = reading(visit, objectives, &mut page.sections).ok_or(Missing::NotFound)?;
    let status = all
        .statuses
        .iter()
        .find(|one| one.objective == id && one.job.as_deref() == job)
        .ok_or(Missing::NotFound)?;
    page.title.clone_from(&status.objective);
    page.subtitle = status.job.clone().unwrap_or_default();
    page.state = Some(state_of(status));
    page.sections.push(facts(visit, status));
    page.sections.extend([
        meters(visit, status),
        tails(visit, status),
        whys(visit, status),
        pages(visit, status),
    ]);
    page.sections.push(Section::whole("status", &status));
    Ok(page)
}

fn facts(visit: &Visit, status: &Status) -> Section {
    let o = visit.w.observe();
    let fraction = |number: Option<f64>| number.map_or(Cell::Nothing, Cell::Fraction);
    let budget = status.budget;
    let forecast = status.forecast;
    let days = |days: Option<f64>| days.map(rounded);
    let spread = forecast.and_then(|one| Some((days(one.earliest)?, days(one.latest))));
    let spread = spread.map_or(Cell::Nothing, |(earliest, latest)| match latest {
        Some(latest) => between(earliest, latest),
        None => Cell::Text(format!("{earliest:.2} –")),
    });
    let rate = status.bad_rate_between;
    Section::Facts(Facts {
        id: "objective",
        title: "",
        items: vec![
            ("follows", o.what_follows, Cell::Text(follows(o, status))),
            ("service", o.service, Cell::text(&status.service)),
            ("measure", o.measure, Cell::Code(status.measure.to_owned())),
            ("target", o.target, Cell::Fraction(percent(status.target))),
            ("from", o.window_from, Cell::Moment(status.from)),
            ("until", o.window_until, Cell::Moment(status.until)),
            ("events", o.events, count(status.events)),
            ("bad", o.bad, count(status.bad)),
            ("unknown", o.unknown_runs, count(status.unknown)),
            ("running", o.running_runs, count(status.running)),
            ("runsADay", o.runs_a_day, Cell::Fraction(rounded(status.runs_a_day))),
            ("badRate", o.bad_rate, fraction(status.bad_rate.map(percent))),
            (
                "badRateBetween",
                o.bad_rate_between,
                rate.map_or(Cell::Nothing, |rate| between(percent(rate.low), percent(rate.high))),
            ),
            (
                "budget",
                o.budget_left,
                fraction(budget.map(|budget| percent(budget.remaining))),
            ),
            (
                "budgetBetween",
                o.budget_between,
                budget
                    .and_then(|budget| budget.remaining_between)
                    .map_or(Cell::Nothing, |one| between(percent(one.low), percent(one.high))),
            ),
            (
                "forecast",
                o.forecast,
                fraction(forecast.and_then(|one| days(one.days))),
            ),
            ("forecastBetween", o.forecast_between, spread),
            (
                "needed",
                o.needed,
                status.good_events_needed.map_or(Cell::Nothing, count),
            ),
            (
                "overdue",
                o.overdue_for,
                match status.overdue_seconds {
                    0 => Cell::Nothing,
                    seconds => Cell::Millis(seconds.saturating_mul(1000)),
                },
            ),
        ],
    })
}

fn meters(visit: &Visit, status: &Status) -> Section {
    let o = visit.w.observe();
    let rows = status.evidence.iter().map(|reading| -> Row {
        vec![
            Cell::Code(reading.meter.to_owned()),
            Cell::State(if reading.paging { State::Firing } else { State::Holds }),
            meter(o, reading.evidence, reading.threshold),
            count(reading.bad_runs_to_page),
        ]
        .into()
    });
    Section::Table(Table {
        id: "meters",
        title: o.meters,
        empty: o.no_meters,
        columns: plain(&[
            ("meter", o.meter, false),
            ("state", visit.w.state, false),
            ("evidence", o.evidence, false),
            ("toPage", o.to_page, true),
        ]),
        rows: rows.collect(),
        paging: None,
    })
}

fn tails(visit: &Visit, status: &Status) -> Section {
    let o = visit.w.observe();
    let rows = status.windows.iter().map(|tail| -> Row {
        vec![
            count(tail.days),
            count(tail.events),
            count(tail.bad),
            Cell::Fraction((tail.probability * 1e6).round() / 1e6),
            tail.alarm.map_or(Cell::Nothing, count),
        ]
        .into()
    });
    Section::Table(Table {
        id: "windows",
        title: o.tails,
        empty: visit.w.nothing_here,
        columns: plain(&[
            ("days", o.days, true),
            ("events", o.events, true),
            ("bad", o.bad, true),
            ("probability", o.probability, true),
            ("alarm", o.alarm, true),
        ]),
        rows: rows.collect(),
        paging: None,
    })
}

fn whys(visit: &Visit, status: &Status) -> Section {
    let o = visit.w.observe();
    // As the JSON of the command names them.
    let name = |why: &Why| json!(why).as_str().unwrap_or_default().to_owned();
    let rows = status
        .why
        .iter()
        .map(|(why, times)| -> Row { vec![Cell::Code(name(why)), count(*times)].into() });
    Section::Table(Table {
        id: "why",
        title: o.why_bad,
        empty: o.no_bad,
        columns: plain(&[("why", o.bad_kind, false), ("runs", o.events, true)]),
        rows: rows.collect(),
        paging: None,
    })
}

fn pages(visit: &Visit, status: &Status) -> Section {
    let o = visit.w.observe();
    let rows = status
        .pages
        .iter()
        .rev()
        .map(|page| -> Row { vec![Cell::Moment(page.from), Cell::moment(page.until)].into() });
    Section::Table(Table {
        id: "pages",
        title: o.paged,
        empty: o.never_paged,
        columns: plain(&[("from", visit.w.platform().since, true), ("until", o.until_when, true)]),
        rows: rows.collect(),
        paging: None,
    })
}
