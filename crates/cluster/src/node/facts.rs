//! What the node observes of one pod: the input of every decision about it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the next begins.
    Init,
    /// Starts among the init containers and stays (restartPolicy Always).
    Sidecar,
    /// The pod's work.
    Main,
}

/// When a container is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    /// Whenever it ends.
    Always,
    /// When it fails.
    OnFailure,
    /// Not at all.
    Never,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// 0..=255.
    pub exit_code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerStatusUnknown`.
    pub reason: String,
    /// The termination message.
    pub message: Option<String>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The identity of the instance.
    pub container_id: String,
}

/// What a container does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Not running, for this reason; none means the ordinary one (`ContainerCreating`, `PodInitializing`).
    Waiting(Option<(String, String)>),
    /// Running since.
    Running(Timestamp),
    /// Over.
    Ended(Ended),
}

/// What is being done to a container right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    /// It is being started.
    Starting,
    /// It is being stopped.
    Stopping,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerFacts {
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What it does.
    pub state: State,
    /// How its previous instance ended.
    pub last: Option<Ended>,
    /// How often it was started again.
    pub restarts: i32,
    /// Whether its startup probe, if any, has succeeded and its postStart hook is over.
    pub started: bool,
    /// Whether its readiness probe, if any, succeeds.
    pub ready: bool,
    /// The identity of the running or last instance.
    pub id: String,
    /// The identity of its image.
    pub image_id: String,
    /// What is being done to it.
    pub busy: Option<Busy>,
    /// Not to be started before.
    pub retry_at: Option<Timestamp>,
    /// Ends in a row, for the delay of the next start.
    pub failures: u32,
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodFacts {
    /// Init containers and sidecars in their order, then the main containers in theirs.
    pub containers: Vec<ContainerFacts>,
    /// When to start containers again.
    pub restart_policy: RestartPolicy,
    /// Whether all volumes are ready.
    pub volumes_ready: bool,
    /// Whether the pod is to end: it is being deleted, or the node stops.
    pub terminating: bool,
    /// When the pod fails by `activeDeadlineSeconds`.
    pub deadline: Option<Timestamp>,
    /// Why the node itself failed the pod: reason and message.
    pub failure: Option<(String, String)>,
}

impl ContainerFacts {
    /// A container that was never started.
    pub(crate) fn new(name: &str, role: Role) -> ContainerFacts {
        ContainerFacts {
            name: name.to_owned(),
            role,
            state: State::Waiting(None),
            last: None,
            restarts: 0,
            started: false,
            ready: false,
            id: String::new(),
            image_id: String::new(),
            busy: None,
            retry_at: None,
            failures: 0,
        }
    }

    /// Whether it runs, or may in a moment.
    pub(crate) fn alive(&self) -> bool {
        matches!(self.state, State::Running(_)) || self.busy == Some(Busy::Starting)
    }

    /// How it ended, if it is over.
    pub(crate) fn ended(&self) -> Option<&Ended> {
        if let State::Ended(ended) = &self.state {
            Some(ended)
        } else {
            None
        }
    }

    /// What a node that starts again can say about a container that its predecessor ran: nothing, honestly.
    fn recover(&mut self, status: &ContainerStatus, now: Timestamp) {
        self.restarts = status.restart_count;
        self.id = status.container_id.clone().unwrap_or_default();
        self.image_id.clone_from(&status.image_id);
        let Some(state) = &status.state else { return };
        if let Some(terminated) = &state.terminated {
            self.state = State::Ended(Ended {
                exit_code: terminated.exit_code,
                reason: terminated.reason.clone().unwrap_or_default(),
                message: terminated.message.clone(),
                started_at: terminated.started_at.as_ref().map(|time| time.0),
                finished_at: terminated.finished_at.as_ref().map_or(now, |time| time.0),
                container_id: terminated.container_id.clone().unwrap_or_default(),
            });
        } else if let Some(running) = &state.running {
            self.state = State::Ended(Ended {
                exit_code: 137,
                reason: "ContainerStatusUnknown".to_owned(),
                message: Some(
                    "The container could not be located when the pod was terminated. It used to be Running".to_owned(),
                ),
                started_at: running.started_at.as_ref().map(|time| time.0),
                finished_at: now,
                container_id: self.id.clone(),
            });
        }
    }
}

impl PodFacts {
    /// What is known when the node first sees `pod`: nothing runs, whatever its status says.
    pub(crate) fn of(pod: &Pod, now: Timestamp) -> PodFacts {
        let mut containers = Vec::new();
        let spec = pod.spec.clone().unwrap_or_default();
        for container in spec.init_containers.iter().flatten() {
            let role = if container.restart_policy.as_deref() == Some("Always") {
                Role::Sidecar
            } else {
                Role::Init
            };
            containers.push(ContainerFacts::new(&container.name, role));
        }
        containers.extend(
            spec.containers
                .iter()
                .map(|container| ContainerFacts::new(&container.name, Role::Main)),
        );
        let status = pod.status.clone().unwrap_or_default();
        let statuses = status
            .init_container_statuses
            .iter()
            .flatten()
            .chain(status.container_statuses.iter().flatten());
        for known in statuses {
            if let Some(container) = containers.iter_mut().find(|container| container.name == known.name) {
                container.recover(known, now);
            }
        }
        let restart_policy = match spec.restart_policy.as_deref() {
            Some("Never") => RestartPolicy::Never,
            Some("OnFailure") => RestartPolicy::OnFailure,
            _ => RestartPolicy::Always,
        };
        let start = status.start_time.map_or(now, |time| time.0);
        let deadline = spec
            .active_deadline_seconds
            .and_then(|seconds| start.checked_add(jiff::SignedDuration::from_secs(seconds)).ok());
        PodFacts {
            containers,
            restart_policy,
            volumes_ready: false,
            terminating: false,
            deadline,
            failure: None,
        }
    }

    /// Whether `container`, having ended so, is to be started again.
    pub(crate) fn restarts(&self, container: &ContainerFacts, ended: &Ended) -> bool {
        if self.terminating || self.failure.is_some() {
            return false;
        }
        match (container.role, self.restart_policy) {
            (Role::Sidecar, _) => true,
            (Role::Init, RestartPolicy::Never) => false,
            (Role::Init, _) => ended.exit_code != 0,
            (Role::Main, RestartPolicy::Always) => true,
            (Role::Main, RestartPolicy::OnFailure) => ended.exit_code != 0,
            (Role::Main, RestartPolicy::Never) => false,
        }
    }

    /// Whether every init container is over and every sidecar has started.
    pub(crate) fn initialized(&self) -> bool {
        let begun = self.containers.iter().any(|container| {
            container.role == Role::Main
                && (container.alive() || container.ended().is_some() || container.last.is_some())
        });
        begun
            || self.containers.iter().all(|container| match container.role {
                Role::Init => container.ended().is_some_and(|ended| ended.exit_code == 0),
                Role::Sidecar => container.started && matches!(container.state, State::Running(_)),
                Role::Main => true,
            })
    }
}
