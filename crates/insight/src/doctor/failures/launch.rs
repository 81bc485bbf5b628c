//! What keeps an application from starting: main class, main file, configuration.

use std::borrow::Cow;

use serde_json::json;
use stoke_diagnostics::Severity;
use stoke_model::conf::{Catalogue, On, Suggestion};
use stoke_model::units::people::amount;

use super::class::{Class, END, LOST, NONE_COME, THROWN, class, patch, words};
use super::memory_settings::conf_patch;
use super::texts::{Match, TextRule, ends, hurts};
use crate::text::{after, between, short};
use stoke_diagnostics::Fix;

const SUBMITTING: &str = "https://spark.apache.org/docs/latest/submitting-applications.html";
const CONFIGURATION: &str = "https://spark.apache.org/docs/latest/configuration.html";

static MAIN_CLASS: Class = class(
    "main-class-missing",
    860,
    "spec.mainClass must be a class of the main application file or of a jar of spec.deps.jars",
    SUBMITTING,
    &[END, THROWN, &["class-not-found"]],
);
static MAIN_FILE: Class = class(
    "main-file-missing",
    861,
    "spec.mainApplicationFile must exist: local:// in the image, other schemes where they point to",
    SUBMITTING,
    &[
        END,
        THROWN,
        &["path-not-found", "main-class-missing", "class-not-found"],
    ],
);
static CONFIGURATION_INVALID: Class = class(
    "configuration-invalid",
    850,
    "Spark refuses values it cannot read when it first reads them",
    CONFIGURATION,
    &[END, THROWN, LOST, NONE_COME],
);
static STATIC_CONFIGURATION: Class = class(
    "configuration-static",
    500,
    "some keys are read once, when the session is made; they cannot be changed afterwards",
    "https://spark.apache.org/docs/latest/sql-ref-syntax-aux-conf-mgmt-set.html",
    &[END, THROWN],
);
static BARRIER_SLOTS: Class = class(
    "barrier-slots",
    700,
    "all tasks of a barrier stage run at once: there must be as many free slots (executors x cores / spark.task.cpus) as partitions",
    "spark.barrier.maxConcurrentTasksCheck.maxFailures",
    &[END, THROWN],
);
static DYNAMIC_ALLOCATION: Class = class(
    "dynamic-allocation-unsupported",
    855,
    "dynamic allocation needs someone to keep shuffle data: shuffle tracking, decommissioning with shuffle blocks, or a shuffle service (which Spark on Kubernetes has not)",
    "spark.dynamicAllocation.shuffleTracking.enabled",
    &[END, THROWN, &["configuration-invalid"]],
);
static CONTEXT_NOT_STARTED: Class = class(
    "context-not-started",
    120,
    "the SparkContext must be made before anything can run",
    CONFIGURATION,
    &[END],
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 7] = [
    &MAIN_CLASS,
    &MAIN_FILE,
    &CONFIGURATION_INVALID,
    &STATIC_CONFIGURATION,
    &BARRIER_SLOTS,
    &DYNAMIC_ALLOCATION,
    &CONTEXT_NOT_STARTED,
];

