//! Descriptors, manifests, indexes and configurations, with the fields that nothing here knows kept as they are.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::digest::Digest;
use super::error::{Kind, OciError, OciResult};
use super::media;

type Annotations = BTreeMap<String, String>;

/// What names a piece of content: its kind, digest and size in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Descriptor {
    /// Of these bytes.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            artifact_type: None,
            platform: None,
            annotations: Annotations::new(),
            other: Map::new(),
        }
    }
}

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    pub architecture: String,
    pub os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Platform {
    /// This machine's, by Go's names.
    #[must_use]
    pub fn here() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self::linux(architecture)
    }

    /// Linux on an architecture by Go's name (`amd64`, `arm64`).
    #[must_use]
    pub fn linux(architecture: &str) -> Self {
        Self {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            variant: None,
            other: Map::new(),
        }
    }

    /// Whether an image for `self` runs where `wanted` is. `arm64` means `arm64/v8`.
    #[must_use]
    pub fn serves(&self, wanted: &Platform) -> bool {
        fn variant(platform: &Platform) -> Option<&str> {
            match (platform.architecture.as_str(), platform.variant.as_deref()) {
                ("arm64", None) => Some("v8"),
                (_, variant) => variant,
            }
        }
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (variant(wanted).is_none() || variant(self) == variant(wanted))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = OciError;

    fn from_str(text: &str) -> OciResult<Self> {
        let word =
            |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => ("", "", None),
        };
        if !parts.iter().all(word) || os.is_empty() {
            let message = format!("`{text}` is not a platform");
            return Err(OciError::new(Kind::Reference, message)
                .with_fix("write OS/ARCHITECTURE, such as linux/amd64 or linux/arm64"));
        }
        let known = match architecture {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Ok(Self {
            architecture: known.to_owned(),
            os: os.to_owned(),
            variant,
            other: Map::new(),
        })
    }
}

/// An image for one platform, or an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub schema_version: u32,
    /// Absent in old OCI manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    pub config: Descriptor,
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// What this is about: an SBOM's image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Manifest {
    /// An OCI image.
    #[must_use]
    pub fn image(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media::MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: Annotations::new(),
            other: Map::new(),
        }
    }

    /// An artifact about an image: `layers` are its content, its config is the empty one (whose blob is [`Manifest::EMPTY`]).
    #[must_use]
    pub fn artifact(artifact_type: &str, layers: Vec<Descriptor>, subject: Option<Descriptor>) -> Self {
        Self {
            artifact_type: Some(artifact_type.to_owned()),
            subject,
            ..Self::image(Descriptor::of(media::EMPTY, Self::EMPTY), layers)
        }
    }

    /// The blob that configs of artifacts name.
    pub const EMPTY: &[u8] = b"{}";

    /// What a registry says an artifact is in its list of referrers.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.artifact_type.as_deref().unwrap_or(&self.config.media_type)
    }
}

/// Images of several platforms under one name, or any list of manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Index {
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media::INDEX.to_owned()),
            manifests,
            annotations: Annotations::new(),
            other: Map::new(),
        }
    }

    /// Its images, without entries that describe others (build attestations have the platform `unknown/unknown`).
    pub fn images(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().filter(|entry| {
            let unknown = |platform: &Platform| platform.os == "unknown" || platform.architecture == "unknown";
            (media::is_manifest(&entry.media_type) || media::is_index(&entry.media_type))
                && !entry.platform.as_ref().is_some_and(unknown)
        })
    }

    /// The image for a platform.
    ///
    /// # Errors
    /// None is for it; those that are there are named.
    pub fn choose(&self, wanted: &Platform, name: &str) -> OciResult<&Descriptor> {
        let serves = |entry: &&Descriptor| entry.platform.as_ref().is_some_and(|platform| platform.serves(wanted));
        if let Some(found) = self.images().find(serves) {
            return Ok(found);
        }
        let mut all = self.images();
        if let (Some(only), None) = (all.next(), all.next())
            && only.platform.is_none()
        {
            return Ok(only);
        }
        let there: Vec<String> = self
            .images()
            .filter_map(|entry| entry.platform.as_ref())
            .map(ToString::to_string)
            .collect();
        let message = format!("{name} has no image for {wanted}: it has {}", listed(&there));
        Err(OciError::new(Kind::NotFound, message).with_fix("name one of them with --platform, or another image"))
    }
}

fn listed(all: &[String]) -> String {
    match all {
        [] => "none".to_owned(),
        all => all.join(", "),
    }
}

/// What an image is run with, and which layers it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    #[serde(flatten)]
    pub platform: Platform,
    #[serde(default)]
    pub config: Execution,
    pub rootfs: RootFs,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    // Fields that nothing here knows are in `platform.other`, which is flat as well.
}

/// How its process is started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Execution {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `NAME=VALUE`.
    #[serde(default, deserialize_with = "or_empty", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(default, deserialize_with = "or_empty", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    #[serde(default, deserialize_with = "or_empty", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    #[serde(default, deserialize_with = "or_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Annotations,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Docker writes `null` for an empty list.
fn or_empty<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl Execution {
    /// A variable's value.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        let mut divided = self.env.iter().filter_map(|entry| entry.split_once('='));
        divided.find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Sets a variable, in its place when it is there.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        let entry = format!("{name}={value}");
        let known = |entry: &&mut String| entry.split_once('=').is_some_and(|(known, _)| known == name);
        match self.env.iter_mut().find(known) {
            Some(old) => *old = entry,
            None => self.env.push(entry),
        }
    }
}

