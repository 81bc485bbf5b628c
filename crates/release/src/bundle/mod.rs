//! A release: one content-addressed bundle of manifests, images by digest, configuration, contracts, verdicts and attestations.
//!
//! In: the files of a job, digests of its images, what the gates said. Out: a [`Release`], whose digest is that of its canonical JSON: the same inputs are the same
//! release, on every machine. It has no time and no author; those stand in the ledger.

mod diff;
mod keep;
mod registry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::manifest;

pub use diff::{Change, Diff, Size, diff};
pub use keep::{ReleaseError, Releases};
pub use registry::repository_of;

use crate::canonical;
use crate::ledger::Verdict;
use crate::oci::Digest;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// An application that is brought to environments.
    Application,
    Contract,
    Policy,
    Sbom,
    Attestation,
    /// Anything else of the job: code, configuration, SQL.
    File,
}

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its path in the job, with `/`.
    pub path: String,
    pub role: Role,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

/// What a gate said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    pub gate: String,
    pub verdict: Verdict,
    /// Codes of what was found, with how often.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub findings: BTreeMap<String, usize>,
}

/// Where the job comes from, where git says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Without credentials; empty when the repository has no remote.
    pub repository: String,
    pub commit: String,
    /// Whether files differ from the commit.
    pub changed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Release {
    /// Of this form: 1.
    pub format: u32,
    pub name: String,
    /// In the order of their paths.
    pub parts: Vec<Part>,
    /// Digests of images, by what the manifests say.
    pub images: BTreeMap<String, Digest>,
    pub gates: Vec<Judged>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

impl Release {
    #[must_use]
    pub fn digest(&self) -> Digest {
        canonical::digest(self)
    }

    #[must_use]
    pub fn text(&self) -> String {
        canonical::text(self)
    }

    /// The parts with a role.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.role == role)
    }
}

/// What a file is for, by its name and content.
#[must_use]
pub fn role(path: &str, bytes: &[u8]) -> Role {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name.ends_with(".rego") {
        return Role::Policy;
    }
    if name.ends_with(".cdx.json") || name.ends_with(".spdx.json") {
        return Role::Sbom;
    }
    if name.ends_with(".sigstore.json") || name.ends_with(".intoto.jsonl") {
        return Role::Attestation;
    }
    if name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json") {
        let (documents, _) = manifest::check_bytes(path, bytes);
        if documents.iter().any(is_application) {
            return Role::Application;
        }
        if documents.iter().any(|document| document.kind == "DataContract") {
            return Role::Contract;
        }
    }
    Role::File
}

/// Whether a document is something that is brought to environments.
#[must_use]
pub fn is_application(document: &manifest::Document) -> bool {
    document.is_ours() && ["SparkApplication", "ScheduledSparkApplication"].contains(&document.kind.as_str())
}

/// The applications of a manifest.
///
/// # Errors
/// What is wrong with the manifest.
pub fn applications(path: &str, bytes: &[u8]) -> Result<Vec<Value>, Vec<Diagnostic>> {
    let (documents, complaints) = manifest::check_bytes(path, bytes);
    if stoke_diagnostics::has_errors(&complaints) {
        return Err(complaints);
    }
    Ok(documents
        .into_iter()
        .filter(is_application)
        .map(|document| document.value)
        .collect())
}

/// Texts that name images, in the places where an application has them.
#[must_use]
pub fn images(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let _ = each_image::<()>(&mut object.clone(), &mut |text| {
        if !found.contains(text) {
            found.push(text.clone());
        }
        Ok(())
    });
    found
}

/// Writes digests for images.
///
/// # Errors
/// An image that the release has no digest of.
pub fn pin(object: &mut Value, release: &Release) -> Result<(), Box<Diagnostic>> {
    pin_those(object, release, &|_| true)
}

/// As [`pin`], of those images that are wanted.
///
/// # Errors
/// As there.
pub fn pin_those(object: &mut Value, release: &Release, wanted: &dyn Fn(&str) -> bool) -> Result<(), Box<Diagnostic>> {
    each_image(object, &mut |text| {
        if !wanted(text) {
            return Ok(());
        }
        let digest = release.images.get(text).ok_or_else(|| Box::new(unpinned(text)))?;
        *text = pinned(text, digest);
        Ok(())
    })
}

