//! What goes wrong, as the user sees it: a diagnostic, and the process's exit code.

use std::fmt::Display;

use stoke_diagnostics::{Diagnostic, Severity};
use stoke_laptop::{Kind, LaptopError};

/// A failure. Exit codes: 1 the application failed, 2 the input is wrong, 3 the machine or cluster cannot, 130 interrupted.
#[derive(Debug)]
pub struct Failure {
    /// What happened, why, and what to do about it; its code is like `stoke::cluster::not-running`.
    pub diagnostic: Box<Diagnostic>,
    /// Exit code of the process.
    pub exit: u8,
}

/// Result of a command.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure with an exit code of its own.
    pub fn new(code: &'static str, message: impl Display, exit: u8) -> Self {
        let diagnostic = Diagnostic::new(Severity::Error, code, message.to_string());
        Failure {
            diagnostic: Box::new(diagnostic),
            exit,
        }
    }

    /// The input is wrong; exit code 2.
    pub fn input(code: &'static str, message: impl Display) -> Self {
        Failure::new(code, message, 2)
    }

    /// The machine or the cluster cannot; exit code 3.
    pub fn environment(code: &'static str, message: impl Display) -> Self {
        Failure::new(code, message, 3)
    }

    /// With a message of the form `cause; fix` divided into both.
    pub fn divided(mut self) -> Self {
        self.diagnostic = Box::new(self.diagnostic.divided());
        self
    }

    /// Says how to fix it.
    pub fn fix(mut self, fix: impl Display) -> Self {
        self.diagnostic.fix = Some(fix.to_string().into());
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
            diagnostic: error.diagnostic,
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
