//! Spark's own History Server and ours read the same logs and must answer the same, endpoint by endpoint, field by field.
//!
//! The logs are made by the real Spark of each version running [`workloads.py`](workloads.py), kept in the target directory. By default one
//! version and one group of applications is asked about; `STOKE_TESTS=full` takes all three versions and every group, and asserts that
//! the logs show every feature. With `STOKE_HISTORY_SPARKS` (directories of Spark, `:` between them) those Sparks are used instead of installed ones; with
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
mod server;
mod shape;
mod sparks;
mod urls;

use libtest_mimic::{Arguments, Failed};

use sparks::{Spark, VERSIONS};
use stoke_history::rest::Library;
use stoke_testkit::{Tier, trial};

/// The version of the default tier.
const BY_DEFAULT: &str = "4.1.4";

fn main() {
    let arguments = Arguments::from_args();
    let trials = VERSIONS.into_iter().map(|version| {
        let tier = if version == BY_DEFAULT {
            Tier::Default
        } else {
            Tier::Full
        };
        let name = format!("history_of_{}_equals_sparks_own", version.replace('.', "_"));
        let needs = move || Spark::find(version).map(|_| ());
        trial(&name, tier, needs, move || run(&Spark::find(version)?))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn run(spark: &Spark) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let made = spark.logs()?;
    derive::copy_and_derive(&made, directory.path())?;
    let mut failures = String::new();
    let missing = features::missing(directory.path())?;
    if sparks::all() && !missing.is_empty() {
        failures.push_str(&format!("the logs show nothing of: {}\n", missing.join(", ")));
    }
    for (place, (what, settings, limits)) in server::settings().into_iter().enumerate() {
        let ours = server::ours(directory.path(), limits);
        let attempts = ours.listed().iter().map(|listed| listed.attempts.len()).sum();
        let real = server::Real::start(spark, directory.path(), &settings, attempts)?;
        // How parameters are read does not depend on how much is kept.
        let differences = compare::all(&real, &ours, what, place == 0 || sparks::all())?;
        if !differences.is_empty() {
            failures.push_str(&format!("{what}: {}", compare::report(&differences)));
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.into()),
    }
}
