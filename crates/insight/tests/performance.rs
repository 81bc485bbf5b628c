//! Rules about how a run went, on event logs of real runs (`tests/logs`, made by `scripts/make-insight-logs`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::path::Path;

use stoke_eventlog::{Options, Source};
use stoke_insight::doctor::{Finding, performance};
use stoke_insight::facts::{Facts, Run, collect};
use stoke_insight::{size, whatif};

fn run(version: &str, name: &str) -> Run {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs").join(version);
    let source = Source::directory(&folder);
    let logs = source.logs().expect("the folder can be listed");
    let log = logs
        .iter()
        .find(|log| log.path.ends_with(&format!("{name}.zstd")))
        .unwrap_or_else(|| panic!("no log {version}/{name}"));
    collect::run(&source, log, Options::default()).expect("the log can be read")
}

fn findings(run: Run) -> Vec<Finding> {
    performance::findings(&Facts {
        run: Some(run),
        ..Facts::default()
    })
}

/// The run, what is found first in it, and words that its cause or its evidence must have.
const RUNS: &[(&str, &str, &[&str], &str)] = &[
    ("4.1.4", "skewed-join", &["data-skew"], "longest/median"),
    ("4.1.4", "slow-executor", &["slow-executor"], "Executor 0"),
    ("4.1.4", "spill", &["spill"], "2 of 2 tasks"),
    ("4.1.4", "few-partitions", &["too-few-tasks"], "2 tasks for 8 slots"),
    (
        "4.1.4",
        "small-files",
        &["small-files-written", "small-files-read"],
        "2,400",
    ),
    ("4.1.4", "sorted-small-side", &["join-small-side-shuffled"], "62.5 KiB"),
    (
        "4.1.4",
        "broadcast-large",
        &["broadcast-of-large-table"],
        "5,000,000 rows",
    ),
    ("4.1.4", "cartesian", &["join-without-keys"], "1,800,000,000 pairs"),
];

#[test]
fn real_runs_are_told_their_trouble_first() {
    for (version, name, expected, words) in RUNS {
        let found = findings(run(version, name));
        let ids: Vec<&str> = found.iter().map(|finding| finding.id).collect();
        assert!(ids.starts_with(expected), "{version}/{name}: {ids:?}");
        let first = &found[0];
        let text = format!("{} {:?}", first.cause, first.evidence);
        assert!(text.contains(words), "{version}/{name}: {text}");
        for finding in &found {
            assert!(
                !finding.evidence.is_empty() && !finding.fix.text.is_empty(),
                "{}",
                finding.id
            );
            let json = serde_json::to_value(finding).expect("a finding can be written");
            assert!(
                json["rule"]["source"]
                    .as_str()
                    .is_some_and(|source| source.starts_with("https://")),
                "{json}"
            );
        }
    }
}

#[test]
fn the_recorded_executors_are_simulated_within_a_tenth() {
    for (version, name, ..) in RUNS {
        let run = run(version, name);
        let cores = run.workers().map(|(_, worker)| worker.cores).max().unwrap_or(1);
        let executors = run.workers().count() as u32;
        let outcome = whatif::what_if(&run, whatif::Plan { executors, cores }).expect("an outcome");
        assert!(outcome.error.abs() < 0.1, "{version}/{name}: {outcome:?}");
    }
}

#[test]
fn every_run_has_a_size() {
    for (version, name, ..) in RUNS {
        let sizing = size::for_run(&run(version, name), &size::Options::default()).expect("a size");
        assert!(
            sizing.executors >= 1 && sizing.cores <= 5 && !sizing.reasons.is_empty(),
            "{version}/{name}"
        );
        assert!(sizing.patch["spec"]["executor"]["memory"].is_string());
    }
}
