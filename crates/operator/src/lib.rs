//! Room `operator`: `SparkApplication` and `ScheduledSparkApplication` objects become runs of real Spark.
//!
//! In: a `kube::Client`. Out: pods, their services and ConfigMaps, statuses and Events at that API server. Observe, decide, act:
//! - [`application`]: facts about one application in, one decision out (pure)
//! - [`names`]: names other programs depend on, and names that make doing a thing twice safe
//!
//! It never acts before the intent is in the status, never believes a cache that a pod is gone, never leaves an application that has not
//! ended without a time to look at it again, and never lets one application delay another.

pub mod application;
pub mod names;
