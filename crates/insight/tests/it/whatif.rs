//! What is predicted from a run, against real runs of the same application with other executors (`tests/what-if`, made by
//! `benches/what-if.py`), and the table of `docs/how-to/sizing.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::sync::LazyLock;

use stoke_eventlog::{Options, Source};
use stoke_insight::facts::{Run, collect};
use stoke_insight::whatif::{Outcome, Plan, what_if};

fn run(job: &str, plan: &str) -> Run {
    let source = Source::directory(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/what-if/4.1.4"));
    let logs = source.logs().unwrap();
    let name = format!("{job}-{plan}.zstd");
    let log = logs.iter().find(|log| log.path.ends_with(&name));
    let log = log.unwrap_or_else(|| panic!("no {name}"));
    collect::run(&source, log, Options::default()).unwrap()
}

fn plan(text: &str) -> Plan {
    let (executors, cores) = text.split_once('x').unwrap();
    Plan {
        executors: executors.parse().unwrap(),
        cores: cores.parse().unwrap(),
    }
}

/// A job, the plan it was recorded with, and the plans it was run again with.
const JOBS: &[(&str, &str, &[&str])] = &[
    ("long", "2x2", &["1x2", "4x2"]),
    ("skewed", "2x2", &["1x2", "4x2"]),
    ("join", "1x1", &["1x2", "2x1"]),
    ("stages", "2x2", &["1x1", "1x2", "4x2", "4x4"]),
    ("short", "2x2", &["1x1", "1x2", "4x2", "2x8"]),
];

/// A prediction and the run that shows what it is worth. Times count from the start of the first job: how long executors take to come is
/// the cluster's.
struct Shown {
    job: &'static str,
    with: &'static str,
    recorded: bool,
    predicted: f64,
    range: (f64, f64),
    real: f64,
    outcome: Outcome,
}

impl Shown {
    fn of(job: &'static str, from: &Run, with: &'static str, recorded: bool) -> Shown {
        let again = run(job, with);
        let before = start(from);
        let outcome = what_if(from, plan(with)).unwrap();
        let time = match recorded {
            true => outcome.replayed,
            false => outcome.predicted,
        };
        Shown {
            job,
            with,
            recorded,
            predicted: time as f64 - before,
            range: (outcome.range.least as f64 - before, outcome.range.most as f64 - before),
            real: again.duration() as f64 - start(&again),
            outcome,
        }
    }

    fn error(&self) -> f64 {
        self.predicted / self.real - 1.0
    }

    fn place(&self) -> String {
        format!(
            "{} with {}: {:+.3}, {:?}",
            self.job,
            self.with,
            self.error(),
            self.outcome
        )
    }
}

/// Milliseconds until the first job.
fn start(run: &Run) -> f64 {
    let first = run.jobs.values().map(|job| job.started).min().unwrap();
    (first - run.started) as f64
}

/// Every recorded run simulated, and every prediction.
static SHOWN: LazyLock<Vec<Shown>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for (job, recorded, others) in JOBS {
        let from = run(job, recorded);
        all.push(Shown::of(job, &from, recorded, true));
        all.extend(others.iter().map(|other| Shown::of(job, &from, other, false)));
    }
    all
});

#[test]
fn the_recorded_executors_take_what_they_took() {
    for (job, recorded, others) in JOBS {
        for with in others.iter().chain([recorded]) {
            let outcome = what_if(&run(job, with), plan(with)).unwrap();
            assert!(outcome.error.abs() < 0.05, "{job} {with}: {:+.3}", outcome.error);
            assert_eq!(outcome.recorded_plan, plan(with));
        }
    }
}

#[test]
fn tasks_that_are_no_launching_are_predicted_within_a_sixth() {
    for shown in SHOWN.iter() {
        if ["long", "skewed"].contains(&shown.job) {
            assert!(shown.error().abs() < 1.0 / 6.0, "{}", shown.place());
            assert!(shown.outcome.reliable, "{}", shown.place());
        }
    }
}

#[test]
fn tasks_that_are_launching_are_said_to_be_and_come_with_a_range() {
    for shown in SHOWN.iter() {
        let outcome = &shown.outcome;
        let warned = outcome
            .limits
            .iter()
            .any(|limit| limit.contains("went into launching them"));
        assert_eq!(outcome.reliable, !warned, "{}", shown.place());
        assert!(
            outcome.range.least <= outcome.predicted && outcome.predicted <= outcome.range.most,
            "{}",
            shown.place()
        );
        if ["short", "stages"].contains(&shown.job) {
            assert!(warned, "{}", shown.place());
        }
    }
}

/// The rows of the document's table.
fn table() -> String {
    let mut table = String::new();
    for shown in SHOWN.iter() {
        let seconds = |milliseconds: f64| format!("{:.1}", milliseconds / 1000.0);
        let range = match shown.range.0 + 200.0 < shown.range.1 {
            true => format!("{} to {}", seconds(shown.range.0), seconds(shown.range.1)),
            false => String::new(),
        };
        let (job, with) = match shown.recorded {
            true => (
                format!("{}, launching {:.0} %", shown.job, shown.outcome.launching * 100.0),
                format!("{} (recorded)", shown.with),
            ),
            false => (String::new(), shown.with.to_owned()),
        };
        let _ = writeln!(
            table,
            "| {job} | {with} | {} | {} | {:+.0} % | {range} |",
            seconds(shown.predicted),
            seconds(shown.real),
            shown.error() * 100.0,
        );
    }
    table
}

#[test]
fn the_document_has_the_table() {
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/how-to/sizing.md")).unwrap();
    let table = table();
    assert!(document.contains(&table), "docs/how-to/sizing.md must have\n{table}");
}
