//! A file of presets, with places.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Place, Severity, Source, has_errors};
use stoke_model::conf::Catalogue;
use stoke_model::manifest::{self, Fields, Node, join, nearest};

use super::resolve::{Parameters, resolve};
use super::{Deprecated, Key, Library, Parameter, Preset, Reference, Rely, Versions};

const PRESET: [&str; 12] = [
    "name",
    "version",
    "about",
    "claim",
    "kind",
    "part",
    "extends",
    "deprecated",
    "parameters",
    "without",
    "keys",
    "relies",
];
const KINDS: [&str; 2] = ["SparkApplication", "SparkConnect"];

/// Reads a file of presets; they come beside those that are known and may extend them. Warnings come with the presets.
///
/// # Errors
/// Every complaint; none of the presets is used then.
pub fn read(source: &Arc<Source>, known: &Library) -> Result<(Library, Vec<Diagnostic>), Vec<Diagnostic>> {
    let (documents, mut complaints) = manifest::read(source);
    let mut reader = Reader {
        fields: Fields::new(source),
        source,
    };
    let mut presets = Vec::new();
    match documents.as_slice() {
        [root] => {
            if reader.fields.keys(root, "", &["presets"]) {
                if root.get("presets").is_none() {
                    reader.fields.missing(root, "presets", "");
                }
                for (path, node) in reader.fields.list(root, "presets", "") {
                    presets.extend(reader.preset(node, &path));
                }
            }
        }
        _ if has_errors(&complaints) => {}
        several => complaints.push(
            Diagnostic::of_file(
                Severity::Error,
                "preset-file",
                source.name(),
                format!("it has {} documents; one is wanted", several.len()),
            )
            .with_fix("write one document with the key `presets`"),
        ),
    }
    complaints.extend(reader.fields.into_complaints());
    let mut library = known.clone();
    for preset in presets {
        let other = library.presets.iter().find(|other| {
            other.name == preset.name
                && (other.version == preset.version || other.source.name() != preset.source.name())
        });
        if let Some(other) = other {
            let message = format!(
                "`{}` is a preset of {} already",
                preset.reference(),
                other.source.name()
            );
            let fix = "give it another name, or another version where the other one is in this file";
            complaints
                .push(Diagnostic::at(Severity::Error, "preset-file", source, preset.place, "", message).with_fix(fix));
            continue;
        }
        library.presets.push(preset);
    }
    if has_errors(&complaints) {
        return Err(complaints);
    }
    complaints.extend(together(&library, source));
    match has_errors(&complaints) {
        true => Err(complaints),
        false => Ok((library, complaints)),
    }
}

/// What is wrong with the presets of a file when they are put together, in each version of Spark; each thing once.
fn together(library: &Library, source: &Arc<Source>) -> Vec<Diagnostic> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for preset in library
        .presets
        .iter()
        .filter(|preset| preset.source.name() == source.name())
    {
        for minor in Catalogue::known_versions() {
            let found = match resolve(
                library,
                &preset.reference(),
                minor,
                &Parameters::examples(library, preset),
            ) {
                Ok(_) => Vec::new(),
                Err(found) => found,
            };
            let new = found
                .into_iter()
                .filter(|one| seen.insert((one.line, one.column, one.code.to_string())));
            all.extend(new);
        }
        if let Some(deprecated) = &preset.deprecated
            && library.find(&deprecated.instead).is_none()
        {
            let message = format!("`{}` is not a preset", deprecated.instead);
            all.push(
                Diagnostic::at(
                    Severity::Error,
                    "preset-unknown",
                    source,
                    preset.place,
                    "deprecated",
                    message,
                )
                .with_fix("name a preset that replaces this one"),
            );
        }
    }
    all
}

struct Reader<'a> {
    fields: Fields<'a>,
    source: &'a Arc<Source>,
}

