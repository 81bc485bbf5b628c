//! The listener: TLS connections on the cluster's address, HTTP/1.1 and HTTP/2, WebSocket upgrades.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::tls::certificate_identity;

/// Time a client has for its TLS handshake.
const HANDSHAKE: std::time::Duration = std::time::Duration::from_secs(10);
/// Time a client has to send the head of a request; an HTTP/1 connection that is idle as long ends too.
const HEAD: std::time::Duration = std::time::Duration::from_secs(120);
/// Most bytes of a request's head over HTTP/2; HTTP/1 has about 400 KiB and 100 fields.
const MOST_HEAD_BYTES: u32 = 256 << 10;
/// Requests of one HTTP/2 connection at once, as the real API server has it.
const MOST_STREAMS: u32 = 250;

/// Accepts connections until the cluster stops.
pub async fn listen(
    listener: TcpListener,
    config: Arc<rustls::ServerConfig>,
    router: Router,
    stopping: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(config);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: others must end first.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stopping.cancelled() => return,
        };
        // Small answers must not wait for the peer's acknowledgement.
        let _ = stream.set_nodelay(true);
        let (acceptor, router, stopping) = (acceptor.clone(), router.clone(), stopping.clone());
        tokio::spawn(async move {
            let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else {
                return;
            };
            let identity = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(|chain| certificate_identity(chain.first()?));
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                let mut request = request.map(Body::new);
                if let Some(identity) = &identity {
                    request.extensions_mut().insert(identity.clone());
                }
                router.clone().oneshot(request)
            });
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
            let mut second = builder.http2();
            second
                .timer(TokioTimer::new())
                .max_header_list_size(MOST_HEAD_BYTES)
                .max_concurrent_streams(MOST_STREAMS);
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                }
                () = stopping.cancelled() => {}
            }
        });
    }
}
