//! Spark configuration: keys and values by the catalogue of the job's Spark version, pairs that contradict each other, and what cannot work on Kubernetes.
//!
//! Of a manifest the keys are linted by `model` already; here they get the gate they belong to. A properties file (`spark-defaults.conf`) is linted the
//! same way. Contradictions are rules over the whole of a configuration, in [`RULES`].

use std::collections::BTreeMap;
use std::sync::Arc;

use stoke_model::conf::{Catalogue, On, properties};
use stoke_model::duration::{TimeUnit, parse_spark};
use stoke_model::manifest::{Content, Document, Node, Place, Severity, Source};

use super::Looked;
use super::manifest::is_conf;
use crate::Settings;
use crate::finding::Finding;
use crate::job::{File, Job, Kind};

/// A configuration with the places of its values.
struct Conf {
    source: Arc<Source>,
    /// Path of the mapping in a manifest; empty for a file of properties.
    path: String,
    pairs: BTreeMap<String, (String, Place)>,
    /// Paths of the driver at which volumes are mounted.
    mounts: Vec<String>,
}

impl Conf {
    fn get(&self, key: &str) -> Option<&str> {
        self.pairs.get(key).map(|(value, _)| value.trim())
    }

    fn is(&self, key: &str, value: &str) -> bool {
        self.get(key).is_some_and(|found| found.eq_ignore_ascii_case(value))
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }
}

