//! Rules: promtool reads them, their tests pass, and the tests notice when a rule is changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;
use stoke_observe::pack::alert::{Alert, Severity};
use stoke_observe::pack::mutants::{self, Mutant};
use stoke_observe::pack::scrape::{self, Discovery};
use stoke_observe::pack::{Settings, Tempo, alerts, rules, units, yaml};

use stoke_testkit::Tier;

use crate::tools::{promtool, ran, said, with};

pub fn trials() -> Vec<Trial> {
    vec![
        with("promtool_reads_rules_and_scraping_at_every_tempo", promtool, reads),
        with("every_alert_fires_and_is_silent_as_its_tests_say", promtool, tested),
        with("the_tests_notice_nineteen_of_twenty_mutants", promtool, noticed),
    ]
}

fn put(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn reads(promtool: PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    for factor in [1, 60] {
        let settings = Settings {
            tempo: Tempo::times(factor),
            ..Settings::default()
        };
        let path = put(directory.path(), "rules.yaml", &yaml(&rules::groups(&settings)));
        said(Command::new(&promtool).args(["check", "rules"]).arg(path));
        put(
            directory.path(),
            "targets.json",
            &scrape::targets(&[scrape::Driver::default()]).to_string(),
        );
        let beside = Discovery::Beside {
            targets: "targets.json".into(),
            operator: "127.0.0.1:1".into(),
            history: "127.0.0.1:2".into(),
        };
        for discovery in [Discovery::InCluster, beside] {
            let whole = scrape::prometheus(&settings, &discovery, "rules.yaml", "127.0.0.1:9093");
            let path = put(directory.path(), "prometheus.yaml", &yaml(&whole));
            // The token of a pod is not here.
            let check = |path: &Path| {
                ran(Command::new(&promtool)
                    .args(["check", "config", "--syntax-only"])
                    .arg(path))
            };
            let output = check(&path);
            if output.status.success() {
                continue;
            }
            // Debian's is built without Kubernetes' discovery: everything else is held against it.
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                discovery == Discovery::InCluster && text.contains("kubernetes_sd_configs not found"),
                "{text}"
            );
            let mut whole = whole;
            for job in whole["scrape_configs"].as_array_mut().unwrap() {
                job.as_object_mut().unwrap().remove("kubernetes_sd_configs").unwrap();
            }
            let path = put(directory.path(), "prometheus.yaml", &yaml(&whole));
            said(
                Command::new(&promtool)
                    .args(["check", "config", "--syntax-only"])
                    .arg(path),
            );
        }
    }
}

