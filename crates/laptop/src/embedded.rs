//! The embedded cluster with our operator in it: started for one run, or kept by `stoke up`.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use stoke_cluster::{Cluster, ClusterConfig};
use stoke_objectstore::ObjectStore;
use stoke_operator::logs::KeepLogs;
use stoke_operator::metrics::Metrics;
use stoke_operator::quality::Runner;
use stoke_operator::{ImagePolicy, Operator, OperatorConfig, Policies};
use stoke_runtime::Runtimes;
use stoke_storage::{Access, Address};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::{LaptopError, Outcome};
use crate::event_logs;
use crate::home::{Home, create_private};
use crate::object_store;
use crate::pod_images::{self, PodImages, Shared};

/// Name of the file whose lock says that a private cluster's directory is in use.
const IN_USE: &str = "in-use";

/// Size of an embedded cluster's node; what is not said is the machine's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Size {
    /// Cores.
    pub cpus: Option<u32>,
    /// Bytes of memory.
    pub memory: Option<u64>,
}

/// How the operator serves a cluster.
#[derive(Default)]
pub struct Serving {
    /// Where logs are kept.
    pub logs: Option<Address>,
    /// What is asked before pods are made.
    pub policies: Policies,
    /// Who verifies images before pods are made.
    pub images: ImagePolicy,
    /// Whether applications serve their metrics, and the operator its own at an address of this machine.
    pub observe: bool,
    /// Whether namespaces are left without the keys of the object store: who runs applications puts others there.
    pub without_keys: bool,
}

/// A running cluster and operator, with the object store beside them.
pub struct Embedded {
    cluster: Cluster,
    objects: ObjectStore,
    /// None when namespaces are left without the keys of the store.
    publisher: Option<JoinHandle<()>>,
    /// None when another operator is to serve this cluster.
    operator: Option<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    /// Kept between runs: what `spark.jars.packages` brought.
    packages: PathBuf,
    /// Kept between runs: the event logs of applications.
    event_logs: PathBuf,
    directory: PathBuf,
    /// Where the operator serves its metrics, and what serves them.
    metrics: Option<(SocketAddr, JoinHandle<()>)>,
    /// Holds the lock on a private cluster's directory; none for the cluster of `stoke up`.
    private: Option<File>,
}

impl Embedded {
    /// Starts a cluster of its own for one run, after removing what a killed run left.
    ///
    /// # Errors
    /// When any part of it cannot be started; nothing is left of it then.
    pub async fn start_private(home: &Home, size: &Size) -> Outcome<Self> {
        let directory = private_directory(home);
        Self::start_in(directory, home, size, Serving::default(), Runtimes::new(home.root())).await
    }

    /// As [`Embedded::start_private`], and no pod can have the keys of the object store: applications get those that are put there for them.
    ///
    /// # Errors
    /// As there.
    pub async fn start_without_keys(home: &Home, size: &Size) -> Outcome<Self> {
        let serving = Serving {
            without_keys: true,
            ..Serving::default()
        };
        let directory = private_directory(home);
        Self::start_in(directory, home, size, serving, Runtimes::new(home.root())).await
    }

    /// Starts a cluster of its own whose drivers and executors record their runs. Packages, event logs and objects of it are its own too.
    pub async fn start_recording(home: &Home) -> Outcome<Self> {
        let directory = private_directory(home);
        let kept = Home::find(Some(directory.join("home")))?;
        let runtimes = Runtimes::new(home.root()).recording();
        Self::start_in(directory, &kept, &Size::default(), Serving::default(), runtimes).await
    }

    async fn start_in(
        directory: PathBuf,
        home: &Home,
        size: &Size,
        serving: Serving,
        runtimes: Runtimes,
    ) -> Outcome<Self> {
        create_private(&directory)?;
        let lock = File::create(directory.join(IN_USE))?;
        lock.try_lock().map_err(|error| {
            LaptopError::environment("stoke::cluster::in-use", format!("{}: {error}", directory.display()))
        })?;
        // What `stoke run` runs, it shows; what runs for longer is kept.
        match Self::start(home, &directory, size, Some(serving), true, runtimes).await {
            Ok(mut embedded) => {
                embedded.private = Some(lock);
                Ok(embedded)
            }
            Err(failure) => {
                let _ = std::fs::remove_dir_all(&directory);
                Err(failure)
            }
        }
    }

    /// Starts the cluster of `stoke up`, with an operator in it that serves it like this, or without.
    pub async fn start_default(home: &Home, size: &Size, serving: Option<Serving>) -> Outcome<Self> {
        remove_stale(&home.clusters());
        let directory = home.default_cluster();
        create_private(&directory)?;
        // Before anything runs that would have to be ended again.
        if let Some(address) = serving.as_ref().and_then(|serving| serving.logs.as_ref()) {
            object_store::logs(address, &Access::default())?;
        }
        let runtimes = Runtimes::new(home.root());
        Self::start(home, &directory, size, serving, false, runtimes).await
    }