/// Its rules over texts.
pub(super) const RULES: &[TextRule] = &[
    ends(
        &MAIN_CLASS,
        &[
            &["Error: Failed to load class "],
            &["No main class set in JAR"],
            &["MISSING_APPLICATION_RESOURCE"],
        ],
        |matched| {
            let name = after(matched.line, "Failed to load class ").map(|name| name.trim().trim_end_matches('.'));
            let cause = match name {
                Some(name) => format!("The main class {name} is not in the application's jar"),
                None => "No main class is named, and the jar names none either".into(),
            };
            Some((
                cause,
                words(
                    "write the full name of the class, with its package, in spec.mainClass; see what the jar has with: jar tf FILE.jar",
                ),
            ))
        },
    ),
    ends(
        &MAIN_FILE,
        &[
            &[": can't open file "],
            &["does not exist, skipping"],
            &["Cannot load main class from JAR"],
            &["ClassNotFoundException: org.apache.spark.deploy.PythonRunner"],
            &["NoSuchFileException"],
            &["FileNotFoundException"],
        ],
        main_file,
    ),
    ends(
        &DYNAMIC_ALLOCATION,
        &[
            &["Dynamic allocation of executors requires"],
            &["dynamic allocation", "shuffle service"],
        ],
        |_| {
            Some((
                "Dynamic allocation is on, and nothing keeps the shuffle data of executors that are removed".into(),
                patch(
                    "let Spark track shuffle data",
                    json!({"spec": {"dynamicAllocation": {"shuffleTrackingEnabled": true}, "sparkConf": {"spark.dynamicAllocation.shuffleTracking.enabled": "true"}}}),
                ),
            ))
        },
    ),
    ends(
        &BARRIER_SLOTS,
        &[
            &["Barrier execution mode does not allow run a barrier stage that requires more slots"],
            &["[SPARK-24819]"],
        ],
        |matched| {
            let instances = matched
                .context
                .facts
                .property("spark.executor.instances")
                .unwrap_or("2");
            Some((
                format!(
                    "A barrier stage has more tasks than there are slots to run them at once ({} asked for)",
                    amount(instances, "executor")
                ),
                words(
                    "repartition to at most executors x cores, or ask for more executors; barrier stages cannot use dynamic allocation",
                ),
            ))
        },
    ),
    ends(
        &STATIC_CONFIGURATION,
        &[
            &["Cannot modify the value of a static config"],
            &["CANNOT_MODIFY_CONFIG"],
            &["CANNOT_MODIFY_STATIC_CONFIG"],
        ],
        |matched| {
            let key = key_in(matched.line).unwrap_or("a key");
            Some((
                format!("{key} cannot be set in a running session"),
                words(format!("set {key} in spec.sparkConf instead of in the code")),
            ))
        },
    ),
    hurts(
        &CONFIGURATION_INVALID,
        &[
            &["Unrecognized VM option"],
            &["Invalid maximum heap size"],
            &["Invalid initial heap size"],
            &["Could not create the Java Virtual Machine"],
        ],
        |matched| {
            let who = match &matched.block.executor {
                Some(_) => "spark.executor.extraJavaOptions (spec.executor.javaOptions)",
                None => "spark.driver.extraJavaOptions (spec.driver.javaOptions)",
            };
            Some((
                format!("The JVM does not start with its options: {}", short(matched.line, 200)),
                words(format!("correct {who}: options differ between versions of Java")),
            ))
        },
    ),
    ends(
        &CONFIGURATION_INVALID,
        &[
            &["IllegalArgumentException", "spark."],
            &["should be", "but was", "spark."],
            &["INVALID_CONF_VALUE"],
            &["must be a positive number"],
            &["Failed to parse byte string"],
            &["NumberFormatException", "Size must be specified"],
            &["Invalid time string"],
            &["Size must be specified as bytes"],
            &["SparkException", "Could not parse Master URL"],
            &["Unrecognized option"],
        ],
        configuration,
    ),
    ends(
        &CONTEXT_NOT_STARTED,
        &[
            &["Error initializing SparkContext"],
            &["External scheduler cannot be instantiated"],
        ],
        |matched| {
            Some((
                format!(
                    "The SparkContext could not be made: {}",
                    short(matched.block.line_with(&["Caused by: "]).unwrap_or(matched.line), 200)
                ),
                words("the cause named in the driver's log must be fixed"),
            ))
        },
    ),
];

/// A file that `spark-submit` in the driver wants and that is not there: the main one, or one of the dependencies.
fn main_file(matched: &Match<'_>) -> Option<(String, Fix)> {
    let line = matched.line;
    // Anybody's code misses files: only what spark-submit itself misses is meant.
    if line.contains("FileException") || line.contains("FileNotFoundException") {
        let in_submit = [
            "prepareSubmitEnvironment",
            "downloadResourcesToCurrentDirectory",
            "deploy.DependencyUtils",
        ];
        let text = &matched.block.text;
        if !in_submit.iter().any(|frame| text.contains(frame)) {
            return None;
        }
    }
    let named = between(line, "can't open file '", "'")
        .or_else(|| between(line, "from JAR ", " "))
        .or_else(|| after(line, "from JAR "))
        .or_else(|| between(line, "Local jar ", " does not exist"))
        .or_else(|| after(line, "NoSuchFileException: "))
        .or_else(|| after(line, "FileNotFoundException: "))
        .map(|file| {
            file.trim()
                .split(" (No such")
                .next()
                .unwrap_or(file)
                .trim_start_matches("File ")
        })
        .map(|file| file.split(" does not exist").next().unwrap_or(file));
    let main = matched
        .context
        .spec("/mainApplicationFile")
        .and_then(|file| file.as_str());
    let file = named.or(main).unwrap_or_default();
    // The manifest tells which of both it is.
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    match main {
        Some(main) if name(main) != name(file) => Some((
            format!("The file {file}, which the application brings, does not exist where the driver looks for it"),
            words(
                "correct its path in spec.deps (jars, files, pyFiles, archives) or spec.sparkConf (spark.jars, spark.files): local:///path for a file of the image, or the address of an object store",
            ),
        )),
        _ => Some((
            format!("The main application file {file} does not exist where the driver looks for it"),
            words(
                "correct spec.mainApplicationFile: local:///path for a file of the image, or the address of an object store",
            ),
        )),
    }
}

