//! Room `submit`: a submission becomes exactly the Kubernetes objects `spark-submit` of the same version would create.
//!
//! In: a [`SubmitRequest`], filled from a `spark-submit` command line or a `SparkApplication`. Out: a [`Submission`] (driver pod,
//! service, ConfigMaps, …) or a [`PlanError`]. Never: I/O, clock, randomness; whatever Spark draws at random comes in as [`Identity`].
//! Where we differ from Spark on purpose is listed, with reasons, in `DIFFERENCES.md`.

pub mod application;
pub mod argv;
mod build;
mod command;
mod conf;
mod config_map;
pub mod connect;
mod credentials;
mod driver;
mod error;
mod executor;
mod hadoop;
mod identity;
mod java_order;
mod kerberos;
mod local_dirs;
mod memory;
mod module_options;
mod names;
mod network_policy;
mod object;
mod plan;
mod prepare;
mod properties;
mod request;
mod reserve;
mod resources;
mod secrets;
mod service;
mod submission;
mod template;
mod uri;
mod version;
mod volcano;
mod volumes;

pub use error::PlanError;
pub use executor::{ExecutorPod, ExecutorRequest, executor_pod};
pub use identity::Identity;
pub use plan::plan;
pub use request::{ConfFile, MainResource, PodTemplate, SubmitFiles, SubmitRequest};
pub use reserve::{Reservation, driver_reservation, executor_reservation};
pub use submission::{Resource, Role, Submission, Upload};
pub use version::{InvalidVersion, SparkVersion};
