//! Spark's own History Server and ours read the same logs and must answer the same, endpoint by endpoint, field by field.
//!
//! By default what Spark 4.1.4 answered is replayed from a [record](recorded.rs): logs of one group of [`workloads.py`](workloads.py) and every answer about
//! them. `STOKE_TESTS=full` asks the real server about those logs and fails where it answers something else (`STOKE_WRITE_RECORDS=1` beside it makes the record
//! again), and takes logs of three versions and every group, made by the real Spark of each and kept in the target directory; it asserts that the logs show
//! every feature. With `STOKE_HISTORY_SPARKS` (directories of Spark, `:` between them) those Sparks are used instead of installed ones; with
//! `STOKE_HISTORY_LOGS` the logs of a directory (one directory in it per version) instead of new ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod compare;
mod derive;
mod features;
mod recorded;
mod server;
mod shape;
mod sparks;
mod urls;

use std::cell::RefCell;

use libtest_mimic::{Arguments, Failed};

use recorded::{Answers, Record};
use sparks::{Spark, VERSIONS};
use stoke_history::index::Index;
use stoke_history::rest::Library;
use stoke_testkit::{Tier, trial};

/// The version of the record.
const RECORDED: &str = "4.1.4";

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        trial(
            "history equals Spark's own, as recorded",
            Tier::Default,
            || Ok(()),
            replay,
        ),
        trial(
            "what is recorded is what Spark answers",
            Tier::Full,
            || Spark::find(RECORDED).map(|_| ()),
            drift,
        ),
    ];
    trials.extend(VERSIONS.into_iter().map(|version| {
        let name = format!("history of {version} equals Spark's own");
        let needs = move || Spark::find(version).map(|_| ());
        trial(&name, Tier::Full, needs, move || live(&Spark::find(version)?))
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

/// Ours beside what is recorded.
fn replay() -> Result<(), Failed> {
    let record = Record::read()?;
    let directory = tempfile::tempdir()?;
    let logs = record.derived(directory.path())?;
    let mut failures = String::new();
    let settings = server::settings();
    if record.answers.len() != settings.len() {
        return Err("the record is of other settings".into());
    }
    for ((what, _, limits), answers) in settings.into_iter().zip(&record.answers) {
        let said = |url: &str| answers.get(url).cloned().ok_or(format!("{url}: not in the record"));
        let differences = compare::all(&said, &server::ours(&logs, limits), what, &recorded::wanted)?;
        if !differences.is_empty() {
            failures.push_str(&format!("{what}: {}", compare::report(&differences)));
        }
    }
    verdict(failures)
}

/// The record beside Spark's server. The same is asked as by the replay, so all it needs is in the record.
fn drift() -> Result<(), Failed> {
    let spark = Spark::find(RECORDED)?;
    let renewed = std::env::var_os("STOKE_WRITE_RECORDS").is_some();
    let mut record = match renewed {
        true => Record::of(&spark.logs_of(sparks::ENOUGH)?)?,
        false => Record::read()?,
    };
    let directory = tempfile::tempdir()?;
    let logs = record.derived(directory.path())?;
    let mut failures = String::new();
    let mut all = Vec::new();
    for (place, (what, properties, limits)) in server::settings().into_iter().enumerate() {
        let ours = server::ours(&logs, limits);
        let real = server::Real::start(&spark, &logs, &properties, attempts(&ours))?;
        let answers = RefCell::new(Answers::new());
        let asked = |url: &str| {
            let answered = real.get(url)?;
            answers.borrow_mut().insert(url.to_owned(), answered.clone());
            Ok(answered)
        };
        let differences = compare::all(&asked, &ours, what, &recorded::wanted)?;
        let answers = answers.into_inner();
        if let Some(before) = record.answers.get(place) {
            let drifted = compare::drift(before, &answers);
            if !drifted.is_empty() {
                failures.push_str(&format!("{what}, recorded beside live: {}", compare::report(&drifted)));
            }
        }
        if !differences.is_empty() {
            failures.push_str(&format!("{what}: {}", compare::report(&differences)));
        }
        all.push(answers);
    }
    if renewed {
        record.answers = all;
        record.write()?;
    }
    verdict(failures)
}

/// Ours beside the server of a Spark, on logs that this Spark wrote.
fn live(spark: &Spark) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    derive::copy_and_derive(&spark.logs()?, directory.path())?;
    let mut failures = String::new();
    let missing = features::missing(directory.path())?;
    if !missing.is_empty() {
        failures.push_str(&format!("the logs show nothing of: {}\n", missing.join(", ")));
    }
    for (what, properties, limits) in server::settings() {
        let ours = server::ours(directory.path(), limits);
        let real = server::Real::start(spark, directory.path(), &properties, attempts(&ours))?;
        let differences = compare::all(&|url| real.get(url), &ours, what, &|_| true)?;
        if !differences.is_empty() {
            failures.push_str(&format!("{what}: {}", compare::report(&differences)));
        }
    }
    verdict(failures)
}

fn attempts(library: &Index) -> usize {
    library.listed().iter().map(|listed| listed.attempts.len()).sum()
}

fn verdict(failures: String) -> Result<(), Failed> {
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.into()),
    }
}
