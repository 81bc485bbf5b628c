//! What this room says and writes, beside the programs that read it: promtool, amtool, a real Alertmanager.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod alertmanager;
mod objectives;
mod promtool;
mod rules;
mod speed;
mod tools;

use libtest_mimic::Arguments;

fn main() {
    let trials = [
        objectives::trials(),
        promtool::all(),
        speed::all(),
        rules::trials(),
        alertmanager::trials(),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials.into_iter().flatten().collect()).exit();
}
