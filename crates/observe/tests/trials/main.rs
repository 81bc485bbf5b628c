//! What this room says and writes, beside the programs that read it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod objectives;
mod promtool;
mod speed;

use libtest_mimic::Arguments;

fn main() {
    let trials = [objectives::trials(), promtool::all(), speed::all()].into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