    async fn start(
        home: &Home,
        directory: &Path,
        size: &Size,
        serving: Option<Serving>,
        in_memory: bool,
        runtimes: Runtimes,
    ) -> Outcome<Self> {
        let packages = home.root().join("packages");
        create_private(&packages)?;
        let event_logs = event_logs::directory(home);
        create_private(&event_logs)?;
        let quality = home.quality();
        create_private(&quality)?;
        let program = std::env::current_exe()?;
        let shared = Shared {
            program: program.clone(),
            packages: packages.clone(),
            event_logs: event_logs.clone(),
            quality: quality.clone(),
        };
        let runtimes = runtimes
            .with_program(program)
            .with_packages(packages.clone())
            .with_event_logs(event_logs.clone())
            .with_quality(quality);
        let images = PodImages::new(runtimes, pod_images::of_node(home)?, &shared);
        let config = ClusterConfig {
            home: directory.to_path_buf(),
            in_memory,
            executable: None,
            millicores: size.cpus.map(|cpus| u64::from(cpus) * 1000),
            memory: size.memory,
            images: Arc::new(images),
        };
        let cluster = Cluster::start(config)
            .await
            .map_err(|error| LaptopError::environment("stoke::cluster::start", error))?;
        let (stop, stopped) = watch::channel(false);
        let objects = match object_store::start(home, cluster.address()).await {
            Ok(objects) => objects,
            Err(failure) => {
                cluster.stop().await;
                return Err(failure);
            }
        };
        let access = object_store::access(&objects.endpoint(), objects.region(), objects.credentials());
        let logs = serving.as_ref().and_then(|serving| serving.logs.as_ref());
        let logs = logs.map(|address| object_store::logs(address, &access)).transpose()?;
        let without_keys = serving.as_ref().is_some_and(|serving| serving.without_keys);
        let publisher = (!without_keys).then(|| tokio::spawn(object_store::publish(cluster.client(), access)));
        object_store::note_endpoint(directory, &objects.endpoint())?;
        let metrics = Metrics::default();
        let metrics_server = match serving.as_ref().is_some_and(|serving| serving.observe) {
            true => Some(serve_metrics(&metrics, stopped.clone()).await?),
            false => None,
        };
        let operator = serving.map(|serving| {
            let mut config = OperatorConfig {
                metrics,
                ..OperatorConfig::default()
            };
            config.settings.observe = serving.observe;
            config.settings.object_store = Some(object_store::settings(&objects));
            let ivy = ("spark.jars.ivy".to_string(), stoke_runtime::PACKAGES.to_string());
            config.settings.default_conf.extend([ivy]);
            config.settings.event_log = Some(event_logs::url());
            config.logs = logs.map(KeepLogs::new);
            config.policies = serving.policies;
            config.images = serving.images;
            // Every image here has it.
            config.quality = Some(Runner {
                image: None,
                program: stoke_runtime::PROGRAM.to_string(),
                history: Some(stoke_runtime::QUALITY.to_string()),
            });
            tokio::spawn(Operator::new(cluster.client(), config).run(stopped))
        });
        Ok(Embedded {
            cluster,
            objects,
            publisher,
            operator,
            stop,
            packages,
            event_logs,
            directory: directory.to_path_buf(),
            metrics: metrics_server,
            private: None,
        })
    }

    /// A client with all rights.
    pub fn client(&self) -> Client {
        self.cluster.client()
    }

    /// The object store itself.
    pub fn objects(&self) -> &ObjectStore {
        &self.objects
    }

    /// Address of the object store.
    pub fn object_store(&self) -> String {
        self.objects.endpoint()
    }

    /// Address of the API server.
    pub fn url(&self) -> String {
        self.cluster.url()
    }

    /// Where the operator serves its metrics, when it does.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(address, _)| *address)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> String {
        self.cluster.kubeconfig()
    }

    /// The cluster's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Ends operator, pods and API server; removes a private cluster's directory unless it shall be kept.
    pub async fn stop(self, keep: bool) {
        let _ = self.stop.send(true);
        if let Some(operator) = self.operator {
            let _ = tokio::time::timeout(Duration::from_secs(5), operator).await;
        }
        if let Some((_, serving)) = self.metrics {
            serving.abort();
        }
        if let Some(publisher) = self.publisher {
            publisher.abort();
        }
        self.cluster.stop().await;
        // Last, so that what pods write while they end is still taken.
        object_store::forget_endpoint(&self.directory);
        self.objects.stop().await;
        // The next one to start does it if this fails.
        let _ = stoke_runtime::packages::collect(&self.packages);
        let _ = event_logs::prune(&self.event_logs);
        if self.private.is_some() && !keep {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

/// Serves the operator's metrics at a free port of this machine.
async fn serve_metrics(metrics: &Metrics, stopped: watch::Receiver<bool>) -> Outcome<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(stoke_operator::serve::answer_metrics(
        listener,
        metrics.clone(),
        stopped,
    ));
    Ok((address, serving))
}

/// The directory of this process's private cluster, after removing those that killed processes left.
fn private_directory(home: &Home) -> PathBuf {
    remove_stale(&home.clusters());
    home.clusters().join(format!("run-{}", std::process::id()))
}

/// Removes directories of private clusters whose process is gone. A directory without its lock file is being made and is left alone.
fn remove_stale(clusters: &Path) {
    let Ok(entries) = std::fs::read_dir(clusters) else {
        return;
    };
    for directory in entries.flatten().map(|entry| entry.path()) {
        let private = directory
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("run-"));
        let free = || File::open(directory.join(IN_USE)).is_ok_and(|lock| lock.try_lock().is_ok());
        if private && free() {
            let _ = std::fs::remove_dir_all(&directory);
        }
    }
}
