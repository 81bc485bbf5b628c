//! What runs cost: by a label, by application and by day, and one run by what it was for. `stoke cost` says the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoke_insight::cost::showback::{self, Group, Report};
use stoke_insight::cost::{Amounts, Bill, Part, Prices};
use stoke_insight::facts::Run;

use super::{App, Visit, count, note, plain};
use crate::bills::Counted;
use crate::page::{Cell, Field, Form, Input, Note, Page, Row, Section, Shares, Table};
use crate::picture::chart::{Axis, Chart};
use crate::picture::treemap::{Treemap, WHOLE, below_a_name, block, divide};

/// Groups with a colour of their own; further ones share one.
const COLOURS: [&str; 8] = ["area0", "area1", "area2", "area3", "area4", "area5", "area6", "area7"];
/// Boxes beside each other, at most.
const BOXES: usize = 24;
/// Rows of the parts of one run.
const MOST_PARTS: usize = 100;

/// What an amount was for, as pages put it together: its name in the JSON and in the style, and the names of a bill.
const USES: [(&str, &[&str]); 5] = [
    ("work", &["work"]),
    ("idle", &["idle", "start-up", "unused"]),
    ("tail", &["tail"]),
    (
        "lost",
        &["failed tasks", "killed tasks", "speculation", "unfinished tasks"],
    ),
    ("driver", &["driver"]),
];

/// How much it is: money where there are prices, else the time of cores.
fn weight(amounts: &Amounts, priced: bool) -> f64 {
    match priced {
        true => amounts.cost.nanos() as f64,
        false => amounts.millicore_milliseconds as f64,
    }
}

fn core_time(amounts: &Amounts) -> Cell {
    Cell::Cores(i64::try_from(amounts.millicore_milliseconds / 1000).unwrap_or(i64::MAX))
}

fn memory(amounts: &Amounts) -> Cell {
    count(amounts.gib_seconds())
}

/// Money in a currency, or the time of cores where there is none.
pub(super) fn amount(amounts: &Amounts, currency: Option<&str>) -> Cell {
    let Some(currency) = currency else {
        return core_time(amounts);
    };
    let digits = if amounts.cost.nanos().abs() < 1_000_000_000 {
        4
    } else {
        2
    };
    Cell::Money(
        format!("{} {currency}", amounts.cost.rounded(digits)),
        amounts.cost.to_string(),
    )
}

/// What all attempts of an application cost together, where all are counted; nothing where one is not, or there are no prices.
pub fn of_bills(all: &[Arc<Vec<Bill>>]) -> Cell {
    let bills = || all.iter().flat_map(|daily| daily.iter());
    let currency = bills().find_map(|bill| bill.currency.as_deref());
    let total: Amounts = bills().map(|bill| bill.total).sum();
    currency.map_or(Cell::Nothing, |currency| amount(&total, Some(currency)))
}

/// The sum of the parts of a bill that are for something.
fn for_use(parts: &[Part], names: &[&str]) -> Amounts {
    let named = parts.iter().filter(|part| names.contains(&part.name.as_str()));
    named.map(|part| part.amounts).sum()
}

fn use_names(visit: &Visit) -> [&'static str; 5] {
    let w = visit.w;
    [w.use_work, w.idle, w.use_tail, w.use_lost, w.use_driver]
}

/// The label by which runs are put together.
pub fn label_of(visit: &Visit) -> &str {
    let by = visit.query.first("by").map(str::trim).unwrap_or_default();
    if by.is_empty() { "team" } else { by }
}

/// A day of the address, where it is one: `2026-01-31`.
pub fn day_of<'a>(visit: &'a Visit, name: &str) -> Option<&'a str> {
    let text = visit.query.first(name)?;
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts[..] {
        [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => Some(text),
        _ => None,
    }
}

