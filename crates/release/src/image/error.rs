//! Why an image was not built.

use std::fmt;

use stoke_diagnostics::{Diagnostic, Severity};

use crate::oci::OciError;

/// Why an image was not built. Nothing was written then, but for what the cache keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// What is wrong, at least one.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether the input is wrong, and not the machine, the network or a registry.
    pub is_input: bool,
}

impl BuildError {
    /// Something is wrong with what was given.
    pub fn input(code: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        let diagnostic = Diagnostic::new(Severity::Error, code, message).with_fix(fix.into());
        Self::of(vec![diagnostic])
    }

    /// The machine or the network cannot.
    pub fn environment(code: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            is_input: false,
            ..Self::input(code, message, fix)
        }
    }

    /// Findings of a file.
    #[must_use]
    pub fn of(diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            diagnostics,
            is_input: true,
        }
    }
}

impl From<OciError> for BuildError {
    fn from(error: OciError) -> Self {
        Self {
            diagnostics: vec![error.to_diagnostic()],
            is_input: error.is_input(),
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self
            .diagnostics
            .iter()
            .map(|found| format!("{}: {}", found.code, found.message))
            .collect();
        f.write_str(&texts.join("\n"))
    }
}

impl std::error::Error for BuildError {}
