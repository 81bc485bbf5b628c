//! The Namespace an object is in, read from the API server and kept for a moment: a burst of applications costs one request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use serde_json::Value;
use tokio::time::Instant;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(2);
/// How long is waited for it.
const PATIENCE: Duration = Duration::from_secs(2);

type Known = HashMap<String, (Instant, Option<Arc<Value>>)>;

/// Reads.
#[derive(Default)]
pub(super) struct Namespaces(Mutex<Known>);

impl Namespaces {
    /// The Namespace as policies see it; none when there is none of that name.
    pub(super) async fn of(&self, client: &Client, name: &str) -> Result<Option<Arc<Value>>, String> {
        if let Some(known) = self.known(name) {
            return Ok(known);
        }
        let api: Api<Namespace> = Api::all(client.clone());
        let read = match tokio::time::timeout(PATIENCE, api.get_opt(name)).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("the API server did not answer within {} s", PATIENCE.as_secs())),
        };
        let read = read.and_then(|namespace| {
            let mut namespace = serde_json::to_value(namespace).ok()?;
            namespace["metadata"].as_object_mut()?.remove("managedFields");
            Some(Arc::new(namespace))
        });
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (since, _)| since.elapsed() < KEPT);
        known.insert(name.to_owned(), (Instant::now(), read.clone()));
        Ok(read)
    }

    fn known(&self, name: &str) -> Option<Option<Arc<Value>>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, namespace) = known.get(name)?;
        (since.elapsed() < KEPT).then(|| namespace.clone())
    }
}
