//! Flags of `stoke operator run` for admission. Those that the published operator has, have its names.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::SignedDuration;
use stoke_operator::admission::{Terms, WebhookConfig};

use super::run::time;
use crate::failure::{Failure, Outcome};

/// Admission.
#[derive(clap::Args)]
pub struct Webhook {
    /// Review applications before they are stored
    #[arg(long, value_name = "BOOL", default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_webhook: bool,
    /// Port on which reviews are answered, with TLS
    #[arg(long, value_name = "PORT", default_value_t = 9443)]
    webhook_port: u16,
    /// Namespace of the webhook's Secret and service [default: the pod's, else the context's]
    #[arg(long, value_name = "NAME")]
    webhook_namespace: Option<String>,
    /// Secret of the webhook's certificates
    #[arg(long, value_name = "NAME", default_value = "spark-operator-webhook-certs")]
    webhook_secret_name: String,
    /// Service of the webhook
    #[arg(long, value_name = "NAME", default_value = "spark-operator-webhook-svc")]
    webhook_service_name: String,
    /// MutatingWebhookConfiguration that is told whom to trust
    #[arg(long, value_name = "NAME", default_value = "spark-operator-webhook")]
    mutating_webhook_name: String,
    /// ValidatingWebhookConfiguration that is told whom to trust
    #[arg(long, value_name = "NAME", default_value = "spark-operator-webhook")]
    validating_webhook_name: String,
    /// Make the webhook's certificates; with false someone else fills the Secret
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    webhook_make_certificates: bool,
    /// How long the webhook's certificates are valid
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = time)]
    webhook_certificate_lifetime: Duration,
    /// How long before their end new ones are made
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = time)]
    webhook_certificate_renew_before: Duration,
    /// Pause between the steps of a rotation, in which everybody learns of the last
    #[arg(long, value_name = "TIME", default_value = "4min", value_parser = time)]
    webhook_certificate_settle: Duration,
}

impl Webhook {
    /// What is served; none when it is not enabled.
    pub fn config(&self, namespace: &str) -> Outcome<Option<WebhookConfig>> {
        let signed = |time: Duration| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        let terms = Terms {
            lifetime: signed(self.webhook_certificate_lifetime),
            renew_before: signed(self.webhook_certificate_renew_before),
            settle: signed(self.webhook_certificate_settle),
        };
        if !self.enable_webhook {
            return Ok(None);
        }
        terms
            .check()
            .map_err(|why| Failure::input("stoke::operator::webhook", why))?;
        Ok(Some(WebhookConfig {
            address: SocketAddr::from((Ipv6Addr::UNSPECIFIED, self.webhook_port)),
            namespace: self.webhook_namespace.clone().unwrap_or_else(|| namespace.to_owned()),
            secret: self.webhook_secret_name.clone(),
            service: self.webhook_service_name.clone(),
            mutating: self.mutating_webhook_name.clone(),
            validating: self.validating_webhook_name.clone(),
            external: !self.webhook_make_certificates,
            owner: stoke_operator::own::service_account(),
            terms,
        }))
    }
}
