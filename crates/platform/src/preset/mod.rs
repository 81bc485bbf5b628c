//! Presets: what an application of a workload sets, each key with its reason, by version of Spark.
//!
//! In: files of presets ([`read`]; Stoke's own are `presets.yaml`, in the same form), a name, a version of Spark and values of parameters. Out: a
//! [`Resolved`] preset ([`resolve`]): keys with where they come from. It is written into a manifest ([`apply`]), compared ([`diff`]), held against an
//! application that names it ([`hold`]), and each key is shown with what it does to the objects of a run ([`effect`]).
//!
//! A preset is never looked up when an application runs: the manifest has every key that is in force, so that `kubectl apply`, a GitOps controller and
//! another operator give the same run. The annotation `stoke.dev/preset` only names what the manifest is held against when it is checked.

pub mod apply;
pub mod diff;
pub mod effect;
pub mod hold;
mod read;
pub mod resolve;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Place, Source, has_errors};
use stoke_model::conf::Catalogue;

pub use read::read;
pub use resolve::{Parameters, Resolved, ResolvedKey, resolve};

/// Stoke's own presets, in the form of every file of presets.
pub const BUILT_IN: &str = include_str!("presets.yaml");
pub use stoke_model::annotations::PRESETS_FILE as FILE;

/// Presets that are known.
#[derive(Clone, Debug, Default)]
pub struct Library {
    pub presets: Vec<Preset>,
}

/// One version of a preset, as it is written.
#[derive(Clone, Debug)]
pub struct Preset {
    pub name: String,
    pub version: u32,
    /// What it is for, in one sentence.
    pub about: String,
    /// What it claims of an application that has it, and who shows it.
    pub claim: Option<String>,
    /// Kind of object it is for; that of its parent when none.
    pub kind: Option<String>,
    /// Whether it is only there for others to extend.
    pub part: bool,
    pub extends: Option<Reference>,
    pub deprecated: Option<Deprecated>,
    pub parameters: Vec<Parameter>,
    /// Keys of its parent that it leaves out, with their places.
    pub without: Vec<(String, Place)>,
    pub keys: Vec<Key>,
    /// What it counts on without setting it, because it is Spark's default.
    pub relies: Vec<Rely>,
    /// Where its name stands.
    pub place: Place,
    /// Where `extends` stands.
    pub extends_place: Place,
    /// The file it is in.
    pub source: Arc<Source>,
}

/// A preset by name, `etl`, or by name and version, `etl@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reference {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// That a version should no longer be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deprecated {
    /// What replaces it.
    #[serde(rename = "use")]
    pub instead: Reference,
    pub because: String,
}

/// Something only its user knows: an address, a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    pub name: String,
    /// What to give, with an example.
    pub about: String,
    /// What is taken when nothing is given; without one, keys that need it are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// A configuration key of Spark, a path below `spec` (`driver.memory`), or an annotation (`metadata.annotations["stoke.dev/idle-timeout"]`).
    pub key: String,
    pub value: Value,
    /// Why it is there.
    pub why: String,
    /// Where the rule comes from: a page, a ticket, a key's own documentation.
    pub source: String,
    /// Versions of Spark that get it.
    pub spark: Versions,
    /// Whether an application and a preset that extends this one must leave it as it is.
    pub locked: bool,
    /// The parameter without which it is left out; `${name}` in the value stands for it.
    pub needs: Option<String>,
    pub place: Place,
}

/// A default of Spark that a preset counts on.
#[derive(Clone, Debug, PartialEq)]
pub struct Rely {
    pub key: String,
    pub value: String,
    pub why: String,
    pub spark: Versions,
    pub place: Place,
}

/// Which versions of Spark.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Versions {
    #[default]
    All,
    /// From this minor version on: `>=4.0`.
    From((u32, u32)),
    /// Before this minor version: `<4.0`.
    Before((u32, u32)),
}

impl Versions {
    fn parse(text: &str) -> Option<Self> {
        let minor = |text: &str| {
            let (major, minor) = text.trim().split_once('.')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        };
        match (text.strip_prefix(">="), text.strip_prefix('<')) {
            (Some(from), _) => minor(from).map(Self::From),
            (None, Some(before)) => minor(before).map(Self::Before),
            (None, None) => None,
        }
    }

    /// Whether a minor version is one of them.
    #[must_use]
    pub fn includes(&self, minor: (u32, u32)) -> bool {
        match self {
            Self::All => true,
            Self::From(from) => minor >= *from,
            Self::Before(before) => minor < *before,
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("every version"),
            Self::From((major, minor)) => write!(f, ">={major}.{minor}"),
            Self::Before((major, minor)) => write!(f, "<{major}.{minor}"),
        }
    }
}

impl Reference {
    /// Reads `name` or `name@version`; none for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version.parse().ok().filter(|version| *version > 0)?)),
            None => (text, None),
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(plain)
            && !name.ends_with('-')
            && name.len() <= stoke_model::names::LABEL_LIMIT;
        is_name.then(|| Self {
            name: name.to_owned(),
            version,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Preset {
    /// Its name with its version.
    #[must_use]
    pub fn reference(&self) -> Reference {
        Reference {
            name: self.name.clone(),
            version: Some(self.version),
        }
    }
}

impl Library {
    /// Stoke's own presets, and those of a file.
    ///
    /// # Errors
    /// What is wrong with the file, by place.
    pub fn with(source: Option<&Arc<Source>>) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let own = Source::new("<built in>", BUILT_IN);
        let (library, _) = read(&own, &Self::default())?;
        match source {
            Some(source) => {
                let (library, mut complaints) = read(source, &library)?;
                complaints.extend(effect::lint_all(&library, source));
                match has_errors(&complaints) {
                    true => Err(complaints),
                    false => Ok((library, complaints)),
                }
            }
            None => Ok((library, Vec::new())),
        }
    }

    /// The preset that is meant: without a version, the newest that is not deprecated, else the newest.
    #[must_use]
    pub fn find(&self, reference: &Reference) -> Option<&Preset> {
        let named = self.presets.iter().filter(|preset| preset.name == reference.name);
        match reference.version {
            Some(version) => named.into_iter().find(|preset| preset.version == version),
            None => named.max_by_key(|preset| (preset.deprecated.is_none(), preset.version)),
        }
    }

    /// The names that a message proposes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let whole = self.presets.iter().filter(|preset| !preset.part);
        whole.map(|preset| preset.name.as_str())
    }
}

/// The minor version that a text such as `4.1` or `4.1.4` names, when the catalogue of configuration has it.
#[must_use]
pub fn known_spark(text: &str) -> Option<Catalogue> {
    let catalogue = Catalogue::for_version(text);
    catalogue.exact().then_some(catalogue)
}

/// Major and minor of a catalogue's version.
fn minor_of(catalogue: Catalogue) -> (u32, u32) {
    let (major, minor) = catalogue.minor().split_once('.').unwrap_or_default();
    (major.parse().unwrap_or(0), minor.parse().unwrap_or(0))
}

/// Where a key stands in an object.
#[must_use]
pub fn path_of(key: &str, spec: &str) -> String {
    if key.starts_with("spark.") {
        stoke_model::manifest::join(&format!("{spec}.sparkConf"), key)
    } else if key.starts_with("metadata.") {
        key.to_owned()
    } else {
        format!("{spec}.{key}")
    }
}

/// A value as people read it: texts without quotes.
#[must_use]
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
