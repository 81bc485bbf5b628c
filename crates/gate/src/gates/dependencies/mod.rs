//! What a job depends on: Python packages of `requirements*.txt`, and Maven coordinates of its applications.
//!
//! A dependency that is not pinned is another one tomorrow; one that was built for another Spark, Scala or Hadoop fails when its first class is loaded.

mod requirement;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use stoke_model::distribution::{self, Distribution, minor};
use stoke_model::manifest::{Document, Node, Place, Severity, Source, join, join_index};

use self::requirement::{Pin, Requirement};
use super::Looked;
use super::conf::line_place;
use crate::Settings;
use crate::finding::Finding;
use crate::job::{File, Job, Kind};

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

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let mut findings = Vec::new();
    let mut count = 0;
    let versions = settings.spark_versions(job);
    for file in &job.files {
        if matches!(file.kind, Kind::Requirements) {
            count += requirements(file, &versions, &mut findings);
        }
    }
    for document in job.documents().filter(|document| document.is_ours()) {
        count += packages(document, &mut findings);
    }
    Looked::at(count, "dependency", findings)
}

/// The Python packages of a file; returns how many there are.
fn requirements(file: &File, sparks: &[String], findings: &mut Vec<Finding>) -> usize {
    let source = &file.source;
    let mut seen: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut count = 0;
    let mut carried = String::new();
    let base = file.name.rsplit('/').next().unwrap_or(&file.name);
    // A `.in` file and constraints say what is wanted; what is installed is in the file made of them.
    let wanted_only = base.ends_with(".in") || base.starts_with("constraints");
    for (index, line) in source.text().lines().enumerate() {
        let joined = format!("{carried}{line}");
        if let Some(open) = joined.strip_suffix('\\') {
            carried = open.to_owned();
            continue;
        }
        carried.clear();
        let text = without_comment(&joined).trim();
        // `-r other.txt`, `-e .`, `--index-url …`
        if text.is_empty() || text.starts_with('-') {
            continue;
        }
        count += 1;
        let place = line_place(source, index + 1);
        let hashed = text.contains("--hash=");
        let text = text.split(" --").next().unwrap_or(text).trim();
        let say = |severity, code: &'static str, message: String, fix: String| {
            Finding::at(severity, code, source, place, "", message).with_fix(fix)
        };
        let requirement = match Requirement::from_str(text) {
            Ok(requirement) => requirement,
            Err(_) if is_path(text) => continue,
            Err(cause) => {
                let message = format!("`{text}` is no requirement: {cause}");
                findings.push(say(
                    Severity::Error,
                    "dependency-syntax",
                    message,
                    "write `name==1.2.3`".to_owned(),
                ));
                continue;
            }
        };
        let name = requirement.name;
        let written = text.to_owned();
        if let Some((first, before)) =
            seen.insert(format!("{name} {}", requirement.marker), (index + 1, written.clone()))
        {
            let severity = if before == written {
                Severity::Warning
            } else {
                Severity::Error
            };
            let message = format!("`{name}` stands here a second time, first in line {first} as `{before}`");
            findings.push(say(
                severity,
                "dependency-twice",
                message,
                "keep one of them".to_owned(),
            ));
        }
        let pin = requirement.pin;
        if pin.is_none() && !hashed && !wanted_only {
            let message = format!("`{text}` is not pinned: another version is installed as soon as there is one");
            findings.push(say(
                Severity::Warning,
                "dependency-unpinned",
                message,
                format!("write `{name}==` and the version the job was tested with"),
            ));
        }
        if let (Some(Pin::Version(version)), "pyspark" | "pyspark-client" | "pyspark-connect") = (&pin, name.as_str())
            && let Some(spark) = sparks.iter().find(|spark| minor(spark) != minor(version))
        {
            let message = format!(
                "`{text}` and the application's Spark {spark} are different versions: driver and image do not understand each other"
            );
            findings.push(say(
                Severity::Error,
                "dependency-other-spark",
                message,
                format!("write `{name}=={spark}`, or leave it out: the image has it"),
            ));
        }
    }
    count
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

