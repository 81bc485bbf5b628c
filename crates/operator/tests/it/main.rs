//! The operator against an API server in memory: exact requests, crashes at every request, malformed objects, schedules.

mod api;
mod crashes;
mod planner;
mod requests;
mod schedules;
mod world;
