//! An incident takes its alerts from a real Alertmanager and a real Prometheus: what fires, and what fired and is over.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::common::{Context, eventually, expect_code, expect_parts, stoke, text};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free() -> Result<u16, Failed> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn started(directory: &Path, program: &str, arguments: &[String], port: u16) -> Result<Running, Failed> {
    let child = Command::new(program)
        .args(arguments)
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let running = Running(child);
    eventually(program, Duration::from_secs(30), || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    })?;
    Ok(running)
}

/// Its name in the project's releases, else in Debian.
fn alertmanager_program() -> &'static str {
    match stoke_testkit::program("alertmanager", "") {
        Ok(()) => "alertmanager",
        Err(_) => "prometheus-alertmanager",
    }
}

/// Evaluated each second: one alert that fires always, one that fired for some seconds.
fn rules(until: i64) -> String {
    format!(
        "groups:\n- name: a\n  rules:\n  - alert: Lasting\n    expr: vector(1)\n    labels: {{severity: page, app: etl}}\n    annotations: {{summary: etl is late}}\n  \
         - alert: Passing\n    expr: vector(time()) < {until}\n    labels: {{severity: ticket, app: etl}}\n    annotations: {{summary: etl failed}}\n"
    )
}

pub fn asked(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let directory = tempfile::tempdir()?;
    let (one, other) = (free()?, free()?);
    let until = jiff::Timestamp::now().as_second() + 30;
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text);
    write("rules.yaml", &rules(until))?;
    write(
        "alertmanager.yaml",
        "route: {receiver: none}\nreceivers: [{name: none}]\n",
    )?;
    write(
        "prometheus.yaml",
        &format!(
            "global: {{evaluation_interval: 1s, external_labels: {{cluster: one}}}}\nrule_files: [rules.yaml]\nalerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{one}']}}]}}]}}\n"
        ),
    )?;
    let arguments = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let alertmanager = started(
        directory.path(),
        alertmanager_program(),
        &arguments(&[
            "--config.file=alertmanager.yaml",
            "--storage.path=a",
            "--cluster.listen-address=",
        ]),
        one,
    )?;
    let _prometheus = started(
        directory.path(),
        "prometheus",
        &arguments(&[
            "--config.file=prometheus.yaml",
            "--storage.tsdb.path=p",
            "--rules.alert.resend-delay=1s",
        ]),
        other,
    )?;
    let run = |arguments: &[&str]| -> Result<Output, Failed> {
        let output = stoke(home.path(), arguments.iter().chain(&["--output", "json"])).output()?;
        Ok(output)
    };
    let opened = run(&["incident", "open", "orders are late"])?;
    expect_code(&opened, 0)?;
    let opened: Value = serde_json::from_slice(&opened.stdout)?;
    let id = opened["incident"].as_str().ok_or("no id")?.to_owned();
    let (alertmanager_url, prometheus_url) = (format!("http://127.0.0.1:{one}"), format!("http://127.0.0.1:{other}/"));
    let listed = |more: &[&str]| -> Result<Vec<String>, Failed> {
        let mut arguments = vec!["incident", "show", &id];
        arguments.extend(more);
        let output = run(&arguments)?;
        expect_code(&output, 0)?;
        let shown: Value = serde_json::from_slice(&output.stdout)?;
        let items = shown["items"].as_array().ok_or("no items")?;
        let alerts = items.iter().filter(|item| item["source"] == "alert");
        Ok(alerts
            .map(|item| {
                format!(
                    "{} {}",
                    item["about"].as_str().unwrap_or_default(),
                    item["text"].as_str().unwrap_or_default()
                )
            })
            .collect())
    };
    // What fires is Alertmanager's to say, with its words.
    eventually("both alerts fire", Duration::from_secs(28), || {
        let both = listed(&["--alertmanager", &alertmanager_url]).unwrap_or_default();
        both.contains(&"Lasting fires (page): etl is late".to_owned())
            && both.contains(&"Passing fires (ticket): etl failed".to_owned())
    })?;
    // What is over it forgets, and Prometheus knows.
    eventually("one is over", Duration::from_secs(60), || {
        listed(&["--alertmanager", &alertmanager_url])
            .is_ok_and(|listed| listed == ["Lasting fires (page): etl is late"])
    })?;
    // Its times are right to a second: what ended within the last one still fires there.
    let expected = |both: &[String]| {
        let of = |name: &str| both.iter().filter(|text| text.starts_with(name)).collect::<Vec<_>>();
        let passing = of("Passing");
        of("Lasting") == ["Lasting fires (page): etl is late"]
            && passing.len() == 2
            && passing[0] == "Passing fires (ticket): app etl"
            && passing[1].starts_with("Passing is over after ")
    };
    let mut both = Vec::new();
    eventually(
        "one alert of two sources, and one that is over",
        Duration::from_secs(10),
        || {
            both = listed(&["--alertmanager", &alertmanager_url, "--prometheus", &prometheus_url]).unwrap_or_default();
            expected(&both)
        },
    )
    .map_err(|_| format!("{both:?}"))?;
    // Silent ones fire on.
    let silence = Command::new("amtool")
        .args([
            "silence",
            "add",
            "alertname=Lasting",
            "--comment",
            "a test",
            "--author",
            "a test",
            "--alertmanager.url",
        ])
        .arg(&alertmanager_url)
        .output()?;
    expect_code(&silence, 0)?;
    assert_eq!(
        listed(&["--alertmanager", &alertmanager_url])?,
        ["Lasting fires (page): etl is late"]
    );
    // Who does not answer is named, and nothing is shown as if there had been no alert.
    drop(alertmanager);
    let output = run(&["incident", "show", &id, "--alertmanager", &alertmanager_url])?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["stoke::incident::monitor", &alertmanager_url])?;
    let output = run(&["incident", "show", &id, "--alertmanager", &prometheus_url])?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["stoke::incident::monitor"])
}
