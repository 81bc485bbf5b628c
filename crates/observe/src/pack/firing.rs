//! Alerts that fire now, as Alertmanager gives them at `/api/v2/alerts` (its OpenAPI: `gettableAlerts`).
//!
//! In: its answer. Out: the alerts, the most urgent first. Alerts of other rules than ours are read as well.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::alert::Severity;

/// Whether somebody is notified of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notified {
    Yes,
    /// Someone silenced it.
    Silenced,
    /// Another alert says the same.
    Inhibited,
    /// Alertmanager has not looked at it yet.
    NotYet,
}

/// An alert that fires.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Firing {
    /// Alertmanager's id of it.
    pub fingerprint: String,
    pub name: String,
    /// The label `severity`, whatever rules call it.
    pub severity: String,
    /// Who has to act: the label `team`.
    pub team: Option<String>,
    /// What it is about: the labels besides name, severity and team.
    pub labels: BTreeMap<String, String>,
    pub summary: String,
    pub description: String,
    /// The name of a runbook, for `stoke runbook run`.
    pub runbook: Option<String>,
    pub since: Timestamp,
    pub notified: Notified,
}

impl Firing {
    /// Whether it only shows that alerts arrive.
    #[must_use]
    pub fn is_heartbeat(&self) -> bool {
        self.severity == Severity::Heartbeat.label()
    }

    /// Whether it needs someone: it fires, is not a heartbeat, and no one and nothing keeps it silent.
    #[must_use]
    pub fn needs_someone(&self) -> bool {
        !self.is_heartbeat() && matches!(self.notified, Notified::Yes | Notified::NotYet)
    }

    /// The most urgent first: pages, then what is not known, then tickets, heartbeats last.
    fn rank(&self) -> u8 {
        let of = |severity: Severity| self.severity == severity.label();
        match () {
            () if of(Severity::Escalation) => 0,
            () if of(Severity::Page) => 1,
            () if of(Severity::Ticket) => 3,
            () if of(Severity::Heartbeat) => 4,
            () => 2,
        }
    }

    fn of(alert: &Value) -> Result<Firing, String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut labels: BTreeMap<String, String> = serde_json::from_value(alert["labels"].clone())
            .map_err(|error| format!("an alert's labels cannot be read: {error}"))?;
        let name = labels.remove("alertname").unwrap_or_default();
        let since = alert["startsAt"].as_str().unwrap_or_default();
        let since = since
            .parse::<Timestamp>()
            .map_err(|error| format!("alert {name}: startsAt {since:?}: {error}"))?;
        let status = &alert["status"];
        let by = |what: &str| status[what].as_array().is_some_and(|ids| !ids.is_empty());
        let notified = match status["state"].as_str() {
            Some("active") => Notified::Yes,
            Some("unprocessed") => Notified::NotYet,
            // Alertmanager names silences first, too.
            Some("suppressed") if by("silencedBy") => Notified::Silenced,
            Some("suppressed") => Notified::Inhibited,
            other => return Err(format!("alert {name}: the state {other:?} is not one that is known")),
        };
        let annotations = &alert["annotations"];
        Ok(Firing {
            fingerprint: text(&alert["fingerprint"]),
            severity: labels.remove("severity").unwrap_or_default(),
            team: labels.remove("team"),
            labels,
            summary: text(&annotations["summary"]),
            description: text(&annotations["description"]),
            runbook: annotations["runbook"].as_str().map(str::to_owned),
            since,
            notified,
            name,
        })
    }
}

/// The alerts of an answer, the most urgent first and of the same urgency the oldest first.
///
/// # Errors
/// The answer is not a list of alerts, or one of them cannot be read: half of what fires is not shown as if it were all.
pub fn read(answer: &Value) -> Result<Vec<Firing>, String> {
    let alerts = answer.as_array().ok_or("the answer is not a list of alerts")?;
    let mut firing: Vec<Firing> = alerts.iter().map(Firing::of).collect::<Result<_, _>>()?;
    firing.sort_by(|a, b| (a.rank(), a.since, &a.fingerprint).cmp(&(b.rank(), b.since, &b.fingerprint)));
    Ok(firing)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alert(name: &str, severity: &str, state: &str, silenced: &[&str], inhibited: &[&str]) -> Value {
        json!({
            "labels": {"alertname": name, "severity": severity, "team": "orders", "app": "etl", "namespace": "shop"},
            "annotations": {"summary": "it failed", "description": "more", "runbook": "driver-crash-loop", "runbook_url": "https://x/y.md"},
            "startsAt": "2026-11-24T10:00:00.123Z", "endsAt": "2026-11-24T10:05:00Z", "updatedAt": "2026-11-24T10:01:00Z",
            "fingerprint": format!("f-{name}"), "receivers": [{"name": "on-call"}], "generatorURL": "",
            "status": {"state": state, "silencedBy": silenced, "inhibitedBy": inhibited},
        })
    }

    #[test]
    fn what_fires_is_in_the_order_of_its_urgency() {
        let answer = json!([
            alert("StokeHeartbeat", "heartbeat", "active", &[], &[]),
            alert("Ticket", "ticket", "active", &[], &[]),
            alert("Other", "critical", "unprocessed", &[], &[]),
            alert("Page", "page", "active", &[], &[]),
        ]);
        let read = read(&answer).unwrap();
        let names: Vec<&str> = read.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["Page", "Other", "Ticket", "StokeHeartbeat"]);
        assert_eq!(
            (
                read[0].team.as_deref(),
                read[0].runbook.as_deref(),
                read[0].labels["app"].as_str()
            ),
            (Some("orders"), Some("driver-crash-loop"), "etl")
        );
        assert!(!read[0].labels.contains_key("severity"));
        let needs: Vec<bool> = read.iter().map(Firing::needs_someone).collect();
        assert_eq!(needs, [true, true, true, false]);
    }

    #[test]
    fn what_is_kept_silent_needs_no_one() {
        let answer = json!([
            alert("A", "page", "suppressed", &["s1"], &[]),
            alert("B", "page", "suppressed", &[], &["f-A"]),
        ]);
        let read = read(&answer).unwrap();
        assert_eq!(
            (read[0].notified, read[1].notified),
            (Notified::Silenced, Notified::Inhibited)
        );
        assert!(read.iter().all(|one| !one.needs_someone()));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let mut late = alert("A", "page", "active", &[], &[]);
        late["startsAt"] = "yesterday".into();
        let mut odd = alert("A", "page", "asleep", &[], &[]);
        odd["labels"]["x"] = json!("1");
        for (answer, part) in [
            (json!({"status": "success"}), "not a list"),
            (json!([late]), "startsAt"),
            (json!([odd]), "asleep"),
            (json!([{"labels": 1}]), "labels"),
        ] {
            let said = read(&answer).unwrap_err();
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(read(&json!([])), Ok(Vec::new()));
    }
}
