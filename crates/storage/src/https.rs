//! HTTP and HTTPS: hyper and rustls with ring, as the client of the API server has them.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Plain;
use hyper_util::rt::TokioExecutor;
use object_store::ClientOptions;
pub use object_store::client::{HttpClient, HttpRequestBody};
use object_store::client::{
    HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use rustls::ClientConfig;
use rustls::crypto::ring;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one request may take until its answer begins; a part of a large log is 5 MiB.
const ANSWER: Duration = Duration::from_secs(30);

/// Makes clients; [`object_store`] asks for one per store and per source of credentials.
#[derive(Debug)]
pub(crate) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        https().map_err(|source| object_store::Error::Generic {
            store: "HTTPS",
            source: Box::new(source),
        })
    }
}

/// A client of HTTP and HTTPS that trusts the authorities this machine trusts.
///
/// # Errors
/// When the TLS library refuses its own settings.
pub fn https() -> Result<HttpClient, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let config = || ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    // An image without certificates can still use a store without TLS.
    let config = match config()?.with_native_roots() {
        Ok(rooted) => rooted.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "no certificates of authorities: only an object store without TLS can be reached");
            let none = rustls::RootCertStore::empty();
            config()?.with_root_certificates(none).with_no_client_auth()
        }
    };
    let mut plain = Plain::new();
    plain.set_connect_timeout(Some(CONNECT));
    plain.set_nodelay(true);
    plain.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(plain);
    Ok(HttpClient::new(Service(
        Client::builder(TokioExecutor::new()).build(connector),
    )))
}

/// What is at a URL of HTTP or HTTPS, when it has at most `most` bytes.
///
/// # Errors
/// A server that does not answer, an answer that is not a success or is longer: why, in words.
pub async fn fetch(url: &str, most: usize) -> Result<Vec<u8>, String> {
    let client = https().map_err(|error| error.to_string())?;
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.uri_mut() = url.parse().map_err(|error| format!("{error}"))?;
    let answer = client.execute(request).await.map_err(|error| whole(&error))?;
    let status = answer.status();
    let body = http_body_util::Limited::new(answer.into_body(), most).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    match status.is_success() {
        true => Ok(body.to_vec()),
        false => Err(format!("the answer is {status}")),
    }
}

/// An error with what it came from.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let why = inner.to_string();
        if !text.contains(&why) {
            text = format!("{text}: {why}");
        }
        source = inner.source();
    }
    text
}

#[derive(Debug)]
struct Service(Client<HttpsConnector<Plain>, HttpRequestBody>);

#[async_trait::async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = tokio::time::timeout(ANSWER, self.0.request(request)).await;
        let answer = answer.map_err(|slow| HttpError::new(HttpErrorKind::Timeout, slow))?;
        let answer = answer.map_err(|error| {
            let kind = match error.is_connect() {
                true => HttpErrorKind::Connect,
                false => HttpErrorKind::Request,
            };
            HttpError::new(kind, error)
        })?;
        let broken = |error| HttpError::new(HttpErrorKind::Interrupted, error);
        Ok(answer.map(|body| HttpResponseBody::new(body.map_err(broken))))
    }
}
