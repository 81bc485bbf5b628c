//! What happened in order: alerts, events, runs, changes and runbooks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alerts::{self, Alert};
use super::{About, Incident, Line};
use crate::runbook::{Entry, Record, Verdict};

/// Where something is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Alert,
    Event,
    Run,
    Change,
    Runbook,
    Note,
}

impl Source {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Source::Alert => "alert",
            Source::Event => "event",
            Source::Run => "run",
            Source::Change => "change",
            Source::Runbook => "runbook",
            Source::Note => "note",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    pub time: Timestamp,
    pub source: Source,
    /// The object, the alert, the runbook or the person.
    pub about: String,
    pub text: String,
    /// It is a symptom: something failed or was lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_bad: bool,
}

/// What is known of the time.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub alerts: Vec<Alert>,
    /// Events of the namespace.
    pub events: Vec<Value>,
    pub applications: Vec<Value>,
    /// Objects whose managed fields say who changed them when: applications, schedules, workloads.
    pub changed: Vec<Value>,
    pub records: Vec<Record>,
}

/// Who writes without being asked: what they change is no release.
const MACHINES: [&str; 6] = [
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "spark-operator",
    "stoke-operator",
    "stoke-runbook",
];

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// Everything between two times, in order; the same thing said twice stands once.
#[must_use]
pub fn collect(incident: &Incident, sources: &Sources, from: Timestamp, until: Timestamp) -> Vec<Item> {
    let mut items = Vec::new();
    alerts::items(&sources.alerts, &mut items);
    events(&sources.events, &mut items);
    runs(&sources.applications, &mut items);
    changes(&sources.changed, &mut items);
    records(&sources.records, &mut items);
    notes(incident, &mut items);
    items.retain(|item| from <= item.time && item.time <= until);
    items.sort_by(|a, b| (a.time, a.source, &a.about, &a.text).cmp(&(b.time, b.source, &b.about, &b.text)));
    items.dedup();
    items
}

fn events(events: &[Value], items: &mut Vec<Item>) {
    for event in events {
        let about = if event["involvedObject"].is_null() {
            &event["regarding"]
        } else {
            &event["involvedObject"]
        };
        let first = [&event["firstTimestamp"], &event["eventTime"], &event["lastTimestamp"]];
        let Some(time) = first.into_iter().find_map(time) else {
            continue;
        };
        // What goes as it should is no news of an incident.
        if event["type"] != "Warning" {
            continue;
        }
        let message = match text(&event["message"]) {
            "" => text(&event["note"]),
            message => message,
        };
        let times = event["count"]
            .as_u64()
            .filter(|count| *count > 1)
            .map(|count| format!(" ({count} times)"))
            .unwrap_or_default();
        items.push(Item {
            time,
            source: Source::Event,
            about: format!("{} {}", text(&about["kind"]), text(&about["name"])),
            text: format!("{}: {message}{times}", text(&event["reason"])),
            is_bad: true,
        });
    }
}

fn runs(applications: &[Value], items: &mut Vec<Item>) {
    for application in applications {
        let name = text(&application["metadata"]["name"]);
        let last = application["status"]["transitions"].as_array().map_or(0, Vec::len);
        for (number, transition) in application["status"]["transitions"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let (Some(time), state) = (time(&transition["time"]), text(&transition["state"])) else {
                continue;
            };
            let why = match text(&transition["reason"]) {
                "" if number + 1 == last => text(&application["status"]["applicationState"]["errorMessage"]),
                reason => reason,
            };
            let why = if why.is_empty() {
                String::new()
            } else {
                format!(": {why}")
            };
            items.push(Item {
                time,
                source: Source::Run,
                about: format!("application {name}"),
                text: format!("{state}{why}"),
                is_bad: matches!(state, "FAILING" | "FAILED" | "SUBMISSION_FAILED"),
            });
        }
    }
}

fn changes(objects: &[Value], items: &mut Vec<Item>) {
    for object in objects {
        let about = format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
        for fields in object["metadata"]["managedFields"].as_array().into_iter().flatten() {
            let manager = text(&fields["manager"]);
            let is_status = !text(&fields["subresource"]).is_empty();
            let touches_spec = fields["fieldsV1"]["f:spec"].is_object();
            let Some(time) = time(&fields["time"]) else {
                continue;
            };
            if is_status || !touches_spec || MACHINES.iter().any(|machine| manager.starts_with(machine)) {
                continue;
            }
            let created = object["metadata"]["creationTimestamp"] == fields["time"];
            items.push(Item {
                time,
                source: Source::Change,
                about: about.clone(),
                text: format!("{} by {manager}", if created { "created" } else { "changed" }),
                is_bad: false,
            });
        }
    }
}

