//! Runbooks run against a cluster: facts are read, rights asked for, actions done, and everything is written down.
//!
//! What comes next is decided by `stoke_observe::runbook`, from the record alone. Here are the edges:
//! - [`journal`]: records as files of this machine
//! - [`outside`]: what a run asks of the outside, and of a person
//! - [`run`]: a run from one decision to the next
//! - `api`: requests to the API server; `reads`, `probes`, `files`, `acts`: what a run reads, tries and does

mod acts;
pub(crate) mod api;
mod files;
pub mod journal;
pub mod outside;
pub(crate) mod probes;
mod reads;
pub mod run;

pub use journal::Journal;
pub use outside::{Deed, Edge, Outside, Person, Secrets};
pub use run::{Ended, go_on, start, undo};
