//! What differs between two releases.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use stoke_model::memory::{ByteUnit, Memory};

use super::{Part, Release, Role, applications};

/// One difference. Absent on one side: it is only on the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// `etl: spec.executor.cores`, a path of a file, an image, a gate.
    pub what: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// What all applications ask for while they run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Size {
    pub cores: u64,
    /// In bytes, without overhead.
    pub memory: u64,
    /// An application lets executors come and go: the sum is what it begins with.
    pub dynamic: bool,
}

/// Everything that differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diff {
    pub spec: Vec<Change>,
    pub images: Vec<Change>,
    pub files: Vec<Change>,
    pub gates: Vec<Change>,
    pub findings: Vec<Change>,
    /// What both ask for, when their manifests can be read.
    pub size: Option<(Size, Size)>,
}

impl Diff {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [&self.spec, &self.images, &self.files, &self.gates, &self.findings]
            .iter()
            .all(|all| all.is_empty())
    }
}

/// What differs; `content` gives the bytes of a part of either.
#[must_use]
pub fn diff(old: &Release, new: &Release, content: &dyn Fn(&Part) -> Vec<u8>) -> Diff {
    let specs = |release: &Release| {
        let mut all = BTreeMap::new();
        for part in release.of(Role::Application) {
            for object in applications(&part.path, &content(part)).unwrap_or_default() {
                leaves(
                    &object,
                    object["metadata"]["name"].as_str().unwrap_or("?").to_owned() + ":",
                    &mut all,
                );
            }
        }
        all
    };
    let files = |release: &Release| -> BTreeMap<String, String> {
        let of = release.parts.iter().filter(|part| part.role != Role::Application);
        of.map(|part| (part.path.clone(), part.digest.to_string())).collect()
    };
    let images = |release: &Release| -> BTreeMap<String, String> {
        release
            .images
            .iter()
            .map(|(name, digest)| (name.clone(), digest.to_string()))
            .collect()
    };
    let gates = |release: &Release| -> BTreeMap<String, String> {
        let shown = |verdict| {
            serde_json::to_value(verdict)
                .ok()
                .and_then(|value| value.as_str().map(str::to_owned))
                .unwrap_or_default()
        };
        release
            .gates
            .iter()
            .map(|gate| (gate.gate.clone(), shown(gate.verdict)))
            .collect()
    };
    let findings = |release: &Release| -> BTreeMap<String, String> {
        let all = release.gates.iter().flat_map(|gate| &gate.findings);
        all.map(|(code, count)| (code.clone(), count.to_string())).collect()
    };
    Diff {
        spec: changes(&specs(old), &specs(new)),
        images: changes(&images(old), &images(new)),
        files: changes(&files(old), &files(new)),
        gates: changes(&gates(old), &gates(new)),
        findings: changes(&findings(old), &findings(new)),
        size: size(old, content).zip(size(new, content)),
    }
}

fn changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Change> {
    let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    all.into_iter()
        .filter(|what| old.get(*what) != new.get(*what))
        .map(|what| Change {
            what: what.clone(),
            old: old.get(what).cloned(),
            new: new.get(what).cloned(),
        })
        .collect()
}

fn leaves(value: &Value, path: String, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let joined = if path.ends_with(':') {
                    format!("{path} {key}")
                } else {
                    format!("{path}.{key}")
                };
                leaves(value, joined, into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                leaves(value, format!("{path}[{index}]"), into);
            }
        }
        value => {
            into.insert(path, value.to_string());
        }
    }
}

/// What the applications of a release ask for; none where a manifest cannot be read.
fn size(release: &Release, content: &dyn Fn(&Part) -> Vec<u8>) -> Option<Size> {
    let mut sum = Size::default();
    for part in release.of(Role::Application) {
        for object in applications(&part.path, &content(part)).ok()? {
            let spec = match object["kind"] == "ScheduledSparkApplication" {
                true => &object["spec"]["template"],
                false => &object["spec"],
            };
            for (side, count) in [
                ("driver", 1),
                ("executor", spec["executor"]["instances"].as_u64().unwrap_or(1)),
            ] {
                // Spark's own defaults: one core, 1 GiB.
                let memory = spec[side]["memory"].as_str().unwrap_or("1g");
                let memory = Memory::parse(memory, ByteUnit::Mib).ok()?.bytes();
                sum.cores = sum
                    .cores
                    .saturating_add(count.saturating_mul(spec[side]["cores"].as_u64().unwrap_or(1)));
                sum.memory = sum.memory.saturating_add(count.saturating_mul(memory));
            }
            sum.dynamic |= spec["dynamicAllocation"]["enabled"].as_bool().unwrap_or(false);
        }
    }
    Some(sum)
}
