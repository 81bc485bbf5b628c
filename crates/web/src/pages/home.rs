//! The list of applications.

use std::collections::HashMap;

use stoke_history::listing::{Attempt, Listed};
use stoke_quality::ledger::Summary;

use super::{Visit, attention, is_chosen, sort_by, state_of};
use crate::address::Place;
use crate::observed::Observed;
use crate::page::{Cell, Page, Row, Section, State, Table};

/// What can be sorted by.
const SORTS: [&str; 8] = ["name", "id", "user", "version", "started", "ended", "duration", "state"];
/// Runs of the same name that make a usual one.
const ENOUGH: usize = 3;
/// How often the page is looked at again, in milliseconds.
const AGAIN: u32 = 5000;

/// What an application cost.
pub type CostOf<'a> = dyn Fn(&Listed) -> Cell + 'a;

/// The page. Only the rows that are shown are made. What applications cost is a column where there are prices.
pub fn page(
    visit: &Visit,
    listed: &[Listed],
    data: &[Summary],
    observed: &Observed,
    cost: Option<&CostOf<'_>>,
    now: i64,
) -> Page {
    let w = visit.w;
    let text = visit.searched();
    let newest: Vec<(&Listed, &Attempt)> = listed
        .iter()
        .filter_map(|one| Some((one, one.attempts.first()?)))
        .collect();
    let matches = |(one, attempt): &&(&Listed, &Attempt)| {
        let has = |shown: &str, text: &str| shown.to_lowercase().contains(text);
        text.as_deref().is_none_or(|text| {
            has(&one.name, text) || has(&one.id, text) || has(&attempt.user, text) || has(&attempt.spark_version, text)
        })
    };
    let found: Vec<&(&Listed, &Attempt)> = newest.iter().filter(matches).collect();
    let states: Vec<State> = found.iter().map(|(_, attempt)| state_of(attempt)).collect();
    let mut rows: Vec<&(&Listed, &Attempt)> = found
        .into_iter()
        .filter(|(_, attempt)| is_chosen(visit, state_of(attempt)))
        .collect();
    let (sort, descending) = visit.sort(&SORTS, "started", true);
    match sort {
        "name" => sort_by(&mut rows, descending, |(one, _)| one.name.to_lowercase()),
        "id" => sort_by(&mut rows, descending, |(one, _)| one.id.clone()),
        "user" => sort_by(&mut rows, descending, |(_, attempt)| attempt.user.clone()),
        "version" => sort_by(&mut rows, descending, |(_, attempt)| attempt.spark_version.clone()),
        "ended" => sort_by(&mut rows, descending, |(_, attempt)| attempt.end),
        "duration" => sort_by(&mut rows, descending, |(_, attempt)| lasted(attempt, now)),
        "state" => sort_by(&mut rows, descending, |(_, attempt)| state_of(attempt).name()),
        _ => sort_by(&mut rows, descending, |(_, attempt)| attempt.start),
    }
    let (paging, range) = visit.page(rows.len());
    let shown = &rows[range];
    let usual = usual(shown, listed);
    let mut columns = vec![
        ("name", w.name, false),
        ("state", w.state, false),
        ("started", w.started, true),
        ("duration", w.duration, true),
        ("usual", w.against_usual, true),
        ("user", w.user, false),
        ("version", w.version, false),
        ("attempts", w.attempts, true),
        ("id", w.id, false),
    ];
    if cost.is_some() {
        columns.insert(5, ("cost", w.cost, true));
    }
    let row = |(one, attempt): &&(&Listed, &Attempt)| -> Row {
        let place = Place {
            base: visit.base.clone(),
            id: one.id.clone(),
            attempt: attempt.id.clone(),
        };
        let lasted = lasted(attempt, now);
        let against = usual
            .get(one.name.as_str())
            .filter(|usual| **usual > 0 && attempt.completed);
        let mut cells = vec![
            Cell::Link(one.name.clone(), place.to("")),
            Cell::State(state_of(attempt)),
            Cell::Moment(attempt.start),
            Cell::Millis(lasted),
            against.map_or(Cell::Nothing, |usual| Cell::Times(round(lasted as f64 / *usual as f64))),
            Cell::text(&attempt.user),
            Cell::text(&attempt.spark_version),
            Cell::Count(i64::try_from(one.attempts.len()).unwrap_or(0)),
            Cell::Code(one.id.clone()),
        ];
        if let Some(cost) = cost {
            cells.insert(5, cost(one));
        }
        cells.into()
    };
    let table = Table {
        id: "applications",
        title: "",
        empty: if listed.is_empty() {
            w.no_applications
        } else {
            w.no_match
        },
        columns: visit.columns(&columns, &SORTS, (sort, descending)),
        rows: shown.iter().map(row).collect(),
        paging: Some(paging),
    };
    let filter = visit.filter(
        w.search_applications,
        &[State::Running, State::Failed, State::Succeeded, State::Ended],
        &states,
    );
    Page {
        kind: "home",
        title: w.applications.to_owned(),
        rest: Some(format!("{}/api/v1/applications", visit.base)),
        live: Some(AGAIN),
        sections: attention::without_cluster(visit, data, observed)
            .into_iter()
            .chain([Section::Filter(filter), Section::Table(table)])
            .collect(),
        ..Page::default()
    }
}

/// How long an attempt has run.
pub(super) fn lasted(attempt: &Attempt, now: i64) -> i64 {
    match attempt.completed {
        true => attempt.duration,
        false => now.saturating_sub(attempt.start).max(0),
    }
}

/// The median duration of ended runs with the names that are shown, where there are enough of them.
pub(super) fn usual<'a>(shown: &[&(&'a Listed, &Attempt)], listed: &'a [Listed]) -> HashMap<&'a str, i64> {
    let mut durations: HashMap<&str, Vec<i64>> = shown.iter().map(|(one, _)| (one.name.as_str(), Vec::new())).collect();
    for one in listed {
        if let Some(known) = durations.get_mut(one.name.as_str()) {
            known.extend(
                one.attempts
                    .first()
                    .filter(|attempt| attempt.completed)
                    .map(|attempt| attempt.duration),
            );
        }
    }
    let medians = durations
        .into_iter()
        .filter(|(_, known)| known.len() >= ENOUGH)
        .map(|(name, mut known)| {
            known.sort_unstable();
            (name, known[known.len() / 2])
        });
    medians.collect()
}

/// Two digits are enough to compare.
fn round(times: f64) -> f64 {
    (times * 10.0).round() / 10.0
}
