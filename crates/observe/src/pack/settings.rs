//! What differs between installations.

use std::collections::BTreeMap;

use super::Tempo;
use super::shipping::Logs;

/// Who gets alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receivers {
    /// Webhook of whoever is on call: pages.
    pub on_call: String,
    /// Webhook of who is called when a page is not ended.
    pub escalation: String,
    /// Webhook of the list of work: tickets.
    pub tickets: String,
    /// Webhook that alarms when it hears nothing.
    pub heartbeat: String,
    /// Webhooks of teams, which get the alerts of their jobs beside the ones above.
    pub teams: BTreeMap<String, String>,
}

/// When tickets wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// From then on, `18:00`.
    pub from: String,
    /// Until then, `08:00`.
    pub until: String,
    /// Time zone, `Europe/Zurich`.
    pub zone: String,
}

/// Settings of the pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Namespace of the objects that are made.
    pub namespace: String,
    /// Where the operator's pods are, for a Prometheus that finds them by namespace.
    pub operator_namespace: String,
    /// Labels by which a Prometheus Operator selects monitors and rules, `release: kube-prometheus-stack`.
    pub labels: BTreeMap<String, String>,
    /// Where pages of runbooks are.
    pub runbooks: String,
    pub receivers: Receivers,
    pub quiet: Quiet,
    /// Seconds between two scrapes, and two evaluations of rules.
    pub interval: u64,
    pub tempo: Tempo,
    /// Where logs are sent; none: they are not.
    pub logs: Option<Logs>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: "monitoring".to_owned(),
            operator_namespace: "spark-operator".to_owned(),
            labels: [("release".to_owned(), "kube-prometheus-stack".to_owned())].into(),
            runbooks: "https://github.com/stoke/stoke/blob/main/docs/runbooks".to_owned(),
            receivers: Receivers::default(),
            quiet: Quiet::default(),
            interval: 15,
            tempo: Tempo::default(),
            logs: None,
        }
    }
}

impl Default for Receivers {
    fn default() -> Self {
        let at = |path: &str| format!("http://alert-receiver.monitoring.svc:9095/{path}");
        Self {
            on_call: at("on-call"),
            escalation: at("escalation"),
            tickets: at("tickets"),
            heartbeat: at("heartbeat"),
            teams: BTreeMap::new(),
        }
    }
}

impl Default for Quiet {
    fn default() -> Self {
        Self {
            from: "18:00".to_owned(),
            until: "08:00".to_owned(),
            zone: "UTC".to_owned(),
        }
    }
}
