//! What keeps objects consistent with each other, one file per concern.
//!
//! - [`aggregation`]: cluster roles that gather the rules of others have them
//! - [`garbage`]: what owners own goes with them
//! - [`namespaces`]: a deleted namespace is emptied; one whose service accounts are missing gets them
//! - [`definitions`]: a deleted definition takes its objects with it
//! - [`endpoints`]: services know the addresses of their pods
//! - [`ephemeral`]: pods get the claims of their ephemeral volumes
//! - [`volumes`]: claims get a directory of this machine
//! - [`expiry`]: old events go
//! - [`quotas`]: what is used of ResourceQuotas; [`budgets`]: how many pods may be evicted
//! - [`replicas`], [`deployments`], [`stateful`], [`daemons`], [`jobs`], [`crons`]: workloads have the pods they ask for. These run in [`work`]'s loop, decide by pure functions of
//!   [`facts`], claim what is theirs by [`ownership`] and act through the API with [`hands`]
//!
//! Each controller reads the store and its events directly and writes through the same conditional writes as everybody. Each starts by
//! looking at everything, and again when it fell behind, so what happened while it was not looking is made good.

mod aggregation;
mod budgets;
mod crons;
mod daemons;
mod definitions;
mod deployments;
mod endpoints;
mod ephemeral;
mod expiry;
mod facts;
mod garbage;
mod hands;
mod history;
mod jobs;
mod namespaces;
mod ownership;
mod quotas;
mod replicas;
mod stateful;
mod volumes;
mod work;

pub(crate) use budgets::draw;

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::apiserver::server::Server;
use crate::store::{Event, Interest, Object, Write, WriteError, WriteKind};

/// Starts every controller; they end when the server stops.
pub fn start(server: &Arc<Server>, volumes: &Path) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(crate::clock::jumps(server.jumps.clone(), server.stopping.clone())),
        tokio::spawn(garbage::run(server.clone())),
        tokio::spawn(namespaces::run(server.clone())),
        tokio::spawn(definitions::run(server.clone())),
        tokio::spawn(endpoints::run(server.clone())),
        tokio::spawn(volumes::run(server.clone(), volumes.to_owned())),
        tokio::spawn(expiry::run(server.clone())),
        tokio::spawn(work::run(server.clone(), replicas::Replicas::sets(server))),
        tokio::spawn(work::run(server.clone(), replicas::Replicas::controllers(server))),
        tokio::spawn(work::run(server.clone(), deployments::Deployments::new(server))),
        tokio::spawn(work::run(server.clone(), jobs::Jobs::new(server))),
        tokio::spawn(work::run(server.clone(), crons::Crons::new(server))),
        tokio::spawn(aggregation::run(server.clone())),
        tokio::spawn(work::run(server.clone(), stateful::StatefulSets::new(server))),
        tokio::spawn(work::run(server.clone(), daemons::DaemonSets::new(server))),
        tokio::spawn(work::run(server.clone(), quotas::Quotas::new(server))),
        tokio::spawn(work::run(server.clone(), ephemeral::Ephemeral::new(server))),
        tokio::spawn(work::run(server.clone(), budgets::Budgets::new(server))),
    ]
}

/// News for a controller: events it has not seen, or word that it missed some.
enum News {
    Events(Vec<Arc<Event>>),
    LookAgain,
}

/// A controller's place in the store's events.
struct Cursor {
    server: Arc<Server>,
    revision: u64,
    interest: Interest,
    commits: tokio::sync::watch::Receiver<u64>,
}

impl Cursor {
    fn new(server: &Arc<Server>, interest: Interest) -> Cursor {
        Cursor {
            server: server.clone(),
            revision: server.store.revision(),
            commits: server.store.subscribe(interest.clone()),
            interest,
        }
    }

    /// Waits for news; `None` when the server stops.
    async fn next(&mut self) -> Option<News> {
        loop {
            if self.server.stopping.is_cancelled() {
                return None;
            }
            self.commits.borrow_and_update();
            match self.server.store.events_after(&self.interest, self.revision, 512) {
                Ok((events, complete)) => {
                    self.revision = self.revision.max(complete);
                    if !events.is_empty() {
                        return Some(News::Events(events));
                    }
                }
                Err(_) => {
                    self.revision = self.server.store.revision();
                    return Some(News::LookAgain);
                }
            }
            tokio::select! {
                changed = self.commits.changed() => changed.ok()?,
                () = self.server.stopping.cancelled() => return None,
            }
        }
    }
}

/// Changes an object until no one interferes. `change` says whether there is anything to change.
async fn update(server: &Server, object: &Arc<Object>, change: impl Fn(&mut Value) -> bool) -> Result<(), WriteError> {
    let mut current = object.clone();
    loop {
        let mut value = current.value();
        if !change(&mut value) {
            return Ok(());
        }
        let metadata = &value["metadata"];
        let waits = metadata["finalizers"].as_array().is_some_and(|list| !list.is_empty())
            || metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0
            || (value["kind"] == "Namespace"
                && value["spec"]["finalizers"]
                    .as_array()
                    .is_some_and(|list| !list.is_empty()));
        let ends = !metadata["deletionTimestamp"].is_null() && !waits;
        let expected = current.revision;
        let kind = if ends {
            WriteKind::Delete { expected }
        } else {
            WriteKind::Update { expected }
        };
        match server
            .store
            .write(Write::new(current.key.clone(), kind, &mut value))
            .await
        {
            Err(WriteError::Conflict) => match server.store.get(&current.key) {
                Some(newer) if newer.fields.uid == current.fields.uid => current = newer,
                _ => return Ok(()),
            },
            Err(WriteError::NotFound) => return Ok(()),
            other => return other.map(drop),
        }
    }
}

/// Notes a failed write; the next event or the next start tries again.
fn note(controller: &'static str, object: &Object, result: Result<(), impl std::fmt::Display>) {
    if let Err(error) = result {
        tracing::warn!(controller, object = ?object.key, %error, "an object could not be brought in order");
    }
}
