//! An operator as a service: the controller with leases, selected namespaces, probes and metrics around it.
//!
//! In: a client and [`ServeConfig`]. Out: a process that works until it is told to stop, then hands its leases back.
//! - [`namespaces`]: which namespaces a label selector selects, as they come and go
//! - [`throttle`]: how many requests the API server gets, where someone wants a limit
//! - [`http`]: `/metrics`, `/healthz`, `/readyz`
//! - [`crate::admission`]: early answers, when there is a webhook
//!
//! It decides nothing about applications; that is the controller's.

mod http;
mod namespaces;
mod throttle;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::admission::{self, WebhookConfig};
use crate::gate::Gate;
use crate::lease::{Election, keep};
use crate::metrics::Metrics;
use crate::{Operator, OperatorConfig};

pub use throttle::RequestLimit;

/// What is served, and where.
#[derive(Clone, Debug, Default)]
pub struct ServeConfig {
    /// The controller. Its gate is made here.
    pub operator: OperatorConfig,
    /// Label selector of the namespaces to work in, besides `operator.namespaces`; needs the right to list namespaces, and rights in all.
    pub namespace_selector: Option<String>,
    /// Most requests for applications; without one the API server's priority and fairness decide. Leases, reviews and watches have none.
    pub requests: Option<RequestLimit>,
    /// Leases; none when this is the only operator.
    pub election: Option<Election>,
    /// Where `/healthz` and `/readyz` are answered.
    pub probes: Option<SocketAddr>,
    /// Where metrics are answered, and the path.
    pub metrics: Option<(SocketAddr, String)>,
    /// Admission; none when there is none.
    pub webhook: Option<WebhookConfig>,
}

/// Why it cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        address: SocketAddr,
        /// The system's message.
        cause: std::io::Error,
    },
}

/// Serves until `stop` turns true.
///
/// # Errors
/// An address that cannot be listened on; everything later is tried again.
pub async fn serve(client: Client, config: ServeConfig, stop: watch::Receiver<bool>) -> Result<(), ServeError> {
    let (control, gate) = Gate::new(config.election.as_ref().map_or(0, |election| election.shards));
    let mut operator = config.operator;
    // What leases and namespaces are answered tells the controller, too, and the other way round.
    let (reach, told_client) = (operator.reach.clone(), operator.reach.over(&client));
    operator.gate = gate;
    let mut named = BTreeSet::new();
    if config.namespace_selector.is_some() {
        // Namespaces can be selected at any time: all are watched, and the gate is open for these.
        named.extend(std::mem::take(&mut operator.namespaces));
    }
    let (metrics, health) = (operator.metrics.clone(), operator.health.clone());
    let webhook = match config.webhook {
        Some(webhook) => Some((listen(webhook.address).await?, webhook)),
        None => None,
    };
    let told = (metrics.clone(), health.clone());
    let rules = (operator.settings.clone(), operator.policies.clone());
    let admitting = async {
        if let Some((listener, webhook)) = webhook {
            admission::serve(listener, client.clone(), webhook, rules, told, stop.clone()).await;
        }
    };
    let mut servers = Vec::new();
    if let Some(address) = config.probes {
        servers.push((listen(address).await?, http::probes(health.clone())));
    }
    if let Some((address, path)) = config.metrics {
        servers.push((listen(address).await?, http::metrics(metrics, &path)));
    }
    let answering = servers
        .into_iter()
        .map(|(listener, router)| http::answer(listener, router, stop.clone()));
    let selecting = async {
        if let Some(selector) = &config.namespace_selector {
            namespaces::select(told_client.clone(), &reach, selector, &named, &control, stop.clone()).await;
        }
    };
    let leading = async {
        if let Some(election) = config.election {
            keep(told_client.clone(), election, &control, stop.clone()).await;
        }
    };
    let asking = config.requests.map(|limit| throttle::throttled(&client, limit));
    let working = Operator::new(asking.unwrap_or_else(|| client.clone()), operator).run(stop.clone());
    // All of them end when `stop` turns true; the leases are handed back when the work is cut off.
    tokio::join!(
        working,
        leading,
        selecting,
        admitting,
        futures::future::join_all(answering)
    );
    Ok(())
}

/// Answers with metrics at `/metrics`, for an operator that is part of another program, until `stop` turns true.
pub async fn answer_metrics(listener: TcpListener, metrics: Metrics, stop: watch::Receiver<bool>) {
    http::answer(listener, http::metrics(metrics, "/metrics"), stop).await;
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| ServeError::Listen { address, cause })
}
