//! Room `gate`: every reason a job would fail or be refused, found before it runs.
//!
//! In: the files of a job directory ([`job`]), what it is to run on ([`Settings`]), the waivers its owners wrote ([`waivers`]). Out: a [`Report`], for
//! each gate a [`Verdict`] with findings that stand at a place in a file, as text, JSON, SARIF or JUnit ([`output`]).
//! - [`gates`]: one file per gate, each a function from the job to findings
//! - [`derived`], [`sizing`]: the pods an application becomes, and whether they fit; the operator's admission asks here too
//! - [`codes`]: what every code means, why it matters and how it is mended
//!
//! A gate that lacks what it needs cannot tell, and what cannot be told does not pass. [`job::read`] reads the job's files, the gate of SQL the grammars in
//! the jars of the Sparks it is given, and the gate of dependencies archives, files that requirements include and the database of advisories; nothing else here reads a file, asks a cluster or looks at a clock (but for how long a gate took).

pub mod codes;
pub mod derived;
pub mod finding;
pub mod gates;
pub mod job;
pub mod output;
pub mod python;
pub mod sizing;
pub mod verdict;
pub mod waivers;

pub use finding::{Finding, Gate};
pub use job::{File, Job, Kind};
pub use verdict::{GateReport, Report, Verdict, check};

use std::path::PathBuf;

use stoke_model::kubernetes::Release;
use stoke_model::pod_security::{Level, Version};

/// What a job is to run on, and how strictly it is looked at.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Release of Kubernetes the manifests are for.
    pub kubernetes: Release,
    /// Version of Spark for SQL and code, instead of those that the job's applications name.
    pub spark: Option<String>,
    /// Sparks at hand: version and `SPARK_HOME`.
    pub runtimes: Vec<(String, PathBuf)>,
    /// Gates to run; empty: every one.
    pub gates: Vec<Gate>,
    /// Today, for waivers that expire.
    pub today: jiff::civil::Date,
    /// Policies of the team: Rego, data, Gatekeeper templates and constraints. None: the gate of policies has nothing to ask.
    pub policies: Vec<stoke_policy::PolicyFile>,
    /// Pod Security level and version for namespaces whose own labels the job does not show.
    pub pod_security: Option<(Level, Version)>,
    /// Where known vulnerabilities are looked up.
    pub advisories: gates::Advisories,
    /// How submissions are planned.
    pub submission: stoke_submit::application::Settings,
}

impl Settings {
    /// The versions of Spark a job is looked at for: the one that is asked for, else those that its applications name.
    #[must_use]
    pub fn spark_versions(&self, job: &Job) -> Vec<String> {
        match &self.spark {
            Some(version) => vec![version.clone()],
            None => job.spark_versions(),
        }
    }
}

impl Default for Settings {
    /// Every gate, for the default release, on the first day of 1970, with no Spark at hand.
    fn default() -> Self {
        let mut submission = stoke_submit::application::Settings::new(
            "k8s://https://kubernetes.default.svc",
            jiff::Timestamp::UNIX_EPOCH,
        );
        // Where local files are put is a matter of who submits; that they are there is checked.
        submission.file_upload_path = Some("s3a://uploads".to_owned());
        Settings {
            kubernetes: Release::DEFAULT,
            spark: None,
            runtimes: Vec::new(),
            gates: Vec::new(),
            today: jiff::civil::date(1970, 1, 1),
            policies: Vec::new(),
            pod_security: None,
            advisories: gates::Advisories::default(),
            submission,
        }
    }
}
