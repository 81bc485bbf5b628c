use super::{Reading, read};
use crate::slo::PLATFORM;
use crate::slo::objective::{Kind, Measure, Policy, Service, Window};

fn reading(text: &str) -> Reading {
    read(&[("slo.yaml".to_owned(), text.to_owned())])
}

/// Codes and lines of the complaints.
fn complaints(text: &str) -> Vec<(String, usize)> {
    let reading = reading(text);
    reading
        .complaints
        .iter()
        .map(|one| (one.code.to_string(), one.line))
        .collect()
}

const SLO: &str = "\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: orders-success
  annotations:
    stoke.dev/error-budget-policy: report
    stoke.dev/acknowledged: \"2026-11-20T08:00:00Z\"
spec:
  service: orders
  indicator:
    metadata: {name: runs}
    spec:
      ratioMetric:
        raw:
          metricSource:
            type: stoke
            spec: {measure: success, job: orders-*, namespace: shop, schedule: '0 * * * *', timeZone: Europe/Oslo}
  timeWindow:
    - {duration: 4w, isRolling: true}
  budgetingMethod: Occurrences
  objectives:
    - {targetPercent: 99.5}
";

const SLOTH: &str = "\
version: prometheus/v1
service: shop
labels: {team: orders}
slos:
  - name: requests
    objective: 99.9
    description: Requests that succeed
    sli:
      events:
        error_query: sum(rate(http_requests_total{code=~\"5..\"}[{{ .window }}]))
        total_query: sum(rate(http_requests_total[{{.window}}]))
    alerting:
      name: ShopFails
      labels: {category: availability}
      page_alert: {labels: {severity: critical}}
      ticket_alert: {disable: true}
";

#[test]
fn objectives_of_runs_are_read() {
    let reading = reading(SLO);
    assert!(reading.complaints.is_empty(), "{:#?}", reading.complaints);
    let [objective] = &reading.objectives[..] else { panic!() };
    assert_eq!((objective.name.as_str(), objective.target), ("orders-success", 0.995));
    assert_eq!(
        (&objective.window, objective.policy),
        (&Window::Rolling(28), Policy::Report)
    );
    assert_eq!(objective.acknowledged, Some(1_795_161_600_000));
    let Kind::Batch(batch) = &objective.kind else { panic!() };
    assert_eq!(
        (batch.measure, batch.runs.job.as_deref(), batch.by_job),
        (Measure::Success, Some("orders-*"), false)
    );
    assert_eq!(batch.schedule.as_ref().unwrap().zone(), "Europe/Oslo");
}

#[test]
fn sloth_is_read_in_both_forms() {
    let file = reading(SLOTH);
    assert!(file.complaints.is_empty(), "{:#?}", file.complaints);
    let [objective] = &file.objectives[..] else { panic!() };
    let Kind::Service(Service::Bad { bad, .. }) = &objective.kind else {
        panic!()
    };
    assert_eq!(
        (objective.target, bad.as_str()),
        (0.999, "sum(rate(http_requests_total{code=~\"5..\"}[{{.window}}]))")
    );
    assert!(objective.alerting.ticket.disable && objective.alerting.name.as_deref() == Some("ShopFails"));
    let spec = SLOTH
        .replace("version: prometheus/v1\n", "")
        .replace("error_query", "errorQuery")
        .replace("total_query", "totalQuery")
        .replace("page_alert", "pageAlert")
        .replace("ticket_alert", "ticketAlert");
    let indented: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    let resource = reading(&format!(
        "apiVersion: sloth.slok.dev/v1\nkind: PrometheusServiceLevel\nmetadata: {{name: shop}}\nspec:\n{indented}"
    ));
    assert!(resource.complaints.is_empty(), "{:#?}", resource.complaints);
    assert_eq!(
        format!("{:?}", resource.objectives[0].kind),
        format!("{:?}", objective.kind)
    );
    assert_eq!(resource.objectives[0].alerting, objective.alerting);
}

#[test]
fn the_objectives_of_a_platform_are_sound() {
    let reading = reading(PLATFORM);
    assert!(reading.complaints.is_empty(), "{:#?}", reading.complaints);
    assert_eq!(reading.objectives.len(), 6);
}

#[test]
fn documents_refer_to_each_other_across_files() {
    let sli = "apiVersion: openslo/v1\nkind: SLI\nmetadata: {name: up}\nspec:\n  thresholdMetric:\n    metricSource: {metricSourceRef: prom, spec: {query: 'up{job=\"connect\"}'}}\n";
    let source = "apiVersion: openslo/v1\nkind: DataSource\nmetadata: {name: prom}\nspec: {type: Prometheus, connectionDetails: {url: http://p}}\n---\n";
    let slo = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: up}\nspec:\n  service: connect\n  indicatorRef: up\n  budgetingMethod: Occurrences\n  objectives:\n    - {displayName: Fully Up, op: gte, value: 1, target: 0.99}\n    - {displayName: partly, op: gte, value: 0.5, target: 0.999}\n";
    let file = |name: &str, text: String| (name.to_owned(), text);
    let both = read(&[
        file("slo.yaml", slo.to_owned()),
        file("sli.yaml", format!("{source}{sli}")),
    ]);
    assert!(both.complaints.is_empty(), "{:#?}", both.complaints);
    let names: Vec<&str> = both.objectives.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["up-fully-up", "up-partly"]);
    let alone = read(&[file("slo.yaml", slo.to_owned())]);
    assert_eq!(alone.complaints[0].code, "slo-bad-reference");
}

/// What is wrong has its code at its line.
#[test]
fn mistakes_are_found_where_they_are() {
    let cases: &[(&str, &str, &str, &str, usize)] = &[
        (SLO, "targetPercent: 99.5", "targetPercnt: 99.5", "unknown-field", 22),
        (SLO, "targetPercent: 99.5", "targetPercent: 100", "slo-bad-target", 22),
        (SLO, "targetPercent: 99.5", "target: 99.5", "slo-bad-target", 22),
        (
            SLO,
            "targetPercent: 99.5",
            "target: 0.9, targetPercent: 90",
            "slo-bad-target",
            22,
        ),
        (SLO, "measure: success", "measure: sucess", "unknown-value", 17),
        (SLO, "measure: success", "measure: duration", "slo-one-indicator", 17),
        (SLO, "measure: success", "measure: deadline", "missing-field", 17),
        (SLO, "job: orders-*, namespace: shop, ", "", "slo-no-selector", 17),
        (SLO, "0 * * * *", "0 * * *", "bad-schedule", 17),
        (SLO, "type: stoke", "type: Datadog", "slo-unsupported", 16),
        (SLO, "type: stoke", "kind: stoke", "unknown-field", 16),
        (SLO, "duration: 4w", "duration: 36h", "slo-bad-window", 19),
        (SLO, "Occurrences", "Timeslices", "slo-unsupported", 20),
        (SLO, "kind: SLO", "kind: SLOs", "unknown-value", 2),
        (SLO, "openslo/v1", "openslo/v1alpha", "unknown-value", 1),
        (
            SLO,
            "stoke.dev/acknowledged",
            "stoke.dev/acknowleged",
            "unknown-field",
            7,
        ),
        (SLO, "2026-11-20T08:00:00Z", "yesterday", "bad-date", 7),
        (SLO, "policy: report", "policy: ignore", "unknown-value", 6),
        (SLO, "openslo/v1", "v1", "slo-unknown-document", 1),
        (SLOTH, "prometheus/v1", "prometheus/v2", "unknown-value", 1),
        (SLOTH, "objective: 99.9", "objective: 0", "slo-bad-target", 6),
        (SLOTH, "[{{.window}}]", "[5m]", "slo-no-window", 11),
        (SLOTH, "total_query", "totalQuery", "unknown-field", 11),
        (SLOTH, "labels: {team", "labels: {\"te-am\"", "slo-bad-label", 3),
        (
            SLOTH,
            "      events:\n",
            "      raw: {}\n      events:\n",
            "slo-one-indicator",
            9,
        ),
        (
            SLOTH,
            "    alerting:",
            "    plugins: {chain: []}\n    alerting:",
            "slo-unsupported",
            12,
        ),
    ];
    for (text, written, instead, code, line) in cases {
        assert!(text.contains(written), "{written}");
        let found = complaints(&text.replace(written, instead));
        assert!(found.contains(&((*code).to_owned(), *line)), "{instead}: {found:?}");
    }
}

#[test]
fn an_objective_stands_once() {
    let twice = format!("{SLO}---\n{SLO}");
    assert_eq!(complaints(&twice), [("slo-twice".to_owned(), 45)]);
}

#[test]
fn plain_counters_become_rates() {
    let text = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: a}\nspec:\n  service: s\n  indicator:\n    metadata: {name: i}\n    spec:\n      ratioMetric:\n        counter: true\n        good: {metricSource: {type: prometheus, spec: {query: 'good_total{a=\"b\"}'}}}\n        total: {metricSource: {type: prometheus, spec: {query: all_total}}}\n  objectives: [{target: 0.9}]\n";
    let Kind::Service(Service::Good { good, total }) = &reading(text).objectives[0].kind else {
        panic!()
    };
    assert_eq!(
        (good.as_str(), total.as_str()),
        (
            "sum(rate(good_total{a=\"b\"}[{{.window}}]))",
            "sum(rate(all_total[{{.window}}]))"
        )
    );
    assert_eq!(
        complaints(&text.replace("counter: true", "counter: false"))[0].0,
        "slo-no-window"
    );
}

#[test]
fn damaged_files_do_not_panic() {
    for text in [SLO, SLOTH, PLATFORM] {
        for cut in (0..text.len()).step_by(7) {
            if text.is_char_boundary(cut) {
                let _ = reading(&text[..cut]);
                let _ = reading(&format!("{}{}", &text[..cut], text[cut..].replacen(':', "", 1)));
            }
        }
    }
}
