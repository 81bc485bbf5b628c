//! An application of a cluster: its first page, and in files of their own its [`life`], its [`pods`] and events, its [`manifest`](mod@manifest), its [`log`](mod@log).

mod life;
mod log;
mod manifest;
mod pods;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::DynamicObject;
use stoke_diagnostics::Diagnostic;
use stoke_history::listing::Listed;
use stoke_model::crd::SparkApplicationStatus;

use super::{Visit, change, plain, state_of};
use crate::address::{self, Place};
use crate::live::Refusal;
use crate::live::life as told;
use crate::live::row::{Row as Live, phase_name, status};
use crate::page::{Cell, Facts, Note, Page, Row, Section, Tab, Table};
use crate::words::Words;

pub use log::{LINES, MOST_LINES, log};
pub use manifest::manifest;
pub use pods::{events_page, pods_page, waits};

/// How often a page of an application that goes on is looked at again, in milliseconds.
const AGAIN: u32 = 1000;
/// Rows of tables that only illustrate.
const SOME: usize = 50;

/// An application, and where it is.
#[derive(Debug)]
pub struct Application {
    /// As the API server has it.
    pub object: DynamicObject,
    /// The same, as lists have it.
    pub row: Live,
    pub status: SparkApplicationStatus,
    /// Now, in milliseconds since 1970.
    pub now: i64,
}

/// What is there, or why it may not be seen.
pub type Seen<T> = Result<Vec<T>, Refusal>;

impl Application {
    /// Of an object.
    pub fn new(object: DynamicObject, now: i64) -> Application {
        Application {
            row: Live::of(&object),
            status: status(&object),
            object,
            now,
        }
    }

    pub(super) fn to(&self, visit: &Visit, page: &str) -> String {
        address::application(&visit.base, &self.row.namespace, &self.row.name, page)
    }

    /// A page of it, with its navigation and nothing on it yet.
    pub(super) fn page(&self, visit: &Visit, kind: &'static str, tab: &'static str, title: String) -> Page {
        let (w, p) = (visit.w, visit.w.platform());
        let tabs = [
            (w.overview, ""),
            (p.pods, "pods/"),
            (p.events, "events/"),
            (p.driver_log, "log/"),
            (p.manifest, "manifest/"),
        ];
        Page {
            kind,
            title,
            crumbs: vec![
                (p.now.to_owned(), format!("{}/", visit.base)),
                (
                    self.row.namespace.clone(),
                    format!("{}/?namespace={}", visit.base, address::part(&self.row.namespace)),
                ),
                (self.row.name.clone(), self.to(visit, "")),
            ],
            tabs: tabs
                .into_iter()
                .map(|(label, to)| Tab {
                    label,
                    to: self.to(visit, to),
                    current: to == tab,
                })
                .collect(),
            live: (!self.row.phase.is_terminal()).then_some(AGAIN),
            ..Page::default()
        }
    }
}

fn bad(id: &'static str, text: String) -> Section {
    Section::Note(Note { id, text, bad: true })
}

/// What is seen, and what is said where it may not be.
fn seen<'a, T>(w: &Words, id: &'static str, all: &'a Seen<T>, sections: &mut Vec<Section>) -> &'a [T] {
    match all {
        Ok(all) => all,
        Err(refusal) => {
            sections.push(bad(id, format!("{} {refusal}", w.platform().may_not)));
            &[]
        }
    }
}

/// The first page.
pub fn overview(
    app: &Application,
    visit: &Visit,
    all: &Seen<Pod>,
    events: &Seen<Event>,
    listed: &[Listed],
    findings: &[Diagnostic],
) -> Page {
    let (w, p, row) = (visit.w, visit.w.platform(), &app.row);
    let mut page = app.page(visit, "application", "", row.name.clone());
    page.state = Some(row.state());
    page.subtitle = format!("{} · {}", row.namespace, phase_name(row.phase));
    let mut sections = Vec::new();
    if !row.message.is_empty() {
        sections.push(bad("message", row.message.clone()));
    }
    let known = seen(w, "podsRefused", all, &mut sections);
    let events = events.as_deref().unwrap_or_default();
    for pod in known.iter().take(SOME) {
        if let Some(waits) = waits(pod, events, app.now) {
            sections.push(bad("waits", format!("{} {}: {waits}", p.waits_for, pod.name_any())));
            break;
        }
    }
    sections.push(actions(app, visit, listed));
    sections.push(facts(app, visit));
    let steps = told::steps(row.created, &app.status, known);
    sections.push(life::line(app, &steps, visit));
    sections.push(life::steps_table(&steps, visit));
    let attempts = told::attempts(&app.status);
    if !attempts.is_empty() {
        sections.push(life::attempts_table(&attempts, visit));
    }
    sections.push(life::conditions(app, visit));
    sections.push(pods::pods_table(app, visit, known));
    let last: Vec<&Event> = pods::in_order(events).into_iter().take(10).collect();
    sections.push(pods::events_table(visit, &last));
    sections.extend(proposals(app, visit, findings));
    sections.push(before(app, visit, listed));
    page.sections = sections;
    page
}

