//! Policies in numbers.

use std::time::Duration;

use super::{Metrics, catalogue};
use crate::policies::Ruling;

impl Metrics {
    /// An object was judged on this occasion.
    pub(crate) fn judged(&self, at: &str, ruling: &Ruling, took: Duration) {
        self.with(|registry| {
            registry.add(&catalogue::POLICY_EVALUATIONS, &[at, ruling.result()], 1.0);
            for said in &ruling.denied {
                registry.add(&catalogue::POLICY_DENIALS, &[at, &said.code], 1.0);
            }
            registry.observe(&catalogue::POLICY_TIME, &[at], took.as_secs_f64());
        });
    }

    /// Policies were loaded, with so many rules, or could not be used.
    pub(crate) fn policies_loaded(&self, rules: Option<usize>) {
        let result = if rules.is_some() { "loaded" } else { "failed" };
        self.with(|registry| {
            registry.add(&catalogue::POLICY_LOADS, &[result], 1.0);
            registry.set(&catalogue::POLICY_BROKEN, &[], f64::from(u8::from(rules.is_none())));
            if let Some(rules) = rules {
                let rules = f64::from(u32::try_from(rules).unwrap_or(u32::MAX));
                registry.set(&catalogue::POLICY_RULES, &[], rules);
            }
        });
    }
}
