//! A file of Python requirements, as pip reads it: lines, continued lines, files it includes and constraints.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use stoke_advisories::Ecosystem;
use stoke_diagnostics::{Diagnostic, Place, Severity, Source};

use super::requirement::{Pin, Requirement};
use super::{Dependency, Found, fits};
use crate::job::{File, Job, Kind, MOST_BYTES};

/// Reads a file and what it includes.
pub(super) fn read(file: &File, job: &Job, sparks: &[String], found: &mut Found) {
    let base = file.name.rsplit('/').next().unwrap_or(&file.name);
    let mut reading = Reading {
        job,
        sparks,
        // A `.in` file and constraints say what is wanted; what is installed is in the file made of them.
        wanted_only: base.ends_with(".in") || base.starts_with("constraints"),
        included: BTreeSet::new(),
        constraints: BTreeMap::new(),
        seen: BTreeMap::new(),
        found,
    };
    reading.constraints(&file.path, &file.source);
    reading.file(&file.path, &file.source);
}

struct Reading<'a> {
    job: &'a Job,
    sparks: &'a [String],
    wanted_only: bool,
    included: BTreeSet<PathBuf>,
    /// Versions that `-c` files fix.
    constraints: BTreeMap<String, String>,
    /// Where a package was named first, and how; by name and marker.
    seen: BTreeMap<String, (String, String)>,
    found: &'a mut Found,
}

/// What a line is.
enum Line<'a> {
    /// `-r file`.
    Includes(&'a str),
    /// `-c file`.
    Constrains(&'a str),
    /// A requirement, and whether hashes pin it.
    Requires(&'a str, bool),
    /// An option, an address, nothing.
    Else,
}

fn line_of(text: &str) -> Line<'_> {
    let option = |long: &str, short: &str| {
        let value = match text.strip_prefix(long) {
            Some(rest) => rest.strip_prefix([' ', '\t', '='])?,
            None => text.strip_prefix(short)?,
        };
        Some(value.trim()).filter(|value| !value.is_empty())
    };
    if let Some(file) = option("--requirement", "-r") {
        Line::Includes(file)
    } else if let Some(file) = option("--constraint", "-c") {
        Line::Constrains(file)
    } else if text.is_empty() || text.starts_with('-') {
        Line::Else
    } else {
        Line::Requires(
            text.split(" --").next().unwrap_or(text).trim(),
            text.contains("--hash="),
        )
    }
}

/// The lines of a text with continued ones put together, and the number of their last.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut carried = String::new();
    for (index, line) in text.lines().enumerate() {
        let joined = format!("{carried}{line}");
        if let Some(open) = joined.strip_suffix('\\') {
            carried = open.to_owned();
            continue;
        }
        carried.clear();
        lines.push((index + 1, without_comment(&joined).trim().to_owned()));
    }
    lines
}

