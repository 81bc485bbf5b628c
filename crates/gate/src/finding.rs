//! What a gate finds, and where.

use std::fmt;

use serde::Serialize;
use stoke_diagnostics::Diagnostic;

use crate::waivers::Waived;

/// A gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Manifests: schemas, API versions, rules of an application.
    Manifest,
    /// Spark configuration: keys, values, contradictions, what cannot work on Kubernetes.
    Conf,
    /// The pods a job would create: would they be admitted, would they fit.
    Pods,
    /// The team's policies.
    Policy,
    /// Spark SQL in files and in Python.
    Sql,
    /// Data contracts.
    Contracts,
    /// What the job depends on.
    Dependencies,
    /// Keys, tokens and passwords in the job's files.
    Secrets,
    /// The job's own tests; only when asked for.
    Tests,
    /// What an API server says; only when asked for.
    DryRun,
    /// A start of the job's Spark; only when asked for.
    SparkDryRun,
}

impl Gate {
    /// All, in the order they run.
    pub const ALL: [Gate; 11] = [
        Gate::Manifest,
        Gate::Conf,
        Gate::Pods,
        Gate::Policy,
        Gate::Sql,
        Gate::Contracts,
        Gate::Dependencies,
        Gate::Secrets,
        Gate::Tests,
        Gate::DryRun,
        Gate::SparkDryRun,
    ];

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Gate::Manifest => "manifest",
            Gate::Conf => "conf",
            Gate::Pods => "pods",
            Gate::Policy => "policy",
            Gate::Sql => "sql",
            Gate::Contracts => "contracts",
            Gate::Dependencies => "dependencies",
            Gate::Secrets => "secrets",
            Gate::Tests => "tests",
            Gate::DryRun => "dry-run",
            Gate::SparkDryRun => "spark-dry-run",
        }
    }

    /// What it looks at, in a few words.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Gate::Manifest => "manifests against their schemas and rules",
            Gate::Conf => "Spark configuration against its Spark version and Kubernetes",
            Gate::Pods => "the driver and executor pods the job would create",
            Gate::Policy => "the team's policies over manifests, configuration and pods",
            Gate::Sql => "Spark SQL, as the job's Spark parses it",
            Gate::Contracts => "data contracts, whether they can be read",
            Gate::Dependencies => "Python and JVM dependencies",
            Gate::Secrets => "keys, tokens and passwords in files",
            Gate::Tests => "the job's own tests, with its Spark",
            Gate::DryRun => "what the API server says of objects and pods",
            Gate::SparkDryRun => "a start of the job's Spark with its configuration",
        }
    }

    /// The gate of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Gate> {
        Gate::ALL.into_iter().find(|gate| gate.name() == name)
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

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
