//! The vocabulary of Stoke. No I/O, no clock, no network.
//!
//! In: text of manifests and Spark configuration. Out: typed objects and complaints with their place.
//! - [`crd`]: the published custom resources, field by field
//! - [`quantity`], [`memory`], [`duration`]: the units of Kubernetes and of Spark
//! - [`conf`]: every Spark configuration key per version, and its lint
//! - [`manifest`]: YAML with places, so that every complaint names file:line
//! - [`names`]: object names, labels, annotations other programs depend on

pub mod crd;
