//! What goes wrong here, with its cause and its fix.

use std::fmt::Display;

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

/// A failure with its remedy.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct LaptopError {
    /// Stable code, for example `stoke::cluster::not-running`.
    pub code: &'static str,
    /// What happened and why.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
    /// Whose matter it is.
    pub kind: Kind,
}

/// Result of what is done here.
pub type Outcome<T> = Result<T, LaptopError>;

impl LaptopError {
    /// A failure of a kind.
    pub fn new(kind: Kind, code: &'static str, message: impl Display) -> Self {
        Self {
            code,
            message: message.to_string(),
            fix: None,
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
        self.fix = Some(fix.to_string());
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
