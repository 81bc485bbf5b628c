//! A platform on this machine: Secrets that it names, and the addresses at which its components answer.
//!
//! What is needed and what is asked is decided by `stoke_platform`; here are the edges.

pub mod reached;
pub mod secrets;
