//! What a gate finds, and where.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use stoke_model::manifest::{Complaint, Excerpt, Place, Severity, Source};

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

/// One thing a gate found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Stable name of the kind of finding; [`crate::codes`] tells what it means.
    pub code: Cow<'static, str>,
    /// How bad it is.
    pub severity: Severity,
    /// True when the gate could not tell: something it needs was missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cannot_tell: bool,
    /// Name of the file.
    pub file: String,
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0 for the file as a whole.
    pub column: usize,
    /// The field, for example `spec.driver.cores`; empty where there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What is wrong and why.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Who answers for letting it pass, why, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived: Option<crate::waivers::Waived>,
    /// The line it points at.
    #[serde(skip)]
    pub excerpt: Excerpt,
}

impl Finding {
    /// A finding at a place of a text.
    pub fn at(
        severity: Severity,
        code: impl Into<Cow<'static, str>>,
        source: &Source,
        place: Place,
        path: &str,
        message: impl Into<String>,
    ) -> Finding {
        Finding {
            line: place.line,
            column: place.column,
            path: path.to_owned(),
            excerpt: source.excerpt(place),
            ..Finding::of_file(severity, code, source.name(), message)
        }
    }

    /// A finding about a file as a whole, or about the job when `file` is empty.
    pub fn of_file(
        severity: Severity,
        code: impl Into<Cow<'static, str>>,
        file: &str,
        message: impl Into<String>,
    ) -> Finding {
        Finding {
            code: code.into(),
            severity,
            cannot_tell: false,
            file: file.to_owned(),
            line: 0,
            column: 0,
            path: String::new(),
            message: message.into(),
            fix: None,
            waived: None,
            excerpt: Excerpt::default(),
        }
    }

    /// A gate that lacks what it needs.
    pub fn cannot_tell(code: &'static str, file: &str, message: impl Into<String>) -> Finding {
        let mut finding = Finding::of_file(Severity::Error, code, file, message);
        finding.cannot_tell = true;
        finding
    }

    /// The same as something that could not be determined, which does not pass.
    #[must_use]
    pub fn unknown(mut self) -> Finding {
        self.severity = Severity::Error;
        self.cannot_tell = true;
        self
    }

    /// The same with a fix.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Finding {
        self.fix = Some(fix.into());
        self
    }

    /// True when it makes its gate fail.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.severity == Severity::Error && self.waived.is_none()
    }

    /// `file:line:column`, as much of it as there is.
    #[must_use]
    pub fn place(&self) -> String {
        match (self.file.is_empty(), self.line) {
            (true, _) => "the job".to_owned(),
            (false, 0) => self.file.clone(),
            (false, line) => format!("{}:{line}:{}", self.file, self.column),
        }
    }
}

impl From<Complaint> for Finding {
    fn from(complaint: Complaint) -> Finding {
        Finding {
            code: Cow::Borrowed(complaint.code),
            severity: complaint.severity,
            cannot_tell: false,
            file: complaint.file,
            line: complaint.line,
            column: complaint.column,
            path: complaint.path,
            message: complaint.message,
            fix: complaint.suggestion,
            waived: None,
            excerpt: complaint.excerpt,
        }
    }
}
