//! Runbooks: what there is, one with its steps and drills, and the records of runs. They run on the command line; nothing here changes anything.

use jiff::Timestamp;
use serde_json::json;
use stoke_observe::pack::alerts;
use stoke_observe::runbook::book::{Need, Parameter, Step};
use stoke_observe::runbook::{Does, Ending, Entry, Record, Runbook, find, page as book_page};

use super::objectives::reading;
use super::{Missing, Visit, count, note, plain};
use crate::address;
use crate::observed::Reading;
use crate::page::{Cell, Facts, Page, Row, Section, State, Table};
use crate::words::observe::ObserveWords;

/// How often a page with records is looked at again, in milliseconds.
const AGAIN: u32 = 5000;

type Records = Reading<Vec<Record>>;

/// How a run stands, as pages have it.
fn state_of(record: &Record) -> State {
    match record.ending() {
        Some((Ending::Resolved, _)) => State::Succeeded,
        Some((Ending::NothingToDo | Ending::OtherRunbook | Ending::Undone, _)) => State::Ended,
        Some((Ending::Declined, _)) => State::Killed,
        Some((Ending::CannotTell, _)) => State::Unknown,
        Some((Ending::Unresolved | Ending::Failed, _)) => State::Failed,
        None if record.is_paused() => State::Pending,
        None => State::Running,
    }
}

/// How it ended, or what it waits for.
fn end_of(o: &ObserveWords, record: &Record) -> String {
    match (record.ending(), record.paused_at()) {
        (Some((ending, _)), _) => ending.words().to_owned(),
        (None, Some(step)) => format!("{}: {step}", o.waits_for_you),
        (None, None) => o.unfinished.to_owned(),
    }
}

fn moment(at: Option<Timestamp>) -> Cell {
    Cell::moment(at.map(|at| at.as_millisecond()))
}

fn id_of(record: &Record) -> &str {
    record.opening().map(|(id, ..)| id).unwrap_or_default()
}

fn book_of(record: &Record) -> &str {
    record.opening().map(|(_, book, _)| book).unwrap_or_default()
}

fn who(record: &Record) -> &str {
    match record.entries.first() {
        Some(Entry::Opened { who, .. }) => who,
        _ => "",
    }
}

/// The list.
pub fn page(visit: &Visit, records: Option<&Records>) -> Page {
    let (w, o) = (visit.w, visit.w.observe());
    let mut page = Page {
        kind: "runbooks",
        title: o.runbooks.to_owned(),
        crumbs: vec![(w.applications.to_owned(), format!("{}/", visit.base))],
        live: records.map(|_| AGAIN),
        ..Page::default()
    };
    page.sections.push(note("about", o.runbooks_about));
    let all = records.map_or(&[][..], |records| {
        reading(visit, records, &mut page.sections).map_or(&[][..], Vec::as_slice)
    });
    let row = |book: &&Runbook| -> Row {
        let own = || all.iter().filter(|record| book_of(record) == book.name);
        let last = own().next();
        let drilled = book_page::drilled(book).map(|one| one.day).max();
        vec![
            Cell::Link(book.name.to_owned(), address::runbook(&visit.base, book.name)),
            Cell::text(book.title),
            count(book.steps.len()),
            drilled.map_or(Cell::Nothing, Cell::text),
            last.map_or(Cell::Nothing, |record| moment(record.opened())),
            last.map_or(Cell::Nothing, |record| Cell::State(state_of(record))),
        ]
        .into()
    };
    page.sections.push(Section::Table(Table {
        id: "runbooks",
        title: "",
        empty: w.nothing_here,
        columns: plain(&[
            ("name", w.name, false),
            ("title", o.what, false),
            ("steps", o.steps, true),
            ("drilled", o.last_drill, false),
            ("opened", o.opened, true),
            ("state", w.state, false),
        ]),
        rows: stoke_observe::runbook::all().iter().map(row).collect(),
        paging: None,
    }));
    page.sections
        .push(table(visit, records.is_some(), &all.iter().collect::<Vec<_>>()));
    page
}

fn table(visit: &Visit, kept: bool, records: &[&Record]) -> Section {
    let (w, o) = (visit.w, visit.w.observe());
    let (paging, range) = visit.page(records.len());
    let row = |record: &&Record| -> Row {
        vec![
            Cell::Link(id_of(record).to_owned(), address::record(&visit.base, id_of(record))),
            Cell::Link(
                book_of(record).to_owned(),
                address::runbook(&visit.base, book_of(record)),
            ),
            Cell::State(state_of(record)),
            Cell::text(end_of(o, record)),
            Cell::text(record.ending().map(|(_, says)| says).unwrap_or_default()),
            moment(record.opened()),
            moment(record.changed()),
            Cell::text(who(record)),
        ]
        .into()
    };
    Section::Table(Table {
        id: "records",
        title: o.records,
        empty: if kept { o.no_records } else { o.records_elsewhere },
        columns: plain(&[
            ("record", o.record, false),
            ("runbook", o.runbook, false),
            ("state", w.state, false),
            ("ending", o.ending, false),
            ("says", o.says, false),
            ("opened", o.opened, true),
            ("changed", o.changed, true),
            ("who", o.who, false),
        ]),
        rows: records[range].iter().map(row).collect(),
        paging: Some(paging),
    })
}

