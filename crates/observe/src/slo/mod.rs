//! Objectives: what is promised, what the record shows, when a person is woken.
//!
//! In: files of objectives ([`read`]), attempts of runs ([`runs`]). Out: how each objective stands ([`status`]), reasons against a release ([`gate`]), a
//! month ([`report`]), gauges ([`gauges`]), rules of Prometheus ([`rules`]).
//!
//! A service has millions of events, and a rate is a number. A job has a few a day: one failure in the only run of an hour is a rate of 100 %. So
//! runs are judged by evidence ([`evidence`]), by exact tails and by intervals ([`math`]), and what a record does not show is said to be not shown.
//! `docs/explanation/batch-objectives.md` has the figures, made by the tests.

pub mod evidence;
pub mod gate;
pub mod gauges;
pub mod math;
pub mod objective;
pub mod read;
pub mod record;
pub mod report;
pub mod rules;
pub mod runs;
pub mod status;
#[cfg(test)]
mod tests;
pub mod text;

/// The objectives of a platform itself, in OpenSLO: a file to begin with.
pub const PLATFORM: &str = include_str!("platform.yaml");
