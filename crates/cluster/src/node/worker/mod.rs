//! One pod's worker: a task that observes, asks [`decide`](super::decide), acts, and publishes the status.
//!
//! In: the pod object as it changes, and what happens to its containers. Out: containers started and stopped, status, events.
//! It holds the only handles to the pod's containers: when it ends, so do they.

mod containers;
mod volumes;

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodStatus};
use kube::Api;
use stoke_sandbox::Exit;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::context::{Context, identity};
use super::decide::{decide, phase};
use super::disk_use::DiskUse;
use super::facts::{ContainerFacts, PodFacts, Role, State};
use super::gather::TokenCache;
use super::hosts::Peer;
use super::inside::Inside;
use super::probe::Finding;
use super::publish::{Word, publisher};
use super::start::{NotStarted, Started};
use super::status::{Where, status};
use super::volumes::{Prepared, shared_memory};

/// A volume that is missing is complained about only after this time: a pod often precedes its ConfigMap by milliseconds.
const PATIENCE: SignedDuration = SignedDuration::from_millis(250);
/// How long containers get to end when the node itself stops.
const LAST_GRACE: Duration = Duration::from_secs(2);

/// Volumes that are ready, by name.
type Volumes = BTreeMap<String, Prepared>;
/// Volumes that are not, each with the reason.
type Missing = Vec<(String, String)>;

/// What reaches a worker.
pub(crate) enum Message {
    /// The pod object changed.
    Changed(Arc<Pod>),
    /// The pod object is gone.
    Deleted,
    /// The node stops.
    Shutdown,
    /// Volumes are ready, or not; the tokens they were made with.
    Volumes(Box<Result<Volumes, Missing>>, TokenCache),
    /// A start ended.
    Started(usize, i32, Box<Result<Started, NotStarted>>),
    /// A container ended.
    Exited(usize, i32, Exit),
    /// The postStart hook ended.
    Hooked(usize, i32, Result<(), String>),
    /// A probe found something.
    Probed(usize, i32, Finding),
    /// An image that failed is from now on being backed off from.
    ImageBackOff(usize),
    /// The pod uses more of the disk than it may: why it is evicted.
    Over(String),
}

/// A running container.
struct Running {
    attempt: i32,
    inside: Inside,
    probes: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(probes) = &self.probes {
            probes.abort();
        }
    }
}

/// The worker of one pod.
pub(crate) struct Worker {
    context: Arc<Context>,
    pod: Arc<Pod>,
    uid: String,
    address: Ipv4Addr,
    facts: PodFacts,
    status: PodStatus,
    specs: Vec<Container>,
    running: HashMap<usize, Running>,
    early_exits: HashMap<usize, (i32, Exit)>,
    volumes: Volumes,
    preparing: bool,
    prepare_again: bool,
    tokens: TokenCache,
    complain_at: Timestamp,
    complaints: u32,
    grace_limit: Option<Duration>,
    object_gone: bool,
    finished: bool,
    told_gone: bool,
    cancelled: CancellationToken,
    sender: mpsc::UnboundedSender<Message>,
    inbox: mpsc::UnboundedReceiver<Message>,
    publish: mpsc::UnboundedSender<Word>,
}

