//! The node: pods as processes on this machine, as a kubelet runs them.
//!
//! In: pods bound to this node, and what they refer to, through `kube::Client`. Out: containers in sandboxes, pod status and Events as a
//! kubelet writes them, logs ([`Kubelet`]), the Node object with its heartbeat.
//!
//! A pod's life is one [`worker`]: what it observes is [`facts`], what it does next is [`decide`], what it publishes is [`status`]; the
//! last two are pure. [`images`] is the seam to where images come from, [`pull`] gets one as its policy says, [`root`] makes a container's
//! root of its tree. What people do with running containers is in [`streams`]. [`services`] gives Services
//! their addresses' effect. [`volumes`], [`environment`], [`hosts`] and [`downward`] say what a container sees, [`start`] puts it together.
//! Nothing on the way from a bound pod to its process waits for a clock: everything follows watches.
//! The node never runs a container it could not also account for: when it ends, by any means, so do its containers.

mod address;
mod capacity;
mod configs;
mod context;
mod decide;
mod disk_use;
mod downward;
mod ended;
mod environment;
mod facts;
mod gather;
mod grpc;
mod hosts;
mod images;
mod inside;
mod logs;
mod neighbourhood;
mod probe;
mod publish;
mod pull;
mod register;
mod root;
mod runtimes;
mod services;
mod start;
pub(crate) mod status;
mod streams;
mod tls;
mod volumes;

pub(crate) use volumes::claim_of;
mod worker;

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

pub use capacity::{Capacity, node_name};
pub use images::{Account, Image, Images, PullSecret, Refused, Tree, Viewer};
pub use runtimes::RuntimeImages;
pub use stoke_sandbox::Launcher;

use crate::events::{Component, Recorder};
use crate::kubelet::{ContainerName, Kubelet, KubeletError, LogRequest, Process, Streams};
use crate::watched::watched;
use address::Addresses;
use configs::ConfigCache;
use context::{Context, identity};
use neighbourhood::Neighbourhood;
use root::Layering;
use streams::Live;
use worker::{Message, Worker};

/// What a node needs.
pub struct NodeConfig {
    /// Its name; see [`node_name`].
    pub name: String,
    /// The cluster's directory: `pods/` and `logs/` are made there.
    pub directory: PathBuf,
    /// A directory that every container sees, read-only, at `/var/lib/stoke/uploads`.
    pub uploads: Option<PathBuf>,
    /// X of the cluster's subnet 127.X.0.0/16; the API server is at 127.X.0.1.
    pub subnet: u8,
    /// The API server's port.
    pub port: u16,
    /// What the node offers.
    pub capacity: Capacity,
    /// Where images come from.
    pub images: Arc<dyn Images>,
    /// How containers are started.
    pub launcher: Launcher,
}

/// A running node. Dropping it stops following the cluster and kills its containers; [`Node::stop`] lets them end in order.
pub struct Node {
    directory: PathBuf,
    live: Live,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    pods: Mutex<Option<JoinHandle<()>>>,
}

impl Node {
    /// Starts the node: registers it and follows the pods bound to it. When it returns, the Node object is there and ready.
    ///
    /// # Errors
    /// The directory cannot be used, or the API server does not take the Node object.
    pub async fn start(config: NodeConfig, client: Client) -> std::io::Result<Node> {
        let directory = config.directory.clone();
        set_aside(&directory)?;
        std::fs::create_dir_all(directory.join("logs"))?;

        let live = Live::default();
        let (configs, mut tasks) = ConfigCache::start(&client);
        let host_address = Ipv4Addr::new(127, config.subnet, 0, 1);
        let context = Arc::new(Context {
            recorder: Recorder::start(client.clone(), Component::Kubelet(config.name.clone())),
            client: client.clone(),
            node: config.name,
            host_address,
            capacity: config.capacity,
            directory: config.directory,
            uploads: config.uploads,
            addresses: Addresses::new(config.subnet),
            around: Neighbourhood::new(host_address, config.port),
            configs,
            images: config.images,
            launcher: config.launcher,
            system: stoke_sandbox::system_mounts(),
            live: live.clone(),
            layering: Layering::default(),
        });
        let (stop, stopped) = watch::channel(false);
        register::register(&context)
            .await
            .map_err(|error| std::io::Error::other(format!("cannot register the node: {error}")))?;
        tasks.push(tokio::spawn(register::heartbeat(Arc::clone(&context))));
        tasks.push(tokio::spawn(services::follow(Arc::clone(&context))));
        let pods = Mutex::new(Some(tokio::spawn(follow_pods(context, stopped))));
        Ok(Node {
            directory,
            live,
            stop,
            tasks,
            pods,
        })
    }

