//! Projects of Python: `pyproject.toml` (PEP 621, and Poetry's own table), `environment.yml` of conda.
//!
//! A project beside its lock file says what is wanted, and the lock file what is installed: then only its Python is looked at.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;
use stoke_diagnostics::{Place, Severity};
use stoke_model::manifest::{self, Node};
use toml::Spanned;

use super::requirement::{Pin, Requirement};
use super::{Found, fits, locks};
use crate::job::{File, Job, Kind};

#[derive(Deserialize)]
struct Pyproject {
    project: Option<Project>,
    tool: Option<Tool>,
}

#[derive(Deserialize)]
struct Project {
    #[serde(default)]
    dependencies: Vec<Spanned<String>>,
    #[serde(rename = "requires-python")]
    requires_python: Option<Spanned<String>>,
}

#[derive(Deserialize)]
struct Tool {
    poetry: Option<Poetry>,
}

#[derive(Deserialize)]
struct Poetry {
    #[serde(default)]
    dependencies: BTreeMap<Spanned<String>, toml::Value>,
}

/// Reads a `pyproject.toml`.
pub(super) fn pyproject(file: &File, job: &Job, sparks: &[String], found: &mut Found) {
    let read: Pyproject = match toml::from_str(file.source.text()) {
        Ok(read) => read,
        Err(error) => {
            let place = locks::place_at(file, error.span().map_or(0, |span| span.start));
            return locks::unreadable(file, place, error.message(), found);
        }
    };
    let locked = has_beside(file, job, |beside, base| {
        locks::is(base) || matches!(beside.kind, Kind::Requirements)
    });
    if let Some(project) = read.project {
        if let Some(wanted) = &project.requires_python {
            let place = locks::place_at(file, wanted.span().start);
            locks::python(file, place, wanted.get_ref(), sparks, found);
        }
        for text in project.dependencies.iter().filter(|_| !locked) {
            let place = locks::place_at(file, text.span().start);
            requirement(file, place, text.get_ref(), sparks, found);
        }
    }
    let poetry = read.tool.and_then(|tool| tool.poetry);
    for (name, wanted) in poetry.into_iter().flat_map(|poetry| poetry.dependencies) {
        let place = locks::place_at(file, name.span().start);
        let version = wanted.as_str().or_else(|| wanted.get("version")?.as_str());
        let Some(version) = version.map(str::trim) else {
            continue;
        };
        if name.get_ref() == "python" {
            if version.starts_with(['>', '<', '=', '~', '!']) {
                locks::python(file, place, version, sparks, found);
            }
        } else if !locked {
            // A version by itself is that one in Poetry.
            let exact = version.strip_prefix("==").unwrap_or(version).trim();
            let exact = Some(exact).filter(|exact| {
                exact.starts_with(|first: char| first.is_ascii_digit()) && !exact.contains(['*', ',', ' '])
            });
            if exact.is_none() {
                unpinned(file, place, &format!("{} {version}", name.get_ref()), found);
            }
            locks::push(file, place, name.get_ref(), exact.map(str::to_owned), sparks, found);
        }
    }
}

/// True when a file of some kind is in the same directory.
fn has_beside(file: &File, job: &Job, is: impl Fn(&File, &str) -> bool) -> bool {
    let directory = file.path.parent();
    job.files.iter().any(|beside| {
        beside.path.parent() == directory && is(beside, beside.name.rsplit('/').next().unwrap_or(&beside.name))
    })
}

fn unpinned(file: &File, place: Place, text: &str, found: &mut Found) {
    let message = format!(
        "`{text}` is not pinned, and there is no lock file: another version is installed as soon as there is one"
    );
    found.say(
        (Severity::Warning, "dependency-unpinned"),
        (file, place),
        message,
        "keep the lock file of the project's tool beside it (`uv lock`, `poetry lock`, `pdm lock`)",
    );
}

fn requirement(file: &File, place: Place, text: &str, sparks: &[String], found: &mut Found) {
    match Requirement::from_str(text.trim()) {
        Err(cause) => {
            let message = format!("`{text}` is not a requirement: {cause}");
            found.say(
                (Severity::Error, "dependency-syntax"),
                (file, place),
                message,
                "write `name==1.2.3`",
            );
        }
        Ok(requirement) if requirement.may_hold(&fits::pythons(sparks)) => {
            if requirement.pin.is_none() {
                unpinned(file, place, text, found);
            }
            let version = match requirement.pin {
                Some(Pin::Version(version)) => Some(version),
                _ => None,
            };
            locks::push(file, place, &requirement.name, version, sparks, found);
        }
        Ok(_) => {}
    }
}

/// Reads an `environment.yml`. Packages of conda have names of their own; of those only what Spark has to do with is looked at.
pub(super) fn environment(file: &File, sparks: &[String], found: &mut Found) {
    let (documents, _) = manifest::check_bytes(&file.name, file.source.text().as_bytes());
    let Some(document) = documents.first() else { return };
    for item in document.node.lookup("dependencies").map_or(&[][..], Node::items) {
        if let Some(text) = item.as_str() {
            conda(file, item.place, text.trim(), sparks, found);
        }
        for item in item.get("pip").map_or(&[][..], Node::items) {
            if let Some(text) = item.as_str().filter(|text| !text.starts_with('-')) {
                requirement(file, item.place, text, sparks, found);
            }
        }
    }
}

/// `channel::name`, `name=1.2.3`, `name=1.2.3=build`, `name>=1`.
fn conda(file: &File, place: Place, text: &str, sparks: &[String], found: &mut Found) {
    const OF_SPARK: [&str; 6] = ["pyspark", "pandas", "pyarrow", "numpy", "py4j", "grpcio"];
    let text = text.rsplit("::").next().unwrap_or(text);
    let end = text.find(['=', '<', '>', '!', '~', ' ', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let exact = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')).map(|rest| {
        rest.split('=')
            .next()
            .unwrap_or(rest)
            .trim()
            .trim_end_matches(".*")
            .to_owned()
    });
    if name == "python" {
        let wanted = match &exact {
            Some(version) if version.matches('.').count() < 2 => format!("=={version}.*"),
            Some(version) => format!("=={version}"),
            None => rest.trim().to_owned(),
        };
        locks::python(file, place, &wanted, sparks, found);
        return;
    }
    found.count += 1;
    if exact.is_none() {
        let message = format!("`{text}` is not pinned: another version is installed as soon as there is one");
        found.say(
            (Severity::Warning, "dependency-unpinned"),
            (file, place),
            message,
            format!("write `{name}=` and the version the job was tested with"),
        );
    }
    if OF_SPARK.contains(&name) {
        found.count -= 1;
        locks::push(file, place, name, exact, sparks, found);
    }
}
