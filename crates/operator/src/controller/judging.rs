//! Policies are asked before pods are made, also where no webhook asked them before the application was stored.

use stoke_model::crd::SparkApplication;

use super::reconcile::Turn;
use super::turn::Stop;
use crate::act::pods;
use crate::application::{Driver, Facts, Outcome};
use crate::names::API_VERSION;
use crate::policies::{At, Case, Ruling, With};

impl Turn<'_> {
    /// The application as its pods are to be made: with every image that a policy asks something of by its digest.
    pub(super) async fn images_admitted(&self, facts: &Facts) -> Result<SparkApplication, Outcome> {
        let default = self.context.settings.default_image.as_deref();
        self.context.images.admit(&facts.app, default).await
    }

    /// Whether someone is to be asked before pods are made.
    pub(super) fn asks_first(&self) -> bool {
        self.context.policies.are_there() || self.context.images.is_there()
    }

    /// Why policies do not let this submission be; none when they do, or when its driver is there already.
    pub(super) async fn judged(&self, facts: &Facts) -> Result<Option<Outcome>, Stop> {
        let status = facts.app.status.as_ref();
        let submission = status.and_then(|status| status.submission_id.as_ref());
        let is_begun =
            |driver: &Driver| matches!(driver, Driver::Present(pod) if pod.submission_id.as_ref() == submission);
        if is_begun(&facts.driver) {
            return Ok(None);
        }
        // Images first: what they are is decided by the platform's policy, not by the team's.
        if let Err(refused) = self.images_admitted(facts).await {
            return Ok(Some(refused));
        }
        let case = Case {
            kind: "SparkApplication".to_owned(),
            namespace: self.key.namespace.clone(),
            object: self.app.written(API_VERSION, "SparkApplication"),
        };
        let with = With {
            client: &self.context.client,
            settings: &self.context.settings,
            metrics: &self.context.metrics,
        };
        let Some(ruling) = self.context.policies.judge(At::Submission, case, with).await else {
            return Ok(None);
        };
        for warning in &ruling.warned {
            tracing::warn!(%warning, "policy");
        }
        if ruling.passes() {
            return Ok(None);
        }
        // A turn that was cut off may have made the driver when policies were others.
        if let Some(name) = status.and_then(|status| status.driver_info.pod_name.as_ref()) {
            let driver = pods::look(&self.context.client, &self.key.namespace, name, &self.app.uid).await?;
            if is_begun(&driver) {
                return Ok(None);
            }
        }
        Ok(Some(outcome(&ruling)))
    }
}

/// What a ruling is for the application: denied for good, refused by rules that failed, or waiting until someone can be asked.
fn outcome(ruling: &Ruling) -> Outcome {
    let message = ruling.summary();
    let refused = |code: &str, permanent: bool| Outcome::Refused {
        code: code.to_owned(),
        message: message.clone(),
        permanent,
    };
    match ruling {
        Ruling { denied, .. } if !denied.is_empty() => refused("PolicyDenied", true),
        Ruling { missing: Some(_), .. } => Outcome::Blocked { message },
        _ => refused("PolicyUnknown", false),
    }
}
