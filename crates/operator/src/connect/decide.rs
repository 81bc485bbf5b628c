//! The transition function of a server.
//!
//! A decision follows from facts alone. The status it returns is written *before* its action is done: `server.podName` is only in the status while
//! all objects of that pod are known to be there, so that whoever takes over knows what to do again.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use stoke_model::crd::{ConnectServerStatus, ConnectState as State, SparkConnectStatus};
use stoke_model::names;
use stoke_model::names::REASON_IDLE as IDLE;

use super::facts::{Facts, Outcome, Phase, Server, ServerPod};
use super::idle;
use super::usage::Usage;
use crate::application::EventNote;

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The status to write.
    pub status: SparkConnectStatus,
    /// What to do then, if anything.
    pub action: Option<Action>,
    /// What to tell people.
    pub events: Vec<EventNote>,
    /// When to look again, whatever happens.
    pub requeue_at: Option<Timestamp>,
}

/// What can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the API server itself for the pod.
    Look,
    /// Create the objects of the server of this attempt, or find them created.
    Create(u32),
    /// Delete the pod of this UID.
    Delete(String),
    /// Speak to the server as a client does.
    Greet,
    /// Look how much the server is used.
    Count,
}

/// The condition of the published API.
pub const CONDITION: &str = "ServerPodReady";
/// Reason of a condition of a server that was ready before it ended.
const ENDED: &str = "ServerEnded";
/// Reason of a condition of a server that ended before it was ever ready.
const NEVER_READY: &str = "ServerNeverReady";

/// Reason of a condition of a server that cannot be created.
const REFUSED: &str = "Refused";

/// How soon a server that does not answer yet is asked again.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(2);
/// How soon to look again at what should have moved on by an event.
const HEARTBEAT: SignedDuration = SignedDuration::from_secs(60);
/// How soon to try again what the API server refused.
const REFUSED_AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// The first wait before a server that ended is replaced; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(5);
/// A server that lived so long is replaced as if it were the first.
const LIVED_WELL: SignedDuration = SignedDuration::from_mins(10);

/// Decides what follows from `facts` at the time `now`.
#[must_use]
pub fn decide(facts: &Facts, now: Timestamp) -> Decision {
    let status = facts.connect.status.clone().unwrap_or_default();
    let mut round = Round {
        facts,
        now,
        before: status.clone(),
        status,
        events: Vec::new(),
    };
    let (action, requeue_at) = round.step();
    round.status.executors.clone_from(&facts.executors);
    if round.status != round.before {
        round.status.last_update_time = Some(seconds(now));
    }
    Decision {
        status: round.status,
        action,
        events: round.events,
        requeue_at,
    }
}

type Next = (Option<Action>, Option<Timestamp>);

struct Round<'a> {
    facts: &'a Facts,
    now: Timestamp,
    before: SparkConnectStatus,
    status: SparkConnectStatus,
    events: Vec<EventNote>,
}

