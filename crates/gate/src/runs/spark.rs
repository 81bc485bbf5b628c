//! A start of Spark with a job's configuration: what is started, and what it said. Nothing of the job itself is run, and no data are read.
//!
//! Spark runs as `local[1]` here, so what belongs to the cluster is left out ([`LEFT_OUT`]): places, sizes of the driver, the event log, the UI, and the
//! options of JVMs that name files of the image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use stoke_model::manifest::{Document, Node};
use stoke_submit::argv::contents::local_path;

use crate::Settings;
use crate::configuration::sound;
use crate::derived;
use crate::job::Job;

/// Keys, or beginnings of keys (those that end in a dot), that a local start leaves out.
pub const LEFT_OUT: [&str; 32] = [
    "spark.kubernetes.",
    "spark.submit.",
    "spark.eventLog.",
    "spark.ui.",
    "spark.metrics.",
    "spark.history.",
    "spark.yarn.",
    "spark.master",
    "spark.app.id",
    "spark.app.name",
    "spark.files",
    "spark.archives",
    "spark.jars",
    "spark.jars.packages",
    "spark.jars.ivy",
    "spark.jars.ivySettings",
    "spark.pyspark.python",
    "spark.pyspark.driver.python",
    "spark.local.dir",
    "spark.sql.warehouse.dir",
    "spark.checkpoint.dir",
    "spark.driver.host",
    "spark.driver.port",
    "spark.driver.bindAddress",
    "spark.driver.blockManager.port",
    "spark.blockManager.port",
    "spark.driver.memory",
    "spark.driver.memoryOverhead",
    "spark.driver.cores",
    "spark.driver.extraClassPath",
    "spark.driver.extraLibraryPath",
    "spark.redaction.regex",
];

/// Keys whose values are names of classes, apart by commas.
const CLASSES: [&str; 12] = [
    "spark.serializer",
    "spark.closure.serializer",
    "spark.kryo.registrator",
    "spark.kryo.classesToRegister",
    "spark.extraListeners",
    "spark.plugins",
    "spark.sql.extensions",
    "spark.sql.queryExecutionListeners",
    "spark.sql.streaming.streamingQueryListeners",
    "spark.shuffle.sort.io.plugin.class",
    "spark.sql.sources.commitProtocolClass",
    "spark.hadoop.fs.s3a.aws.credentials.provider",
];

/// A Spark to be started for one of the job's applications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Name of the file.
    pub file: String,
    /// Which of its documents, from 0.
    pub document: usize,
    /// Version of Spark.
    pub version: String,
    /// Configuration, without what is left out.
    pub properties: BTreeMap<String, String>,
    /// Maven coordinates, apart by commas.
    pub packages: Option<String>,
    /// Jars at hand, and such as can be fetched by `http`.
    pub jars: Vec<String>,
    /// Jars and packages that are elsewhere: in the image, in an object store.
    pub elsewhere: Vec<String>,
    /// Python files at hand: the application and its modules.
    pub python: Vec<PathBuf>,
    /// The class of a JVM application.
    pub class: Option<String>,
    /// Classes that the configuration names, with their keys.
    pub classes: Vec<(String, String)>,
}

/// A Spark that was started, or should have been.
#[derive(Clone, Debug)]
pub struct Started {
    /// What was to be started.
    pub start: Start,
    /// What came of it, or why there was no start and what to do about it.
    pub end: Result<Output, (String, String)>,
}

/// What a start said.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Exit code; none when it was killed.
    pub code: Option<i32>,
    /// What was tried, in its order.
    pub tried: Vec<Tried>,
    /// What it wrote to its log.
    pub log: String,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Tried {
    /// A class that the configuration names.
    Class {
        key: String,
        /// The class.
        name: String,
        /// Why it could not be loaded.
        problem: Option<String>,
    },
    /// The class of the application.
    Main {
        /// The class.
        name: String,
        /// Why it could not be loaded, or not be run.
        problem: Option<String>,
    },
    /// A Python file.
    Python {
        file: PathBuf,
        /// The line of the problem.
        line: Option<usize>,
        /// Why it cannot be compiled.
        problem: Option<String>,
    },
    /// The start of the session itself.
    Start {
        /// Why it failed.
        problem: Option<String>,
    },
}

/// What is to be started: one Spark for each application that the other gates have nothing against.
#[must_use]
pub fn starts(job: &Job, settings: &Settings) -> Vec<Start> {
    let mut starts = Vec::new();
    for file in &job.files {
        let sound: Vec<&Document> = sound(file).collect();
        let directory = file.path.parent().unwrap_or(Path::new("."));
        for (number, document) in file.documents().iter().enumerate() {
            if sound.iter().any(|known| std::ptr::eq(*known, document)) {
                starts.extend(start(document, (&file.name, number), directory, settings));
            }
        }
    }
    starts
}

