//! The protocol of registries: OCI distribution specification 1.1, as registries of before (Docker's 2.x) also speak it.
//!
//! In: a host, credentials as Docker and Podman keep them, certificates of private authorities. Out: manifests, blobs into the [cache](super::Cache), tags,
//! referrers; uploads whole, in pieces, or mounted from another repository.
//!
//! - `client`: one request with its tries: times, waits, redirects, authorization
//! - `challenge`: what a registry asks for, and tokens
//! - `credentials`: Docker's `config.json`, its helpers
//! - `pull`, `push`, `referrers`: what is asked for
//!
//! A request is tried again when the network or the registry fails (408, 429, 5xx), with waits that double, and as long as `Retry-After` says when that is not
//! longer than a minute. Plain HTTP is spoken with this machine only.

mod challenge;
mod client;
mod credentials;
mod pull;
mod push;
mod referrers;

pub use client::{Registry, Settings};
pub use credentials::{Credential, Credentials};
pub use push::{Content, Pushed};
