//! The status API over HTTP: answers are streamed, logs are zipped while they are sent, and the place is looked at again and again.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use zip::write::SimpleFileOptions;

use crate::index::Index;
use crate::json::Json;
use crate::listing::Attempt;
use crate::rest::{self, Answer, Failure, Query};

/// Pieces of an answer under way, each up to 64 KiB.
const PIECES: usize = 4;
const FOUR_GIB: u64 = 1 << 32;

/// The routes of the server.
pub fn router(index: Arc<Index>) -> Router {
    Router::new().route("/", get(home)).fallback(api).with_state(index)
}

/// Serves until an error, and looks at the place every `interval`.
///
/// # Errors
/// When connections can no longer be taken.
pub async fn serve(index: Arc<Index>, listener: tokio::net::TcpListener, interval: Duration) -> io::Result<()> {
    let serving = axum::serve(listener, router(index.clone()));
    tokio::select! {
        ended = serving => ended,
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

async fn api(State(index): State<Arc<Index>>, request: Request) -> Response {
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
    let path = path.to_owned();
    let query = Query::parse(uri.query().unwrap_or_default());
    // Answers read files and take all cores: they are made outside the threads that serve.
    let asked = index.clone();
    let answered = tokio::task::spawn_blocking(move || rest::answer(&*asked, &path, &query)).await;
    match answered {
        Ok(Ok(Answer::Json(write))) => stream("application/json", move |out| {
            let mut sink = |piece: Vec<u8>| out.send(Bytes::from(piece));
            let mut json = Json::new(&mut sink);
            write(&mut json);
            json.finish()
        }),
        Ok(Ok(Answer::Logs { name, attempts })) => {
            let mut response = stream("application/octet-stream", move |out| zipped(&index, &attempts, out));
            if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename={name}")) {
                response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
            }
            response
        }
        Ok(Err(failure)) => failed(failure),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
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
        Failure::Broken(why) => text(StatusCode::INTERNAL_SERVER_ERROR, why),
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

/// The way of an answer's pieces to whoever asked. Waits while they are not taken.
struct Out(mpsc::Sender<io::Result<Bytes>>);

impl Out {
    fn send(&self, piece: Bytes) -> io::Result<()> {
        match piece.is_empty() {
            true => Ok(()),
            false => self
                .0
                .blocking_send(Ok(piece))
                .map_err(|_| io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(Bytes::copy_from_slice(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stream(kind: &'static str, write: impl FnOnce(&mut Out) -> io::Result<()> + Send + 'static) -> Response {
    let (pieces, body) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut out = Out(pieces);
        if let Err(error) = write(&mut out)
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            tracing::warn!(%error, "an answer could not be finished");
            // The connection ends without its last chunk: nobody takes the part for the whole.
            let _ = out.0.blocking_send(Err(error));
        }
    });
    answer(StatusCode::OK, kind, Body::from_stream(ReceiverStream::new(body)))
}

/// Writes the logs of attempts as Spark zips them: a single file under its name, a rolling log as a directory with all its files.
///
/// # Errors
/// When a log cannot be read, or `out` takes nothing more.
pub fn zipped(index: &Index, attempts: &[Attempt], out: impl Write) -> io::Result<()> {
    let buffered = io::BufWriter::with_capacity(64 << 10, out);
    let mut zip = zip::ZipWriter::new_stream(buffered);
    for log in attempts.iter().filter_map(|attempt| index.log(attempt)) {
        if log.rolling {
            zip.add_directory(format!("{}/", log.path), SimpleFileOptions::default())
                .map_err(io::Error::other)?;
        }
        let parts = log.superseded.iter().chain(&log.parts).map(|part| &part.entry);
        for entry in parts.chain(&log.status) {
            let options = SimpleFileOptions::default().large_file(entry.size >= FOUR_GIB);
            zip.start_file(&entry.path, options).map_err(io::Error::other)?;
            let mut bytes = index.source().open(entry, 0).map_err(io::Error::other)?;
            io::copy(&mut bytes, &mut zip)?;
        }
    }
    let mut rest = zip.finish().map_err(io::Error::other)?.into_inner();
    rest.flush()
}