fn start(document: &Document, (file, number): (&str, usize), directory: &Path, settings: &Settings) -> Option<Start> {
    let namespace = settings.namespace_of(document);
    let derived = derived::derive(document, namespace, &settings.submission)?.ok()?;
    let spec = document.spec_path();
    let text = |path: &str| document.node.lookup(&format!("{spec}.{path}")).and_then(Node::as_str);
    let list = |path: &str| -> Vec<String> {
        let items = document
            .node
            .lookup(&format!("{spec}.deps.{path}"))
            .map_or(&[][..], Node::items);
        items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    };
    let conf = |key: &str| derived.conf.get(key).map(String::as_str).unwrap_or_default();
    let parts = |text: &str| -> Vec<String> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (mut jars, mut elsewhere, mut python) = (Vec::new(), Vec::new(), Vec::new());
    let mut named = list("jars");
    named.extend(
        document
            .node
            .lookup(&format!("{spec}.sparkConf"))
            .and_then(|node| node.get("spark.jars")?.as_str())
            .map(parts)
            .unwrap_or_default(),
    );
    let main = text("mainApplicationFile").unwrap_or_default();
    let class = text("mainClass").map(str::to_owned);
    if main.ends_with(".jar") {
        named.push(main.to_owned());
    }
    let placed = |uri: &str| match (local_path(uri), uri.strip_prefix("local:///opt/spark/")) {
        (Some(path), _) => Some(directory.join(path.split('#').next().unwrap_or(path))),
        // Where the image has Spark; the Spark at hand is put there by who starts it.
        (None, Some(inside)) => Some(Path::new("$SPARK_HOME").join(inside)),
        _ => None,
    };
    for uri in named {
        match placed(&uri) {
            Some(path) => jars.push(path.display().to_string()),
            None if uri.starts_with("http://") || uri.starts_with("https://") => jars.push(uri),
            None => elsewhere.push(uri),
        }
    }
    let files = list("pyFiles")
        .into_iter()
        .chain(main.ends_with(".py").then(|| main.to_owned()));
    python.extend(files.filter(|uri| uri.ends_with(".py")).filter_map(|uri| placed(&uri)));
    let packages = conf("spark.jars.packages");
    let properties: BTreeMap<String, String> = derived
        .conf
        .iter()
        .filter(|(key, _)| !is_left_out(key))
        .map(|(key, value)| match key.as_str() {
            "spark.driver.extraJavaOptions" | "spark.driver.defaultJavaOptions" => (key.clone(), without_files(value)),
            _ => (key.clone(), value.clone()),
        })
        .collect();
    Some(Start {
        file: file.to_owned(),
        document: number,
        version: settings
            .spark
            .clone()
            .or_else(|| text("sparkVersion").map(str::to_owned))?,
        classes: properties.iter().flat_map(|(key, value)| classes(key, value)).collect(),
        properties,
        packages: Some(packages.to_owned()).filter(|packages| !packages.is_empty()),
        jars,
        elsewhere,
        python,
        class,
    })
}

fn is_left_out(key: &str) -> bool {
    let is = |out: &&str| key == *out || (out.ends_with('.') && key.starts_with(*out));
    LEFT_OUT.iter().any(is)
}

/// Options of a JVM without those that name a file of the image.
fn without_files(options: &str) -> String {
    let kept = options.split_whitespace().filter(|option| !option.contains('/'));
    kept.collect::<Vec<_>>().join(" ")
}

/// The classes that a key of the configuration names.
fn classes(key: &str, value: &str) -> Vec<(String, String)> {
    let catalog = key
        .strip_prefix("spark.sql.catalog.")
        .is_some_and(|name| !name.contains('.'));
    let file_system = key.starts_with("spark.hadoop.fs.") && key.ends_with(".impl");
    if !(catalog || file_system || CLASSES.contains(&key)) {
        return Vec::new();
    }
    let names = value.split(',').map(str::trim);
    // `builtin` and other short names are Spark's own words.
    names
        .filter(|name| name.contains('.'))
        .map(|name| (key.to_owned(), name.to_owned()))
        .collect()
}

#[cfg(test)]
mod cases {
    use super::*;
    use crate::job::of_bytes;

    #[test]
    fn a_start_has_the_jobs_configuration_without_what_belongs_to_the_cluster() {
        let text = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: a, namespace: sales}\nspec:\n  type: Scala\n  mode: cluster\n  sparkVersion: 4.1.4\n  image: spark:4.1.4\n  mainClass: org.acme.Main\n  mainApplicationFile: local:///opt/spark/examples/jars/x.jar\n  deps:\n    packages: ['org.acme:lib_2.13:1.0']\n    jars: ['s3a://lib/a.jar', lib/b.jar, 'https://x/c.jar']\n  sparkConf:\n    spark.sql.catalog.lake: org.acme.Catalog\n    spark.sql.catalog.lake.type: hadoop\n    spark.sql.extensions: org.acme.A, org.acme.B\n    spark.hadoop.fs.s3a.impl: org.acme.S3\n    spark.driver.extraJavaOptions: -Xss4m -javaagent:/opt/agent.jar\n    spark.eventLog.enabled: 'true'\n    spark.eventLog.dir: s3a://logs/x\n  driver: {cores: 1, memory: 1g}\n  executor: {cores: 1, instances: 1, memory: 1g}\n";
        let job = Job {
            files: vec![of_bytes("jobs/a.yaml", text.as_bytes())],
            ..Job::default()
        };
        let start = starts(&job, &Settings::default()).remove(0);
        assert_eq!(
            start.jars,
            ["jobs/lib/b.jar", "https://x/c.jar", "$SPARK_HOME/examples/jars/x.jar"]
        );
        assert_eq!(start.elsewhere, ["s3a://lib/a.jar"]);
        assert_eq!(start.packages.as_deref(), Some("org.acme:lib_2.13:1.0"));
        assert_eq!(start.class.as_deref(), Some("org.acme.Main"));
        let names: Vec<&str> = start.classes.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["org.acme.S3", "org.acme.Catalog", "org.acme.A", "org.acme.B"]);
        assert_eq!(start.properties["spark.driver.extraJavaOptions"], "-Xss4m");
        let out = [
            "spark.eventLog.dir",
            "spark.master",
            "spark.kubernetes.namespace",
            "spark.driver.memory",
            "spark.jars",
        ];
        assert!(
            out.iter().all(|key| !start.properties.contains_key(*key)),
            "{:?}",
            start.properties
        );
    }
}
