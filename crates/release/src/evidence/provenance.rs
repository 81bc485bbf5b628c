//! SLSA provenance v1 of images that Stoke builds: `https://slsa.dev/provenance/v1` with a build type of our own.
//!
//! The build type is described in `docs/reference/provenance.md`: what of it the caller chose, what was resolved, what the builder is.

use serde_json::{Map, Value, json};

use crate::oci::Digest;

/// How Stoke builds an image. The address names the description; nothing is fetched from it.
pub const BUILD_TYPE: &str = "https://stoke.dev/build/image/v1";

/// Something that went into the image, by digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// A package URL, or an address.
    pub uri: String,
    pub sha256: String,
    /// `base`, `wheel`, `jar`, `file`.
    pub kind: String,
}

impl Dependency {
    /// The image that was built upon.
    #[must_use]
    pub fn base(reference: &str, digest: &Digest) -> Dependency {
        let name = reference.split('@').next().unwrap_or(reference);
        Dependency {
            uri: format!("oci://{name}@{digest}"),
            sha256: digest.hex().to_owned(),
            kind: "base".to_owned(),
        }
    }
}

/// What is known of a build.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Build {
    /// What the caller chose: the build's file, as JSON.
    pub parameters: Map<String, Value>,
    /// What went into it.
    pub dependencies: Vec<Dependency>,
    /// Version of the builder.
    pub version: String,
    /// Who built: an address of the machine or the pipeline. A laptop says what it is.
    pub builder: String,
    /// Name of this one build, as the pipeline has it.
    pub invocation: Option<String>,
    /// RFC 3339; none where builds are to be the same to the bit.
    pub started: Option<String>,
    pub finished: Option<String>,
}

/// The predicate; dependencies in the order of their addresses.
#[must_use]
pub fn predicate(build: &Build) -> Value {
    let mut dependencies = build.dependencies.clone();
    dependencies.sort();
    dependencies.dedup();
    let resolved: Vec<Value> = dependencies
        .iter()
        .map(|dependency| {
            json!({
                "uri": dependency.uri,
                "digest": {"sha256": dependency.sha256},
                "annotations": {"kind": dependency.kind},
            })
        })
        .collect();
    let mut metadata = Map::new();
    for (key, value) in [
        ("invocationId", &build.invocation),
        ("startedOn", &build.started),
        ("finishedOn", &build.finished),
    ] {
        if let Some(value) = value {
            metadata.insert(key.to_owned(), json!(value));
        }
    }
    json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": build.parameters,
            "resolvedDependencies": resolved,
        },
        "runDetails": {
            "builder": {"id": build.builder, "version": {"stoke": build.version}},
            "metadata": metadata,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_build_has_the_same_predicate() {
        let base = Dependency::base("registry.example.com/spark:4.1@sha256:aa", &Digest::of(b"base"));
        assert!(
            base.uri.starts_with("oci://registry.example.com/spark:4.1@sha256:"),
            "{}",
            base.uri
        );
        let wheel = Dependency {
            uri: "pkg:pypi/six@1.17.0".to_owned(),
            sha256: "00".repeat(32),
            kind: "wheel".to_owned(),
        };
        let build = |dependencies: Vec<Dependency>| Build {
            dependencies,
            builder: "https://example.com/ci".to_owned(),
            version: "0.1.0".to_owned(),
            ..Build::default()
        };
        let one = predicate(&build(vec![base.clone(), wheel.clone(), base.clone()]));
        assert_eq!(one, predicate(&build(vec![wheel, base])));
        assert_eq!(
            one["buildDefinition"]["resolvedDependencies"].as_array().unwrap().len(),
            2
        );
        assert_eq!(one["runDetails"]["metadata"], json!({}));
    }
}
