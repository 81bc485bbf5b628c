//! Reviews and the webhook's certificates in numbers.

use std::time::Duration;

use jiff::Timestamp;

use super::{Metrics, catalogue};

impl Metrics {
    /// An object was offered for defaults.
    pub(crate) fn defaulted(&self, kind: &str, changed: bool) {
        let result = if changed { "changed" } else { "unchanged" };
        self.with(|registry| registry.add(&catalogue::DEFAULTED, &[kind, result], 1.0));
    }

    /// An object was reviewed, with these codes of errors.
    pub(crate) fn reviewed(&self, kind: &str, errors: &[&str], warned: bool, took: Duration) {
        let result = match (errors.is_empty(), warned) {
            (false, _) => "refused",
            (true, true) => "warned",
            (true, false) => "allowed",
        };
        self.with(|registry| {
            registry.add(&catalogue::REVIEWS, &[kind, result], 1.0);
            for code in errors {
                registry.add(&catalogue::REFUSALS, &[code], 1.0);
            }
            registry.observe(&catalogue::REVIEW_TIME, &[], took.as_secs_f64());
        });
    }

    /// The webhook serves a certificate that ends then.
    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are exact")]
    pub(crate) fn serves_until(&self, end: Timestamp) {
        self.with(|registry| registry.set(&catalogue::CERTIFICATE_END, &[], end.as_second() as f64));
    }

    /// A step was taken with the webhook's certificates.
    pub(crate) fn certificate_step(&self, step: &str) {
        self.with(|registry| registry.add(&catalogue::CERTIFICATE_STEPS, &[step], 1.0));
    }
}
