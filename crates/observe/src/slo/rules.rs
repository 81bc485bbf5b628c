//! Rules for Prometheus: burn rates in several windows for services, one comparison of gauges for runs.
//!
//! A page of a service means that 2 % of its budget went in an hour, or 5 % in six; a ticket that 10 % went in a day or in three. A short window beside each
//! ends the alert soon after the trouble ends. A pair that could never hold, since even a total outage burns slower, is left out.

use std::collections::BTreeMap;

use serde::Serialize;
use stoke_diagnostics::{Diagnostic, Severity};

use super::objective::{Alert, Kind, Objective, Service, WINDOW, Window};
use super::status::{TICKET, allowed};

/// A file of rules.
#[derive(Clone, Debug, Serialize)]
pub struct Rules {
    pub groups: Vec<Group>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Group {
    pub name: String,
    pub rules: Vec<Rule>,
}

/// A recording rule or an alert.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    pub expr: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A long window, a short one beside it, the hours of the long one, and the share of the budget that goes in it.
struct Burn {
    long: &'static str,
    short: &'static str,
    hours: f64,
    share: f64,
    page: bool,
}

const fn burn(long: &'static str, short: &'static str, hours: f64, share: f64, page: bool) -> Burn {
    Burn {
        long,
        short,
        hours,
        share,
        page,
    }
}

const BURNS: [Burn; 4] = [
    burn("1h", "5m", 1.0, 0.02, true),
    burn("6h", "30m", 6.0, 0.05, true),
    burn("1d", "2h", 24.0, 0.1, false),
    burn("3d", "6h", 72.0, 0.1, false),
];
const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

/// The rules of these objectives, and what is to be said of them.
#[must_use]
pub fn rules(objectives: &[Objective]) -> (Rules, Vec<Diagnostic>) {
    let (mut groups, mut complaints) = (Vec::new(), Vec::new());
    let mut batch = false;
    for objective in objectives {
        match &objective.kind {
            Kind::Batch(_) => batch = true,
            Kind::Service(service) => groups.push(of_service(objective, service, &mut complaints)),
        }
    }
    if batch {
        groups.push(of_gauges());
    }
    (Rules { groups }, complaints)
}

/// The share of bad events over a window, in PromQL.
fn bad_ratio(service: &Service, window: &str) -> String {
    let put = |query: &str| query.replace(WINDOW, window);
    match service {
        Service::Bad { bad, total } => format!("({}) / ({})", put(bad), put(total)),
        Service::Good { good, total } => format!("1 - (({}) / ({}))", put(good), put(total)),
        Service::Ratio(query) => put(query),
        Service::GoodRatio(query) => format!("1 - ({})", put(query)),
        Service::Threshold { query, operator, value } => {
            format!(
                "1 - avg_over_time((({}) {operator} bool {value})[{window}:1m])",
                put(query)
            )
        }
    }
}

fn recorded(window: &str) -> String {
    format!("stoke_slo:bad_ratio:rate{window}")
}

fn of_service(objective: &Objective, service: &Service, complaints: &mut Vec<Diagnostic>) -> Group {
    let own = BTreeMap::from([
        ("slo".to_owned(), objective.name.clone()),
        ("service".to_owned(), objective.service.clone()),
    ]);
    let mut labels = objective.labels.clone();
    labels.extend(own.clone());
    let days = objective.window.days();
    let whole = match objective.window {
        Window::Rolling(days) => format!("{days}d"),
        Window::Month(_) => "30d".to_owned(),
    };
    let record = |name: String, expr: String| Rule {
        record: Some(name),
        expr,
        labels: labels.clone(),
        ..Rule::default()
    };
    let mut rules: Vec<Rule> = WINDOWS
        .iter()
        .map(|window| record(recorded(window), bad_ratio(service, window)))
        .collect();
    let allowed_rate = allowed(objective.target);
    let selector = format!(
        "{{service=\"{}\",slo=\"{}\"}}",
        super::gauges::escaped(&objective.service),
        super::gauges::escaped(&objective.name)
    );
    rules.push(record(
        "stoke_slo:objective:ratio".to_owned(),
        format!("vector({})", objective.target),
    ));
    if !WINDOWS.contains(&whole.as_str()) {
        rules.push(record(recorded(&whole), bad_ratio(service, &whole)));
    }
    rules.push(record(
        "stoke_slo:budget_remaining:ratio".to_owned(),
        format!("1 - {}{selector} / {allowed_rate}", recorded(&whole)),
    ));
    let mut alerts = Vec::new();
    for (page, severity, alert) in [
        (true, "page", &objective.alerting.page),
        (false, "ticket", &objective.alerting.ticket),
    ] {
        if alert.disable {
            continue;
        }
        let pairs = BURNS.iter().filter(|burn| burn.page == page);
        let terms: Vec<String> = pairs
            .filter_map(|burn| {
                let factor = burn.share * f64::from(days) * 24.0 / burn.hours;
                let threshold = ((factor * allowed_rate) * 1e12).round() / 1e12;
                let term = |window: &str| format!("{}{selector} > {threshold}", recorded(window));
                (threshold < 1.0).then(|| format!("({} and {})", term(burn.long), term(burn.short)))
            })
            .collect();
        if terms.is_empty() {
            let written = &objective.written;
            let message = format!(
                "no {severity} is made: under {} % even a total outage burns too slowly for its windows",
                objective.target * 100.0
            );
            let complaint = Diagnostic::at(
                Severity::Warning,
                "slo-no-alert",
                &written.source,
                written.place,
                "",
                message,
            );
            complaints.push(complaint.with_fix("alert on the service itself being down, or promise more"));
            continue;
        }
        alerts.push(burning(objective, severity, alert, terms.join(" or "), &own));
    }
    // In one group: rules of a group are evaluated in order, so that alerts see what was just recorded.
    rules.extend(alerts);
    Group {
        name: format!("stoke-slo-{}-{}", objective.service, objective.name),
        rules,
    }
}

fn burning(objective: &Objective, severity: &str, alert: &Alert, expr: String, own: &BTreeMap<String, String>) -> Rule {
    let all = &objective.alerting;
    let mut labels = all.labels.clone();
    labels.extend(alert.labels.clone());
    labels.extend(own.clone());
    labels
        .entry("severity".to_owned())
        .or_insert_with(|| severity.to_owned());
    let mut annotations = BTreeMap::from([
        (
            "summary".to_owned(),
            format!(
                "{} burns the error budget of {} too fast",
                objective.service, objective.name
            ),
        ),
        (
            "description".to_owned(),
            format!(
                "{{{{ $value | humanizePercentage }}}} of events are bad; {} % may be.",
                allowed(objective.target) * 100.0
            ),
        ),
    ]);
    annotations.extend(all.annotations.clone());
    annotations.extend(alert.annotations.clone());
    Rule {
        alert: Some(all.name.clone().unwrap_or_else(|| "StokeErrorBudgetBurn".to_owned())),
        expr,
        labels,
        annotations,
        ..Rule::default()
    }
}

/// Alerts on the gauges of runs: the same for all objectives.
fn of_gauges() -> Group {
    let alert = |name: &str, severity: &str, expr: String, summary: &str, description: &str| Rule {
        alert: Some(name.to_owned()),
        expr,
        labels: BTreeMap::from([("severity".to_owned(), severity.to_owned())]),
        annotations: BTreeMap::from([
            ("summary".to_owned(), summary.to_owned()),
            ("description".to_owned(), description.to_owned()),
        ]),
        ..Rule::default()
    };
    Group {
        name: "stoke-slo-runs".to_owned(),
        rules: vec![
            alert(
                "StokeObjectiveBroken",
                "page",
                "stoke_slo_evidence >= stoke_slo_evidence_threshold".to_owned(),
                "{{ $labels.slo }} of {{ $labels.job }} does not keep its objective",
                "The runs so far are not those of a job within its objective. `stoke slo status` shows the record, `stoke doctor` why the last run failed.",
            ),
            alert(
                "StokeResultOverdue",
                "page",
                "stoke_slo_overdue_seconds > 0".to_owned(),
                "The result of {{ $labels.slo }} has been due for {{ $value | humanizeDuration }}",
                "No run has succeeded by the deadline. `stoke slo status` shows the record.",
            ),
            alert(
                "StokeWindowImprobable",
                "ticket",
                format!("stoke_slo_window_probability <= {TICKET}"),
                "{{ $labels.slo }}: more bad runs in {{ $labels.window }} than its objective explains",
                "At the objective itself so many would have probability {{ $value }}.",
            ),
            alert(
                "StokeBudgetSpent",
                "ticket",
                "stoke_slo_budget_remaining_ratio_high < 0".to_owned(),
                "The error budget of {{ $labels.slo }} is spent",
                "It is overspent with 95 % confidence. The gate stops releases while its policy is to freeze.",
            ),
            alert(
                "StokeObjectivesNotRead",
                "ticket",
                "time() - stoke_slo_read_timestamp_seconds > 900".to_owned(),
                "Objectives of runs were not read for {{ $value | humanizeDuration }}",
                "The server of the gauges cannot read the runs; its log says why.",
            ),
            alert(
                "StokeObjectivesAbsent",
                "ticket",
                "absent(stoke_slo_read_timestamp_seconds)".to_owned(),
                "No objectives of runs are scraped",
                "Start `stoke slo serve`, and scrape it.",
            ),
        ],
    }
}

impl Rules {
    /// The object that the Prometheus operator takes.
    #[must_use]
    pub fn custom_resource(&self, name: &str) -> serde_json::Value {
        serde_json::json!({
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "stoke"}},
            "spec": self,
        })
    }
}