/// One runbook.
///
/// # Errors
/// There is none of that name.
pub fn one(visit: &Visit, records: Option<&Records>) -> Result<Page, Missing> {
    let (w, o) = (visit.w, visit.w.observe());
    let book = find(visit.query.first("id").unwrap_or_default()).ok_or(Missing::NotFound)?;
    let mut page = Page {
        kind: "runbook",
        title: book.title.to_owned(),
        subtitle: book.name.to_owned(),
        crumbs: vec![
            (w.applications.to_owned(), format!("{}/", visit.base)),
            (o.runbooks.to_owned(), format!("{}/runbooks/", visit.base)),
        ],
        live: records.map(|_| AGAIN),
        ..Page::default()
    };
    page.sections.push(note("when", book.when));
    let rights = book.rights();
    let rights: Vec<String> = rights
        .iter()
        .map(|(verb, kind)| format!("{verb} {}", kind.api().2))
        .collect();
    let codes = book.codes.join(" ");
    page.sections.push(Section::Facts(Facts {
        id: "runbook",
        title: "",
        items: vec![
            ("command", o.command, Cell::Code(book_page::command(book))),
            ("rights", o.rights, Cell::text(rights.join(", "))),
            ("codes", o.codes, Cell::text(codes)),
        ],
    }));
    page.sections.push(steps(visit, book));
    page.sections.push(parameters(visit, book));
    for text in book.limits {
        page.sections.push(note("limit", format!("{}: {text}", o.limits)));
    }
    page.sections.push(drills(visit, book));
    page.sections.push(leads(visit, book));
    let all = records.map_or(&[][..], |records| {
        reading(visit, records, &mut page.sections).map_or(&[][..], Vec::as_slice)
    });
    let own: Vec<&Record> = all.iter().filter(|record| book_of(record) == book.name).collect();
    page.sections.push(table(visit, records.is_some(), &own));
    Ok(page)
}

fn steps(visit: &Visit, book: &Runbook) -> Section {
    let o = visit.w.observe();
    let row = |step: &Step| -> Row {
        let undo = match step.does {
            Does::Act { undo, .. } => undo,
            _ => "",
        };
        vec![
            Cell::Code(step.name.to_owned()),
            Cell::Code(step.does.name().to_owned()),
            Cell::text(step.what),
            Cell::text(step.only.join(", ")),
            Cell::text(undo),
        ]
        .into()
    };
    Section::Table(Table {
        id: "steps",
        title: o.steps,
        empty: visit.w.nothing_here,
        columns: plain(&[
            ("name", o.step, false),
            ("does", o.does, false),
            ("what", o.what, false),
            ("only", o.only_on, false),
            ("undo", o.undone_by, false),
        ]),
        rows: book.steps.iter().map(row).collect(),
        paging: None,
    })
}

fn parameters(visit: &Visit, book: &Runbook) -> Section {
    let o = visit.w.observe();
    let row = |parameter: &Parameter| -> Row {
        let need = match parameter.need {
            Need::Always => Cell::text(o.required),
            Need::Else(value) => Cell::Code(value.to_owned()),
            Need::Maybe => Cell::text(o.maybe),
        };
        vec![
            Cell::Code(format!("--{}", parameter.name)),
            Cell::text(parameter.what),
            need,
            Cell::text(parameter.found),
        ]
        .into()
    };
    Section::Table(Table {
        id: "parameters",
        title: o.parameters,
        empty: visit.w.nothing_here,
        columns: plain(&[
            ("name", o.parameter, false),
            ("what", o.what, false),
            ("need", visit.w.value, false),
            ("found", o.found_at, false),
        ]),
        rows: book.parameters.iter().map(row).collect(),
        paging: None,
    })
}

fn drills(visit: &Visit, book: &Runbook) -> Section {
    let o = visit.w.observe();
    let rows = book_page::drilled(book).map(|one| -> Row {
        vec![
            Cell::text(one.fault),
            Cell::Millis(i64::try_from(one.milliseconds).unwrap_or(i64::MAX)),
            count(one.steps),
            Cell::text(one.day),
        ]
        .into()
    });
    Section::Table(Table {
        id: "drills",
        title: o.drills,
        empty: o.no_drills,
        columns: plain(&[
            ("fault", o.fault, false),
            ("goneAfter", o.gone_after, true),
            ("steps", o.steps, true),
            ("day", o.last_drill, false),
        ]),
        rows: rows.collect(),
        paging: None,
    })
}

