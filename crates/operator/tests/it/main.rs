//! The operator against an API server in memory, and against the embedded cluster's: exact requests, crashes at every request, malformed objects, schedules.

mod api;
mod crashes;
mod embedded;
mod planner;
mod requests;
mod schedules;
mod world;