impl Reader<'_> {
    fn wrong(&mut self, place: Place, path: &str, message: String, fix: &str) {
        self.fields.complain("preset-file", place, path, message, fix);
    }

    fn preset(&mut self, node: &Node, path: &str) -> Option<Preset> {
        if !self.fields.keys(node, path, &PRESET) {
            return None;
        }
        let place = node.get("name").map_or(node.place, |name| name.place);
        let name = self.fields.needed_text(node, "name", path)?.to_owned();
        if Reference::parse(&name).is_none_or(|reference| reference.version.is_some()) {
            let message = format!("`{name}` is not a name of a preset");
            self.wrong(
                place,
                &join(path, "name"),
                message,
                "write lower-case letters, digits and hyphens, at most 63",
            );
        }
        let about = self
            .fields
            .needed_text(node, "about", path)
            .unwrap_or_default()
            .to_owned();
        let version = match node.get("version") {
            None => Some(1),
            Some(at) => {
                let version = self.fields.whole(node, "version", path).map(u32::try_from);
                if let Some(Err(_) | Ok(0)) = version {
                    self.wrong(
                        at.place,
                        &join(path, "version"),
                        "a version is a whole number from 1".to_owned(),
                        "write `version: 1`",
                    );
                }
                version.and_then(Result::ok)
            }
        };
        let kind = self
            .fields
            .word(node, "kind", path, &KINDS.map(|kind| (kind, kind)))
            .map(str::to_owned);
        let extends = self.reference(node, "extends", path);
        let deprecated = self.deprecated(node, path);
        let mut parameters = Vec::new();
        for (path, node) in self.fields.list(node, "parameters", path) {
            parameters.extend(self.parameter(node, &path));
        }
        let mut keys: Vec<Key> = Vec::new();
        for (path, node) in self.fields.list(node, "keys", path) {
            keys.extend(self.key(node, &path));
        }
        let mut relies = Vec::new();
        for (path, node) in self.fields.list(node, "relies", path) {
            relies.extend(self.rely(node, &path));
        }
        let without = self.fields.list(node, "without", path);
        let without = without
            .into_iter()
            .filter_map(|(_, item)| Some((item.as_str()?.to_owned(), item.place)));
        Some(Preset {
            name,
            version: version?,
            about,
            claim: self.fields.text(node, "claim", path).map(str::to_owned),
            kind,
            part: self.fields.flag(node, "part", path).unwrap_or(false),
            extends,
            deprecated,
            parameters,
            without: without.collect(),
            keys,
            relies,
            place,
            extends_place: node.get("extends").map_or(node.place, |at| at.place),
            source: Arc::clone(self.source),
        })
    }

    fn reference(&mut self, node: &Node, key: &str, path: &str) -> Option<Reference> {
        let text = self.fields.text(node, key, path)?;
        let reference = Reference::parse(text);
        if reference.is_none() {
            let place = node.get(key).map_or(node.place, |at| at.place);
            self.wrong(
                place,
                &join(path, key),
                format!("`{text}` does not name a preset"),
                "write a name, or a name with its version such as `etl@1`",
            );
        }
        reference
    }

    fn deprecated(&mut self, node: &Node, path: &str) -> Option<Deprecated> {
        let inner = node.get("deprecated")?;
        let path = join(path, "deprecated");
        if !self.fields.keys(inner, &path, &["use", "because"]) {
            return None;
        }
        let because = self.fields.needed_text(inner, "because", &path)?.to_owned();
        if inner.get("use").is_none() {
            self.fields.missing(inner, "use", &path);
        }
        let instead = self.reference(inner, "use", &path)?;
        Some(Deprecated { instead, because })
    }

    fn parameter(&mut self, node: &Node, path: &str) -> Option<Parameter> {
        if !self.fields.keys(node, path, &["name", "about", "default"]) {
            return None;
        }
        Some(Parameter {
            name: self.fields.needed_text(node, "name", path)?.to_owned(),
            about: self.fields.text(node, "about", path).unwrap_or_default().to_owned(),
            default: self.fields.text(node, "default", path).map(str::to_owned),
        })
    }

    /// A key with its place, and its value.
    fn pair<'n>(&mut self, node: &'n Node, path: &str) -> Option<(String, Place, &'n Node)> {
        let place = node.get("key").map_or(node.place, |at| at.place);
        let key = self.fields.needed_text(node, "key", path)?.to_owned();
        let value = node.get("value");
        if value.is_none() {
            self.fields.missing(node, "value", path);
        }
        Some((key, place, value?))
    }

    fn versions(&mut self, node: &Node, path: &str) -> Versions {
        let Some(text) = self.fields.text(node, "spark", path) else {
            return Versions::All;
        };
        let versions = Versions::parse(text);
        if versions.is_none() {
            let place = node.get("spark").map_or(node.place, |at| at.place);
            self.wrong(
                place,
                &join(path, "spark"),
                format!("`{text}` does not say which versions of Spark"),
                "write for example `>=4.0` or `<4.0`",
            );
        }
        versions.unwrap_or_default()
    }

    fn key(&mut self, node: &Node, path: &str) -> Option<Key> {
        const KEY: [&str; 7] = ["key", "value", "why", "source", "spark", "locked", "needs"];
        if !self.fields.keys(node, path, &KEY) {
            return None;
        }
        let (key, place, value) = self.pair(node, path)?;
        let why = self
            .fields
            .needed_text(node, "why", path)
            .unwrap_or_default()
            .to_owned();
        self.settable(&key, place, path);
        let mut value = value.to_value();
        if key.starts_with("spark.") || key.starts_with("metadata.") {
            match value {
                Value::Array(_) | Value::Object(_) => {
                    self.wrong(
                        place,
                        &join(path, "value"),
                        format!("the value of `{key}` is not a single one"),
                        "write a text",
                    );
                }
                single => value = Value::String(super::shown(&single)),
            }
        }
        Some(Key {
            key,
            value,
            why,
            source: self.fields.text(node, "source", path).unwrap_or_default().to_owned(),
            spark: self.versions(node, path),
            locked: self.fields.flag(node, "locked", path).unwrap_or(false),
            needs: self.fields.text(node, "needs", path).map(str::to_owned),
            place,
        })
    }

    /// What says what runs is the application's own, as are names and addresses of objects.
    fn settable(&mut self, key: &str, place: Place, path: &str) {
        const OWN: [&str; 10] = [
            "type",
            "mode",
            "image",
            "mainClass",
            "mainApplicationFile",
            "arguments",
            "sparkVersion",
            "sparkConf",
            "hadoopConf",
            "suspend",
        ];
        let first = key.split(['.', '[']).next().unwrap_or_default();
        let own_of_spark = [
            "spark.app.",
            "spark.master",
            "spark.submit.",
            "spark.kubernetes.namespace",
            "spark.kubernetes.container.image",
        ];
        let annotation = key.starts_with("metadata.annotations[\"") && key.ends_with("\"]");
        let why = if key.is_empty() {
            "a key is not empty"
        } else if own_of_spark.iter().any(|own| key.starts_with(own))
            || (!key.starts_with("spark.") && OWN.contains(&first))
        {
            "says what runs, which is the application's own"
        } else if first == "metadata" && !annotation {
            "is not something a preset sets: of metadata there are annotations only"
        } else {
            return;
        };
        let fix =
            "name a configuration key of Spark, a field such as `driver.memory`, or `metadata.annotations[\"NAME\"]`";
        self.fields
            .complain("preset-key", place, path, format!("`{key}` {why}"), fix);
    }

    fn rely(&mut self, node: &Node, path: &str) -> Option<Rely> {
        if !self.fields.keys(node, path, &["key", "value", "why", "spark"]) {
            return None;
        }
        let (key, place, value) = self.pair(node, path)?;
        Some(Rely {
            key,
            value: super::shown(&value.to_value()),
            why: self
                .fields
                .needed_text(node, "why", path)
                .unwrap_or_default()
                .to_owned(),
            spark: self.versions(node, path),
            place,
        })
    }
}

/// The complaint about a name that is not one of a preset.
pub(super) fn unknown(library: &Library, reference: &Reference) -> (String, String) {
    let versions = library.presets.iter().filter(|preset| preset.name == reference.name);
    let versions: Vec<String> = versions.map(|preset| preset.reference().to_string()).collect();
    let fix = match (versions.is_empty(), nearest(&reference.name, library.names())) {
        (false, _) => format!("there is {}", versions.join(", ")),
        (true, Some(near)) => format!("did you mean `{near}`?"),
        (true, None) => {
            let all: BTreeSet<&str> = library.names().collect();
            format!("there are {}", all.into_iter().collect::<Vec<_>>().join(", "))
        }
    };
    (format!("there is no preset `{reference}`"), fix)
}
