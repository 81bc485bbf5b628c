//! The client of an operator: no request and no watch waits long for a server that is not there any more.
//!
//! As kube's own, except for the bounds. kube waits 30 s for a connection, for ever for an answer, and notices a watch whose server vanished
//! without a word after 295 s; it repeats a request that was answered 429, 503 or 504 up to fifteen times with pauses of minutes in the end.

use std::time::Duration;

use http::{Request, Response};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ConfigExt};
use kube::{Client, Config, Error};
use tower::{BoxError, ServiceBuilder};

/// For a connection, TLS included. The kernel repeats lost packets of a new connection every second or two.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection on which nothing was heard for so long is asked whether it still is one, then so often, so many times: 11 s to find out.
const SILENT: Duration = Duration::from_secs(5);
const ASK_EVERY: Duration = Duration::from_secs(2);
const ASK_TIMES: u32 = 3;
/// What was sent and not acknowledged for so long ends its connection.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// Until the beginning of an answer. An API server itself gives a request up after this.
const ANSWER: Duration = Duration::from_secs(60);
/// A body of which nothing comes for so long is not one. Longer than a quiet watch lives.
const BODY: Duration = Duration::from_secs(310);
/// Answers that say "not now" are asked for again so often, in 0.1, 0.2 and 0.4 s. Whoever asks has pauses of its own for the rest.
const AGAIN: u32 = 3;

/// A client of the API server that this leads to.
///
/// # Errors
/// Certificates or credentials that cannot be used; a proxy, which this client has not.
pub fn client(config: Config) -> Result<Client, Error> {
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_keepalive(Some(SILENT));
    connector.set_keepalive_interval(Some(ASK_EVERY));
    connector.set_keepalive_retries(Some(ASK_TIMES));
    #[cfg(target_os = "linux")]
    connector.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(connector)?);
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_read_timeout(Some(BODY));
    connector.set_reset_reader_on_write(true);
    connector.set_write_timeout(Some(ANSWER));
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build::<_, Body>(connector);
    let again = RetryPolicy::new(Duration::from_millis(100), Duration::from_secs(1), AGAIN, false);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .retry(again.unwrap_or_default())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .timeout(ANSWER)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}

/// A client whose requests go through `each`, which sends them on with the client that it is given. Costs a small task per call of this function.
pub(crate) fn through<F, A>(client: &Client, each: F) -> Client
where
    F: Fn(Client, Request<Body>) -> A + Clone + Send + 'static,
    A: Future<Output = Result<Response<Body>, BoxError>> + Send + 'static,
{
    let inner = client.clone();
    // Readiness is waited for where it holds up one request only.
    let service = tower::service_fn(move |request| each(inner.clone(), request));
    Client::new(service, client.default_namespace())
}
