//! Whole configurations of Spark and what they cannot be: rules over all keys of an application or a file of properties.
//!
//! [`start`] has the contradictions that keep Spark from starting, [`effect`] those that make a key useless, [`products`] those of other products,
//! [`classes`] values that nothing can be. Here
//! too is which applications are [`sound`], and so would come to anything: gates and what is run for them both ask that.

mod classes;
mod effect;
mod products;
mod start;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::conf::third_party;
use stoke_model::distribution;
use stoke_model::duration::{TimeUnit, parse_spark};
use stoke_model::manifest::{Content, Document, Node, join};
use stoke_model::memory::{ByteUnit, Memory};

use crate::job::{File, Kind};

/// A value of a configuration and where it is written.
pub(crate) struct Pair {
    pub value: String,
    pub place: Place,
    pub path: String,
}

/// A configuration with the places of its values.
pub(crate) struct Conf {
    pub source: Arc<Source>,
    /// Path of the mapping in a manifest; empty for a file of properties, beside which there may be more that sets keys.
    pub path: String,
    /// Those of the configuration, and what fields of the application set.
    pub pairs: BTreeMap<String, Pair>,
    /// Paths of the driver at which volumes are mounted.
    pub mounts: Vec<String>,
    /// Whether fields of the application give the executors a GPU, or a template may.
    pub has_gpu: bool,
    /// Packages and jars that fields of the application name.
    pub artifacts: Vec<String>,
    /// Whether the driver's image is one of Spark's own project, of which is known what is in it.
    pub official: bool,
    /// The version of Spark, where it is known.
    pub version: Option<String>,
}

impl Conf {
    fn get(&self, key: &str) -> Option<&str> {
        self.pairs.get(key).map(|pair| pair.value.trim())
    }

    fn is(&self, key: &str, value: &str) -> bool {
        self.get(key).is_some_and(|found| found.eq_ignore_ascii_case(value))
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }

    fn fraction(&self, key: &str) -> Option<f64> {
        self.get(key)?.parse().ok()
    }

    /// A length of time in seconds; without a unit it is in the given one.
    fn seconds(&self, key: &str, unit: TimeUnit) -> Option<f64> {
        Some(parse_spark(self.get(key)?, unit).ok()?.as_secs_f64())
    }

    /// An amount of memory; without a unit it is in the given one.
    fn memory(&self, key: &str, unit: ByteUnit) -> Option<Memory> {
        Memory::parse(self.get(key)?, unit).ok()
    }

    /// Whether nothing else sets keys: the whole of an application is before us.
    fn is_whole(&self) -> bool {
        !self.path.is_empty()
    }

    /// Where a key stands, or would.
    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            join(&self.path, key)
        }
    }

    /// Keys and values in order of keys.
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, pair)| (key.as_str(), pair.value.trim()))
    }
}

