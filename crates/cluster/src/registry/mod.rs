//! The state of the cluster, and the one way to change it.
//!
//! In: a [`Request`], which says who writes what, and the object or the change. Out: the object as stored, or a [`Status`] as Kubernetes
//! words it. Every write takes the same way, whoever asks: a client over HTTP, a controller, the scheduler or the node:
//!
//! 1. [`create`], [`update`], [`patch`], [`delete`], and the subresources [`scale`], [`binding`] and [`eviction`]: what the verb means
//! 2. [`admission`]: what is added or refused because of other objects, webhooks and policies; quota comes last ([`ledger`])
//! 3. the kind's own rules, which are pure ([`crate::apimachinery::kinds`])
//! 4. the store, on condition that no one wrote in between
//!
//! [`rbac`] answers who may do what; whoever takes requests from outside asks it first. There is no HTTP here.

pub mod admission;
pub mod binding;
pub mod bootstrap;
pub mod create;
pub mod delete;
pub mod eviction;
pub mod identity;
pub mod ledger;
pub mod namespaces;
pub mod patch;
pub mod rbac;
mod request;
pub mod scale;
pub mod service_addresses;
pub mod tokens;
pub mod update;

pub use request::{Outcome, Request};

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

use crate::apimachinery::crd;
use crate::apimachinery::resources::{Resource, Resources};
use crate::apimachinery::status::Status;
use crate::store::{Store, WriteError};
use admission::Configured;
use ledger::Ledger;
use rbac::Policies;
use service_addresses::ServiceAddresses;
use tokens::Tokens;

/// What a cluster is made of.
pub struct Settings {
    /// Where it listens: 127.X.0.1, of the cluster's loopback subnet 127.X.0.0/16, and a port.
    pub place: SocketAddrV4,
    /// Certificate of the cluster's authority, PEM.
    pub authority_pem: String,
    /// Issuer and checker of bearer tokens.
    pub tokens: Tokens,
}

impl Settings {
    /// Second byte of the cluster's loopback subnet.
    pub fn subnet(&self) -> u8 {
        self.place.ip().octets()[1]
    }
}

/// The state of a cluster.
pub struct Registry {
    /// Where objects live.
    pub store: Store,
    /// What it was made with.
    pub settings: Settings,
    /// Cancelled when the cluster stops; ends every watch and every controller.
    pub stopping: CancellationToken,
    /// Changes whenever the clock jumps.
    pub jumps: tokio::sync::watch::Sender<u64>,
    /// Roles and bindings, as they are now.
    pub policies: Policies,
    /// Webhooks and policies in force.
    pub admission: Configured,
    /// What the quotas of namespaces have left.
    pub ledger: Ledger,
    resources: RwLock<Arc<Resources>>,
    definitions: Mutex<HashMap<Arc<str>, Definition>>,
    /// Who has which Service address.
    pub service_addresses: ServiceAddresses,
    /// Whether what the cluster starts with is stored.
    started: AtomicBool,
}

/// The resources of one stored definition, as read at a revision.
struct Definition {
    revision: u64,
    resources: Vec<Arc<Resource>>,
}

impl Registry {
    /// The state over a store, with the custom resources already stored in it.
    pub fn new(store: Store, settings: Settings) -> Arc<Registry> {
        let registry = Arc::new(Registry {
            store,
            settings,
            jumps: tokio::sync::watch::Sender::new(0),
            stopping: CancellationToken::new(),
            policies: Policies::default(),
            admission: Configured::default(),
            ledger: Ledger::default(),
            resources: RwLock::new(Arc::new(Resources::built_in())),
            definitions: Mutex::default(),
            service_addresses: ServiceAddresses::default(),
            started: AtomicBool::new(false),
        });
        registry.reload_custom_resources();
        registry
    }

    /// Webhooks and policies are asked from now on. What a cluster starts with goes without them: what runs webhooks does not run yet.
    pub fn set_started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// Whether webhooks or policies of users have a say in a write.
    fn asks_users(&self) -> bool {
        self.started.load(Ordering::Acquire) && self.admission.any(&self.store)
    }

    /// Resources served now.
    pub fn resources(&self) -> Arc<Resources> {
        self.resources.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves what the stored CustomResourceDefinitions say. Only those that changed are read again.
    pub fn reload_custom_resources(&self) {
        let mut read = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut served = Resources::built_in();
        let mut now = HashMap::new();
        let key = Arc::from(crd::DEFINITIONS);
        for definition in self.store.list(&key, None, None, usize::MAX, |_| true).items {
            let known = read
                .remove(&definition.key.name)
                .filter(|known| known.revision == definition.revision);
            let known = known.unwrap_or_else(|| {
                let resources = crd::resources_of(&definition.value()).into_iter().map(Arc::new);
                Definition {
                    revision: definition.revision,
                    resources: resources.collect(),
                }
            });
            known
                .resources
                .iter()
                .for_each(|resource| served.add_shared(resource.clone()));
            now.insert(definition.key.name.clone(), known);
        }
        *read = now;
        *self.resources.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(served);
    }

    /// Address of the API server.
    pub fn address(&self) -> Ipv4Addr {
        *self.settings.place.ip()
    }
}

/// What a failed write means to a client.
pub fn refused_write(error: WriteError, resource: &str, name: &str) -> Status {
    match error {
        WriteError::Exists => Status::already_exists(resource, name),
        WriteError::NotFound => Status::not_found(resource, name),
        WriteError::Conflict => Status::modified(resource, name),
        WriteError::Disk(cause) if cause.contains("full") => {
            let message =
                format!("nothing was stored: {cause}. What is stored can still be read; make room and try again");
            Status::new(507, "InsufficientStorage", message)
        }
        WriteError::Disk(_) => Status::internal(error.to_string()),
        WriteError::Stopped => Status::new(503, "ServiceUnavailable", error.to_string()),
    }
}
