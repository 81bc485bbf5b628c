//! Helm values of Spark kits: what they meant becomes a `SparkConnect`.
//!
//! Charts differ, their values hardly: a Connect server, executors, an object store, catalogues. Every key of the file is either carried, or named with
//! its line: it did nothing in the kits ([`keys`]), it is done by another part of Stoke, or it is not known. Secrets are blanked before anything is read
//! ([`blank`]), so that no message, excerpt or manifest can show one.
//! - [`connect`], [`executors`]: the server and its executors
//! - [`data`]: object store, metastore, Iceberg, Celeborn
//! - [`platform`]: all of it as a `platform.yaml`
//! - [`values`]: which keys were looked at

mod blank;
mod connect;
mod data;
mod executors;
mod keys;
pub mod platform;
mod values;

use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Source};
use stoke_model::manifest::{self, Content, Node};

use crate::Options;
use crate::report::Report;
use values::Values;

/// Keys at the top of a file of values by which it is known.
const TOP: [&str; 9] = [
    "connect",
    "historyServer",
    "hiveMetastore",
    "sparkConf",
    "executor",
    "environments",
    "spark-base",
    "jupyter",
    "features",
];

/// Whether a text is a file of Helm values, and no manifest.
pub(crate) fn is_values(name: &str, text: &str) -> bool {
    let (documents, _) = manifest::read(&Source::new(name, text));
    let [root] = documents.as_slice() else { return false };
    root.get("kind").is_none()
        && root.get("apiVersion").is_none()
        && TOP.iter().any(|key| {
            root.get(key)
                .is_some_and(|value| matches!(value.content, Content::Map(_)))
        })
}

/// Converts a file of values: the objects, and what is said of it.
pub(crate) fn convert(name: &str, text: &str, options: &Options) -> (Vec<Value>, Vec<Diagnostic>) {
    let source = blank::secrets(name, text);
    let (documents, complaints) = manifest::read(&source);
    let mut report = Report::new(&source);
    report.extend(complaints);
    let Some(root) = documents.first().filter(|_| documents.len() == 1) else {
        return (Vec::new(), report.into_complaints());
    };
    let values = Values::new(root);
    let mut objects = Vec::new();
    for environment in environments(&values) {
        let mut object = connect::convert(&values, environment.as_deref(), options, &mut report);
        if let Some(object) = &mut object {
            data::add(&values, object, &mut report);
            objects.push(object.finish(&values, &mut report));
        }
    }
    keys::rest(&values, &mut report);
    for object in &objects {
        report.read_back(object, root.place, &std::collections::BTreeMap::new());
    }
    let mut complaints = report.into_complaints();
    // Each environment says what all of them share.
    let mut seen = std::collections::BTreeSet::new();
    complaints.retain(|one| seen.insert((one.line, one.column, one.path.clone(), one.message.clone())));
    (objects, complaints)
}

/// The environments of the file, each of which has a server of its own; one without a name where there are none.
fn environments(values: &Values<'_>) -> Vec<Option<String>> {
    let all = values.look("environments").map_or(&[][..], Node::entries);
    match all {
        [] => vec![None],
        some => some.iter().map(|entry| Some(entry.key.clone())).collect(),
    }
}
