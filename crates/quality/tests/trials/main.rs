//! Verdicts beside Great Expectations, tables beside the Spark that wrote them, and comparisons of data that are made by the thousand.
#![allow(clippy::unwrap_used)]

mod difference;
mod great_expectations;
mod tables;

use libtest_mimic::Arguments;

fn main() {
    let trials = [difference::all(), great_expectations::all(), tables::all()]
        .into_iter()
        .flatten()
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
