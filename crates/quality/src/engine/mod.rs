//! The engine: one pass over the data computes all checks.
//!
//! [`plan`] says what each check needs of each file and what footers answer without reading; [`pieces`] divides the data among threads; [`scan`] makes the
//! pass, in which checks [`take`] batches; [`finish`] makes results of what they gathered, and [`reread`] looks for examples. [`rows`] judges rows, [`keys`] counts values, [`aggregate`] computes numbers; [`bounds`] and [`set`] bring literals into the terms of
//! columns.

pub mod aggregate;
pub mod bounds;
pub mod divergence;
pub mod filter;
pub mod finish;
pub mod keys;
pub mod pieces;
pub mod plan;
pub mod prior;
pub mod reread;
pub mod rows;
pub mod scan;
pub mod set;
pub mod take;