/// An image by its digest: the tag goes, since the digest decides.
#[must_use]
pub fn pinned(image: &str, digest: &Digest) -> String {
    let bare = image.split('@').next().unwrap_or(image);
    let name = bare.rsplit('/').next().unwrap_or(bare);
    let tag = name.split_once(':').map_or(0, |(_, tag)| tag.len() + 1);
    format!("{}@{digest}", &bare[..bare.len() - tag])
}

/// The digest that an image's name has itself.
#[must_use]
pub fn own_digest(image: &str) -> Option<Digest> {
    image.split_once('@').and_then(|(_, digest)| digest.parse().ok())
}

/// An image whose digest is not known.
#[must_use]
pub fn unpinned(image: &str) -> Diagnostic {
    Diagnostic::new(
        Severity::Error,
        "release-unpinned",
        format!("the digest of the image `{image}` is not known: its tag may mean another image tomorrow"),
    )
    .with_fix(format!(
        "write it with its digest, or give it with `--pin {image}=sha256:…`"
    ))
}

fn each_image<E>(object: &mut Value, change: &mut impl FnMut(&mut String) -> Result<(), E>) -> Result<(), E> {
    let spec = match object["kind"] == "ScheduledSparkApplication" {
        true => object.pointer_mut("/spec/template"),
        false => object.pointer_mut("/spec"),
    };
    let Some(spec) = spec else { return Ok(()) };
    if let Some(Value::String(image)) = spec.get_mut("image") {
        change(image)?;
    }
    for side in ["driver", "executor"] {
        let Some(side) = spec.get_mut(side) else { continue };
        if let Some(Value::String(image)) = side.get_mut("image") {
            change(image)?;
        }
        for list in ["initContainers", "sidecars"] {
            for container in side.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(Value::String(image)) = container.get_mut("image") {
                    change(image)?;
                }
            }
        }
    }
    for (key, value) in spec
        .get_mut("sparkConf")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
    {
        if let Value::String(image) = value
            && key.starts_with("spark.kubernetes.")
            && key.ends_with("container.image")
        {
            change(image)?;
        }
    }
    Ok(())
}

/// Name of the annotation that says which release an object is of.
pub const ANNOTATION: &str = "stoke.dev/release";

/// The objects of a release as they are in an environment, in the order of the files. `content` gives the bytes of a part.
///
/// # Errors
/// A manifest that is wrong, an image without a digest, two objects of one name.
pub fn render(
    release: &Release,
    environment: &crate::environment::Environment,
    content: &dyn Fn(&Part) -> Vec<u8>,
) -> Result<Vec<Value>, Vec<Diagnostic>> {
    let mut objects: Vec<Value> = Vec::new();
    for part in release.of(Role::Application) {
        for mut object in applications(&part.path, &content(part))? {
            pin(&mut object, release).map_err(|error| vec![*error])?;
            let mut object = environment.overlay.apply(object, &environment.namespace);
            write_apart(&mut object, &environment.writes_apart(&release.digest()));
            let annotations = &mut object["metadata"]["annotations"];
            if !annotations.is_object() {
                *annotations = serde_json::json!({});
            }
            annotations[ANNOTATION] = Value::String(release.digest().to_string());
            if objects
                .iter()
                .any(|other| other["kind"] == object["kind"] && other["metadata"]["name"] == object["metadata"]["name"])
            {
                let message = format!("two objects are {} {}", object["kind"], object["metadata"]["name"]);
                return Err(vec![
                    Diagnostic::of_file(Severity::Error, "release-twice", &part.path, message)
                        .with_fix("rename one of them"),
                ]);
            }
            objects.push(object);
        }
    }
    Ok(objects)
}

/// Sets keys of Spark that say where runs write, where they are not set.
fn write_apart(object: &mut Value, keys: &BTreeMap<String, String>) {
    if keys.is_empty() {
        return;
    }
    let spec = match object["kind"] == "ScheduledSparkApplication" {
        true => &mut object["spec"]["template"],
        false => &mut object["spec"],
    };
    let conf = &mut spec["sparkConf"];
    if !conf.is_object() {
        *conf = serde_json::json!({});
    }
    for (key, value) in keys {
        if conf[key].is_null() {
            conf[key] = Value::String(value.clone());
        }
    }
}
