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
//!   [`facts`], claim what is theirs by [`ownership`] and act as themselves with [`client`]
//!
//! Each controller reads the store and its events directly, and writes through the registry as itself ([`client`]): admission, quota and
//! policies hold for it as for everyone, and see its name. Only old events go without being asked for ([`expiry`]). Each starts by
//! looking at everything, and again when it fell behind, so what happened while it was not looking is made good.

mod aggregation;
mod budgets;
mod client;
mod crons;
mod daemons;
mod definitions;
mod deployments;
mod endpoints;
mod ephemeral;
mod expiry;
mod facts;
mod garbage;
mod history;
mod jobs;
mod namespaces;
mod ownership;
mod quotas;
mod replicas;
mod stateful;
mod volumes;
mod work;

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::registry::Registry;
use crate::store::{Event, Interest, Object};

/// Starts every controller; they end when the server stops.
pub fn start(registry: &Arc<Registry>, volumes: &Path) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(crate::clock::jumps(registry.jumps.clone(), registry.stopping.clone())),
        tokio::spawn(garbage::run(registry.clone())),
        tokio::spawn(namespaces::run(registry.clone())),
        tokio::spawn(work::run(registry.clone(), namespaces::Furnishing::new(registry))),
        tokio::spawn(definitions::run(registry.clone())),
        tokio::spawn(endpoints::run(registry.clone())),
        tokio::spawn(volumes::run(registry.clone(), volumes.to_owned())),
        tokio::spawn(expiry::run(registry.clone())),
        tokio::spawn(work::run(registry.clone(), replicas::Replicas::sets(registry))),
        tokio::spawn(work::run(registry.clone(), replicas::Replicas::controllers(registry))),
        tokio::spawn(work::run(registry.clone(), deployments::Deployments::new(registry))),
        tokio::spawn(work::run(registry.clone(), jobs::Jobs::new(registry))),
        tokio::spawn(work::run(registry.clone(), crons::Crons::new(registry))),
        tokio::spawn(aggregation::run(registry.clone())),
        tokio::spawn(work::run(registry.clone(), stateful::StatefulSets::new(registry))),
        tokio::spawn(work::run(registry.clone(), daemons::DaemonSets::new(registry))),
        tokio::spawn(work::run(registry.clone(), quotas::Quotas::new(registry))),
        tokio::spawn(work::run(registry.clone(), ephemeral::Ephemeral::new(registry))),
        tokio::spawn(work::run(registry.clone(), budgets::Budgets::new(registry))),
    ]
}

/// News for a controller: events it has not seen, or word that it missed some.
enum News {
    Events(Vec<Arc<Event>>),
    LookAgain,
}

/// A controller's place in the store's events.
struct Cursor {
    registry: Arc<Registry>,
    revision: u64,
    interest: Interest,
    commits: tokio::sync::watch::Receiver<u64>,
}

impl Cursor {
    fn new(registry: &Arc<Registry>, interest: Interest) -> Cursor {
        Cursor {
            registry: registry.clone(),
            revision: registry.store.revision(),
            commits: registry.store.subscribe(interest.clone()),
            interest,
        }
    }

    /// Waits for news; `None` when the server stops.
    async fn next(&mut self) -> Option<News> {
        loop {
            if self.registry.stopping.is_cancelled() {
                return None;
            }
            self.commits.borrow_and_update();
            match self.registry.store.events_after(&self.interest, self.revision, 512) {
                Ok((events, complete)) => {
                    self.revision = self.revision.max(complete);
                    if !events.is_empty() {
                        return Some(News::Events(events));
                    }
                }
                Err(_) => {
                    self.revision = self.registry.store.revision();
                    return Some(News::LookAgain);
                }
            }
            tokio::select! {
                changed = self.commits.changed() => changed.ok()?,
                () = self.registry.stopping.cancelled() => return None,
            }
        }
    }
}

/// Notes a failed write; the next event or the next start tries again.
fn note(controller: &'static str, object: &Object, result: Result<(), impl std::fmt::Display>) {
    if let Err(error) = result {
        tracing::warn!(controller, object = ?object.key, %error, "an object could not be brought in order");
    }
}
