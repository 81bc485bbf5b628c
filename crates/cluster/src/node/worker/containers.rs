//! Containers of a pod: started, observed, stopped, and how each of that changes the facts.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use stoke_sandbox::Exit;

use super::super::context::identity;
use super::super::decide::{delay, note_end};
use super::super::ended::ended;
use super::super::facts::{Busy, Ended, State};
use super::super::inside::Inside;
use super::super::probe::{Finding, Kind, watch};
use super::super::start::{NotStarted, Order, Started, start};
use super::{Message, Running, Worker, disk_is_full};

impl Worker {
    pub(super) fn start(&mut self, index: usize) {
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

    pub(super) fn take_started(&mut self, index: usize, attempt: i32, result: Result<Started, NotStarted>) {
        let now = crate::clock::now();
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
                    stdin_once: spec.stdin_once == Some(true),
                    ports: ports
                        .filter_map(|p| Some((p.name.clone()?, u16::try_from(p.container_port).ok()?)))
                        .collect(),
                };
                let sender = self.sender.clone();
                self.context.live.enter(&self.uid, &spec.name, inside.clone());
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
            Err(NotStarted::Waiting(_, message)) if disk_is_full(&message) => self.evict_for_disk(&message),
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

    pub(super) fn take_exit(&mut self, index: usize, attempt: i32, exit: Exit) {
        let known = self
            .running
            .get(&index)
            .is_some_and(|running| running.attempt == attempt);
        if !known {
            self.early_exits.insert(index, (attempt, exit));
            return;
        }
        self.running.remove(&index);
        self.context.live.leave(&self.uid, &self.specs[index].name);
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
            let _ = stoke_sandbox::remove_tree(&directory);
        });
        self.note_end(index, ended);
    }

    pub(super) fn note_end(&mut self, index: usize, ended: Ended) {
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

    pub(super) fn take_hook(&mut self, index: usize, attempt: i32, result: Result<(), String>) {
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

    pub(super) fn probe(&mut self, index: usize) {
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

    pub(super) fn take_finding(&mut self, index: usize, attempt: i32, finding: Finding) {
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
                let probe = match kind {
                    Kind::Startup => &spec.startup_probe,
                    Kind::Liveness | Kind::Readiness => &spec.liveness_probe,
                };
                let own = probe.as_ref().and_then(|probe| probe.termination_grace_period_seconds);
                let grace = own
                    .and_then(|seconds| u64::try_from(seconds).ok())
                    .map(Duration::from_secs);
                self.stop_within(index, &message, grace);
            }
        }
    }

    pub(super) fn stop(&mut self, index: usize, message: &str) {
        self.stop_within(index, message, None);
    }

    /// Stops a container, within `own` instead of the pod's grace where its probe says so.
    fn stop_within(&mut self, index: usize, message: &str, own: Option<Duration>) {
        let Some(running) = self.running.get(&index) else {
            return;
        };
        let name = self.facts.containers[index].name.clone();
        self.facts.containers[index].busy = Some(Busy::Stopping);
        self.context
            .recorder
            .container(&self.pod, &name, false, "Killing", message);
        let usual = own.unwrap_or_else(|| self.grace());
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

    pub(super) fn back_off_image(&mut self, index: usize) {
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
}