/// The page of all runs.
pub fn page(visit: &Visit, counted: &Counted) -> Page {
    let w = visit.w;
    let mut page = Page {
        kind: "costs",
        title: w.cost.to_owned(),
        crumbs: vec![(w.applications.to_owned(), format!("{}/", visit.base))],
        ..Page::default()
    };
    page.sections.push(Section::Form(form(visit)));
    let by = label_of(visit);
    let (since, until) = (day_of(visit, "since"), day_of(visit, "until"));
    let team = visit.query.first("team").filter(|team| !team.is_empty());
    // A window of whole days cuts no bill of a day.
    let bills: Vec<Bill> = counted
        .runs
        .iter()
        .flat_map(|daily| daily.iter())
        .filter(|bill| {
            let day = day(bill.period.from);
            since.is_none_or(|since| *day >= *since) && until.is_none_or(|until| *day < *until)
        })
        .filter(|bill| team.is_none_or(|team| showback::label(bill, by) == Some(team)))
        .cloned()
        .collect();
    let reports = showback::by_label(&bills, by);
    if counted.left > 0 {
        let text = w.not_counted_yet.replacen("{}", &counted.left.to_string(), 1);
        page.sections.push(Section::Note(Note {
            id: "left",
            text,
            bad: true,
        }));
    }
    if !counted.failed.is_empty() {
        page.sections.push(Section::Table(failed(visit, counted)));
    }
    if reports.is_empty() {
        page.sections.push(note("none", w.no_costs));
    }
    for report in &reports {
        let of = |bill: &&Bill| bill.currency == report.currency;
        let bills: Vec<&Bill> = bills.iter().filter(of).collect();
        page.sections.push(Section::Chart(areas(visit, report)));
        page.sections.push(Section::Table(groups(visit, report)));
        page.sections.push(Section::Treemap(map(visit, &bills, by)));
        page.sections.push(Section::Table(applications(visit, &bills, by)));
    }
    if reports.iter().any(|report| report.currency.is_none()) {
        page.sections.push(note("prices", w.no_prices));
    }
    page.sections.push(Section::whole("reports", &reports));
    page.sections.push(Section::whole("complete", &(counted.left == 0)));
    page
}

/// The day (of UTC) of a moment.
fn day(millis: i64) -> String {
    crate::words::iso(&millis).chars().take(10).collect()
}

fn form(visit: &Visit) -> Form {
    let w = visit.w;
    let text = |name: &str| visit.query.first(name).unwrap_or_default().to_owned();
    let field = |name: &'static str, label: &'static str, value: String, kind: Input| Field {
        name,
        label,
        value,
        kind,
    };
    Form {
        action: visit.here.path().to_owned(),
        fields: vec![
            field("by", w.by_label, label_of(visit).to_owned(), Input::Text(Vec::new())),
            field("team", w.its_value, text("team"), Input::Text(Vec::new())),
            field("since", w.since, text("since"), Input::Date),
            field("until", w.until, text("until"), Input::Date),
        ],
        kept: visit.here.without(&["by", "team", "since", "until"]),
        button: w.show,
        ..Form::default()
    }
}

fn failed(visit: &Visit, counted: &Counted) -> Table {
    let w = visit.w;
    let row = |(log, why): &(String, String)| -> Row { vec![Cell::Code(log.clone()), Cell::text(why)].into() };
    Table {
        id: "failed",
        title: w.not_counted,
        empty: w.nothing_here,
        columns: plain(&[("log", w.log, false), ("reason", w.reason, false)]),
        rows: counted.failed.iter().take(MOST_PARTS).map(row).collect(),
        paging: None,
    }
}

