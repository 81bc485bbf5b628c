//! Maven coordinates of an application, `spec.deps.packages` and `spark.jars.packages`: pinned, once, and built for its Spark.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoke_advisories::Ecosystem;
use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::distribution::{self, Distribution, minor};
use stoke_model::manifest::{Document, Node, join, join_index};

use super::{Dependency, Found};

/// Artifacts of Spark that every Spark image has.
const SHIPPED: [&str; 9] = [
    "spark-core",
    "spark-sql",
    "spark-catalyst",
    "spark-streaming",
    "spark-mllib",
    "spark-graphx",
    "spark-hive",
    "spark-kubernetes",
    "spark-launcher",
];

/// Reads the coordinates of an application.
pub(super) fn read(document: &Document, found: &mut Found) {
    let spec = document.spec_path();
    let text = |path: &str| document.node.lookup(path).and_then(Node::as_str);
    let spark = text(&join(spec, "sparkVersion")).unwrap_or_default();
    let mut written: Vec<(String, Place, String)> = Vec::new();
    let list = format!("{spec}.deps.packages");
    for (index, item) in document
        .node
        .lookup(&list)
        .map_or(&[][..], Node::items)
        .iter()
        .enumerate()
    {
        if let Some(text) = item.as_str() {
            written.push((text.trim().to_owned(), item.place, join_index(&list, index)));
        }
    }
    let conf = document.node.lookup(&format!("{spec}.sparkConf"));
    if let Some(node) = conf.and_then(|conf| conf.get("spark.jars.packages")) {
        let each = node
            .as_str()
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty());
        written.extend(each.map(|text| {
            (
                text.to_owned(),
                node.place,
                join(&format!("{spec}.sparkConf"), "spark.jars.packages"),
            )
        }));
    }
    found.count += written.len();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (text, place, path) in &written {
        let findings = &mut found.findings;
        let mut say = |severity, code: &'static str, message: String, fix: String| {
            findings.push(at(&document.source, *place, path, severity, code, message, fix));
        };
        let parts: Vec<&str> = text.split(':').collect();
        let &[group, artifact, version] = parts.as_slice() else {
            let message = format!("`{text}` is not a Maven coordinate");
            say(
                Severity::Error,
                "dependency-syntax",
                message,
                "write `group:artifact:version`".to_owned(),
            );
            continue;
        };
        if [group, artifact, version]
            .iter()
            .any(|part| part.is_empty() || part.contains(char::is_whitespace))
        {
            let message = format!("`{text}` is not a Maven coordinate");
            say(
                Severity::Error,
                "dependency-syntax",
                message,
                "write `group:artifact:version`, none of them empty".to_owned(),
            );
            continue;
        }
        if let Some(before) = seen.insert(format!("{group}:{}", without_scala(artifact).0), text.clone()) {
            let message =
                format!("`{text}` and `{before}` are the same library twice; which one is loaded is not determined");
            say(
                Severity::Error,
                "dependency-twice",
                message,
                "keep one of them".to_owned(),
            );
        }
        let unpinned = is_unpinned(version);
        if unpinned {
            let message = format!("`{text}` is not pinned: another version is loaded as soon as there is one");
            say(
                Severity::Warning,
                "dependency-unpinned",
                message,
                "name one released version".to_owned(),
            );
        }
        for (severity, code, message, fix) in fits(group, artifact, version, spark) {
            say(severity, code, message, fix);
        }
        found.dependencies.push(Dependency {
            ecosystem: Ecosystem::Maven,
            name: format!("{group}:{artifact}"),
            version: (!unpinned).then(|| version.to_owned()),
            sparks: Some(spark.to_owned())
                .filter(|spark| !spark.is_empty())
                .into_iter()
                .collect(),
            source: Arc::clone(&document.source),
            place: *place,
            path: path.clone(),
            licence: None,
        });
    }
}

/// True for a version that is another one tomorrow.
pub(super) fn is_unpinned(version: &str) -> bool {
    version.ends_with("-SNAPSHOT")
        || version.contains(['[', '(', ',', '+'])
        || ["latest", "release", "latest.release", "latest.integration"]
            .contains(&version.to_ascii_lowercase().as_str())
}

/// True for what every Spark image has.
pub(super) fn is_part_of_spark(group: &str, artifact: &str) -> bool {
    group == "org.apache.spark" && SHIPPED.contains(&without_scala(artifact).0)
}

fn at(
    source: &Arc<Source>,
    place: Place,
    path: &str,
    severity: Severity,
    code: &'static str,
    message: String,
    fix: String,
) -> Diagnostic {
    Diagnostic::at(severity, code, source, place, path, message).with_fix(fix)
}

