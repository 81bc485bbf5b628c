//! Room `platform`: the components around Spark, presets by workload, and job directories that start right.
//!
//! - [`preset`]: what applications of a workload set, each key with its reason
//! - [`path`]: job directories that pass their checks and run at once

pub mod codes;
pub mod path;
pub mod preset;
