//! What a job's code, SQL and configuration use that the official image of Spark does not bring: file systems of clouds, Kafka, Avro, tables of Iceberg and
//! Delta Lake, drivers of JDBC. Another image may bring anything: only the official one is judged.

use std::sync::Arc;

use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::distribution::{self, minor};
use stoke_model::manifest::{Content, Document, Node, join};

use self::known::{CONNECTORS, Connector};
use super::Found;
use super::packages::without_scala;
use crate::job::{File, Job, Kind};
use crate::python;

mod known;

/// The coordinate that fits a Spark, of what brings the same as `artifact`.
pub(super) fn package_for(artifact: &str, spark: &str) -> Option<String> {
    let connector = CONNECTORS.iter().find(|known| known.artifacts.contains(&artifact))?;
    (connector.package)(spark, distribution::of(spark)?)
}

/// A place where something is used.
struct Use {
    connector: &'static Connector,
    /// What is written there.
    written: String,
    source: Arc<Source>,
    place: Place,
    path: String,
    /// Whether the application certainly comes by here.
    certain: bool,
}

/// What applications on the official image use and do not bring.
pub(super) fn judge(job: &Job, found: &mut Found) {
    let applications: Vec<&Document> = job.documents().filter(|document| document.is_ours()).collect();
    let mut said: Vec<(String, usize, &'static str)> = Vec::new();
    let specs = applications.iter().filter_map(|application| {
        let spec = application.node.lookup(application.spec_path())?;
        Some((*application, spec, Brought::of(spec, job)))
    });
    let specs: Vec<(&Document, &Node, Brought)> = specs.collect();
    for (application, spec_node, brought) in &specs {
        let spec = application.spec_path();
        let text = |path: &str| spec_node.lookup(path).and_then(Node::as_str);
        let (Some(image), Some(spark)) = (text("driver.image").or_else(|| text("image")), text("sparkVersion")) else {
            continue;
        };
        let Some(with) = distribution::of(spark).filter(|_| distribution::is_official(image)) else {
            continue;
        };
        let mut uses = in_manifest(application, spec, spec_node);
        for file in job
            .files
            .iter()
            .filter(|file| belongs(file, application, &applications))
        {
            let certain = is_main(file, application);
            uses.extend(in_file(file, certain));
        }
        uses.extend(in_config_maps(job, application));
        for one in uses {
            let connector = one.connector;
            let key = (one.source.name().to_owned(), one.place.line, connector.name);
            // Whose code it is that is not a main file is not known: one application that brings it is enough.
            let is_brought = match one.certain {
                true => brought.has(connector),
                false => specs.iter().any(|(.., brought)| brought.has(connector)),
            };
            if is_brought || said.contains(&key) {
                continue;
            }
            // Once for each application and connector is enough.
            let known = (
                application.source.name().to_owned(),
                application.node.place.start,
                connector.name,
            );
            if said.contains(&known) {
                continue;
            }
            said.push(key);
            said.push(known);
            let severity = match one.certain && !brought.may_have_more {
                true => Severity::Error,
                false => Severity::Warning,
            };
            let message = format!(
                "`{}` needs {}, which the official image of Spark {spark} does not have, and no package of {} `{}` brings",
                one.written, connector.name, application.kind, application.name
            );
            let fix = match (connector.package)(spark, with) {
                Some(package) => format!("add `{package}` to {spec}.deps.packages, or take an image that has it"),
                None => format!(
                    "add {} for Spark {} to {spec}.deps.packages, or take an image that has it",
                    connector.artifacts.join(" or "),
                    minor(spark)
                ),
            };
            let finding = Diagnostic::at(
                severity,
                "connector-missing",
                &one.source,
                one.place,
                &one.path,
                message,
            );
            found.findings.push(finding.with_fix(fix));
        }
    }
}

/// What an application brings.
struct Brought {
    artifacts: Vec<String>,
    /// Jars whose names do not tell what is in them.
    may_have_more: bool,
}

impl Brought {
    fn of(spec: &Node, job: &Job) -> Brought {
        let conf = spec.get("sparkConf");
        let of_conf = |key: &str| {
            conf.and_then(|conf| conf.get(key))
                .and_then(Node::as_str)
                .unwrap_or_default()
        };
        let items = |field: &str| {
            spec.lookup(field)
                .map_or(&[][..], Node::items)
                .iter()
                .filter_map(Node::as_str)
        };
        let packages = items("deps.packages").chain(of_conf("spark.jars.packages").split(','));
        let mut artifacts: Vec<String> = packages
            .filter_map(|package| Some(plain(package.trim().split(':').nth(1)?)))
            .collect();
        let main = spec.get("mainApplicationFile").and_then(Node::as_str);
        let paths = ["spark.driver.extraClassPath", "spark.executor.extraClassPath"].map(of_conf);
        let jars = items("deps.jars")
            .chain(of_conf("spark.jars").split(','))
            .chain(main.filter(|main| main.ends_with(".jar")))
            .chain(paths.iter().flat_map(|path| path.split(':')));
        let mut may_have_more = false;
        for jar in jars.map(str::trim).filter(|jar| !jar.is_empty()) {
            let artifact = plain(base(jar));
            let known = CONNECTORS.iter().any(|connector| brings(connector, &artifact));
            artifacts.push(artifact);
            may_have_more |= !known;
        }
        // Jars of the job are put into some image or named by an address.
        let own = job
            .files
            .iter()
            .filter(|file| matches!(file.kind, Kind::Archive) && file.name.ends_with(".jar"));
        artifacts.extend(own.map(|file| plain(base(&file.name))));
        // Volumes and Ivy settings may hold jars, but Spark looks for none there by itself.
        Brought {
            artifacts,
            may_have_more,
        }
    }

    fn has(&self, connector: &Connector) -> bool {
        self.artifacts.iter().any(|artifact| brings(connector, artifact))
    }
}

fn brings(connector: &Connector, artifact: &str) -> bool {
    let begins = |known: &str| {
        artifact.strip_prefix(known).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with(['-', '_', '.']) || rest.starts_with(|c: char| c.is_ascii_digit())
        })
    };
    connector.artifacts.iter().any(|known| begins(known))
}

