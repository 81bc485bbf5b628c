//! Rules as Prometheus reads them.

use serde_json::{Value, json};

use super::alert::{Alert, Owner, Recording};
use super::{Settings, alerts};

/// The team that runs the platform.
pub const PLATFORM: &str = "platform";

/// Labels that a rule adds.
#[must_use]
pub fn labels(alert: &Alert) -> Vec<(&'static str, &'static str)> {
    let mut labels = vec![("severity", alert.severity.label())];
    if alert.owner == Owner::Platform {
        labels.push(("team", PLATFORM));
    }
    labels
}

/// Annotations that a rule adds, with their templates.
#[must_use]
pub fn annotations(alert: &Alert, settings: &Settings) -> Vec<(&'static str, String)> {
    vec![
        ("summary", alert.summary.to_owned()),
        ("description", alert.description.to_owned()),
        ("runbook", alert.runbook.to_owned()),
        ("runbook_url", format!("{}/{}.md", settings.runbooks, alert.runbook)),
    ]
}

fn object<T: Into<Value>>(pairs: Vec<(&'static str, T)>) -> Value {
    let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
    Value::Object(pairs.collect())
}

/// An alert as a rule.
#[must_use]
pub fn alert(alert: &Alert, settings: &Settings) -> Value {
    let mut rule = json!({
        "alert": alert.name,
        "expr": settings.tempo.text(alert.expr),
        "labels": object(labels(alert)),
        "annotations": object(annotations(alert, settings)),
    });
    if alert.hold > 0 {
        rule["for"] = settings.tempo.duration(alert.hold).into();
    }
    rule
}

/// A recording rule.
#[must_use]
pub fn recording(recording: &Recording, settings: &Settings) -> Value {
    json!({"record": recording.name, "expr": settings.tempo.text(recording.expr)})
}

/// All groups.
#[must_use]
pub fn groups(settings: &Settings) -> Value {
    let interval = settings.tempo.duration(settings.interval);
    let groups = alerts::GROUPS.iter().map(|(name, alerts)| {
        // Rules of a group are evaluated one after the other: what is recorded for an alert comes before it, in its group.
        let used = |recording: &&Recording| alerts.iter().any(|alert| alert.expr.contains(recording.name));
        let recorded = alerts::RECORDINGS
            .iter()
            .filter(used)
            .map(|rule| recording(rule, settings));
        let rules: Vec<Value> = recorded.chain(alerts.iter().map(|one| alert(one, settings))).collect();
        json!({"name": name, "interval": interval, "rules": rules})
    });
    json!({ "groups": groups.collect::<Vec<_>>() })
}

/// All groups as an object of the Prometheus Operator.
#[must_use]
pub fn prometheus_rule(settings: &Settings) -> Value {
    json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "stoke", "namespace": settings.namespace, "labels": settings.labels},
        "spec": groups(settings),
    })
}
