//! CDEvents of what happened to a release, out of the ledger.
//!
//! In: entries. Out: CloudEvents with CDEvents 0.5 in them, each with an id that follows from its entry, so that what is sent twice is known to be the same. The events of
//! a release are one chain, whose id follows from its digest. `docs/how-to/release.md` says which entry becomes which event.

use serde_json::{Value, json};

use crate::ledger::decide::Step;
use crate::ledger::{Entry, Event, Verdict};
use crate::oci::Digest;

/// The version of CDEvents.
pub const VERSION: &str = "0.5.0";

/// The chain of a release: its digest as a UUID.
#[must_use]
pub fn chain(release: &Digest) -> String {
    stoke_model::names::uuid(release.hex(), '8')
}

/// The trace id of what a release's chain leads to, as W3C writes it: 32 hexadecimal digits.
#[must_use]
pub fn trace(release: &Digest) -> String {
    chain(release).replace('-', "")
}

/// The event of an entry; `source` is the ledger's URL. None for entries that no event of CDEvents is for.
#[must_use]
pub fn of(entry: &Entry, source: &str, name: &str) -> Option<Value> {
    let purl = |release: &Digest| {
        format!(
            "pkg:generic/{}?digest={}",
            escaped(name),
            release.to_string().replace(':', "%3A")
        )
    };
    let environment = |name: &str| json!({"id": name, "source": source});
    let (release, kind, version, subject, custom) = match &entry.event {
        Event::Created { release, .. } => (
            release,
            "artifact.packaged",
            "0.3.0",
            json!({"id": purl(release), "content": {"change": {"id": release.hex(), "source": source}}}),
            Value::Null,
        ),
        Event::Verified {
            release,
            gate,
            verdict,
            evidence,
            against,
        } => (
            release,
            "testsuiterun.finished",
            "0.3.0",
            json!({"id": format!("{}/{gate}/{}", release.short(), entry.sequence), "content": {"outcome": outcome(verdict), "environment": environment("release"), "testSuite": {"id": gate, "name": gate}}}),
            match against {
                Some(against) => json!({"verdict": verdict, "evidence": evidence, "against": against}),
                None => json!({"verdict": verdict, "evidence": evidence}),
            },
        ),
        Event::Deployed {
            release,
            environment: target,
            intent,
        } => {
            let content = json!({"environment": environment(target), "artifactId": purl(release)});
            (
                release,
                "service.deployed",
                "0.3.0",
                json!({"id": format!("{target}/{name}"), "content": content}),
                json!({"intent": intent}),
            )
        }
        Event::Approved {
            release,
            environment: target,
            ..
        } => {
            return Some(custom_event(
                entry,
                source,
                release,
                "approval.granted",
                json!({"id": format!("{target}/{}", release.short()), "content": {"environment": target}}),
            ));
        }
        Event::DataAudited {
            release,
            environment: target,
            data,
            version,
            verdict,
            evidence,
            contract,
            ..
        } => (
            release,
            "testsuiterun.finished",
            "0.3.0",
            json!({"id": format!("{target}/{data}/{}", entry.sequence), "content": {"outcome": outcome(verdict), "environment": environment(target), "testSuite": {"id": contract, "name": data}}}),
            json!({"version": version, "evidence": evidence}),
        ),
        Event::DataMoved {
            release,
            environment: target,
            data,
            step,
            from,
            to,
            ..
        } => {
            let kind = match step {
                Step::Promote => "data.published",
                Step::Rollback => "data.rolledback",
            };
            let content = json!({"environment": target, "data": data, "version": to, "before": from});
            return Some(custom_event(
                entry,
                source,
                release,
                kind,
                json!({"id": format!("{target}/{data}"), "content": content}),
            ));
        }
        _ => return None,
    };
    let mut event = context(entry, source, release, &format!("dev.cdevents.{kind}.{version}"));
    event["subject"] = subject;
    event["subject"]["source"] = json!(source);
    if !custom.is_null() {
        event["customData"] = custom;
        event["customDataContentType"] = json!("application/json");
    }
    Some(event)
}

/// The events of a ledger after an entry, in its order; a rollback is known by its intent.
#[must_use]
pub fn all(entries: &[Entry], source: &str, after: u64, name: &dyn Fn(&Digest) -> String) -> Vec<Value> {
    let mut events = Vec::new();
    for entry in entries.iter().filter(|entry| entry.sequence > after) {
        let Some(release) = release_of(&entry.event) else {
            continue;
        };
        let Some(mut event) = of(entry, source, &name(release)) else {
            continue;
        };
        if let Event::Deployed { intent, .. } = &entry.event {
            let intended = entries.iter().find(|other| other.sequence == *intent);
            match intended.map(|intended| &intended.event) {
                Some(Event::Intended {
                    step: Step::Rollback, ..
                }) => {
                    event["context"]["type"] = json!("dev.cdevents.service.rolledback.0.3.0");
                }
                Some(Event::Intended { replaces: Some(_), .. }) => {
                    event["context"]["type"] = json!("dev.cdevents.service.upgraded.0.3.0");
                }
                _ => {}
            }
        }
        events.push(event);
    }
    events
}