/// The Maven coordinates of an application; returns how many there are.
fn packages(document: &Document, findings: &mut Vec<Finding>) -> usize {
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
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (text, place, path) in &written {
        let mut say = |severity, code: &'static str, message: String, fix: String| {
            findings.push(at(&document.source, *place, path, severity, code, message, fix));
        };
        let parts: Vec<&str> = text.split(':').collect();
        let &[group, artifact, version] = parts.as_slice() else {
            let message = format!("`{text}` is no Maven coordinate");
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
            let message = format!("`{text}` is no Maven coordinate");
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
        if version.ends_with("-SNAPSHOT")
            || version.contains(['[', '(', ',', '+'])
            || ["latest", "release", "latest.release"].contains(&version.to_ascii_lowercase().as_str())
        {
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
    }
    written.len()
}

fn at(
    source: &Arc<Source>,
    place: Place,
    path: &str,
    severity: Severity,
    code: &'static str,
    message: String,
    fix: String,
) -> Finding {
    Finding::at(severity, code, source, place, path, message).with_fix(fix)
}

/// Whether a library was built for this Spark.
fn fits(group: &str, artifact: &str, version: &str, spark: &str) -> Vec<(Severity, &'static str, String, String)> {
    let mut found = Vec::new();
    let Some(Distribution { scalas, hadoop, .. }) = distribution::of(spark) else {
        return found;
    };
    let (name, scala) = without_scala(artifact);
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
    if let Some(built_for) = name
        .rsplit('-')
        .next()
        .filter(|last| distribution::ALL.iter().any(|known| known.minor == *last))
        && built_for != minor(spark)
    {
        let message = format!("`{artifact}` is built for Spark {built_for}, and the application runs {spark}");
        let fix = format!(
            "write `{}`, if there is one",
            artifact.replace(&format!("-{built_for}"), &format!("-{}", minor(spark)))
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

/// An artifact without the Scala version at its end, and that.
fn without_scala(artifact: &str) -> (&str, Option<&str>) {
    match artifact.rsplit_once('_') {
        Some((name, scala)) if scala.starts_with("2.") || scala == "3" => (name, Some(scala)),
        _ => (artifact, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    fn said(files: &[(&str, &str)]) -> Vec<(String, usize)> {
        let found = found(files, look).into_iter();
        found.map(|finding| (finding.code.to_string(), finding.line)).collect()
    }

    fn app(spark: &str, packages: &[&str]) -> String {
        format!(
            "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {{name: a}}\nspec:\n  sparkVersion: {spark}\n  deps:\n    packages: {packages:?}\n"
        )
    }

    #[test]
    fn requirements_are_pinned_once_and_for_this_spark() {
        let cases: [(&str, &[&str]); 14] = [
            ("requests==2.32.3", &[]),
            ("requests==2.32.3 --hash=sha256:00", &[]),
            ("requests[socks]==2.32.3; python_version >= '3.10'  # why", &[]),
            ("requests @ https://example.com/requests-1.whl", &[]),
            ("-r other.txt\n--index-url https://example.com\n# nothing\n./local", &[]),
            ("requests", &["dependency-unpinned"]),
            ("requests>=2,<3", &["dependency-unpinned"]),
            ("requests==2.*", &["dependency-unpinned"]),
            ("requests==2.1\nRequests==2.2", &["dependency-twice"]),
            (
                "requests==2.1; sys_platform == 'linux'\nrequests==2.2; sys_platform == 'win32'",
                &[],
            ),
            ("requests=2.1", &["dependency-syntax"]),
            ("requests==2.1 \\\n  --hash=sha256:00", &[]),
            ("pyspark==3.5.9", &["dependency-other-spark"]),
            ("pyspark==4.1.2", &[]),
        ];
        let manifest = app("4.1.4", &[]);
        for (text, codes) in cases {
            let found: Vec<String> = said(&[("a.yaml", &manifest), ("requirements.txt", text)])
                .into_iter()
                .map(|(code, _)| code)
                .collect();
            assert_eq!(found, codes, "{text}");
        }
        assert_eq!(said(&[("requirements.in", "requests")]), []);
    }

    #[test]
    fn packages_fit_the_spark_they_run_on() {
        let cases: [(&str, &[&str], &[&str]); 14] = [
            ("4.1.4", &["org.apache.spark:spark-avro_2.13:4.1.4"], &[]),
            (
                "4.1.4",
                &["org.apache.spark:spark-avro_2.12:4.1.4"],
                &["dependency-other-scala"],
            ),
            (
                "4.1.4",
                &["org.apache.spark:spark-avro_2.13:3.5.9"],
                &["dependency-other-spark"],
            ),
            (
                "4.1.4",
                &["org.apache.spark:spark-sql_2.13:4.1.4"],
                &["dependency-shipped"],
            ),
            (
                "3.5.9",
                &["org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.9.0"],
                &[],
            ),
            (
                "4.1.4",
                &["org.apache.iceberg:iceberg-spark-runtime-3.5_2.13:1.9.0"],
                &["dependency-other-spark"],
            ),
            (
                "3.5.9",
                &["org.apache.iceberg:iceberg-spark-runtime-3.5_2.13:1.9.0"],
                &["dependency-other-scala"],
            ),
            (
                "4.1.4",
                &["org.apache.hadoop:hadoop-aws:3.3.4"],
                &["dependency-other-hadoop"],
            ),
            ("4.1.4", &["org.apache.hadoop:hadoop-aws:3.4.2"], &[]),
            ("4.1.4", &["org.postgresql:postgresql"], &["dependency-syntax"]),
            ("4.1.4", &["org.postgresql:postgresql:latest"], &["dependency-unpinned"]),
            (
                "4.1.4",
                &["org.postgresql:postgresql:42.7.4", "org.postgresql:postgresql:42.7.3"],
                &["dependency-twice"],
            ),
            ("9.9.9", &["a:b_2.11:1"], &[]),
            ("4.1.4", &["a:b::"], &["dependency-syntax"]),
        ];
        for (spark, packages, codes) in cases {
            let found: Vec<String> = said(&[("a.yaml", &app(spark, packages))])
                .into_iter()
                .map(|(code, _)| code)
                .collect();
            assert_eq!(found, codes, "{spark} {packages:?}");
        }
    }
}
