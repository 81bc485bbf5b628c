//! The page that asks a Connect server in SQL: what is asked, what it answered, or why it did not.

use kube::ResourceExt;
use kube::api::DynamicObject;
use stoke_insight::cost::{Amounts, CostError, Estimate, Prices, of_server};
use stoke_model::crd::SparkConnect;

use super::application::Seen;
use super::cost::amount;
use super::{Visit, count, note, plain};
use crate::answer::Answer;
use crate::live::sql::{BYTES, ROWS, TIME};
use crate::page::{Cell, Entry, Note, Page, Row, Section, Sheet, Table};

/// Milliseconds in an hour.
const HOUR: i64 = 3_600_000;
/// Servers whose cost is shown.
const MOST: usize = 50;

/// The servers that can be asked, as the form names them.
pub fn names(servers: &[DynamicObject]) -> Vec<String> {
    let mut names: Vec<String> = ready(servers).map(name_of).collect();
    names.sort();
    names
}

fn ready(servers: &[DynamicObject]) -> impl Iterator<Item = &DynamicObject> {
    servers
        .iter()
        .filter(|server| server.data["status"]["state"] == "Ready")
}

fn name_of(server: &DynamicObject) -> String {
    format!("{}/{}", server.namespace().unwrap_or_default(), server.name_any())
}

/// What things cost, and when.
#[derive(Debug, Clone, Copy)]
pub struct Tariffs<'a> {
    pub prices: Option<&'a Prices>,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// What the servers cost that can be asked: an hour of each, and the time that a statement may take.
fn costs(visit: &Visit, servers: &[DynamicObject], tariffs: Tariffs<'_>) -> Vec<Section> {
    let (w, p) = (visit.w, visit.w.platform());
    let mut servers: Vec<&DynamicObject> = ready(servers).collect();
    servers.sort_by_key(|server| name_of(server));
    if servers.is_empty() {
        return Vec::new();
    }
    let limit = i64::try_from(TIME.as_millis()).unwrap_or(HOUR);
    let mut is_unbounded = false;
    let mut wrong = Vec::new();
    let mut row = |server: &&DynamicObject| -> Row {
        let of = |milliseconds: i64| -> Result<Estimate, CostError> {
            let typed: SparkConnect = DynamicObject::clone(server)
                .try_parse()
                .map_err(|error| CostError::Setting(error.to_string()))?;
            of_server(&typed, tariffs.prices, tariffs.now, milliseconds)
        };
        let (hour, statement) = match (of(HOUR), of(limit)) {
            (Ok(hour), Ok(statement)) => (hour, statement),
            (Err(error), _) | (_, Err(error)) => {
                wrong.push(format!("{}: {error}", name_of(server)));
                let cells = vec![
                    Cell::Text(name_of(server)),
                    Cell::Nothing,
                    Cell::Nothing,
                    Cell::Nothing,
                    Cell::Nothing,
                ];
                return cells.into();
            }
        };
        is_unbounded |= hour.executors.is_none();
        let currency = hour.currency.as_deref();
        let shown = |amounts: Option<Amounts>| amounts.map_or(Cell::Nothing, |amounts| amount(&amounts, currency));
        vec![
            Cell::Text(name_of(server)),
            hour.executors.map_or(Cell::Nothing, count),
            shown(Some(hour.executor)),
            shown(hour.at_most()),
            shown(statement.at_most()),
        ]
        .into()
    };
    let rows: Vec<Row> = servers.iter().take(MOST).map(&mut row).collect();
    let columns = plain(&[
        ("server", p.sql_server, false),
        ("executors", p.sql_executors_most, true),
        ("executorHour", p.sql_executor_hour, true),
        ("hour", p.sql_hour, true),
        ("statement", p.sql_statement_most, true),
    ]);
    let mut sections = vec![
        Section::Table(Table {
            id: "costs",
            title: p.sql_costs,
            empty: w.nothing_here,
            columns,
            rows,
            paging: None,
        }),
        note(
            "costsAbout",
            p.sql_costs_about.replace("{seconds}", &TIME.as_secs().to_string()),
        ),
    ];
    if is_unbounded {
        sections.push(note("unbounded", p.sql_unbounded));
    }
    if tariffs.prices.is_none() {
        sections.push(note("prices", p.sql_costs_without));
    }
    if !wrong.is_empty() {
        sections.push(Section::Note(Note {
            id: "costsWrong",
            text: wrong.join("\n"),
            bad: true,
        }));
    }
    sections
}

/// The page; `asked` is the server and the statement, `answer` what came of it.
pub fn page(
    visit: &Visit,
    csrf: &str,
    servers: &Seen<DynamicObject>,
    tariffs: Tariffs<'_>,
    asked: (&str, &str),
    answer: Option<Result<Answer, String>>,
) -> Page {
    let p = visit.w.platform();
    let bad = |id, text| Section::Note(Note { id, text, bad: true });
    let limits = p
        .sql_limits
        .replace("{rows}", &ROWS.to_string())
        .replace("{seconds}", &TIME.as_secs().to_string())
        .replace("{mib}", &(BYTES >> 20).to_string());
    let mut sections = vec![Section::Note(Note {
        id: "limits",
        text: limits,
        bad: false,
    })];
    let choices = match servers {
        Ok(all) => names(all),
        Err(refusal) => {
            sections.push(bad("refused", format!("{} {refusal}", p.may_not)));
            Vec::new()
        }
    };
    if choices.is_empty() {
        sections.push(note("servers", p.sql_no_server));
    }
    sections.extend(costs(visit, servers.as_deref().unwrap_or_default(), tariffs));
    let (server, statement) = asked;
    sections.push(Section::Sheet(Sheet {
        action: format!("{}/sql/", visit.base),
        about: "",
        hidden: vec![("csrf", csrf.to_owned())],
        fields: vec![
            Entry {
                name: "server",
                label: p.sql_server,
                kind: "choice",
                value: server.to_owned(),
                choices,
            },
            Entry {
                name: "statement",
                label: p.sql_statement,
                kind: "area",
                value: statement.to_owned(),
                choices: Vec::new(),
            },
        ],
        button: p.sql_button,
    }));
    match answer {
        None => {}
        Some(Err(why)) => sections.push(bad("error", why)),
        Some(Ok(answer)) => {
            match answer.stopped {
                Some("rows") => sections.push(note("more", p.sql_more_rows)),
                Some(_) => sections.push(note("more", p.sql_more_bytes)),
                None => {}
            }
            sections.extend(answer.chart(visit.w).map(Section::Chart));
            sections.push(Section::Answer(answer));
        }
    }
    Page {
        kind: "sql",
        title: p.sql.to_owned(),
        sections,
        ..Page::default()
    }
}
