//! What this room writes, before the programs that read it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod objectives;

use libtest_mimic::Arguments;

fn main() {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, objectives::trials()).exit();
}
