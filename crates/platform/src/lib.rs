//! Room `platform`: the components around Spark, presets by workload, and job directories that start right. Pure: no cluster, no file, no clock.
//!
//! In: the text of `platform.yaml`. Out: Kubernetes objects of an environment, or what is wrong with the file, each at its line with a fix.
//!
//! - [`spec`]: the file as types, read with places; its JSON schema
//! - [`check`]: what its values mean together
//! - [`environment`]: the file as it is in one environment
//! - [`component`]: the catalogue, and the objects of each kind
//! - [`render`](mod@render): the objects of a platform, and trees of files
//! - [`wire`](mod@wire): what an application gets that names a catalog or a place for shuffle data
//! - [`plan`](mod@plan): what is to be done in a cluster, and whether it is done
//! - [`local`]: what the embedded cluster is asked to give; [`secrets`]: Secrets that are named; [`reach`](mod@reach): how components are reached from this machine
//! - [`store`](mod@store): object stores of the clouds
//! - [`encrypted`]: files with encrypted Secrets, as they are
//! - [`preset`]: what applications of a workload set, each key with its reason
//! - [`path`]: job directories that pass their checks and run at once

pub mod check;
pub mod codes;
pub mod component;
pub mod encrypted;
pub mod environment;
pub mod local;
pub mod path;
pub mod plan;
pub mod preset;
pub mod reach;
pub mod render;
pub mod secrets;
pub mod spec;
pub mod store;
pub mod wire;
