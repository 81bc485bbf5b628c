//! Keeps the certificates: one Secret for all operators side by side, and its authorities in the webhook configurations.
//!
//! The Secret is the truth. Whoever is first writes it, everybody else finds it written and serves it; a write that meets another's is
//! given up for what the other wrote. A Secret that someone else made (cert-manager, a person) is served and never written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::WebhookConfig;
use super::certificates::{Bundle, CertificateError, Step, decide, take};
use super::server::Current;
use crate::act::is_code;
use crate::controller::stopped;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::names::COMPONENT;

/// Annotation of the Secret: it is ours, and when its last step was taken.
const CHANGED: &str = "stoke.dev/certificates-changed-at";
/// Shortest wait after a failure, and longest time between two looks.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Steps without a pause; a rotation never needs two.
const ROUNDS: usize = 4;

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{what} {name}: {cause}")]
    Api {
        what: &'static str,
        name: String,
        cause: Box<kube::Error>,
    },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(
        "Secret {0} holds no usable certificate and was not made by this operator; delete it, or name another with --webhook-secret-name"
    )]
    Foreign(String),
    #[error("Secret {0} is not there yet, and --webhook-make-certificates=false leaves it to others")]
    Awaited(String),
}

/// Keeps them until `stop` turns true.
pub(super) async fn keep(
    client: Client,
    config: WebhookConfig,
    current: Arc<Current>,
    (metrics, health): (Metrics, Health),
    mut stop: watch::Receiver<bool>,
) {
    let settle = Duration::try_from(config.terms.settle).unwrap_or(INTERVAL.1);
    let interval = (settle / 4).min(INTERVAL.1);
    health.webhook(Err("the webhook has no certificate yet".to_owned()));
    let mut keeper = Keeper {
        names: names(&config),
        client,
        config,
        current,
        metrics,
        health,
        served: String::new(),
    };
    let mut wait = Duration::ZERO;
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = match keeper.look().await {
            Ok(()) => interval,
            Err(fault) => {
                tracing::warn!(%fault, "the webhook's certificates could not be kept; trying again");
                if keeper.served.is_empty() {
                    keeper
                        .health
                        .webhook(Err(format!("the webhook has no certificate: {fault}")));
                }
                (wait * 2).clamp(INTERVAL.0, INTERVAL.1)
            }
        };
    }
}

/// Names by which API servers call the service.
fn names(config: &WebhookConfig) -> Vec<String> {
    let host = format!("{}.{}.svc", config.service, config.namespace);
    vec![host.clone(), format!("{host}.cluster.local")]
}

struct Keeper {
    client: Client,
    config: WebhookConfig,
    names: Vec<String>,
    current: Arc<Current>,
    metrics: Metrics,
    health: Health,
    /// The certificate that is served.
    served: String,
}

impl Keeper {
    async fn look(&mut self) -> Result<(), Fault> {
        for _ in 0..ROUNDS {
            if self.turn().await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One look; false when the Secret changed and is to be looked at again.
    async fn turn(&mut self) -> Result<bool, Fault> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.config.namespace);
        let failed = |cause| self.fault("Secret", &self.config.secret, cause);
        let stored = api.get_opt(&self.config.secret).await.map_err(failed)?;
        let bundle = stored.as_ref().map(read);
        let usable = bundle
            .as_ref()
            .and_then(|bundle| Some((bundle, bundle.facts(false).ok()?, bundle.certified().ok()?)));
        let is_ours = match &stored {
            None => true,
            Some(secret) => secret.annotations().contains_key(CHANGED) || secret.data.iter().all(BTreeMap::is_empty),
        };
        let mut injected = Ok(());
        let mut facts = None;
        if let Some((bundle, mut known, certified)) = usable {
            if bundle.certificate != self.served {
                self.current.set(certified);
                self.served.clone_from(&bundle.certificate);
                self.metrics.serves_until(known.serving.not_after);
                tracing::info!(until = %known.serving.not_after, "the webhook serves a certificate");
            }
            self.health.webhook(Ok(()));
            injected = self.inject(&bundle.trust()).await;
            known.injected = injected.is_ok();
            facts = Some(known);
        } else if !is_ours {
            return Err(Fault::Foreign(self.config.secret.clone()));
        }
        if self.config.external && facts.is_none() {
            return Err(Fault::Awaited(self.config.secret.clone()));
        }
        let now = Timestamp::now();
        let step = decide(facts.as_ref(), &self.names, now, &self.config.terms);
        if step == Step::Keep || !is_ours || self.config.external {
            return injected.map(|()| true);
        }
        let old = bundle.as_ref().filter(|_| facts.is_some());
        let new = take(step, old, &self.names, now, &self.config.terms)?;
        let secret = secret(stored.clone(), &self.config, &new);
        let parameters = PostParams {
            field_manager: Some(COMPONENT.to_owned()),
            ..PostParams::default()
        };
        let written = match &stored {
            None => api.create(&parameters, &secret).await,
            Some(_) => api.replace(&self.config.secret, &parameters, &secret).await,
        };
        match written {
            Ok(_) => {
                tracing::info!(step = step.name(), "the webhook's certificates were changed");
                self.metrics.certificate_step(step.name());
            }
            // Another operator was faster: what it wrote is as good.
            Err(error) if is_code(&error, 409) || is_code(&error, 404) => {}
            Err(error) => return Err(self.fault("Secret", &self.config.secret, error)),
        }
        Ok(false)
    }

