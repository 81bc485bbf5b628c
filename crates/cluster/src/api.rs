//! A running API server: claims its home and its address, starts the store and the controllers, and answers.
//!
//! This is a cluster without a node; [`crate::Cluster`] adds one.

use std::fs::{self, File, TryLockError};
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower::ServiceBuilder;

use crate::controllers;
use crate::error::ClusterError;
use crate::http::listen;
use crate::http::server::Server;
use crate::http::tls::Pki;
use crate::kubelet::Kubelet;
use crate::place;
use crate::registry::identity::Identity;
use crate::registry::tokens::Tokens;
use crate::registry::{Registry, Settings, bootstrap};
use crate::store::Store;

/// Name of the database in the cluster's directory.
pub(crate) const DATABASE: &str = "cluster.db";

/// What a cluster is started with.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// The cluster's directory: database, keys, volumes.
    pub home: PathBuf,
    /// Keep objects in memory only; keys and volumes still use the directory.
    pub in_memory: bool,
}

/// The API server with its store and controllers: a cluster without a node.
pub struct ApiServer {
    server: Arc<Server>,
    pki: Pki,
    home: PathBuf,
    tasks: Vec<JoinHandle<()>>,
    _lock: File,
}

impl ApiServer {
    /// Starts it and returns when it answers.
    pub async fn start(config: &ApiConfig) -> Result<ApiServer, ClusterError> {
        let home = &config.home;
        let unusable = |path: &Path| {
            let path = path.display().to_string();
            move |cause| ClusterError::Home { path, cause }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(home)
            .map_err(unusable(home))?;
        let lock = lock(home)?;
        let (listener, place) = place::claim(home).await?;
        let pki = Pki::load_or_create(&home.join("pki"), *place.ip())?;
        let store = if config.in_memory {
            Store::in_memory()
        } else {
            Store::open(&home.join(DATABASE))?
        };
        let settings = Settings {
            place,
            authority_pem: pki.authority.clone(),
            tokens: Tokens::new(&pki.token_key),
        };
        let registry = Registry::new(store, settings);
        bootstrap::fill(&registry)
            .await
            .map_err(|error| ClusterError::Bootstrap(error.message))?;
        let config = Arc::new(pki.server_config()?);
        let server = Server::new(registry.clone());
        let mut tasks = controllers::start(&registry, &home.join("volumes"));
        tasks.push(tokio::spawn(listen::listen(
            listener,
            config,
            server.router(),
            registry.stopping.clone(),
        )));
        Ok(ApiServer {
            server,
            pki,
            home: home.clone(),
            tasks,
            _lock: lock,
        })
    }

    /// A client of this process, as the administrator, without a connection.
    pub fn client(&self) -> Client {
        self.client_of(Identity::admin())
    }

    /// A client of this process that acts as someone, without a connection.
    pub(crate) fn client_of(&self, identity: Identity) -> Client {
        let service = ServiceBuilder::new()
            .map_request(move |request: http::Request<kube::client::Body>| {
                let mut request = request.map(axum::body::Body::new);
                request.extensions_mut().insert(identity.clone());
                request
            })
            .service(self.server.router());
        Client::new(service, "default")
    }

    /// Gives the API server its node.
    pub fn set_kubelet(&self, kubelet: Arc<dyn Kubelet>) {
        self.server.set_kubelet(kubelet);
    }

    /// Address of the API server, 127.X.0.1.
    pub fn address(&self) -> Ipv4Addr {
        self.server.registry.address()
    }

    /// Port of the API server.
    pub fn port(&self) -> u16 {
        self.server.registry.settings.place.port()
    }

    /// Second byte of the cluster's subnet 127.X.0.0/16.
    pub fn subnet(&self) -> u8 {
        self.server.registry.settings.subnet()
    }

    /// The cluster's directory.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// URL of the API server.
    pub fn url(&self) -> String {
        format!("https://{}", self.server.registry.settings.place)
    }

    /// The authority's certificate, PEM.
    pub fn authority(&self) -> &str {
        &self.pki.authority
    }

    /// A kubeconfig with the administrator's token, YAML. A token and not the certificate: Spark's Kubernetes client takes a private key
    /// in PKCS#8 for an RSA key and fails on ours.
    pub fn kubeconfig(&self) -> String {
        let config = self.kubeconfig_value();
        serde_saphyr::to_string(&config).unwrap_or_else(|_| config.to_string())
    }

    fn kubeconfig_value(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "stoke",
            "clusters": [{"name": "stoke", "cluster": {
                "server": self.url(), "certificate-authority-data": STANDARD.encode(&self.pki.authority)}}],
            "users": [{"name": "stoke-admin", "user": {"token": self.server.registry.settings.tokens.administrator()}}],
            "contexts": [{"name": "stoke", "context": {"cluster": "stoke", "user": "stoke-admin", "namespace": "default"}}],
        })
    }

    /// The administrator's certificate and private key, PEM, for clients that authenticate by certificate.
    pub fn administrator_certificate(&self) -> (&str, &str) {
        (&self.pki.admin.0, &self.pki.admin.1)
    }

    /// Ends watches and connections, and closes the database.
    pub async fn stop(self) {
        self.server.registry.stopping.cancel();
        for task in self.tasks {
            // A controller that does not end in time is cut off: everything it did is a stored object.
            if tokio::time::timeout(Duration::from_secs(2), task).await.is_err() {
                tracing::debug!("a controller was cut off at the stop");
            }
        }
        self.server.registry.store.close().await;
    }
}

/// Takes the one lock of a home.
pub(crate) fn lock(home: &Path) -> Result<File, ClusterError> {
    let path = home.join("lock");
    let unusable = |cause| ClusterError::Home {
        path: path.display().to_string(),
        cause,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ClusterError::Locked(home.display().to_string())),
        Err(TryLockError::Error(cause)) => Err(unusable(cause)),
    }
}
