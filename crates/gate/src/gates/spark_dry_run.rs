//! Whether the job's Spark starts with its configuration, finds the classes it names, and takes its Python: by starting it, with nothing to do.

use std::path::Path;

use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::manifest::Document;

use super::{Looked, unsound};
use crate::Gate;
use crate::Settings;
use crate::job::Job;
use crate::runs::spark::{Output, Start, Started, Tried};

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let Some(started) = &settings.runs.spark else {
        return match job.documents().any(Document::is_ours) {
            true => Looked::not_requested(Gate::SparkDryRun),
            false => Looked::default(),
        };
    };
    let mut findings = unsound(job, settings);
    let count = started.len() + findings.len();
    findings.extend(started.iter().flat_map(|started| judge(job, started)));
    Looked::at(count, "start", findings)
}

fn judge(job: &Job, Started { start, end }: &Started) -> Vec<Diagnostic> {
    let file = job.files.iter().find(|file| file.name == start.file);
    let document = file.and_then(|file| file.documents().get(start.document));
    let Some(document) = document else {
        return Vec::new();
    };
    let at = |path: &str, code, message: String| {
        let known = document.node.lookup(path).is_some();
        let place = document.node.place_of(if known { path } else { "metadata.name" });
        Diagnostic::at(
            Severity::Error,
            code,
            &document.source,
            place,
            if known { path } else { "" },
            message,
        )
    };
    let spec = document.spec_path();
    let key_path = |key: &str| stoke_model::manifest::join(&format!("{spec}.sparkConf"), key);
    let unknown = |mut finding: Diagnostic| {
        finding.cannot_tell = true;
        finding
    };
    let output = match end {
        Ok(output) => output,
        Err((why, fix)) => {
            let message = format!("Spark {} was not started: {why}", start.version);
            return vec![unknown(at("metadata.name", "spark-not-started", message)).with_fix(fix.clone())];
        }
    };
    let mut found = Vec::new();
    // A class that is not in what is at hand may be in what is not.
    let missing = |finding: Diagnostic, name: &str| match start.elsewhere.as_slice() {
        [] => finding.with_fix(format!(
            "add what has `{name}` to deps.packages or deps.jars, or write its name right"
        )),
        elsewhere => unknown(finding).with_fix(format!(
            "it may be in {}: put that where it can be read from here",
            elsewhere.join(", ")
        )),
    };
    for tried in &output.tried {
        match tried {
            Tried::Class {
                key,
                name,
                problem: Some(problem),
            } => {
                let message = format!("`{key}`: Spark {} does not find `{name}`: {problem}", start.version);
                found.push(missing(at(&key_path(key), "spark-no-class", message), name));
            }
            Tried::Main {
                name,
                problem: Some(problem),
            } => {
                let message = format!("`{name}` cannot be run: {problem}");
                found.push(missing(
                    at(&format!("{spec}.mainClass"), "spark-no-main", message),
                    name,
                ));
            }
            Tried::Python {
                file,
                line,
                problem: Some(problem),
            } => found.push(python(job, file, *line, problem)),
            Tried::Start { problem: Some(problem) } => {
                // What failed because a class is missing has been said.
                let said = found
                    .iter()
                    .any(|finding: &Diagnostic| finding.code == "spark-no-class");
                if !said {
                    let path =
                        named_key(problem, start).map_or_else(|| format!("{spec}.sparkConf"), |key| key_path(&key));
                    let message = format!(
                        "Spark {} does not start with this configuration: {problem}",
                        start.version
                    );
                    found.push(at(&path, "spark-refuses", message).with_fix("fix what it names, and try again"));
                }
            }
            _ => {}
        }
    }
    let began = output.tried.iter().any(|tried| matches!(tried, Tried::Start { .. }));
    if !began {
        found.push(died(document, start, output, &at, &unknown));
    }
    found
}

