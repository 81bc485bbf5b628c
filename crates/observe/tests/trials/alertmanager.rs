//! Who is told: amtool asks the routes, and a real Alertmanager is given causes and what they explain.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use stoke_observe::pack::alert::{Alert, Owner, Severity};
use stoke_observe::pack::alertmanager::{EXPLAINS, configuration, receivers_of};
use stoke_observe::pack::rules::PLATFORM;
use stoke_observe::pack::{Settings, alerts, yaml};

use crate::tools::{alertmanager, amtool, ask, free, said, with};

pub fn trials() -> Vec<Trial> {
    vec![
        with("every_alert_is_told_to_whom_it_concerns", amtool, routed),
        with("a_cause_is_told_and_what_it_explains_is_not", alertmanager, inhibited),
    ]
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    let url = "http://data.example.com/alerts".to_owned();
    settings.receivers.teams.insert("data".into(), url);
    settings
}

fn configured(directory: &Path) -> PathBuf {
    let path = directory.join("alertmanager.yaml");
    std::fs::write(&path, yaml(&configuration(&settings()))).unwrap();
    path
}

fn routed(amtool: PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = configured(directory.path());
    said(Command::new(&amtool).arg("check-config").arg(&path));
    let mut asked = 0;
    for alert in alerts::all() {
        let teams: &[&str] = match alert.owner {
            Owner::Platform => &[PLATFORM],
            Owner::Job => &["data", "nobody", ""],
        };
        for team in teams {
            for severity in Severity::ALL {
                let labels = [
                    format!("alertname={}", alert.name),
                    format!("severity={}", severity.label()),
                    format!("team={team}"),
                ];
                let answer = said(
                    Command::new(&amtool)
                        .args(["config", "routes", "test", "--config.file"])
                        .arg(&path)
                        .args(&labels),
                );
                let receivers: Vec<String> = answer.trim().split(',').map(str::to_owned).collect();
                assert_eq!(receivers, receivers_of(&settings(), severity, team), "{labels:?}");
                asked += 1;
            }
        }
    }
    println!("{asked} combinations of alert, severity and team");
    assert!(asked > 200);
}

struct Running {
    child: Child,
    address: SocketAddr,
    _data: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(program: &Path) -> Running {
    let data = tempfile::tempdir().unwrap();
    let address = free();
    let child = Command::new(program)
        .arg(format!("--config.file={}", configured(data.path()).display()))
        .arg(format!("--storage.path={}", data.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running {
        child,
        address,
        _data: data,
    };
    let begun = Instant::now();
    while ask(address, "GET", "/-/ready", "").is_none() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "Alertmanager does not answer"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    running
}

/// Labels with which an alert fires in its tests, where they match.
fn fired(alert: &Alert, matches: &dyn Fn(&Value) -> bool) -> Option<Value> {
    let fires = alert
        .cases
        .iter()
        .flat_map(|case| case.checks)
        .flat_map(|(_, fires)| *fires);
    fires
        .map(|labels| {
            let mut value = json!({"alertname": alert.name, "severity": alert.severity.label()});
            for (name, label) in labels.split(',').filter_map(|pair| pair.split_once('=')) {
                value[name] = label.into();
            }
            value
        })
        .find(|labels| matches(labels))
}

fn inhibited(program: PathBuf) {
    let running = start(&program);
    let named = |name: &str| alerts::all().find(|alert| alert.name == name).unwrap();
    let mut pairs = 0;
    for one in EXPLAINS {
        let matcher = one
            .explained
            .iter()
            .find_map(|text| text.strip_prefix("alertname="))
            .unwrap();
        let class = one.explained.iter().find_map(|text| text.strip_prefix("class="));
        for (cause, explained) in one.causes.iter().flat_map(|cause| {
            matcher
                .trim_start_matches('~')
                .trim_matches('"')
                .split('|')
                .map(move |name| (*cause, name))
        }) {
            let first = fired(named(cause), &|_| true).unwrap();
            let second = fired(named(explained), &|_| true).unwrap();
            // The two are about the same thing, and a third is about another.
            let mut second = second;
            let merged = |of: &mut Value| {
                for label in one.equal {
                    of[*label] = first[*label].clone();
                }
            };
            if let Some(class) = class {
                let class = class.trim_start_matches('~').trim_matches('"');
                second["class"] = class.split('|').next().unwrap().replace(".*", "slow-down").into();
            }
            merged(&mut second);
            let mut other = second.clone();
            match one.equal.first() {
                Some(label) if class.is_none() || *label != "class" => other[*label] = "another".into(),
                Some(label) => other[*label] = "s3-bucket-missing".into(),
                None => other["alertname"] = "StokeNoneOfThese".into(),
            }
            let mark = format!("{pairs}");
            let alerts: Vec<Value> = [(&first, "cause"), (&second, "explained"), (&other, "other")]
                .iter()
                .map(|(labels, part)| {
                    let mut labels = (*labels).clone();
                    // A label of the test alone, so that the same alert twice is two.
                    labels["pair"] = format!("{mark}-{part}").into();
                    json!({"labels": labels})
                })
                .collect();
            ask(running.address, "POST", "/api/v2/alerts", &json!(alerts).to_string()).unwrap();
            let of = |part: &str| {
                let path = format!("/api/v2/alerts?filter=pair%3D%22{mark}-{part}%22");
                let found: Value = serde_json::from_str(&ask(running.address, "GET", &path, "").unwrap()).unwrap();
                assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
                !found[0]["status"]["inhibitedBy"].as_array().unwrap().is_empty()
            };
            let begun = Instant::now();
            while !of("explained") {
                assert!(
                    begun.elapsed() < Duration::from_secs(20),
                    "{cause} does not silence {explained}: {alerts:#?}"
                );
                std::thread::sleep(Duration::from_millis(50));
            }
            assert!(!of("other"), "{cause} silences more than {explained}: {alerts:#?}");
            // What was posted ends, so that it explains nothing of the next pair.
            let ended: Vec<Value> = alerts
                .iter()
                .map(|alert| json!({"labels": alert["labels"], "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2020-01-01T00:00:01Z"}))
                .collect();
            ask(running.address, "POST", "/api/v2/alerts", &json!(ended).to_string()).unwrap();
            pairs += 1;
        }
    }
    println!("{pairs} pairs of cause and explained");
    assert!(pairs > 20);
}
