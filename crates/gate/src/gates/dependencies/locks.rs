//! Lock files of Python: `poetry.lock`, `uv.lock`, `pdm.lock`, `pylock.toml` (PEP 751), `Pipfile.lock`.
//!
//! They name one version of everything that is installed, so nothing in them is unpinned. What is for development only does not come into an image and
//! is left out, where the format says so; so is the project itself.

use std::sync::Arc;

use serde::Deserialize;
use stoke_advisories::Ecosystem;
use stoke_diagnostics::{Place, Severity};
use toml::Spanned;

use super::marker::Marker;
use super::{Dependency, Found, fits};
use crate::job::File;

/// Names of the files.
pub(super) const NAMES: [&str; 5] = ["poetry.lock", "uv.lock", "pdm.lock", "pylock.toml", "Pipfile.lock"];

/// True for a lock file of Python, also `pylock.NAME.toml`.
pub(super) fn is(base: &str) -> bool {
    NAMES.contains(&base) || (base.starts_with("pylock.") && base.ends_with(".toml"))
}

/// All the formats in TOML, which share their bones.
#[derive(Deserialize)]
struct Lock {
    #[serde(default, rename = "requires-python")]
    requires_python: Option<Spanned<String>>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default, alias = "packages")]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default, rename = "python-versions")]
    python_versions: Option<Spanned<String>>,
}

#[derive(Deserialize)]
struct Package {
    name: Spanned<String>,
    version: Option<String>,
    /// PDM, and Poetry since 2.0.
    groups: Option<Vec<String>>,
    /// Poetry before 2.0.
    category: Option<String>,
    /// In uv a table with one of `registry`, `git`, `url`, `virtual`, `editable`, …
    source: Option<toml::Value>,
    /// PEP 751.
    marker: Option<String>,
    /// PEP 751: a directory of the project.
    directory: Option<toml::Value>,
}

impl Package {
    /// True for the project itself, and for what is for development only.
    fn is_left_out(&self) -> bool {
        let own = |source: &toml::Value| {
            ["virtual", "editable", "directory"]
                .iter()
                .any(|kind| source.get(kind).is_some())
        };
        let for_use = |groups: &Vec<String>| {
            groups.is_empty() || groups.iter().any(|group| group == "main" || group == "default")
        };
        self.source.as_ref().is_some_and(own)
            || self.directory.is_some()
            || self.category.as_deref() == Some("dev")
            || self.groups.as_ref().is_some_and(|groups| !for_use(groups))
    }
}

/// Reads a lock file.
pub(super) fn read(file: &File, sparks: &[String], found: &mut Found) {
    match file.name.ends_with("Pipfile.lock") {
        true => pipfile(file, sparks, found),
        false => toml(file, sparks, found),
    }
}

/// Says that a file is not what its name says.
pub(super) fn unreadable(file: &File, place: Place, cause: &str, found: &mut Found) {
    let cause = cause.lines().next().unwrap_or_default();
    let message = format!("the file cannot be read: {cause}");
    found.say(
        (Severity::Error, "dependency-syntax"),
        (file, place),
        message,
        "fix it at this place, or let its tool write it again",
    );
}

/// The place of some bytes of a file.
pub(super) fn place_at(file: &File, start: usize) -> Place {
    let text = file.source.text();
    let before = text.get(..start).unwrap_or(text);
    file.source.line_place(before.matches('\n').count() + 1)
}

/// Says that a file wants a Python its Spark is not made for.
pub(super) fn python(file: &File, place: Place, wanted: &str, sparks: &[String], found: &mut Found) {
    if let Some((message, fix)) = fits::python(wanted, sparks) {
        found.say(
            (Severity::Error, "dependency-other-python"),
            (file, place),
            message,
            fix,
        );
    }
}

fn toml(file: &File, sparks: &[String], found: &mut Found) {
    let lock: Lock = match toml::from_str(file.source.text()) {
        Ok(lock) => lock,
        Err(error) => {
            let place = place_at(file, error.span().map_or(0, |span| span.start));
            return unreadable(file, place, error.message(), found);
        }
    };
    let of_poetry = lock.metadata.and_then(|metadata| metadata.python_versions);
    if let Some(wanted) = lock.requires_python.or(of_poetry) {
        let place = place_at(file, wanted.span().start);
        python(file, place, wanted.get_ref(), sparks, found);
    }
    let pythons = fits::pythons(sparks);
    for package in lock.package {
        let holds = package.marker.as_ref().is_none_or(|marker| {
            marker
                .parse::<Marker>()
                .map_or(true, |marker| marker.may_hold(&pythons))
        });
        if package.is_left_out() || !holds {
            continue;
        }
        let place = place_at(file, package.name.span().start);
        push(file, place, package.name.get_ref(), package.version, sparks, found);
    }
}

#[derive(Deserialize)]
struct Pipfile {
    #[serde(rename = "_meta")]
    meta: Option<Meta>,
    #[serde(default)]
    default: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    requires: serde_json::Map<String, serde_json::Value>,
}

fn pipfile(file: &File, sparks: &[String], found: &mut Found) {
    let text = file.source.text();
    let lock: Pipfile = match serde_json::from_str(text) {
        Ok(lock) => lock,
        Err(error) => {
            let place = file.source.line_place(error.line().max(1));
            return unreadable(file, place, &error.to_string(), found);
        }
    };
    let place_of = |key: &str, from: usize| {
        let written = format!("\"{key}\"");
        let at = text
            .get(from..)
            .and_then(|rest| rest.find(&written))
            .map_or(0, |at| from + at);
        place_at(file, at)
    };
    let requires = lock.meta.map(|meta| meta.requires).unwrap_or_default();
    if let Some(python_version) = requires.get("python_version").and_then(serde_json::Value::as_str) {
        let wanted = format!("=={python_version}.*");
        python(file, place_of("python_version", 0), &wanted, sparks, found);
    }
    let pythons = fits::pythons(sparks);
    let from = text.find("\"default\"").unwrap_or(0);
    for (name, package) in &lock.default {
        let field = |key: &str| package.get(key).and_then(serde_json::Value::as_str);
        let holds = field("markers").is_none_or(|marker| {
            marker
                .parse::<Marker>()
                .map_or(true, |marker| marker.may_hold(&pythons))
        });
        if holds {
            let version = field("version").and_then(|version| version.strip_prefix("=="));
            push(
                file,
                place_of(name, from),
                name,
                version.map(str::to_owned),
                sparks,
                found,
            );
        }
    }
}

pub(super) fn push(
    file: &File,
    place: Place,
    name: &str,
    version: Option<String>,
    sparks: &[String],
    found: &mut Found,
) {
    found.count += 1;
    found.dependencies.push(Dependency {
        ecosystem: Ecosystem::PyPI,
        name: Ecosystem::PyPI.normal(name),
        version,
        sparks: sparks.to_vec(),
        source: Arc::clone(&file.source),
        place,
        path: String::new(),
        licence: None,
    });
}
