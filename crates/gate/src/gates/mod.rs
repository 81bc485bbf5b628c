//! One file per gate: what it looks at in a job, and what it finds.

mod conf;
mod contracts;
pub(crate) mod dependencies;
mod dry_run;
mod images;
mod manifest;
mod pods;
mod policy;
mod secrets;
mod spark_dry_run;
mod sql;
mod tests;

use std::fmt;

use serde::{Serialize, Serializer};
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::manifest::Document;

pub use dependencies::Advisories;

use crate::Settings;
use crate::configuration::sound;
use crate::job::Job;

macro_rules! gates {
    ($($(#[doc = $doc:literal])+ $gate:ident: $name:literal, $about:literal, $look:path;)+) => {
        /// A gate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Gate {
            $($(#[doc = $doc])+ $gate,)+
        }

        impl Gate {
            /// All, in the order they run.
            pub const ALL: &[Gate] = &[$(Gate::$gate),+];

            /// Its name on the command line and in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Gate::$gate => $name,)+
                }
            }

            /// What it looks at, in a few words.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self {
                    $(Gate::$gate => $about,)+
                }
            }

            /// What it looks at, as `docs/reference/check.md` has it.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self {
                    $(Gate::$gate => concat!($($doc),+).trim_ascii(),)+
                }
            }

            fn looks(self) -> fn(&Job, &Settings) -> Looked {
                match self {
                    $(Gate::$gate => $look,)+
                }
            }
        }
    };
}

// A gate: what docs/reference/check.md says of it, its name, what `stoke check` says of it, and its function.
gates! {
    /// Our kinds against their schemas and rules, as `stoke run` and the webhook do. Every other kind of Kubernetes against the API of `--kubernetes` (1.15
    /// to 1.37, default 1.34): fields, types, values, API versions that were removed, with what stands in their place. API versions of External Secrets,
    /// cert-manager, Karpenter and KEDA that are no longer served. Local files that are named and missing, objects defined twice, keys that the job's own
    /// ConfigMap or Secret lacks, ConfigMaps, Secrets, claims, service accounts, priority classes, roles and services that the files show to be missing
    /// ([below](#what-the-files-show-to-be-missing)), what an API server refuses of pods (mounts without a volume, selectors that miss their own pods, names
    /// of ports and images), variables given twice, namespaces of what belongs to the whole cluster. What the preset locks that `stoke.dev/preset` names
    /// ([presets](../how-to/presets.md)). `environments.yaml`, as `stoke release` reads it. Kinds of others are not judged
    Manifest: "manifest", "manifests against their schemas and rules", manifest::look;
    /// `sparkConf` and `spark*.conf` files: every key and value by the catalogue of the job's Spark version, and by those of S3A, Iceberg, Delta Lake,
    /// Celeborn and RAPIDS; what contradicts itself, has no effect, keeps Spark from starting or cannot work on Kubernetes
    Conf: "conf", "Spark configuration against its Spark version and Kubernetes", conf::look;
    /// The driver and executor that the application would really get, from the same plan that the operator submits: LimitRanges and quotas of the job, nodes
    /// (`--nodes FILE`, or Nodes among its manifests), Pod Security (`--pod-security restricted`, or the labels of the job's Namespace), against which plain
    /// Pods, Deployments, Jobs and the like of the job are held, too
    Pods: "pods", "the driver and executor pods the job would create", pods::look;
    /// Rego and Gatekeeper policies in `policies/` or `--policies DIR`, and Stoke's own with `--pack` ([policy.md](policy.md))
    Policy: "policy", "the team's policies over manifests, configuration and pods", policy::look;
    /// `.sql` files, and texts given to `spark.sql(…)`, `F.expr(…)`, `selectExpr(…)` and the `filter` of a frame, types and schemas in DDL (`schema`,
    /// `createDataFrame`, `from_json`, `cast`) in Python, by the grammar of the job's own Spark, read out of its jar, and by what Spark refuses of what its
    /// grammar takes (dates that are none, types that do not exist, clauses given twice). Columns that none of the tables has, and tables that are misspelt,
    /// by the `CREATE TABLE` statements of the job and the data contracts beside it. Habits that hurt (joins without a condition, `*` into a table, values
    /// that differ when a task is tried again, partitioned tables read whole) are warnings
    Sql: "sql", "Spark SQL, as the job's Spark parses it", sql::look;
    /// Data contracts ([quality.md](quality.md)), whether they can be read: of the Open Data Contract Standard, suites of Great Expectations, and short ones
    /// in `contracts/` or named `*.contract.yaml`; and keys of the job's ConfigMaps that an application's `stoke.dev/quality` names
    Contracts: "contracts", "data contracts, whether they can be read", contracts::look;
    /// What the job names, in the files below: pinned or not, twice, for another Spark, Scala, Hadoop, Python, Java or machine, shipped by Spark itself,
    /// known to be vulnerable ([advisories.md](advisories.md)). What its code, SQL and configuration use and the official image (`apache/spark`, `spark`)
    /// does not have (`s3a://`, `abfss://`, `gs://`, Kafka, Avro, Protobuf, Iceberg, Delta Lake, drivers of JDBC), with the package that fits
    Dependencies: "dependencies", "Python and JVM dependencies", dependencies::look;
    /// Keys, tokens and passwords in every text file. What is found is never shown
    Secrets: "secrets", "keys, tokens and passwords in files", secrets::look;
    /// Only with `--tests`: the job's own tests
    Tests: "tests", "the job's own tests, with its Spark", tests::look;
    /// Only with `--dry-run`: what the API server would say
    DryRun: "dry-run", "what the API server says of objects and pods", dry_run::look;
    /// Only with `--image-policy FILE`: whether the images of applications have the signatures and attestations that the policy asks, as the operator with that
    /// policy finds ([sign-and-verify.md](../how-to/sign-and-verify.md))
    Images: "images", "what a policy of images says of the job's", images::look;
    /// Only with `--spark-dry-run`: whether Spark starts
    SparkDryRun: "spark-dry-run", "a start of the job's Spark with its configuration", spark_dry_run::look;
}

