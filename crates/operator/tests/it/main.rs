//! The operator against an API server in memory, and against the embedded cluster's: exact requests, crashes at every request, malformed objects, schedules.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod api;
mod crashes;
mod embedded;
mod planner;
mod requests;
mod schedules;
mod world;
