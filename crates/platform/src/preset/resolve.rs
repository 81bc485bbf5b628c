//! A preset with everything it inherits, for one version of Spark.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::conf::Catalogue;
use stoke_model::manifest::nearest;

use super::read::unknown;
use super::{Deprecated, Library, Parameter, Preset, Reference, minor_of};

/// Presets that may stand on one another.
const DEEPEST: usize = 10;

/// Values of parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(pub BTreeMap<String, String>);

/// What a preset sets for one version of Spark.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    /// Name and version.
    pub preset: String,
    pub about: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// Kind of object it is for.
    pub kind: String,
    /// Minor version of Spark.
    pub spark: String,
    /// It and what it stands on, the root first.
    pub lineage: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecated>,
    /// In order of their keys.
    pub keys: Vec<ResolvedKey>,
    /// Defaults of Spark that it counts on.
    pub relies: Vec<ResolvedRely>,
    /// Parameters that were not given, without which keys are left out.
    pub asks: Vec<Parameter>,
}

/// A key that is in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResolvedKey {
    pub key: String,
    pub value: Value,
    pub why: String,
    pub source: String,
    /// The preset that sets it.
    pub from: String,
    /// The preset whose value it replaces, and that value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<(String, Value)>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
    /// The parameter in its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
}

/// A default that is counted on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResolvedRely {
    pub key: String,
    pub value: String,
    pub why: String,
    pub from: String,
}

impl Parameters {
    /// Every parameter of a preset and what it stands on, with its default or an example.
    #[must_use]
    pub fn examples(library: &Library, preset: &Preset) -> Self {
        let mut all = BTreeMap::new();
        for preset in lineage(library, preset).unwrap_or_default() {
            for parameter in &preset.parameters {
                let value = parameter
                    .default
                    .clone()
                    .unwrap_or_else(|| format!("s3a://example/{}", parameter.name));
                all.insert(parameter.name.clone(), value);
            }
        }
        Self(all)
    }
}

/// What the preset that is meant sets for a version of Spark (`4.1`, `4.1.4`).
///
/// # Errors
/// A name, a version of Spark or a parameter that is not known; what is wrong in the chain of presets, by place.
pub fn resolve(
    library: &Library,
    reference: &Reference,
    spark: &str,
    given: &Parameters,
) -> Result<Resolved, Vec<Diagnostic>> {
    let fault =
        |code, message: String, fix: String| vec![Diagnostic::new(Severity::Error, code, message).with_fix(fix)];
    let Some(preset) = library.find(reference) else {
        let (message, fix) = unknown(library, reference);
        return Err(fault("preset-unknown", message, fix));
    };
    let Some(catalogue) = super::known_spark(spark) else {
        let known: Vec<&str> = Catalogue::known_versions().collect();
        let message = format!("there are no presets for Spark {spark}: what its keys do is not known");
        return Err(fault(
            "preset-spark",
            message,
            format!("known are {}", known.join(", ")),
        ));
    };
    let lineage = lineage(library, preset).map_err(|found| vec![*found])?;
    let parameters: Vec<&Parameter> = lineage.iter().flat_map(|preset| &preset.parameters).collect();
    for name in given.0.keys() {
        if !parameters.iter().any(|parameter| parameter.name == *name) {
            let all: Vec<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
            let fix = match (nearest(name, all.iter().copied()), all.is_empty()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, false) => format!("there are {}", all.join(", ")),
                (None, true) => "it has none".to_owned(),
            };
            return Err(fault(
                "preset-parameter",
                format!("`{}` has no parameter `{name}`", preset.reference()),
                fix,
            ));
        }
    }
    let mut chain = Chain {
        minor: minor_of(catalogue),
        given,
        keys: BTreeMap::new(),
        relies: BTreeMap::new(),
        asks: Vec::new(),
        found: Vec::new(),
    };
    for (index, preset) in lineage.iter().enumerate() {
        chain.add(preset, &lineage[..=index], &lineage);
    }
    if !chain.found.is_empty() {
        return Err(chain.found);
    }
    let kind = lineage.iter().rev().find_map(|preset| preset.kind.clone());
    Ok(Resolved {
        preset: preset.reference().to_string(),
        about: preset.about.clone(),
        claim: lineage.iter().rev().find_map(|preset| preset.claim.clone()),
        kind: kind.unwrap_or_else(|| "SparkApplication".to_owned()),
        spark: catalogue.minor().to_owned(),
        lineage: lineage.iter().map(|preset| preset.reference().to_string()).collect(),
        deprecated: preset.deprecated.clone(),
        keys: chain.keys.into_values().collect(),
        relies: chain.relies.into_values().collect(),
        asks: chain.asks,
    })
}

