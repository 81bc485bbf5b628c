//! Sloth's files (`prometheus/v1`) and its custom resource `PrometheusServiceLevel`: the same fields, in snake case and in camel case.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoke_diagnostics::Source;
use stoke_model::manifest::{Fields, Node, join};

use super::queries::windowed;
use super::{has, labels, pairs, refuse, target};
use crate::slo::objective::{Alert, Alerting, Kind, Objective, Policy, Service, Window, Written};

/// Names of keys in one of the two forms.
struct Names {
    error: &'static str,
    total: &'static str,
    ratio: &'static str,
    page: &'static str,
    ticket: &'static str,
    plugins: &'static str,
}

const FILE: Names = Names {
    error: "error_query",
    total: "total_query",
    ratio: "error_ratio_query",
    page: "page_alert",
    ticket: "ticket_alert",
    plugins: "slo_plugins",
};
const RESOURCE: Names = Names {
    error: "errorQuery",
    total: "totalQuery",
    ratio: "errorRatioQuery",
    page: "pageAlert",
    ticket: "ticketAlert",
    plugins: "sloPlugins",
};

pub(super) fn file(node: &Node, source: &Arc<Source>, fields: &mut Fields<'_>) -> Vec<Objective> {
    if !fields.keys(node, "", &["version", "service", "labels", "slos", FILE.plugins]) {
        return Vec::new();
    }
    fields.word(node, "version", "", &[("prometheus/v1", ())]);
    all(node, "", &FILE, source, fields)
}

pub(super) fn resource(node: &Node, source: &Arc<Source>, fields: &mut Fields<'_>) -> Vec<Objective> {
    if !fields.keys(node, "", &["apiVersion", "kind", "metadata", "spec", "status"]) {
        return Vec::new();
    }
    fields.word(node, "apiVersion", "", &[("sloth.slok.dev/v1", ())]);
    fields.word(node, "kind", "", &[("PrometheusServiceLevel", ())]);
    let Some(spec) = node.get("spec") else {
        fields.missing(node, "spec", "");
        return Vec::new();
    };
    match fields.keys(spec, "spec", &["service", "labels", "slos", RESOURCE.plugins]) {
        true => all(spec, "spec", &RESOURCE, source, fields),
        false => Vec::new(),
    }
}

fn all(node: &Node, path: &str, names: &Names, source: &Arc<Source>, fields: &mut Fields<'_>) -> Vec<Objective> {
    let service = fields.needed_text(node, "service", path).unwrap_or_default().to_owned();
    let common = labels(fields, node, "labels", path);
    if has(node, names.plugins) {
        refuse(
            fields,
            node,
            names.plugins,
            path,
            "plugins are programs of Sloth",
            "remove it, or make these rules with Sloth",
        );
    }
    if node.get("slos").is_none() {
        fields.missing(node, "slos", path);
    }
    let slos = fields.list(node, "slos", path);
    slos.into_iter()
        .filter_map(|(path, slo)| one(slo, &path, names, &service, &common, source, fields))
        .collect()
}

fn one(
    node: &Node,
    path: &str,
    names: &Names,
    service: &str,
    common: &BTreeMap<String, String>,
    source: &Arc<Source>,
    fields: &mut Fields<'_>,
) -> Option<Objective> {
    let known = [
        "name",
        "description",
        "objective",
        "labels",
        "sli",
        "alerting",
        "plugins",
    ];
    if !fields.keys(node, path, &known) {
        return None;
    }
    if has(node, "plugins") {
        refuse(
            fields,
            node,
            "plugins",
            path,
            "plugins are programs of Sloth",
            "remove it, or make these rules with Sloth",
        );
    }
    let name = fields.needed_text(node, "name", path);
    if node.get("objective").is_none() {
        fields.missing(node, "objective", path);
    }
    let target = target(fields, node, "objective", path, true);
    let mut all_labels = common.clone();
    all_labels.extend(labels(fields, node, "labels", path));
    let description = fields.text(node, "description", path).unwrap_or_default().to_owned();
    let alerting = alerting(node, path, names, fields);
    let indicator = indicator(node, path, names, fields);
    Some(Objective {
        name: name?.to_owned(),
        service: service.to_owned(),
        description,
        target: target?,
        window: Window::Rolling(30),
        kind: Kind::Service(indicator?),
        labels: all_labels,
        alerting,
        policy: Policy::default(),
        acknowledged: None,
        written: Written {
            source: Arc::clone(source),
            place: node.get("name").map_or(node.place, |name| name.place),
        },
    })
}

fn indicator(node: &Node, path: &str, names: &Names, fields: &mut Fields<'_>) -> Option<Service> {
    let Some(sli) = node.get("sli") else {
        fields.missing(node, "sli", path);
        return None;
    };
    let path = join(path, "sli");
    if !fields.keys(sli, &path, &["events", "raw", "plugin"]) {
        return None;
    }
    if has(sli, "plugin") {
        refuse(
            fields,
            sli,
            "plugin",
            &path,
            "plugins are programs of Sloth",
            "write the queries under `events` or `raw`",
        );
        return None;
    }
    match (sli.get("events"), sli.get("raw")) {
        (Some(events), None) => {
            let path = join(&path, "events");
            if !fields.keys(events, &path, &[names.error, names.total]) {
                return None;
            }
            let bad = windowed(fields, events, names.error, &path, false);
            let total = windowed(fields, events, names.total, &path, false);
            Some(Service::Bad {
                bad: bad?,
                total: total?,
            })
        }
        (None, Some(raw)) => {
            let path = join(&path, "raw");
            if !fields.keys(raw, &path, &[names.ratio]) {
                return None;
            }
            windowed(fields, raw, names.ratio, &path, false).map(Service::Ratio)
        }
        _ => {
            let message = "an indicator has either `events` or `raw`".to_owned();
            fields.complain("slo-one-indicator", sli.place, &path, message, "keep one of them");
            None
        }
    }
}

fn alerting(node: &Node, path: &str, names: &Names, fields: &mut Fields<'_>) -> Alerting {
    let Some(alerting) = node.get("alerting") else {
        return Alerting::default();
    };
    let path = join(path, "alerting");
    if !fields.keys(
        alerting,
        &path,
        &["name", "labels", "annotations", names.page, names.ticket],
    ) {
        return Alerting::default();
    }
    let mut severity = |key: &str| {
        let Some(alert) = alerting.get(key) else {
            return Alert::default();
        };
        let path = join(&path, key);
        if !fields.keys(alert, &path, &["disable", "labels", "annotations"]) {
            return Alert::default();
        }
        Alert {
            disable: fields.flag(alert, "disable", &path).unwrap_or_default(),
            labels: labels(fields, alert, "labels", &path),
            annotations: pairs(fields, alert, "annotations", &path),
        }
    };
    let (page, ticket) = (severity(names.page), severity(names.ticket));
    Alerting {
        name: fields.text(alerting, "name", &path).map(str::to_owned),
        labels: labels(fields, alerting, "labels", &path),
        annotations: pairs(fields, alerting, "annotations", &path),
        page,
        ticket,
    }
}
