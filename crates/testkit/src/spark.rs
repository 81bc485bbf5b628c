//! A Spark for tests that read its jars or run it, from the home that all tests share.

use std::path::PathBuf;

use stoke_runtime::{Runtime, Runtimes, Version};

use crate::target_directory;

/// The home that all tests share: its Sparks stay from run to run.
pub fn home() -> PathBuf {
    target_directory().join("stoke-test-home")
}

/// The Spark of a version, installed from the Python package index where it is not there yet; or the reason why it cannot be had.
pub fn spark(version: &str) -> Result<Runtime, String> {
    find_or_install(&Runtimes::new(home()), version)
}

/// The same, with these directories of Spark instead of those that the environment names.
pub fn spark_among(own: Vec<PathBuf>, version: &str) -> Result<Runtime, String> {
    find_or_install(&Runtimes::new(home()).with_own_sparks(own), version)
}

fn find_or_install(runtimes: &Runtimes, version: &str) -> Result<Runtime, String> {
    let wanted: Version = version.parse().map_err(|error| format!("{error}"))?;
    match runtimes.find(&wanted).map_err(|error| error.to_string())? {
        Some(runtime) => Ok(runtime),
        None => runtimes
            .install(&wanted, false, &mut |_| {})
            .map_err(|error| error.to_string()),
    }
}
