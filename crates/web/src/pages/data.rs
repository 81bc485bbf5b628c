//! The contracts of a place: how they stand, what fails, what was set aside, and their verdicts by day. `stoke quality verdicts` prints the same.

use stoke_quality::ledger::{Day, Overview, Run, Standing, Summary};
use stoke_quality::outcome::CheckOutcome;
use stoke_quality::report::Verdict;

use super::{Visit, count, is_chosen, note, plain, sort_by};
use crate::address;
use crate::page::{Cell, Facts, Note, Page, Row, Section, State, Table};
use crate::picture::chart::{Axis, Chart};

/// What can be sorted by.
const SORTS: [&str; 8] = [
    "name", "folder", "state", "checked", "score", "rows", "setAside", "verdicts",
];
/// Rows of tables beside that of the contracts.
const MOST: usize = 100;
/// How often the page is looked at again, in milliseconds.
pub(super) const AGAIN: u32 = 5000;

/// How a contract stands, as pages have it.
pub fn state_of(standing: Standing) -> State {
    match standing {
        Standing::Holds => State::Holds,
        Standing::Stale => State::Stale,
        Standing::Broken => State::Broken,
        Standing::Unknown => State::Unknown,
    }
}

/// How a verdict stands.
pub fn state_of_run(run: &Run) -> State {
    if run.passed { State::Holds } else { State::Broken }
}

/// The page; no overview where no place is read.
pub fn page(visit: &Visit, overview: Option<&Overview>) -> Page {
    let (w, d) = (visit.w, visit.w.data());
    let mut page = Page {
        kind: "data",
        title: d.data.to_owned(),
        crumbs: vec![(w.applications.to_owned(), format!("{}/", visit.base))],
        ..Page::default()
    };
    let Some(overview) = overview else {
        page.sections.push(note("none", d.no_place));
        return page;
    };
    page.live = Some(AGAIN);
    if let Some(trouble) = &overview.trouble {
        page.sections.push(Section::Note(Note {
            id: "trouble",
            text: format!("{} {trouble}", d.trouble),
            bad: true,
        }));
    }
    if overview.contracts.is_empty() {
        page.sections
            .push(note("none", d.no_contracts.replace("{place}", &overview.place)));
        page.sections.push(Section::whole("quality", &overview));
        return page;
    }
    page.sections.push(facts(visit, overview));
    contracts(visit, overview, &mut page.sections);
    failing(visit, overview, &mut page.sections);
    page.sections.push(set_aside(visit, overview));
    page.sections.extend(by_day(visit, &overview.days));
    page.sections.push(Section::whole("quality", &overview));
    page
}

fn facts(visit: &Visit, overview: &Overview) -> Section {
    let (w, d) = (visit.w, visit.w.data());
    let of = |standing: Standing| {
        let all = overview.contracts.iter();
        count(all.filter(|one| one.standing == standing).count())
    };
    let sum = |number: fn(&Summary) -> usize| count(overview.contracts.iter().map(number).sum::<usize>());
    Section::Facts(Facts {
        id: "place",
        title: "",
        items: vec![
            ("place", d.place_read, Cell::Code(overview.place.clone())),
            ("contracts", d.contracts, count(overview.contracts.len())),
            ("broken", w.broken_contract, of(Standing::Broken)),
            ("stale", w.stale, of(Standing::Stale)),
            ("unknown", w.unclear, of(Standing::Unknown)),
            ("holds", w.holds, of(Standing::Holds)),
            ("verdicts", d.verdicts, sum(|one| one.verdicts)),
            ("failedVerdicts", d.verdicts_failed, sum(|one| one.failed)),
        ],
    })
}