fn plain(artifact: &str) -> String {
    without_scala(artifact).0.to_ascii_lowercase()
}

/// The name of an application's main file, without its directory.
fn main_file(application: &Document) -> &str {
    let path = format!("{}.mainApplicationFile", application.spec_path());
    let main = application.node.lookup(&path).and_then(Node::as_str);
    base(main.unwrap_or_default())
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a file is the main file of an application.
fn is_main(file: &File, application: &Document) -> bool {
    main_file(application) == base(&file.name)
}

/// Whether a file of code or SQL is of an application: its main file, and what is not an application's main file.
fn belongs(file: &File, application: &Document, all: &[&Document]) -> bool {
    matches!(file.kind, Kind::Python | Kind::Sql | Kind::Properties)
        && (is_main(file, application) || !all.iter().any(|other| is_main(file, other)))
        && !file
            .name
            .split('/')
            .any(|part| part == "tests" || part == "test" || part.starts_with("test_"))
}

/// Addresses, classes and formats in the fields of an application.
fn in_manifest(application: &Document, spec: &str, spec_node: &Node) -> Vec<Use> {
    let mut found = Vec::new();
    let mut look = |value: &str, place: Place, path: String| {
        if let Some(connector) = of_address(value).or_else(|| of_class(value)) {
            found.push(Use {
                connector,
                written: shown(value),
                source: Arc::clone(&application.source),
                place,
                path,
                certain: true,
            });
        }
    };
    // Spark's driver fetches these through Hadoop.
    let fetched = [
        "mainApplicationFile",
        "deps.jars",
        "deps.files",
        "deps.pyFiles",
        "deps.archives",
        "arguments",
    ];
    for field in fetched {
        let Some(node) = spec_node.lookup(field) else { continue };
        let texts = node.as_str().map(|text| (text, node.place)).into_iter();
        let items = node
            .items()
            .iter()
            .filter_map(|item| Some((item.as_str()?, item.place)));
        for (text, place) in texts.chain(items) {
            look(text, place, join(spec, field));
        }
    }
    for conf in ["sparkConf", "hadoopConf"] {
        for entry in spec_node.get(conf).map_or(&[][..], Node::entries) {
            // Settings of a file system do not use it.
            let only_set =
                entry.key.contains("fs.s3a.") || entry.key.contains("fs.azure.") || entry.key.contains("fs.gs.");
            let options =
                entry.key.ends_with("Options") || entry.key == "spark.jars.packages" || entry.key == "spark.app.name";
            if let (Content::String(text), false) = (&entry.value.content, only_set || options) {
                for part in text.split(',') {
                    look(part.trim(), entry.key_place, join(&join(spec, conf), &entry.key));
                }
            }
        }
    }
    found
}

fn in_file(file: &File, certain: bool) -> Vec<Use> {
    let used = |connector, written: &str, at: usize| Use {
        connector,
        written: shown(written),
        source: Arc::clone(&file.source),
        place: file.source.place_at(at),
        path: String::new(),
        certain,
    };
    let text = file.source.text();
    match file.kind {
        Kind::Python => in_python(text)
            .into_iter()
            .map(|(connector, written, at)| used(connector, &written, at))
            .collect(),
        Kind::Sql => in_sql(text)
            .into_iter()
            .map(|(connector, written, at)| used(connector, &written, at))
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether a text stands somewhere in an object.
fn has_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(one) => one == text,
        Value::Array(items) => items.iter().any(|item| has_text(item, text)),
        Value::Object(fields) => fields.values().any(|field| has_text(field, text)),
        _ => false,
    }
}

/// Code and SQL in the ConfigMaps that an application names.
fn in_config_maps(job: &Job, application: &Document) -> Vec<Use> {
    let main = main_file(application);
    let maps = job.documents().filter(|document| document.kind == "ConfigMap");
    let maps = maps.filter(|map| has_text(&application.value, &map.name));
    let mut found = Vec::new();
    for (map, data) in maps.filter_map(|map| Some((map, map.node.get("data")?))) {
        for entry in data.entries() {
            let Some(text) = entry.value.as_str() else { continue };
            let used = match entry.key.rsplit_once('.') {
                // Of other programs it is not known whose they are.
                Some((_, "py")) if entry.key == main => in_python(text),
                Some((_, "sql")) => in_sql(text),
                _ => continue,
            };
            found.extend(used.into_iter().map(|(connector, written, _)| Use {
                connector,
                written: shown(&written),
                source: Arc::clone(&map.source),
                place: entry.key_place,
                path: join("data", &entry.key),
                certain: entry.key == main,
            }));
        }
    }
    found
}

/// Methods whose first argument is a format.
const FORMATS: [&str; 3] = ["format", "provider", "source"];

/// What a program uses: connector, what is written, and where.
fn in_python(text: &str) -> Vec<(&'static Connector, String, usize)> {
    // The SQL gate reports Python that does not parse.
    let Ok(literals) = python::literals(text) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for literal in literals {
        let format = FORMATS.contains(&literal.given_to);
        let connector = match format {
            true => of_format(literal.text),
            // Packages that the program fetches itself, and settings for them, do not count.
            false if literal.after.contains("spark.jars") => None,
            false => of_address(literal.text).or_else(|| of_class(literal.text).filter(|_| literal.after == "driver")),
        };
        let sql = || in_sql(literal.text).into_iter().next();
        match connector {
            Some(connector) => found.push((connector, literal.text.to_owned(), literal.at)),
            None if literal.given_to == "sql" => {
                found.extend(sql().map(|(connector, written, at)| (connector, written, literal.at + at)));
            }
            None => {}
        }
    }
    for (module, class) in [
        ("pyspark.sql.avro", "org.apache.spark.sql.avro."),
        ("pyspark.sql.protobuf", "org.apache.spark.sql.protobuf."),
    ] {
        let import = text
            .find(&format!("from {module}"))
            .or_else(|| text.find(&format!("import {module}")));
        found.extend(import.and_then(|at| Some((of_class(class)?, module.to_owned(), at))));
    }
    // A session that fetches packages brings them itself.
    let fetched = text.contains("spark.jars.packages") || text.contains("configure_spark_with_delta_pip");
    if fetched { Vec::new() } else { found }
}

/// What SQL uses: addresses in quotes, and providers of tables.
fn in_sql(text: &str) -> Vec<(&'static Connector, String, usize)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let begin = text[..at]
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |quote| quote + 1);
        let end = text[at..]
            .find(['\'', '"', '`', ' ', '\n'])
            .map_or(text.len(), |end| at + end);
        found.extend(of_address(&text[begin..end]).map(|connector| (connector, text[begin..end].to_owned(), begin)));
    }
    for (at, _) in text.match_indices("jdbc:") {
        let end = text[at..]
            .find(['\'', '"', '`', ' ', '\n'])
            .map_or(text.len(), |end| at + end);
        found.extend(of_address(&text[at..end]).map(|connector| (connector, text[at..end].to_owned(), at)));
    }
    let lower = text.to_ascii_lowercase();
    for (at, _) in lower.match_indices("using ") {
        let whole = !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let rest = lower[at + "using ".len()..].trim_start();
        let word: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "._".contains(*c))
            .collect();
        // `JOIN b USING (a)` has a bracket there.
        if let Some(connector) = of_format(&word).filter(|_| whole) {
            found.push((connector, format!("USING {word}"), at));
        }
    }
    found.sort_by_key(|(.., at)| *at);
    found
}

fn of_address(text: &str) -> Option<&'static Connector> {
    CONNECTORS
        .iter()
        .find(|connector| connector.addresses.iter().any(|address| text.starts_with(address)))
}

fn of_format(text: &str) -> Option<&'static Connector> {
    let format = text.to_ascii_lowercase();
    CONNECTORS.iter().find(|connector| {
        connector.formats.contains(&format.as_str()) || connector.classes.iter().any(|class| text.starts_with(class))
    })
}

fn of_class(text: &str) -> Option<&'static Connector> {
    CONNECTORS
        .iter()
        .find(|connector| connector.classes.iter().any(|class| text.starts_with(class)))
}

/// The beginning of what is written, without what may be secret: a password in the options of an address.
fn shown(text: &str) -> String {
    let plain = text.split(['?', ';', '@']).next().unwrap_or(text);
    let mut shown: String = plain.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
