//! The files of a job, read from a disk: which of them belong to it, and which of those that they name are not there.

use std::io::Read;
use std::path::{Path, PathBuf};

use stoke_model::manifest::{Node, join_index};
use stoke_submit::argv::contents::local_path;

use super::what::{is_archive, large_file};
use super::{Absent, File, Job, Kind, MOST_BYTES, MOST_FILES, MOST_TEXT, kustomize, of_bytes};

/// Directories no one keeps a job in.
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
/// Why a job cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A path that cannot be read.
    #[error("{path}: {cause}")]
    Unreadable {
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// A device, a pipe or a socket: reading it could block for ever.
    #[error("{path} is a device, a pipe or a socket, and no file")]
    NoFile { path: String },
    /// More files than any job has.
    #[error("{path} has more than {MOST_FILES} files")]
    TooMany { path: String },
}

/// Reads the files under some paths. Hidden directories and those of tools are left out, links are not followed.
///
/// # Errors
/// When a path cannot be read; a job that is half seen would half pass.
pub fn read(paths: &[PathBuf]) -> Result<Job, JobError> {
    read_within(paths, MOST_TEXT)
}

/// The same with a limit on the bytes of text in all.
pub(super) fn read_within(paths: &[PathBuf], mut left: u64) -> Result<Job, JobError> {
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