/// A search, and the contracts themselves.
fn contracts(visit: &Visit, overview: &Overview, sections: &mut Vec<Section>) {
    let (w, d) = (visit.w, visit.w.data());
    let text = visit.searched();
    let matches = |one: &&Summary| {
        let has = |shown: &str, text: &str| shown.to_lowercase().contains(text);
        let place = one.last.as_ref().map_or("", |run| &run.place);
        text.as_deref()
            .is_none_or(|text| has(&one.name, text) || has(&one.folder, text) || has(place, text))
    };
    let found: Vec<&Summary> = overview.contracts.iter().filter(matches).collect();
    let states: Vec<State> = found.iter().map(|one| state_of(one.standing)).collect();
    let chosen = found.into_iter().filter(|one| is_chosen(visit, state_of(one.standing)));
    let mut shown: Vec<&Summary> = chosen.collect();
    let (sort, descending) = visit.sort(&SORTS, "state", true);
    let last = |one: &Summary, number: fn(&Run) -> Option<i64>| one.last.as_ref().and_then(number);
    match sort {
        "name" => sort_by(&mut shown, descending, |one| one.name.to_lowercase()),
        "folder" => sort_by(&mut shown, descending, |one| one.folder.clone()),
        "checked" => sort_by(&mut shown, descending, |one| {
            last(one, |run| Some(run.at.as_millisecond()))
        }),
        "score" => sort_by(&mut shown, descending, |one| {
            last(one, |run| run.score.map(|score| (score * 1000.0) as i64))
        }),
        "rows" => sort_by(&mut shown, descending, |one| {
            last(one, |run| i64::try_from(run.rows?).ok())
        }),
        "setAside" => sort_by(&mut shown, descending, |one| one.last.as_ref().and_then(aside)),
        "verdicts" => sort_by(&mut shown, descending, |one| one.verdicts),
        _ => sort_by(&mut shown, descending, |one| one.standing),
    }
    let (paging, range) = visit.page(shown.len());
    let columns = [
        ("name", d.contract, false),
        ("folder", d.folder, false),
        ("state", d.standing, false),
        ("why", d.why, false),
        ("checked", d.checked, true),
        ("data", d.data_of, false),
        ("rows", d.data_rows, true),
        ("score", d.score, true),
        ("setAside", d.set_aside, true),
        ("freshUntil", d.fresh_until, true),
        ("verdicts", d.verdicts, true),
        ("failed", d.verdicts_failed, true),
    ];
    let table = Table {
        id: "contracts",
        title: d.contracts,
        empty: w.no_match,
        columns: visit.columns(&columns, &SORTS, (sort, descending)),
        rows: shown[range].iter().map(|one| row(visit, one)).collect(),
        paging: Some(paging),
    };
    let filter = visit.filter(
        d.search_contracts,
        &[State::Broken, State::Stale, State::Unknown, State::Holds],
        &states,
    );
    sections.extend([Section::Filter(filter), Section::Table(table)]);
}

fn row(visit: &Visit, one: &Summary) -> Row {
    let last = one.last.as_ref();
    vec![
        Cell::Link(one.name.clone(), address::contract(&visit.base, &one.id)),
        Cell::text(&one.folder),
        Cell::State(state_of(one.standing)),
        Cell::text(&one.why),
        Cell::moment(last.map(|run| run.at.as_millisecond())),
        last.map_or(Cell::Nothing, |run| Cell::Code(run.place.clone())),
        last.and_then(|run| run.rows).map_or(Cell::Nothing, count),
        last.and_then(|run| run.score).map_or(Cell::Nothing, Cell::Fraction),
        last.and_then(aside).map_or(Cell::Nothing, count),
        Cell::moment(one.fresh_until.map(|until| until.as_millisecond())),
        count(one.verdicts),
        count(one.failed),
    ]
    .into()
}

/// Rows that a run set aside, where it was to.
pub fn aside(run: &Run) -> Option<u64> {
    Some(run.outcome.as_ref()?.quarantine.as_ref()?.quarantined)
}

/// Whether a check is not as it should be: what only warns, too.
pub fn is_bad(check: &CheckOutcome) -> bool {
    matches!(check.verdict, Verdict::Fail | Verdict::CannotTell)
}

/// A verdict of a check, as reports write it.
pub fn verdict_of(check: &CheckOutcome) -> Cell {
    Cell::Code(check.verdict.to_string().to_lowercase())
}

