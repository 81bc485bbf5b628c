//! Rules of objectives before promtool, and beside those of Sloth.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use stoke_observe::slo::objective::Kind;
use stoke_observe::slo::runs::{Attempt, read_lines};
use stoke_observe::slo::status::Judge;
use stoke_observe::slo::{PLATFORM, gauges, read, rules};
use stoke_testkit::{Tier, trial};

pub fn trials() -> Vec<Trial> {
    let promtool = || program("promtool", "apt-get install prometheus").map(drop);
    let both = || {
        program("promtool", "apt-get install prometheus")?;
        program("sloth", "build github.com/slok/sloth/cmd/sloth v0.12.0").map(drop)
    };
    let of = |name: &str, tier, needs: &dyn Fn() -> Result<(), String>, test: fn()| {
        trial(&format!("objectives: {name}"), tier, needs, move || {
            test();
            Ok(())
        })
    };
    vec![
        of("promtool takes every rule", Tier::Default, &promtool, taken),
        of("burn rates fire and are silent", Tier::Default, &promtool, burning),
        of(
            "evidence is one comparison that fires and is silent",
            Tier::Default,
            &promtool,
            compared,
        ),
        of("burn rates fire when Sloth's do", Tier::Full, &both, beside_sloth),
    ]
}

fn program(name: &str, install: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|place| place.is_file());
    found.ok_or_else(|| format!("{name} is not installed: {install}"))
}

