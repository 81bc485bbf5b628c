//! The embedded Kubernetes: API server, store, controllers, scheduler and one node, in one process.
//!
//! In: a directory ([`ClusterConfig`]). Out: a running cluster ([`Cluster`]) that `kubectl`, Spark and `kube::Client` cannot tell from a
//! real one in what it supports, and that says plainly what it does not.
//! - [`kubelet`]: what the API server asks of the node
//! - [`node`]: pods as processes on this machine
//! - [`scheduler`]: which pods fit
//! - [`snapshot`]: the whole state in one file, and back
//!
//! It never listens beyond loopback, never answers without credentials (health and version excepted), and never stores a kind it cannot
//! honour without saying so.

mod api;
mod apiserver;
#[doc(hidden)]
pub mod clock;
mod cluster;
mod controllers;
#[doc(hidden)]
pub mod fuzz;
pub mod kubelet;
pub mod node;
mod place;
pub mod scheduler;
pub mod snapshot;
mod store;
mod watched;

pub use api::{ApiConfig, ApiServer, ClusterError};
pub use apiserver::tls::PkiError;
pub use cluster::{Cluster, ClusterConfig};
pub use store::DiskError;
