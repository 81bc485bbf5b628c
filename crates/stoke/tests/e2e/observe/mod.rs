//! A real Prometheus and a real Alertmanager on the embedded cluster: each alert fires by a fault and clears when that is repaired, one cause is
//! one page, every panel of every dashboard has data, and a run that was over before any scrape has the series of a long one.
//!
//! Windows and waiting times are a sixtieth of production's, by the pack's own tempo.

mod asked;
mod faults;
mod operator;

use std::collections::BTreeSet;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use stoke_observe::pack::{alerts, dashboards};

use crate::common::{Context, eventually, expect_code, expect_parts, full, program, text};
use crate::live_pages::{link, twin};
use crate::up::Up;
use asked::Servers;
use faults::{FAULTS, Fault, WITHOUT_A_FAULT};

pub fn trials(context: &Context) -> Vec<Trial> {
    let needs = [
        context.spark("4.1.4"),
        program("kubectl", "see the Kubernetes documentation, `Install kubectl`"),
        program("prometheus", "apt-get install prometheus"),
        program("promtool", "apt-get install prometheus"),
        program("amtool", "apt-get install prometheus-alertmanager"),
    ];
    let in_full: Vec<_> = std::iter::once(full()).chain(needs.clone()).collect();
    vec![
        context.trial(
            "observe: a run of seconds has the series of a long one",
            &needs,
            complete,
        ),
        context.trial(
            "observe: every fault fires its alert, and its repair clears it",
            &in_full,
            faults_fire,
        ),
        context.trial(
            "observe: an operator that stops pages, and what it missed is known",
            &in_full,
            operator::stops,
        ),
        context.trial(
            "observe: what is not installed is named with what installs it",
            &[],
            named,
        ),
    ]
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
    apply(&up, &faults::application("long", "long.py", ""))?;
    apply(&up, faults::SCRIPTS)?;
    eventually("the long run is scraped", Duration::from_secs(120), || {
        servers.count("metrics_executor_completedTasks_total{app=\"long\",executor_id!=\"driver\"} > 0") > 0
            && servers.count("metrics_spark_driver_DAGScheduler_job_allJobs_Value{app=\"long\"} > 0") > 0
    })?;
    let of_long = scraped(&servers, "long");
    let labels = servers.query("metrics_executor_completedTasks_total{app=\"long\",executor_id=\"1\"}");
    let labels: BTreeSet<String> = labels[0]["metric"].as_object().unwrap().keys().cloned().collect();
    // The short one is not scraped at all: its driver has no time for it, or its only scrape came before its first task.
    apply(&up, &faults::application("short", "quick.py", ""))?;
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

fn faults_fire(context: &Context) -> Result<(), Failed> {
    let here = FAULTS
        .iter()
        .flat_map(|fault| fault.alerts.iter().map(|alert| (fault.name, *alert)));
    let covered: BTreeSet<(&str, &str)> = here.chain(faults::OF_A_STOPPED_OPERATOR.iter().copied()).collect();
    let claimed: BTreeSet<(&str, &str)> = alerts::all()
        .filter_map(|alert| Some((alert.fault?, alert.name)))
        .collect();
    assert_eq!(covered, claimed, "what alerts say of their faults is so");
    let without: BTreeSet<&str> = WITHOUT_A_FAULT.iter().map(|(name, _)| *name).collect();
    let lacking = alerts::all().filter(|alert| alert.fault.is_none());
    assert_eq!(lacking.map(|alert| alert.name).collect::<BTreeSet<_>>(), without);
    let count = alerts::all().count();
    let (up, servers) = start(context)?;
    apply(&up, faults::SCRIPTS)?;
    let mut failed = Vec::new();
    for group in FAULTS.chunk_by(|a, b| a.group == b.group) {
        for fault in group {
            (fault.inject)(&up)?;
        }
        for fault in group {
            for alert in fault.alerts {
                match eventually(alert, Duration::from_secs(240), || !servers.active(alert).is_empty()) {
                    Ok(()) => println!("{alert} fires by {}", fault.name),
                    Err(_) => failed.push(format!("{alert} does not fire by {}", fault.name)),
                }
            }
        }
        if group
            .iter()
            .any(|fault| fault.alerts.contains(&"StokeJobFailingAgainAndAgain"))
        {
            one_page(&servers, &mut failed)?;
        }
        if group.iter().any(|fault| fault.group == faults::WITH_SPARK) {
            panels(&servers, &mut failed);
        }
        for fault in group {
            (fault.repair)(&up)?;
        }
        for fault in group {
            for alert in fault.alerts {
                match eventually(alert, Duration::from_secs(120), || servers.active(alert).is_empty()) {
                    Ok(()) => println!("{alert} is over"),
                    Err(_) => failed.push(format!(
                        "{alert} goes on after the repair of {}: {:?}",
                        fault.name,
                        servers.active(alert)
                    )),
                }
            }
        }
    }
    println!("{} of {} alerts fired by {} faults", covered.len(), count, FAULTS.len());
    if !failed.is_empty() {
        return Err(failed.join("\n").into());
    }
    up.down()
}

/// The job that fails again and again has one page; its ticket is silenced by it.
fn one_page(servers: &Servers, failed: &mut Vec<String>) -> Result<(), Failed> {
    let of = |name: &str| -> Vec<Value> {
        let all = servers.active(name);
        all.into_iter()
            .filter(|alert| alert["labels"]["app"] == "again")
            .collect()
    };
    let silenced = |alert: &Value| {
        !alert["status"]["inhibitedBy"]
            .as_array()
            .unwrap_or(&Vec::new())
            .is_empty()
    };
    eventually("the ticket is silenced by the page", Duration::from_secs(30), || {
        let tickets = of("StokeJobFailed");
        !tickets.is_empty() && tickets.iter().all(silenced)
    })?;
    if of("StokeJobFailingAgainAndAgain").iter().any(silenced) {
        failed.push("the page itself is silenced".to_owned());
    }
    Ok(())
}

/// Every panel has data.
fn panels(servers: &Servers, failed: &mut Vec<String>) {
    let mut count = 0;
    for dashboard in dashboards::all() {
        for panel in dashboard.panels {
            for (query, _) in panel.queries {
                count += 1;
                let asked = dashboards::unchosen(query);
                let has_data = eventually(query, Duration::from_secs(20), || servers.count(&asked) > 0);
                if has_data.is_err() {
                    failed.push(format!("{}: {} has no data: {asked}", dashboard.name, panel.title));
                }
            }
        }
    }
    println!("{count} expressions of panels have data, but for those told");
}

impl Fault {
    /// Deletes what it made.
    fn deletes(up: &Up, objects: &[&str]) -> Result<(), Failed> {
        for object in objects {
            let arguments = ["delete", object, "--ignore-not-found", "--wait=false"];
            expect_code(&up.kubectl(&arguments).output()?, 0)?;
        }
        Ok(())
    }
}
