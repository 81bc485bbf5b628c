//! Room `quality`: whether data are what a contract says.
//!
//! In: a contract (ODCS 3, a Great Expectations suite, or the short YAML) and a place with data (Parquet, CSV, JSON lines; a file, a directory with
//! partitions, a Delta or Iceberg table; on a disk or in an object store). Out: a [`Report`] with a verdict, the numbers of each check and some of the rows that
//! are otherwise; on demand the rows set aside ([`quarantine`]), a history that tells what is unusual ([`history`], [`distribution`]) and how contracts stand
//! ([`ledger`]), and an OpenLineage event ([`lineage`]).
//! Of two places: whether they hold the same data, and what differs ([`difference`]).
//!
//! [`contract`] reads what is wanted, [`data`] finds files and reads columns, [`column`] brings their types into a few classes, and [`engine`] computes
//! all checks in one pass, after footers have answered what they can. [`run()`] puts these together.
//!
//! What cannot be determined is a failure and says why. This room never changes the data and opens no connection of its own. Rules in SQL are answered by a
//! runner that is passed in ([`sql`], [`run_with()`]).

pub mod codes;
pub mod column;
pub mod contract;
pub mod data;
mod describe;
pub mod difference;
pub mod distribution;
pub mod engine;
mod error;
#[doc(hidden)]
pub mod fuzz;
pub mod history;
pub mod ledger;
pub mod lineage;
pub mod outcome;
pub mod quarantine;
pub mod report;
mod run;
pub mod sql;

pub use contract::Contract;
pub use data::Storage;
pub use error::QualityError;
pub use report::{Report, Verdict};
pub use run::{Options, run, run_with};