/// Digests of the layers before compression, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    #[serde(rename = "type")]
    pub kind: String,
    pub diff_ids: Vec<Digest>,
}

/// Where a layer comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// It changed no file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What bytes under a manifest's name are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    Manifest(Box<Manifest>),
    Index(Index),
}

/// Largest manifest or index, in bytes: registries take no larger ones.
pub const MAX_MANIFEST: u64 = 4 << 20;
/// Largest configuration, in bytes.
pub const MAX_CONFIG: u64 = 8 << 20;

/// Reads a manifest or an index. What it says of itself must be what it is said to be: the same bytes must never be both.
///
/// # Errors
/// Bytes that are neither, or that disagree with `media_type`; a manifest of Docker's first schema.
pub fn parse(media_type: &str, bytes: &[u8], place: &str) -> OciResult<Parsed> {
    let malformed = |why: String| OciError::new(Kind::Malformed, format!("{place}: {why}"));
    let value: Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| malformed(format!("not a manifest: {error}")))?;
    if value.get("schemaVersion").and_then(Value::as_u64) == Some(1) {
        let message = format!("{place}: a manifest of Docker's schema 1, which registries no longer keep");
        return Err(OciError::new(Kind::Unsupported, message).with_fix("push the image again with a tool of today"));
    }
    let own = value.get("mediaType").and_then(Value::as_str);
    if let Some(own) = own
        && own != media_type
    {
        return Err(malformed(format!(
            "it is said to be {media_type}, and says of itself {own}"
        )));
    }
    if value.contains_key("manifests") && (value.contains_key("layers") || value.contains_key("config")) {
        return Err(malformed(
            "it has `manifests` and `layers`: both an index and a manifest".to_owned(),
        ));
    }
    let value = Value::Object(value);
    if media::is_index(media_type) {
        let index = serde_json::from_value(value).map_err(|error| malformed(error.to_string()))?;
        Ok(Parsed::Index(index))
    } else if media::is_manifest(media_type) {
        let manifest = serde_json::from_value(value).map_err(|error| malformed(error.to_string()))?;
        Ok(Parsed::Manifest(Box::new(manifest)))
    } else {
        let message = format!("{place}: {media_type} is neither a manifest nor an index of images");
        Err(OciError::new(Kind::Unsupported, message))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_not_known_is_kept() {
        let text = r#"{"created":"1970-01-01T00:00:00Z","architecture":"amd64","os":"linux","config":{"Env":["A=1"],"Cmd":null,"Healthcheck":{"Test":["NONE"]}},"rootfs":{"type":"layers","diff_ids":[]},"history":[{"created_by":"x","author":"y"}],"moby.x":1}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.config.variable("A"), Some("1"));
        let back = serde_json::to_value(&config).unwrap();
        for (pointer, value) in [
            ("/created", "\"1970-01-01T00:00:00Z\""),
            ("/config/Healthcheck/Test/0", "\"NONE\""),
            ("/history/0/author", "\"y\""),
            ("/moby.x", "1"),
            ("/architecture", "\"amd64\""),
        ] {
            assert_eq!(back.pointer(pointer).unwrap().to_string(), value, "{pointer}");
        }
    }

    #[test]
    fn bytes_are_one_thing_only() {
        let config = r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#;
        for (media_type, text, wanted) in [
            (
                media::MANIFEST,
                format!(r#"{{"schemaVersion":2,{config},"layers":[]}}"#),
                None,
            ),
            (media::INDEX, r#"{"schemaVersion":2,"manifests":[]}"#.into(), None),
            (
                media::INDEX,
                format!(r#"{{"schemaVersion":2,"manifests":[],{config},"layers":[]}}"#),
                Some(Kind::Malformed),
            ),
            (
                media::INDEX,
                format!(
                    r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#,
                    media::MANIFEST
                ),
                Some(Kind::Malformed),
            ),
            (
                media::MANIFEST,
                r#"{"schemaVersion":1,"fsLayers":[]}"#.into(),
                Some(Kind::Unsupported),
            ),
            (media::MANIFEST, "<html>".into(), Some(Kind::Malformed)),
            ("text/html", r#"{"schemaVersion":2}"#.into(), Some(Kind::Unsupported)),
        ] {
            let found = parse(media_type, text.as_bytes(), "here")
                .err()
                .map(|error| error.kind());
            assert_eq!(found, wanted, "{media_type} {text}");
        }
    }

    #[test]
    fn platforms_are_chosen() {
        let entry = |text: &str| {
            let mut entry = Descriptor::of(media::MANIFEST, text.as_bytes());
            entry.platform = Some(text.parse().unwrap());
            entry
        };
        let index = Index::new(
            [
                "linux/amd64",
                "linux/arm/v6",
                "linux/arm/v7",
                "linux/arm64/v8",
                "unknown/unknown",
            ]
            .map(entry)
            .to_vec(),
        );
        for (wanted, found) in [
            ("linux/amd64", Some(0)),
            ("linux/x86_64", Some(0)),
            ("linux/arm", Some(1)),
            ("linux/arm/v7", Some(2)),
            ("linux/arm64", Some(3)),
            ("linux/s390x", None),
            ("windows/amd64", None),
        ] {
            let chosen = index.choose(&wanted.parse().unwrap(), "x").ok();
            assert_eq!(chosen, found.map(|at: usize| &index.manifests[at]), "{wanted}");
        }
        let error = index.choose(&Platform::linux("s390x"), "x").unwrap_err();
        assert!(!error.message().contains("unknown"), "{error}");
        assert!("linux".parse::<Platform>().is_err() && "/amd64".parse::<Platform>().is_err());
    }
}
