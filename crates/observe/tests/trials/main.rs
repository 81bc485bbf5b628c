//! What this room says beside what other programs say.

mod promtool;
mod speed;

use libtest_mimic::Arguments;

fn main() {
    let trials = [promtool::all(), speed::all()].into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
