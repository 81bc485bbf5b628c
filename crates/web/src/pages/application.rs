//! An application of a cluster: its life, its pods and events, its manifest, its driver's log.

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::DynamicObject;
use stoke_diagnostics::Diagnostic;
use stoke_history::listing::Listed;
use stoke_model::crd::SparkApplicationStatus;
use stoke_model::waiting::{self, Waiting};

use super::{Visit, change, plain, state_of};
use crate::address::{self, Place};
use crate::judge;
use crate::live::life::{self, Step};
use crate::live::logs::{Level, Line, Read};
use crate::live::row::{Row as Live, millis, phase_name, state_of as state_of_phase, status};
use crate::live::{Refusal, pods};
use crate::page::{Cell, Facts, Filter, Listing, Log, Note, Page, Row, Section, Shares, Tab, Table};
use crate::words::Words;

/// How often a page of an application that goes on is looked at again, in milliseconds.
const AGAIN: u32 = 1000;
/// Rows of tables that only illustrate.
const SOME: usize = 50;
/// Lines of a log that are read unless the address says otherwise, and at most.
pub const LINES: usize = 500;
/// Lines of a log that are read at most.
pub const MOST_LINES: usize = 5000;

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

/// What a pod waits for, with what its events say.
pub fn waits(pod: &Pod, events: &[Event], now: i64) -> Option<Waiting> {
    let about = |event: &&Event| event.involved_object.name.as_ref() == pod.metadata.name.as_ref();
    let events: Vec<Event> = events.iter().filter(about).cloned().collect();
    let at = jiff::Timestamp::from_millisecond(now).ok()?;
    waiting::of_pod(pod, &events).filter(|waits| waits.counts(at))
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
    let told = events.as_deref().unwrap_or_default();
    for pod in known.iter().take(SOME) {
        if let Some(waits) = waits(pod, told, app.now) {
            sections.push(bad("waits", format!("{} {}: {waits}", p.waits_for, pod.name_any())));
            break;
        }
    }
    sections.push(actions(app, visit, listed));
    sections.push(facts(app, visit));
    let steps = life::steps(row.created, &app.status, known);
    sections.push(life_line(app, &steps, visit));
    sections.push(steps_table(&steps, visit));
    let attempts = life::attempts(&app.status);
    if !attempts.is_empty() {
        sections.push(attempts_table(&attempts, visit));
    }
    sections.push(conditions(app, visit));
    sections.push(pods_table(app, visit, known));
    let last: Vec<&Event> = in_order(told).into_iter().take(10).collect();
    sections.push(events_table(visit, &last));
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

fn step_words(w: &Words, step: Step) -> (&'static str, &'static str) {
    let p = w.platform();
    match step {
        Step::Created => (p.created, p.step_created),
        Step::Submitted => (w.submitted, p.step_submitted),
        Step::Scheduled => (p.driver_scheduled, p.step_scheduled),
        Step::Started => (p.driver_started, p.step_started),
        Step::FirstExecutor => (p.first_executor, p.step_executor),
        Step::Ended => (w.ended, w.ended),
    }
}

fn life_line(app: &Application, steps: &[(Step, i64)], visit: &Visit) -> Section {
    let p = visit.w.platform();
    let spans = life::spans(steps, app.now);
    // Executors of an ended run are gone, and no one knows here when they were.
    let is_known = !app.row.phase.is_terminal() || steps.iter().any(|(step, _)| *step == Step::FirstExecutor);
    let label = |step: Step| match step {
        Step::Started if !is_known => p.step_ran,
        step => step_words(visit.w, step).1,
    };
    let total: i64 = spans.iter().map(|(_, millis)| millis).sum::<i64>().max(1);
    let mut left = 0;
    let parts = spans.iter().map(|(step, millis)| {
        let from = left * 1000 / total;
        left += millis;
        let wide = left * 1000 / total - from;
        (step.name(), label(*step), Cell::Millis(*millis), from, wide)
    });
    Section::Shares(Shares {
        id: "life",
        title: p.life,
        about: p.life_about,
        parts: parts.collect(),
    })
}

fn steps_table(steps: &[(Step, i64)], visit: &Visit) -> Section {
    let (w, p) = (visit.w, visit.w.platform());
    let mut rows: Vec<Row> = Vec::new();
    for (place, (step, at)) in steps.iter().enumerate() {
        let since = place.checked_sub(1).map(|before| at - steps[before].1);
        rows.push(
            vec![
                Cell::Text(step_words(w, *step).0.to_owned()),
                Cell::Moment(*at),
                since.map_or(Cell::Nothing, Cell::Millis),
            ]
            .into(),
        );
    }
    Section::Table(Table {
        id: "steps",
        title: p.reached,
        empty: w.nothing_here,
        columns: plain(&[
            ("step", p.step, false),
            ("at", p.when, true),
            ("after", w.duration, true),
        ]),
        rows,
        paging: None,
    })
}

fn attempts_table(attempts: &[life::Attempt], visit: &Visit) -> Section {
    let (w, p) = (visit.w, visit.w.platform());
    let row = |attempt: &life::Attempt| -> Row {
        vec![
            Cell::Number(attempt.number),
            Cell::State(state_of_phase(attempt.phase)),
            Cell::Moment(attempt.submitted),
            Cell::moment(attempt.ended),
            Cell::span(Some(attempt.submitted), attempt.ended),
            Cell::text(&attempt.reason),
        ]
        .into()
    };
    Section::Table(Table {
        id: "attempts",
        title: p.attempts_told,
        empty: w.nothing_here,
        columns: plain(&[
            ("attempt", w.attempt, true),
            ("state", w.state, false),
            ("submitted", w.submitted, true),
            ("ended", w.ended, true),
            ("duration", w.duration, true),
            ("reason", w.reason, false),
        ]),
        rows: attempts.iter().map(row).collect(),
        paging: None,
    })
}

fn conditions(app: &Application, visit: &Visit) -> Section {
    let (w, p) = (visit.w, visit.w.platform());
    let rows = app.status.conditions.iter().map(|one| -> Row {
        vec![
            Cell::Code(one.type_.clone()),
            Cell::Text(one.status.clone()),
            Cell::text(&one.reason),
            Cell::text(&one.message),
            Cell::Moment(millis(&one.last_transition_time)),
        ]
        .into()
    });
    Section::Table(Table {
        id: "conditions",
        title: p.conditions,
        empty: w.nothing_here,
        columns: plain(&[
            ("type", p.condition, false),
            ("status", p.status, false),
            ("reason", w.reason, false),
            ("message", p.message, false),
            ("since", p.since, true),
        ]),
        rows: rows.collect(),
        paging: None,
    })
}

fn pods_table(app: &Application, visit: &Visit, all: &[Pod]) -> Section {
    let (w, p) = (visit.w, visit.w.platform());
    let mut all: Vec<&Pod> = all.iter().collect();
    // The driver first, then the newest.
    all.sort_by_key(|pod| {
        (
            !pods::is_driver(pod),
            std::cmp::Reverse(pod.creation_timestamp().as_ref().map_or(0, millis)),
        )
    });
    let (paging, range) = visit.page(all.len());
    let row = |pod: &&Pod| -> Row {
        let name = pod.name_any();
        let log = app.to(visit, &format!("log/?pod={}", address::part(&name)));
        let node = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .unwrap_or_default();
        vec![
            Cell::Link(name, log),
            Cell::text(pods::role(pod)),
            Cell::Code(pods::phase(pod)),
            Cell::text(pods::reason(pod)),
            Cell::text(node),
            Cell::moment(pods::started(pod)),
            Cell::moment(pods::ended(pod)),
            Cell::Count(pods::restarts(pod)),
        ]
        .into()
    };
    Section::Table(Table {
        id: "pods",
        title: p.pods,
        empty: p.no_pods,
        columns: plain(&[
            ("name", p.pod, false),
            ("role", p.role, false),
            ("phase", w.state, false),
            ("reason", w.reason, false),
            ("node", p.node, false),
            ("started", w.started, true),
            ("ended", w.ended, true),
            ("restarts", p.restarts, true),
        ]),
        rows: all[range].iter().map(row).collect(),
        paging: Some(paging),
    })
}

/// The last time an event was seen.
fn last(event: &Event) -> i64 {
    let series = event
        .series
        .as_ref()
        .and_then(|series| series.last_observed_time.as_ref());
    let series = series.map(|time| time.0.as_millisecond());
    let exact = || event.event_time.as_ref().map(|time| time.0.as_millisecond());
    let first = || event.first_timestamp.as_ref().map(millis);
    let last = event.last_timestamp.as_ref().map(millis);
    series.or(last).or_else(exact).or_else(first).unwrap_or(0)
}

/// The newest first.
fn in_order(events: &[Event]) -> Vec<&Event> {
    let mut events: Vec<&Event> = events.iter().collect();
    events.sort_by_key(|event| std::cmp::Reverse(last(event)));
    events
}

fn events_table(visit: &Visit, events: &[&Event]) -> Section {
    let (w, p) = (visit.w, visit.w.platform());
    let row = |event: &&Event| -> Row {
        let object = &event.involved_object;
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            Cell::Moment(last(event)),
            Cell::text(of(&event.type_)),
            Cell::text(of(&event.reason)),
            Cell::text(format!("{} {}", of(&object.kind), of(&object.name))),
            Cell::text(of(&event.message)),
            Cell::Count(event.count.map_or(1, i64::from)),
        ]
        .into()
    };
    Section::Table(Table {
        id: "events",
        title: p.events,
        empty: p.no_events,
        columns: plain(&[
            ("at", p.when, true),
            ("type", p.event_type, false),
            ("reason", w.reason, false),
            ("object", p.event_object, false),
            ("message", p.message, false),
            ("count", p.event_count, true),
        ]),
        rows: events.iter().map(row).collect(),
        paging: None,
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

pub fn pods_page(app: &Application, visit: &Visit, all: &Seen<Pod>) -> Page {
    let mut page = app.page(visit, "pods", "pods/", visit.w.platform().pods.to_owned());
    let known = seen(visit.w, "podsRefused", all, &mut page.sections);
    page.sections.push(pods_table(app, visit, known));
    page
}

pub fn events_page(app: &Application, visit: &Visit, events: &Seen<Event>) -> Page {
    let mut page = app.page(visit, "events", "events/", visit.w.platform().events.to_owned());
    let known = seen(visit.w, "eventsRefused", events, &mut page.sections);
    page.sections.push(events_table(visit, &in_order(known)));
    page
}

/// Its manifest, with what the check finds at its lines.
pub fn manifest(app: &Application, visit: &Visit) -> Page {
    let p = visit.w.platform();
    let mut page = app.page(visit, "manifest", "manifest/", p.manifest.to_owned());
    page.live = None;
    let object = serde_json::to_value(&app.object).unwrap_or_default();
    let text = judge::manifest(&object);
    page.sections.push(Section::Source(Listing {
        title: p.manifest_checked,
        findings: judge::findings(&text, &app.row.namespace),
        lines: text.lines().map(str::to_owned).collect(),
    }));
    page
}

/// The log of a pod of it: `pod` of those there are, and what was read of it.
pub fn log(app: &Application, visit: &Visit, pod: &str, read: &Result<Read, Refusal>) -> Page {
    let (w, p) = (visit.w, visit.w.platform());
    let mut page = app.page(visit, "log", "log/", p.driver_log.to_owned());
    page.subtitle = pod.to_owned();
    let nothing = Read::default();
    let read = match read {
        Ok(read) => read,
        // A container that has not started has no log yet.
        Err(refusal) => {
            if !matches!(refusal.status, 400 | 404) {
                page.sections.push(bad("refused", format!("{} {refusal}", p.may_not)));
            }
            &nothing
        }
    };
    let text = visit.searched();
    let chosen = visit.query.first("level").unwrap_or_default();
    let matches = |line: &&Line| {
        text.as_deref()
            .is_none_or(|text| line.text.to_lowercase().contains(text))
    };
    let found: Vec<&Line> = read.lines.iter().filter(matches).collect();
    let name = |level: Level| match level {
        Level::Error => p.errors,
        Level::Warning => p.warnings,
        Level::Info => p.infos,
        Level::Debug => p.debugs,
        Level::Output => p.of_application,
    };
    let mut choices = vec![(w.all, found.len(), visit.here.with(&[("level", "")]), chosen.is_empty())];
    for level in Level::ALL {
        let count = found.iter().filter(|line| line.level == level).count();
        if count > 0 || chosen == level.name() {
            let to = visit.here.with(&[("level", level.name())]);
            choices.push((name(level), count, to, chosen == level.name()));
        }
    }
    page.sections.push(Section::Filter(Filter {
        action: visit.here.path().to_owned(),
        text: visit.query.first("q").unwrap_or_default().to_owned(),
        placeholder: p.search_log,
        choices,
        kept: visit.here.without(&["q"]),
    }));
    if read.cut {
        page.sections.push(bad("cut", p.log_cut.to_owned()));
    }
    let asked: usize = visit.number("lines").unwrap_or(LINES);
    if read.lines.len() >= asked && asked < MOST_LINES {
        let more = visit.here.with(&[("lines", &MOST_LINES.to_string())]);
        page.sections.push(Section::Actions(vec![(p.more_lines, more)]));
    }
    let is_chosen = |line: &&&Line| chosen.is_empty() || line.level.name() == chosen;
    page.sections.push(Section::Log(Log {
        empty: if read.lines.is_empty() { p.no_log } else { p.no_lines },
        lines: found.iter().filter(is_chosen).map(|line| (*line).clone()).collect(),
    }));
    page
}
