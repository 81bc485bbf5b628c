//! The pack: everything that monitors Spark on Kubernetes, made out of one typed source.
//!
//! In: [`Settings`]. Out: files: scrape configuration, rules with their unit tests, an Alertmanager configuration, dashboards, log shipping.
//! - [`alert`]: what an alert is; [`alerts`]: all of them
//! - [`rules`]: rule files, `PrometheusRule` objects
//! - [`units`]: unit tests of the rules, for promtool
//! - [`mutants`]: rules with one thing wrong, to measure those tests
//! - [`scrape`]: what is scraped, as monitors or as plain configuration
//! - [`shipping`]: logs of pods, from each node to Loki or another receiver of OpenTelemetry's logs
//! - [`series`]: what a scrape costs
//! - [`alertmanager`]: who gets which alerts, when
//! - [`dashboards`]: pages of Grafana for five kinds of people
//! - [`tempo`]: all times, divided
//! - [`firing`]: what fires now, as Alertmanager says it
//!
//! It asks no one: what it makes depends on the settings alone.

pub mod alert;
pub mod alertmanager;
pub mod alerts;
pub mod dashboards;
mod files;
pub mod firing;
pub mod mutants;
pub mod rules;
pub mod scrape;
pub mod series;
mod settings;
pub mod shipping;
mod tempo;
pub mod units;

pub use files::{File, Form, files, objects};
pub use settings::{Quiet, Receivers, Settings};
pub use tempo::Tempo;

use serde_json::Value;

/// YAML as people read it.
#[must_use]
pub fn yaml(value: &Value) -> String {
    // A JSON value can always be written.
    serde_saphyr::to_string(value).unwrap_or_default()
}
