//! `SparkConnect`: a server that clients reach at `sc://<name>-server.<namespace>.svc:15002`, and its executors.
//!
//! In: `SparkConnect` objects and the pods labelled with their names. Out: a server pod, its service, Spark's own objects, and a status.
//! - [`facts`]: what may be looked at, read from pods
//! - [`decide`]: one decision from it (pure)
//! - [`idle`]: when a server is in use, and when it is stopped because it is not (pure)
//! - [`usage`]: how many sessions and operations it has, read from its own UI
//! - [`visit`]: the way to a server, for both
//! - `server`: the objects of a server, created or found created
//! - `cache`, `controller`: watches, and when to decide
//!
//! A server is Ready only once it told its version to a client of ours. One that was Ready and ended is replaced, later each time; one that never
//! was stays as it ended, for its log, until the spec is edited or the pod deleted. An edit replaces the server, and its sessions end with it.
//! One that no one uses is stopped where an annotation says after how long, and started again when asked.
//! Never: believes a cache that a pod is gone, reads the page of a server more than twice a minute unless its idle timeout is short, takes what
//! it cannot read for no use, touches pods of applications.

mod cache;
mod controller;
pub mod decide;
pub mod facts;
pub mod idle;
mod server;
#[cfg(test)]
mod tests;
pub mod usage;
pub mod visit;

pub(crate) use controller::{Context, run};
pub use decide::{Action, Decision, decide};
pub use facts::{Facts, Outcome, Phase, Server, ServerPod};
pub use usage::{Counts, Usage};
pub use visit::{Place, Visitor, Visits};
