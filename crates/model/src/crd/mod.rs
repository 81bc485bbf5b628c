//! The custom resources we serve: `sparkoperator.k8s.io` v1beta2 `SparkApplication`, `ScheduledSparkApplication` and v1alpha1 `SparkConnect`.
//!
//! Field names, enum values and nesting are those of the published API. Everything is optional that the published API leaves
//! optional, so that any manifest accepted there deserialises here; what is missing is filled by our defaults, not by a webhook.

mod application;
mod connect;
mod pod;
mod scheduled;
mod status;

pub use application::*;
pub use connect::*;
pub use pod::*;
pub use scheduled::*;
pub use status::*;
