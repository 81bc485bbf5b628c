//! What a job depends on: its Python packages and its Maven artifacts, wherever it names them.
//!
//! A dependency that is not pinned is another one tomorrow; one that was built for another Spark, Scala, Python or Hadoop fails when it is first used; one with
//! a known vulnerability lets someone in.
//! - [`requirements`], [`requirement`], [`marker`]: `requirements*.txt`, its lines, and when they hold
//! - [`locks`]: lock files of Python; [`projects`]: `pyproject.toml`, `environment.yml`
//! - [`builds`]: projects of the JVM, `pom.xml`, `build.sbt` and Gradle's
//! - [`packages`]: Maven coordinates of an application; [`archives`]: jars and wheels
//! - [`connectors`]: what code, SQL and configuration use and no package brings
//! - [`fits`]: whether versions go with the job's Spark; [`shipped`]: what Spark brings itself
//! - [`vulnerable`]: what is known of versions; [`licences`]: what the job may be made of
//!
//! Each reader gives [`Dependency`]s and says what is wrong with how they are written; everything else is said of dependencies, wherever they stand.

mod archives;
mod builds;
mod connectors;
mod fits;
mod licences;
mod locks;
mod marker;
mod packages;
mod projects;
mod requirement;
mod requirements;
mod shipped;
#[cfg(test)]
mod tests;
mod vulnerable;

use std::path::Path;
use std::sync::Arc;

use stoke_advisories::Ecosystem;
use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::distribution::minor;
use stoke_model::manifest::{Document, Node};
use stoke_submit::argv::contents::local_path;

use super::Looked;
use crate::Settings;
use crate::job::{File, Job, Kind, of_bytes};

pub use vulnerable::Advisories;

/// One dependency, and where it is named.
#[derive(Clone, Debug)]
struct Dependency {
    ecosystem: Ecosystem,
    /// The name in its ecosystem's normal form; `group:artifact` for Maven.
    name: String,
    /// Its one version, where one is named.
    version: Option<String>,
    /// Versions of Spark it is used with; empty when no one says.
    sparks: Vec<String>,
    source: Arc<Source>,
    place: Place,
    /// The field, for files that have fields.
    path: String,
    /// What it says of its licence, where it lies in the job.
    licence: Option<String>,
}

impl Dependency {
    /// A finding where it is named.
    fn say(&self, severity: Severity, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::at(severity, code, &self.source, self.place, &self.path, message)
    }

    /// Name and version, as its ecosystem writes them.
    fn shown(&self) -> String {
        let version = self.version.as_deref().unwrap_or_default();
        match self.ecosystem {
            Ecosystem::PyPI => format!("{}=={version}", self.name),
            Ecosystem::Maven => format!("{}:{version}", self.name),
        }
    }
}

/// Reads an archive for nothing but its reading.
pub(crate) fn read_archive(file: &File) {
    archives::read(file, &["4.1.4".to_owned()], &mut Found::default());
}

/// What readers have found so far.
#[derive(Debug, Default)]
struct Found {
    dependencies: Vec<Dependency>,
    /// Dependencies that are named, those without a version included.
    count: usize,
    findings: Vec<Diagnostic>,
}

impl Found {
    /// A finding at a place of a file, with its fix.
    fn say(
        &mut self,
        (severity, code): (Severity, &'static str),
        (file, place): (&File, Place),
        message: String,
        fix: impl Into<String>,
    ) {
        let finding = Diagnostic::at(severity, code, &file.source, place, "", message);
        self.findings.push(finding.with_fix(fix));
    }
}

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let mut found = gather(job, settings);
    licences::judge(
        &found.dependencies,
        job,
        settings.licences.as_ref(),
        &mut found.findings,
    );
    let looked_up = vulnerable::look_up(&found.dependencies, settings, &mut found.findings);
    let mut looked = Looked::at(found.count, "dependency", found.findings);
    looked.what.push_str(&looked_up);
    looked
}

/// Jars and wheels on this machine that an application names and that are not among the files of the job.
fn named(document: &Document, job: &Job) -> Vec<File> {
    let manifest = job.files.iter().find(|file| file.name == document.source.name());
    let directory = manifest.and_then(|file| file.path.parent()).unwrap_or(Path::new("."));
    let mut files = Vec::new();
    for list in ["jars", "pyFiles"] {
        let list = format!("{}.deps.{list}", document.spec_path());
        let items = document.node.lookup(&list).map_or(&[][..], Node::items);
        for local in items.iter().filter_map(|item| local_path(item.as_str()?)) {
            let path = directory.join(local);
            // What is not there is told by the gate of manifests.
            if path.is_file() && !job.files.iter().any(|file| file.path == path) {
                let shown = path.strip_prefix("./").unwrap_or(&path).display().to_string();
                let mut file = of_bytes(&shown, b"");
                file.path = path;
                files.push(file);
            }
        }
    }
    files
}

/// Reads what the job depends on, and judges what needs no database.
fn gather(job: &Job, settings: &Settings) -> Found {
    let mut found = Found::default();
    let sparks = settings.spark_versions(job);
    for file in &job.files {
        let base = file.name.rsplit('/').next().unwrap_or(&file.name);
        match (&file.kind, base) {
            (Kind::Archive, _) => archives::read(file, &sparks, &mut found),
            (Kind::Requirements, _) => requirements::read(file, job, &sparks, &mut found),
            (Kind::Text, "pyproject.toml") => projects::pyproject(file, job, &sparks, &mut found),
            (Kind::Text, "environment.yml" | "environment.yaml") => projects::environment(file, &sparks, &mut found),
            (Kind::Text, base) if locks::is(base) => locks::read(file, &sparks, &mut found),
            (Kind::Text, base) if builds::is(base) => builds::read(file, base, &sparks, &mut found),
            _ => {}
        }
    }
    for document in job.documents().filter(|document| document.is_ours()) {
        packages::read(document, &mut found);
        for file in named(document, job) {
            archives::read(&file, &sparks, &mut found);
        }
    }
    connectors::judge(job, &mut found);
    for dependency in &found.dependencies {
        found.findings.extend(fits::judge(dependency));
        found.findings.extend(shipped::judge(dependency, settings));
    }
    found
}
