//! Events, of both APIs: core's fields first, then those of events.k8s.io.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, column, or, plain, text, wide};
use crate::apimachinery::cells::age;

pub(super) const EVENTS: &[Column] = &[
    text("Last Seen", last_seen),
    text("Type", |event, _| plain(&event["type"]).into()),
    text("Reason", |event, _| plain(&event["reason"]).into()),
    text("Object", |event, _| {
        let object = either(event, "involvedObject", "regarding");
        match (plain(&object["kind"]).to_lowercase(), plain(&object["name"])) {
            (kind, name) if name.is_empty() => kind.into(),
            (kind, name) => format!("{kind}/{name}").into(),
        }
    }),
    wide("Subobject", |event, _| {
        plain(&either(event, "involvedObject", "regarding")["fieldPath"]).into()
    }),
    wide("Source", source),
    text("Message", |event, _| {
        plain(either(event, "message", "note")).trim().into()
    }),
    wide("First Seen", first_seen),
    wide("Count", |event, _| {
        let count = event["series"]["count"].as_i64();
        let count = count.or(either(event, "count", "deprecatedCount").as_i64());
        count.filter(|count| *count > 0).unwrap_or(1).to_string().into()
    }),
    column("Name", "string", 1, |event, _| event["metadata"]["name"].clone()),
];

fn either<'a>(event: &'a Value, core: &str, new: &str) -> &'a Value {
    if event[core].is_null() {
        &event[new]
    } else {
        &event[core]
    }
}

fn seen(times: &[&Value], now: Timestamp) -> Value {
    let time = times.iter().find(|time| !time.is_null());
    time.map_or_else(|| "<unknown>".to_owned(), |time| age(time, now))
        .into()
}

fn last_seen(event: &Value, now: Timestamp) -> Value {
    let times = [
        &event["series"]["lastObservedTime"],
        either(event, "lastTimestamp", "deprecatedLastTimestamp"),
        either(event, "firstTimestamp", "deprecatedFirstTimestamp"),
        &event["eventTime"],
    ];
    seen(&times, now)
}

fn first_seen(event: &Value, now: Timestamp) -> Value {
    let times = [
        either(event, "firstTimestamp", "deprecatedFirstTimestamp"),
        &event["eventTime"],
    ];
    seen(&times, now)
}

fn source(event: &Value, _: Timestamp) -> Value {
    let source = either(event, "source", "deprecatedSource");
    let component = match plain(&source["component"]) {
        none if none.is_empty() => plain(either(event, "reportingComponent", "reportingController")),
        component => component,
    };
    match or(&source["host"], "") {
        Value::String(host) if !host.is_empty() => format!("{component}, {host}").into(),
        _ => component.into(),
    }
}
