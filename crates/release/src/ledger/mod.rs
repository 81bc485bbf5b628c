//! The ledger: an append-only, hash-chained record of what was done with releases, and the decisions that follow from it.
//!
//! In: the entries that a directory or a bucket holds, environments, the time, what others say (error budgets). Out: what is to be done ([`decide`]), or why not.
//! - [`entry`]: one entry, and the chain that finds what was altered, removed or written twice
//! - [`history`]: what the entries together say: what is where and since when
//! - [`data`]: the same of data that readers see
//! - `compared`: comparisons with what is there, as conditions of a promotion
//! - [`decide`]: promotion and rollback as pure functions
//! - [`keep`]: the entries in a store, added one by one without losing another writer's
//! - [`act`]: the steps of a promotion, which can be interrupted anywhere and given again

pub mod act;
pub mod approval;
mod compared;
pub mod data;
pub mod decide;
pub mod entry;
pub mod history;
pub mod keep;
#[cfg(test)]
pub(crate) mod tests;

pub use decide::{Facts, Plan, Standing, Step, promote, rollback};
pub use entry::{Broken, Entry, Event, Head, Verdict, check_chain};
pub use history::History;
pub use keep::Ledger;