/// Days and groups as areas on each other.
fn areas(visit: &Visit, report: &Report) -> Chart {
    let w = visit.w;
    let priced = report.currency.is_some();
    let mut days: Vec<&str> = report.groups.iter().map(|group| group.day.as_str()).collect();
    days.sort_unstable();
    days.dedup();
    let mut sums: BTreeMap<Option<&str>, f64> = BTreeMap::new();
    for group in &report.groups {
        *sums.entry(group.value.as_deref()).or_default() += weight(&group.amounts, priced);
    }
    let mut ranked: Vec<(Option<&str>, f64)> = sums.into_iter().collect();
    ranked.sort_by(|one, other| other.1.total_cmp(&one.1));
    let own = ranked.len().min(COLOURS.len() - 1);
    let place = |value: Option<&str>| {
        ranked
            .iter()
            .position(|(known, _)| *known == value)
            .unwrap_or(0)
            .min(own)
    };
    let layers = if ranked.len() > own { own + 1 } else { own };
    let mut heights = vec![vec![0.0; days.len()]; layers];
    for group in &report.groups {
        let at = days.binary_search(&group.day.as_str()).unwrap_or(0);
        heights[place(group.value.as_deref())][at] += weight(&group.amounts, priced);
    }
    let whole: Vec<f64> = (0..days.len())
        .map(|day| heights.iter().map(|layer| layer[day]).sum())
        .collect();
    let across = Axis {
        from: 0.0,
        until: days.len().max(1) as f64,
        factors: false,
    };
    let mut chart = Chart::new(w.by_day, w.by_day_about, across, Axis::up_to(whole.iter().copied()));
    let currency = report.currency.as_deref();
    chart.label_beside(|height| match currency {
        Some(currency) => format!("{} {currency}", w.fraction(&(height / 1e9))),
        None => w.core_time(&((height / 1000.0) as i64)),
    });
    let every = days.len().div_ceil(8).max(1);
    let marks = days.iter().enumerate().step_by(every);
    chart.label_below(marks.map(|(place, day)| (place as f64 + 0.5, (*day).to_owned())));
    // A day is as wide as another: a step for each.
    let steps = |tops: &[f64]| -> Vec<(f64, f64)> {
        tops.iter()
            .enumerate()
            .flat_map(|(day, top)| [(day as f64, *top), (day as f64 + 1.0, *top)])
            .collect()
    };
    let mut below = vec![0.0; days.len()];
    for (place, layer) in heights.iter().enumerate() {
        let above: Vec<f64> = below.iter().zip(layer).map(|(below, here)| below + here).collect();
        chart.band(COLOURS[place], &steps(&below), &steps(&above));
        let name = match ranked.get(place) {
            Some((value, _)) if place < own => value.unwrap_or(w.no_label).to_owned(),
            _ => w.others.to_owned(),
        };
        chart.legend.push((COLOURS[place], name));
        below = above;
    }
    chart
}

fn groups(visit: &Visit, report: &Report) -> Table {
    let w = visit.w;
    let currency = report.currency.as_deref();
    let row = |group: &Group| -> Row {
        vec![
            Cell::text(group.value.as_deref().unwrap_or(w.no_label)),
            Cell::Text(group.day.clone()),
            count(group.runs),
            amount(&group.amounts, currency),
            core_time(&group.amounts),
            memory(&group.amounts),
        ]
        .into()
    };
    let whole = vec![
        Cell::Text(w.in_all.to_owned()),
        Cell::Nothing,
        Cell::Nothing,
        amount(&report.total, currency),
        core_time(&report.total),
        memory(&report.total),
    ];
    let (paging, range) = visit.page(report.groups.len());
    let rows = report.groups[range].iter().map(row);
    Table {
        id: "groups",
        title: w.by_day,
        empty: w.nothing_here,
        columns: plain(&[
            ("value", w.group, false),
            ("day", w.day, false),
            ("runs", w.runs, true),
            ("cost", w.cost, true),
            ("coreTime", w.held, true),
            ("gibSeconds", w.gib_seconds, true),
        ]),
        rows: rows.chain([whole.into()]).collect(),
        paging: Some(paging),
    }
}

/// What the runs of one name and label were for, in the order of [`USES`], and how many there were.
#[derive(Default)]
struct Sum {
    uses: [Amounts; 5],
    total: Amounts,
    runs: std::collections::BTreeSet<String>,
}

