//! One application: facts in, decision out. Pure; the edges are in `crate::controller` and `crate::act`.
//!
//! - [`facts`]: what may be looked at, and how it is read from pods
//! - [`decide`]: the transition function
//! - [`executors`], [`conditions`]: the rest of the status, derived from the same facts
//! - [`annotations`]: what users may ask for beyond the published fields
//! - [`limits`]: how long things may take
//! - [`note`]: what people are told

pub mod annotations;
mod conditions;
mod decide;
mod executors;
pub mod facts;
pub mod limits;
mod note;
#[cfg(test)]
mod tests;

pub use decide::{Action, Decision, GATHER, KEPT_TRANSITIONS, decide};
pub use executors::KEPT_EXECUTORS;
pub use facts::{Driver, DriverPod, ExecutorPod, Facts, LogCopy, Logs, Outcome, PendingReason, Progress, Submitted};
pub use limits::Limits;
pub use note::EventNote;
