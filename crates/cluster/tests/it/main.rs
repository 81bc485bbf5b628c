//! The embedded Kubernetes as its clients see it.

mod clients;
mod kubectl;
mod neighbours;
#[path = "../server/mod.rs"]
mod server;
mod themselves;
