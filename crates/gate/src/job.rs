//! The files of a job, and what each of them is.
//!
//! What a file is follows from its name and its content: YAML and JSON are manifests when a document of theirs has `apiVersion` and `kind`; a file of
//! something else (a values file, a pipeline) is not judged, only looked through for secrets. What cannot be read is reported by the gate that would have
//! read it ([`Unread`]): nothing passes unread.

mod charts;
pub(crate) mod kustomize;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stoke_model::manifest::{self, Complaint, Document, Node, Place, Severity, Source, join_index};
use stoke_submit::argv::contents::local_path;

use crate::finding::{Finding, Gate};
use crate::text;

/// Directories nobody keeps a job in.
const LEFT_OUT: [&str; 11] = [
    "node_modules",
    "__pycache__",
    "target",
    "venv",
    "site-packages",
    "spark-warehouse",
    "metastore_db",
    "build",
    "dist",
    // Policies with their examples, which are wrong on purpose.
    "policies",
    "policy",
];
/// Complaints about a text that is no YAML, or none that anybody meant.
const UNREAD: [&str; 3] = ["yaml-syntax", "bad-key", "unknown-tag"];
/// Complaints after which nothing more of a text is read.
const STOPS: [&str; 3] = ["yaml-syntax", "too-deep", "too-large"];
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
        complaints: Vec<Complaint>,
    },
    /// A patch of kustomize: parts of objects, with what is wrong with their text. No gate takes them for objects.
    Patch {
        /// The parts.
        documents: Vec<Document>,
        /// What would be wrong with them by themselves.
        complaints: Vec<Complaint>,
    },
    /// A template that something else makes a manifest of.
    Template,
    /// A data contract.
    Contract,
    /// Spark SQL.
    Sql,
    /// Python.
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
    /// What is no text.
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
    /// Its text; empty for archives and what is no text.
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

/// Why a job cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A path that cannot be read.
    #[error("{path}: {cause}")]
    Unreadable {
        /// The path.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// A device, a pipe or a socket: reading it could block for ever.
    #[error("{path} is a device, a pipe or a socket, and no file")]
    NoFile {
        /// The path.
        path: String,
    },
    /// More files than any job has.
    #[error("{path} has more than {MOST_FILES} files")]
    TooMany {
        /// The path.
        path: String,
    },
}

impl File {
    /// Its objects; none of a file that is no manifest.
    #[must_use]
    pub fn documents(&self) -> &[Document] {
        match &self.kind {
            Kind::Manifest { documents, .. } => documents,
            _ => &[],
        }
    }

