//! Traces of runs on their way to a receiver of OTLP.
//!
//! In: a run's trace, or a place with event logs that is looked at again and again. Out: requests, and a record of what was taken.
//! - [`receiver`]: one trace sent, again where the receiver may take it later
//! - [`record`]: which runs are due, and which were taken: pure, with a file beside it
//! - [`follow`]: each run that ends, sent once
//!
//! The event log is the queue: a run waits for nothing, and what a receiver that was down has missed is sent when it is back.

pub mod follow;
pub mod receiver;
pub mod record;

pub use follow::Follower;
pub use receiver::{Receiver, Taken, Untaken};