/// Checks that fail in the last run of their contract, or in that of other data.
fn failing(visit: &Visit, overview: &Overview, sections: &mut Vec<Section>) {
    let d = visit.w.data();
    let runs = overview
        .contracts
        .iter()
        .flat_map(|one| one.last.iter().chain(&one.others).map(move |run| (one, run)));
    let checks: Vec<(&Summary, &Run, &CheckOutcome)> = runs
        .flat_map(|(one, run)| {
            let checks = run.outcome.iter().flat_map(|outcome| &outcome.checks);
            checks.filter(|check| is_bad(check)).map(move |check| (one, run, check))
        })
        .collect();
    let row = |(one, run, check): &(&Summary, &Run, &CheckOutcome)| -> Row {
        vec![
            Cell::Link(one.name.clone(), address::contract(&visit.base, &one.id)),
            Cell::Code(check.id.clone()),
            Cell::text(check.severity.name()),
            verdict_of(check),
            Cell::text(&check.expected),
            check.unexpected.map_or(Cell::Nothing, count),
            check.considered.map_or(Cell::Nothing, count),
            Cell::Code(run.place.clone()),
            Cell::Moment(run.at.as_millisecond()),
        ]
        .into()
    };
    sections.push(Section::Table(Table {
        id: "failing",
        title: d.checks_failed,
        empty: d.checks_failed_about,
        columns: plain(&[
            ("contract", d.contract, false),
            ("check", d.check, false),
            ("severity", d.severity, false),
            ("verdict", d.verdict, false),
            ("expected", d.expected, false),
            ("unexpected", d.unexpected, true),
            ("considered", d.considered, true),
            ("data", d.data_of, false),
            ("checked", d.checked, true),
        ]),
        rows: checks.iter().take(MOST).map(row).collect(),
        paging: None,
    }));
    if checks.len() > MOST {
        sections.push(note(
            "moreFailing",
            format!("{} {}", d.more_checks, checks.len() - MOST),
        ));
    }
}

/// Rows that the last runs set aside, by the check that did.
fn set_aside(visit: &Visit, overview: &Overview) -> Section {
    let d = visit.w.data();
    let rows = overview.contracts.iter().flat_map(|one| {
        let quarantine = one
            .last
            .iter()
            .filter_map(|run| run.outcome.as_ref()?.quarantine.as_ref());
        quarantine.flat_map(move |quarantine| {
            let reasons = quarantine.reasons.iter();
            reasons.filter_map(move |(check, rows)| {
                Some((one, quarantine, check, rows.as_u64().filter(|rows| *rows > 0)?))
            })
        })
    });
    let rows = rows.take(MOST).map(|(one, quarantine, check, rows)| -> Row {
        vec![
            Cell::Link(one.name.clone(), address::contract(&visit.base, &one.id)),
            Cell::Code(check.clone()),
            count(rows),
            count(quarantine.quarantined),
            count(quarantine.passed),
            Cell::Code(quarantine.place.clone()),
        ]
        .into()
    });
    Section::Table(Table {
        id: "setAside",
        title: d.set_aside_reasons,
        empty: d.set_aside_none,
        columns: plain(&[
            ("contract", d.contract, false),
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

/// Verdicts by day: those that passed, and on them those that failed.
fn by_day(visit: &Visit, days: &[Day]) -> Vec<Section> {
    let (w, d) = (visit.w, visit.w.data());
    let row = |day: &Day| -> Row {
        vec![
            Cell::Text(day.day.to_string()),
            count(day.verdicts),
            count(day.verdicts - day.failed),
            count(day.failed),
        ]
        .into()
    };
    let table = Section::Table(Table {
        id: "days",
        title: d.verdicts_by_day,
        empty: w.nothing_here,
        columns: plain(&[
            ("day", w.day, false),
            ("verdicts", d.verdicts, true),
            ("passed", d.passed, true),
            ("failed", d.verdicts_failed, true),
        ]),
        rows: days.iter().rev().filter(|day| day.verdicts > 0).map(row).collect(),
        paging: None,
    });
    if days.len() < 2 {
        return vec![table];
    }
    let across = Axis {
        from: 0.0,
        until: days.len() as f64,
        factors: false,
    };
    let highest = days.iter().map(|day| day.verdicts as f64);
    let mut chart = Chart::new(d.verdicts_by_day, d.verdicts_by_day_about, across, Axis::up_to(highest));
    chart.label_beside(|number| w.fraction(&number));
    let every = days.len().div_ceil(8).max(1);
    let marks = days.iter().enumerate().step_by(every);
    chart.label_below(marks.map(|(place, day)| (place as f64 + 0.5, day.day.to_string())));
    let bars = |height: fn(&Day) -> usize| {
        let of = move |(place, day): (usize, &Day)| (place as f64 + 0.1, place as f64 + 0.9, height(day) as f64);
        days.iter().enumerate().filter(move |(_, day)| height(day) > 0).map(of)
    };
    // The higher ones first: what is drawn over them is what passed.
    chart.bars("area4", bars(|day| if day.failed > 0 { day.verdicts } else { 0 }));
    chart.bars("area2", bars(|day| day.verdicts - day.failed));
    chart.legend.push(("area2", d.passed.to_owned()));
    chart.legend.push(("area4", d.verdicts_failed.to_owned()));
    vec![Section::Chart(chart), table]
}
