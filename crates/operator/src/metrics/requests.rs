//! Requests to the API server: all of them, and those of one application.

use std::sync::PoisonError;

use kube::Client;

use super::{Metrics, catalogue};
use crate::client::through;
use crate::controller::Key;

/// The client whose requests are counted; those of a piece of work also for the application `key`.
pub(crate) fn counted(client: &Client, metrics: &Metrics, key: Option<&Key>) -> Client {
    let (metrics, key) = (metrics.clone(), key.cloned());
    through(client, move |inner, request| {
        let (metrics, key) = (metrics.clone(), key.clone());
        async move {
            let method = request.method().as_str().to_owned();
            let of_application = key.is_some();
            if let Some(key) = key {
                let mut requests = metrics.0.requests.lock().unwrap_or_else(PoisonError::into_inner);
                *requests.entry(key).or_default() += 1;
            }
            let answer = inner.send(request).await.map_err(tower::BoxError::from);
            let code = match &answer {
                Ok(response) => response.status().as_str().to_owned(),
                Err(_) => "<error>".to_owned(),
            };
            if !of_application {
                metrics.with(|registry| registry.add(&catalogue::REQUESTS, &[&code, &method], 1.0));
            }
            answer
        }
    })
}

impl Metrics {
    /// Requests so far for an application, which has ended: they are counted and forgotten.
    pub(super) fn requests_of(&self, key: &Key) -> Option<u64> {
        self.0
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key)
    }

    /// An application is gone.
    pub(crate) fn forget(&self, key: &Key) {
        self.0
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}
