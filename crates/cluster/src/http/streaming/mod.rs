//! Commands in containers and connections to their ports: `pods/exec`, `pods/attach`, `pods/portforward`.
//!
//! In: a request that asks to become another protocol. Out: what the node's [`Process`] or port says and hears, in the protocol asked for:
//! - WebSocket with `v5.channel.k8s.io` (kubectl from 1.30, kube-rs), `v4.channel.k8s.io` (Python, fabric8, Java, JavaScript, kube-rs),
//!   `channel.k8s.io`, and the two `base64` forms ([`channels`])
//! - WebSocket with `SPDY/3.1+portforward.k8s.io`: port-forward of kubectl from 1.31 ([`port_forward`], [`spdy`])
//! - SPDY/3.1 itself: kubectl before 1.30, and what newer ones fall back to
//!
//! What can be refused is refused before the protocol changes, as a Status. Nothing here knows what a container is.

pub mod channels;
pub mod port_forward;
pub mod remote_command;
pub mod spdy;

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::call::Call;
use super::handlers::pods::container_of;
use crate::apimachinery::request::Target;
use crate::apimachinery::status::Status;
use crate::kubelet::{ContainerName, KubeletError};

/// Whether a request for this asks for streams instead of an object.
pub fn is_stream(target: &Target) -> bool {
    target.resource.group.is_empty()
        && target.resource.plural == "pods"
        && target.name.is_some()
        && matches!(target.subresource.as_deref(), Some("exec" | "attach" | "portforward"))
}

/// How a client asks for streams.
pub enum Upgrade {
    /// By a WebSocket.
    WebSocket(WebSocketUpgrade),
    /// By SPDY, with the protocols it offers on top, best first.
    Spdy(OnUpgrade, Vec<String>),
}

impl Upgrade {
    /// What the head of a request asks for.
    ///
    /// # Errors
    /// 400 when it asks for no other protocol.
    pub fn of(websocket: Option<WebSocketUpgrade>, parts: &mut Parts) -> Result<Upgrade, Status> {
        if let Some(websocket) = websocket {
            return Ok(Upgrade::WebSocket(websocket));
        }
        let spdy = listed(&parts.headers, "upgrade").any(|name| name.eq_ignore_ascii_case("SPDY/3.1"));
        let protocols = listed(&parts.headers, "x-stream-protocol-version")
            .map(str::to_owned)
            .collect();
        match parts.extensions.remove::<OnUpgrade>() {
            Some(upgrade) if spdy => Ok(Upgrade::Spdy(upgrade, protocols)),
            _ => Err(Status::bad_request("Upgrade request required")),
        }
    }
}

fn listed<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// Answers an authorised request for streams.
pub async fn serve(call: Call, upgrade: Upgrade) -> Result<Response, Status> {
    let pod = call
        .registry()
        .store
        .get(&call.key())
        .ok_or_else(|| Status::not_found("pods", call.name()))?;
    let value = pod.value();
    let port_forward = call.request.target.subresource.as_deref() == Some("portforward");
    let container = if port_forward {
        String::new()
    } else {
        container_of(&value, call.query.get("container"))?
    };
    if value["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
        return Err(Status::bad_request(format!(
            "pod {} does not have a host assigned",
            call.name()
        )));
    }
    let name = ContainerName {
        namespace: call.namespace().to_owned(),
        pod: call.name().to_owned(),
        uid: value["metadata"]["uid"].as_str().unwrap_or_default().to_owned(),
        container,
    };
    if port_forward {
        port_forward::serve(call, name, upgrade).await
    } else {
        remote_command::serve(call, name, upgrade).await
    }
}

/// The first protocol the client offers that is one of ours.
///
/// # Errors
/// 403 with both lists, as Kubernetes says it.
fn negotiate<'a>(offered: &[String], ours: &[&'a str]) -> Result<&'a str, Status> {
    let common = offered.iter().find_map(|name| ours.iter().find(|known| *known == name));
    common.copied().ok_or_else(|| {
        let message = format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
            offered.join(" "),
            ours.join(" ")
        );
        Status::new(403, "Forbidden", message)
    })
}

/// The answer with which SPDY begins; `serve` gets the connection.
fn switch_to_spdy<F>(
    upgrade: OnUpgrade,
    protocol: &str,
    serve: impl FnOnce(spdy::session::Session) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => {
                let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
                serve(spdy::session::Session::start(reader, writer)).await;
            }
            Err(error) => tracing::debug!(%error, "a connection did not become SPDY"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", HeaderValue::from_static("Upgrade"));
    headers.insert("upgrade", HeaderValue::from_static("SPDY/3.1"));
    if let Ok(protocol) = HeaderValue::from_str(protocol) {
        headers.insert("x-stream-protocol-version", protocol);
    }
    response
}

/// The node's refusal, as the client sees it.
fn refused(error: KubeletError) -> Status {
    Status::new(error.code, error.reason, error.message)
}
