//! What the tests of several rooms stand on.
//!
//! In: the name of a test, its [tier](Tier), what it needs. Out: a test of [`libtest_mimic`] that runs, or is ignored with the reason in its name;
//! Pythons and Sparks that are installed once and kept in the target directory.
//! It never decides what a test asserts, and no product code depends on it.
//!
//! - [`Tier`]: when a test runs (`STOKE_TESTS`).
//! - [`trial`]: a test with its tier, its needs and a time limit.
//! - [`limited`]: the time limit alone.
//! - [`damage`]: damaged files, the same each time.
//! - [`generated`]: files that are made out of the code.
//! - [`python`]: virtual environments.
//! - [`spark`]: real Sparks from the Python package index.
//! - [`maven`]: files of Maven Central, by their sums.
//! - [`program`], [`reached`]: what this machine has and reaches.

pub mod damage;
pub mod generated;
mod limit;
mod machine;
pub mod maven;
pub mod python;
pub mod spark;
mod tier;
mod trial;

pub use limit::limited;
pub use machine::{helm, program, reached, target_directory};
pub use tier::Tier;
pub use trial::{skipped, trial};