/// What a rule says of a configuration: the key it stands at, the message and the fix.
type Mistake = (Cow<'static, str>, String, String);
type Rule = (&'static str, Severity, fn(&Conf) -> Option<Mistake>);

const WARNING: Severity = Severity::Warning;
const ERROR: Severity = Severity::Error;
const DYNAMIC: &str = "spark.dynamicAllocation.enabled";
const TRACKING: &str = "spark.dynamicAllocation.shuffleTracking.enabled";
const SERVICE: &str = "spark.shuffle.service.enabled";

fn mistake(key: impl Into<Cow<'static, str>>, message: impl Into<String>, fix: impl Into<String>) -> Option<Mistake> {
    Some((key.into(), message.into(), fix.into()))
}

/// What contradicts itself, has no effect or cannot work.
pub(crate) fn contradictions(conf: &Conf) -> Vec<Diagnostic> {
    let rules = start::RULES.iter().chain(&effect::RULES);
    let rules = rules.chain(&products::RULES).chain(&classes::RULES);
    let said = rules.filter_map(|(code, severity, rule)| {
        let (key, message, fix) = rule(conf)?;
        let (place, path) = match conf.pairs.get(key.as_ref()) {
            Some(pair) => (pair.place, pair.path.clone()),
            None => (Place::default(), conf.path_of(&key)),
        };
        let message = format!("`{key}`: {message}");
        Some(Diagnostic::at(*severity, *code, &conf.source, place, &path, message).with_fix(fix))
    });
    said.collect()
}

/// Keys and values of other products, by their own catalogues.
pub(crate) fn other_products(conf: &Conf) -> Vec<Diagnostic> {
    let pairs: Vec<(&str, &str)> = conf
        .pairs
        .iter()
        .map(|(key, pair)| (key.as_str(), pair.value.as_str()))
        .collect();
    let found = third_party::lint(conf.version.as_deref(), &pairs).into_iter();
    let findings = found.filter_map(|said| {
        let pair = conf.pairs.get(&said.key)?;
        Some(said.diagnostic(&conf.source, pair.place, &pair.path, &said.key))
    });
    findings.collect()
}

/// Our objects in a file that the gates of manifests and configuration have nothing against; of the others no pods would come, and why is told there.
pub(crate) fn sound(file: &File) -> impl Iterator<Item = &Document> {
    let (documents, complaints) = match &file.kind {
        Kind::Manifest { documents, complaints } => (documents.as_slice(), complaints.as_slice()),
        _ => (&[][..], &[][..]),
    };
    let wrong = stoke_diagnostics::has_errors(complaints);
    documents
        .iter()
        .filter(move |document| !wrong && document.is_ours() && is_sound(document))
}

/// False for one of our objects whose configuration contradicts itself so that Spark would not start.
fn is_sound(document: &Document) -> bool {
    let found = of_document(document)
        .map(|conf| contradictions(&conf))
        .unwrap_or_default();
    found.iter().all(|finding| finding.severity == Severity::Warning)
}

/// Fields of an application and the keys they set.
const FIELDS: [(&str, &str); 7] = [
    ("driver.cores", "spark.driver.cores"),
    ("driver.memory", "spark.driver.memory"),
    ("driver.javaOptions", "spark.driver.extraJavaOptions"),
    ("executor.cores", "spark.executor.cores"),
    ("executor.memory", "spark.executor.memory"),
    ("executor.javaOptions", "spark.executor.extraJavaOptions"),
    ("dynamicAllocation.enabled", DYNAMIC),
];

/// The configuration of one of our objects.
pub(crate) fn of_document(document: &Document) -> Option<Conf> {
    if !document.is_ours() {
        return None;
    }
    let spec = document.node.lookup(document.spec_path())?;
    let path = join(document.spec_path(), "sparkConf");
    let mut conf = Conf {
        source: Arc::clone(&document.source),
        pairs: BTreeMap::new(),
        mounts: Vec::new(),
        has_gpu: ["executor.gpu", "executor.template"]
            .iter()
            .any(|field| spec.lookup(field).is_some()),
        artifacts: Vec::new(),
        official: ["driver.image", "image"]
            .iter()
            .find_map(|field| spec.lookup(field)?.as_str())
            .is_some_and(distribution::is_official),
        version: spec.lookup("sparkVersion").and_then(scalar),
        path,
    };
    for entry in spec.get("sparkConf")?.entries() {
        let Some(value) = Node::as_str(&entry.value) else {
            continue;
        };
        let pair = Pair {
            value: value.to_owned(),
            place: entry.key_place,
            path: conf.path_of(&entry.key),
        };
        conf.pairs.insert(entry.key.clone(), pair);
    }
    for (field, key) in FIELDS {
        let Some(node) = spec.lookup(field) else { continue };
        // What is not on is not a decision against it: only `true` is handed on to Spark.
        let Some(value) = scalar(node).filter(|value| key != DYNAMIC || value == "true") else {
            continue;
        };
        let path = join(document.spec_path(), field);
        let place = node.place;
        conf.pairs.insert(key.to_owned(), Pair { value, place, path });
    }
    let items = |field: &str| spec.lookup(field).map_or(&[][..], Node::items);
    let mounts = items("driver.volumeMounts").iter();
    conf.mounts = mounts
        .filter_map(|mount| Some(mount.get("mountPath")?.as_str()?.to_owned()))
        .collect();
    let artifacts = ["deps.packages", "deps.jars"].into_iter().flat_map(items);
    conf.artifacts = artifacts.filter_map(|one| Some(one.as_str()?.to_owned())).collect();
    Some(conf)
}

/// A text, a number or a truth value as Spark is handed it.
fn scalar(node: &Node) -> Option<String> {
    match &node.content {
        Content::String(text) => Some(text.clone()),
        Content::Number(number) => Some(number.to_string()),
        Content::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
