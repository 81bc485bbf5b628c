//! The vocabulary of Stoke. No I/O, no clock, no network.
//!
//! In: text of manifests and Spark configuration. Out: typed objects and complaints with their place.
//! - [`crd`]: the published custom resources, field by field, and the CRD YAML made from them
//! - [`defaults`]: the published defaults
//! - [`units`]: quantities, memory, durations in the dialects of Kubernetes, Spark and Go, and as people read them
//! - [`mod@cron`] tells when schedules are due
//! - [`manifest`]: YAML and JSON with places, so that every complaint names file:line
//! - [`schema`]: lint of a document against the schema of its kind
//! - [`distribution`]: what each Spark is built with
//! - [`kubernetes`]: Kubernetes' own kinds and fields by release, and what was removed
//! - [`pod_security`]: what the Pod Security Standards forbid of a pod
//! - [`annotations`]: what people may ask for beyond the published fields
//! - [`go`]: values as Go writes them in messages
//! - [`waiting`]: what a pod that does not start waits for, and who can change it
//! - [`names`]: object names, labels, annotations other programs depend on

pub mod annotations;
pub mod codes;
pub mod conf;
pub mod crd;
pub mod cron;
pub mod defaults;
pub mod distribution;
pub mod go;
pub mod kubernetes;
pub mod manifest;
pub mod names;
pub mod pod_security;
pub mod redaction;
pub mod schema;
pub mod units;
pub mod waiting;

pub use units::{duration, memory, quantity};
