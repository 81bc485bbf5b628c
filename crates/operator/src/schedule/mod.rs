//! One schedule: its times, and what follows from them. Pure; the edge is in `crate::controller`.
//!
//! - [`stoke_model::cron`] tells when
//! - [`decide`](decide()) takes facts and gives a decision

mod decide;
#[cfg(test)]
mod tests;

pub use decide::{Action, Child, Decision, Facts, decide};
pub use stoke_model::cron::{InvalidSchedule, Schedule};
