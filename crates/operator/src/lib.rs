//! Room `operator`: `SparkApplication` and `ScheduledSparkApplication` objects become runs of real Spark, `SparkConnect` objects servers of it.
//!
//! In: a `kube::Client`. Out: pods, their services and ConfigMaps, statuses and Events at that API server. Observe, decide, act:
//! - [`application`]: facts about one application in, one decision out (pure)
//! - [`schedule`]: the same for a schedule, and cron
//! - [`plan`]: the seam to the room `submit`
//! - [`connect`]: the same for a Spark Connect server
//! - [`adopt`]: applications that another operator left running
//! - [`admission`]: early answers to those who write such objects
//! - `companions`: what stands beside a run and ends with it
//! - [`logs`]: what drivers and executors said, kept after their pods are gone
//! - `act`: what a decision asks for, done at the API server
//! - [`client()`]: connections that notice when the API server is gone
//! - `controller`: watches, cache and work queue; when to decide
//! - [`install`]: the objects that a cluster must hold for it
//! - [`lease`]: which operator works, when there are several; [`Gate`] is where that is asked
//! - [`metrics`]: what is counted; [`Health`]: whether the operator lives
//! - [`Reach`]: whether the API server answers, and who asks when it does not
//! - [`serve`]: all of it as a service, with probes
//! - [`policies`]: what the team's rules say of what is submitted
//! - [`images`]: which images pods may have, verified by one who is given to it
//! - [`quality`]: what data contracts say of a run's data, before and after it
//! - [`own`]: the pod it is in itself
//! - [`names`]: names that make doing a thing twice safe
//!
//! It never acts before the intent is in the status, never believes a cache that a pod is gone, never leaves an application that has not
//! ended without a time to look at it again, and never lets one application delay another.
//!
//! What a schedule does next, decided without a cluster:
//!
//! ```
//! use stoke_operator::schedule::{Action, Facts, decide};
//!
//! let schedule = serde_json::from_value(serde_json::json!({
//!     "metadata": {"name": "nightly", "namespace": "spark", "creationTimestamp": "2026-11-01T00:30:00Z"},
//!     "spec": {"schedule": "0 2 * * *", "template": {"type": "Python", "sparkVersion": "4.1.4", "driver": {}, "executor": {}}},
//! }))?;
//! let facts = Facts { schedule, children: Vec::new(), created: false };
//! let first = decide(&facts, "2026-11-01T01:00:00Z".parse()?);
//! assert!(first.actions.is_empty());
//! assert_eq!(first.status.next_run.map(|time| time.0.to_string()), Some("2026-11-01T02:00:00Z".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod act;
pub mod admission;
pub mod adopt;
pub mod application;
mod client;
pub mod codes;
mod companions;
pub mod connect;
mod controller;
mod gate;
mod health;
pub mod images;
pub mod install;
pub mod lease;
pub mod logs;
pub mod metrics;
pub mod names;
pub mod own;
pub mod plan;
pub mod policies;
pub mod quality;
mod reach;
pub mod schedule;
pub mod serve;

pub use client::client;
pub use controller::{Clock, Operator, OperatorConfig};
pub use gate::{Gate, GateControl};
pub use health::Health;
pub use images::ImagePolicy;
pub use plan::{NativePlanner, Plan, Planner, Refusal};
pub use policies::Policies;
pub use reach::Reach;
pub use stoke_submit::application::{IngressSettings, Settings};