/// Alerts whose runbook it is.
fn leads(visit: &Visit, book: &Runbook) -> Section {
    let o = visit.w.observe();
    let rows = alerts::all()
        .filter(|alert| alert.runbook == book.name)
        .map(|alert| -> Row {
            vec![
                Cell::Link(alert.name.to_owned(), format!("{}/alerts/#pack", visit.base)),
                Cell::Code(alert.severity.label().to_owned()),
                Cell::text(alert.description),
            ]
            .into()
        });
    Section::Table(Table {
        id: "alerts",
        title: o.leads_here,
        empty: o.no_alert_leads,
        columns: plain(&[
            ("alert", o.alert, false),
            ("severity", o.severity, false),
            ("description", visit.w.description, false),
        ]),
        rows: rows.collect(),
        paging: None,
    })
}

/// One record, line by line.
///
/// # Errors
/// There is none of that id.
pub fn record(visit: &Visit, records: Option<&Records>) -> Result<Page, Missing> {
    let (w, o) = (visit.w, visit.w.observe());
    let id = visit.query.first("id").unwrap_or_default();
    let all = records.and_then(Reading::value).ok_or(Missing::NotFound)?;
    let record = all.iter().find(|record| id_of(record) == id).ok_or(Missing::NotFound)?;
    let (Some((id, book, input)), Some(Entry::Opened { cluster, version, .. })) =
        (record.opening(), record.entries.first())
    else {
        return Err(Missing::NotFound);
    };
    let goes_on = match record.ending() {
        Some((ending, _)) if ending.is_final() => Cell::Nothing,
        _ => Cell::Code(format!("stoke runbook resume {id}")),
    };
    // Only what the engine would undo.
    let undo = find(book).and_then(|book| stoke_observe::runbook::undo(book, record));
    let undo = undo.map_or(Cell::Nothing, |_| Cell::Code(format!("stoke runbook undo {id}")));
    let given = input
        .parameters
        .iter()
        .map(|(name, value)| format!("--{name} {value}"))
        .collect::<Vec<_>>()
        .join(" ");
    let lines = record.entries.iter().flat_map(lines_of);
    Ok(Page {
        kind: "record",
        title: id.to_owned(),
        state: Some(state_of(record)),
        crumbs: vec![
            (w.applications.to_owned(), format!("{}/", visit.base)),
            (o.runbooks.to_owned(), format!("{}/runbooks/", visit.base)),
        ],
        live: Some(AGAIN),
        sections: vec![
            Section::Facts(Facts {
                id: "record",
                title: "",
                items: vec![
                    (
                        "runbook",
                        o.runbook,
                        Cell::Link(book.to_owned(), address::runbook(&visit.base, book)),
                    ),
                    ("ending", o.ending, Cell::text(end_of(o, record))),
                    (
                        "says",
                        o.says,
                        Cell::text(record.ending().map(|(_, says)| says).unwrap_or_default()),
                    ),
                    ("opened", o.opened, moment(record.opened())),
                    ("changed", o.changed, moment(record.changed())),
                    ("who", o.who, Cell::text(who(record))),
                    ("cluster", o.cluster_of, Cell::text(cluster)),
                    ("namespace", w.platform().namespace, Cell::text(&input.namespace)),
                    ("input", o.input, Cell::Code(given)),
                    ("version", "Stoke", Cell::text(version)),
                    ("resume", o.goes_on, goes_on),
                    ("undo", o.undo, undo),
                ],
            }),
            Section::Table(Table {
                id: "lines",
                title: o.lines,
                empty: w.nothing_here,
                columns: plain(&[
                    ("time", o.time, true),
                    ("step", o.step, false),
                    ("entry", o.does, false),
                    ("says", o.says, false),
                ]),
                rows: lines.collect(),
                paging: None,
            }),
            Section::whole("entries", &record.entries),
        ],
        ..Page::default()
    })
}

/// An entry as rows: a plan has one for each change.
fn lines_of(entry: &Entry) -> Vec<Row> {
    let kind = json!(entry)["entry"].as_str().unwrap_or_default().to_owned();
    let texts: Vec<String> = match entry {
        Entry::Intended { plan, .. } => std::iter::once(plan.blast.clone())
            .chain(plan.changes.iter().map(|change| format!("– {}", change.action.words())))
            .collect(),
        Entry::Checked { says, branch, .. } => vec![match branch {
            Some(branch) => format!("{says} [{branch}]"),
            None => says.clone(),
        }],
        Entry::Opened { who, .. } | Entry::Resumed { who, .. } => vec![who.clone()],
        Entry::Agreed { by, .. } => vec![by.clone()],
        Entry::Did { says, .. }
        | Entry::Verified { says, .. }
        | Entry::Skipped { says, .. }
        | Entry::Undid { says, .. } => vec![says.clone()],
        Entry::Ended { ending, says, .. } => vec![format!("{}: {says}", ending.words())],
        Entry::Paused { .. } | Entry::Continued { .. } => vec![String::new()],
    };
    let row = |text: String| -> Row {
        vec![
            Cell::Moment(entry.time().as_millisecond()),
            entry.step().map_or(Cell::Nothing, |step| Cell::Code(step.to_owned())),
            Cell::Code(kind.clone()),
            Cell::text(text),
        ]
        .into()
    };
    texts.into_iter().map(row).collect()
}
