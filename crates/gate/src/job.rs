//! The files of a job, and what each of them is.
//!
//! What a file is follows from its name and its content: YAML and JSON are manifests when a document of theirs has `apiVersion` and `kind`; a file of
//! something else (a values file, a pipeline) is not judged, only looked through for secrets.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stoke_model::manifest::{self, Complaint, Document, Node, Source, join_index};
use stoke_submit::argv::contents::local_path;

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
/// Largest file that is read as text, in bytes.
pub const MOST_BYTES: u64 = 8 << 20;
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
    /// What is no text.
    Binary,
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
}

/// The files of a job.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// In the order of their names.
    pub files: Vec<File>,
    /// Files of this machine that its applications name and that are not there.
    pub absent: Vec<Absent>,
}

/// A file that an application names and that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Name of the manifest.
    pub manifest: String,
    /// Which of its documents, from 0.
    pub document: usize,
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
}

impl Job {
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
    let mut job = Job::default();
    for path in paths {
        let unreadable = |cause| JobError::Unreadable {
            path: path.display().to_string(),
            cause,
        };
        if std::fs::metadata(path).map_err(unreadable)?.is_dir() {
            walk(path, &mut job)?;
        } else {
            job.files.push(read_file(path)?);
        }
    }
    job.files.sort_by(|one, other| one.name.cmp(&other.name));
    job.files.dedup_by(|one, other| one.path == other.path);
    job.absent = job.files.iter().flat_map(absent).collect();
    Ok(job)
}

/// Files that the applications of a manifest name without a scheme, from its own directory on, and that are not there.
fn absent(file: &File) -> Vec<Absent> {
    let Kind::Manifest { documents, .. } = &file.kind else {
        return Vec::new();
    };
    let directory = file.path.parent().unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for (number, document) in documents.iter().enumerate().filter(|(_, document)| document.is_ours()) {
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
                    document: number,
                    path,
                    file: place,
                });
            }
        }
    }
    found
}

