//! Logs as they come: damaged, growing, changing, going.

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod index;
