//! One file per gate: what it looks at in a job, and what it finds.

mod conf;
mod contracts;
pub(crate) mod dependencies;
mod dry_run;
mod manifest;
mod pods;
mod policy;
mod secrets;
mod spark_dry_run;
mod sql;
mod tests;

use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::manifest::Document;

pub use dependencies::Advisories;

use crate::Settings;
use crate::configuration::sound;
use crate::finding::Gate;
use crate::job::Job;

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
    let mut looked = match gate {
        Gate::Manifest => manifest::look(job, settings),
        Gate::Conf => conf::look(job, settings),
        Gate::Pods => pods::look(job, settings),
        Gate::Policy => policy::look(job, settings),
        Gate::Sql => sql::look(job, settings),
        Gate::Contracts => contracts::look(job, settings),
        Gate::Dependencies => dependencies::look(job, settings),
        Gate::Secrets => secrets::look(job, settings),
        Gate::Tests => tests::look(job, settings),
        Gate::DryRun => dry_run::look(job, settings),
        Gate::SparkDryRun => spark_dry_run::look(job, settings),
    };
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