fn walk(directory: &Path, job: &mut Job) -> Result<(), JobError> {
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
                walk(&path, job)?;
            }
        } else if kind.is_file() && (!name.starts_with('.') || name.starts_with(".env")) {
            if job.files.len() >= MOST_FILES {
                let path = directory.display().to_string();
                return Err(JobError::TooMany { path });
            }
            job.files.push(read_file(&path)?);
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<File, JobError> {
    let shown = path.strip_prefix("./").unwrap_or(path).display().to_string();
    let unreadable = |cause| JobError::Unreadable {
        path: shown.clone(),
        cause,
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    let mut bytes = Vec::new();
    let archive = is_archive(&shown);
    if !archive && size <= MOST_BYTES {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    let mut file = of_bytes(&shown, &bytes);
    if !archive && size > MOST_BYTES {
        file.kind = Kind::Binary;
    }
    file.path = path.to_owned();
    Ok(file)
}

/// The file of a name and its content.
#[must_use]
pub fn of_bytes(name: &str, bytes: &[u8]) -> File {
    let base = name.rsplit('/').next().unwrap_or(name);
    let extension = base
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
        .to_ascii_lowercase();
    let text = std::str::from_utf8(bytes).ok();
    let kind = match extension.as_str() {
        _ if is_archive(name) => Kind::Archive,
        "yaml" | "yml" | "json" => manifest(name, bytes),
        _ if text.is_none() || bytes.contains(&0) => Kind::Binary,
        "sql" | "hql" => Kind::Sql,
        "py" => Kind::Python,
        "txt" | "in" if base.starts_with("requirements") || base.starts_with("constraints") => Kind::Requirements,
        "conf" | "properties" if base.starts_with("spark") => Kind::Properties,
        _ => Kind::Text,
    };
    let text = match &kind {
        Kind::Archive | Kind::Binary => "",
        _ => text.unwrap_or_default(),
    };
    File {
        name: name.to_owned(),
        path: PathBuf::from(name),
        source: Source::new(name, text),
        kind,
    }
}

fn is_archive(name: &str) -> bool {
    [".jar", ".whl", ".zip", ".egg", ".tar.gz", ".tgz"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// What a YAML or JSON file is.
fn manifest(name: &str, bytes: &[u8]) -> Kind {
    let text = String::from_utf8_lossy(bytes);
    let (documents, complaints) = manifest::check_bytes(name, bytes);
    let unread = complaints.iter().any(|complaint| UNREAD.contains(&complaint.code));
    // Templates of Helm and Jinja stand where YAML has no meaning for them, or in the directory where Helm looks for them; in a text they are just text.
    let chart = name.split('/').rev().skip(1).any(|directory| directory == "templates");
    if text.contains("{{") && (unread || chart) {
        return if looks_like_object(&text) {
            Kind::Template
        } else {
            Kind::Text
        };
    }
    if is_contract(name, &documents) {
        return Kind::Contract;
    }
    let mut objects = documents.iter();
    if objects.any(|document| !document.api_version.is_empty() && !document.kind.is_empty())
        || (looks_like_object(&text) && manifest::has_errors(&complaints))
    {
        return Kind::Manifest { documents, complaints };
    }
    if std::str::from_utf8(bytes).is_err() {
        return Kind::Binary;
    }
    Kind::Text
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
mod tests {
    use super::*;

    fn kind(name: &str, text: &str) -> &'static str {
        match of_bytes(name, text.as_bytes()).kind {
            Kind::Manifest { .. } => "manifest",
            Kind::Template => "template",
            Kind::Contract => "contract",
            Kind::Sql => "sql",
            Kind::Python => "python",
            Kind::Requirements => "requirements",
            Kind::Properties => "properties",
            Kind::Archive => "archive",
            Kind::Text => "text",
            Kind::Binary => "binary",
        }
    }

    #[test]
    fn a_file_is_what_its_name_and_content_say() {
        let cases = [
            ("a.yaml", "apiVersion: v1\nkind: Pod\n", "manifest"),
            ("a.yml", "image: {tag: 1}\n", "text"),
            ("a.json", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}", "manifest"),
            ("a.json", "{\"a\": 1}", "text"),
            // Somebody's manifest that no longer parses.
            ("a.yaml", "apiVersion: v1\nkind: [\n", "manifest"),
            ("a.yaml", "on: [push\n", "text"),
            (
                "t/a.yaml",
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Values.name }}\n",
                "template",
            ),
            (
                "t/a.yaml",
                "{{- if .Values.x }}\napiVersion: v1\nkind: Pod\n{{- end }}\n",
                "template",
            ),
            (
                "a.yaml",
                "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {x: '{{ kept }}'}}\n",
                "manifest",
            ),
            (
                "a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  page: |\n    {{ title }}\n",
                "manifest",
            ),
            (
                "chart/templates/a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Values.name }}\"}\n",
                "template",
            ),
            ("a.yaml", "apiVersion: v3.1.0\nkind: DataContract\nid: x\n", "contract"),
            ("a.json", "{\"name\": \"s\", \"expectations\": []}", "contract"),
            ("contracts/a.yaml", "columns: {id: {}}\n", "contract"),
            ("a.contract.yaml", "rows: {min: 1}\n", "contract"),
            ("a.yaml", "columns: {id: {}}\n", "text"),
            ("q.sql", "SELECT 1", "sql"),
            ("q.hql", "SELECT 1", "sql"),
            ("m.py", "", "python"),
            ("requirements-dev.txt", "x", "requirements"),
            ("notes.txt", "x", "text"),
            ("spark-defaults.conf", "a b", "properties"),
            ("nginx.conf", "a b", "text"),
            ("a.jar", "PK", "archive"),
            ("a.bin", "\0", "binary"),
        ];
        for (name, text, expected) in cases {
            assert_eq!(kind(name, text), expected, "{name}: {text}");
        }
        assert!(matches!(of_bytes("a.py", b"\xff").kind, Kind::Binary));
    }

    #[test]
    fn a_directory_is_read_in_order_without_what_is_not_of_the_job() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.sql", "a/c.py", ".git/config", "venv/x.py", ".env", ".hidden.yaml"] {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let job = read(&[directory.path().to_owned(), directory.path().join("b.sql")]).unwrap();
        let names: Vec<_> = job
            .files
            .iter()
            .map(|file| file.path.strip_prefix(directory.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(names, [".env", "a/c.py", "b.sql"]);
        assert!(matches!(read(&["/nowhere".into()]), Err(JobError::Unreadable { .. })));
    }
}