    /// What a gate has to say of what it could not read.
    pub(crate) fn unread_by(&self, gate: Gate) -> impl Iterator<Item = Finding> {
        let of_gate = self.unread.iter().filter(move |unread| unread.gate == gate);
        of_gate.map(|unread| {
            let mut finding = match unread.place.line {
                0 => Finding::of_file(unread.severity, unread.code, &self.name, &*unread.message),
                _ => Finding::at(
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
        let gate = reader(&self.name).unwrap_or(Gate::Secrets);
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

/// Reads the files under some paths. Hidden directories and those of tools are left out, links are not followed.
///
/// # Errors
/// When a path cannot be read; a job that is half seen would half pass.
pub fn read(paths: &[PathBuf]) -> Result<Job, JobError> {
    read_within(paths, MOST_TEXT)
}

/// The same with a limit on the bytes of text in all.
fn read_within(paths: &[PathBuf], mut left: u64) -> Result<Job, JobError> {
    let mut job = Job::default();
    for path in paths {
        let unreadable = |cause| JobError::Unreadable {
            path: path.display().to_string(),
            cause,
        };
        let kind = std::fs::metadata(path).map_err(unreadable)?;
        if kind.is_dir() {
            walk(path, &mut job, &mut left)?;
        } else if kind.is_file() {
            let mut file = read_file(path, &mut left)?;
            if matches!(file.kind, Kind::Binary) && file.unread.is_empty() {
                let message = "this is neither text nor a known archive: nothing in it was checked";
                file.was_not_read(
                    "file-unread",
                    message.to_owned(),
                    "name the files that the job is made of",
                );
            }
            job.files.push(file);
        } else {
            let path = path.display().to_string();
            return Err(JobError::NoFile { path });
        }
    }
    let mut job = Job::of(job.files);
    let of_kustomizations = job.files.iter().flat_map(kustomize::absent);
    job.absent = job.files.iter().flat_map(absent).chain(of_kustomizations).collect();
    Ok(job)
}

/// Files that the applications of a manifest name without a scheme, from its own directory on, and that are not there.
fn absent(file: &File) -> Vec<Absent> {
    let Kind::Manifest { documents, .. } = &file.kind else {
        return Vec::new();
    };
    let directory = file.path.parent().unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for document in documents.iter().filter(|document| document.is_ours()) {
        let spec = document.spec_path();
        let mut named = Vec::new();
        let main = format!("{spec}.mainApplicationFile");
        named.extend(
            document
                .node
                .lookup(&main)
                .and_then(Node::as_str)
                .map(|text| (main.clone(), text)),
        );
        for list in ["jars", "files", "pyFiles", "archives"] {
            let list = format!("{spec}.deps.{list}");
            let items = document.node.lookup(&list).map_or(&[][..], Node::items);
            let texts = items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| Some((join_index(&list, index), item.as_str()?)));
            named.extend(texts);
        }
        for (path, text) in named {
            // `archive.zip#name` is put under another name.
            let Some(local) = local_path(text).map(|local| local.split('#').next().unwrap_or(local)) else {
                continue;
            };
            let place = directory.join(local);
            if !place.exists() {
                found.push(Absent {
                    manifest: file.name.clone(),
                    place: document
                        .node
                        .lookup(&path)
                        .map_or(document.node.place, |node| node.place),
                    path,
                    file: place,
                });
            }
        }
    }
    found
}

fn walk(directory: &Path, job: &mut Job, left: &mut u64) -> Result<(), JobError> {
    let unreadable = |cause| JobError::Unreadable {
        path: directory.display().to_string(),
        cause,
    };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        entries.push((entry.file_name(), entry.file_type().map_err(unreadable)?, entry.path()));
    }
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    for (name, kind, path) in entries {
        let name = name.to_string_lossy();
        if kind.is_dir() {
            if !name.starts_with('.') && !LEFT_OUT.contains(&&*name) {
                walk(&path, job, left)?;
            }
        } else if kind.is_file() && (!name.starts_with('.') || name.starts_with(".env")) {
            if job.files.len() >= MOST_FILES {
                let path = directory.display().to_string();
                return Err(JobError::TooMany { path });
            }
            job.files.push(read_file(&path, left)?);
        }
    }
    Ok(())
}

/// Reads a file; `left`: how many bytes of text the job may still have.
fn read_file(path: &Path, left: &mut u64) -> Result<File, JobError> {
    let shown = path.strip_prefix("./").unwrap_or(path).display().to_string();
    let unreadable = |cause| JobError::Unreadable {
        path: shown.clone(),
        cause,
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    let archive = is_archive(&shown);
    let large = size > MOST_BYTES;
    let mut bytes = Vec::new();
    if !archive && (large || size <= *left) {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        // The beginning of a large file tells what it is.
        let most = if large { 64 << 10 } else { MOST_BYTES };
        file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    let mut file = match large && !archive {
        true => large_file(&shown, size, &bytes),
        false => of_bytes(&shown, &bytes),
    };
    if !archive && !large && size > *left {
        file = of_bytes(&shown, &[]);
        file.kind = Kind::Binary;
        let message = format!(
            "a job may have {} MiB of text, and this file goes beyond",
            MOST_TEXT >> 20
        );
        file.was_not_read(
            "too-much",
            message,
            "check the parts of the job one by one, or name its files",
        );
    } else if !archive && !large {
        *left -= size;
    }
    file.path = path.to_owned();
    Ok(file)
}

/// A file that is not held, by its beginning.
fn large_file(name: &str, size: u64, beginning: &[u8]) -> File {
    // A character may be cut in two at the end.
    let text = text::decode(&beginning[..beginning.len().saturating_sub(4)]);
    let json = name.to_ascii_lowercase().ends_with(".json");
    // Data lie beside a job as JSON, too.
    let is_data = json && !text.as_ref().is_some_and(|found| looks_like_object(&found.text));
    let mut file = File {
        name: name.to_owned(),
        path: PathBuf::from(name),
        source: Source::new(name, ""),
        kind: if text.is_some() { Kind::Large } else { Kind::Binary },
        unread: Vec::new(),
    };
    if reader(name).is_some() && !is_data {
        let message = format!(
            "the file has {} MiB; more than {} are looked through for secrets only",
            size >> 20,
            MOST_BYTES >> 20
        );
        file.was_not_read(
            "file-unread",
            message,
            "split it, or move it out of the job's directory if it does not belong to the job",
        );
    }
    file
}

/// The gate that reads a file of a name, where its name tells.
fn reader(name: &str) -> Option<Gate> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let extension = base.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "yaml" | "yml" | "json" => Some(Gate::Manifest),
        "sql" | "hql" | "py" => Some(Gate::Sql),
        "conf" | "properties" if base.starts_with("spark") => Some(Gate::Conf),
        "txt" | "in" if base.starts_with("requirements") || base.starts_with("constraints") => Some(Gate::Dependencies),
        _ => None,
    }
}

/// The file of a name and its content.
#[must_use]
pub fn of_bytes(name: &str, bytes: &[u8]) -> File {
    let base = name.rsplit('/').next().unwrap_or(name);
    let extension = base
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
        .to_ascii_lowercase();
    let archive = is_archive(name);
    let decoded = if archive { None } else { text::decode(bytes) };
    let mut file = File {
        name: name.to_owned(),
        path: PathBuf::from(name),
        source: Source::new(name, decoded.as_ref().map_or("", |found| &found.text)),
        kind: match archive {
            true => Kind::Archive,
            false => Kind::Binary,
        },
        unread: Vec::new(),
    };
    let Some(decoded) = decoded else {
        if !archive && reader(name).is_some() {
            let message = "this is not text, although its name says so: nothing in it was checked".to_owned();
            file.was_not_read("file-unread", message, "save it as text in UTF-8, or remove it");
        }
        return file;
    };
    file.kind = match extension.as_str() {
        "yaml" | "yml" | "json" => manifest(name, bytes, decoded.odd, &mut file),
        "sql" | "hql" => Kind::Sql,
        "py" => Kind::Python,
        "txt" | "in" if reader(name).is_some() => Kind::Requirements,
        "conf" | "properties" if reader(name).is_some() => Kind::Properties,
        _ => Kind::Text,
    };
    if let Some(at) = decoded.odd {
        encoding(&mut file, bytes, at, decoded.encoding);
    }
    file
}

/// What comes of an encoding that is not UTF-8, by who reads such a file.
fn encoding(file: &mut File, bytes: &[u8], at: usize, encoding: &str) {
    let (gate, code, severity, cannot_tell, message, fix) = match &file.kind {
        Kind::Python => {
            let declared = text::declared(bytes);
            if declared.as_deref().is_some_and(text::is_single_byte) {
                return;
            }
            match declared.filter(|declared| !declared.starts_with("utf")) {
                Some(declared) => (
                    Gate::Sql,
                    "file-unread",
                    Severity::Error,
                    true,
                    format!("the text is in {declared}, which is not read here"),
                    "save it as UTF-8",
                ),
                None => (
                    Gate::Sql,
                    "python-syntax",
                    Severity::Error,
                    false,
                    format!("Python does not read this: it is {encoding}, and no encoding is declared"),
                    "save it as UTF-8",
                ),
            }
        }
        // Spark opens both as UTF-8.
        Kind::Sql | Kind::Properties => (
            if matches!(file.kind, Kind::Sql) {
                Gate::Sql
            } else {
                Gate::Conf
            },
            "not-utf8",
            Severity::Warning,
            false,
            format!("this is {encoding}; Spark reads UTF-8, and other characters instead of these"),
            "save the file as UTF-8",
        ),
        _ => return,
    };
    file.unread.push(Unread {
        gate,
        code,
        severity,
        cannot_tell,
        place: file.source.place_at(before(bytes, at)),
        message,
        fix,
    });
}

/// Where a byte of a file stands in the text that is made of it: every byte became a character.
fn before(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().map(|byte| char::from(*byte).len_utf8()).sum()
}

fn is_archive(name: &str) -> bool {
    [".jar", ".whl", ".zip", ".egg", ".tar.gz", ".tgz"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// True for an object of Kubernetes, however wrong.
fn is_object(document: &Document) -> bool {
    !document.api_version.is_empty() && !document.kind.is_empty()
}

/// What a YAML or JSON file is.
fn manifest(name: &str, bytes: &[u8], odd: Option<usize>, file: &mut File) -> Kind {
    let source = Arc::clone(&file.source);
    let text = source.text();
    let (documents, mut complaints) = manifest::check(name, text);
    // Only objects must be UTF-8.
    if let Some(at) = odd.filter(|_| looks_like_object(text)) {
        let place = source.place_at(before(bytes, at));
        let message = "the text is not UTF-8 from here on";
        let complaint = Complaint::new(Severity::Error, "not-utf8", &source, place, "", message.to_owned());
        complaints.push(complaint.with_suggestion("save the file as UTF-8"));
    }
    let unread = complaints.iter().any(|complaint| UNREAD.contains(&complaint.code));
    // Templates of Helm and Jinja stand where YAML has no meaning for them, or in the directory where Helm looks for them; in a text they are just text.
    let chart = name.split('/').rev().skip(1).any(|directory| directory == "templates");
    if text.contains("{{") && (unread || chart) {
        return if looks_like_object(text) {
            Kind::Template
        } else {
            Kind::Text
        };
    }
    if is_contract(name, &documents) {
        return Kind::Contract;
    }
    let card = name == "Chart.yaml" || name.ends_with("/Chart.yaml");
    if card && !documents.iter().any(is_object) {
        return Kind::Text;
    }
    if documents.iter().any(is_object) || (looks_like_object(text) && manifest::has_errors(&complaints)) {
        return Kind::Manifest { documents, complaints };
    }
    let stopped = complaints
        .into_iter()
        .find(|complaint| complaint.is_error() && STOPS.contains(&complaint.code));
    if let Some(complaint) = stopped.filter(|_| is_meant(name, text, bytes)) {
        file.unread.push(Unread {
            gate: Gate::Manifest,
            code: "yaml-unread",
            severity: Severity::Error,
            cannot_tell: true,
            place: file.source.line_place(complaint.line),
            message: format!(
                "this cannot be read to its end, so what it is cannot be told: {}",
                complaint.message
            ),
            fix: "fix it, or move it out of the job's directory if it does not belong to the job",
        });
    }
    Kind::Text
}

/// Whether a text that cannot be read as YAML or JSON was meant to be: of JSON there are dialects (records one after the other, comments) that are no
/// manifest.
fn is_meant(name: &str, text: &str, bytes: &[u8]) -> bool {
    if text.contains("{%") {
        return false;
    }
    if !name.to_ascii_lowercase().ends_with(".json") {
        return true;
    }
    let contract = name.split('/').rev().skip(1).any(|directory| directory == "contracts");
    let records = || {
        let mut all = serde_json::Deserializer::from_slice(bytes).into_iter::<serde::de::IgnoredAny>();
        all.all(|record| record.is_ok())
    };
    (contract || text.contains("apiVersion") || text.contains("\"expectations\"")) && !records()
}

/// True for a data contract: one of the Open Data Contract Standard, a suite of Great Expectations, or a short one where contracts are kept.
fn is_contract(name: &str, documents: &[Document]) -> bool {
    let Some(first) = documents.first() else {
        return false;
    };
    let has = |key: &str| first.value.get(key).is_some();
    let kept = name.split('/').rev().skip(1).any(|directory| directory == "contracts")
        || [".contract.yaml", ".contract.yml"]
            .iter()
            .any(|end| name.ends_with(end));
    first.kind == "DataContract"
        || (has("expectations") && (has("name") || has("expectation_suite_name")))
        || (kept && (has("columns") || has("rows")))
}

/// True for a text in which somebody began to write an object.
fn looks_like_object(text: &str) -> bool {
    let begins = |word: &str| {
        text.lines().any(|line| {
            let line = line.trim_start().trim_start_matches('"');
            line.strip_prefix(word)
                .is_some_and(|rest| rest.trim_start_matches('"').trim_start().starts_with(':'))
        })
    };
    begins("apiVersion") || begins("kind")
}

#[cfg(test)]
mod tests;
