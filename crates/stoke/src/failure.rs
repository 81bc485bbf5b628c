//! What goes wrong, as the user sees it: a stable code, what happened, how to fix it, and the process's exit code.

use std::fmt::Display;

use stoke_laptop::{Kind, LaptopError};

/// A failure with its remedy. Exit codes: 1 the application failed, 2 the input is wrong, 3 the machine or cluster cannot, 130 interrupted.
#[derive(Debug)]
pub struct Failure {
    /// Stable code, for example `stoke::cluster::not-running`.
    pub code: &'static str,
    /// What happened and why.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
    /// Exit code of the process.
    pub exit: u8,
}

/// Result of a command.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// The input is wrong; exit code 2.
    pub fn input(code: &'static str, message: impl Display) -> Self {
        Failure {
            code,
            message: message.to_string(),
            fix: None,
            exit: 2,
        }
    }

    /// The machine or the cluster cannot; exit code 3.
    pub fn environment(code: &'static str, message: impl Display) -> Self {
        Failure {
            code,
            message: message.to_string(),
            fix: None,
            exit: 3,
        }
    }

    /// Says how to fix it.
    pub fn fix(mut self, fix: impl Display) -> Self {
        self.fix = Some(fix.to_string());
        self
    }
}

impl From<LaptopError> for Failure {
    fn from(error: LaptopError) -> Self {
        let exit = match error.kind {
            Kind::Input => 2,
            Kind::Environment => 3,
            Kind::TimedOut => 124,
            Kind::Interrupted => 130,
        };
        Failure {
            code: error.code,
            message: error.message,
            fix: error.fix,
            exit,
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        LaptopError::from(error).into()
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        LaptopError::from(error).into()
    }
}
