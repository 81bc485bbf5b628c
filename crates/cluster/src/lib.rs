//! The embedded Kubernetes: API server, store, controllers, scheduler and one node, in one process.
//!
//! In: a directory ([`ClusterConfig`]). Out: a running cluster ([`Cluster`]) that `kubectl`, Spark and `kube::Client` cannot tell from a
//! real one in what it supports, and that says plainly what it does not.
//! - [`kubelet`]: what the API server asks of the node
//! - [`node`]: pods as processes on this machine
//! - [`scheduler`]: which pods fit
//!
//! It never listens beyond loopback, never answers without credentials (health and version excepted), and never stores a kind it cannot
//! honour without saying so.

pub mod kubelet;
mod store;
pub mod node;
pub mod scheduler;
