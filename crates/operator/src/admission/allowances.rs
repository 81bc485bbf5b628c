//! What namespaces allow, read from the API server and kept for a moment: a burst of applications costs two requests, not two each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, Client};
use stoke_gate::sizing::Allowed;
use tokio::time::Instant;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(2);
/// How long a review waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

type Known = HashMap<String, (Instant, Arc<Allowed>)>;

/// Reads; every clone reads into the same memory.
#[derive(Clone)]
pub(super) struct Allowances {
    client: Client,
    known: Arc<Mutex<Known>>,
}

impl Allowances {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            known: Arc::default(),
        }
    }

    /// What this namespace allows, or why that is not known.
    pub(super) async fn of(&self, namespace: &str) -> Result<Arc<Allowed>, String> {
        if let Some(known) = self.known(namespace) {
            return Ok(known);
        }
        let read = Arc::new(match tokio::time::timeout(PATIENCE, self.read(namespace)).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("the API server did not answer within {} s", PATIENCE.as_secs())),
        });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (since, _)| since.elapsed() < KEPT);
        known.insert(namespace.to_owned(), (Instant::now(), read.clone()));
        Ok(read)
    }

    fn known(&self, namespace: &str) -> Option<Arc<Allowed>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, allowed) = known.get(namespace)?;
        (since.elapsed() < KEPT).then(|| allowed.clone())
    }

    async fn read(&self, namespace: &str) -> Result<Allowed, kube::Error> {
        let all = ListParams::default();
        let (ranges, quotas) = (
            Api::namespaced(self.client.clone(), namespace),
            Api::namespaced(self.client.clone(), namespace),
        );
        let (ranges, quotas) = tokio::try_join!(ranges.list(&all), quotas.list(&all))?;
        Ok(Allowed {
            ranges: ranges.items,
            quotas: quotas.items,
        })
    }
}