impl Worker {
    /// A worker for `pod` at `address`, and the way to reach it.
    pub(crate) fn new(
        context: Arc<Context>,
        pod: Arc<Pod>,
        address: Ipv4Addr,
    ) -> (Worker, mpsc::UnboundedSender<Message>) {
        let now = crate::clock::now();
        let (sender, inbox) = mpsc::unbounded_channel();
        let (namespace, name, uid) = identity(&pod);
        let api: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
        let publish = publisher(api, name.to_owned(), uid.to_owned());
        let facts = PodFacts::of(&pod, now);
        let spec = pod.spec.clone().unwrap_or_default();
        let specs = spec
            .init_containers
            .into_iter()
            .flatten()
            .chain(spec.containers)
            .collect();
        let finished = matches!(
            pod.status.as_ref().and_then(|status| status.phase.as_deref()),
            Some("Succeeded" | "Failed")
        );
        let worker = Worker {
            uid: uid.to_owned(),
            address,
            status: pod.status.clone().unwrap_or_default(),
            facts,
            specs,
            running: HashMap::new(),
            early_exits: HashMap::new(),
            volumes: BTreeMap::new(),
            preparing: false,
            prepare_again: false,
            tokens: TokenCache::default(),
            complain_at: now + PATIENCE,
            complaints: 0,
            grace_limit: None,
            object_gone: false,
            finished,
            told_gone: false,
            cancelled: CancellationToken::new(),
            sender: sender.clone(),
            inbox,
            publish,
            context,
            pod,
        };
        (worker, sender)
    }

