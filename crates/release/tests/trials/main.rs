//! Images and registries as they are: Debian's `docker-registry` and `skopeo`, and servers that behave badly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_registries;
mod building;
mod real_registry;
mod server;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [bad_registries::trials(), building::trials(), real_registry::trials()]
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
