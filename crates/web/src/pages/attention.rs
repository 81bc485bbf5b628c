//! What needs someone first: what fires, incidents that are open, applications of a cluster, and contracts that are broken, whose data are stale or
//! whose verdicts cannot be read.

use stoke_observe::pack::firing::Firing;
use stoke_observe::slo::status::Status;
use stoke_quality::ledger::{Standing, Summary};

use super::alerts::{anchor, of_what, runbook_of};
use super::{Visit, plain};
use crate::address;
use crate::live::row::{Need, Row as Live, in_need};
use crate::observed::{Observed, Story};
use crate::page::{Cell, Row, Section, Table};
use crate::words::data::DataWords;
use crate::words::platform::Phrases;

/// Rows of applications, and as many of contracts.
const URGENT: usize = 20;

fn of_need(p: &Phrases, need: Need) -> (&'static str, &'static str) {
    match need {
        Need::Failed => (p.need_failed, p.do_failed),
        Need::Stuck => (p.need_stuck, p.do_stuck),
        Need::Refused => (p.need_refused, p.do_refused),
        Need::Untaken => (p.need_untaken, p.do_untaken),
        Need::Waits => (p.need_waits, p.do_waits),
        Need::Alone => (p.need_alone, p.do_alone),
    }
}

fn of_standing(d: &DataWords, standing: Standing) -> Option<(&'static str, &'static str)> {
    match standing {
        Standing::Holds => None,
        Standing::Stale => Some((d.need_stale, d.do_stale)),
        Standing::Broken => Some((d.need_broken, d.do_broken)),
        Standing::Unknown => Some((d.need_unknown, d.do_unknown)),
    }
}

/// Of a cluster, also when nothing needs anyone.
pub fn of_cluster(visit: &Visit, rows: &[Live], data: &[Summary], observed: Option<&Observed>, now: i64) -> Section {
    let found = in_need(rows, now);
    let of_applications = found
        .iter()
        .take(URGENT)
        .map(|(row, need)| of_application(visit, row, *need));
    let watched = observed.into_iter().flat_map(|observed| watched(visit, observed));
    table(
        visit,
        watched.chain(of_applications).chain(contracts(visit, data)).collect(),
    )
}

/// Of what is watched and of contracts alone; nothing where none needs anyone.
pub fn without_cluster(visit: &Visit, data: &[Summary], observed: &Observed) -> Option<Section> {
    let rows: Vec<Row> = watched(visit, observed)
        .into_iter()
        .chain(contracts(visit, data))
        .collect();
    (!rows.is_empty()).then(|| table(visit, rows))
}

/// Alerts that fire, objectives that page, incidents that are open.
fn watched(visit: &Visit, observed: &Observed) -> Vec<Row> {
    let o = visit.w.observe();
    let alert = |alert: &Firing| -> Row {
        let here = format!("{}/alerts/#{}", visit.base, anchor(alert));
        let (what, to) = match runbook_of(visit, alert.runbook.as_deref()) {
            Some((name, to)) => (format!("{}: {name}", o.do_alert), to),
            None => (o.do_alert_look.to_owned(), here.clone()),
        };
        let namespace = alert.labels.get("namespace").map(String::as_str).unwrap_or_default();
        let says = match alert.summary.as_str() {
            "" => of_what(alert),
            summary => summary.to_owned(),
        };
        vec![
            Cell::Link(alert.name.clone(), here),
            Cell::text(namespace),
            Cell::Code(alert.severity.clone()),
            Cell::Text(format!("{}: {says}", o.need_alert)),
            Cell::Moment(alert.since.as_millisecond()),
            Cell::Link(what, to),
        ]
        .into()
    };
    let objective = |status: &Status| -> Row {
        let to = address::objective(&visit.base, &status.objective, status.job.as_deref());
        let why = if status.overdue_seconds > 0 {
            o.overdue
        } else {
            o.need_objective
        };
        let since = status
            .pages
            .last()
            .filter(|page| page.until.is_none())
            .map(|page| page.from);
        vec![
            Cell::Link(status.title(), to.clone()),
            Cell::text(&status.service),
            Cell::Code("objective".to_owned()),
            Cell::text(why),
            Cell::moment(since),
            Cell::Link(o.do_objective.to_owned(), to),
        ]
        .into()
    };
    let incident = |story: &Story| -> Option<Row> {
        let opening = story.incident.opening()?;
        let to = address::incident(&visit.base, opening.incident);
        let cells = vec![
            Cell::Link(opening.title.to_owned(), to.clone()),
            Cell::text(opening.namespace),
            Cell::Code("incident".to_owned()),
            Cell::text(o.need_incident),
            Cell::Moment(opening.time.as_millisecond()),
            Cell::Link(o.do_incident.to_owned(), to),
        ];
        Some(cells.into())
    };
    let alerts = observed.firing().take(URGENT).map(alert);
    let objectives = observed.paging().take(URGENT).map(objective);
    let incidents = observed.open().take(URGENT).filter_map(incident);
    alerts.chain(objectives).chain(incidents).collect()
}

fn of_application(visit: &Visit, row: &Live, need: Need) -> Row {
    let (what, advice) = of_need(visit.w.platform(), need);
    let to = |page: &str| address::application(&visit.base, &row.namespace, &row.name, page);
    let reason = row
        .waits
        .as_deref()
        .filter(|reason| need != Need::Failed && !row.message.starts_with(reason));
    let why = [
        Some(what),
        reason,
        Some(row.message.as_str()).filter(|text| !text.is_empty()),
    ];
    let why: Vec<&str> = why.into_iter().flatten().collect();
    vec![
        Cell::Link(row.name.clone(), to("")),
        Cell::Text(row.namespace.clone()),
        Cell::Code(need.name().to_owned()),
        Cell::Text(why.join(": ")),
        Cell::Moment(row.since),
        Cell::Link(advice.to_owned(), to(if need == Need::Failed { "log/" } else { "" })),
    ]
    .into()
}

fn contracts<'a>(visit: &'a Visit, data: &'a [Summary]) -> impl Iterator<Item = Row> + 'a {
    let row = move |one: &Summary| -> Option<Row> {
        let (what, advice) = of_standing(visit.w.data(), one.standing)?;
        let to = address::contract(&visit.base, &one.id);
        let cells = vec![
            Cell::Link(one.name.clone(), to.clone()),
            Cell::text(&one.folder),
            Cell::Code(one.standing.name().to_owned()),
            Cell::Text(format!("{what}: {}", one.why)),
            Cell::moment(one.since.map(|since| since.as_millisecond())),
            Cell::Link(advice.to_owned(), to),
        ];
        Some(cells.into())
    };
    data.iter().filter_map(row).take(URGENT)
}

fn table(visit: &Visit, rows: Vec<Row>) -> Section {
    let (w, p) = (visit.w, visit.w.platform());
    Section::Table(Table {
        id: "attention",
        title: p.attention,
        empty: p.attention_none,
        columns: plain(&[
            ("name", w.name, false),
            ("namespace", p.namespace, false),
            ("need", w.state, false),
            ("why", p.why, false),
            ("since", p.since, true),
            ("fix", p.what_to_do, false),
        ]),
        rows,
        paging: None,
    })
}