/// What a rule says of a configuration: the key it stands at, the message and the fix.
type Said = (&'static str, String, String);
type Rule = (&'static str, Severity, fn(&Conf) -> Option<Said>);

const WARNING: Severity = Severity::Warning;
const ERROR: Severity = Severity::Error;
const DYNAMIC: &str = "spark.dynamicAllocation.enabled";
const TRACKING: &str = "spark.dynamicAllocation.shuffleTracking.enabled";
const SERVICE: &str = "spark.shuffle.service.enabled";

/// Rules over a whole configuration.
const RULES: [Rule; 10] = [
    // Spark's ExternalShuffleService is a part of YARN's node manager and of standalone workers; on Kubernetes nothing starts one.
    ("conf-shuffle-service", ERROR, |conf| {
        conf.is(SERVICE, "true").then(|| {
            let fix = format!("remove it; for dynamic allocation set {TRACKING}=true");
            (
                SERVICE,
                "there is no external shuffle service on Kubernetes: executors fail to register with it".to_owned(),
                fix,
            )
        })
    }),
    // ExecutorAllocationManager.validateSettings
    ("conf-dynamic-range", ERROR, |conf| {
        let (least, most) = (
            conf.number("spark.dynamicAllocation.minExecutors")?,
            conf.number("spark.dynamicAllocation.maxExecutors")?,
        );
        (least > most && conf.is(DYNAMIC, "true")).then(|| {
            let message = format!("at least {least} executors and at most {most}: Spark refuses to start");
            (
                "spark.dynamicAllocation.minExecutors",
                message,
                format!("set it to {most} or less"),
            )
        })
    }),
    ("conf-dynamic-initial", WARNING, |conf| {
        let (initial, most) = (
            conf.number("spark.dynamicAllocation.initialExecutors")?,
            conf.number("spark.dynamicAllocation.maxExecutors")?,
        );
        (initial > most && conf.is(DYNAMIC, "true")).then(|| {
            let message = format!("{initial} executors at the start, {most} at most");
            (
                "spark.dynamicAllocation.initialExecutors",
                message,
                format!("set it to {most} or less"),
            )
        })
    }),
    // ExecutorAllocationManager.validateSettings; tracking is on by default since 3.4.
    ("conf-dynamic-no-shuffle", ERROR, |conf| {
        let decommission = conf.is("spark.decommission.enabled", "true")
            && conf.is("spark.storage.decommission.shuffleBlocks.enabled", "true");
        let other = conf.get("spark.shuffle.sort.io.plugin.class").is_some() || conf.is(SERVICE, "true");
        (conf.is(DYNAMIC, "true") && conf.is(TRACKING, "false") && !decommission && !other).then(|| {
            let message = "with dynamic allocation shuffle files must outlive executors, and nothing keeps them: Spark refuses to start".to_owned();
            (TRACKING, message, "remove it; it is on by default".to_owned())
        })
    }),
    ("conf-dynamic-off", WARNING, |conf| {
        let key = [
            "spark.dynamicAllocation.minExecutors",
            "spark.dynamicAllocation.maxExecutors",
            "spark.dynamicAllocation.initialExecutors",
        ]
        .into_iter()
        .find(|key| conf.get(key).is_some())?;
        (!conf.is(DYNAMIC, "true") && !conf.path.is_empty()).then(|| {
            (
                key,
                format!("without {DYNAMIC}=true it has no effect"),
                format!("set {DYNAMIC}=true, or remove it"),
            )
        })
    }),
    ("conf-heartbeat", ERROR, |conf| {
        // Without a unit the one is in milliseconds, the other in seconds.
        let seconds = |key: &str, default: &str, unit| {
            Some(parse_spark(conf.get(key).unwrap_or(default), unit).ok()?.as_secs_f64())
        };
        let heartbeat = seconds("spark.executor.heartbeatInterval", "10s", TimeUnit::Millisecond)?;
        let timeout = seconds("spark.network.timeout", "120s", TimeUnit::Second)?;
        (heartbeat >= timeout).then(|| {
            let key = if conf.get("spark.executor.heartbeatInterval").is_some() { "spark.executor.heartbeatInterval" } else { "spark.network.timeout" };
            let message = format!("executors send a heartbeat every {heartbeat} s and are given up after {timeout} s without one: Spark refuses to start");
            (key, message, "keep spark.executor.heartbeatInterval well below spark.network.timeout".to_owned())
        })
    }),
    ("conf-cores-per-task", ERROR, |conf| {
        let (cores, per_task) = (conf.number("spark.executor.cores")?, conf.number("spark.task.cpus")?);
        (per_task > cores).then(|| {
            let message = format!("a task takes {per_task} cores and an executor has {cores}: Spark refuses to start");
            ("spark.task.cpus", message, format!("set it to {cores} or less"))
        })
    }),
    ("conf-memory-fractions", ERROR, |conf| {
        let fraction: f64 = conf.get("spark.memory.fraction")?.parse().ok()?;
        (fraction <= 0.0 || fraction > 1.0).then(|| {
            (
                "spark.memory.fraction",
                format!("{fraction} is no share of the heap: Spark refuses to start"),
                "leave it at 0.6".to_owned(),
            )
        })
    }),
    ("conf-off-heap-size", ERROR, |conf| {
        let unset = conf.get("spark.memory.offHeap.size").is_none_or(|size| size == "0");
        (conf.is("spark.memory.offHeap.enabled", "true") && unset).then(|| {
            (
                "spark.memory.offHeap.enabled",
                "off-heap memory is on and has no size: Spark refuses to start".to_owned(),
                "set spark.memory.offHeap.size, for example 1g".to_owned(),
            )
        })
    }),
    ("conf-event-log-directory", WARNING, |conf| {
        let place = conf
            .get("spark.eventLog.dir")?
            .trim_start_matches("file:")
            .trim_start_matches("//");
        let kept = !place.starts_with('/') || conf.mounts.iter().any(|mount| place.starts_with(mount.as_str()));
        (conf.is("spark.eventLog.enabled", "true") && !kept && !conf.path.is_empty()).then(|| {
            (
                "spark.eventLog.dir",
                "the event log goes into the driver's container and is gone with it".to_owned(),
                "write it to an object store or a volume, for example s3a://logs/spark".to_owned(),
            )
        })
    }),
];

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let mut findings = Vec::new();
    let mut count = 0;
    for file in &job.files {
        let confs = match &file.kind {
            Kind::Manifest { documents, complaints } => {
                let of_conf = complaints.iter().filter(|complaint| is_conf(complaint.code));
                findings.extend(of_conf.cloned().map(Finding::from));
                documents.iter().filter_map(of_document).collect()
            }
            Kind::Properties => vec![of_properties(file, job, settings, &mut findings)],
            _ => Vec::new(),
        };
        count += confs.len();
        for conf in confs {
            findings.extend(contradictions(&conf));
        }
    }
    Looked::at(count, "configuration", findings)
}

fn contradictions(conf: &Conf) -> Vec<Finding> {
    let said = RULES.iter().filter_map(|(code, severity, rule)| {
        let (key, message, fix) = rule(conf)?;
        let place = conf.pairs.get(key).map_or_else(Place::default, |(_, place)| *place);
        let path = if conf.path.is_empty() {
            key.to_owned()
        } else {
            stoke_model::manifest::join(&conf.path, key)
        };
        let message = format!("`{key}`: {message}");
        Some(Finding::at(*severity, *code, &conf.source, place, &path, message).with_fix(fix))
    });
    said.collect()
}

/// False for one of our objects whose configuration contradicts itself so that Spark would not start.
pub(super) fn is_sound(document: &Document) -> bool {
    let found = of_document(document)
        .map(|conf| contradictions(&conf))
        .unwrap_or_default();
    found.iter().all(|finding| finding.severity == Severity::Warning)
}

/// The configuration of one of our objects.
fn of_document(document: &Document) -> Option<Conf> {
    if !document.is_ours() {
        return None;
    }
    let spec = document.spec_path();
    let path = format!("{spec}.sparkConf");
    let node = document.node.lookup(&path)?;
    let pair = |entry: &stoke_model::manifest::Entry| {
        let value = Node::as_str(&entry.value)?.to_owned();
        Some((entry.key.clone(), (value, entry.key_place)))
    };
    let mut pairs: BTreeMap<_, _> = node.entries().iter().filter_map(pair).collect();
    let allocation = document.node.lookup(&format!("{spec}.dynamicAllocation.enabled"));
    if let Some(enabled) = allocation.filter(|enabled| enabled.content == Content::Bool(true)) {
        pairs.insert(DYNAMIC.to_owned(), ("true".to_owned(), enabled.place));
    }
    let mounts = document.node.lookup(&format!("{spec}.driver.volumeMounts"));
    let mounts = mounts.map_or(&[][..], Node::items).iter();
    let mounts = mounts.filter_map(|mount| Some(mount.get("mountPath")?.as_str()?.to_owned()));
    Some(Conf {
        source: Arc::clone(&document.source),
        path,
        pairs,
        mounts: mounts.collect(),
    })
}

/// A properties file, linted by the catalogue of the job's Spark version.
fn of_properties(file: &File, job: &Job, settings: &Settings, findings: &mut Vec<Finding>) -> Conf {
    let source = Arc::clone(&file.source);
    let mut conf = Conf {
        source: Arc::clone(&source),
        path: String::new(),
        pairs: BTreeMap::new(),
        mounts: Vec::new(),
    };
    let pairs = match properties::read_pairs(source.text()) {
        Ok(pairs) => pairs,
        Err(cause) => {
            let finding = Finding::of_file(Severity::Error, "conf-properties", &file.name, cause.to_string());
            findings.push(finding.with_fix("write one `key value` on a line"));
            return conf;
        }
    };
    let versions = settings.spark_versions(job);
    let catalogue = versions
        .first()
        .map_or_else(Catalogue::newest, |version| Catalogue::for_version(version));
    for pair in pairs {
        let place = line_place(&source, pair.line);
        for said in catalogue.lint([(pair.key.as_str(), pair.value.as_str())]) {
            let severity = said.severity.into();
            let about = match said.on {
                On::Key => pair.key.clone(),
                On::Value => format!("{}={}", pair.key, pair.value),
            };
            let message = format!("`{about}`: {}", said.message);
            let mut finding = Finding::at(severity, said.code, &source, place, &pair.key, message);
            finding.fix = said.suggestion.map(|suggestion| suggestion.to_string());
            findings.push(finding);
        }
        conf.pairs.insert(pair.key, (pair.value, place));
    }
    conf
}

/// The place of a line's text.
pub(super) fn line_place(source: &Source, line: usize) -> Place {
    let before: usize = source
        .text()
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let text = source.text()[before..].lines().next().unwrap_or_default();
    let mut place = source.place_at(before + (text.len() - text.trim_start().len()));
    place.end = before + text.trim_end().len();
    place
}
