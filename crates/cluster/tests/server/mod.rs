//! An API server without a node, for a test of its own.
#![allow(clippy::unwrap_used)]

use kube::Client;
use stoke_cluster::{ApiConfig, ApiServer};

/// The server, a client in its process, and its home, which goes with the test.
pub async fn start() -> (ApiServer, Client, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let config = ApiConfig {
        home: directory.path().to_owned(),
        in_memory: true,
    };
    let server = ApiServer::start(&config).await.unwrap();
    let client = server.client();
    (server, client, directory)
}