/// Sums by label and name; the greatest first.
fn sums(bills: &[&Bill], by: &str, no_label: &str) -> Vec<(String, Vec<(String, Sum)>)> {
    let priced = bills.iter().any(|bill| bill.currency.is_some());
    let mut sums: BTreeMap<String, BTreeMap<String, Sum>> = BTreeMap::new();
    for bill in bills {
        let label = showback::label(bill, by).unwrap_or(no_label).to_owned();
        let sum = sums.entry(label).or_default().entry(bill.name.clone()).or_default();
        for (place, (_, names)) in USES.iter().enumerate() {
            sum.uses[place] += for_use(&bill.uses, names);
        }
        sum.total += bill.total;
        sum.runs.insert(bill.application.clone());
    }
    let whole = |all: &[(String, Sum)]| all.iter().map(|(_, sum)| weight(&sum.total, priced)).sum::<f64>();
    let mut all: Vec<(String, Vec<(String, Sum)>)> = sums
        .into_iter()
        .map(|(label, names)| {
            let mut names: Vec<(String, Sum)> = names.into_iter().collect();
            names.sort_by(|one, other| weight(&other.1.total, priced).total_cmp(&weight(&one.1.total, priced)));
            (label, names)
        })
        .collect();
    all.sort_by(|one, other| whole(&other.1).total_cmp(&whole(&one.1)));
    all
}

/// Labels around applications around what they were for.
fn map(visit: &Visit, bills: &[&Bill], by: &str) -> Treemap {
    let w = visit.w;
    let priced = bills.iter().any(|bill| bill.currency.is_some());
    let currency = bills.iter().find_map(|bill| bill.currency.as_deref());
    let shown = |amounts: &Amounts| match amount(amounts, currency) {
        Cell::Money(shown, _) => shown,
        Cell::Cores(millis) => w.core_time(&millis),
        _ => String::new(),
    };
    let all = sums(bills, by, w.no_label);
    let mut boxes = Vec::new();
    let whole = |names: &[(String, Sum)]| names.iter().map(|(_, sum)| sum.total).sum::<Amounts>();
    let labels: Vec<&(String, Vec<(String, Sum)>)> = all.iter().take(BOXES).collect();
    let weights: Vec<f64> = labels.iter().map(|(_, names)| weight(&whole(names), priced)).collect();
    for ((label, names), area) in labels.iter().zip(divide(&weights, WHOLE)) {
        let title = format!("{label}: {}", shown(&whole(names)));
        boxes.extend(block(area, "box label", &[&title, label], title.clone()));
        let names: Vec<&(String, Sum)> = names.iter().take(BOXES).collect();
        let weights: Vec<f64> = names.iter().map(|(_, sum)| weight(&sum.total, priced)).collect();
        for ((name, sum), area) in names.iter().zip(divide(&weights, below_a_name(area))) {
            let title = format!("{name}: {}", shown(&sum.total));
            boxes.extend(block(area, "box name", &[&title, name], title.clone()));
            let weights: Vec<f64> = sum.uses.iter().map(|amounts| weight(amounts, priced)).collect();
            let mut order: Vec<usize> = (0..USES.len()).filter(|place| weights[*place] > 0.0).collect();
            order.sort_by(|one, other| weights[*other].total_cmp(&weights[*one]));
            let weights: Vec<f64> = order.iter().map(|place| weights[*place]).collect();
            for (place, area) in order.into_iter().zip(divide(&weights, below_a_name(area))) {
                let word = use_names(visit)[place];
                let title = format!("{name}: {word}: {}", shown(&sum.uses[place]));
                boxes.extend(block(area, USES[place].0, &[word], title));
            }
        }
    }
    let legend = USES
        .iter()
        .zip(use_names(visit))
        .map(|((class, _), word)| (*class, word.to_owned()));
    Treemap {
        title: w.by_application,
        about: w.by_application_about,
        boxes,
        legend: legend.collect(),
    }
}

fn applications(visit: &Visit, bills: &[&Bill], by: &str) -> Table {
    let w = visit.w;
    let currency = bills.iter().find_map(|bill| bill.currency.as_deref());
    let all = sums(bills, by, w.no_label);
    let rows: Vec<Row> = all
        .iter()
        .flat_map(|(label, names)| names.iter().map(move |(name, sum)| (label, name, sum)))
        .map(|(label, name, sum)| {
            let to = format!("{}/?q={}", visit.base, crate::address::part(name));
            let mut cells = vec![
                Cell::text(label),
                Cell::Link(name.clone(), to),
                count(sum.runs.len()),
                amount(&sum.total, currency),
            ];
            cells.extend(sum.uses.iter().map(|amounts| amount(amounts, currency)));
            cells.into()
        })
        .take(super::MOST_ROWS)
        .collect();
    let [work, idle, tail, lost, driver] = use_names(visit);
    Table {
        id: "applications",
        title: w.by_application,
        empty: w.nothing_here,
        columns: plain(&[
            ("value", w.group, false),
            ("name", w.name, false),
            ("runs", w.runs, true),
            ("cost", w.cost, true),
            ("work", work, true),
            ("idle", idle, true),
            ("tail", tail, true),
            ("lost", lost, true),
            ("driver", driver, true),
        ]),
        rows,
        paging: None,
    }
}

