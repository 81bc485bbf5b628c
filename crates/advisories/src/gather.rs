//! Reads advisories: a file, every `*.json` below a directory, or an archive of them.
//!
//! Of an advisory that several sources have, the one that was changed last counts. A source named after an ecosystem (`PyPI/all.zip`, as osv.dev publishes
//! them, or `Maven.zip`) is taken for that ecosystem alone: it has some advisories of others, and some would be taken for all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::osv::{self, Read};
use crate::version::Ecosystem;

/// Largest advisory that is read, in bytes; the largest known ones have some hundred kilobytes.
const MOST_BYTES: u64 = 32 << 20;
/// Most advisories of a database.
const MOST: usize = 4_000_000;

/// Why advisories cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// A file or directory that cannot be read.
    #[error("{place}: {cause}")]
    Unreadable {
        /// The file.
        place: String,
        /// Why.
        cause: std::io::Error,
    },
    /// A text that is not an advisory.
    #[error("{place}: {cause}")]
    NoAdvisory {
        /// The file, within an archive `archive: file`.
        place: String,
        /// Why not.
        cause: String,
    },
    /// Neither JSON nor an archive.
    #[error("{place}: not a directory, a .json file or a .zip archive")]
    Unknown {
        /// The file.
        place: String,
    },
    /// Nothing to be looked up.
    #[error("{place}: there is no advisory of {} in it", names())]
    Nothing {
        /// The source.
        place: String,
    },
}

fn names() -> String {
    Ecosystem::ALL.map(Ecosystem::name).join(" or ")
}

/// Advisories of several sources.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// By id.
    pub advisories: BTreeMap<String, Read>,
    /// What they were read of, as it was named.
    pub sources: Vec<String>,
    /// Ecosystems that the sources are complete for, as far as their names and contents say.
    pub covered: BTreeSet<Ecosystem>,
}

impl Gathered {
    /// Adds a source that is at `path` and is called `name`; `progress` is told how many advisories there are, now and then.
    ///
    /// # Errors
    /// A source that cannot be read whole, or has nothing in it that is looked up; then nothing was added.
    pub fn add(&mut self, name: &str, path: &Path, progress: &mut dyn FnMut(usize)) -> Result<(), GatherError> {
        let only = ecosystem_of(name);
        let mut read = Vec::new();
        read_path(name, path, &mut |advisory| {
            read.push(advisory);
            if read.len().is_multiple_of(500) {
                progress(read.len());
            }
        })?;
        if let Some(only) = only {
            for advisory in &mut read {
                advisory.packages.retain(|(ecosystem, _, _)| *ecosystem == only);
            }
        }
        let found: BTreeSet<Ecosystem> = read
            .iter()
            .flat_map(|advisory| advisory.packages.iter().map(|(ecosystem, _, _)| *ecosystem))
            .collect();
        if found.is_empty() {
            return Err(GatherError::Nothing { place: name.to_owned() });
        }
        self.covered.extend(found);
        self.sources.push(name.to_owned());
        for advisory in read {
            self.keep(advisory);
        }
        Ok(())
    }

    /// Keeps an advisory, or what two sources say of it in different ecosystems.
    fn keep(&mut self, mut advisory: Read) {
        match self.advisories.get_mut(&advisory.id) {
            None => {
                self.advisories.insert(advisory.id.clone(), advisory);
            }
            Some(known) => {
                if advisory.modified > known.modified {
                    std::mem::swap(known, &mut advisory);
                }
                if !known.withdrawn {
                    let has = |ecosystem| known.packages.iter().any(|(of, _, _)| *of == ecosystem);
                    let others: Vec<_> = advisory
                        .packages
                        .into_iter()
                        .filter(|(ecosystem, _, _)| !has(*ecosystem))
                        .collect();
                    known.packages.extend(others);
                }
            }
        }
    }
}

/// The ecosystem a source is named after: its own name, or that of the directory it is in.
#[must_use]
pub fn ecosystem_of(name: &str) -> Option<Ecosystem> {
    let path = name.split(['?', '#']).next().unwrap_or(name).trim_end_matches('/');
    path.rsplit('/').take(2).find_map(|part| {
        let stem = part.split('.').next().unwrap_or(part);
        Ecosystem::ALL
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(stem))
    })
}

fn read_path(name: &str, path: &Path, each: &mut dyn FnMut(Read)) -> Result<(), GatherError> {
    let unreadable = |path: &Path| {
        let place = path.display().to_string();
        move |cause| GatherError::Unreadable { place, cause }
    };
    if path.is_dir() {
        let mut files = Vec::new();
        walk(path, &mut files)?;
        for file in files {
            read_path(&file.display().to_string(), &file, each)?;
        }
        return Ok(());
    }
    let mut file = File::open(path).map_err(unreadable(path))?;
    let mut begin = [0; 4];
    let size = file.read(&mut begin).map_err(unreadable(path))?;
    match &begin[..size] {
        b"PK\x03\x04" => archive(name, path, each),
        // An advisory begins with a brace, whatever its file is called.
        begin if begin.trim_ascii_start().starts_with(b"{") => {
            let mut bytes = begin.to_vec();
            file.take(MOST_BYTES)
                .read_to_end(&mut bytes)
                .map_err(unreadable(path))?;
            each(advisory(name, &bytes)?);
            Ok(())
        }
        _ => Err(GatherError::Unknown { place: name.to_owned() }),
    }
}

fn advisory(place: &str, bytes: &[u8]) -> Result<Read, GatherError> {
    osv::read(bytes).map_err(|cause| GatherError::NoAdvisory {
        place: place.to_owned(),
        cause,
    })
}

fn archive(name: &str, path: &Path, each: &mut dyn FnMut(Read)) -> Result<(), GatherError> {
    let damaged = |place: &str, cause: &dyn std::fmt::Display| GatherError::NoAdvisory {
        place: place.to_owned(),
        cause: format!("the archive cannot be read: {cause}"),
    };
    let file = File::open(path).map_err(|cause| GatherError::Unreadable {
        place: name.to_owned(),
        cause,
    })?;
    let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file)).map_err(|error| damaged(name, &error))?;
    if archive.len() > MOST {
        return Err(damaged(name, &format!("it has more than {MOST} files")));
    }
    let mut bytes = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| damaged(name, &error))?;
        if !entry.is_file() || !entry.name().ends_with(".json") {
            continue;
        }
        let place = format!("{name}: {}", entry.name());
        bytes.clear();
        let size = entry.size();
        // The checksum of the archive is held against what is read.
        entry
            .take(MOST_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(&place, &error))?;
        if bytes.len() as u64 != size {
            return Err(damaged(&place, &format!("{} bytes of {size}", bytes.len())));
        }
        each(advisory(&place, &bytes)?);
    }
    Ok(())
}

/// The JSON files and archives below a directory, in the order of their names. Hidden directories are left out, links are not followed.
fn walk(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), GatherError> {
    let unreadable = |cause| GatherError::Unreadable {
        place: directory.display().to_string(),
        cause,
    };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let kind = entry.file_type().map_err(unreadable)?;
        entries.push((entry.path(), entry.file_name(), kind));
    }
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    for (path, name, kind) in entries {
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            walk(&path, files)?;
        } else if kind.is_file() && (name.ends_with(".json") || name.ends_with(".zip")) {
            files.push(path);
        }
    }
    Ok(())
}
