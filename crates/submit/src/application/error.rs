//! Why an application cannot be submitted.

use crate::PlanError;

/// What is wrong with a `SparkApplication`, by the path of the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplicationError {
    /// A configuration key that would go round what the operator guarantees: which, why, and what to use instead.
    #[error("{0}")]
    RefusedKey(String),
    /// A field that is missing, does not parse, or contradicts another.
    #[error("{path}: {reason}")]
    Field {
        /// Path of the field, `spec.driver.memory`.
        path: String,
        /// What is wrong, and what to write instead.
        reason: String,
    },
    /// What Spark itself refuses.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl ApplicationError {
    pub(crate) fn field(path: impl Into<String>, reason: String) -> Self {
        Self::Field {
            path: path.into(),
            reason,
        }
    }

    /// Stable code for machines: event reasons, metric labels.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::RefusedKey(_) => "RefusedSparkConf",
            Self::Field { .. } => "InvalidField",
            Self::Plan(error) => error.code(),
        }
    }
}
