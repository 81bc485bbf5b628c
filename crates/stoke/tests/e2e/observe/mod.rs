//! A real Prometheus and a real Alertmanager on the embedded cluster: each alert fires by a fault and clears when that is repaired, one cause is
//! one page, every panel of every dashboard has data, and a run that was over before any scrape has the series of a long one.
//!
//! Windows and waiting times are a sixtieth of production's, by the pack's own tempo.

mod asked;
mod faults;
mod incidents;
mod signals;

use std::collections::BTreeSet;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, Need, eventually, expect_code, expect_parts, full, program, repository, text};
use crate::live_pages::{link, twin};
use crate::up::Up;
use asked::Servers;
use faults::count::{self, Begun};
use faults::manifests::{App, SCRIPTS};
use faults::{GROUPS, drive};

pub fn trials(context: &Context) -> Vec<Trial> {
    let needs = [
        context.spark("4.1.4"),
        program("kubectl", "see the Kubernetes documentation, `Install kubectl`"),
        program("prometheus", "apt-get install prometheus"),
        program("promtool", "apt-get install prometheus"),
        program("amtool", "apt-get install prometheus-alertmanager"),
    ];
    let in_full: Vec<_> = std::iter::once(full()).chain(needs.clone()).collect();
    let mut trials = vec![
        context.trial(
            "observe: a run of seconds has the series of a long one",
            &needs,
            complete,
        ),
        context.trial(
            "observe: an incident takes its alerts from Alertmanager and Prometheus",
            &needs[2..],
            incidents::asked,
        ),
        context.trial("observe: every alert has a fault, or the reason why not", &[], |_| {
            count::agree()
        }),
        context.trial(
            "observe: lines and spans of a run are in Loki and Jaeger under one id",
            &[
                full(),
                context.spark("4.1.4"),
                program("kubectl", "see the Kubernetes documentation, `Install kubectl`"),
                program("go", "https://go.dev/dl"),
                Need::Built(signals::built),
            ],
            signals::arrive,
        ),
        context.trial("observe: series and bytes of a scrape are counted", &[], series),
        context.trial(
            "observe: what is not installed is named with what installs it",
            &[],
            named,
        ),
    ];
    // A cluster and a time limit each; the count comes last.
    for group in GROUPS {
        trials.push(
            context.trial(&format!("observe: faults: {}", group.name), &in_full, move |context| {
                let _begun = Begun::of(group.name);
                drive(context, group)
            }),
        );
    }
    trials.push(context.trial(
        "observe: faults: every alert fired and was over, every panel had data",
        &in_full,
        |_| count::counted(),
    ));
    trials
}

fn start(context: &Context) -> Result<(Up, Servers), Failed> {
    let up = Up::start_with(context, &["--observe=60"])?;
    let servers = Servers::of(&up)?;
    eventually("Prometheus scrapes the operator", Duration::from_secs(60), || {
        servers.count("up{job=\"stoke-operator\"} == 1") == 1
    })?;
    Ok((up, servers))
}

/// Applies manifests.
fn apply(up: &Up, manifests: &str) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("objects.yaml");
    std::fs::write(&path, manifests)?;
    let applied = up.kubectl(&["apply", "-f", &path.to_string_lossy()]).output()?;
    expect_code(&applied, 0)
}

fn named(context: &Context) -> Result<(), Failed> {
    let output = context.stoke(["up", "--observe"]).env("PATH", "/nowhere").output()?;
    expect_code(&output, 3)?;
    expect_parts(
        &text(&output),
        &["stoke::observe::not-installed", "apt-get install prometheus"],
    )
}

fn series(context: &Context) -> Result<(), Failed> {
    let scrape = repository().join("crates/observe/tests/scrapes/4.1.4-executors.txt");
    let counted = context
        .stoke(["observe", "series", "--output", "json"])
        .arg(&scrape)
        .output()?;
    expect_code(&counted, 0)?;
    let counted: Value = serde_json::from_slice(&counted.stdout)?;
    let (one, lines) = (
        &counted["scrapes"][0],
        std::fs::read_to_string(&scrape)?.lines().count(),
    );
    assert_eq!((&one["all"]["series"], &one["executors"]), (&lines.into(), &2.into()));
    assert_eq!(one["all"]["bytes"], std::fs::metadata(&scrape)?.len());
    let page = context
        .stoke(["observe", "series"])
        .arg(repository().join("README.md"))
        .output()?;
    expect_code(&page, 2)?;
    expect_parts(&text(&page), &["stoke::observe::scrape"])
}

