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
