//! What fires now, as Alertmanager says it, and the alerts there are.

use std::collections::BTreeMap;

use stoke_observe::pack::alert::{Owner, Severity};
use stoke_observe::pack::alerts;
use stoke_observe::pack::firing::{Firing, Notified};
use stoke_observe::runbook;

use super::objectives::reading;
use super::{Visit, count, note, plain};
use crate::address;
use crate::observed::Reading;
use crate::page::{Cell, Page, Row, Section, State, Table};
use crate::words::observe::ObserveWords;

/// How often the page is looked at again, in milliseconds.
const AGAIN: u32 = 5000;

/// What fires first, then every alert there is.
pub fn page(visit: &Visit, alerts: Option<&Reading<Vec<Firing>>>) -> Page {
    let (w, o) = (visit.w, visit.w.observe());
    let mut page = Page {
        kind: "alerts",
        title: o.alerts.to_owned(),
        crumbs: vec![(w.applications.to_owned(), format!("{}/", visit.base))],
        ..Page::default()
    };
    let all = match alerts {
        Some(alerts) => {
            page.live = Some(AGAIN);
            reading(visit, alerts, &mut page.sections)
        }
        None => {
            page.sections.push(note("none", o.no_alertmanager));
            None
        }
    };
    if let Some(all) = all {
        let arrives = all.iter().any(Firing::is_heartbeat);
        page.sections.push(Section::Note(crate::page::Note {
            id: "heartbeat",
            text: format!(
                "{}: {}",
                o.heartbeat,
                if arrives { o.heartbeat_yes } else { o.heartbeat_no }
            ),
            bad: !arrives,
        }));
        let shown: Vec<&Firing> = all.iter().filter(|one| !one.is_heartbeat()).collect();
        page.sections.push(firing(visit, &shown));
    }
    page.sections.push(pack(visit, all.map(Vec::as_slice)));
    page.sections.push(Section::whole("alerts", &all));
    page
}

/// Where a runbook's page is, where there is one of that name.
pub fn runbook_of(visit: &Visit, name: Option<&str>) -> Option<(String, String)> {
    let book = runbook::find(name?)?;
    Some((book.name.to_owned(), address::runbook(&visit.base, book.name)))
}

fn linked(visit: &Visit, name: Option<&str>) -> Cell {
    match runbook_of(visit, name) {
        Some((name, to)) => Cell::Link(name, to),
        None => Cell::text(name.unwrap_or_default()),
    }
}

fn standing(o: &ObserveWords, alert: &Firing) -> Cell {
    match alert.notified {
        Notified::Yes => Cell::State(State::Firing),
        Notified::Silenced => Cell::text(o.silenced),
        Notified::Inhibited => Cell::text(o.inhibited),
        Notified::NotYet => Cell::text(o.not_yet),
    }
}

/// What an alert is about, in one line.
pub fn of_what(alert: &Firing) -> String {
    let pairs = alert.labels.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(" ")
}

/// The place of an alert within the page.
pub fn anchor(alert: &Firing) -> String {
    let plain = alert.fingerprint.chars().filter(char::is_ascii_alphanumeric);
    format!("alert-{}", plain.collect::<String>())
}

fn firing(visit: &Visit, shown: &[&Firing]) -> Section {
    let (w, o) = (visit.w, visit.w.observe());
    let (paging, range) = visit.page(shown.len());
    let row = |alert: &&Firing| Row {
        anchor: Some(anchor(alert)),
        cells: vec![
            Cell::text(&alert.name),
            Cell::Code(alert.severity.clone()),
            standing(o, alert),
            Cell::text(alert.team.as_deref().unwrap_or_default()),
            Cell::Code(of_what(alert)),
            Cell::text(&alert.summary),
            Cell::Moment(alert.since.as_millisecond()),
            linked(visit, alert.runbook.as_deref()),
            Cell::text(&alert.description),
        ],
    };
    Section::Table(Table {
        id: "firing",
        title: o.fires_now,
        empty: o.nothing_fires,
        columns: plain(&[
            ("alert", o.alert, false),
            ("severity", o.severity, false),
            ("state", w.state, false),
            ("team", o.owner, false),
            ("labels", o.of_what, false),
            ("summary", o.summary, false),
            ("since", w.platform().since, true),
            ("runbook", o.runbook, false),
            ("description", w.description, false),
        ]),
        rows: shown[range].iter().map(row).collect(),
        paging: Some(paging),
    })
}

/// The alerts of the pack, with how many of each fire; nothing is said of that where it is not known.
fn pack(visit: &Visit, firing: Option<&[Firing]>) -> Section {
    let o = visit.w.observe();
    let mut fires: BTreeMap<&str, i64> = BTreeMap::new();
    for alert in firing.into_iter().flatten() {
        *fires.entry(alert.name.as_str()).or_default() += 1;
    }
    let row = |alert: &stoke_observe::pack::alert::Alert| -> Row {
        let times = firing.map(|_| fires.get(alert.name).copied().unwrap_or_default());
        vec![
            Cell::text(alert.name),
            Cell::Code(alert.severity.label().to_owned()),
            Cell::text(match alert.owner {
                Owner::Job => o.owner_job,
                Owner::Platform => o.owner_platform,
            }),
            times.map_or(Cell::Nothing, count),
            linked(visit, Some(alert.runbook)),
            Cell::text(alert.description),
        ]
        .into()
    };
    let mut all: Vec<&stoke_observe::pack::alert::Alert> = alerts::all().collect();
    let rank = |severity: Severity| Severity::ALL.iter().position(|one| *one == severity);
    all.sort_by_key(|alert| (rank(alert.severity), alert.name));
    Section::Table(Table {
        id: "pack",
        title: o.pack,
        empty: visit.w.nothing_here,
        columns: plain(&[
            ("alert", o.alert, false),
            ("severity", o.severity, false),
            ("owner", o.owner, false),
            ("fires", o.rule_fires, true),
            ("runbook", o.runbook, false),
            ("description", visit.w.description, false),
        ]),
        rows: all.into_iter().map(row).collect(),
        paging: None,
    })
}