    /// Writes the authorities into both configurations where they are not there yet. A configuration that is not there needs none.
    async fn inject(&self, trust: &str) -> Result<(), Fault> {
        let bundle = STANDARD.encode(trust);
        for (kind, plural, name) in [
            (
                "MutatingWebhookConfiguration",
                "mutatingwebhookconfigurations",
                &self.config.mutating,
            ),
            (
                "ValidatingWebhookConfiguration",
                "validatingwebhookconfigurations",
                &self.config.validating,
            ),
        ] {
            let kind_of = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
            let resource = ApiResource::from_gvk_with_plural(&kind_of, plural);
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
            let failed = |cause| self.fault(kind, name, cause);
            let Some(stored) = api.get_opt(name).await.map_err(failed)? else {
                tracing::debug!(kind, name = name.as_str(), "not there; nothing to write");
                continue;
            };
            let Some(webhooks) = trusting(&stored.data["webhooks"], &bundle) else {
                continue;
            };
            // The whole list with the version it was read at: nothing that others write meanwhile is lost.
            let patch = json!({"metadata": {"resourceVersion": stored.resource_version()}, "webhooks": webhooks});
            let parameters = PatchParams {
                field_manager: Some(COMPONENT.to_owned()),
                ..PatchParams::default()
            };
            match api.patch(name, &parameters, &Patch::Merge(patch)).await {
                Ok(_) => tracing::info!(kind, name = name.as_str(), "the webhook's authorities were written"),
                Err(cause) => return Err(self.fault(kind, name, cause)),
            }
        }
        Ok(())
    }

    fn fault(&self, what: &'static str, name: &str, cause: kube::Error) -> Fault {
        Fault::Api {
            what,
            name: name.to_owned(),
            cause: Box::new(cause),
        }
    }
}

/// The webhooks with this bundle; none when they have it.
fn trusting(webhooks: &Value, bundle: &str) -> Option<Value> {
    let mut all = webhooks.as_array()?.clone();
    let mut changed = false;
    for webhook in &mut all {
        let config = &mut webhook["clientConfig"];
        if config["caBundle"] != bundle {
            config["caBundle"] = bundle.into();
            changed = true;
        }
    }
    changed.then(|| Value::from(all))
}

fn read(secret: &Secret) -> Bundle {
    let part = |name: &str| {
        let data = secret.data.as_ref().and_then(|data| data.get(name));
        data.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned())
            .unwrap_or_default()
    };
    let changed = secret.annotations().get(CHANGED);
    Bundle {
        authorities: Bundle::authorities(&part("ca.crt")),
        authority_key: part("ca.key"),
        certificate: part("tls.crt"),
        key: part("tls.key"),
        changed: changed
            .and_then(|text| text.parse().ok())
            .unwrap_or(Timestamp::UNIX_EPOCH),
    }
}

fn secret(stored: Option<Secret>, config: &WebhookConfig, bundle: &Bundle) -> Secret {
    let mut secret = stored.unwrap_or_else(|| {
        let mut new = Secret {
            type_: Some("kubernetes.io/tls".to_owned()),
            ..Secret::default()
        };
        new.metadata.name = Some(config.secret.clone());
        new.metadata.namespace = Some(config.namespace.clone());
        new.metadata.owner_references = config.owner.clone().map(|owner| vec![owner]);
        let label = ("app.kubernetes.io/managed-by".to_owned(), COMPONENT.to_owned());
        new.metadata.labels = Some(BTreeMap::from([label]));
        new
    });
    secret.metadata.managed_fields = None;
    let changed = (CHANGED.to_owned(), bundle.changed.to_string());
    secret.metadata.annotations.get_or_insert_default().extend([changed]);
    let parts = [
        ("ca.crt", bundle.trust()),
        ("ca.key", bundle.authority_key.clone()),
        ("tls.crt", bundle.certificate.clone()),
        ("tls.key", bundle.key.clone()),
    ];
    let parts = parts.map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes())));
    secret.data = Some(BTreeMap::from(parts));
    secret
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_was_written() {
        let config = WebhookConfig {
            address: ([127, 0, 0, 1], 0).into(),
            namespace: "ops".into(),
            secret: "certs".into(),
            service: "hook".into(),
            mutating: "m".into(),
            validating: "v".into(),
            external: false,
            owner: None,
            terms: super::super::Terms::default(),
        };
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(names(&config), ["hook.ops.svc", "hook.ops.svc.cluster.local"]);
        let bundle = take(Step::Create, None, &names(&config), now, &config.terms).unwrap();
        assert_eq!(read(&secret(None, &config, &bundle)), bundle);
        let adopted = secret(
            Some(Secret {
                type_: Some("Opaque".into()),
                ..Secret::default()
            }),
            &config,
            &bundle,
        );
        assert_eq!((adopted.type_.as_deref(), read(&adopted)), (Some("Opaque"), bundle));
        assert_eq!(read(&Secret::default()).changed, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn bundles_are_written_where_they_differ() {
        let webhooks =
            json!([{"name": "a", "clientConfig": {"service": {}, "caBundle": "x"}}, {"name": "b", "clientConfig": {}}]);
        let written = trusting(&webhooks, "x").unwrap();
        assert_eq!(written[1]["clientConfig"]["caBundle"], "x");
        assert_eq!(trusting(&written, "x"), None);
        assert_eq!(trusting(&Value::Null, "x"), None);
    }
}