impl Gate {
    /// The gate of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Gate> {
        Gate::ALL.iter().copied().find(|gate| gate.name() == name)
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Gate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What a gate looked at and found.
#[derive(Debug, Default)]
pub struct Looked {
    /// How many things.
    pub count: usize,
    /// Those in words: `3 documents`.
    pub what: String,
    /// What it found.
    pub findings: Vec<Diagnostic>,
    /// True when it would have something to run and no one asked for that.
    pub not_requested: bool,
}

impl Looked {
    fn at(count: usize, one: &str, findings: Vec<Diagnostic>) -> Looked {
        let what = match (count, one.strip_suffix('y')) {
            (1, _) => format!("1 {one}"),
            (_, Some(stem)) => format!("{count} {stem}ies"),
            _ => format!("{count} {one}s"),
        };
        Looked {
            count,
            what,
            findings,
            not_requested: false,
        }
    }

    /// This many of its things were not checked within the time limit.
    fn late(left: usize, one: &str) -> Option<Diagnostic> {
        let what = Looked::at(left, one, Vec::new()).what;
        let message = format!("the time for this check is over, and {what} were not looked at");
        let finding = Diagnostic::cannot_tell("too-much", "", message);
        (left > 0).then(|| finding.with_fix("give it more with --time-limit, or check parts of the job one by one"))
    }

    /// No one asked this gate to run what it judges.
    fn not_requested(gate: Gate) -> Looked {
        Looked {
            what: format!("--{} runs it", gate.name()),
            not_requested: true,
            ..Looked::default()
        }
    }
}

/// Applications that a gate left out because of what other gates have against them, where those were not asked and so say nothing of it.
fn unsound(job: &Job, settings: &Settings) -> Vec<Diagnostic> {
    let tell = [Gate::Manifest, Gate::Conf];
    if settings.gates.is_empty() || tell.iter().all(|gate| settings.gates.contains(gate)) {
        return Vec::new();
    }
    let left_out = job.files.iter().flat_map(|file| {
        let sound: Vec<&Document> = sound(file).collect();
        let all = file.documents().iter().filter(|document| document.is_ours());
        all.filter(move |document| !sound.iter().any(|known| std::ptr::eq(*known, *document)))
    });
    left_out
        .map(|document| {
            let place = document.node.place_of("metadata.name");
            let message = format!(
                "nothing would come of {} `{}` as it stands",
                document.kind, document.name
            );
            let mut finding = Diagnostic::at(Severity::Error, "unsound", &document.source, place, "", message);
            finding.cannot_tell = true;
            finding.with_fix("`stoke check --gate manifest,conf` says what is wrong with it")
        })
        .collect()
}

/// Lets a gate look at a job.
#[must_use]
pub fn look(gate: Gate, job: &Job, settings: &Settings) -> Looked {
    let mut looked = gate.looks()(job, settings);
    looked
        .findings
        .extend(job.files.iter().flat_map(|file| file.unread_by(gate)));
    looked
}

/// What a gate finds in files of these names and texts.
#[cfg(test)]
fn found(files: &[(&str, &str)], look: fn(&Job, &Settings) -> Looked) -> Vec<Diagnostic> {
    let files = files
        .iter()
        .map(|(name, text)| crate::job::of_bytes(name, text.as_bytes()));
    let job = Job {
        files: files.collect(),
        ..Job::default()
    };
    look(&job, &Settings::default()).findings
}