fn tested(promtool: PathBuf) {
    for alert in alerts::all() {
        assert!(
            alert.cases.iter().any(|case| !case.is_silent()),
            "{} never fires",
            alert.name
        );
        let may_always_fire = alert.severity == Severity::Heartbeat;
        assert!(
            may_always_fire || alert.cases.iter().any(stoke_observe::pack::alert::Case::is_silent),
            "{} is never silent",
            alert.name
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::default();
    put(directory.path(), "rules.yaml", &yaml(&rules::groups(&settings)));
    let tests = units::file("rules.yaml", alerts::all(), &settings);
    let path = put(directory.path(), "tests.yaml", &yaml(&tests));
    said(Command::new(promtool).args(["test", "rules"]).arg(path));
}

/// A rule file with these rules alone.
fn groups(rules: Vec<serde_json::Value>) -> String {
    yaml(&serde_json::json!({"groups": [{"name": "mutated", "rules": rules}]}))
}

fn recordings(settings: &Settings, changed: Option<(&str, &Mutant)>) -> Vec<serde_json::Value> {
    let rule = |recording: &stoke_observe::pack::alert::Recording| {
        let mut rule = rules::recording(recording, settings);
        if let Some((_, mutant)) = changed.filter(|(name, _)| *name == recording.name) {
            rule["expr"] = settings.tempo.text(&mutant.expr).into();
        }
        rule
    };
    alerts::RECORDINGS.iter().map(rule).collect()
}

fn mutated(alert: &Alert, mutant: &Mutant, settings: &Settings) -> Vec<serde_json::Value> {
    let mut rule = rules::alert(alert, settings);
    rule["expr"] = settings.tempo.text(&mutant.expr).into();
    rule["for"] = settings.tempo.duration(mutant.hold).into();
    let mut rules = recordings(settings, None);
    rules.push(rule);
    rules
}

/// Labels of rules with one thing wrong.
fn relabelled(alert: &Alert, settings: &Settings) -> Vec<(String, serde_json::Value)> {
    let mut wrong = Vec::new();
    for (path, value) in [
        ("/labels/severity", "info"),
        ("/annotations/runbook", "another"),
        ("/annotations/summary", "another"),
    ] {
        let mut rule = rules::alert(alert, settings);
        *rule.pointer_mut(path).unwrap() = value.into();
        wrong.push((format!("{path} -> {value}"), rule));
    }
    let mut rule = rules::alert(alert, settings);
    let labels = rule["labels"].as_object_mut().unwrap();
    match labels.contains_key("team") {
        true => drop(labels.remove("team")),
        false => drop(labels.insert("team".into(), "platform".into())),
    }
    wrong.push(("/labels/team".to_owned(), rule));
    wrong
}

/// Names of the files after which a program said what it says of good ones.
fn good(output: &str, before: &str, after: &str) -> BTreeSet<String> {
    let mut good = BTreeSet::new();
    let mut last = None;
    for line in output.lines() {
        if let Some(path) = line.strip_prefix(before) {
            last = Path::new(path.trim())
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
        } else if line.trim_start().starts_with(after) {
            good.extend(last.take());
        }
    }
    good
}

fn noticed(promtool: PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::default();
    let mut made: Vec<String> = Vec::new();
    // One in four at every change, chosen by the number; all of them in tier full.
    let all = Tier::Full.need().is_ok();
    let mut seen = 0_u64;
    let mut add = |what: String, rules: Vec<serde_json::Value>, tests: &[&Alert]| {
        seen += 1;
        if !all && seen.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 62 != 0 {
            return;
        }
        let number = made.len();
        let rule_file = format!("r{number}.yaml");
        put(directory.path(), &rule_file, &groups(rules));
        let tests = units::file(&rule_file, tests.iter().copied(), &settings);
        put(directory.path(), &format!("t{number}.yaml"), &yaml(&tests));
        made.push(what);
    };
    for alert in alerts::all() {
        for mutant in mutants::of_alert(alert) {
            let rules = mutated(alert, &mutant, &settings);
            add(format!("{}: {}", alert.name, mutant.change), rules, &[alert]);
        }
        for (change, rule) in relabelled(alert, &settings) {
            let mut rules = recordings(&settings, None);
            rules.push(rule);
            add(format!("{}: {change}", alert.name), rules, &[alert]);
        }
    }
    for recording in alerts::RECORDINGS {
        let users: Vec<&Alert> = alerts::all()
            .filter(|alert| alert.expr.contains(recording.name))
            .collect();
        assert!(!users.is_empty(), "{} is recorded for no alert", recording.name);
        for mutant in mutants::of_recording(recording) {
            let mut rules = recordings(&settings, Some((recording.name, &mutant)));
            rules.extend(users.iter().map(|alert| rules::alert(alert, &settings)));
            add(format!("{}: {}", recording.name, mutant.change), rules, &users);
        }
    }
    let names = |letter: char| (0..made.len()).map(move |number| format!("{letter}{number}.yaml"));
    let run = |what: &str, names: Vec<String>| {
        let output = ran(Command::new(&promtool)
            .args([what, "rules"])
            .args(names)
            .current_dir(directory.path()));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let valid = good(&run("check", names('r').collect()), "Checking ", "SUCCESS");
    let passed = good(&run("test", names('t').collect()), "Unit Testing: ", "SUCCESS");
    let of_valid: Vec<usize> = (0..made.len())
        .filter(|number| valid.contains(&format!("r{number}.yaml")))
        .collect();
    let unnoticed: Vec<&str> = of_valid
        .iter()
        .filter(|number| passed.contains(&format!("t{number}.yaml")))
        .map(|number| made[*number].as_str())
        .collect();
    let share = 1.0 - ratio(unnoticed.len(), of_valid.len());
    println!(
        "{} of {} mutants noticed ({:.1} %); {} would not have been rules at all",
        of_valid.len() - unnoticed.len(),
        of_valid.len(),
        share * 100.0,
        made.len() - of_valid.len()
    );
    println!("not noticed:\n  {}", unnoticed.join("\n  "));
    assert!(of_valid.len() > if all { 550 } else { 120 }, "{}", of_valid.len());
    assert!(share >= 0.95, "{share}: {unnoticed:#?}");
}

#[allow(clippy::cast_precision_loss, reason = "a few hundred")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
