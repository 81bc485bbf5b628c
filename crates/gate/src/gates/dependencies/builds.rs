//! Projects of the JVM, as far as their files say it in so many words: `pom.xml`, `build.sbt`, `build.gradle`, `gradle.lockfile`.
//!
//! Direct dependencies with versions that are literal, or properties of the same file. What a parent, a plugin or a program computes is not known here, and
//! is passed over. Dependencies for tests do not come into a jar; `provided` ones are the image's and only have to be of its Spark.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use regex::Regex;
use roxmltree::Node;
use stoke_advisories::Ecosystem;
use stoke_diagnostics::{Place, Severity};

use super::{Dependency, Found, locks, packages};
use crate::job::File;

/// One dependency of a project.
struct Artifact {
    group: String,
    /// With its Scala, where that is known.
    artifact: String,
    version: Option<String>,
    /// True when the image is to have it.
    provided: bool,
    place: Place,
}

/// True for a file that is read here.
pub(super) fn is(base: &str) -> bool {
    [
        "pom.xml",
        "build.sbt",
        "build.gradle",
        "build.gradle.kts",
        "gradle.lockfile",
    ]
    .contains(&base)
}

/// Reads a project.
pub(super) fn read(file: &File, base: &str, sparks: &[String], found: &mut Found) {
    let artifacts = match base {
        "pom.xml" => pom(file, found),
        "build.sbt" => sbt(file),
        "gradle.lockfile" => gradle_lock(file),
        _ => gradle(file),
    };
    for artifact in artifacts {
        found.count += 1;
        take(file, artifact, sparks, found);
    }
}

fn take(file: &File, artifact: Artifact, sparks: &[String], found: &mut Found) {
    let Artifact {
        group,
        artifact,
        version,
        provided,
        place,
    } = artifact;
    let unpinned = version.as_deref().is_some_and(packages::is_unpinned);
    if unpinned {
        let message = format!("`{group}:{artifact}` is not pinned: another version is taken as soon as there is one");
        found.say(
            (Severity::Warning, "dependency-unpinned"),
            (file, place),
            message,
            "name one released version",
        );
    }
    if let Some(version) = &version {
        for spark in sparks {
            for (severity, code, message, fix) in packages::fits(&group, &artifact, version, spark) {
                // A part of Spark that the image provides is as it should be; one that is not may still be left out of the jar.
                let (severity, fix) = match (code, provided) {
                    ("dependency-shipped", true) => continue,
                    ("dependency-shipped", false) => (
                        Severity::Warning,
                        "let it be provided by the image: `provided`, `compileOnly`".to_owned(),
                    ),
                    _ => (severity, fix),
                };
                found.say((severity, code), (file, place), message, fix);
            }
            let part = packages::is_part_of_spark(&group, &artifact);
            if part && super::minor(version) != super::minor(spark) {
                let message = format!("the project is built against Spark {version}, and the application runs {spark}");
                found.say(
                    (Severity::Error, "dependency-other-spark"),
                    (file, place),
                    message,
                    format!("build it against {spark}"),
                );
            }
        }
    }
    if !provided {
        found.dependencies.push(Dependency {
            ecosystem: Ecosystem::Maven,
            name: format!("{group}:{artifact}"),
            version: version.filter(|_| !unpinned),
            sparks: sparks.to_vec(),
            source: Arc::clone(&file.source),
            place,
            path: String::new(),
            licence: None,
        });
    }
}

fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let child = node.children().find(|child| child.has_tag_name_of(name))?;
    child.text().map(str::trim)
}

/// Poms are written with and without their namespace.
trait Named {
    fn has_tag_name_of(&self, name: &str) -> bool;
}

impl Named for Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

fn pom(file: &File, found: &mut Found) -> Vec<Artifact> {
    let document = match roxmltree::Document::parse(file.source.text()) {
        Ok(document) => document,
        Err(error) => {
            let place = file.source.line_place(error.pos().row as usize);
            locks::unreadable(file, place, &error.to_string(), found);
            return Vec::new();
        }
    };
    let project = document.root_element();
    let part = |name: &str| project.children().find(|child| child.has_tag_name_of(name));
    let mut properties: BTreeMap<String, String> = BTreeMap::new();
    for property in part("properties")
        .into_iter()
        .flat_map(|node| node.children())
        .filter(Node::is_element)
    {
        let value = property.text().unwrap_or_default().trim().to_owned();
        properties.insert(property.tag_name().name().to_owned(), value);
    }
    for key in ["version", "groupId"] {
        let value = child(project, key).or_else(|| child(part("parent")?, key));
        if let Some(value) = value {
            properties.insert(format!("project.{key}"), value.to_owned());
        }
    }
    let text = |node: Node<'_, '_>, name: &str| resolved(child(node, name)?, &properties);
    let dependencies = |of: Option<Node<'_, '_>>| -> Vec<_> {
        let list = of.and_then(|of| of.children().find(|child| child.has_tag_name_of("dependencies")));
        let all = list.into_iter().flat_map(|list| list.children());
        all.filter(|child| child.has_tag_name_of("dependency"))
            .map(|node| {
                (
                    node.range().start,
                    text(node, "groupId"),
                    text(node, "artifactId"),
                    text(node, "version"),
                    text(node, "scope"),
                )
            })
            .collect()
    };
    let mut managed: BTreeMap<(String, String), String> = BTreeMap::new();
    for (_, group, artifact, version, _) in dependencies(part("dependencyManagement")) {
        if let (Some(group), Some(artifact), Some(version)) = (group, artifact, version) {
            managed.insert((group, artifact), version);
        }
    }
    let mut artifacts = Vec::new();
    for (start, group, artifact, version, scope) in dependencies(Some(project)) {
        let (Some(group), Some(artifact)) = (group, artifact) else {
            continue;
        };
        if matches!(scope.as_deref(), Some("test" | "import")) {
            continue;
        }
        artifacts.push(Artifact {
            version: version.or_else(|| managed.get(&(group.clone(), artifact.clone())).cloned()),
            group,
            artifact,
            provided: scope.as_deref() == Some("provided"),
            place: locks::place_at(file, start),
        });
    }
    artifacts
}

