//! Which files are looked into: of a directory, and of layers with what they hide of those below.
//!
//! Layers are read from the highest to the lowest, each once and as a stream: a file of a lower one counts when nothing above it has its place, removed it
//! (`.wh.NAME`), hid its directory (`.wh..wh..opq`) or put something else where a directory of its path was. What is kept in memory is 16 bytes for each
//! path, and the packages. Source of the rules: the OCI image specification, "Layer Filesystem Changeset".

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use stoke_diagnostics::{Diagnostic, Severity};

use super::inventory::{Content, Inventory, Os, Unread, together};
use super::{apk, dpkg, java, python, rpm};

/// Most bytes of a text that lists packages: a status file of Debian has some ten million at most.
const MOST_TEXT: u64 = 64 << 20;
/// Most bytes of a database of rpm.
const MOST_DATABASE: u64 = 1 << 30;
/// Most entries of all layers together.
const MOST_ENTRIES: usize = 10_000_000;

/// Why there is no bill of materials.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    #[error("{place}: {why}")]
    Target { place: String, why: String },
    #[error("layer {number}: {why}")]
    Layer {
        /// From 1, the lowest first.
        number: usize,
        why: String,
    },
    #[error("the layers have more than {MOST_ENTRIES} entries")]
    TooMany,
}

impl From<SbomError> for Diagnostic {
    fn from(error: SbomError) -> Diagnostic {
        let (code, fix) = match &error {
            SbomError::Target { .. } => ("sbom-target", "name a directory, `oci:DIR`, an archive, or an image"),
            SbomError::Layer { .. } => ("sbom-layer", "build or fetch the image again"),
            SbomError::TooMany => ("sbom-too-large", "build an image with fewer files"),
        };
        Diagnostic::new(Severity::Error, code, error.to_string()).with_fix(fix)
    }
}

/// What a file is by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interest {
    Status,
    StatusPart,
    Apk,
    RpmSqlite,
    RpmNdb,
    RpmBerkeley,
    Release,
    Python,
    Archive,
}

/// By a path without a leading slash.
fn interest(path: &str) -> Option<Interest> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let rpm = |directory: &str| ["var/lib/rpm/", "usr/lib/sysimage/rpm/"].contains(&directory);
    let directory = &path[..path.len() - name.len()];
    Some(match (directory, name) {
        ("var/lib/dpkg/", "status") => Interest::Status,
        ("var/lib/dpkg/status.d/", name) if !name.ends_with(".md5sums") => Interest::StatusPart,
        ("lib/apk/db/" | "usr/lib/apk/db/", "installed") => Interest::Apk,
        (directory, "rpmdb.sqlite") if rpm(directory) => Interest::RpmSqlite,
        (directory, "Packages.db") if rpm(directory) => Interest::RpmNdb,
        (directory, "Packages") if rpm(directory) => Interest::RpmBerkeley,
        ("etc/" | "usr/lib/", "os-release") => Interest::Release,
        (directory, "METADATA") if directory.ends_with(".dist-info/") => Interest::Python,
        (directory, "PKG-INFO") if directory.ends_with(".egg-info/") || directory.ends_with("EGG-INFO/") => {
            Interest::Python
        }
        // Distutils wrote one file.
        (_, name) if name.ends_with(".egg-info") => Interest::Python,
        (_, name) if java::is_archive(name) => Interest::Archive,
        _ => return None,
    })
}

/// Reads a file that is looked into.
fn look(interest: Interest, path: &str, content: &mut dyn Read) -> Content {
    let mut found = Content::default();
    if interest == Interest::Archive {
        return java::read(content, path);
    }
    let read = match interest {
        Interest::RpmSqlite => spool(content).and_then(|file| rpm::sqlite(file.path(), path)),
        Interest::RpmNdb => bytes(content, MOST_DATABASE).and_then(|bytes| rpm::ndb(&bytes, path)),
        Interest::RpmBerkeley => Err("a database of rpm in the form of Berkeley DB, which is not read; `rpmdb --rebuilddb` of a newer rpm makes SQLite of it".to_owned()),
        _ => bytes(content, MOST_TEXT).and_then(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            match interest {
                Interest::Status => dpkg::read(&text, path, true),
                Interest::StatusPart => dpkg::read(&text, path, false),
                Interest::Apk => apk::read(&text, path),
                Interest::Release => {
                    found.os = Os::read(&text);
                    Ok(Vec::new())
                }
                _ => python::read(&text, path).map(|package| vec![package]),
            }
        }),
    };
    match read {
        Ok(packages) => found.packages = packages,
        Err(why) => found.unread.push(Unread::new(path, why)),
    }
    found
}

fn bytes(content: &mut dyn Read, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = content.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if read as u64 > most {
        return Err(format!("it has more than {most} bytes"));
    }
    Ok(bytes)
}

fn spool(content: &mut dyn Read) -> Result<tempfile::NamedTempFile, String> {
    let mut file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    let copied = std::io::copy(&mut content.take(MOST_DATABASE + 1), &mut file).map_err(|error| error.to_string())?;
    if copied > MOST_DATABASE {
        return Err(format!("it has more than {MOST_DATABASE} bytes"));
    }
    file.flush().map_err(|error| error.to_string())?;
    Ok(file)
}

