//! Requests to the API server: all of them, and those of one application.

use std::sync::PoisonError;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use tower::Service;

use super::{Metrics, catalogue};
use crate::controller::Key;

/// A client that counts what goes through it.
#[derive(Clone)]
struct Counted {
    inner: Client,
    metrics: Metrics,
    key: Option<Key>,
}

/// The client whose requests are counted; those of a piece of work also for the application `key`.
///
/// Costs one small task per call of this function and one more hop per request.
pub(crate) fn counted(client: &Client, metrics: &Metrics, key: Option<&Key>) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = Counted {
        inner: client.clone(),
        metrics: metrics.clone(),
        key: key.cloned(),
    };
    Client::new(service, namespace)
}

impl Service<Request<Body>> for Counted {
    type Response = Response<Body>;
    type Error = tower::BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, tower::BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), tower::BoxError>> {
        // Readiness is waited for where it holds up this request only.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let method = request.method().as_str().to_owned();
            if let Some(key) = &this.key {
                let mut requests = this.metrics.0.requests.lock().unwrap_or_else(PoisonError::into_inner);
                *requests.entry(key.clone()).or_default() += 1;
            }
            let answer = this.inner.send(request).await.map_err(tower::BoxError::from);
            let code = match &answer {
                Ok(response) => response.status().as_str().to_owned(),
                Err(_) => "<error>".to_owned(),
            };
            if this.key.is_none() {
                this.metrics
                    .with(|registry| registry.add(&catalogue::REQUESTS, &[&code, &method], 1.0));
            }
            answer
        })
    }
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
