//! Room `insight`: what a run of an application means.
//!
//! In: [`facts`], gathered from an event log, from Kubernetes objects and from a driver's log, live or out of a bundle. Out: findings with
//! evidence and a patch ([`doctor`]), sizes ([`size`]), bills ([`cost`]), comparisons ([`compare`]) and spans ([`trace`]).
//!
//! Further: what a run cost and for what ([`cost`]), what changed between two runs and which change explains the time ([`compare`]), and a run as
//! OpenTelemetry spans ([`trace`]).
//!
//! Everything here is a pure function of facts: no clock, no network, no process. This room never changes anything; others apply what it
//! proposes, when a person agrees.

pub mod bundle;
pub mod codes;
pub mod compare;
pub mod cost;
pub mod doctor;
#[cfg(test)]
mod extremes;
pub mod facts;
#[doc(hidden)]
pub mod fuzz;
pub mod size;
mod text;
pub mod trace;
pub mod whatif;