/// What is in a directory that is a root file system, or any directory.
///
/// # Errors
/// One that cannot be read. Below it, links are not followed, and directories that cannot be listed are in [`Inventory::unread`].
pub fn directory(root: &Path) -> Result<Inventory, SbomError> {
    let target = |error: std::io::Error| SbomError::Target {
        place: root.display().to_string(),
        why: error.to_string(),
    };
    let mut files = BTreeMap::new();
    std::fs::read_dir(root).map_err(target)?;
    let mut waiting: Vec<(PathBuf, String)> = vec![(root.to_owned(), String::new())];
    while let Some((directory, path)) = waiting.pop() {
        let unread = |files: &mut BTreeMap<String, Content>, path: &str, error: std::io::Error| {
            let content = Content {
                unread: vec![Unread::new(path, error.to_string())],
                ..Content::default()
            };
            files.insert(path.to_owned(), content);
        };
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                unread(&mut files, &path, error);
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    unread(&mut files, &path, error);
                    break;
                }
            };
            let below = format!("{path}{}", entry.file_name().to_string_lossy());
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                // Views of the kernel, where the root is this machine's.
                let kernel = root == Path::new("/") && ["proc", "sys", "dev"].contains(&below.as_str());
                if !kernel {
                    waiting.push((entry.path(), format!("{below}/")));
                }
            } else if kind.is_file()
                && let Some(interest) = interest(&below)
            {
                match File::open(entry.path()) {
                    Ok(file) => {
                        let content = look(interest, &below, &mut BufReader::new(file));
                        files.insert(below, content);
                    }
                    Err(error) => unread(&mut files, &below, error),
                }
            }
        }
    }
    Ok(together(files))
}

/// What is in an image: `open` gives the tar of a layer by its index, the lowest is 0. Each is read to its end, so that a reader that verifies has its say.
///
/// # Errors
/// A layer that cannot be read to its end.
pub fn layers(
    count: usize,
    open: &mut dyn FnMut(usize) -> std::io::Result<Box<dyn Read>>,
) -> Result<Inventory, SbomError> {
    let mut above = Hidden::default();
    let mut files = BTreeMap::new();
    for index in (0..count).rev() {
        let failed = |error: std::io::Error| SbomError::Layer {
            number: index + 1,
            why: error.to_string(),
        };
        let content = open(index).map_err(failed)?;
        layer(content, &mut above, &mut files).map_err(|error| error.map_or(SbomError::TooMany, failed))?;
    }
    Ok(together(files))
}

type Key = [u8; 16];

fn key(path: &str) -> Key {
    let sum = Sha256::digest(path.as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&sum[..16]);
    key
}

/// What layers above have and hide.
#[derive(Default)]
struct Hidden {
    /// Everything that is not a directory, and what was removed: it hides its path and all below it.
    whole: HashSet<Key>,
    /// Directories: each hides what is not a directory at its path.
    directories: HashSet<Key>,
    /// Directories whose content below is hidden.
    opaque: HashSet<Key>,
}

impl Hidden {
    fn hides(&self, path: &str) -> bool {
        let own = key(path);
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        self.whole.contains(&own)
            || self.directories.contains(&own)
            || self.opaque.contains(&key(""))
            || above.map(key).any(|key| self.whole.contains(&key) || self.opaque.contains(&key))
    }

    fn len(&self) -> usize {
        self.whole.len() + self.directories.len() + self.opaque.len()
    }
}

/// A path of an archive without `./` and slashes at its ends; none for one that leaves the root.
fn clean(path: &Path) -> Option<String> {
    let text = path.to_string_lossy();
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// Reads one layer; `None` stands for too many entries.
fn layer(
    content: Box<dyn Read>,
    above: &mut Hidden,
    files: &mut BTreeMap<String, Content>,
) -> Result<(), Option<std::io::Error>> {
    let mut archive = tar::Archive::new(content);
    let mut here = Hidden::default();
    // What this layer says of itself, to be put below what is above.
    let mut own: BTreeMap<String, Content> = BTreeMap::new();
    let entries = archive.entries().map_err(Some)?;
    for entry in entries {
        let mut entry = entry.map_err(Some)?;
        if above.len() + here.len() > MOST_ENTRIES {
            return Err(None);
        }
        let Some(path) = clean(&entry.path().map_err(Some)?) else { continue };
        let kind = entry.header().entry_type();
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == ".wh..wh..opq" {
            here.opaque.insert(key(directory));
            continue;
        }
        if let Some(removed) = name.strip_prefix(".wh.") {
            let removed = if directory.is_empty() { removed.to_owned() } else { format!("{directory}/{removed}") };
            here.whole.insert(key(&removed));
            continue;
        }
        if kind.is_dir() {
            here.directories.insert(key(&path));
            continue;
        }
        here.whole.insert(key(&path));
        own.remove(&path);
        let Some(interest) = interest(&path).filter(|_| !above.hides(&path)) else { continue };
        if kind.is_hard_link() {
            // The content is that of a file before it in the same layer, or in one below.
            let target = entry.link_name().map_err(Some)?.and_then(|target| clean(&target));
            let content = match target.and_then(|target| own.get(&target).map(|content| moved(content, &target, &path))) {
                Some(content) => content,
                None => Content {
                    unread: vec![Unread::new(&path, "a hard link to a file that was not looked into")],
                    ..Content::default()
                },
            };
            own.insert(path, content);
        } else if kind.is_file() || kind.is_contiguous() {
            let content = look(interest, &path, &mut entry);
            own.insert(path, content);
        }
    }
    // To its end: what follows the last entry belongs to the layer, and its digest is only known then.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(Some)?;
    files.append(&mut own);
    above.whole.extend(here.whole);
    above.directories.extend(here.directories);
    above.opaque.extend(here.opaque);
    Ok(())
}

/// The same content under another path.
fn moved(content: &Content, from: &str, to: &str) -> Content {
    let mut moved = content.clone();
    let place = |place: &str| match place.strip_prefix(from) {
        Some(rest) => format!("{to}{rest}"),
        None => place.to_owned(),
    };
    for package in &mut moved.packages {
        package.places = package.places.iter().map(|old| place(old)).collect();
    }
    for unread in &mut moved.unread {
        unread.place = place(&unread.place);
    }
    moved
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
