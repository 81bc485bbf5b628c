//! A whole cluster: the API server with its controllers, the scheduler and one node.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::{Api, Client};

use crate::api::{ApiConfig, ApiServer};
use crate::error::ClusterError;
use crate::node::{Capacity, Images, Launcher, Node, NodeConfig, node_name};
use crate::registry::identity::Identity;
use crate::scheduler::Scheduler;

/// How long a node may take to report ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What a cluster is started with.
#[derive(Clone)]
pub struct ClusterConfig {
    /// The cluster's directory: database, `pki`, `logs`, `pods`, `volumes`, `uploads`. Made if missing; one cluster at a time.
    pub home: PathBuf,
    /// Keep objects in memory only, for a cluster that no one comes back to.
    pub in_memory: bool,
    /// The executable that sandboxes are started from; it must call `stoke_sandbox::main_if_sandboxed` first. `None`: the running one.
    pub executable: Option<PathBuf>,
    /// CPUs the node offers, in thousandths; `None`: those of the machine.
    pub millicores: Option<u64>,
    /// Memory the node offers, in bytes; `None`: that of the machine.
    pub memory: Option<u64>,
    /// Where container images come from: [`crate::node::RuntimeImages`], or more.
    pub images: Arc<dyn Images>,
}

/// A running cluster. [`Cluster::stop`] ends it in order; dropping it ends it at once.
pub struct Cluster {
    api: ApiServer,
    scheduler: Scheduler,
    node: Arc<Node>,
    node_name: String,
}

impl Cluster {
    /// Starts everything. The API server answers when this returns; [`Cluster::ready`] waits for the node.
    pub async fn start(config: ClusterConfig) -> Result<Cluster, ClusterError> {
        let ClusterConfig {
            home,
            in_memory,
            executable,
            millicores,
            memory,
            images,
        } = config;
        let api = ApiServer::start(&ApiConfig {
            home: home.clone(),
            in_memory,
        })
        .await?;
        let scheduler = Scheduler::start(&api.client_of(Identity::scheduler()));
        let uploads = home.join("uploads");
        std::fs::create_dir_all(&uploads).map_err(|cause| ClusterError::Home {
            path: uploads.display().to_string(),
            cause,
        })?;
        let machine = Capacity::of_machine(&home);
        let capacity = Capacity {
            millicores: millicores.unwrap_or(machine.millicores),
            memory: memory.unwrap_or(machine.memory),
            ..machine
        };
        let name = node_name();
        let node = Node::start(
            NodeConfig {
                name: name.clone(),
                directory: home,
                uploads: Some(uploads),
                subnet: api.subnet(),
                port: api.port(),
                capacity,
                images,
                launcher: executable.map_or_else(Launcher::default, Launcher::with_program),
            },
            api.client_of(Identity::node(&name)),
        )
        .await
        .map_err(|cause| ClusterError::Node(cause.to_string()))?;
        let node = Arc::new(node);
        api.set_kubelet(Arc::new(Arc::downgrade(&node)));
        Ok(Cluster {
            api,
            scheduler,
            node,
            node_name: name,
        })
    }

    /// Waits until the node can run pods.
    pub async fn ready(&self) -> Result<(), ClusterError> {
        let nodes: Api<NodeObject> = Api::all(self.api.client());
        let ready = |node: Option<&NodeObject>| {
            let conditions = node.and_then(|node| node.status.as_ref()?.conditions.as_ref());
            conditions.is_some_and(|list| {
                list.iter()
                    .any(|condition| condition.type_ == "Ready" && condition.status == "True")
            })
        };
        let wait = kube::runtime::wait::await_condition(nodes, &self.node_name, ready);
        let waited = tokio::time::timeout(READY_WITHIN, wait).await;
        waited
            .map_err(|_| ClusterError::NotReady(READY_WITHIN.as_secs()))?
            .map_err(|error| ClusterError::Node(error.to_string()))?;
        Ok(())
    }

    /// A client of this process, as the administrator, without a connection.
    pub fn client(&self) -> Client {
        self.api.client()
    }

    /// URL of the API server.
    pub fn url(&self) -> String {
        self.api.url()
    }

    /// Address of the API server, 127.X.0.1.
    pub fn address(&self) -> Ipv4Addr {
        self.api.address()
    }

    /// A kubeconfig with the administrator's token, YAML.
    pub fn kubeconfig(&self) -> String {
        self.api.kubeconfig()
    }

    /// The cluster's directory.
    pub fn home(&self) -> &Path {
        self.api.home()
    }

    /// The directory that pods see, read-only, at `/var/lib/stoke/uploads`.
    pub fn uploads(&self) -> PathBuf {
        self.api.home().join("uploads")
    }

    pub fn node_name(&self) -> &str {
        &self.node_name
    }

    /// Ends every container, then the API server, and closes the database.
    pub async fn stop(self) {
        drop(self.scheduler);
        // A log that is being opened just now holds the node for a moment.
        for _ in 0..20 {
            if Arc::strong_count(&self.node) == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if let Some(node) = Arc::into_inner(self.node) {
            node.stop().await;
        }
        self.api.stop().await;
    }
}