/// The minor version of Spark in the name of an artifact: of `iceberg-spark-runtime-3.5`, `hudi-spark3.5-bundle`, `delta-spark_4.1`.
fn built_for(name: &str) -> Option<&str> {
    let mut parts = name
        .split(['-', '_'])
        .map(|part| part.strip_prefix("spark").unwrap_or(part));
    let is_minor = |part: &&str| {
        let numbers = part
            .split_once('.')
            .map(|(major, minor)| (major.parse::<u32>(), minor.parse::<u32>()));
        matches!(numbers, Some((Ok(2..=4), Ok(0..=9)))) && *part != "2.10"
    };
    name.contains("spark").then_some(())?;
    parts.rfind(is_minor)
}

/// Whether a library was built for this Spark.
pub(super) fn fits(
    group: &str,
    artifact: &str,
    version: &str,
    spark: &str,
) -> Vec<(Severity, &'static str, String, String)> {
    let mut found = Vec::new();
    let (name, scala) = without_scala(artifact);
    if (group, name) == ("io.delta", "delta-core") && major(version).is_some_and(|major| major >= 3) {
        let message = format!(
            "`{group}:{artifact}:{version}` does not exist: from 3.0 on this artifact of Delta Lake is `delta-spark`"
        );
        let renamed = || {
            let scala = scala.map(|scala| format!("_{scala}")).unwrap_or_default();
            format!("{group}:delta-spark{scala}:{version}")
        };
        let fix = super::connectors::package_for("delta-core", spark).unwrap_or_else(renamed);
        found.push((Severity::Error, "dependency-renamed", message, format!("write `{fix}`")));
        // What is said of its Scala and its Spark goes for the artifact that exists.
        return found;
    }
    let Some(Distribution { scalas, hadoop, .. }) = distribution::of(spark) else {
        return found;
    };
    if let Some(scala) = scala.filter(|scala| !scalas.contains(scala)) {
        let message = format!(
            "`{artifact}` is built for Scala {scala}; Spark {spark} runs on {}",
            scalas.join(" or ")
        );
        found.push((
            Severity::Error,
            "dependency-other-scala",
            message,
            format!("write `{name}_{}`", scalas[0]),
        ));
    } else if scala.is_some_and(|scala| scala != scalas[0]) {
        let message = format!(
            "`{artifact}` is built for Scala 2.13; the published images of Spark {spark} have 2.12, unless their tag says scala2.13"
        );
        found.push((
            Severity::Warning,
            "dependency-other-scala",
            message,
            format!("write `{name}_{}` if the image has it", scalas[0]),
        ));
    }
    if group == "org.apache.spark" {
        if SHIPPED.contains(&name) {
            let message =
                format!("`{artifact}` is a part of every Spark image; a second copy of its classes hides the first");
            found.push((Severity::Error, "dependency-shipped", message, "remove it".to_owned()));
        } else if minor(version) != minor(spark) {
            let message =
                format!("`{artifact}` {version} is a part of Spark {version}, and the application runs {spark}");
            found.push((
                Severity::Error,
                "dependency-other-spark",
                message,
                format!("write `{artifact}:{spark}`"),
            ));
        }
    }
    // Connectors carry the minor version of the Spark they are built for in their names.
    if let Some(built_for) = built_for(name).filter(|built_for| *built_for != minor(spark)) {
        let message = format!("`{artifact}` is built for Spark {built_for}, and the application runs {spark}");
        let fix = format!(
            "write `{}`, if there is one",
            artifact.replacen(built_for, minor(spark), 1)
        );
        found.push((Severity::Error, "dependency-other-spark", message, fix));
    }
    if group == "org.apache.hadoop"
        && ["hadoop-aws", "hadoop-azure", "hadoop-client", "hadoop-common"].contains(&artifact)
        && version != *hadoop
    {
        let message = format!(
            "`{artifact}` {version} needs Hadoop {version}, and Spark {spark} has {hadoop}; an image with another Hadoop is known to its builder"
        );
        found.push((
            Severity::Warning,
            "dependency-other-hadoop",
            message,
            format!("write `{artifact}:{hadoop}`"),
        ));
    }
    found
}

/// `3` of `3.2.0`.
fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// An artifact without the Scala version at its end, and that.
pub(super) fn without_scala(artifact: &str) -> (&str, Option<&str>) {
    match artifact.rsplit_once('_') {
        Some((name, scala)) if scala.starts_with("2.") || scala == "3" => (name, Some(scala)),
        _ => (artifact, None),
    }
}