fn records(records: &[Record], items: &mut Vec<Item>) {
    for record in records.iter().filter(|record| !record.is_dry()) {
        let Some((id, runbook, input)) = record.opening() else {
            continue;
        };
        let of = input
            .get("application")
            .or(input.get("connect"))
            .or(input.get("node"))
            .or(input.get("schedule"));
        let about = format!("{runbook} ({id})");
        let mut push = |time, text: String| {
            items.push(Item {
                time,
                source: Source::Runbook,
                about: about.clone(),
                text,
                is_bad: false,
            });
        };
        for entry in &record.entries {
            match entry {
                Entry::Opened { time, who, .. } => push(
                    *time,
                    format!(
                        "begun by {who}{}",
                        of.map(|of| format!(" for {of}")).unwrap_or_default()
                    ),
                ),
                Entry::Checked {
                    time,
                    step,
                    says,
                    verdict,
                    ..
                } if *verdict != Verdict::Nothing => push(*time, format!("{step} saw: {says}")),
                Entry::Intended { time, step, plan } => push(*time, format!("{step} changes: {}", plan.blast)),
                Entry::Verified { time, step, says } => push(*time, format!("{step} holds: {says}")),
                Entry::Undid { time, step, says, .. } => push(*time, format!("{step} undone: {says}")),
                Entry::Ended { time, ending, says } => push(*time, format!("{}: {says}", ending.words())),
                _ => {}
            }
        }
    }
}

fn notes(incident: &Incident, items: &mut Vec<Item>) {
    for line in &incident.lines {
        let (time, about, text) = match line {
            Line::Opened { time, who, title, .. } => (*time, who, format!("opened: {title}")),
            Line::Noted { time, who, about, text } => {
                let word = match about {
                    About::Fact => "",
                    About::Cause => "cause: ",
                    About::Repaired => "repaired: ",
                    About::Next => "to be done: ",
                };
                (*time, who, format!("{word}{text}"))
            }
            Line::Closed { time, who, says } => (*time, who, format!("closed: {says}")),
            Line::Collected { .. } => continue,
        };
        items.push(Item {
            time,
            source: Source::Note,
            about: about.clone(),
            text,
            is_bad: false,
        });
    }
}

/// Applications that the items say failed, each once.
#[must_use]
pub fn failed(items: &[Item]) -> Vec<&str> {
    let mut failed: Vec<&str> = items
        .iter()
        .filter(|item| item.source == Source::Run && item.is_bad)
        .filter_map(|item| item.about.strip_prefix("application "))
        .collect();
    failed.sort_unstable();
    failed.dedup();
    failed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::opened;
    use super::*;

    #[test]
    fn what_happened_stands_in_order_from_all_sources() {
        let sources = Sources {
            alerts: alerts::of_alertmanager(&[
                json!({"labels": {"alertname": "SparkApplicationFailed", "severity": "page"}, "annotations": {"summary": "etl failed"},
                "startsAt": "2026-01-01T00:05:00Z", "endsAt": "2026-01-01T00:20:00Z", "status": "resolved"}),
            ])
            .unwrap(),
            events: vec![
                json!({"type": "Warning", "reason": "BackOff", "message": "again", "count": 3, "involvedObject": {"kind": "Pod", "name": "etl-driver"}, "firstTimestamp": "2026-01-01T00:03:00Z"}),
                json!({"type": "Normal", "reason": "Pulled", "message": "x", "involvedObject": {"kind": "Pod", "name": "p"}, "firstTimestamp": "2026-01-01T00:03:00Z"}),
            ],
            applications: vec![
                json!({"metadata": {"name": "etl"}, "status": {"applicationState": {"errorMessage": "exit 3"}, "transitions": [
                {"state": "RUNNING", "time": "2026-01-01T00:02:00Z"}, {"state": "FAILED", "time": "2026-01-01T00:04:00Z"}]}}),
            ],
            changed: vec![
                json!({"kind": "SparkApplication", "metadata": {"name": "etl", "creationTimestamp": "2025-12-01T00:00:00Z", "managedFields": [
                {"manager": "argocd", "time": "2026-01-01T00:01:00Z", "fieldsV1": {"f:spec": {"f:image": {}}}},
                {"manager": "stoke-operator", "time": "2026-01-01T00:01:30Z", "fieldsV1": {"f:spec": {}}},
                {"manager": "kubectl", "subresource": "status", "time": "2026-01-01T00:01:40Z", "fieldsV1": {"f:spec": {}}}]}}),
            ],
            records: Vec::new(),
        };
        let (from, until) = (
            "2026-01-01T00:00:00Z".parse().unwrap(),
            "2026-01-01T01:00:00Z".parse().unwrap(),
        );
        let items = collect(&opened(None), &sources, from, until);
        let told: Vec<String> = items
            .iter()
            .map(|item| format!("{} {} {}", item.source.word(), item.about, item.text))
            .collect();
        assert_eq!(
            told,
            [
                "change SparkApplication etl changed by argocd",
                "run application etl RUNNING",
                "event Pod etl-driver BackOff: again (3 times)",
                "run application etl FAILED: exit 3",
                "alert SparkApplicationFailed fires (page): etl failed",
                "note ada opened: orders are late",
                "alert SparkApplicationFailed is over after 15 min",
            ]
        );
        assert_eq!(failed(&items), ["etl"]);
    }
}
