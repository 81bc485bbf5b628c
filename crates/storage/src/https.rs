//! HTTP and HTTPS: hyper and rustls with ring, as the client of the API server has them.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Plain;
use hyper_util::rt::TokioExecutor;
use object_store::ClientOptions;
pub use object_store::client::{HttpClient, HttpRequestBody};
use object_store::client::{
    HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one request may take until its answer begins; a part of a large log is 5 MiB.
const ANSWER: Duration = Duration::from_secs(30);

/// Makes clients; [`object_store`] asks for one per store and per source of credentials.
#[derive(Debug)]
pub(crate) struct Stores;

impl HttpConnector for Stores {
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
    Ok(HttpClient::new(Service(
        Client::builder(TokioExecutor::new()).build(connector(&[])?),
    )))
}

/// The way to servers over HTTP and HTTPS, for clients with bodies of their own. It trusts the authorities this machine trusts, and these.
///
/// # Errors
/// When the TLS library refuses its own settings, or a certificate that was given.
pub fn connector(authorities: &[CertificateDer<'static>]) -> Result<Connector, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(native.certs);
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    if added == 0 && authorities.is_empty() {
        // A container without certificates can still use a server without TLS.
        tracing::warn!(errors = ?native.errors, "no certificates of authorities: only servers without TLS can be reached");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut plain = Plain::new();
    plain.set_connect_timeout(Some(CONNECT));
    plain.set_nodelay(true);
    plain.enforce_http(false);
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(plain))
}

/// What is at a URL of HTTP or HTTPS, when it has at most `most` bytes.
///
/// # Errors
/// A server that does not answer, an answer that is not a success or is longer: why, in words.
pub async fn fetch(url: &str, most: usize) -> Result<Vec<u8>, String> {
    let client = https().map_err(|error| error.to_string())?;
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.uri_mut() = url.parse().map_err(|error| format!("{error}"))?;
    let answer = client.execute(request).await.map_err(|error| in_full(&error))?;
    let status = answer.status();
    let body = http_body_util::Limited::new(answer.into_body(), most).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    match status.is_success() {
        true => Ok(body.to_vec()),
        false => Err(format!("the answer is {status}")),
    }
}

/// What is at a URL of HTTP or HTTPS, given piece by piece as it comes.
///
/// # Errors
/// A server that does not answer or falls silent, an answer that is not a success, a piece that is refused: why, in words.
pub async fn fetch_pieces(url: &str, take: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
    let client = https().map_err(|error| error.to_string())?;
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.uri_mut() = url.parse().map_err(|error| format!("{error}"))?;
    let answer = client.execute(request).await.map_err(|error| in_full(&error))?;
    let status = answer.status();
    if !status.is_success() {
        return Err(format!("the answer is {status}"));
    }
    let mut body = answer.into_body();
    loop {
        let next = tokio::time::timeout(ANSWER, body.frame()).await;
        let next = next.map_err(|_| format!("nothing came for {} s", ANSWER.as_secs()))?;
        let Some(frame) = next else { return Ok(()) };
        if let Ok(piece) = frame.map_err(|error| in_full(&error))?.into_data() {
            take(&piece)?;
        }
    }
}

/// An error with what it came from.
pub fn in_full(error: &dyn std::error::Error) -> String {
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

/// What [`connector`] gives.
pub type Connector = HttpsConnector<Plain>;

#[derive(Debug)]
struct Service(Client<Connector, HttpRequestBody>);

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