/// A key of Spark's in a text.
fn key_in(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(at) = rest.find("spark.") {
        let key = &rest[at..];
        let end = key
            .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_'))
            .unwrap_or(key.len());
        let key = key[..end].trim_end_matches('.');
        let before = rest[..at].chars().next_back();
        // Not a part of a class or a path: org.apache.spark.…
        if !before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/')) && key.contains('.') {
            return Some(key);
        }
        rest = &rest[at + "spark.".len()..];
    }
    None
}

/// A value that Spark refused: the key it names, else every key of ours the catalogue knows to be wrong.
fn configuration(matched: &Match<'_>) -> Option<(String, Fix)> {
    let named = matched.block.text.lines().find_map(key_in);
    let wrong = complaints(matched);
    let of_named = wrong.iter().find(|(key, ..)| Some(key.as_str()) == named);
    if let Some((key, message, suggestion)) = of_named.or_else(|| wrong.first()) {
        let fix = match suggestion {
            Some(Suggestion::ReplaceValue(value)) => {
                patch(format!("write {key}: {value}"), conf_patch([(key, value.clone())]))
            }
            Some(Suggestion::ReplaceKey(other)) => words(format!("write {other} instead of {key}")),
            Some(Suggestion::Text(text)) => words(format!("{key}: {text}")),
            None => words(format!(
                "write a value for {key} that it can have (stoke explain conf {key})"
            )),
        };
        return Some((format!("{key} has a value that Spark cannot use: {message}"), fix));
    }
    let line = exception_line(matched);
    match named {
        Some(key) if line.contains(key) => {
            let value = matched
                .context
                .facts
                .property(key)
                .map(|value| format!(" ({value})"))
                .unwrap_or_default();
            Some((
                format!("{key}{value} has a value that Spark cannot use: {}", short(&line, 200)),
                words(format!("correct {key} in spec.sparkConf")),
            ))
        }
        // An IllegalArgumentException of someone's code that happens to stand near the word.
        _ if matched.line.contains("IllegalArgumentException") => None,
        _ => Some((
            format!("A setting cannot be read: {}", short(&line, 200)),
            words("correct the value in spec.sparkConf or in the Java options"),
        )),
    }
}

fn exception_line<'a>(matched: &Match<'a>) -> Cow<'a, str> {
    Cow::Borrowed(matched.line)
}

/// Keys of the run or the manifest whose values Spark refuses.
fn complaints(matched: &Match<'_>) -> Vec<(String, String, Option<Suggestion>)> {
    let catalogue = Catalogue::for_version(&matched.context.spark_version());
    let mut pairs: Vec<(String, String)> = Vec::new();
    if let Some(conf) = matched.context.spec("/sparkConf").and_then(|conf| conf.as_object()) {
        pairs.extend(
            conf.iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))),
        );
    }
    if let Some(run) = matched.context.run() {
        pairs.extend(run.spark.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    let borrowed = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let wrong = catalogue.lint(borrowed).into_iter();
    wrong
        .filter(|wrong| wrong.severity == Severity::Error && wrong.on == On::Value)
        .map(|wrong| (wrong.key, wrong.message, wrong.suggestion))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_classes() {
        for (text, key) in [
            (
                "spark.sql.shuffle.partitions should be int, but was many",
                Some("spark.sql.shuffle.partitions"),
            ),
            ("org.apache.spark.SparkException: x", None),
            (
                "org.apache.spark.SparkException: in 'spark.executor.memory'.",
                Some("spark.executor.memory"),
            ),
            ("spark is fine", None),
        ] {
            assert_eq!(key_in(text), key, "{text}");
        }
    }
}
