//! Probes and metrics over plain HTTP.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::controller::stopped;
use crate::health::Health;
use crate::metrics::Metrics;

/// `/healthz` fails when the operator stopped reconciling, `/readyz` until it has seen everything once.
pub(super) fn probes(health: Health) -> Router {
    let ready = health.clone();
    Router::new()
        .route("/healthz", get(async move || answer_of(health.alive())))
        .route("/readyz", get(async move || answer_of(ready.ready())))
}

fn answer_of(checked: Result<(), String>) -> (StatusCode, String) {
    match checked {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
    }
}

/// The metrics at `path`.
pub(super) fn metrics(metrics: Metrics, path: &str) -> Router {
    let path = format!("/{}", path.trim_matches('/'));
    let answer = async move || {
        (
            [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            metrics.text(),
        )
    };
    Router::new().route(&path, get(answer))
}

/// Answers until `stop` turns true.
pub(super) async fn answer(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let serving = axum::serve(listener, router);
    tokio::select! {
        ended = serving.into_future() => {
            if let Err(error) = ended {
                tracing::error!(%error, "a server ended");
            }
        }
        () = stopped(&mut stop) => {}
    }
}
