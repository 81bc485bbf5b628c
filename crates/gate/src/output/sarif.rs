//! The report as SARIF.

use serde_json::Value;
use stoke_diagnostics::sarif::{self, Item};

use crate::codes;
use crate::verdict::Report;
use crate::waivers::Waived;

/// The report as one SARIF run. Waived findings are there as suppressed ones.
#[must_use]
pub fn sarif(report: &Report, version: &str) -> Value {
    let justified = |waived: &Waived| {
        let Waived { owner, reason, expires } = waived;
        format!("{reason} ({owner}, until {expires})")
    };
    let of_gates = report.findings().map(|(gate, finding)| Item {
        diagnostic: &finding.diagnostic,
        suppressed: finding.waived.as_ref().map(justified),
        properties: vec![("gate", gate.name().into())],
    });
    let of_waivers = report.waivers.iter().map(|diagnostic| Item {
        diagnostic,
        suppressed: None,
        properties: vec![("gate", "waivers".into())],
    });
    let items: Vec<Item<'_>> = of_gates.chain(of_waivers).collect();
    sarif::sarif(&items, &codes::registry(), version)
}
