//! The files of a job, and what each of them is.
//!
//! What a file is follows from its name and its content: YAML and JSON are manifests when a document of theirs has `apiVersion` and `kind`; a file of
//! something else (a values file, a pipeline) is not judged, only looked through for secrets. What cannot be read is reported by the gate that would have
//! read it ([`Unread`]): nothing passes unread.
//!
//! `read` takes the files from a disk, `what` tells what each is, `charts` and `kustomize` what it is beside the others.

mod charts;
pub(crate) mod kustomize;
mod read;
mod what;

use std::path::PathBuf;
use std::sync::Arc;

use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::manifest::Document;

use crate::Gate;

pub use read::{JobError, read};
pub use what::of_bytes;

/// Largest file that is read as text, in bytes.
pub const MOST_BYTES: u64 = 8 << 20;
/// Most bytes of text of a whole job.
pub const MOST_TEXT: u64 = 512 << 20;
/// Most files of a job.
pub const MOST_FILES: usize = 20_000;

/// What a file is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Objects of Kubernetes, with what is wrong with their text.
    Manifest {
        /// The objects.
        documents: Vec<Document>,
        /// What is wrong with them by themselves.
        complaints: Vec<Diagnostic>,
    },
    /// A patch of kustomize: parts of objects, with what is wrong with their text. No gate takes them for objects.
    Patch {
        /// The parts.
        documents: Vec<Document>,
        /// What would be wrong with them by themselves.
        complaints: Vec<Diagnostic>,
    },
    /// A template that something else makes a manifest of.
    Template,
    /// A data contract.
    Contract,
    /// Spark SQL.
    Sql,
    Python,
    /// A list of Python packages: `requirements*.txt`.
    Requirements,
    /// Spark configuration as a properties file.
    Properties,
    /// An archive of classes or of a Python package.
    Archive,
    /// Any other text.
    Text,
    /// Text that is too long to be held; it is looked through for secrets piece by piece.
    Large,
    /// What is not text.
    Binary,
}

/// Something of a file that was not read, or not as it stands.
#[derive(Clone, Debug)]
pub struct Unread {
    /// The gate that would have read it.
    pub gate: Gate,
    /// Stable code.
    pub code: &'static str,
    /// An error where its own reader fails, or nothing can be told of it; a warning where the reader goes on.
    pub severity: Severity,
    /// False where it is known what its reader does.
    pub cannot_tell: bool,
    /// Where; the default for the file as a whole.
    pub place: Place,
    /// What.
    pub message: String,
    /// What to do about it.
    pub fix: &'static str,
}

/// One file.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name in reports.
    pub name: String,
    /// Where it is, for gates that open it themselves.
    pub path: PathBuf,
    /// Its text; empty for archives and what is not text.
    pub source: Arc<Source>,
    /// What it is.
    pub kind: Kind,
    /// What of it was not read.
    pub unread: Vec<Unread>,
}

/// The files of a job.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// In the order of their names.
    pub files: Vec<File>,
    /// Files of this machine that its applications and kustomizations name and that are not there.
    pub absent: Vec<Absent>,
}

/// A file that an application or a kustomization names and that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Name of the manifest.
    pub manifest: String,
    /// Where it is named.
    pub place: Place,
    /// The field.
    pub path: String,
    /// Where the file would be.
    pub file: PathBuf,
}

impl File {
    /// Its objects; none of a file that is not a manifest.
    #[must_use]
    pub fn documents(&self) -> &[Document] {
        match &self.kind {
            Kind::Manifest { documents, .. } => documents,
            _ => &[],
        }
    }

    /// What a gate has to say of what it could not read.
    pub(crate) fn unread_by(&self, gate: Gate) -> impl Iterator<Item = Diagnostic> {
        let of_gate = self.unread.iter().filter(move |unread| unread.gate == gate);
        of_gate.map(|unread| {
            let mut finding = match unread.place.line {
                0 => Diagnostic::of_file(unread.severity, unread.code, &self.name, &*unread.message),
                _ => Diagnostic::at(
                    unread.severity,
                    unread.code,
                    &self.source,
                    unread.place,
                    "",
                    &*unread.message,
                ),
            };
            finding.cannot_tell = unread.cannot_tell;
            finding.with_fix(unread.fix)
        })
    }

    /// Notes that it was not looked at at all.
    fn was_not_read(&mut self, code: &'static str, message: String, fix: &'static str) {
        let gate = what::reader(&self.name).unwrap_or(Gate::Secrets);
        self.unread = vec![Unread {
            gate,
            code,
            severity: Severity::Error,
            cannot_tell: true,
            place: Place::default(),
            message,
            fix,
        }];
    }
}

impl Job {
    /// The job of some files, in the order of their names, each taken for what it is beside the others.
    #[must_use]
    pub fn of(mut files: Vec<File>) -> Job {
        files.sort_by(|one, other| one.name.cmp(&other.name));
        files.dedup_by(|one, other| one.path == other.path);
        charts::leave_values(&mut files);
        kustomize::leave_patches(&mut files);
        Job {
            files,
            absent: Vec::new(),
        }
    }

    /// Its objects with their files.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.files.iter().flat_map(File::documents)
    }

    /// The versions of Spark its applications name, each once.
    #[must_use]
    pub fn spark_versions(&self) -> Vec<String> {
        let mut versions: Vec<String> = Vec::new();
        for document in self.documents().filter(|document| document.is_ours()) {
            let path = format!("{}.sparkVersion", document.spec_path());
            let version = document.node.lookup(&path).and_then(|node| node.as_str());
            if let Some(version) = version.filter(|version| !versions.iter().any(|known| known == version)) {
                versions.push(version.to_owned());
            }
        }
        versions
    }
}

#[cfg(test)]
mod tests;