/// A preset and what it stands on, the root first.
fn lineage<'a>(library: &'a Library, preset: &'a Preset) -> Result<Vec<&'a Preset>, Box<Diagnostic>> {
    let mut all = vec![preset];
    let mut at = preset;
    while let Some(extends) = &at.extends {
        let wrong = |code, message, fix: String| {
            Box::new(
                Diagnostic::at(Severity::Error, code, &at.source, at.extends_place, "extends", message).with_fix(fix),
            )
        };
        let Some(parent) = library.find(extends) else {
            let (message, fix) = unknown(library, extends);
            return Err(wrong("preset-unknown", message, fix));
        };
        if all.iter().any(|known| known.reference() == parent.reference()) || all.len() >= DEEPEST {
            let names: Vec<String> = all.iter().map(|preset| preset.reference().to_string()).collect();
            let message = format!(
                "{} extends itself: {} -> {}",
                at.reference(),
                names.join(" -> "),
                parent.reference()
            );
            return Err(wrong(
                "preset-loop",
                message,
                format!("let the chain end; at most {DEEPEST} presets stand on one another"),
            ));
        }
        all.push(parent);
        at = parent;
    }
    all.reverse();
    Ok(all)
}

/// The presets of a chain, put together from the root on.
struct Chain<'a> {
    minor: (u32, u32),
    given: &'a Parameters,
    keys: BTreeMap<String, ResolvedKey>,
    relies: BTreeMap<String, ResolvedRely>,
    asks: Vec<Parameter>,
    found: Vec<Diagnostic>,
}

impl Chain<'_> {
    fn add(&mut self, preset: &Preset, so_far: &[&Preset], whole: &[&Preset]) {
        let from = preset.reference().to_string();
        let wrong = |code, place, key: &str, message: String, fix: String| {
            Diagnostic::at(Severity::Error, code, &preset.source, place, key, message).with_fix(fix)
        };
        for (key, place) in &preset.without {
            let ever = so_far
                .iter()
                .any(|preset| preset.keys.iter().any(|other| other.key == *key));
            match self.keys.get(key) {
                Some(known) if known.locked => {
                    let message = format!("`{key}` is locked by {}", known.from);
                    self.found.push(wrong(
                        "preset-locked",
                        *place,
                        key,
                        message,
                        "leave it as it is".to_owned(),
                    ));
                }
                Some(_) => {
                    self.keys.remove(key);
                }
                None if !ever => {
                    let message = format!("`{key}` is left out, and nothing that is extended sets it");
                    self.found.push(wrong(
                        "preset-key",
                        *place,
                        key,
                        message,
                        "remove it from `without`".to_owned(),
                    ));
                }
                None => {}
            }
        }
        for key in preset.keys.iter().filter(|key| key.spark.includes(self.minor)) {
            let mut value = key.value.clone();
            if let Some(name) = &key.needs {
                // One that extends may give it another default.
                let parameter = whole
                    .iter()
                    .rev()
                    .find_map(|preset| preset.parameters.iter().find(|one| one.name == *name));
                let Some(parameter) = parameter else {
                    let message = format!("`{}` needs `{name}`, which is not a parameter", key.key);
                    self.found.push(wrong(
                        "preset-parameter",
                        key.place,
                        &key.key,
                        message,
                        "add it to `parameters`".to_owned(),
                    ));
                    continue;
                };
                let Some(text) = self.given.0.get(name).or(parameter.default.as_ref()) else {
                    if !self.asks.iter().any(|asked| asked.name == *name) {
                        self.asks.push(parameter.clone());
                    }
                    continue;
                };
                value = filled(&value, name, text);
            }
            let before = self.keys.get(&key.key);
            if let Some(before) = before {
                if before.from == from {
                    let message = format!("`{}` is there twice for the same version of Spark", key.key);
                    self.found.push(wrong(
                        "preset-file",
                        key.place,
                        &key.key,
                        message,
                        "keep one of them, or give them versions with `spark`".to_owned(),
                    ));
                    continue;
                }
                if before.locked && before.value != value {
                    let message = format!(
                        "`{}` is locked by {} to {}",
                        key.key,
                        before.from,
                        super::shown(&before.value)
                    );
                    self.found.push(wrong(
                        "preset-locked",
                        key.place,
                        &key.key,
                        message,
                        "leave it as it is".to_owned(),
                    ));
                    continue;
                }
            }
            let resolved = ResolvedKey {
                key: key.key.clone(),
                why: key.why.clone(),
                source: key.source.clone(),
                from: from.clone(),
                replaces: before
                    .filter(|before| before.value != value)
                    .map(|before| (before.from.clone(), before.value.clone())),
                locked: key.locked || before.is_some_and(|before| before.locked),
                needs: key.needs.clone(),
                value,
            };
            self.keys.insert(key.key.clone(), resolved);
        }
        for rely in preset.relies.iter().filter(|rely| rely.spark.includes(self.minor)) {
            let resolved = ResolvedRely {
                key: rely.key.clone(),
                value: rely.value.clone(),
                why: rely.why.clone(),
                from: from.clone(),
            };
            self.relies.insert(rely.key.clone(), resolved);
        }
        // What is set is not counted on.
        self.relies.retain(|key, _| !self.keys.contains_key(key));
    }
}

/// A value with a parameter's text where it stands as `${name}`.
fn filled(value: &Value, name: &str, text: &str) -> Value {
    match value {
        Value::String(pattern) => Value::String(pattern.replace(&format!("${{{name}}}"), text)),
        Value::Array(items) => items.iter().map(|item| filled(item, name, text)).collect(),
        Value::Object(map) => {
            let filled = map.iter().map(|(key, value)| (key.clone(), filled(value, name, text)));
            Value::Object(filled.collect())
        }
        other => other.clone(),
    }
}
