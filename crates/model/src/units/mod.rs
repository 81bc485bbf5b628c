//! Sizes, amounts and times: every dialect that is read or written, once.
//!
//! - [`quantity`]: Kubernetes' quantities (`500m`, `1.5Gi`), exact
//! - [`memory`]: Spark's and Java's memory strings (`4g`, `512m`), in bytes
//! - [`duration`]: Spark's time strings (`100ms`, `2h`), Go's durations (`1m30s`), kubectl's ages (`3d2h`)
//! - [`spark`]: sizes and durations as Spark shows them (`2.0 KiB`, `1.5 min`)
//! - [`opa`]: sizes and durations as the functions of Rego read them
//! - [`people`]: bytes, times and counts as we show them (`1.5 MiB`, `2 h 5 min`, `12,345`, `1 core`)

pub mod duration;
pub mod memory;
pub mod opa;
pub mod people;
pub mod quantity;
pub mod spark;
