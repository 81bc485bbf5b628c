//! One schedule: its times, and what follows from them. Pure; the edge is in `crate::controller`.
//!
//! - [`cron`] tells when
//! - [`decide`](decide()) takes facts and gives a decision

pub mod cron;
mod decide;
#[cfg(test)]
mod tests;

pub use cron::{InvalidSchedule, Schedule};
pub use decide::{Action, Child, Decision, Facts, decide};
