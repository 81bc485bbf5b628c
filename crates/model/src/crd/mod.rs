//! The custom resources we serve: `sparkoperator.k8s.io` v1beta2 `SparkApplication`, `ScheduledSparkApplication` and v1alpha1 `SparkConnect`.
//!
//! Field names, enum values and nesting are those of the published API. Everything is optional that the published API leaves
//! optional, so that any manifest accepted there deserialises here; what is missing is filled by our defaults, not by a webhook.
//! The CustomResourceDefinitions in `deploy/crds` are made from the types ([`definition`]).

mod application;
mod connect;
mod definition;
mod pod;
mod scheduled;
mod status;
mod structural;

pub use application::*;
pub use connect::*;
pub(crate) use definition::shared_schema;
pub use definition::{KINDS, api_version, crd_yaml, definition, definitions, schema, schema_of};
pub use pod::*;
pub use scheduled::*;
pub use status::*;