    /// Ends every container, in order within two seconds each, and stops.
    pub async fn stop(&self) {
        let _ = self.stop.send(true);
        let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut pods) = pods
            && tokio::time::timeout(Duration::from_secs(10), &mut pods).await.is_err()
        {
            pods.abort();
        }
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner).take();
        for task in self.tasks.iter().chain(&pods) {
            task.abort();
        }
    }
}

impl Kubelet for Node {
    fn logs(&self, request: LogRequest) -> BoxFuture<'_, Result<BoxStream<'static, Bytes>, KubeletError>> {
        let directory = self.directory.clone();
        Box::pin(async move { logs::open(&directory, request).await })
    }

    fn exec(
        &self,
        container: ContainerName,
        command: Vec<String>,
        streams: Streams,
    ) -> BoxFuture<'_, Result<Process, KubeletError>> {
        Box::pin(self.live.exec(container, command, streams))
    }

    fn attach(&self, container: ContainerName, streams: Streams) -> BoxFuture<'_, Result<Process, KubeletError>> {
        Box::pin(self.live.attach(container, streams))
    }

    fn connect(&self, pod: ContainerName, port: u16) -> BoxFuture<'_, Result<TcpStream, KubeletError>> {
        Box::pin(self.live.connect(pod, port))
    }
}

/// Makes an empty `pods/`. What a killed predecessor left there (its processes died with it) is removed in the background.
fn set_aside(directory: &Path) -> std::io::Result<()> {
    let pods = directory.join("pods");
    if let Some(memory) = volumes::all_shared_memory(&pods) {
        let _ = std::fs::remove_dir_all(memory);
    }
    let stale = directory.join(format!("pods.stale-{}", std::process::id()));
    let _ = std::fs::rename(&pods, &stale);
    let leftovers: Vec<PathBuf> = std::fs::read_dir(directory)?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("pods.stale-"))
        .map(|entry| entry.path())
        .collect();
    if !leftovers.is_empty() {
        tokio::task::spawn_blocking(move || {
            for path in leftovers {
                let _ = stoke_sandbox::remove_tree(&path);
            }
        });
    }
    std::fs::create_dir_all(pods)
}

/// Gives every pod bound to this node a worker, and every worker what happens to its pod.
async fn follow_pods(context: Arc<Context>, mut stopped: watch::Receiver<bool>) {
    let api: Api<Pod> = Api::all(context.client.clone());
    let mut workers: HashMap<String, mpsc::UnboundedSender<Message>> = HashMap::new();
    let mut tasks: JoinSet<String> = JoinSet::new();
    let mut listed: HashSet<String> = HashSet::new();
    {
        let fields = format!("spec.nodeName={}", context.node);
        let stream = watched(api, watcher::Config::default().fields(&fields));
        futures::pin_mut!(stream);
        loop {
            let event = tokio::select! {
                event = stream.next() => event,
                _ = stopped.changed() => break,
                Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                    if let Ok(uid) = done {
                        workers.remove(&uid);
                        let directory = context.directory.clone();
                        tokio::task::spawn_blocking(move || logs::prune(&directory));
                    }
                    continue;
                }
            };
            match event {
                Some(Ok(Event::Init)) => listed.clear(),
                Some(Ok(Event::InitApply(pod))) => {
                    listed.insert(identity(&pod).2.to_owned());
                    applied(&context, pod, &mut workers, &mut tasks);
                }
                Some(Ok(Event::InitDone)) => {
                    for (uid, worker) in &workers {
                        if !listed.contains(uid) {
                            let _ = worker.send(Message::Deleted);
                        }
                    }
                }
                Some(Ok(Event::Apply(pod))) => applied(&context, pod, &mut workers, &mut tasks),
                Some(Ok(Event::Delete(pod))) => {
                    if let Some(worker) = workers.get(identity(&pod).2) {
                        let _ = worker.send(Message::Deleted);
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the node's watch of pods was interrupted");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                None => break,
            }
        }
    }
    for worker in workers.values() {
        let _ = worker.send(Message::Shutdown);
    }
    while tasks.join_next().await.is_some() {}
}

fn applied(
    context: &Arc<Context>,
    pod: Pod,
    workers: &mut HashMap<String, mpsc::UnboundedSender<Message>>,
    tasks: &mut JoinSet<String>,
) {
    let bound = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(context.node.as_str());
    let uid = identity(&pod).2.to_owned();
    if !bound || uid.is_empty() {
        return;
    }
    let pod = Arc::new(pod);
    if let Some(worker) = workers.get(&uid)
        && worker.send(Message::Changed(Arc::clone(&pod))).is_ok()
    {
        return;
    }
    let Some(address) = context.addresses.take() else {
        context.recorder.pod(
            &pod,
            true,
            "FailedCreatePodSandBox",
            "every pod address of the cluster is in use",
        );
        return;
    };
    let (worker, sender) = Worker::new(Arc::clone(context), pod, address);
    workers.insert(uid.clone(), sender);
    tasks.spawn(async move {
        worker.run().await;
        uid
    });
}
