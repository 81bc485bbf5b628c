//! The embedded Kubernetes: API server, store, controllers, scheduler and one node, in one process.
//!
//! In: a directory ([`ClusterConfig`]). Out: a running cluster ([`Cluster`]) that `kubectl`, Spark and `kube::Client` cannot tell from a
//! real one in what it supports, and that says plainly what it does not.
//! - [`kubelet`]: what the API server asks of the node
//! - [`node`]: pods as processes on this machine
//! - [`scheduler`]: which pods fit
//! - [`snapshot`]: the whole state in one file, and back
//!
//! From the ground up; a test holds the arrows:
//! - `store`: objects as bytes, revisions, a file
//! - `apimachinery`: what the Kubernetes API means, without state
//! - `registry`: the state, and the one way to change it: identity, admission, quota
//! - `http`: the API server as clients see it
//! - `controllers`: act through the registry, each as itself
//! - [`scheduler`] and [`node`]: act through a `kube::Client`, each as itself
//!
//! It never listens beyond loopback, never answers without credentials (health and version excepted), and never stores a kind it cannot
//! honour without saying so.
//!
//! An API server without a node, in memory:
//!
//! ```
//! use k8s_openapi::api::core::v1::Namespace;
//! use kube::Api;
//! use stoke_cluster::{ApiConfig, ApiServer};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let home = tempfile::tempdir()?;
//! let config = ApiConfig { home: home.path().to_owned(), in_memory: true };
//! let server = ApiServer::start(&config).await?;
//! let namespaces: Api<Namespace> = Api::all(server.client());
//! assert!(namespaces.get_opt("default").await?.is_some());
//! server.stop().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod api;
mod apimachinery;
#[doc(hidden)]
pub mod clock;
mod cluster;
mod controllers;
mod error;
mod events;
#[doc(hidden)]
pub mod fuzz;
mod http;
pub mod kubelet;
#[cfg(test)]
mod layers;
pub mod node;
mod place;
mod registry;
pub mod scheduler;
pub mod snapshot;
mod store;
mod watched;

pub use api::{ApiConfig, ApiServer};
pub use cluster::{Cluster, ClusterConfig};
pub use error::ClusterError;
pub use http::tls::PkiError;
pub use store::DiskError;
