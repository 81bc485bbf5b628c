//! Rules about how a run went, on event logs of real runs (`tests/logs`, made by `scripts/make-insight-logs`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::path::Path;

use stoke_diagnostics::Diagnostic;
use stoke_eventlog::{Options, Source};
use stoke_insight::doctor::{failures, performance};
use stoke_insight::facts::{Facts, Run, collect};
use stoke_insight::{size, whatif};

fn run(version: &str, name: &str) -> Run {
    of(&format!("logs/{version}"), name)
}

fn of(folder: &str, name: &str) -> Run {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let source = Source::directory(&folder);
    let logs = source.logs().expect("the folder can be listed");
    let log = logs
        .iter()
        .find(|log| log.path.ends_with(&format!("{name}.zstd")))
        .unwrap_or_else(|| panic!("no log {name} in {}", folder.display()));
    collect::run(&source, log, Options::default()).expect("the log can be read")
}

fn findings(run: Run) -> Vec<Diagnostic> {
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
    ("4.1.4", "idle-executors", &["idle-executors"], "69 % of their time"),
    ("4.1.4", "retried-tasks", &["lost-work"], "16 task attempts were lost"),
    ("4.1.4", "recomputed", &["recomputed-data"], "was made 5 times"),
    ("4.1.4", "tiny-tasks", &["too-many-tasks"], "4,000 tasks were so short"),
    (
        "4.1.4",
        "gc-pressure",
        &["gc-pressure"],
        "of the tasks' time on garbage collection",
    ),
    ("4.1.4", "speculation", &["speculation-storm"], "22 copies of tasks"),
    (
        "4.1.4",
        "over-provisioned",
        &["memory-over-provisioned"],
        "of its 8 GiB of heap",
    ),
    ("4.1.4", "python-memory", &["memory-near-limit"], "most of it in Python"),
];

#[test]
fn real_runs_are_told_their_trouble_first() {
    for (version, name, expected, words) in RUNS {
        let found = findings(run(version, name));
        let ids: Vec<&str> = found.iter().map(|finding| &*finding.code).collect();
        assert!(ids.starts_with(expected), "{version}/{name}: {ids:?}");
        let first = &found[0];
        let text = format!("{} {:?}", first.message, first.evidence);
        assert!(text.contains(words), "{version}/{name}: {text}");
        for finding in &found {
            assert!(
                !finding.evidence.is_empty() && !finding.fix_text().is_empty(),
                "{}",
                finding.code
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

/// Runs with joins, shuffles, a few slow tasks or short ones, none of them worth advice.
const WELL: &[(&str, &str)] = &[
    ("pairs", "base"),
    ("pairs", "cores"),
    ("pairs", "data"),
    ("pairs", "noaqe"),
    ("what-if/4.1.4", "join-1x1"),
    ("what-if/4.1.4", "join-1x2"),
    ("what-if/4.1.4", "join-2x1"),
    ("what-if/4.1.4", "stages-2x2"),
];

#[test]
fn runs_that_went_well_are_left_alone() {
    for (folder, name) in WELL {
        let facts = Facts {
            run: Some(of(folder, name)),
            ..Facts::default()
        };
        let mut found = performance::findings(&facts);
        found.extend(failures::findings(&facts));
        let told: Vec<_> = found.iter().map(|finding| (&finding.code, &finding.message)).collect();
        assert!(told.is_empty(), "{folder}/{name}: {told:?}");
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

/// The drivers of these runs were killed while a task slept, so that their logs end as those of running ones. In the first a job that
/// began later made Spark write what it knew of the stage; in the second the start of the job is the last that was written.
#[test]
fn a_stage_is_stuck_when_nothing_of_it_ended_for_half_an_hour() {
    for (name, words) in [
        ("stuck", "3 of 4 tasks done, 1 task at work"),
        ("stuck-unwritten", "0 of 4 tasks done, the log does not say which run"),
    ] {
        let run = run("4.1.4", name);
        assert!(run.ended.is_none());
        let ended = run.stages[&(0, 0)].tasks.iter().filter(|task| task.duration > 0);
        let last = ended.map(|task| run.started + i64::try_from(task.ended()).unwrap());
        let last = last.max().unwrap_or(run.jobs[&0].started);
        for (minutes, told) in [(29, false), (31, true), (300, true)] {
            let found = failures::findings(&Facts {
                run: Some(run.clone()),
                now: last + minutes * 60_000,
                ..Facts::default()
            });
            let ids: Vec<_> = found.iter().map(|finding| &*finding.code).collect();
            assert_eq!(ids, if told { vec!["stage-stuck"] } else { vec![] }, "{name} {minutes}");
            if told {
                let expected = format!("Stage 0 has not come on for {minutes} minutes: {words}");
                assert_eq!(found[0].message, expected);
            }
        }
    }
}