    /// Works until nothing of the pod is left and its object is gone.
    pub(crate) async fn run(mut self) {
        let mut configs = self.context.configs.changes();
        if self.finished {
            // It ended under a predecessor of this node.
            self.context.addresses.give_back(self.address);
        } else {
            self.enter();
            self.prepare_volumes();
        }
        self.note_deletion();
        let mut wake_at = self.settle();
        while !(self.finished && (self.object_gone || self.told_gone)) {
            let now = crate::clock::now();
            let pause = wake_at.map_or(Duration::from_secs(60), |at| {
                Duration::try_from(at.duration_since(now))
                    .unwrap_or(Duration::ZERO)
                    .min(Duration::from_secs(60))
            });
            let live = !self.finished;
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(message),
                    None => break,
                },
                changed = configs.changed(), if live => {
                    if changed.is_ok() {
                        self.prepare_volumes();
                    }
                }
                () = tokio::time::sleep(pause) => {
                    let waiting = !self.facts.volumes_ready && !self.facts.terminating;
                    if live && (waiting || self.tokens.stale(crate::clock::now())) {
                        self.prepare_volumes();
                    }
                }
            }
            while let Ok(message) = self.inbox.try_recv() {
                self.take(message);
            }
            wake_at = self.settle();
        }
    }

    /// The pod gets its names; what it asks for and cannot have is said.
    fn enter(&mut self) {
        let spec = self.pod.spec.as_ref();
        if let Some(usage) = DiskUse::of(&self.pod, &self.context.pod_directory(&self.uid)) {
            let (sender, cancelled) = (self.sender.clone(), self.cancelled.clone());
            tokio::spawn(async move {
                tokio::select! {
                    over = usage.watch() => drop(sender.send(Message::Over(over))),
                    () = cancelled.cancelled() => {}
                }
            });
        }
        for feature in spec.map(not_provided).unwrap_or_default() {
            let message = format!("{feature} is not provided by Stoke's embedded node; the pod runs without it");
            self.context.recorder.pod(&self.pod, true, "NotProvided", message);
        }
        let aliases = spec.and_then(|spec| spec.host_aliases.clone()).unwrap_or_default();
        let file = self.context.pod_directory(&self.uid).join("hosts");
        let entered = self
            .context
            .around
            .enter(&self.uid, Peer::of(&self.pod, self.address), aliases, file);
        if let Err(error) = entered {
            let message = format!("Failed to create pod sandbox: {error}");
            self.context
                .recorder
                .pod(&self.pod, true, "FailedCreatePodSandBox", message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Changed(pod) => {
                let relabelled = pod.metadata.labels != self.pod.metadata.labels;
                let annotated = pod.metadata.annotations != self.pod.metadata.annotations;
                self.pod = pod;
                if relabelled {
                    self.context
                        .around
                        .relabel(&self.uid, Peer::of(&self.pod, self.address));
                }
                if relabelled || annotated {
                    self.prepare_volumes();
                }
                self.note_deletion();
            }
            Message::Deleted => {
                self.object_gone = true;
                self.facts.terminating = true;
                self.kill_all();
            }
            Message::Shutdown => {
                self.grace_limit = Some(LAST_GRACE);
                self.facts.terminating = true;
                self.object_gone = true;
            }
            Message::Volumes(result, tokens) => {
                self.preparing = false;
                self.tokens = tokens;
                self.take_volumes(*result);
            }
            Message::Started(index, attempt, result) => self.take_started(index, attempt, *result),
            Message::Exited(index, attempt, exit) => self.take_exit(index, attempt, exit),
            Message::Hooked(index, attempt, result) => self.take_hook(index, attempt, result),
            Message::Probed(index, attempt, finding) => self.take_finding(index, attempt, finding),
            Message::ImageBackOff(index) => self.back_off_image(index),
            Message::Over(message) => self.evict(message),
        }
    }

    /// A pod being deleted ends; a shorter grace than before takes effect.
    fn note_deletion(&mut self) {
        if self.pod.metadata.deletion_timestamp.is_none() {
            return;
        }
        let grace = self.grace();
        let shorter = self.facts.terminating && self.grace_limit.is_none_or(|limit| grace < limit);
        self.facts.terminating = true;
        if shorter {
            for running in self.running.values() {
                let sandbox = Arc::clone(&running.inside.sandbox);
                tokio::spawn(async move {
                    tokio::time::sleep(grace).await;
                    sandbox.kill();
                });
            }
        }
        self.grace_limit = Some(grace);
    }

    /// How long containers get to end.
    fn grace(&self) -> Duration {
        let meta = &self.pod.metadata;
        let usual = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.termination_grace_period_seconds)
            .unwrap_or(30);
        let seconds = if meta.deletion_timestamp.is_some() {
            meta.deletion_grace_period_seconds.unwrap_or(usual)
        } else {
            usual
        };
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    /// The disk is full: waiting would be for nothing, so the pod fails as under a kubelet whose node is short of disk.
    fn evict_for_disk(&mut self, cause: &str) {
        let directory = self.context.directory.display();
        self.evict(format!(
            "The node was low on resource: ephemeral-storage. {cause}. Free space on the disk of {directory}"
        ));
    }

    /// The node ends the pod before its time.
    fn evict(&mut self, message: String) {
        self.context.recorder.pod(&self.pod, true, "Evicted", message.clone());
        self.facts.failure = Some(("Evicted".to_owned(), message));
    }

    fn kill_all(&self) {
        for running in self.running.values() {
            running.inside.sandbox.kill();
        }
    }

    /// Decides and acts until there is nothing to do at once; says when to look again.
    fn settle(&mut self) -> Option<Timestamp> {
        if self.finished {
            self.release_object();
            return None;
        }
        let now = crate::clock::now();
        if self.facts.terminating || self.facts.failure.is_some() {
            self.cancelled.cancel();
        }
        let decision = decide(&self.facts, now);
        if decision.deadline_exceeded {
            let message = "Pod was active on the node longer than the specified deadline";
            self.context.recorder.pod(&self.pod, false, "DeadlineExceeded", message);
            self.facts.failure = Some(("DeadlineExceeded".to_owned(), message.to_owned()));
            return self.settle();
        }
        for index in decision.start {
            self.start(index);
        }
        for index in decision.stop {
            let name = self.facts.containers[index].name.clone();
            self.stop(index, &format!("Stopping container {name}"));
        }
        if decision.over && !self.preparing {
            self.finish();
            return None;
        }
        self.publish(now);
        let complain = (!self.facts.volumes_ready).then_some(self.complain_at);
        [decision.wake_at, complain].into_iter().flatten().min()
    }

    fn publish(&mut self, now: Timestamp) {
        let address = self.address.to_string();
        let host = self.context.host_address.to_string();
        let begun = self
            .facts
            .containers
            .iter()
            .any(|c| c.last.is_some() || !matches!(c.state, State::Waiting(_)));
        let place = Where {
            pod_address: begun.then_some(address.as_str()),
            host_address: &host,
            ready_to_start: self.facts.volumes_ready && begun && !self.finished,
        };
        let status = status(&self.pod, &self.facts, place, &self.status, now);
        if status != self.status {
            self.status = status.clone();
            if !self.object_gone {
                let _ = self.publish.send(Word::Status(Box::new(status)));
            }
        }
    }

    /// Nothing runs any more: the last status, and what the pod held is given back.
    fn finish(&mut self) {
        if matches!(phase(&self.facts), "Succeeded" | "Failed") {
            for container in self.facts.containers.iter_mut().filter(|c| c.role == Role::Main) {
                never_ran(container);
            }
        }
        self.finished = true;
        self.publish(crate::clock::now());
        self.context.around.leave(&self.uid);
        self.context.addresses.give_back(self.address);
        let directory = self.context.pod_directory(&self.uid);
        tokio::task::spawn_blocking(move || {
            if let Some(memory) = shared_memory(&directory) {
                let _ = std::fs::remove_dir_all(memory);
            }
            if let Err(error) = stoke_sandbox::remove_tree(&directory) {
                tracing::debug!(%error, directory = %directory.display(), "a pod's directory could not be removed");
            }
        });
        self.release_object();
    }

    /// A deleted pod's object may go once nothing of it is left.
    fn release_object(&mut self) {
        if self.pod.metadata.deletion_timestamp.is_some() && !self.told_gone && !self.object_gone {
            self.told_gone = true;
            let _ = self.publish.send(Word::Gone);
        }
    }
}

