//! What every pod's worker shares.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use stoke_sandbox::{Launcher, Mount};

use super::address::Addresses;
use super::capacity::Capacity;
use super::configs::ConfigCache;
use super::downward::Placement;
use super::images::Images;
use super::neighbourhood::Neighbourhood;
use super::root::Layering;
use super::streams::Live;
use crate::events::Recorder;

/// The node's means, shared by the workers.
pub(crate) struct Context {
    pub client: Client,
    pub node: String,
    pub host_address: Ipv4Addr,
    pub capacity: Capacity,
    pub directory: PathBuf,
    pub uploads: Option<PathBuf>,
    pub addresses: Addresses,
    pub around: Neighbourhood,
    pub configs: ConfigCache,
    pub recorder: Recorder,
    pub images: Arc<dyn Images>,
    pub launcher: Launcher,
    pub system: Vec<Mount>,
    pub live: Live,
    pub layering: Layering,
}

impl Context {
    /// What lasts as long as the pod: its volumes and scratch space.
    pub(crate) fn pod_directory(&self, uid: &str) -> PathBuf {
        self.directory.join("pods").join(uid)
    }

    /// Where the pod's logs are, also when it is gone.
    pub(crate) fn log_directory(&self, namespace: &str, pod: &str, uid: &str) -> PathBuf {
        log_directory(&self.directory, namespace, pod, uid)
    }

    /// Facts for the downward API.
    pub(crate) fn placement(&self, address: Ipv4Addr) -> Placement {
        Placement {
            pod_address: address.to_string(),
            host_address: self.host_address.to_string(),
            node: self.node.clone(),
            capacity: self.capacity,
        }
    }
}

/// `<directory>/logs/<namespace>_<pod>_<uid>`.
pub(crate) fn log_directory(directory: &Path, namespace: &str, pod: &str, uid: &str) -> PathBuf {
    directory.join("logs").join(format!("{namespace}_{pod}_{uid}"))
}

/// Namespace, name and UID of a pod.
pub(crate) fn identity(pod: &Pod) -> (&str, &str, &str) {
    let meta = &pod.metadata;
    (
        meta.namespace.as_deref().unwrap_or("default"),
        meta.name.as_deref().unwrap_or_default(),
        meta.uid.as_deref().unwrap_or_default(),
    )
}
