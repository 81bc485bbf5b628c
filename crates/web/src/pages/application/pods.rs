//! Pods of an application and events about it.

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use stoke_model::waiting::{self, Waiting};

use super::{Application, Seen, seen};
use crate::address;
use crate::live::pods;
use crate::live::row::millis;
use crate::page::{Cell, Page, Row, Section, Table};
use crate::pages::{Visit, plain};

/// What a pod waits for, with what its events say.
pub fn waits(pod: &Pod, events: &[Event], now: i64) -> Option<Waiting> {
    let about = |event: &&Event| event.involved_object.name.as_ref() == pod.metadata.name.as_ref();
    let events: Vec<Event> = events.iter().filter(about).cloned().collect();
    let at = jiff::Timestamp::from_millisecond(now).ok()?;
    waiting::of_pod(pod, &events).filter(|waits| waits.counts(at))
}

pub(super) fn pods_table(app: &Application, visit: &Visit, all: &[Pod]) -> Section {
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
pub(super) fn in_order(events: &[Event]) -> Vec<&Event> {
    let mut events: Vec<&Event> = events.iter().collect();
    events.sort_by_key(|event| std::cmp::Reverse(last(event)));
    events
}

pub(super) fn events_table(visit: &Visit, events: &[&Event]) -> Section {
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
