//! The status API over HTTP: answers are made and put aside before they are sent, logs are zipped while they are sent, and the place is
//! looked at again and again. Whoever reads slowly holds no thread.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::sync::Semaphore;

use crate::connections;
use crate::index::Index;
use crate::json::Json;
use crate::later::{Later, Steps};
use crate::listing::Attempt;
use crate::rest::{self, Answer, Failure, Library, Query, Write};
use crate::spool::{Aside, Spool, Whole};
use crate::zipped::Zipping;

/// Bytes of compressed answers that wait for slow clients.
const PUT_ASIDE: u64 = 2 << 30;
/// Downloads of logs at a time: each of them compresses.
const DOWNLOADS: usize = 32;

/// What the server works with.
#[derive(Debug)]
struct Serving {
    index: Arc<Index>,
    spool: Arc<Spool>,
    /// Answers that are made at a time.
    answers: Arc<Semaphore>,
    /// Replays take all cores: one at a time, and who waits for it holds no thread.
    replays: Semaphore,
    downloads: Arc<Semaphore>,
}

/// The routes of the server.
pub fn router(index: Arc<Index>) -> Router {
    let serving = Serving {
        spool: Arc::new(Spool::new(index.temporary(), PUT_ASIDE)),
        answers: Arc::new(Semaphore::new(index.answers_at_once())),
        replays: Semaphore::new(1),
        downloads: Arc::new(Semaphore::new(DOWNLOADS)),
        index,
    };
    Router::new()
        .route("/", get(home))
        .fallback(api)
        .with_state(Arc::new(serving))
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

async fn api(State(serving): State<Arc<Serving>>, request: Request) -> Response {
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
    let query = Query::parse(uri.query().unwrap_or_default());
    match serving.made(path.to_owned(), query).await {
        Ok(Made::Json(Whole::Here(bytes))) => answer(StatusCode::OK, "application/json", Body::from(bytes)),
        Ok(Made::Json(Whole::Aside(aside))) => {
            let length = aside.length();
            let body = Body::from_stream(Later::new(Reading { aside, next: 0 }));
            let mut response = answer(StatusCode::OK, "application/json", body);
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            response
        }
        Ok(Made::Logs { name, attempts }) => serving.logs(&name, &attempts).await,
        Err(failure) => failed(failure),
    }
}

/// An answer that is ready to be sent.
enum Made {
    Json(Whole),
    Logs { name: String, attempts: Vec<Attempt> },
}

impl Serving {
    /// Makes an answer. What reads files and takes cores is done outside the threads that serve.
    async fn made(&self, path: String, query: Query) -> Result<Made, Failure> {
        let ended = |error: &dyn std::fmt::Display| Failure::Broken(format!("{error}\n"));
        let attempt = rest::attempt_of(&*self.index, &path);
        if let Some(attempt) = attempt.filter(|attempt| self.index.at_hand(attempt).is_none()) {
            let _alone = self.replays.acquire().await.map_err(|error| ended(&error))?;
            let index = self.index.clone();
            let replayed = tokio::task::spawn_blocking(move || index.view(&attempt).map(drop));
            // Why it cannot be read is told below.
            let _ = replayed.await.map_err(|error| ended(&error))?;
        }
        let permit = self.answers.clone().acquire_owned().await;
        let permit = permit.map_err(|error| ended(&error))?;
        let (index, spool) = (self.index.clone(), self.spool.clone());
        let asking = Arc::new(());
        let asked = Arc::downgrade(&asking);
        let made = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            match rest::answer(&*index, &path, &query)? {
                Answer::Json(write) => taken(&spool, write, &asked).map(Made::Json),
                Answer::Logs { name, attempts } => Ok(Made::Logs { name, attempts }),
            }
        });
        let made = made.await.map_err(|error| ended(&error))?;
        drop(asking);
        made
    }

    async fn logs(&self, name: &str, attempts: &[Attempt]) -> Response {
        let Ok(permit) = self.downloads.clone().acquire_owned().await else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "The server ends.".to_owned());
        };
        let zipping = Later::new(Zipping::new(self.index.clone(), attempts).holding(permit));
        let mut response = answer(StatusCode::OK, "application/octet-stream", Body::from_stream(zipping));
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename={name}")) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
        }
        response
    }
}

/// Writes an answer and puts it aside; stops when nobody asks for it any more.
fn taken(spool: &Spool, write: Write, asked: &Weak<()>) -> Result<Whole, Failure> {
    let mut taking = spool.take();
    let mut sink = |piece: Vec<u8>| match asked.strong_count() {
        0 => Err(io::ErrorKind::BrokenPipe.into()),
        _ => taking.piece(piece),
    };
    let mut json = Json::new(&mut sink);
    write(&mut json);
    match json.finish() {
        Ok(()) => Ok(taking.whole()),
        Err(error) if error.get_ref().is_some_and(|inner| inner.is::<crate::spool::Full>()) => {
            Err(Failure::Unavailable(error.to_string()))
        }
        Err(error) => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                tracing::warn!(%error, "an answer could not be finished");
            }
            Err(Failure::Broken(error.to_string()))
        }
    }
}

/// Reads an answer that was put aside.
struct Reading {
    aside: Aside,
    next: usize,
}

impl Steps for Reading {
    fn step(&mut self) -> io::Result<Option<Bytes>> {
        self.next += 1;
        self.aside.piece(self.next - 1)
    }
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
            answer(StatusCode::BAD_REQUEST, "text/html;charset=iso-8859-1", Body::from(page))
        }
        Failure::Broken(why) => {
            let why = why.replace('&', "&amp;").replace('<', "&lt;");
            let page = format!(
                "<html>\n<head><title>Error 500 Request failed.</title></head>\n<body><h2>HTTP ERROR 500 Request failed.</h2>\n<pre>{why}</pre></body>\n</html>\n"
            );
            answer(StatusCode::INTERNAL_SERVER_ERROR, "text/html;charset=utf-8", Body::from(page))
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
