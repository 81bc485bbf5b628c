//! Room `gate`: every reason a job would fail or be refused, found before it runs.
//!
//! In: the files of a job directory ([`job`]), what it is to run on ([`Settings`]), the waivers its owners wrote ([`waivers`]). Out: a [`Report`], for
//! each gate a [`Verdict`] with findings that stand at a place in a file, as text, JSON, SARIF or JUnit ([`output`]).
//! - [`gates`]: one file per gate, each a function from the job to findings
//! - `configuration`: rules over a whole configuration, and which applications are sound
//! - [`derived`], [`sizing`], [`nodes`], [`policies`]: the pods an application becomes, whether they fit their namespace and any node, and what policies
//!   say of them; the operator's admission asks here too
//! - [`runs`]: what only running shows (tests, an API server, a start of Spark): what is to be run, and what came of it
//! - [`codes`]: what every code means, why it matters and how it is fixed
//!
//! A gate that lacks what it needs cannot tell, and what cannot be determined does not pass. [`job::read`] reads the job's files, the gate of SQL the grammars in
//! the jars of the Sparks it is given, and the gate of dependencies archives, files that requirements include and the database of advisories; nothing else here reads a file, asks a cluster or looks at a clock (but for how long a gate took).

pub mod codes;
mod configuration;
mod cores;
pub mod derived;
pub mod finding;
#[doc(hidden)]
pub mod fuzz;
pub mod gates;
pub mod job;
pub mod nodes;
pub mod output;
pub mod policies;
pub mod python;
pub mod runs;
pub mod sizing;
pub mod text;
pub mod verdict;
pub mod waivers;

pub use finding::Finding;
pub use gates::Gate;
pub use job::{File, Job, Kind};
pub use verdict::{GateReport, Report, Verdict, check};

use std::path::PathBuf;

use stoke_model::kubernetes::Release;
use stoke_model::manifest::Document;
use stoke_model::pod_security::{Level, Version};

/// Tells what is wrong with a data contract.
pub type ContractReader = fn(&stoke_diagnostics::Source) -> Vec<stoke_diagnostics::Diagnostic>;

/// Tells what is wrong with a file of environments; the path is where it lies, since it may name files beside it.
pub type EnvironmentReader = fn(&stoke_diagnostics::Source, &std::path::Path) -> Vec<stoke_diagnostics::Diagnostic>;

/// Tells what is wrong with an application by the preset that it names; the sources are the files of presets of the job.
pub type PresetReader =
    fn(&Document, &[&std::sync::Arc<stoke_diagnostics::Source>]) -> Vec<stoke_diagnostics::Diagnostic>;

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
    /// Which licences the job may have, as a file like `stoke-licences.yaml`. None: that of the job itself, if there is one.
    pub licences: Option<std::sync::Arc<stoke_diagnostics::Source>>,
    /// What is wrong with a data contract. None: contracts cannot be determined.
    pub contracts: Option<ContractReader>,
    /// What is wrong with an application by the preset it names. None: presets are not judged, because the files of its team are not at hand.
    pub presets: Option<PresetReader>,
    /// What is wrong with the file `environments.yaml` of the job. None: it is not judged.
    pub environments: Option<EnvironmentReader>,
    /// Nodes that pods are held against, beside those of the job's own manifests.
    pub nodes: Vec<k8s_openapi::api::core::v1::Node>,
    /// Namespace of objects that name none.
    pub namespace: String,
    /// What was run for the job.
    pub runs: runs::Runs,
    /// When to stop looking, and to tell what was not looked at. None: never.
    pub until: Option<std::time::Instant>,
}

impl Settings {
    /// Whether the time for looking is over.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.until.is_some_and(|until| std::time::Instant::now() >= until)
    }

    /// The namespace a document's object goes into.
    #[must_use]
    pub fn namespace_of<'a>(&'a self, document: &'a Document) -> &'a str {
        document.namespace.as_deref().unwrap_or(&self.namespace)
    }

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
            licences: None,
            contracts: None,
            presets: None,
            environments: None,
            nodes: Vec::new(),
            namespace: "default".to_owned(),
            runs: runs::Runs::default(),
            until: None,
        }
    }
}
