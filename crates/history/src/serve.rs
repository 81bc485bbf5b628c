//! The status API over HTTP: answers are made and put aside before they are sent, logs are zipped while they are sent, and the place is
//! looked at again and again. Whoever reads slowly holds no thread.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connections;
use crate::index::Index;
use crate::json::Json;
use crate::later::{Later, Steps};
use crate::listing::Attempt;
use crate::model::View;
use crate::rest::{self, Answer, Failure, Library, Query, Write};
use crate::spool::{Aside, Spool, Whole};
use crate::zipped::Zipping;

/// Bytes of compressed answers that wait for slow clients.
const PUT_ASIDE: u64 = 2 << 30;
/// Downloads of logs at a time: each of them compresses.
const DOWNLOADS: usize = 32;

/// Bytes of an answer after which it is a long one: those are made beside the others, which do not wait for them.
const LONG: usize = 256 << 10;

/// What the server works with.
#[derive(Debug)]
struct Serving {
    index: Arc<Index>,
    spool: Arc<Spool>,
    /// Answers that are made at a time.
    answers: Arc<Semaphore>,
    /// Long ones among them.
    long: Arc<Semaphore>,
    /// Long answers somebody still reads.
    shared: Shared,
    /// Replays take all cores: one at a time, and who waits for it holds no thread.
    replays: Semaphore,
    downloads: Arc<Semaphore>,
}

/// The routes of the server.
pub fn router(index: Arc<Index>) -> Router {
    let serving = Serving {
        spool: Arc::new(Spool::new(index.temporary(), PUT_ASIDE)),
        answers: Arc::new(Semaphore::new(index.answers_at_once())),
        long: Arc::new(Semaphore::new(index.answers_at_once())),
        shared: Shared::default(),
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
    let asked = Question {
        path: path.to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
    };
    match serving.made(asked).await {
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

/// What is asked: below `/api/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    path: String,
    query: String,
}

/// An answer that is ready to be sent.
enum Made {
    Json(Whole),
    Logs { name: String, attempts: Vec<Attempt> },
}

/// Long answers about applications that have ended, for as long as somebody reads them: who asks the same gets the same.
#[derive(Debug, Default)]
struct Shared(Mutex<HashMap<Question, (Weak<Aside>, Weak<View>)>>);

impl Shared {
    fn answers(&self) -> MutexGuard<'_, HashMap<Question, (Weak<Aside>, Weak<View>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, asked: &Question, view: &Arc<View>) -> Option<Arc<Aside>> {
        let answers = self.answers();
        let (aside, of) = answers.get(asked)?;
        of.upgrade().filter(|of| Arc::ptr_eq(of, view))?;
        aside.upgrade()
    }

    fn keep(&self, asked: &Question, view: &Arc<View>, aside: &Arc<Aside>) {
        let mut answers = self.answers();
        answers.retain(|_, (aside, _)| aside.strong_count() > 0);
        answers.insert(asked.clone(), (Arc::downgrade(aside), Arc::downgrade(view)));
    }
}

/// An answer that is longer than [`LONG`], where no long one may be made now.
#[derive(Debug, thiserror::Error)]
#[error("the answer is a long one")]
struct TooLong;

impl Serving {
    /// Makes an answer. What reads files and takes cores is done outside the threads that serve.
    async fn made(&self, asked: Question) -> Result<Made, Failure> {
        let attempt = rest::attempt_of(&*self.index, &asked.path);
        let view = match &attempt {
            Some(attempt) => self.replayed(attempt).await?,
            None => None,
        };
        // What an application that still runs shows changes with time.
        let ended = attempt.is_some_and(|attempt| attempt.completed);
        let view = view.filter(|_| ended);
        let known = || Some(Made::Json(Whole::Aside(self.shared.get(&asked, view.as_ref()?)?)));
        let first = match known() {
            Some(made) => return Ok(made),
            None => self.made_once(&asked, None).await?,
        };
        let made = match first {
            Some(made) => made,
            None => {
                let permit = self
                    .long
                    .clone()
                    .acquire_owned()
                    .await
                    .map_err(|error| broken(&error))?;
                match known() {
                    Some(made) => return Ok(made),
                    None => self
                        .made_once(&asked, Some(permit))
                        .await?
                        .ok_or_else(|| broken(&TooLong))?,
                }
            }
        };
        if let (Made::Json(Whole::Aside(aside)), Some(view)) = (&made, &view) {
            self.shared.keep(&asked, view, aside);
        }
        Ok(made)
    }

    /// The application of an attempt. Nothing when its log cannot be read: why is told by who answers.
    async fn replayed(&self, attempt: &Attempt) -> Result<Option<Arc<View>>, Failure> {
        if let Some(view) = self.index.at_hand(attempt) {
            return Ok(Some(view));
        }
        let _alone = self.replays.acquire().await.map_err(|error| broken(&error))?;
        let (index, attempt) = (self.index.clone(), attempt.clone());
        let replayed = tokio::task::spawn_blocking(move || index.view(&attempt));
        Ok(replayed.await.map_err(|error| broken(&error))?.ok().flatten())
    }

    /// Makes an answer; nothing when it is a long one and must wait for its turn.
    async fn made_once(&self, asked: &Question, long: Option<OwnedSemaphorePermit>) -> Result<Option<Made>, Failure> {
        // A long one has waited already.
        let permit = match long.is_some() {
            true => None,
            false => Some(
                self.answers
                    .clone()
                    .acquire_owned()
                    .await
                    .map_err(|error| broken(&error))?,
            ),
        };
        let (index, spool, turn) = (self.index.clone(), self.spool.clone(), self.long.clone());
        let asking = Arc::new(());
        let (still_asked, asked) = (Arc::downgrade(&asking), asked.clone());
        let made = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            match rest::answer(&*index, &asked.path, &Query::parse(&asked.query))? {
                Answer::Json(write) => Ok(taken(&spool, write, &still_asked, &turn, long)?.map(Made::Json)),
                Answer::Logs { name, attempts } => Ok(Some(Made::Logs { name, attempts })),
            }
        });
        let made = made.await.map_err(|error| broken(&error))?;
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

fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::Broken(error.to_string())
}

/// Writes an answer and puts it aside. Stops when nobody asks for it any more, and with nothing when it turns out to be a long one and all
/// turns of long ones are taken.
fn taken(
    spool: &Spool,
    write: Write,
    asked: &Weak<()>,
    turns: &Arc<Semaphore>,
    mut long: Option<OwnedSemaphorePermit>,
) -> Result<Option<Whole>, Failure> {
    let mut taking = spool.take();
    let mut length = 0;
    let mut sink = |piece: Vec<u8>| {
        length += piece.len();
        if length > LONG && long.is_none() {
            long = turns.clone().try_acquire_owned().ok();
            if long.is_none() {
                return Err(io::Error::other(TooLong));
            }
        }
        match asked.strong_count() {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            _ => taking.piece(piece),
        }
    };
    let mut json = Json::new(&mut sink);
    write(&mut json);
    match json.finish() {
        Ok(()) => Ok(Some(taking.whole())),
        Err(error) if error.get_ref().is_some_and(|inner| inner.is::<TooLong>()) => Ok(None),
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
    aside: Arc<Aside>,
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
