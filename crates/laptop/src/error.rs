//! What goes wrong here, with its cause and its fix.

use std::fmt::Display;

use stoke_diagnostics::{Diagnostic, Severity};
use stoke_storage::StorageError;

/// Whose matter a failure is: what becomes of the process follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for is wrong.
    Input,
    /// The machine or the cluster cannot.
    Environment,
    /// It took longer than it may.
    TimedOut,
    /// The user or the system wanted the process to end.
    Interrupted,
}

/// A failure.
#[derive(Debug, thiserror::Error)]
#[error("{}", .diagnostic.message)]
pub struct LaptopError {
    /// What happened, why, and what to do about it; its code is like `stoke::cluster::not-running`.
    pub diagnostic: Box<Diagnostic>,
    /// Whose matter it is.
    pub kind: Kind,
}

/// Result of what is done here.
pub type Outcome<T> = Result<T, LaptopError>;

impl LaptopError {
    /// A failure of a kind.
    pub fn new(kind: Kind, code: &'static str, message: impl Display) -> Self {
        let diagnostic = Diagnostic::new(Severity::Error, code, message.to_string());
        Self {
            diagnostic: Box::new(diagnostic),
            kind,
        }
    }

    /// What was asked for is wrong.
    pub fn input(code: &'static str, message: impl Display) -> Self {
        Self::new(Kind::Input, code, message)
    }

    /// The machine or the cluster cannot.
    pub fn environment(code: &'static str, message: impl Display) -> Self {
        Self::new(Kind::Environment, code, message)
    }

    /// Says how to fix it.
    #[must_use]
    pub fn fix(mut self, fix: impl Display) -> Self {
        self.diagnostic.fix = Some(fix.to_string().into());
        self
    }

    /// An address or an access that was given is wrong.
    pub fn storage(error: StorageError) -> Self {
        Self::input(error.code(), error)
    }
}

impl From<kube::Error> for LaptopError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                Self::environment("stoke::api::refused", format!("the API server answered {}: {}", status.code, status.message))
            }
            other => Self::environment("stoke::api::unreachable", format!("the API server cannot be reached: {other}"))
                .fix("`stoke status` shows whether the embedded cluster is up; for another cluster check --context and `kubectl cluster-info`"),
        }
    }
}

impl From<std::io::Error> for LaptopError {
    fn from(error: std::io::Error) -> Self {
        Self::environment("stoke::io", error)
    }
}