/// Whether an error is that of a full disk, or of a full quota.
fn disk_is_full(message: &str) -> bool {
    message.contains("No space left on device") || message.contains("quota exceeded")
}

/// What a pod asks for that its containers run without.
fn not_provided(spec: &PodSpec) -> Vec<String> {
    let sharing = [
        (
            spec.share_process_namespace,
            "shareProcessNamespace (each container sees its own processes only)",
        ),
        (spec.host_pid, "hostPID"),
        (spec.host_ipc, "hostIPC"),
    ];
    let mut features: Vec<String> = sharing
        .into_iter()
        .filter(|(asked, _)| *asked == Some(true))
        .map(|(_, feature)| feature.to_owned())
        .collect();
    if spec.dns_config.is_some() || spec.dns_policy.as_deref() == Some("None") {
        features.push("dnsConfig (names resolve as on this machine, and by /etc/hosts)".to_owned());
    }
    if spec.set_hostname_as_fqdn == Some(true) {
        features.push("setHostnameAsFQDN".to_owned());
    }
    let whole = spec.security_context.as_ref();
    if whole.is_some_and(|context| context.sysctls.as_ref().is_some_and(|list| !list.is_empty())) {
        features.push("securityContext.sysctls".to_owned());
    }
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        let own = container.security_context.as_ref();
        let added = own
            .and_then(|context| context.capabilities.as_ref()?.add.as_deref())
            .unwrap_or_default();
        if !added.is_empty() {
            let (name, added) = (&container.name, added.join(", "));
            features.push(format!(
                "capabilities {added} of container {name} (containers have none)"
            ));
        }
        let mounts = container.volume_mounts.iter().flatten();
        for mount in mounts.filter(|mount| mount.mount_propagation.as_deref().is_some_and(|kind| kind != "None")) {
            features.push(format!(
                "mountPropagation of {} in container {}",
                mount.mount_path, container.name
            ));
        }
    }
    features
}

/// A container that waits when the pod is over will never run: what it waited for is no longer true.
fn never_ran(container: &mut ContainerFacts) {
    if let State::Waiting(Some((reason, _))) = &container.state
        && reason == "CrashLoopBackOff"
        && let Some(last) = container.last.take()
    {
        container.state = State::Ended(last);
    }
}
