//! The status API over HTTP: answers are made and put aside before they are sent, logs are zipped while they are sent, and the place is
//! looked at again and again. Whoever reads slowly holds no thread.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use crate::connections;
use crate::index::Index;
use crate::making::{Made, Making, Question};
use crate::metrics;
use crate::rest::Failure;
use crate::spool::Whole;

/// The routes of the server.
pub fn router(index: Arc<Index>) -> Router {
    let making = Making::new(index.clone());
    Router::new()
        .route("/", get(home))
        .route(
            "/metrics",
            get(async move || text(StatusCode::OK, metrics::text(&index))),
        )
        .fallback(api)
        .with_state(Arc::new(making))
}

/// Serves until an error, and looks at the place every `interval`.
///
/// # Errors
/// When connections can no longer be taken.
pub async fn serve(index: Arc<Index>, listener: tokio::net::TcpListener, interval: Duration) -> io::Result<()> {
    tokio::select! {
        () = connections::serve(listener, router(index.clone())) => Ok(()),
        () = keep_looking(index, interval) => Ok(()),
    }
}

/// Looks at the place every `interval`, for as long as the future is kept.
pub async fn keep_looking(index: Arc<Index>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let looking = index.clone();
        match tokio::task::spawn_blocking(move || looking.scan()).await {
            Ok(Ok(scan)) => {
                for why in scan.unreadable {
                    tracing::warn!(why, "an event log cannot be looked at");
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "the event logs cannot be listed"),
            Err(error) => tracing::error!(%error, "looking at the event logs ended"),
        }
    }
}

async fn home() -> Response {
    text(
        StatusCode::OK,
        "Stoke history. Spark's status API is at /api/v1/applications\n".to_owned(),
    )
}

async fn api(State(making): State<Arc<Making>>, request: Request) -> Response {
    let uri = request.uri();
    let Some(path) = uri
        .path()
        .strip_prefix("/api/v1")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    else {
        return text(
            StatusCode::NOT_FOUND,
            "Spark's status API is at /api/v1/applications\n".to_owned(),
        );
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n".to_owned());
    }
    let asked = Question {
        path: path.to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
    };
    match making.made(asked).await {
        Ok(Made::Json(Whole::Here(bytes))) => answer(StatusCode::OK, "application/json", Body::from(bytes)),
        Ok(Made::Json(Whole::Aside(aside))) => {
            let length = aside.length();
            let body = Body::from_stream(making.body(aside));
            let mut response = answer(StatusCode::OK, "application/json", body);
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            response
        }
        Ok(Made::Logs { name, attempts }) => match making.logs(&attempts).await {
            Ok(zip) => download(&name, Body::from_stream(zip)),
            Err(failure) => failed(failure),
        },
        Err(failure) => failed(failure),
    }
}

fn download(name: &str, body: Body) -> Response {
    let mut response = answer(StatusCode::OK, "application/octet-stream", body);
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename={name}")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

fn failed(failure: Failure) -> Response {
    match failure {
        Failure::NotFound(why) => text(StatusCode::NOT_FOUND, why),
        Failure::Bad(why) => text(StatusCode::BAD_REQUEST, why),
        Failure::BadDate(why) => answer(StatusCode::BAD_REQUEST, "application/json", Body::from(why)),
        Failure::Unavailable(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
        Failure::NoPage => {
            let page = "<html>\n<head><title>Error 404 Not Found</title></head>\n<body><h2>HTTP ERROR 404 Not Found</h2></body>\n</html>\n";
            answer(StatusCode::NOT_FOUND, "text/html;charset=utf-8", Body::from(page))
        }
        Failure::BadMessage => {
            let page = "<h1>Bad Message 400</h1><pre>reason: Ambiguous URI empty segment</pre>";
            answer(
                StatusCode::BAD_REQUEST,
                "text/html;charset=iso-8859-1",
                Body::from(page),
            )
        }
        Failure::Broken(why) => {
            let why = why.replace('&', "&amp;").replace('<', "&lt;");
            let page = format!(
                "<html>\n<head><title>Error 500 Request failed.</title></head>\n<body><h2>HTTP ERROR 500 Request failed.</h2>\n<pre>{why}</pre></body>\n</html>\n"
            );
            answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/html;charset=utf-8",
                Body::from(page),
            )
        }
    }
}

fn text(status: StatusCode, text: String) -> Response {
    answer(status, "text/plain", Body::from(text))
}

/// With the headers Spark's server sends, so that nothing in between keeps or guesses.
fn answer(status: StatusCode, kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
