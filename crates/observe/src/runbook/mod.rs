//! Runbooks that run: what is looked at, done and proved when something is wrong, as values and not as text for a shell.
//!
//! In: a [`Runbook`], the [`Record`] of one run of it, [`Facts`] that were read, the time. Out: one [`Decision`]: read this, ask, do this, write that.
//! - [`book`]: what a runbook is made of
//! - [`books`]: the runbooks, one file each
//! - [`case`]: what a step may look at
//! - [`action`]: what a step may do, what it needs the right to, and how it is undone
//! - [`record`]: what was done, line by line, intent first
//! - [`given`]: what a run is given, held against what its runbook takes
//! - [`engine`]: what comes next (pure)
//! - [`page`]: the pages of `docs/runbooks`
//!
//! Nothing here reads, writes or waits: who runs a runbook does what [`engine::next`] says. What was killed anywhere goes on from its record.

pub mod action;
pub mod book;
pub mod books;
pub mod case;
pub mod engine;
pub mod given;
pub mod page;
pub mod record;
pub mod spark;

pub use action::{Action, Change, Object, Plan, Right};
pub use book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
pub use books::{all, find, for_code};
pub use case::{Answer, Case, Facts, Held, Input, Seen, Unknown};
pub use engine::{Decision, next, undo};
pub use record::{Ending, Entry, Record, Verdict};