const SHOP: &str = "\
version: prometheus/v1
service: shop
slos:
  - name: requests
    objective: 99.9
    sli:
      events:
        error_query: sum(rate(http_requests_total{code=~\"5..\"}[{{.window}}]))
        total_query: sum(rate(http_requests_total[{{.window}}]))
    alerting: {name: ShopFails}
";

/// The rules of a file of objectives, as YAML.
fn rules_of(text: &str) -> String {
    let reading = read::read(&[("slo.yaml".to_owned(), text.to_owned())]);
    assert!(reading.complaints.is_empty(), "{:#?}", reading.complaints);
    let (rules, complaints) = rules::rules(&reading.objectives);
    assert!(complaints.is_empty(), "{complaints:#?}");
    serde_saphyr::to_string(&rules).unwrap()
}

/// Runs promtool in a directory; it must be content.
fn promtool(directory: &Path, arguments: &[&str]) {
    let output = Command::new("promtool")
        .current_dir(directory)
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}\n{said}");
}

/// Tests of rules: files of rules, and the tests.
fn test_rules(files: &[(&str, &str)], tests: Value) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let whole = json!({"rule_files": names, "evaluation_interval": "1m", "tests": tests});
    std::fs::write(directory.path().join("test.yaml"), whole.to_string()).unwrap();
    promtool(directory.path(), &["test", "rules", "test.yaml"]);
}

fn taken() {
    let low = SHOP.replace("99.9", "90");
    for (name, text) in [("platform", PLATFORM), ("shop", SHOP), ("low", &low)] {
        let directory = tempfile::tempdir().unwrap();
        let file = format!("{name}.yaml");
        std::fs::write(directory.path().join(&file), rules_of(text)).unwrap();
        promtool(directory.path(), &["check", "rules", &file]);
    }
}

/// A counter each minute for so many minutes, from how much is added in each.
fn counter(minutes: usize, added: impl Fn(usize) -> f64) -> String {
    let mut sum = 0.0;
    let values = (0..minutes).map(|minute| {
        sum += added(minute);
        format!("{sum}")
    });
    values.collect::<Vec<_>>().join(" ")
}

/// Requests of which this share fails, 10,000 a minute.
fn traffic(minutes: usize, bad: impl Fn(usize) -> f64) -> Value {
    let bad = |minute: usize| (bad(minute) * 10_000.0).round();
    json!([
        {"series": r#"http_requests_total{code="500"}"#, "values": counter(minutes, bad)},
        {"series": r#"http_requests_total{code="200"}"#, "values": counter(minutes, |minute| 10_000.0 - bad(minute))},
    ])
}

/// How many alerts of a severity fire.
fn firing(label: &str, severity: &str) -> String {
    format!(r#"count(ALERTS{{alertname="ShopFails",{label}="{severity}",alertstate="firing"}}) or vector(0)"#)
}

fn expects(expression: &str, at: &str, value: f64) -> Value {
    json!({"expr": expression, "eval_time": at, "exp_samples": [{"labels": "{}", "value": value}]})
}

fn burning() {
    let rules = rules_of(SHOP);
    let of = |minutes, bad: &dyn Fn(usize) -> f64, seen: &[(&str, &str, f64)]| {
        let tests: Vec<Value> = seen
            .iter()
            .map(|(severity, at, value)| expects(&firing("severity", severity), at, *value))
            .collect();
        json!({"interval": "1m", "input_series": traffic(minutes, bad), "promql_expr_test": tests})
    };
    test_rules(
        &[("ours.yaml", &rules)],
        json!([
            // Within the budget: silent for days.
            of(
                4400,
                &|_| 0.0005,
                &[("page", "1h", 0.0), ("page", "70h", 0.0), ("ticket", "73h", 0.0)]
            ),
            // Five percent from the second hour on for an hour: a page within minutes, and soon over.
            of(
                400,
                &|minute| if (120..180).contains(&minute) { 0.05 } else { 0.0 },
                &[("page", "119m", 0.0), ("page", "160m", 1.0), ("page", "216m", 0.0)]
            ),
            // Four times what is allowed, for days: a ticket, no page.
            of(4400, &|_| 0.004, &[("page", "72h", 0.0), ("ticket", "72h", 1.0)]),
            // A burst of two minutes is no page.
            of(
                400,
                &|minute| if (120..122).contains(&minute) { 0.2 } else { 0.0 },
                &[("page", "122m", 0.0), ("page", "130m", 0.0)]
            ),
        ]),
    );
}

/// The gauges of an hourly job, each hour: what Prometheus would have scraped.
fn scraped(attempts: &[Attempt], hours: i64) -> Value {
    let text = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: orders}\nspec:\n  service: shop\n  indicator: {metadata: {name: i}, spec: {ratioMetric: {raw: {metricSource: {type: stoke, spec: {measure: success, job: orders}}}}}}\n  objectives: [{target: 0.99}]\n";
    let reading = read::read(&[("slo.yaml".to_owned(), text.to_owned())]);
    let Kind::Batch(batch) = &reading.objectives[0].kind else {
        panic!()
    };
    let mut series: std::collections::BTreeMap<String, Vec<String>> = Default::default();
    let mut judge = Judge::default();
    for hour in 0..hours {
        let now = attempts[0].start + hour * 3_600_000 + 1_800_000;
        let known: Vec<Attempt> = attempts
            .iter()
            .filter(|attempt| attempt.end.is_some_and(|end| end <= now))
            .cloned()
            .collect();
        let text = gauges::text(
            &judge.statuses(&reading.objectives[0], batch, &known, now),
            hour * 3_600_000,
        );
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let values = series.entry(name.to_owned()).or_default();
            values.resize(hour as usize, "_".to_owned());
            values.push(value.to_owned());
        }
    }
    let list = series
        .into_iter()
        .map(|(name, values)| json!({"series": name, "values": values.join(" ")}));
    list.collect()
}

fn hourly(hours: i64, failed: std::ops::Range<i64>) -> Vec<Attempt> {
    let line = |hour: i64| {
        let start = 1_793_491_200_000 + hour * 3_600_000;
        let outcome = if failed.contains(&hour) { "failed" } else { "succeeded" };
        format!(
            "{{\"job\":\"orders\",\"id\":\"{hour}\",\"start\":{start},\"end\":{},\"outcome\":\"{outcome}\"}}",
            start + 600_000
        )
    };
    let lines: Vec<String> = (0..hours).map(line).collect();
    read_lines(&lines.join("\n")).unwrap()
}

fn compared() {
    let platform = rules_of(PLATFORM);
    let rules = platform.as_str();
    let fires = |alert: &str, at: &str, value: f64| {
        expects(
            &format!(r#"count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)"#),
            at,
            value,
        )
    };
    let series = |name: &str, values: &str| json!({"series": name, "values": values});
    let one = |alert: &str, name: &str, bad: &str, good: &str| {
        json!([
            {"interval": "1m", "input_series": [series(name, bad)], "promql_expr_test": [fires(alert, "5m", 1.0)]},
            {"interval": "1m", "input_series": [series(name, good)], "promql_expr_test": [fires(alert, "5m", 0.0)]},
        ])
    };
    let labels = r#"{slo="orders",service="shop",job="*",measure="success"}"#;
    let of = |name: &str| format!("{name}{labels}");
    let mut tests = vec![
        // Three failures are silent, the fourth pages, and the page ends some good runs after the last.
        json!({
            "interval": "1h",
            "input_series": scraped(&hourly(120, 60..66), 120),
            "promql_expr_test": [
                fires("StokeObjectiveBroken", "59h", 0.0),
                fires("StokeObjectiveBroken", "62h", 0.0),
                fires("StokeObjectiveBroken", "63h", 1.0),
                fires("StokeObjectiveBroken", "70h", 1.0),
                fires("StokeObjectiveBroken", "90h", 0.0),
                fires("StokeWindowImprobable", "50h", 0.0),
                fires("StokeWindowImprobable", "65h", 3.0),
            ],
        }),
        json!({"interval": "1h", "input_series": scraped(&hourly(120, 60..61), 120), "promql_expr_test": [
            fires("StokeObjectiveBroken", "60h", 0.0),
            fires("StokeWindowImprobable", "60h", 0.0),
            fires("StokeBudgetSpent", "60h", 0.0),
        ]}),
    ];
    for pairs in [
        one("StokeResultOverdue", &of("stoke_slo_overdue_seconds"), "60x10", "0x10"),
        one(
            "StokeBudgetSpent",
            &of("stoke_slo_budget_remaining_ratio_high"),
            "-0.1x10",
            "0.1x10",
        ),
        one(
            "StokeObjectivesNotRead",
            "stoke_slo_read_timestamp_seconds",
            "-900x10",
            "0+60x10",
        ),
        one("StokeObjectivesAbsent", "something_else", "1x10", "_x10"),
    ] {
        tests.extend(pairs.as_array().unwrap().iter().cloned());
    }
    // What is absent is absent in both; it is silent where the gauge is.
    let silent = tests.last_mut().unwrap();
    silent["input_series"] = json!([series("stoke_slo_read_timestamp_seconds", "0+60x10")]);
    test_rules(&[("ours.yaml", rules)], Value::Array(tests));
}

fn beside_sloth() {
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("in.yaml"), directory.path().join("out.yaml"));
    std::fs::write(&input, SHOP).unwrap();
    let made = Command::new("sloth")
        .arg("generate")
        .arg("-i")
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let theirs = std::fs::read_to_string(output).unwrap();
    let ours = rules_of(SHOP);
    let patterns: [&dyn Fn(usize) -> f64; 6] = [
        &|_| 0.0005,
        &|_| 0.0035,
        &|minute| if (120..180).contains(&minute) { 0.05 } else { 0.0002 },
        &|minute| if minute > 600 { 0.008 } else { 0.0 },
        &|minute| if minute % 97 < 5 { 0.2 } else { 0.0 },
        &|minute| 0.000_001 * minute as f64,
    ];
    let (mut tests, mut verdicts) = (Vec::new(), 0);
    for bad in patterns {
        let mut expected = Vec::new();
        for severity in ["page", "ticket"] {
            // Minutes of an hour in which both fire. Groups of rules are evaluated in any order, so an alert may be a minute late.
            let minutes = |label: &str| {
                format!(
                    r#"(sum(count_over_time(ALERTS{{alertname="ShopFails",{label}="{severity}",alertstate="firing"}}[60m])) or vector(0))"#
                )
            };
            let same = format!("abs({} - {}) <= bool 4", minutes("severity"), minutes("sloth_severity"));
            for at in (60..4400).step_by(60) {
                expected.push(expects(&same, &format!("{at}m"), 1.0));
            }
        }
        verdicts += expected.len();
        tests.push(json!({"interval": "1m", "input_series": traffic(4400, bad), "promql_expr_test": expected}));
    }
    assert!(verdicts > 800);
    test_rules(&[("ours.yaml", &ours), ("theirs.yaml", &theirs)], Value::Array(tests));
}
