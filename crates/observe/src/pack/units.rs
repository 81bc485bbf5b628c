//! Unit tests of the rules as `promtool test rules` reads them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::alert::{Alert, Case};
use super::{Settings, rules};

/// Labels written as `name=value,name=value`.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A template with the labels in it.
fn filled(template: &str, labels: &BTreeMap<String, String>) -> String {
    let mut text = template.to_owned();
    for (name, value) in labels {
        text = text.replace(&format!("{{{{ $labels.{name} }}}}"), value);
    }
    text
}

fn expected(alert: &Alert, settings: &Settings, fires: &str) -> Value {
    let of_series = pairs(fires);
    let mut labels = of_series.clone();
    labels.extend(
        rules::labels(alert)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let annotations: BTreeMap<&str, String> = rules::annotations(alert, settings)
        .into_iter()
        .map(|(name, template)| (name, filled(&template, &labels)))
        .collect();
    json!({"exp_labels": labels, "exp_annotations": annotations})
}

/// One case of an alert.
#[must_use]
pub fn case(alert: &Alert, case: &Case, settings: &Settings) -> Value {
    let series: Vec<Value> = case
        .series
        .iter()
        .map(|(name, values)| json!({"series": name, "values": values}))
        .collect();
    let checks: Vec<Value> = case
        .checks
        .iter()
        .map(|(at, fires)| {
            let fires: Vec<Value> = fires.iter().map(|labels| expected(alert, settings, labels)).collect();
            json!({"eval_time": at, "alertname": alert.name, "exp_alerts": fires})
        })
        .collect();
    json!({"name": format!("{}: {}", alert.name, case.note), "interval": "1m", "input_series": series, "alert_rule_test": checks})
}

/// The tests of these alerts against this rule file.
#[must_use]
pub fn file<'a>(rule_file: &str, alerts: impl IntoIterator<Item = &'a Alert>, settings: &Settings) -> Value {
    let cases = |alert: &'a Alert| {
        alert
            .cases
            .iter()
            .map(|one| case(alert, one, settings))
            .collect::<Vec<_>>()
    };
    let tests: Vec<Value> = alerts.into_iter().flat_map(cases).collect();
    json!({"rule_files": [rule_file], "evaluation_interval": "1m", "tests": tests})
}
