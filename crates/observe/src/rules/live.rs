//! What a running Prometheus has, held against what files ask for.

use std::collections::BTreeSet;

use stoke_diagnostics::{Diagnostic, Severity};

use super::look::Set;
use super::read::Expression;

/// What a server said.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Its address, for messages.
    pub server: String,
    /// Names of metrics that it has.
    pub names: BTreeSet<String>,
}

impl Live {
    /// Complains about metrics that the server does not have; and no longer about such that it has and the catalogue lacks.
    pub(super) fn look(&self, set: &Set<'_>, expressions: &[Expression], diagnostics: &mut Vec<Diagnostic>) {
        for (name, places) in set.selected() {
            let has = self.names.contains(&name);
            if has {
                let quoted = format!("`{name}`");
                diagnostics.retain(|found| {
                    !(matches!(&*found.code, "metric-unknown" | "metric-not-known") && found.message.contains(&quoted))
                });
                continue;
            }
            if set.is_recorded(&name) {
                continue;
            }
            for (index, span) in places {
                let expression = &expressions[index];
                let again = diagnostics
                    .iter()
                    .any(|found| found.code == "metric-unknown" && found.message.contains(&format!("`{name}`")));
                if again {
                    continue;
                }
                diagnostics.push(
                    expression
                        .text
                        .diagnostic(
                            Severity::Warning,
                            "metric-not-live",
                            span.start..span.end,
                            &expression.path,
                            format!("{} has no series `{name}` now", self.server),
                        )
                        .with_fix("scrape what has it; `stoke metrics explain` tells how it is switched on"),
                );
            }
        }
    }
}
