//! The operator against an API server in memory, and against the embedded cluster's: exact requests, crashes and broken connections at every request of every scenario,
//! and everything else that API servers, nodes, clocks and people do to an operator.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod adopt;
mod api;
mod away;
mod chaos;
mod crashes;
mod embedded;
mod fields;
mod kept;
mod leases;
mod life;
mod load;
mod network;
mod planner;
mod policies;
mod requests;
mod rights;
mod scenarios;
mod schedules;
mod world;
