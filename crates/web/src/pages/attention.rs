//! What needs someone first: applications of a cluster, and contracts that are broken, whose data are stale or whose verdicts cannot be read.

use stoke_quality::ledger::{Standing, Summary};

use super::{Visit, plain};
use crate::address;
use crate::live::row::{Need, Row as Live, in_need};
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
pub fn of_cluster(visit: &Visit, rows: &[Live], data: &[Summary], now: i64) -> Section {
    let found = in_need(rows, now);
    let of_applications = found
        .iter()
        .take(URGENT)
        .map(|(row, need)| of_application(visit, row, *need));
    table(visit, of_applications.chain(contracts(visit, data)).collect())
}

/// Of contracts alone; nothing where none needs anyone.
pub fn of_data(visit: &Visit, data: &[Summary]) -> Option<Section> {
    let rows: Vec<Row> = contracts(visit, data).collect();
    (!rows.is_empty()).then(|| table(visit, rows))
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