impl Reading<'_> {
    /// Gathers what `-c` fixes, since it holds for lines before it, too.
    fn constraints(&mut self, path: &Path, source: &Source) {
        for (_, line) in lines(source.text()) {
            let Line::Constrains(name) = line_of(&line) else {
                continue;
            };
            let Some((_, source)) = self.open(path, name) else {
                continue;
            };
            for (_, line) in lines(source.text()) {
                if let Line::Requires(text, _) = line_of(&line)
                    && let Ok(requirement) = Requirement::from_str(text)
                    && let Some(Pin::Version(version)) = requirement.pin
                {
                    self.constraints.insert(requirement.name, version);
                }
            }
        }
    }

    /// A file that another one names: of the job, else of the disk.
    fn open(&self, from: &Path, name: &str) -> Option<(PathBuf, Arc<Source>)> {
        let path = from.parent().unwrap_or(Path::new("")).join(name);
        if let Some(file) = self.job.files.iter().find(|file| file.path == path) {
            return Some((path, Arc::clone(&file.source)));
        }
        let size = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?.len();
        if size > MOST_BYTES || outside(from, &path) {
            return None;
        }
        let text = std::fs::read_to_string(&path).ok()?;
        let shown = path.strip_prefix("./").unwrap_or(&path).display().to_string();
        Some((path, Source::new(&shown, &text)))
    }

    fn file(&mut self, path: &Path, source: &Arc<Source>) {
        for (number, line) in lines(source.text()) {
            let place = source.line_place(number);
            match line_of(&line) {
                Line::Else => {}
                Line::Includes(name) => self.include(path, name, source, place),
                Line::Constrains(name) => {
                    if !name.contains("://") && self.open(path, name).is_none() {
                        self.absent(path, name, source, place);
                    }
                }
                Line::Requires(text, hashed) => self.requirement(text, hashed, source, place),
            }
        }
    }

    fn include(&mut self, path: &Path, name: &str, source: &Arc<Source>, place: Place) {
        if name.contains("://") {
            let message = format!("`{name}` is not read: what stands behind an address can be another thing tomorrow");
            let finding = Diagnostic::at(Severity::Warning, "dependency-unpinned", source, place, "", message);
            self.found
                .findings
                .push(finding.with_fix("keep the file beside this one"));
            return;
        }
        let Some((path, included)) = self.open(path, name) else {
            self.absent(path, name, source, place);
            return;
        };
        // Files that are looked at by themselves need not be looked at twice.
        let by_itself = |file: &File| file.path == path && matches!(file.kind, Kind::Requirements);
        if !self.job.files.iter().any(by_itself) && self.included.insert(path.clone()) {
            self.constraints(&path, &included);
            self.file(&path, &included);
        }
    }

    fn absent(&mut self, path: &Path, name: &str, source: &Arc<Source>, place: Place) {
        let there = path.parent().unwrap_or(Path::new("")).join(name);
        if there.exists() {
            let message = format!("`{name}` is not read: it is outside the job, not a regular file, or too large");
            let finding = Diagnostic::at(Severity::Error, "file-unread", source, place, "", message);
            let fix = "keep the file in the repository of the job";
            self.found.findings.push(finding.unknown().with_fix(fix));
            return;
        }
        let message = format!("there is no file `{name}`: the installation fails");
        let finding = Diagnostic::at(Severity::Error, "dependency-absent", source, place, "", message);
        self.found
            .findings
            .push(finding.with_fix("name a file beside this one, or remove the line"));
    }

    fn requirement(&mut self, text: &str, hashed: bool, source: &Arc<Source>, place: Place) {
        self.found.count += 1;
        let mut say = |severity, code: &'static str, message: String, fix: String| {
            let finding = Diagnostic::at(severity, code, source, place, "", message);
            self.found.findings.push(finding.with_fix(fix));
        };
        let requirement = match Requirement::from_str(text) {
            Ok(requirement) => requirement,
            Err(_) if is_path(text) => return,
            Err(cause) => {
                let message = format!("`{text}` is not a requirement: {cause}");
                say(
                    Severity::Error,
                    "dependency-syntax",
                    message,
                    "write `name==1.2.3`".to_owned(),
                );
                return;
            }
        };
        if let Some((one, other)) = &requirement.contradiction {
            let message = format!(
                "no version of `{}` is both {one} and {other}: the installation fails",
                requirement.name
            );
            say(
                Severity::Error,
                "dependency-unmet",
                message,
                "write bounds that meet".to_owned(),
            );
            return;
        }
        let name = requirement.name.clone();
        let here = if place.line == 0 {
            String::new()
        } else {
            format!("in line {}", place.line)
        };
        let key = format!("{name} {}", requirement.marker);
        if let Some((first, before)) = self.seen.insert(key, (here, text.to_owned())) {
            let severity = match before == text {
                true => Severity::Warning,
                false => Severity::Error,
            };
            let message = format!("`{name}` stands here a second time, first {first} as `{before}`");
            say(severity, "dependency-twice", message, "keep one of them".to_owned());
        }
        if !requirement.may_hold(&fits::pythons(self.sparks)) {
            return;
        }
        let fixed = match &requirement.pin {
            Some(Pin::Version(version)) => Some(version.clone()),
            Some(Pin::Url) => None,
            None => self.constraints.get(&name).cloned(),
        };
        if requirement.pin.is_none() && fixed.is_none() && !hashed && !self.wanted_only {
            let message = format!("`{text}` is not pinned: another version is installed as soon as there is one");
            let fix = format!("write `{name}==` and the version the job was tested with");
            say(Severity::Warning, "dependency-unpinned", message, fix);
        }
        self.found.dependencies.push(Dependency {
            ecosystem: Ecosystem::PyPI,
            name,
            version: fixed,
            sparks: self.sparks.to_vec(),
            source: Arc::clone(source),
            place,
            path: String::new(),
            licence: None,
        });
    }
}

/// Whether a file lies outside of the repository of the one that names it; without a repository, of the directory above. What is there must not be shown:
/// a password file, a device, a pipe of the kernel that waits.
fn outside(from: &Path, path: &Path) -> bool {
    let directory = from.parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(directory) = directory.unwrap_or(Path::new(".")).canonicalize() else {
        return true;
    };
    let repository = directory.ancestors().find(|ancestor| ancestor.join(".git").exists());
    let root = repository.or(directory.parent()).unwrap_or(&directory);
    // The root of the machine holds everything.
    let root = if root.parent().is_none() { &directory } else { root };
    path.canonicalize().map_or(true, |path| !path.starts_with(root))
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    line.split(" #").next().unwrap_or(line)
}

/// A file or an address without a name.
fn is_path(text: &str) -> bool {
    text.starts_with(['.', '/']) || text.contains("://") || text.ends_with(".whl")
}
