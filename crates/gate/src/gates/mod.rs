//! One file per gate: what it looks at in a job, and what it finds.

mod conf;
mod dependencies;
mod manifest;
mod pods;
mod policy;
mod secrets;
mod sql;

pub use dependencies::Advisories;

use crate::Settings;
use crate::finding::{Finding, Gate};
use crate::job::Job;

/// What a gate looked at and found.
#[derive(Debug, Default)]
pub struct Looked {
    /// How many things.
    pub count: usize,
    /// Those in words: `3 documents`.
    pub what: String,
    /// What it found.
    pub findings: Vec<Finding>,
}

impl Looked {
    fn at(count: usize, one: &str, findings: Vec<Finding>) -> Looked {
        let what = match (count, one.strip_suffix('y')) {
            (1, _) => format!("1 {one}"),
            (_, Some(stem)) => format!("{count} {stem}ies"),
            _ => format!("{count} {one}s"),
        };
        Looked { count, what, findings }
    }
}

/// Lets a gate look at a job.
#[must_use]
pub fn look(gate: Gate, job: &Job, settings: &Settings) -> Looked {
    match gate {
        Gate::Manifest => manifest::look(job, settings),
        Gate::Conf => conf::look(job, settings),
        Gate::Pods => pods::look(job, settings),
        Gate::Policy => policy::look(job, settings),
        Gate::Sql => sql::look(job, settings),
        Gate::Dependencies => dependencies::look(job, settings),
        Gate::Secrets => secrets::look(job),
    }
}

/// What a gate finds in files of these names and texts.
#[cfg(test)]
fn found(files: &[(&str, &str)], look: fn(&Job, &Settings) -> Looked) -> Vec<Finding> {
    let files = files
        .iter()
        .map(|(name, text)| crate::job::of_bytes(name, text.as_bytes()));
    let job = Job {
        files: files.collect(),
        ..Job::default()
    };
    look(&job, &Settings::default()).findings
}