/// Names of the series of executors that Prometheus has of an application.
fn scraped(servers: &Servers, app: &str) -> BTreeSet<String> {
    servers
        .query(&format!("{{__name__=~\"metrics_executor_.+\",app=\"{app}\"}}"))
        .iter()
        .filter_map(|series| series["metric"]["__name__"].as_str().map(str::to_owned))
        .collect()
}

fn complete(context: &Context) -> Result<(), Failed> {
    let (up, servers) = start(context)?;
    apply(&up, &App::new("long", "long.py").manifest())?;
    apply(&up, SCRIPTS)?;
    eventually("the long run is scraped", Duration::from_secs(120), || {
        servers.count("metrics_executor_completedTasks_total{app=\"long\",executor_id!=\"driver\"} > 0") > 0
            && servers.count("metrics_spark_driver_DAGScheduler_job_allJobs_Value{app=\"long\"} > 0") > 0
    })?;
    let of_long = scraped(&servers, "long");
    let labels = servers.query("metrics_executor_completedTasks_total{app=\"long\",executor_id=\"1\"}");
    let labels: BTreeSet<String> = labels[0]["metric"].as_object().unwrap().keys().cloned().collect();
    // The short one is not scraped at all: its driver has no time for it, or its only scrape came before its first task.
    apply(&up, &App::new("short", "quick.py").manifest())?;
    let done = [
        "wait",
        "sparkapplication/short",
        "--for=jsonpath={.status.applicationState.state}=COMPLETED",
        "--timeout=120s",
    ];
    expect_code(&up.kubectl(&done).output()?, 0)?;
    let id = up
        .kubectl(&[
            "get",
            "sparkapplication",
            "short",
            "-o",
            "jsonpath={.status.sparkApplicationId}",
        ])
        .output()?;
    let id = String::from_utf8(id.stdout)?;
    let logs = up.home().join("event-logs");
    let file = up.home().join("short.om");
    let made = up
        .stoke(&["observe", "backfill", "--application", &id, "--dir"])
        .arg(&logs)
        .arg("--to")
        .arg(&file)
        .output()?;
    expect_code(&made, 0)?;
    let written = std::fs::read_to_string(&file)?;
    let lines = || written.lines().filter(|line| !line.starts_with('#'));
    let names: BTreeSet<String> = lines()
        .filter_map(|line| Some(line.split_once('{')?.0.to_owned()))
        .collect();
    let missing: Vec<&String> = of_long.difference(&names).collect();
    let more: Vec<&String> = names.difference(&of_long).collect();
    if !(missing.is_empty() && more.is_empty()) || names.len() < 25 {
        return Err(format!(
            "{} series of a long run; a short one lacks {missing:?} and has {more:?}",
            of_long.len()
        )
        .into());
    }
    let first = lines()
        .find(|line| line.contains("executor_id=\"1\""))
        .ok_or("no executor")?;
    for label in &labels {
        if label != "__name__" && !first.contains(&format!("{label}=\"")) {
            return Err(format!("scraped series have the label {label}, which is not in {first}").into());
        }
    }
    // Prometheus takes it, and answers with it.
    let blocks = up.home().join("blocks");
    let filled = std::process::Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(&file)
        .arg(&blocks)
        .output()?;
    expect_code(&filled, 0)?;
    // Without one, promtool 2.42 does not read blocks.
    std::fs::create_dir_all(blocks.join("wal"))?;
    let dumped = std::process::Command::new("promtool")
        .args(["tsdb", "dump"])
        .arg(&blocks)
        .output()?;
    let dumped = text(&dumped);
    let series: BTreeSet<&str> = dumped
        .lines()
        .filter_map(|line| Some(line.split_once('}')?.0))
        .collect();
    let given: BTreeSet<&str> = lines().filter_map(|line| Some(line.split_once('}')?.0)).collect();
    if series.len() != given.len() || given.len() <= names.len() {
        return Err(format!("{} series in the blocks, {} were written", series.len(), given.len()).into());
    }
    println!(
        "{} names and {} series of a run that took seconds",
        names.len(),
        series.len()
    );
    console_shows(&up)?;
    up.down()
}

/// The console of the cluster asks the Alertmanager that was started with it.
fn console_shows(up: &Up) -> Result<(), Failed> {
    let (address, link) = link(up.home())?;
    let arrives = |page: &Value| page["heartbeat"].as_str().is_some_and(|said| said.ends_with("arrives"));
    eventually("the console shows the heartbeat", Duration::from_secs(60), || {
        twin(&address, &link, "/alerts/").is_ok_and(|page| arrives(&page) && page["trouble"].is_null())
    })
}