/// A text with its `${…}` put in; `None` when one is not of this file.
fn resolved(text: &str, properties: &BTreeMap<String, String>) -> Option<String> {
    let mut text = text.to_owned();
    // Properties may name properties, and each other in a circle.
    for _ in 0..16 {
        let Some(start) = text.find("${") else {
            return Some(text);
        };
        let end = start + text[start..].find('}')?;
        let value = properties.get(&text[start + 2..end])?;
        text = format!("{}{value}{}", &text[..start], &text[end + 1..]);
        if text.len() > 1000 {
            return None;
        }
    }
    None
}

static SBT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#""(?<group>[\w.-]+)"\s*(?<scala>%%?%?)\s*"(?<artifact>[\w.-]+)"\s*%\s*(?:"(?<version>[^"\s]+)"|(?<name>\w+))(?:\s*%\s*"?(?<scope>\w+)"?)?"#).ok()
});
static SBT_NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?:val\s+(?<name>\w+)\s*(?::\s*String\s*)?=|(?<scala>scalaVersion)\s*:=)\s*"(?<value>[^"\s]+)""#).ok()
});

fn sbt(file: &File) -> Vec<Artifact> {
    let (Some(form), Some(names)) = (SBT.as_ref(), SBT_NAME.as_ref()) else {
        return Vec::new();
    };
    let mut values: BTreeMap<&str, &str> = BTreeMap::new();
    for found in names.captures_iter(file.source.text()) {
        let name = found.name("name").or_else(|| found.name("scala"));
        if let (Some(name), Some(value)) = (name, found.name("value")) {
            values.insert(name.as_str(), value.as_str());
        }
    }
    let scala = values.get("scalaVersion").map(|version| super::minor(version));
    let mut artifacts = Vec::new();
    for (number, line) in code_lines(file) {
        for found in form.captures_iter(line) {
            let text = |name: &str| found.name(name).map(|found| found.as_str());
            let scope = text("scope").unwrap_or_default().to_ascii_lowercase();
            let (Some(group), Some(artifact)) = (text("group"), text("artifact")) else {
                continue;
            };
            if scope == "test" {
                continue;
            }
            let suffix = match (text("scala"), scala) {
                (Some("%"), _) => String::new(),
                (_, Some(scala)) => format!("_{scala}"),
                // Which Scala it is for is not said here.
                (_, None) => String::new(),
            };
            let version = text("version").or_else(|| values.get(text("name")?).copied());
            artifacts.push(Artifact {
                group: group.to_owned(),
                artifact: format!("{artifact}{suffix}"),
                version: version.map(str::to_owned),
                provided: scope == "provided",
                place: file.source.line_place(number),
            });
        }
    }
    artifacts
}

/// Lines with their numbers, without those that are comments.
fn code_lines(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let lines = file.source.text().lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim_start().starts_with(['#', '*']) && !line.trim_start().starts_with("/"))
        .map(|(index, line)| (index + 1, line))
}

static GRADLE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"\b(?<configuration>implementation|api|runtimeOnly|compileOnly|compile|shadow)\s*\(?\s*['"](?<group>[\w.-]+):(?<artifact>[\w.-]+):(?<version>[^'"$\s:@]+)['":@]"#).ok()
});

fn gradle(file: &File) -> Vec<Artifact> {
    let Some(form) = GRADLE.as_ref() else { return Vec::new() };
    let mut artifacts = Vec::new();
    for (number, line) in code_lines(file) {
        for found in form.captures_iter(line) {
            artifacts.push(Artifact {
                group: found["group"].to_owned(),
                artifact: found["artifact"].to_owned(),
                version: Some(found["version"].to_owned()),
                provided: &found["configuration"] == "compileOnly",
                place: file.source.line_place(number),
            });
        }
    }
    artifacts
}

/// `group:artifact:version=configuration,configuration`.
fn gradle_lock(file: &File) -> Vec<Artifact> {
    let mut artifacts = Vec::new();
    for (number, line) in code_lines(file) {
        let Some((coordinate, configurations)) = line.split_once('=') else {
            continue;
        };
        let parts: Vec<&str> = coordinate.trim().split(':').collect();
        let &[group, artifact, version] = parts.as_slice() else {
            continue;
        };
        let runs = configurations
            .split(',')
            .any(|name| name.ends_with("untimeClasspath") && !name.starts_with("test"));
        if runs {
            artifacts.push(Artifact {
                group: group.to_owned(),
                artifact: artifact.to_owned(),
                version: Some(version.to_owned()),
                provided: false,
                place: file.source.line_place(number),
            });
        }
    }
    artifacts
}
