//! The pack as files, and as objects of a cluster.

use serde_json::{Value, json};

use super::scrape::Discovery;
use super::{Settings, alertmanager, alerts, dashboards, rules, scrape, shipping, units, yaml};

/// For which Prometheus it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The Prometheus Operator: PodMonitors, a PrometheusRule, ConfigMaps with dashboards, Secrets.
    #[default]
    Operator,
    /// A Prometheus with configuration files.
    Plain,
}

/// A file of the pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path in the pack.
    pub path: String,
    pub text: String,
}

/// Objects of a cluster with the Prometheus Operator: one after the other they are applied.
#[must_use]
pub fn objects(settings: &Settings) -> Vec<Value> {
    let mut objects = scrape::monitors(settings);
    objects.push(rules::prometheus_rule(settings));
    objects.push(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "stoke-alertmanager", "namespace": settings.namespace, "labels": settings.labels},
        "stringData": {"alertmanager.yaml": yaml(&alertmanager::configuration(settings))},
    }));
    objects.extend(dashboards::all().iter().map(|dashboard| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("stoke-dashboard-{}", dashboard.name), "namespace": settings.namespace, "labels": {"grafana_dashboard": "1"}},
            "data": {format!("{}.json", dashboard.name): format!("{:#}", dashboards::json(dashboard))},
        })
    }));
    if let Some(logs) = &settings.logs {
        objects.extend(shipping::objects(settings, logs));
    }
    objects
}

/// All files.
#[must_use]
pub fn files(settings: &Settings, form: Form) -> Vec<File> {
    let file = |path: &str, text: String| File {
        path: path.to_owned(),
        text,
    };
    let mut files = vec![
        file("rules.yaml", yaml(&rules::groups(settings))),
        file("tests.yaml", yaml(&units::file("rules.yaml", alerts::all(), settings))),
        file("alertmanager.yaml", yaml(&alertmanager::configuration(settings))),
    ];
    match form {
        Form::Operator => {
            let objects: Vec<String> = objects(settings).iter().map(yaml).collect();
            files.push(file("manifests.yaml", objects.join("---\n")));
        }
        Form::Plain => {
            let whole = scrape::prometheus(settings, &Discovery::InCluster, "rules.yaml", "alertmanager:9093");
            files.push(file("prometheus.yaml", yaml(&whole)));
        }
    }
    if let Some(logs) = &settings.logs {
        files.push(file("collector.yaml", yaml(&shipping::collector::configuration(logs))));
        if form == Form::Plain {
            let objects: Vec<String> = shipping::objects(settings, logs).iter().map(yaml).collect();
            files.push(file("logs.yaml", objects.join("---\n")));
        }
    }
    files.extend(dashboards::all().iter().map(|dashboard| {
        let text = format!("{:#}\n", dashboards::json(dashboard));
        file(&format!("dashboards/{}.json", dashboard.name), text)
    }));
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Input, Report, Settings as Checks, check};
    use crate::runbook;

    fn checked() -> Report {
        let inputs: Vec<Input> = files(&Settings::default(), Form::Plain)
            .iter()
            .filter(|file| file.path == "rules.yaml" || file.path.starts_with("dashboards/"))
            .map(|file| Input::named(&file.path, &file.text))
            .collect();
        check(&inputs, &Checks::default())
    }

    /// What we say of other people's rules holds for ours.
    #[test]
    fn no_rule_and_no_panel_asks_for_what_nothing_emits() {
        let report = checked();
        let wrong: Vec<String> = report
            .diagnostics
            .iter()
            .filter(|found| found.severity > stoke_diagnostics::Severity::Advice)
            .map(|found| format!("{found}"))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let expressions: usize = report.expressions.values().sum();
        assert!(expressions > 60, "{:?}", report.expressions);
    }

    #[test]
    fn every_alert_leads_to_a_runbook_that_runs() {
        let missing: Vec<_> = alerts::all()
            .filter(|alert| runbook::books::find(alert.runbook).is_none())
            .map(|alert| (alert.name, alert.runbook))
            .collect();
        assert_eq!(missing, []);
    }
}
