//! Policy files, and the one place that reads them from a directory.

use std::io;
use std::path::{Path, PathBuf};

/// A file with policies, data, or examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Path below the directory that is loaded, with `/`; directories of data files are their place in `data`.
    pub path: String,
    /// What it is called in messages: as a person would open it.
    pub shown: String,
    pub text: String,
}

impl PolicyFile {
    /// A file that is shown under its path.
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            shown: path.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// What a file is for, by its name and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `.rego`.
    Policy,
    /// `_test.rego`.
    Test,
    /// `.yaml`, `.yml`, `.json`: data, or templates and constraints.
    Document,
    /// One of these below a directory `allowed`.
    Allowed,
    /// One of these below a directory `denied`.
    Denied,
    /// Everything else.
    Other,
}

pub(crate) fn purpose(path: &str) -> Purpose {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    if name.ends_with("_test.rego") {
        return Purpose::Test;
    }
    if name.ends_with(".rego") {
        return Purpose::Policy;
    }
    if ![".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end)) {
        return Purpose::Other;
    }
    let mut folders = folders.split('/');
    match folders.find(|folder| matches!(*folder, "allowed" | "denied")) {
        Some("allowed") => Purpose::Allowed,
        Some(_) => Purpose::Denied,
        None => Purpose::Document,
    }
}

/// The directory a file is in; of an example the one its `allowed` or `denied` is in.
pub(crate) fn home(path: &str) -> &str {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    let mut end = 0;
    for folder in folders.split('/') {
        if matches!(folder, "allowed" | "denied") {
            return folders[..end].trim_end_matches('/');
        }
        end += folder.len() + 1;
    }
    folders
}

/// Reads what there is of policies, data and examples in a directory and below it, in the order of paths. A path of a file is that file.
///
/// # Errors
/// What cannot be read, with its path. Files that are not UTF-8 are among that.
pub fn read(root: &Path) -> Result<Vec<PolicyFile>, (PathBuf, io::Error)> {
    let mut found = Vec::new();
    collect(root, "", &mut found)?;
    found.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(found)
}

/// Directories deeper than this are links that lead back.
const MAX_DEPTH: usize = 32;

fn collect(path: &Path, below: &str, found: &mut Vec<PolicyFile>) -> Result<(), (PathBuf, io::Error)> {
    let fail = |error| (path.to_owned(), error);
    if below.split('/').count() > MAX_DEPTH {
        return Err(fail(io::Error::other(
            "directories are nested too deep; does a link lead back?",
        )));
    }
    if !path.is_dir() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let below = if below.is_empty() { &*name } else { below };
        if purpose(below) != Purpose::Other {
            found.push(PolicyFile {
                path: below.to_owned(),
                shown: path.display().to_string(),
                text: std::fs::read_to_string(path).map_err(fail)?,
            });
        }
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Hidden files are someone else's, and mounted ConfigMaps keep older versions of themselves there.
        if name.starts_with('.') {
            continue;
        }
        let below = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        collect(&entry.path(), &below, found)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_name_and_place() {
        for (path, expected, at) in [
            ("a.rego", Purpose::Policy, ""),
            ("x/a_test.rego", Purpose::Test, "x"),
            ("x/data.json", Purpose::Document, "x"),
            ("x/allowed/a.yaml", Purpose::Allowed, "x"),
            ("x/y/denied/z/a.yml", Purpose::Denied, "x/y"),
            ("denied/a.yml", Purpose::Denied, ""),
            ("denied/a.rego", Purpose::Policy, ""),
            ("README.md", Purpose::Other, ""),
        ] {
            assert_eq!(purpose(path), expected, "{path}");
            assert_eq!(home(path), at, "{path}");
        }
    }
}
