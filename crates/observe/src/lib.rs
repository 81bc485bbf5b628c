//! Room `observe`: what monitors Spark on Kubernetes, from the names of metrics to the page that wakes somebody.
//!
//! In: files of the user (rules, dashboards, objectives), outcomes of runs. Out: findings, gauges, manifests. It scrapes nothing and sends nothing.

pub mod catalogue;
pub mod codes;
pub mod incident;
pub mod pack;
pub mod promql;
pub mod rules;
pub mod runbook;
pub mod slo;
