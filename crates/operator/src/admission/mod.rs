//! Admission: early answers about our own kinds, while the author still looks.
//!
//! In: admission reviews of the API server, over TLS. Out: the published defaults written into the object, warnings, or a refusal that
//! names the key, the cause and the fix.
//! - [`check`]: one object to a verdict, by the rules of `model` and what `gate` derives of it, and no others (pure)
//! - [`defaulting`]: what `stoke_model::defaults` adds, as a JSON patch (pure)
//! - [`certificates`]: authorities and certificates, and when which is made (decisions pure)
//! - [`crate::policies`]: what the team's rules say of it
//! - `review`, `server`, `allowances`, `keeper`: the edges: the wire, TLS, what a namespace allows, the Secret and the configurations
//!
//! Nothing depends on it: whatever it would refuse, the operator refuses too and says so in the status. It never sees pods, and never has
//! side effects.

mod allowances;
pub mod certificates;
pub mod check;
pub mod defaulting;
mod keeper;
mod review;
mod server;

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use stoke_submit::application::Settings;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::health::Health;
use crate::metrics::Metrics;
use crate::policies::Policies;
pub use certificates::Terms;

/// What is served, and under which names.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookConfig {
    /// Where reviews are answered.
    pub address: std::net::SocketAddr,
    /// Namespace of the Secret and of the service.
    pub namespace: String,
    /// Name of the Secret with the certificates, shared by all operators side by side.
    pub secret: String,
    /// Name of the service through which the API server reaches this.
    pub service: String,
    /// Name of the MutatingWebhookConfiguration.
    pub mutating: String,
    /// Name of the ValidatingWebhookConfiguration.
    pub validating: String,
    /// Whether someone else fills the Secret.
    pub external: bool,
    /// With what a new Secret goes.
    pub owner: Option<OwnerReference>,
    /// Life of the certificates.
    pub terms: Terms,
}

/// Path of reviews that want defaults.
pub const DEFAULTING_PATH: &str = "/admission/default";
/// Path of reviews that want a verdict.
pub const CHECKING_PATH: &str = "/admission/check";

/// What every review is answered with.
#[derive(Clone)]
pub(crate) struct Reviewer {
    client: Client,
    settings: Settings,
    policies: Policies,
    allowances: allowances::Allowances,
    metrics: Metrics,
}

/// Answers reviews and keeps the certificates until `stop` turns true.
pub(crate) async fn serve(
    listener: TcpListener,
    client: Client,
    config: WebhookConfig,
    (settings, policies): (Settings, Policies),
    (metrics, health): (Metrics, Health),
    stop: watch::Receiver<bool>,
) {
    let client = crate::metrics::counted(&client, &metrics, None);
    let current = Arc::new(server::Current::default());
    let reviewer = Reviewer {
        client: client.clone(),
        settings,
        policies,
        allowances: allowances::Allowances::new(client.clone()),
        metrics: metrics.clone(),
    };
    let answering = server::answer(listener, current.clone(), review::router(reviewer), stop.clone());
    let keeping = keeper::keep(client, config, current, (metrics, health), stop);
    tokio::join!(answering, keeping);
}
