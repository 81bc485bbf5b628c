//! Room `platform`: the components around Spark, presets by workload, and job directories that start right.

pub mod codes;
pub mod path;
pub mod preset;
