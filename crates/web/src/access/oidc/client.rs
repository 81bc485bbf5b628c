//! Questions to an identity provider: bounded in time and in bytes, over TLS.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use super::{Trouble, shown};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const LONGEST: usize = 1 << 20;

/// A client that trusts some authorities.
pub struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Http {
    /// Trusts these authorities (PEM), or those of this machine.
    ///
    /// # Errors
    /// When they are none.
    pub fn new(authorities: Option<&[u8]>) -> Result<Http, String> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let config = match authorities {
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for one in CertificateDer::pem_slice_iter(pem) {
                    let one = one.map_err(|error| format!("no certificate: {error}"))?;
                    roots
                        .add(one)
                        .map_err(|error| format!("no certificate of an authority: {error}"))?;
                }
                if roots.is_empty() {
                    return Err("there is no certificate in it".to_owned());
                }
                config.with_root_certificates(roots)
            }
            None => config
                .with_native_roots()
                .map_err(|error| format!("authorities of this machine: {error}"))?,
        };
        let mut plain = HttpConnector::new();
        plain.set_connect_timeout(Some(CONNECT));
        plain.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(plain);
        Ok(Http(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Sends a request; redirections are not followed. An answer that is no JSON is null.
    ///
    /// # Errors
    /// When there is no answer, or it is too large or too slow.
    pub async fn json(&self, request: request::Builder, body: String) -> Result<(StatusCode, Value), Trouble> {
        let request: Request<Full<Bytes>> = request
            .body(Full::from(body))
            .map_err(|error| Trouble::Wrong(error.to_string()))?;
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let unanswered = |what: &dyn std::fmt::Display| Trouble::Unanswered(shown(&format!("{host}: {what}")));
        let asked = async {
            let answer = self.0.request(request).await.map_err(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                unanswered(&cause.unwrap_or_else(|| error.to_string()))
            })?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST).collect().await;
            let body = body.map_err(|error| unanswered(&error))?.to_bytes();
            Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(unanswered(&format_args!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }
}
