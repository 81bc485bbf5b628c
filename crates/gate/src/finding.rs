//! What a gate finds, and where.

use serde::Serialize;
use stoke_diagnostics::Diagnostic;

use crate::waivers::Waived;

/// What a gate found, and whether its owners let it pass. It reads like its [`Diagnostic`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What it found.
    #[serde(flatten)]
    pub diagnostic: Diagnostic,
    /// Who answers for letting it pass, why, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived: Option<Waived>,
}

impl Finding {
    /// True when it makes its gate fail.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.is_error() && self.waived.is_none()
    }
}

impl std::ops::Deref for Finding {
    type Target = Diagnostic;

    fn deref(&self) -> &Diagnostic {
        &self.diagnostic
    }
}
