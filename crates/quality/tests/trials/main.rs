//! Verdicts beside Great Expectations, and tables beside the Spark that wrote them.

mod great_expectations;
mod tables;

use libtest_mimic::Arguments;

fn main() {
    let trials = [great_expectations::all(), tables::all()]
        .into_iter()
        .flatten()
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
