//! One pod's worker: a task that observes, asks [`decide`](super::decide), acts, and publishes the status.
//!
//! In: the pod object as it changes, and what happens to its containers. Out: containers started and stopped, status, events.
//! It holds the only handles to the pod's containers: when it ends, so do they.

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
use super::decide::{decide, delay, note_end, phase};
use super::ended::ended;
use super::facts::{Busy, ContainerFacts, Ended, PodFacts, Role, State};
use super::gather::{TokenCache, claims};
use super::hosts::Peer;
use super::inside::Inside;
use super::probe::{Finding, watch};
use super::publish::{Word, publisher};
use super::start::{NotStarted, Order, Started, start};
use super::status::{Where, status};
use super::volumes::{Prepared, prepare};

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
    Volumes(
        Box<Result<BTreeMap<String, Prepared>, Vec<(String, String)>>>,
        TokenCache,
    ),
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
        let now = Timestamp::now();
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
        if !self.finished {
            self.enter();
            self.prepare_volumes();
        }
        self.note_deletion();
        let mut wake_at = self.settle();
        while !(self.finished && (self.object_gone || self.told_gone)) {
            let now = Timestamp::now();
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
                    if live && (waiting || self.tokens.stale(Timestamp::now())) {
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

    fn kill_all(&self) {
        for running in self.running.values() {
            running.inside.sandbox.kill();
        }
    }

    /// Makes the volumes ready, or brings their files up to date, in the background.
    fn prepare_volumes(&mut self) {
        if self.preparing {
            self.prepare_again = true;
            return;
        }
        if self.finished || self.facts.terminating {
            return;
        }
        self.preparing = true;
        let (context, pod, sender) = (Arc::clone(&self.context), Arc::clone(&self.pod), self.sender.clone());
        let (mut tokens, address, uid) = (self.tokens.clone(), self.address, self.uid.clone());
        let current = self.facts.volumes_ready.then(|| self.volumes.clone());
        tokio::spawn(async move {
            let renewed = tokens.renew(&context.client, &pod, Timestamp::now()).await;
            let claims = if current.is_some() {
                BTreeMap::new()
            } else {
                claims(&context.client, &pod).await
            };
            let known = tokens.tokens();
            let joined = tokio::task::spawn_blocking(move || {
                let placement = context.placement(address);
                let directory = context.pod_directory(&uid);
                let mut ready = current.clone().unwrap_or_default();
                let mut missing = Vec::new();
                for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
                    let of_files = super::volumes::of_files(volume);
                    if current.is_some() && !of_files {
                        continue;
                    }
                    let needs_tokens = !super::volumes::payload::tokens_needed(volume).is_empty();
                    let result = match &renewed {
                        Err(message) if needs_tokens => Err(message.clone()),
                        _ => prepare(&pod, volume, &placement, &context.configs, &known, &claims, &directory),
                    };
                    match result {
                        Ok(prepared) => drop(ready.insert(volume.name.clone(), prepared)),
                        Err(message) => missing.push((volume.name.clone(), message)),
                    }
                }
                if missing.is_empty() { Ok(ready) } else { Err(missing) }
            });
            let result = joined
                .await
                .unwrap_or_else(|error| Err(vec![(String::new(), error.to_string())]));
            let _ = sender.send(Message::Volumes(Box::new(result), tokens));
        });
    }

    fn take_volumes(&mut self, result: Result<Volumes, Missing>) {
        let now = Timestamp::now();
        match result {
            Ok(volumes) => {
                self.volumes = volumes;
                self.facts.volumes_ready = true;
            }
            // Files of a running pod stay as they are when their source is gone, as on any node.
            Err(_) if self.facts.volumes_ready => {}
            Err(missing) if now >= self.complain_at => {
                for (volume, message) in missing {
                    let message = format!("MountVolume.SetUp failed for volume \"{volume}\" : {message}");
                    self.context.recorder.pod(&self.pod, true, "FailedMount", message);
                }
                // As a kubelet: after 500 ms, doubling up to two minutes.
                let pause = SignedDuration::from_millis(500) * 2_i32.saturating_pow(self.complaints.min(8));
                self.complaints += 1;
                self.complain_at = now + pause.min(SignedDuration::from_secs(122));
            }
            Err(_) => {}
        }
        if std::mem::take(&mut self.prepare_again) {
            self.prepare_volumes();
        }
    }

    /// Decides and acts until there is nothing to do at once; says when to look again.
    fn settle(&mut self) -> Option<Timestamp> {
        if self.finished {
            self.release_object();
            return None;
        }
        let now = Timestamp::now();
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

    fn start(&mut self, index: usize) {
        let facts = &mut self.facts.containers[index];
        facts.busy = Some(Busy::Starting);
        facts.retry_at = None;
        if let State::Ended(ended) = &facts.state {
            facts.last = Some(ended.clone());
            facts.state = State::Waiting(None);
        }
        if facts.last.is_some() && !facts.id.is_empty() {
            facts.restarts += 1;
            facts.id.clear();
        }
        let attempt = facts.restarts;
        let order = Order {
            pod: Arc::clone(&self.pod),
            container: self.specs[index].clone(),
            attempt,
            address: self.address,
            volumes: self.volumes.clone(),
            hosts: self.context.pod_directory(&self.uid).join("hosts"),
        };
        let (context, sender, exits) = (Arc::clone(&self.context), self.sender.clone(), self.sender.clone());
        let cancelled = self.cancelled.clone();
        tokio::spawn(async move {
            let on_exit = move |exit| {
                let _ = exits.send(Message::Exited(index, attempt, exit));
            };
            let result = start(&context, order, cancelled, on_exit).await;
            let _ = sender.send(Message::Started(index, attempt, Box::new(result)));
        });
    }

    fn take_started(&mut self, index: usize, attempt: i32, result: Result<Started, NotStarted>) {
        let now = Timestamp::now();
        let spec = self.specs[index].clone();
        let facts = &mut self.facts.containers[index];
        facts.busy = None;
        match result {
            Ok(started) => {
                facts.state = State::Running(started.at);
                facts.id.clone_from(&started.id);
                facts.image_id = started.image_id;
                let hook = spec
                    .lifecycle
                    .as_ref()
                    .and_then(|lifecycle| lifecycle.post_start.clone());
                facts.started = hook.is_none() && spec.startup_probe.is_none();
                facts.ready = facts.started && spec.readiness_probe.is_none();
                let ports = spec.ports.iter().flatten();
                let inside = Inside {
                    sandbox: started.sandbox,
                    address: self.address,
                    environment: started.environment,
                    working_directory: started.working_directory,
                    ports: ports
                        .filter_map(|p| Some((p.name.clone()?, u16::try_from(p.container_port).ok()?)))
                        .collect(),
                };
                let sender = self.sender.clone();
                self.running.insert(
                    index,
                    Running {
                        attempt,
                        inside: inside.clone(),
                        probes: None,
                    },
                );
                if let Some(hook) = hook {
                    tokio::spawn(async move {
                        let result = inside.hook(&hook, Duration::from_secs(3600)).await;
                        let _ = sender.send(Message::Hooked(index, attempt, result));
                    });
                } else {
                    self.probe(index);
                }
                if self.object_gone {
                    self.kill_all();
                }
                if let Some((early, exit)) = self.early_exits.remove(&index) {
                    self.take_exit(index, early, exit);
                }
            }
            Err(NotStarted::Waiting(reason, message)) => {
                facts.state = State::Waiting(Some((reason.to_owned(), message)));
                facts.failures += 1;
                let pause = delay(facts.failures);
                facts.retry_at = Some(now + pause);
                if reason == "ErrImagePull" {
                    let sender = self.sender.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        let _ = sender.send(Message::ImageBackOff(index));
                    });
                }
            }
            Err(NotStarted::Cancelled) => {}
            Err(NotStarted::Command(message)) => {
                let ended = Ended {
                    exit_code: 128,
                    reason: "StartError".to_owned(),
                    message: Some(message),
                    started_at: Timestamp::from_second(0).ok(),
                    finished_at: now,
                    container_id: format!("stoke://{}-{attempt}", self.uid),
                };
                self.note_end(index, ended);
            }
        }
    }

    fn take_exit(&mut self, index: usize, attempt: i32, exit: Exit) {
        let known = self
            .running
            .get(&index)
            .is_some_and(|running| running.attempt == attempt);
        if !known {
            self.early_exits.insert(index, (attempt, exit));
            return;
        }
        self.running.remove(&index);
        let (namespace, name, uid) = identity(&self.pod);
        let facts = &self.facts.containers[index];
        let started_at = if let State::Running(since) = facts.state {
            Some(since)
        } else {
            None
        };
        let own = self
            .context
            .pod_directory(uid)
            .join("containers")
            .join(&facts.name)
            .join(attempt.to_string());
        let log = self
            .context
            .log_directory(namespace, name, uid)
            .join(&facts.name)
            .join(format!("{attempt}.log"));
        let ended = ended(exit, &self.specs[index], &own, &log, started_at, facts.id.clone());
        let directory = own.clone();
        tokio::task::spawn_blocking(move || {
            let _ = std::fs::remove_dir_all(directory);
        });
        self.note_end(index, ended);
    }

    fn note_end(&mut self, index: usize, ended: Ended) {
        let (namespace, name, uid) = identity(&self.pod);
        let label = format!("{name}_{namespace}({uid})");
        if self.facts.containers[index].id.is_empty() {
            self.facts.containers[index].id.clone_from(&ended.container_id);
        }
        note_end(&mut self.facts, &label, index, ended);
        let facts = &self.facts.containers[index];
        if facts.retry_at.is_some() {
            let message = format!("Back-off restarting failed container {} in pod {label}", facts.name);
            self.context
                .recorder
                .container(&self.pod, &facts.name, true, "BackOff", message);
        }
    }

    fn take_hook(&mut self, index: usize, attempt: i32, result: Result<(), String>) {
        if self
            .running
            .get(&index)
            .is_none_or(|running| running.attempt != attempt)
        {
            return;
        }
        match result {
            Ok(()) => {
                let spec = &self.specs[index];
                let facts = &mut self.facts.containers[index];
                facts.started = spec.startup_probe.is_none();
                facts.ready = facts.started && spec.readiness_probe.is_none();
                self.probe(index);
            }
            Err(message) => {
                let name = self.facts.containers[index].name.clone();
                let message = format!("PostStartHook failed: {message}");
                self.context
                    .recorder
                    .container(&self.pod, &name, true, "FailedPostStartHook", message);
                self.stop(index, "FailedPostStartHook");
            }
        }
    }

    fn probe(&mut self, index: usize) {
        let spec = self.specs[index].clone();
        let Some(running) = self.running.get_mut(&index) else {
            return;
        };
        if spec.startup_probe.is_none() && spec.liveness_probe.is_none() && spec.readiness_probe.is_none() {
            return;
        }
        let (inside, sender, attempt) = (running.inside.clone(), self.sender.clone(), running.attempt);
        running.probes = Some(tokio::spawn(watch(inside, spec, move |finding| {
            let _ = sender.send(Message::Probed(index, attempt, finding));
        })));
    }

    fn take_finding(&mut self, index: usize, attempt: i32, finding: Finding) {
        if self
            .running
            .get(&index)
            .is_none_or(|running| running.attempt != attempt)
        {
            return;
        }
        let spec = &self.specs[index];
        let facts = &mut self.facts.containers[index];
        let name = facts.name.clone();
        match finding {
            Finding::Started => {
                facts.started = true;
                facts.ready = spec.readiness_probe.is_none();
            }
            Finding::Ready(ready) => facts.ready = ready && facts.busy != Some(Busy::Stopping),
            Finding::Unhealthy(kind, output) => {
                let message = format!("{} probe failed: {}", kind.name(), output.trim_end());
                self.context
                    .recorder
                    .container(&self.pod, &name, true, "Unhealthy", message);
            }
            Finding::Failed(kind) => {
                let message = format!(
                    "Container {name} failed {} probe, will be restarted",
                    kind.name().to_lowercase()
                );
                self.stop(index, &message);
            }
        }
    }

    fn stop(&mut self, index: usize, message: &str) {
        let Some(running) = self.running.get(&index) else {
            return;
        };
        let name = self.facts.containers[index].name.clone();
        self.facts.containers[index].busy = Some(Busy::Stopping);
        self.context
            .recorder
            .container(&self.pod, &name, false, "Killing", message);
        let usual = self.grace();
        let grace = self.grace_limit.map_or(usual, |limit| limit.min(usual));
        let hook = self.specs[index]
            .lifecycle
            .as_ref()
            .and_then(|lifecycle| lifecycle.pre_stop.clone());
        let (inside, context, pod) = (running.inside.clone(), Arc::clone(&self.context), Arc::clone(&self.pod));
        tokio::spawn(async move {
            if let Err(error) = inside.stop(hook.as_ref(), grace).await {
                let message = format!("PreStopHook failed: {error}");
                context
                    .recorder
                    .container(&pod, &name, true, "FailedPreStopHook", message);
            }
        });
    }

    fn back_off_image(&mut self, index: usize) {
        let image = self.specs[index].image.clone().unwrap_or_default();
        let facts = &mut self.facts.containers[index];
        if let State::Waiting(Some((reason, message))) = &mut facts.state
            && reason == "ErrImagePull"
        {
            *message = format!("Back-off pulling image \"{image}\": ErrImagePull: {message}");
            "ImagePullBackOff".clone_into(reason);
            let name = facts.name.clone();
            let text = format!("Back-off pulling image \"{image}\"");
            self.context
                .recorder
                .container(&self.pod, &name, false, "BackOff", text);
            self.context
                .recorder
                .container(&self.pod, &name, true, "Failed", "Error: ImagePullBackOff");
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
        self.publish(Timestamp::now());
        self.context.around.leave(&self.uid);
        self.context.addresses.give_back(self.address);
        let directory = self.context.pod_directory(&self.uid);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = std::fs::remove_dir_all(&directory) {
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

/// What a pod asks for that its containers run without.
fn not_provided(spec: &PodSpec) -> Vec<&'static str> {
    let asked = [
        (
            spec.share_process_namespace,
            "shareProcessNamespace (each container sees its own processes only)",
        ),
        (spec.host_pid, "hostPID"),
        (spec.host_ipc, "hostIPC"),
    ];
    asked
        .into_iter()
        .filter(|(asked, _)| *asked == Some(true))
        .map(|(_, feature)| feature)
        .collect()
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
