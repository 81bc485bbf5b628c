//! Bills of materials and evidence beside other programs: pip, dpkg, rpm, the validators of CycloneDX and SPDX, cosign.

mod beside_cosign;
mod beside_packagers;
#[path = "../it/evidence/world.rs"]
mod world;

use libtest_mimic::Arguments;

fn main() {
    let mut trials = beside_packagers::trials();
    trials.extend(beside_cosign::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
