//! Room `submit`: a submission becomes exactly the Kubernetes objects `spark-submit` of the same version would create.
//!
//! In: a [`SubmitRequest`], filled from a `spark-submit` command line or a `SparkApplication`. Out: a [`Submission`] (driver pod,
//! service, ConfigMaps, …) or a [`PlanError`]. Never: I/O, clock, randomness; whatever Spark draws at random comes in as [`Identity`].
//! Where we differ from Spark on purpose is listed, with reasons, in `DIFFERENCES.md`.

pub mod argv;
mod error;
mod identity;
mod request;
mod submission;
mod version;

pub use error::PlanError;
pub use identity::Identity;
pub use request::{ConfFile, MainResource, PodTemplate, SubmitFiles, SubmitRequest};
pub use submission::{Submission, Upload};
pub use version::{InvalidVersion, SparkVersion};
