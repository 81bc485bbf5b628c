//! Kubernetes, operator and object store put together on one machine, and everything a command asks of a cluster: of the embedded one or another.
//!
//! In: what the user wants, as values; a [`Reporter`](report::Reporter) or a [`Watch`](follow::Watch) where it takes long. Out: facts.
//! - [`home`]: the one directory everything lives under
//! - [`embedded`]: cluster, operator and object store in this process; [`object_store`]: how the store is reached
//! - [`session`]: which cluster is spoken to; [`apply`]: objects into it; [`follow`]: one application to its end; [`awaited`]: pods that do not start
//! - [`gather`]: what there is about a run: objects, logs, event log, kept runs, bundles; [`event_logs`]: those of this machine
//! - [`runbook`]: what a runbook asks of a cluster, and its record; [`incident`]: what is known of an incident; [`alerts`]: who is asked for alerts
//! - [`traces`]: traces of runs to a receiver of OTLP
//! - [`platform`]: what a platform needs of this machine, and where its components answer
//! - [`monitoring`]: a real Prometheus and Alertmanager beside the cluster
//! - [`images`]: an image made ready to run here; [`pod_images`]: those of pods, local Sparks and all others; [`image_policy`]: what an image must have, asked of registries; [`rehearsal`]: a recorded run for its caches
//! - [`local_spark`], [`process`]: a Spark or a program beside everything else; [`machine`]: this machine as `spark-submit` sees it
//!
//! Never: printing, parsing of a command line, or deciding what a run means.

pub mod alerts;
pub mod apply;
pub mod awaited;
pub mod embedded;
pub mod error;
pub mod event_logs;
pub mod follow;
pub mod gather;
pub mod home;
pub mod image_policy;
pub mod images;
pub mod incident;
pub mod interrupt;
pub mod local_spark;
pub mod machine;
pub mod monitoring;
pub mod object_store;
pub mod platform;
pub mod pod_images;
pub mod process;
pub mod progress;
pub mod rehearsal;
pub mod report;
pub mod runbook;
pub mod session;
pub mod traces;

pub use error::{Kind, LaptopError, Outcome};
