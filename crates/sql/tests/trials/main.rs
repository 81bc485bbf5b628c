//! The grammar beside Spark's own parser, and texts that try to break it.

mod agreement;
mod conditions;
mod hostile;

use libtest_mimic::Arguments;

fn main() {
    let trials = [agreement::all(), conditions::all(), hostile::all()]
        .into_iter()
        .flatten()
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