/// A process that ended before it could try.
fn died(
    document: &Document,
    start: &Start,
    output: &Output,
    at: &dyn Fn(&str, &'static str, String) -> Diagnostic,
    unknown: &dyn Fn(Diagnostic) -> Diagnostic,
) -> Diagnostic {
    let spec = document.spec_path();
    let lines = || output.log.lines().map(str::trim);
    let version = &start.version;
    if let Some(line) =
        lines().find(|line| line.contains("unresolved dependency") || line.contains("unresolved dependencies"))
    {
        let detail = lines()
            .find(|line| line.contains("not found") && line.contains("::"))
            .unwrap_or(line);
        let unreachable = lines().any(|line| {
            line.contains("Server access error") || line.contains("UnknownHost") || line.contains("ConnectException")
        });
        let path = format!("{spec}.deps.packages");
        let message = format!("packages cannot be had: {detail}");
        return match unreachable {
            true => unknown(at(&path, "spark-not-started", message))
                .with_fix("see to it that the repositories can be reached from here"),
            false => at(&path, "spark-no-package", message).with_fix("write coordinates that a repository has"),
        };
    }
    let jvm = [
        "Unrecognized VM option",
        "Unrecognized option",
        "Invalid maximum heap size",
        "Could not create the Java Virtual Machine",
    ];
    if let Some(line) = lines().find(|line| jvm.iter().any(|text| line.contains(text))) {
        let path = stoke_model::manifest::join(&format!("{spec}.sparkConf"), "spark.driver.extraJavaOptions");
        let message = format!("the JVM of Spark {version} does not start: {line}");
        return at(&path, "spark-refuses", message).with_fix("write options that the JVM of the image has");
    }
    // What spark-submit refuses itself it says as an error, before any Spark is started.
    let thrown = lines().find_map(|line| {
        let prefixes = ["Exception in thread \"main\" ", "Error: "];
        prefixes.iter().find_map(|prefix| line.strip_prefix(prefix))
    });
    if let Some(thrown) = thrown {
        let path = named_key(thrown, start).map_or_else(
            || format!("{spec}.sparkConf"),
            |key| stoke_model::manifest::join(&format!("{spec}.sparkConf"), &key),
        );
        let message = format!("Spark {version} does not start with this configuration: {thrown}");
        return at(&path, "spark-refuses", message).with_fix("fix what it names, and try again");
    }
    let last = output
        .log
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("nothing");
    let how = output
        .code
        .map_or("was killed".to_owned(), |code| format!("ended with exit code {code}"));
    let message = format!("Spark {version} {how} before it could try anything; its last line: {last}");
    unknown(at("metadata.name", "spark-not-started", message)).with_fix("start it by hand to see what is wrong")
}

/// The longest key of the configuration that a text names.
fn named_key(text: &str, start: &Start) -> Option<String> {
    let named = start.properties.keys().filter(|key| text.contains(key.as_str()));
    named.max_by_key(|key| key.len()).cloned()
}

fn python(job: &Job, path: &Path, line: Option<usize>, problem: &str) -> Diagnostic {
    let message = format!("Python cannot compile it: {problem}");
    let fix = "fix it; the driver would end before its first line";
    let plain = |path: &Path| path.strip_prefix(".").unwrap_or(path).to_owned();
    let file = job.files.iter().find(|file| plain(&file.path) == plain(path));
    match (file, line) {
        (Some(file), Some(line)) if line <= file.source.text().lines().count() => Diagnostic::at(
            Severity::Error,
            "spark-no-python",
            &file.source,
            file.source.line_place(line),
            "",
            message,
        ),
        _ => Diagnostic::of_file(Severity::Error, "spark-no-python", &path.display().to_string(), message),
    }
    .with_fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::of_bytes;
    use crate::runs::Runs;
    use crate::runs::spark::starts;

    const JOB: &str = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: a, namespace: sales}\nspec:\n  type: Python\n  mode: cluster\n  sparkVersion: 4.1.4\n  image: spark:4.1.4\n  mainApplicationFile: main.py\n  mainClass: org.acme.Main\n  deps:\n    packages: ['a:b:1']\n  sparkConf:\n    spark.serializer: org.acme.Kryo\n    spark.sql.shuffle.partitions: x\n  driver: {cores: 1, memory: 1g}\n  executor: {cores: 1, instances: 1, memory: 1g}\n";

    fn said(jars: &str, output: Output) -> Vec<(String, String, bool)> {
        let text = JOB.replace("  deps:\n", &format!("  deps:\n{jars}"));
        let files = [("a.yaml", text.as_str()), ("main.py", "x = 1\ny = (\n")];
        let job = Job {
            files: files
                .iter()
                .map(|(name, text)| of_bytes(name, text.as_bytes()))
                .collect(),
            ..Job::default()
        };
        // What the other gates have against the value is not the matter here.
        let sound = text
            .replace("partitions: x", "partitions: '7'")
            .replace("  mainClass: org.acme.Main\n", "  # mainClass\n");
        let planned = Job {
            files: vec![of_bytes("a.yaml", sound.as_bytes()), job.files[1].clone()],
            ..Job::default()
        };
        let start = starts(&planned, &Settings::default()).remove(0);
        let settings = Settings {
            runs: Runs {
                spark: Some(vec![Started { start, end: Ok(output) }]),
                ..Runs::default()
            },
            ..Settings::default()
        };
        let findings = look(&job, &settings).findings.into_iter();
        findings
            .map(|finding| (finding.code.to_string(), finding.place(), finding.cannot_tell))
            .collect()
    }

    fn row(code: &str, place: &str, cannot_tell: bool) -> (String, String, bool) {
        (code.to_owned(), place.to_owned(), cannot_tell)
    }

    fn tried(lines: &str) -> Output {
        Output {
            code: Some(0),
            tried: lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            log: String::new(),
        }
    }

    #[test]
    fn what_was_tried_stands_at_its_place() {
        let fine = "{\"what\": \"start\", \"problem\": null}";
        let class = "{\"what\": \"class\", \"key\": \"spark.serializer\", \"name\": \"org.acme.Kryo\", \"problem\": \"ClassNotFoundException\"}";
        assert_eq!(said("", tried(fine)), []);
        let refused = "{\"what\": \"start\", \"problem\": \"no such thing\"}";
        // The start failed for the class; that is said once.
        assert_eq!(
            said("", tried(&format!("{class}\n{refused}"))),
            [row("spark-no-class", "a.yaml:14:5", false)]
        );
        assert_eq!(
            said("    jars: ['s3a://x/y.jar']\n", tried(&format!("{class}\n{fine}"))),
            [row("spark-no-class", "a.yaml:15:5", true)]
        );
        assert_eq!(
            said(
                "",
                tried(&format!(
                    "{{\"what\": \"main\", \"name\": \"org.acme.Main\", \"problem\": \"no main\"}}\n{fine}"
                ))
            ),
            [row("spark-no-main", "a.yaml:10:3", false)]
        );
        assert_eq!(
            said(
                "",
                tried(&format!(
                    "{{\"what\": \"python\", \"file\": \"main.py\", \"line\": 2, \"problem\": \"never closed\"}}\n{fine}"
                ))
            ),
            [row("spark-no-python", "main.py:2:1", false)]
        );
        let key = "{\"what\": \"start\", \"problem\": \"spark.sql.shuffle.partitions should be int, but was x\"}";
        assert_eq!(said("", tried(key)), [row("spark-refuses", "a.yaml:15:5", false)]);
        assert_eq!(said("", tried(refused)), [row("spark-refuses", "a.yaml:13:3", false)]);
    }

    #[test]
    fn a_process_that_dies_is_explained_or_cannot_be_told() {
        let rows = [
            (
                "x\n:: a#b;1: not found ::\nunresolved dependency: a#b;1: not found",
                "spark-no-package",
                "a.yaml:12:5",
                false,
            ),
            (
                "Server access error\nunresolved dependency: a#b;1: not found",
                "spark-not-started",
                "a.yaml:12:5",
                true,
            ),
            ("Unrecognized VM option 'Xyz'", "spark-refuses", "a.yaml:3:1", false),
            (
                "Error: spark.serializer may not be so",
                "spark-refuses",
                "a.yaml:14:5",
                false,
            ),
            (
                "Exception in thread \"main\" E: spark.serializer is bad",
                "spark-refuses",
                "a.yaml:14:5",
                false,
            ),
            ("", "spark-not-started", "a.yaml:3:1", true),
        ];
        for (log, code, place, cannot_tell) in rows {
            let output = Output {
                code: Some(1),
                log: log.to_owned(),
                ..Output::default()
            };
            let found = said("", output);
            assert_eq!((found[0].0.as_str(), found[0].2), (code, cannot_tell), "{log}");
            assert!(
                found[0].1.starts_with(place.split(':').next().unwrap())
                    && found[0].1.split(':').nth(1) == place.split(':').nth(1),
                "{log}: {found:?}"
            );
        }
    }
}
