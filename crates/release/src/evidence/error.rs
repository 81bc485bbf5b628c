//! A refusal: why a piece of evidence shows nothing, or cannot be made.

use stoke_diagnostics::{Diagnostic, Severity};

/// Why. Displayed, it is the cause; what to do is in `fix`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvidenceError {
    /// Stable name of the kind, from `codes.txt`.
    pub code: &'static str,
    pub message: String,
    pub fix: String,
}

impl EvidenceError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>, fix: impl Into<String>) -> EvidenceError {
        EvidenceError {
            code,
            message: message.into(),
            fix: fix.into(),
        }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> EvidenceError {
        EvidenceError::new("evidence-malformed", message, "fetch it again, or sign again")
    }

    pub(crate) fn signature(message: impl Into<String>) -> EvidenceError {
        EvidenceError::new(
            "evidence-signature",
            message,
            "verify with the key of the signer; when it is the right one, do not use what it is about",
        )
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> EvidenceError {
        EvidenceError::new(
            "evidence-unsupported",
            message,
            "sign again as a sigstore bundle v0.3 with an ECDSA, Ed25519 or RSA key",
        )
    }
}

impl From<EvidenceError> for Diagnostic {
    fn from(error: EvidenceError) -> Diagnostic {
        Diagnostic::new(Severity::Error, error.code, error.message).with_fix(error.fix)
    }
}
