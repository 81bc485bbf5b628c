//! Beside other programs: Debian's `docker-registry` and `skopeo`, servers that behave badly; pip, dpkg, rpm, the validators of CycloneDX and SPDX; cosign.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_registries;
mod beside_cosign;
mod beside_packagers;
mod building;
mod real_registry;
mod server;
mod stores;
#[path = "../it/evidence/world.rs"]
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        bad_registries::trials(),
        building::trials(),
        real_registry::trials(),
        beside_packagers::trials(),
        beside_cosign::trials(),
        stores::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A runtime for one test.
fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    result
}
