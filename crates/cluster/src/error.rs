//! Why a cluster does not start.

use std::io;

use crate::http::tls::PkiError;
use crate::store::DiskError;

/// Ports, in the order in which they are tried.
pub(crate) const PORTS: [u16; 4] = [26_473, 27_473, 28_473, 29_473];

/// Why a cluster does not start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Another process runs a cluster in this directory.
    #[error("a cluster is already running in {0}: stop it first (stoke down), or use another directory")]
    Locked(String),
    /// The directory cannot be used.
    #[error("cannot use the cluster's directory {path}: {cause}")]
    Home {
        /// The directory or file.
        path: String,
        /// The system's message.
        cause: io::Error,
    },
    /// No loopback address is free.
    #[error("no loopback address from 127.64.0.1 to 127.250.0.1 has one of the ports {ports} free: {0}", ports = ports())]
    NoAddress(io::Error),
    /// The database cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The keys cannot be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The first objects could not be stored.
    #[error("the cluster could not store its first objects: {0}")]
    Bootstrap(String),
    /// The node did not start.
    #[error("the node did not start: {0}")]
    Node(String),
    /// It started, but did not become ready in time.
    #[error("the cluster did not become ready within {0} seconds")]
    NotReady(u64),
}

fn ports() -> String {
    PORTS.map(|port| port.to_string()).join(", ")
}