/// The release an entry is about.
#[must_use]
pub fn release_of(event: &Event) -> Option<&Digest> {
    match event {
        Event::Created { release, .. }
        | Event::Verified { release, .. }
        | Event::Approved { release, .. }
        | Event::Intended { release, .. }
        | Event::Deployed { release, .. }
        | Event::DataAudited { release, .. }
        | Event::DataMoving { release, .. }
        | Event::DataMoved { release, .. } => Some(release),
        Event::Abandoned { .. } | Event::DataAbandoned { .. } => None,
    }
}

/// An event as a CloudEvent in structured form: the body of `application/cloudevents+json`.
#[must_use]
pub fn cloud_event(event: &Value) -> Value {
    let context = &event["context"];
    let trace = context["chainId"].as_str().unwrap_or_default().replace('-', "");
    let span = context["id"].as_str().unwrap_or_default().replace('-', "");
    json!({
        "specversion": "1.0",
        "id": context["id"],
        "source": context["source"],
        "type": context["type"],
        "time": context["timestamp"],
        "subject": event["subject"]["id"],
        "datacontenttype": "application/json",
        "traceparent": format!("00-{trace}-{}-01", span.get(..16).unwrap_or_default()),
        "data": event,
    })
}

/// The outcome of a test run, in CDEvents' words.
fn outcome(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass | Verdict::Waived => "success",
        Verdict::Fail => "failure",
    }
}

fn context(entry: &Entry, source: &str, release: &Digest, kind: &str) -> Value {
    json!({"context": {
        "specversion": VERSION,
        "id": chain(&entry.digest()),
        "chainId": chain(release),
        "source": source,
        "type": kind,
        "timestamp": entry.time,
    }})
}

fn custom_event(entry: &Entry, source: &str, release: &Digest, kind: &str, mut subject: Value) -> Value {
    subject["source"] = json!(source);
    let mut event = context(entry, source, release, &format!("dev.cdeventsx.stoke-{kind}.0.1.0"));
    event["subject"] = subject;
    event
}

fn escaped(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-._".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn the_events_of_a_release_are_one_chain() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let deployed = |release: &Digest, intent| Event::Deployed {
            release: release.clone(),
            environment: "dev".into(),
            intent,
        };
        let intended = |release: &Digest, step, replaces| Event::Intended {
            release: release.clone(),
            environment: "dev".into(),
            step,
            replaces,
            until: Timestamp::UNIX_EPOCH,
        };
        let list = [
            Event::Created {
                release: one.clone(),
                name: "etl".into(),
            },
            intended(&one, Step::Promote, None),
            deployed(&one, 2),
            intended(&two, Step::Promote, Some(one.clone())),
            deployed(&two, 4),
            intended(&one, Step::Rollback, Some(two.clone())),
            deployed(&one, 6),
        ];
        let entries: Vec<Entry> = (1..)
            .zip(list)
            .map(|(sequence, event)| Entry {
                sequence,
                previous: Digest::of(b""),
                time: Timestamp::UNIX_EPOCH,
                by: "test".into(),
                event,
            })
            .collect();
        let events = all(&entries, "file:///releases", 0, &|_| "etl".into());
        let kinds: Vec<&str> = events
            .iter()
            .map(|event| {
                event["context"]["type"]
                    .as_str()
                    .unwrap()
                    .split_at("dev.cdevents.".len())
                    .1
            })
            .collect();
        assert_eq!(
            kinds,
            [
                "artifact.packaged.0.3.0",
                "service.deployed.0.3.0",
                "service.upgraded.0.3.0",
                "service.rolledback.0.3.0"
            ]
        );
        let chains: Vec<&str> = events
            .iter()
            .map(|event| event["context"]["chainId"].as_str().unwrap())
            .collect();
        assert!(chains[0] == chains[1] && chains[0] == chains[3] && chains[0] != chains[2]);
        assert_eq!(events, all(&entries, "file:///releases", 0, &|_| "etl".into()));
        assert_eq!(all(&entries, "file:///releases", 5, &|_| "etl".into()).len(), 1);
        let sent = cloud_event(&events[0]);
        assert_eq!(sent["traceparent"].as_str().unwrap().len(), 55);
        assert!(sent["traceparent"].as_str().unwrap().contains(&trace(&one)));
    }
}
