//! One call of a webhook for the registry: TLS 1.2 or newer, one POST, one answer, within its timeout.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::registry::Registry;
use crate::registry::admission::WebhookCaller;
use crate::store::{Key, ResourceKey};

/// Largest answer, in bytes.
const MOST_ANSWER: usize = 3 << 20;

/// Calls webhooks over HTTPS.
pub struct Https;

impl WebhookCaller for Https {
    fn call<'a>(
        &'a self,
        registry: &'a Registry,
        target: &'a Value,
        review: &'a Value,
        seconds: u64,
    ) -> BoxFuture<'a, Result<Value, String>> {
        Box::pin(async move {
            let place = find(registry, target, seconds).await;
            let place = place.map_err(|cause| format!("failed to call webhook: {cause}"))?;
            post(&place, review, seconds).await
        })
    }
}

/// Where a webhook is.
struct Place {
    /// As messages name it.
    url: String,
    host: String,
    port: u16,
    addresses: Vec<SocketAddr>,
    path: String,
    roots: Vec<CertificateDer<'static>>,
}

/// Finds a webhook by its client configuration: a URL, or a service with a ready endpoint.
async fn find(registry: &Registry, target: &Value, seconds: u64) -> Result<Place, String> {
    let bundle = STANDARD
        .decode(target["caBundle"].as_str().unwrap_or_default())
        .unwrap_or_default();
    let roots: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&bundle).filter_map(Result::ok).collect();
    if let Some(url) = target["url"].as_str() {
        let uri: Uri = url.parse().map_err(|cause| format!("parse {url:?}: {cause}"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(443);
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => tokio::net::lookup_host((host.as_str(), port))
                .await
                .map_err(|cause| format!("dial tcp: lookup {host}: {cause}"))?
                .collect(),
        };
        let path = format!(
            "{}?timeout={seconds}s",
            if uri.path().is_empty() { "/" } else { uri.path() }
        );
        let url = format!("{}?timeout={seconds}s", url.trim_end_matches('?'));
        return Ok(Place {
            url,
            host,
            port,
            addresses,
            path,
            roots,
        });
    }
    let service = &target["service"];
    let text = |name: &str| service[name].as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text("namespace"), text("name"));
    let port = service["port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(443);
    let host = format!("{name}.{namespace}.svc");
    let path = format!("/{}?timeout={seconds}s", text("path").trim_start_matches('/'));
    let url = format!("https://{host}:{port}{path}");
    let addresses = endpoints(registry, &namespace, &name, port)?;
    Ok(Place {
        url,
        host,
        port,
        addresses,
        path,
        roots,
    })
}

/// Addresses of a service's ready endpoints for one of its ports.
fn endpoints(registry: &Registry, namespace: &str, name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let service = registry.store.get(&Key::new(&"services".into(), namespace, name));
    let service = service.ok_or_else(|| format!("service {name:?} not found"))?.value();
    let mut ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let wanted = ports
        .find(|candidate| candidate["port"] == port)
        .ok_or_else(|| format!("no service port {port} found for service {name:?}"))?;
    let wanted = wanted["name"].as_str().unwrap_or_default();
    let slices: ResourceKey = "endpointslices.discovery.k8s.io".into();
    let mut found = Vec::new();
    let of_service = |slice: &crate::store::Object| slice.fields.label("kubernetes.io/service-name") == Some(name);
    for slice in registry
        .store
        .list(&slices, Some(namespace), None, usize::MAX, of_service)
        .items
    {
        let slice = slice.value();
        let mut ports = slice["ports"].as_array().into_iter().flatten();
        let Some(target) = ports.find(|port| port["name"].as_str().unwrap_or_default() == wanted) else {
            continue;
        };
        let Some(target) = target["port"].as_u64().and_then(|port| u16::try_from(port).ok()) else {
            continue;
        };
        for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
            if endpoint["conditions"]["ready"] == false {
                continue;
            }
            let addresses = endpoint["addresses"].as_array().into_iter().flatten();
            found.extend(
                addresses
                    .filter_map(|address| address.as_str()?.parse::<Ipv4Addr>().ok())
                    .map(|address| SocketAddr::new(address.into(), target)),
            );
        }
    }
    if found.is_empty() {
        return Err(format!("no endpoints available for service {name:?}"));
    }
    Ok(found)
}

/// Posts a review and reads the answer.
async fn post(place: &Place, review: &Value, seconds: u64) -> Result<Value, String> {
    let body = Bytes::from(review.to_string());
    tokio::time::timeout(Duration::from_secs(seconds), exchange(place, body))
        .await
        .unwrap_or_else(|_| Err("context deadline exceeded".to_owned()))
        .map_err(|cause| format!("failed to call webhook: Post {:?}: {cause}", place.url))
}

async fn exchange(place: &Place, body: Bytes) -> Result<Value, String> {
    let mut stream = Err(format!("dial tcp: {}: no address", place.host));
    for address in &place.addresses {
        stream = TcpStream::connect(address)
            .await
            .map_err(|cause| format!("dial tcp {address}: connect: {cause}"));
        if stream.is_ok() {
            break;
        }
    }
    let config = tls(&place.roots)?;
    let name = ServerName::try_from(place.host.clone()).map_err(|cause| format!("tls: {cause}"))?;
    let stream = TlsConnector::from(config)
        .connect(name, stream?)
        .await
        .map_err(|cause| format!("tls: {cause}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|cause| cause.to_string())?;
    let connection = tokio::spawn(connection);
    let request = Request::post(&place.path)
        .header("host", format!("{}:{}", place.host, place.port))
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("user-agent", "kube-apiserver-admission")
        .body(Full::new(body))
        .map_err(|cause| cause.to_string())?;
    let response = sender.send_request(request).await.map_err(|cause| cause.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MOST_ANSWER)
        .collect()
        .await
        .map_err(|cause| format!("reading the answer: {cause}"))?
        .to_bytes();
    connection.abort();
    if !status.is_success() {
        let text = String::from_utf8_lossy(&body);
        return Err(format!(
            "an error on the server ({:?}) has prevented the request from succeeding: {status}",
            text.trim()
        ));
    }
    serde_json::from_slice(&body).map_err(|cause| format!("couldn't get version/kind; json parse error: {cause}"))
}

fn tls(roots: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, String> {
    if roots.is_empty() {
        return Err("tls: failed to verify certificate: the configuration has no caBundle, and this API server trusts no other authority".into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
        .build()
        .map_err(|cause| format!("tls: the caBundle cannot be used: {cause}"))?;
    let verifier = Trusted {
        inner,
        roots: roots.to_vec(),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| format!("tls: {cause}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Verifies as WebPKI does, and also accepts a certificate that stands in the bundle itself: many webhooks sign their own.
#[derive(Debug)]
struct Trusted {
    inner: Arc<WebPkiServerVerifier>,
    roots: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self
            .inner
            .verify_server_cert(certificate, intermediates, name, response, now);
        if verified.is_err() && self.roots.iter().any(|root| root == certificate) {
            rustls::client::verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
