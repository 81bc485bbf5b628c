//! The pack beside the programs that read it: promtool, amtool, a real Alertmanager.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod alertmanager;
mod rules;
mod tools;

use libtest_mimic::Arguments;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = rules::trials();
    trials.extend(alertmanager::trials());
    libtest_mimic::run(&arguments, trials).exit();
}