fn actions(app: &Application, visit: &Visit, listed: &[Listed]) -> Section {
    let p = visit.w.platform();
    let mut actions = vec![
        (p.driver_log, app.to(visit, "log/")),
        (p.manifest, app.to(visit, "manifest/")),
    ];
    let run = app
        .row
        .spark
        .as_deref()
        .and_then(|id| listed.iter().find(|one| one.id == id));
    if let Some(run) = run {
        actions.insert(0, (p.its_run, of_run(run, visit).to("")));
    }
    let ui = app
        .status
        .driver_info
        .web_ui_ingress_address
        .as_deref()
        .unwrap_or_default();
    let ui = match ui {
        "" => None,
        ui if ui.starts_with("http://") || ui.starts_with("https://") => Some(ui.to_owned()),
        // An address without a scheme is of an ingress; what has another one is not led to.
        ui if !ui.contains(':') => Some(format!("http://{ui}")),
        _ => None,
    };
    actions.extend(ui.filter(|_| !app.row.phase.is_terminal()).map(|ui| (p.spark_ui, ui)));
    Section::Actions(actions)
}

fn of_run(listed: &Listed, visit: &Visit) -> Place {
    Place {
        base: visit.base.clone(),
        id: listed.id.clone(),
        attempt: listed.attempts.first().and_then(|attempt| attempt.id.clone()),
    }
}

fn facts(app: &Application, visit: &Visit) -> Section {
    let (w, p, row) = (visit.w, visit.w.platform(), &app.row);
    let spec = |field: &str| Cell::text(app.object.data["spec"][field].as_str().unwrap_or_default());
    let ui = match row.phase {
        stoke_model::crd::ApplicationStateType::Running => {
            Cell::Code(format!("stoke ui {} -n {}", row.name, row.namespace))
        }
        _ => Cell::Nothing,
    };
    Section::Facts(Facts {
        id: "application",
        title: "",
        items: vec![
            ("name", w.name, Cell::Text(row.name.clone())),
            ("namespace", p.namespace, Cell::Text(row.namespace.clone())),
            ("phase", p.phase, Cell::Code(phase_name(row.phase))),
            ("created", p.created, Cell::Moment(row.created)),
            ("submitted", w.submitted, Cell::moment(row.submitted)),
            ("ended", w.ended, Cell::moment(row.ended)),
            ("duration", w.duration, Cell::Millis(row.lasted(app.now))),
            ("attempts", w.attempts, Cell::Count(row.attempts.into())),
            ("executors", p.executors_state, Cell::Count(row.running as i64)),
            ("id", w.id, row.spark.clone().map_or(Cell::Nothing, Cell::Code)),
            ("version", w.version, Cell::text(&row.version)),
            ("image", p.image, spec("image")),
            ("mainFile", p.main_file, spec("mainApplicationFile")),
            (
                "schedule",
                p.schedule,
                Cell::text(row.schedule.as_deref().unwrap_or_default()),
            ),
            ("ui", p.spark_ui_command, ui),
        ],
    })
}

/// What the doctor finds in its run, and the changes it proposes.
fn proposals(app: &Application, visit: &Visit, findings: &[Diagnostic]) -> Vec<Section> {
    if findings.is_empty() {
        return Vec::new();
    }
    let (w, p) = (visit.w, visit.w.platform());
    let row = |finding: &Diagnostic| {
        let to = app.to(visit, &format!("change/?change={}", change::name_of(finding)?));
        Some(Row::from(vec![
            Cell::Code(finding.code.to_string()),
            Cell::Text(finding.fix_text().to_owned()),
            Cell::Link(p.look_at_it.to_owned(), to),
        ]))
    };
    let mut sections = vec![Section::Findings(findings.to_vec())];
    let rows: Vec<Row> = findings.iter().filter_map(row).collect();
    if !rows.is_empty() {
        sections.push(Section::Table(Table {
            id: "changes",
            title: p.proposals,
            empty: w.nothing_here,
            columns: plain(&[
                ("finding", w.id, false),
                ("fix", w.fix, false),
                ("change", p.difference, false),
            ]),
            rows,
            paging: None,
        }));
    }
    sections
}

/// Runs of the same name, those of its schedule too, the newest first.
fn before(app: &Application, visit: &Visit, listed: &[Listed]) -> Section {
    let (w, p, row) = (visit.w, visit.w.platform(), &app.row);
    let current = row.spark.as_deref();
    let own = listed.iter().find(|one| Some(one.id.as_str()) == current);
    let name = own.map_or(row.name.as_str(), |one| one.name.as_str());
    let scheduled = row.schedule.as_ref().map(|schedule| format!("{schedule}-"));
    let is_same =
        |one: &&Listed| one.name == name || scheduled.as_ref().is_some_and(|before| one.name.starts_with(before));
    let mut runs: Vec<&Listed> = listed
        .iter()
        .filter(|one| Some(one.id.as_str()) != current)
        .filter(is_same)
        .collect();
    runs.sort_by_key(|one| std::cmp::Reverse(one.attempts.first().map_or(0, |attempt| attempt.start)));
    let rows = runs.iter().take(SOME).filter_map(|one| {
        let attempt = one.attempts.first()?;
        Some(Row::from(vec![
            Cell::Link(one.name.clone(), of_run(one, visit).to("")),
            Cell::State(state_of(attempt)),
            Cell::Moment(attempt.start),
            Cell::Millis(attempt.duration),
            Cell::Code(one.id.clone()),
        ]))
    });
    Section::Table(Table {
        id: "runsBefore",
        title: p.runs_before,
        empty: p.no_runs_before,
        columns: plain(&[
            ("name", w.name, false),
            ("state", w.state, false),
            ("started", w.started, true),
            ("duration", w.duration, true),
            ("id", w.id, false),
        ]),
        rows: rows.collect(),
        paging: None,
    })
}