impl Round<'_> {
    fn step(&mut self) -> Next {
        if self.facts.connect.metadata.deletion_timestamp.is_some() {
            // The object owns everything we made; the garbage collector does the rest.
            return (None, None);
        }
        match &self.facts.outcome {
            Some(Outcome::Refused { message, permanent }) => return self.refused(message, *permanent),
            Some(Outcome::Created { url }) => self.created(url),
            _ => {}
        }
        if let Some(since) = self.stopped_since() {
            match &self.facts.server {
                // Also when it is asked for: the next one has a number of its own, whatever of this one is still there.
                Server::Present(pod) if self.owns(pod) && !pod.deleting => {
                    return (Some(Action::Delete(pod.uid.clone())), self.after(HEARTBEAT));
                }
                _ if !self.is_asked_for(since) => return (None, None),
                _ => {}
            }
        }
        match &self.facts.server {
            Server::NotCached => (Some(Action::Look), self.after(HEARTBEAT)),
            Server::Gone => self.create(),
            Server::Present(pod) => self.follow(pod),
        }
    }

    /// The number of the next server is on record before anything of it is created. One that was refused keeps its number: nothing has it.
    fn create(&mut self) -> Next {
        if let Err(message) = idle::timeout(&self.facts.connect) {
            return self.refused(&message, true);
        }
        self.status.server = ConnectServerStatus::default();
        let was_refused = self.condition().is_some_and(|condition| condition.reason == REFUSED);
        if !was_refused || self.status.attempts == 0 {
            self.status.attempts = self.status.attempts.saturating_add(1);
        }
        if !was_refused {
            self.enter(State::Provisioning, "Creating", "the server is being created");
        }
        (Some(Action::Create(self.status.attempts)), self.after(HEARTBEAT))
    }

    fn follow(&mut self, pod: &ServerPod) -> Next {
        if !self.owns(pod) {
            let message = format!(
                "pod {} exists and does not belong to this SparkConnect; delete it, or give the SparkConnect another name",
                self.pod_name()
            );
            return self.refused(&message, false);
        }
        if pod.deleting {
            self.status.server = ConnectServerStatus::default();
            self.enter(State::Provisioning, "Replacing", "the server is being replaced");
            return (None, self.after(HEARTBEAT));
        }
        if pod.spec_digest != self.facts.spec_digest {
            self.status.server = ConnectServerStatus::default();
            self.enter(
                State::Provisioning,
                "Replacing",
                "the spec was edited: the server is being replaced",
            );
            return (Some(Action::Delete(pod.uid.clone())), self.after(HEARTBEAT));
        }
        if let Phase::Ended(how) = &pod.phase {
            return self.ended(pod, how);
        }
        if self.status.server.pod_name.is_none() {
            // An interrupted creation, or one whose end was not recorded.
            self.enter(State::Provisioning, "Creating", "the server is being created");
            return (Some(Action::Create(pod.attempt)), self.after(HEARTBEAT));
        }
        self.status.server.pod_ip = Some(pod.ip.clone()).filter(|ip| !ip.is_empty());
        self.status.start_time = pod.created_at.map(seconds);
        match &pod.phase {
            Phase::Running if pod.ready => self.greet(pod),
            Phase::Running => self.not_ready("ServerPodNotReady", "the server does not listen yet", HEARTBEAT),
            Phase::Waiting(why) => {
                self.not_ready("ServerPodNotReady", &format!("the server pod waits: {why}"), HEARTBEAT)
            }
            _ => self.not_ready("ServerPodNotReady", "the server pod is starting", HEARTBEAT),
        }
    }

    /// The port is open: is it a Connect server that answers?
    fn greet(&mut self, pod: &ServerPod) -> Next {
        match &self.facts.outcome {
            _ if self.status.state == State::Ready => self.watch_use(pod),
            Some(Outcome::Answered { says }) => {
                let url = self.status.server.url.clone().unwrap_or_default();
                self.enter(State::Ready, "ServerPodReady", &format!("{says} at {url}"));
                (Some(Action::Count), self.after(HEARTBEAT))
            }
            Some(Outcome::Silent { message }) => {
                let message = format!("the server does not answer a client: {message}");
                self.not_ready("ServerSilent", &message, ASK_AGAIN)
            }
            _ => (Some(Action::Greet), self.after(ASK_AGAIN)),
        }
    }

    /// It is ready: is it in use, and for how long has it not been?
    fn watch_use(&mut self, pod: &ServerPod) -> Next {
        let (timeout, remark) = match idle::timeout(&self.facts.connect) {
            Ok(timeout) => (timeout, None),
            // Only said: a server that runs is not ended by a slip of the pen.
            Err(message) => (None, Some(message)),
        };
        let looked_at = match &self.facts.outcome {
            Some(Outcome::Counted(usage)) => {
                self.note_use(usage, remark.as_deref());
                Some(self.now)
            }
            _ => self.facts.counted_at,
        };
        let known = self.condition_of(idle::CONDITION);
        let asked = idle::wake(&self.facts.connect).unwrap_or_default();
        let due = timeout.and_then(|timeout| idle::due(known, timeout, asked));
        // A look of another time does not stop a server.
        let is_fresh = looked_at == Some(self.now);
        match (timeout, due) {
            (Some(timeout), Some(due)) if is_fresh && due <= self.now => return self.stop(pod, timeout),
            _ => {}
        }
        let next = looked_at
            .filter(|_| known.is_some())
            .map(|at| at + idle::interval(timeout))
            .map(|next| due.map_or(next, |due| next.min(due)))
            .filter(|next| *next > self.now);
        match next {
            Some(next) => (None, Some(next)),
            None if is_fresh => (None, self.after(idle::interval(timeout))),
            None => (Some(Action::Count), self.after(HEARTBEAT)),
        }
    }

    fn note_use(&mut self, usage: &Usage, remark: Option<&str>) {
        let before = self.condition_of(idle::CONDITION);
        let condition = idle::condition(usage, before, remark, self.facts.connect.metadata.generation, self.now);
        self.set(condition);
    }

    /// Ends a server that no one uses. The status says so before the pod goes.
    fn stop(&mut self, pod: &ServerPod, timeout: SignedDuration) -> Next {
        let name = self.facts.connect.name_any();
        let known = self.condition_of(idle::CONDITION);
        let seen = known.map_or("", |known| known.message.as_str());
        let message = format!(
            "stopped because nothing was computed for {timeout:#} ({seen}); `stoke connect {name}` or an edit starts it again"
        );
        self.status.server = ConnectServerStatus::default();
        self.enter(State::NotReady, IDLE, &message);
        (Some(Action::Delete(pod.uid.clone())), self.after(HEARTBEAT))
    }

    /// Since when the server is stopped because no one used it, if it is.
    fn stopped_since(&self) -> Option<Timestamp> {
        let condition = self.condition().filter(|condition| condition.reason == IDLE)?;
        Some(condition.last_transition_time.0)
    }

    /// Whether a server that was stopped at `since` is wanted again: someone woke it later, or edited its spec.
    fn is_asked_for(&self, since: Timestamp) -> bool {
        let woken = idle::wake(&self.facts.connect).ok().flatten();
        let seen = self.condition().and_then(|condition| condition.observed_generation);
        woken.is_some_and(|woken| woken > since) || seen != self.facts.connect.metadata.generation
    }

    fn owns(&self, pod: &ServerPod) -> bool {
        let uid = self.facts.connect.metadata.uid.as_ref();
        pod.owners.iter().any(|owner| Some(owner) == uid)
    }

    fn not_ready(&mut self, reason: &str, message: &str, again: SignedDuration) -> Next {
        let state = match self.status.state {
            State::Ready | State::NotReady => State::NotReady,
            _ => State::Provisioning,
        };
        self.enter(state, reason, message);
        (None, self.after(again))
    }

    fn ended(&mut self, pod: &ServerPod, how: &str) -> Next {
        let was_ready = match self.status.state {
            State::Ready | State::NotReady => true,
            State::Failed => self.condition().is_some_and(|condition| condition.reason == ENDED),
            _ => false,
        };
        if !was_ready {
            let message = format!(
                "{how} before it was ready; its log says why: kubectl logs {}",
                self.pod_name()
            );
            self.enter(State::Failed, NEVER_READY, &message);
            return (None, None);
        }
        self.enter(State::Failed, ENDED, how);
        let ended_at = self
            .condition()
            .map_or(self.now, |condition| condition.last_transition_time.0);
        let lived = pod
            .created_at
            .map_or(SignedDuration::ZERO, |created| ended_at.duration_since(created));
        let due = ended_at.min(self.now) + wait_before(if lived >= LIVED_WELL { 1 } else { pod.attempt });
        if due > self.now {
            return (None, Some(due));
        }
        self.status.server = ConnectServerStatus::default();
        self.enter(
            State::Provisioning,
            "Replacing",
            "the server ended and is being replaced",
        );
        (Some(Action::Delete(pod.uid.clone())), self.after(HEARTBEAT))
    }

    fn created(&mut self, url: &str) {
        let name = self.pod_name();
        self.status.server = ConnectServerStatus {
            pod_name: Some(name.clone()),
            pod_ip: None,
            service_name: Some(name),
            url: Some(url.to_owned()),
        };
    }

    fn refused(&mut self, message: &str, permanent: bool) -> Next {
        self.status.server = ConnectServerStatus::default();
        self.enter(State::Failed, REFUSED, message);
        (None, (!permanent).then(|| self.now + REFUSED_AGAIN))
    }

    /// Goes to or stays in a state, and says why.
    fn enter(&mut self, state: State, reason: &str, message: &str) {
        let ready = if state == State::Ready { "True" } else { "False" };
        let known = self.condition().cloned();
        let same = known
            .as_ref()
            .is_some_and(|known| known.status == ready && known.reason == reason);
        let since = match &known {
            Some(known) if same => known.last_transition_time.clone(),
            _ => seconds(self.now),
        };
        if self.status.state != state {
            self.tell(state, reason, message);
        }
        self.status.state = state;
        if state != State::Ready {
            // Who uses it is only known of a server that answers.
            self.status
                .conditions
                .retain(|condition| condition.type_ != idle::CONDITION);
        }
        self.set(Condition {
            type_: CONDITION.to_owned(),
            status: ready.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            last_transition_time: since,
            observed_generation: self.facts.connect.metadata.generation,
        });
    }

    fn set(&mut self, condition: Condition) {
        let known = &mut self.status.conditions;
        match known.iter_mut().find(|known| known.type_ == condition.type_) {
            Some(known) => *known = condition,
            None => known.push(condition),
        }
    }

    fn tell(&mut self, state: State, reason: &str, message: &str) {
        let name = self.facts.connect.name_any();
        let (warning, reason, note) = match state {
            State::Ready => (
                false,
                "SparkConnectReady",
                format!("SparkConnect {name} is ready: {message}"),
            ),
            State::NotReady if reason == IDLE => (
                false,
                "SparkConnectStopped",
                format!("SparkConnect {name} was {message}"),
            ),
            State::NotReady => (
                true,
                "SparkConnectNotReady",
                format!("SparkConnect {name} is not ready: {message}"),
            ),
            State::Failed => (
                true,
                "SparkConnectFailed",
                format!("SparkConnect {name} failed: {message}"),
            ),
            State::New | State::Provisioning => return,
        };
        self.events.push(EventNote {
            warning,
            reason,
            action: "Serve",
            note,
        });
    }

    fn condition(&self) -> Option<&Condition> {
        self.condition_of(CONDITION)
    }

    fn condition_of(&self, type_: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.type_ == type_)
    }

    fn pod_name(&self) -> String {
        names::connect_server(&self.facts.connect.name_any())
    }

    fn after(&self, wait: SignedDuration) -> Option<Timestamp> {
        Some(self.now + wait)
    }
}

/// How long a server that ended stays before the next one takes its place: 5, 10, 20, … seconds, at most 5 minutes.
fn wait_before(attempt: u32) -> SignedDuration {
    let doubled = FIRST_WAIT
        .as_secs()
        .saturating_mul(1 << attempt.saturating_sub(1).min(10));
    SignedDuration::from_secs(doubled.min(LONGEST_WAIT.as_secs()))
}

/// Times in a status have whole seconds.
pub(super) fn seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}
