//! The gates beside planted mistakes and beside real Sparks.

mod mistakes;
mod refused;

use libtest_mimic::Arguments;

fn main() {
    let trials = [mistakes::all(), refused::all()].into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
