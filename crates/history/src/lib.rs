//! Room `history`: what Spark's History Server tells of applications, from their event logs.
//!
//! In: a place with event logs ([`stoke_eventlog::Source`]). Out: Spark's status API `/api/v1` ([`rest`]), equal to what the History Server
//! of the same Spark answers.
//!
//! [`index`] keeps the shelf of applications and [`cache`] what was found out of logs; [`replay`] reads a log into
//! an application, [`detail`] what a log tells beside that. [`model`] is an application as Spark's listeners see it, [`listing`] the list of them, [`json`] Jackson's way of writing, [`scala`] the
//! order of Scala's maps, [`pieces`] what is too much for memory, [`serve`] the API over HTTP, [`connections`] with the bounds of clients and [`zipped`] logs, [`retention`] decides which logs may go, [`numbers`] the way Spark writes numbers for people.
//!
//! This room never changes a log, except where its cleanup is told to delete old ones, and takes no part in running applications.
//!
//! ```
//! use stoke_eventlog::{Options, Source};
//! use stoke_history::{model::Limits, replay::replay};
//!
//! let source = Source::directory(concat!(env!("CARGO_MANIFEST_DIR"), "/../insight/tests/pairs"));
//! let log = source.logs()?.into_iter().find(|log| log.path.contains("base")).expect("a log");
//! let replayed = replay(&source, &log, Limits::default(), Options::default())?;
//! assert_eq!(replayed.report.bad_lines, 0);
//! let bytes_kept = replayed.application.into_view(0).memory();
//! assert!(bytes_kept < 10 << 20);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cache;
pub mod connections;
pub mod detail;
#[doc(hidden)]
pub mod fuzz;
pub mod index;
pub mod json;
mod later;
pub mod listing;
mod making;
pub mod model;
pub mod numbers;
pub mod pieces;
pub mod replay;
pub mod rest;
pub mod retention;
pub mod scala;
pub mod serve;
mod spool;
mod version;
pub mod zipped;
