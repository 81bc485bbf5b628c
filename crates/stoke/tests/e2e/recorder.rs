//! A Kubernetes API server that believes everything and writes it down: enough for `spark-submit` to submit and go.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The server; it ends when this is dropped.
pub struct Recorder {
    url: String,
    objects: Arc<Mutex<Vec<Value>>>,
    _stop: oneshot::Sender<()>,
}

impl Recorder {
    /// Serves plain HTTP on a free port of the loopback interface, on a thread of its own.
    pub fn start() -> std::io::Result<Self> {
        let objects = Arc::new(Mutex::new(Vec::new()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&objects));
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                    return;
                };
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self {
            url,
            objects,
            _stop: stop,
        })
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every object that was to be created or changed so far, as it was sent, in order.
    pub fn objects(&self) -> Vec<Value> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

type Objects = State<Arc<Mutex<Vec<Value>>>>;

async fn answer(State(objects): Objects, method: Method, uri: Uri, body: Bytes) -> Response {
    let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    if method == Method::POST || method == Method::PATCH || method == Method::PUT {
        let Ok(object) = serde_json::from_slice::<Value>(&body) else {
            return status(StatusCode::BAD_REQUEST, "BadRequest");
        };
        objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(object.clone());
        let code = if method == Method::POST {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        return (code, Json(stored(object))).into_response();
    }
    if method == Method::DELETE {
        return (
            StatusCode::OK,
            Json(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
        )
            .into_response();
    }
    match parts.as_slice() {
        ["version"] => Json(json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0"})).into_response(),
        _ => status(StatusCode::NOT_FOUND, "NotFound"),
    }
}

/// The object with what a server adds.
fn stored(mut object: Value) -> Value {
    let metadata = &mut object["metadata"];
    metadata["uid"] = json!("11111111-2222-3333-4444-555555555555");
    metadata["resourceVersion"] = json!("1");
    metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    metadata["namespace"] = metadata.get("namespace").cloned().unwrap_or_else(|| json!("default"));
    object
}

fn status(code: StatusCode, reason: &str) -> Response {
    let body =
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code.as_u16()});
    (code, Json(body)).into_response()
}
