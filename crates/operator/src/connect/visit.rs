//! The edge to a server itself: a client's greeting, and a look at its page. At its address, or through the API server where pods cannot be
//! reached (an operator on a laptop).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::Api;
use stoke_connect::greeting;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::facts::Outcome;
use super::usage::{self, Usage};

/// A pod of this machine's network answers a connection within this; after it the way through the API server is tried.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// Where a port of a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Address of the pod.
    pub ip: String,
    pub port: u16,
}

/// How servers are visited.
pub trait Visitor: Send + Sync {
    /// Greets the server at this port as a client: it answers, or is silent.
    fn greet<'a>(&'a self, client: &'a Client, place: &'a Place) -> BoxFuture<'a, Outcome>;
    /// Reads how much the server is used from its UI at this port.
    fn count<'a>(&'a self, client: &'a Client, place: &'a Place) -> BoxFuture<'a, Usage>;
}

/// The visitor of an operator: over the network, unless a test brings another.
#[derive(Clone)]
pub struct Visits(pub(super) Arc<dyn Visitor>);

impl Visits {
    /// Visits made by `visitor`.
    pub fn new(visitor: impl Visitor + 'static) -> Self {
        Self(Arc::new(visitor))
    }
}

impl Default for Visits {
    fn default() -> Self {
        Self::new(Network)
    }
}

impl std::fmt::Debug for Visits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Visits")
    }
}

struct Network;

impl Visitor for Network {
    fn greet<'a>(&'a self, client: &'a Client, place: &'a Place) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let limit = greeting::PATIENCE + CONNECT_PATIENCE;
            let greeted = tokio::time::timeout(limit, async {
                let stream = reach(client, place).await?;
                greeting::greet(stream).await.map_err(|error| error.to_string())
            });
            match greeted.await.unwrap_or_else(|_| Err(NOT_FORWARDED.to_owned())) {
                Ok(says) => Outcome::Answered { says },
                Err(message) => Outcome::Silent { message },
            }
        })
    }

    fn count<'a>(&'a self, client: &'a Client, place: &'a Place) -> BoxFuture<'a, Usage> {
        Box::pin(async move {
            let limit = usage::PATIENCE + CONNECT_PATIENCE;
            let counted = tokio::time::timeout(limit, async {
                match reach(client, place).await {
                    Ok(stream) => usage::read(stream).await,
                    Err(message) => Usage::unreadable(format_args!("the UI cannot be reached: {message}")),
                }
            });
            counted
                .await
                .unwrap_or_else(|_| Usage::unreadable(format_args!("the UI cannot be reached: {NOT_FORWARDED}")))
        })
    }
}

const NOT_FORWARDED: &str = "the API server does not forward";

trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

async fn reach(client: &Client, place: &Place) -> Result<Box<dyn Connection>, String> {
    if let Some(stream) = direct(place).await {
        return Ok(Box::new(stream));
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), &place.namespace);
    let mut forwarder = pods
        .portforward(&place.pod, &[place.port])
        .await
        .map_err(|error| format!("neither at its address nor through the API server: {error}"))?;
    let stream = forwarder
        .take_stream(place.port)
        .ok_or("the API server forwards nothing")?;
    Ok(Box::new(stream))
}

async fn direct(place: &Place) -> Option<TcpStream> {
    let address: IpAddr = place.ip.parse().ok()?;
    let connecting = TcpStream::connect((address, place.port));
    tokio::time::timeout(CONNECT_PATIENCE, connecting).await.ok()?.ok()
}