/// The page of one run.
pub fn one(app: &App, visit: &Visit, run: &Run, prices: Option<&Prices>) -> Page {
    let w = visit.w;
    let mut page = app.page(visit, "cost", "cost/", w.cost.to_owned(), None);
    let bill = match stoke_insight::cost::of(run, None, prices) {
        Ok(bill) => bill,
        Err(error) => {
            page.sections.push(Section::Note(Note {
                id: "bill",
                text: error.to_string(),
                bad: true,
            }));
            return page;
        }
    };
    let currency = bill.currency.as_deref();
    let total = weight(&bill.total, currency.is_some()).max(1.0);
    let mut left = 0;
    let mut parts: Vec<_> = USES
        .iter()
        .zip(use_names(visit))
        .map(|((id, names), label)| {
            let amounts = for_use(&bill.uses, names);
            let wide = (weight(&amounts, currency.is_some()) / total * 1000.0) as i64;
            let part = (*id, label, amount(&amounts, currency), left, wide);
            left += wide;
            part
        })
        .collect();
    parts.push(("held", w.in_all, amount(&bill.total, currency), 0, 0));
    page.sections.push(Section::Shares(Shares {
        id: "uses",
        title: w.what_for,
        about: w.what_for_about,
        parts,
    }));
    let part = |name: Cell, amounts: &Amounts| -> Row {
        vec![name, amount(amounts, currency), core_time(amounts), memory(amounts)].into()
    };
    let columns = |first: &'static str| {
        plain(&[
            ("name", first, false),
            ("cost", w.cost, true),
            ("coreTime", w.held, true),
            ("gibSeconds", w.gib_seconds, true),
        ])
    };
    let table = |id: &'static str, title: &'static str, mut rows: Vec<(f64, Row)>| {
        rows.sort_by(|one, other| other.0.total_cmp(&one.0));
        rows.truncate(MOST_PARTS);
        Section::Table(Table {
            id,
            title,
            empty: w.nothing_here,
            columns: columns(title),
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            paging: None,
        })
    };
    let by_weight = |name: Cell, amounts: &Amounts| (weight(amounts, currency.is_some()), part(name, amounts));
    let uses = bill
        .uses
        .iter()
        .map(|one| by_weight(Cell::text(&one.name), &one.amounts));
    page.sections.push(table("byUse", w.what_for, uses.collect()));
    let holders = bill
        .holders
        .iter()
        .map(|one| by_weight(Cell::text(&one.name), &one.amounts));
    page.sections.push(table("holders", w.executors, holders.collect()));
    // What the server does not keep has no page.
    let linked = |name: String, to: Option<String>| match to {
        Some(to) => Cell::Link(name, to),
        None => Cell::Text(name),
    };
    let stages = bill.stages.iter().map(|one| {
        let key = (one.stage, one.attempt);
        let to = app.view.stage(key).map(|_| app.place.stage(key));
        by_weight(linked(format!("{} {}", one.stage, one.name), to), &one.amounts)
    });
    page.sections.push(table("stages", w.stages, stages.collect()));
    let executions = app.view.executions();
    let queries = bill.queries.iter().map(|one| {
        let name = format!("{} {}", one.id, one.description.lines().next().unwrap_or_default());
        let to = executions.contains(&one.id).then(|| app.place.execution(one.id));
        by_weight(linked(name, to), &one.amounts)
    });
    page.sections.push(table("queries", w.sql, queries.collect()));
    for text in &bill.notes {
        page.sections.push(note("note", text.clone()));
    }
    if currency.is_none() {
        page.sections.push(note("prices", w.no_prices));
    }
    page.sections.push(Section::whole("bill", &bill));
    page
}
