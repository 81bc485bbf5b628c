//! `stoke metrics` as people meet it: reports in all forms, exit codes, and a Prometheus that runs.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, eventually, expect_code, expect_parts, program, text};

pub fn trials(context: &Context) -> Vec<Trial> {
    vec![
        context.trial("metrics: what can never work is reported in every form", &[], reported),
        context.trial("metrics: a directory, what is left out, and exit codes", &[], directory),
        context.trial(
            "metrics: a Prometheus that runs is asked",
            &[program("prometheus", "apt-get install prometheus")],
            live,
        ),
    ]
}

const RULES: &str = "groups:
- name: a
  rules:
  - alert: Fails
    expr: |
      sum by (pod) (rate(metrics_executor_failedTasks[5m]))
        > 0
  - alert: Phase
    expr: sum(kube_pod_status_phase{phase=\"Fail\"}) > 0
";

fn reported(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(at("rules.yaml"), RULES)?;
    let (sarif, junit) = (format!("sarif={}", at("a.sarif")), format!("junit={}", at("a.xml")));
    let output = context
        .stoke([
            "metrics",
            "check",
            &at("rules.yaml"),
            "--report",
            &sarif,
            "--report",
            &junit,
        ])
        .output()?;
    expect_code(&output, 1)?;
    expect_parts(
        &text(&output),
        &[
            "error[metric-unknown]",
            "rules.yaml:6:26",
            "write metrics_executor_failedTasks_total",
            "error[metric-label-value]",
            "rules.yaml:9:43",
            "write Failed",
            "2 errors",
        ],
    )?;
    let sarif: Value = serde_json::from_slice(&std::fs::read(at("a.sarif"))?)?;
    if sarif["runs"][0]["results"][0]["ruleId"] != "metric-unknown" {
        return Err(format!("{sarif}").into());
    }
    expect_parts(&std::fs::read_to_string(at("a.xml"))?, &["metric-label-value"])?;
    let output = context
        .stoke(["metrics", "check", "-o", "json", &at("rules.yaml")])
        .output()?;
    expect_code(&output, 1)?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    if report["diagnostics"][1]["line"] != 9 || report["expressions"]["rules"] != 2 {
        return Err(format!("{report}").into());
    }
    let output = context
        .stoke(["metrics", "explain", "metrics_a_driver_jvm_heap_used_Value"])
        .output()?;
    expect_code(&output, 0)?;
    expect_parts(
        &text(&output),
        &["metrics_<namespace>_driver_jvm_heap_used_Value", "bytes", "recorded"],
    )?;
    let output = context
        .stoke(["metrics", "explain", "metrics_executor_failedTasks"])
        .output()?;
    expect_code(&output, 2)?;
    expect_parts(&text(&output), &["did you mean", "metrics_executor_failedTasks_total"])
}

fn directory(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name).display().to_string();
    std::fs::create_dir(at("rules"))?;
    std::fs::write(
        at("rules/good.yaml"),
        "groups: [{name: a, rules: [{alert: A, expr: up == 0}]}]",
    )?;
    std::fs::write(at("rules/values.yaml"), "replicas: 3\n")?;
    let output = context.stoke(["metrics", "check", &at("rules")]).output()?;
    expect_code(&output, 0)?;
    expect_parts(
        &text(&output),
        &[
            "1 expression in 2 files",
            "1 × file of another kind",
            "nothing is wrong",
        ],
    )?;
    // Named, it must be read.
    let output = context.stoke(["metrics", "check", &at("rules/values.yaml")]).output()?;
    expect_code(&output, 2)?;
    std::fs::write(
        at("rules/warn.yaml"),
        "groups: [{name: b, rules: [{alert: B, expr: workqueue_depth >= 0}]}]",
    )?;
    expect_code(&context.stoke(["metrics", "check", &at("rules")]).output()?, 0)?;
    expect_code(
        &context.stoke(["metrics", "check", "--strict", &at("rules")]).output()?,
        1,
    )?;
    expect_code(&context.stoke(["metrics", "check", &at("none")]).output()?, 2)
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn live(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let server = format!("http://127.0.0.1:{port}");
    let config = directory.path().join("prometheus.yml");
    std::fs::write(
        &config,
        format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: itself, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
        ),
    )?;
    let _running = Running(
        Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let rules = directory.path().join("rules.yaml");
    std::fs::write(
        &rules,
        "groups:\n- name: a\n  rules:\n  - {alert: A, expr: prometheus_build_info != 1}\n  - {alert: B, expr: workqueue_depth > 9}\n  - {alert: C, expr: go_goroutines > 1000}\n",
    )?;
    let rules = rules.display().to_string();
    let check = || {
        context
            .stoke(["metrics", "check", "-o", "json", "--live", &server, &rules])
            .output()
    };
    eventually("the server has its own series", Duration::from_secs(60), || {
        let report = check()
            .ok()
            .and_then(|output| serde_json::from_slice::<Value>(&output.stdout).ok());
        let lacking = |report: &Value| {
            let found = report["diagnostics"].as_array().into_iter().flatten();
            let codes: Vec<String> = found
                .map(|found| format!("{} {}", found["code"], found["line"]))
                .collect();
            codes == ["\"metric-not-live\" 5"]
        };
        report.is_some_and(|report| lacking(&report))
    })?;
    let output = context
        .stoke(["metrics", "check", "--live", "http://127.0.0.1:1", &rules])
        .output()?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["stoke::metrics::live"])
}
