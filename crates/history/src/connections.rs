//! Connections and their bounds: clients that send half a request, or read an answer by the byte, hold neither a thread nor a place for
//! long, and each takes little memory.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tower::ServiceExt;

/// Connections at a time; one more waits to be taken.
const MOST: usize = 4096;
/// Bytes of a connection that are read or written ahead: longer headers are refused.
const AHEAD: usize = 16 << 10;
/// Between two attempts to take connections, when the system has no place for one.
const AGAIN: Duration = Duration::from_millis(100);

/// How long a connection may do nothing.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until a request has been sent whole, also the first one.
    pub request: Duration,
    /// Until the client takes more of an answer.
    pub answer: Duration,
}

impl Default for Patience {
    /// That of Spark's own server: 30 seconds.
    fn default() -> Self {
        let idle = Duration::from_secs(30);
        Patience {
            request: idle,
            answer: idle,
        }
    }
}

/// Serves connections for as long as the future is kept.
pub async fn serve(listener: TcpListener, router: Router) {
    serve_with(listener, router, Patience::default()).await;
}

/// Serves connections with bounds of one's own.
pub async fn serve_with(listener: TcpListener, router: Router, patience: Patience) {
    let places = Arc::new(Semaphore::new(MOST));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?.0, place))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        let router = router.clone();
        connections.spawn(async move {
            connection(stream, router, patience).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, router: Router, patience: Patience) {
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(Patient {
        stream,
        patience: patience.answer,
        waiting: None,
    });
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let Ok(response) = router.oneshot(request.map(Body::new)).await;
            Ok::<_, Infallible>(response)
        }
    });
    // As Spark's own server, it speaks HTTP/1.1 only: who sends nothing at all has sent half a request.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.request)
        .max_buf_size(AHEAD);
    if let Err(error) = builder.serve_connection(stream, service).await {
        tracing::debug!(error, "a connection ended early");
    }
}

/// A connection that ends when its client takes nothing for too long.
struct Patient {
    stream: TcpStream,
    patience: Duration,
    /// Since the client takes nothing.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn unless_too_long<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let patience = self.patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unless_too_long(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.unless_too_long(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        // What is flushed was written before: only writing tells whether something is taken.
        match flushed.is_ready() {
            true => flushed,
            false => self.unless_too_long(context, flushed),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.unless_too_long(context, shut)
    }
}
