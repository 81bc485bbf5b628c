//! Helm values of Spark kits become a `platform.yaml`: what their charts deploy around Spark, as components that name each other.
//!
//! Each value is in the file, or named with its line. Secrets are named, never written. Whether the file is right is said by who reads it.
//! - `making`: the file in the making
//! - [`stores`]: object store, database, metastore
//! - [`spark`]: Sparks, Connect, their nodes
//! - [`around`]: History Server, notebooks, experiments, schedules, streams, shuffle data
//! - [`whole`]: what holds for all of it, and environments

mod around;
mod making;
mod spark;
mod stores;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stoke_diagnostics::Diagnostic;
use stoke_model::manifest;

use super::values::Values;
use super::{blank, keys};
use crate::Options;
use crate::report::Report;
use making::Making;

/// What became of values.
#[derive(Clone, Debug, Default)]
pub struct Platform {
    /// The file; none where nothing of the values is a platform.
    pub file: Option<Value>,
    /// Paths of the file with the path of the value that each comes from, and its line.
    pub origins: BTreeMap<String, (String, usize)>,
    /// What it does not carry as it was.
    pub complaints: Vec<Diagnostic>,
}

impl Platform {
    /// True when something of the values is neither in the file nor without effect.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        stoke_diagnostics::has_errors(&self.complaints)
    }

    /// Where the value of a path of the file comes from: of the nearest part that has an origin.
    #[must_use]
    pub fn origin(&self, path: &str) -> Option<&(String, usize)> {
        self.origins.get(path).or_else(|| {
            let below = |key: &String| key.starts_with(&format!("{path}.")) || key.starts_with(&format!("{path}["));
            self.origins
                .iter()
                .find(|(key, _)| below(key))
                .map(|(_, origin)| origin)
        })
    }
}

/// Converts a file of values.
#[must_use]
pub fn platform(name: &str, text: &str, options: &Options) -> Platform {
    let source = blank::secrets(name, text);
    let (documents, complaints) = manifest::read(&source);
    let mut report = Report::new(&source);
    report.extend(complaints);
    let Some(root) = documents.first().filter(|_| documents.len() == 1) else {
        return Platform {
            complaints: report.into_complaints(),
            ..Platform::default()
        };
    };
    let values = Values::new(root);
    let mut making = Making::new(&values, &mut report);
    whole::begin(&mut making, options);
    let stores = stores::convert(&mut making);
    let connect = spark::convert(&mut making, options, &stores);
    around::convert(&mut making, connect.as_deref(), &stores);
    whole::end(&mut making, connect.as_deref());
    let rest = making.rest();
    let Making { out, origins, .. } = making;
    for (path, place) in rest {
        keys::left(&path, place, &values, &mut report);
    }
    let line = |path: &String| values.place(path).line;
    let origins = origins.into_iter().map(|(to, from)| {
        let line = line(&from);
        (to, (from, line))
    });
    let mut complaints = report.into_complaints();
    complaints.sort_by_key(|complaint| (complaint.line, complaint.column));
    let mut seen = BTreeSet::new();
    complaints.retain(|one| seen.insert((one.line, one.column, one.path.clone(), one.message.clone())));
    Platform {
        file: out["components"].is_object().then_some(out),
        origins: origins.collect(),
        complaints,
    }
}
