//! Evidence as OCI artifacts: a bundle is a referrer of the image's manifest; the older forms are images at a tag made of its digest.

use super::bundle::{self, Bundle};
use super::error::EvidenceError;
use super::simple::{self, Simple};
use crate::oci::{Descriptor, Manifest};
use crate::oci::{Digest, media};

/// What a layer with an envelope of cosign's older attestations is.
pub const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const CONTENT: &str = "dev.sigstore.bundle.content";
const PREDICATE: &str = "dev.sigstore.bundle.predicateType";
const CREATED: &str = "org.opencontainers.image.created";

/// A manifest and the blobs it names, to be pushed: blobs first.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifact {
    pub manifest: Manifest,
    pub blobs: Vec<(Descriptor, Vec<u8>)>,
}

/// A bundle as a referrer of an image, as cosign 3 writes it.
///
/// # Errors
/// A bundle that is not about a statement.
pub fn referrer(bundle: &Bundle, image: Descriptor, created: Option<&str>) -> Result<Artifact, EvidenceError> {
    let statement = bundle.unverified_statement()?;
    let bytes = bundle.to_json()?.into_bytes();
    let layer = Descriptor::of(bundle::MEDIA_TYPE, &bytes);
    let mut manifest = Manifest::artifact(bundle::MEDIA_TYPE, vec![layer.clone()], Some(image));
    let annotations = &mut manifest.annotations;
    annotations.insert(CONTENT.to_owned(), "dsse-envelope".to_owned());
    annotations.insert(PREDICATE.to_owned(), statement.predicate_type);
    if let Some(created) = created {
        annotations.insert(CREATED.to_owned(), created.to_owned());
    }
    let empty = (manifest.config.clone(), Manifest::EMPTY.to_vec());
    Ok(Artifact {
        manifest,
        blobs: vec![empty, (layer, bytes)],
    })
}

/// The tag below which cosign's older signatures of an image are.
#[must_use]
pub fn signature_tag(digest: &Digest) -> String {
    format!("sha256-{}.sig", digest.hex())
}

/// The tag below which cosign's older attestations of an image are.
#[must_use]
pub fn attestation_tag(digest: &Digest) -> String {
    format!("sha256-{}.att", digest.hex())
}

/// An image of older signatures: those that were there, and one more.
#[must_use]
pub fn simple_image(old: Option<&Manifest>, one: &Simple) -> Artifact {
    let mut layer = Descriptor::of(simple::MEDIA_TYPE, &one.payload);
    layer
        .annotations
        .insert(simple::SIGNATURE.to_owned(), one.signature.clone());
    let mut layers = old.map(|manifest| manifest.layers.clone()).unwrap_or_default();
    layers.push(layer.clone());
    let diffs: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
    let config = serde_json::json!({
        "architecture": "",
        "os": "",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diffs},
    });
    let config = config.to_string().into_bytes();
    let descriptor = Descriptor::of(media::CONFIG, &config);
    Artifact {
        manifest: Manifest::image(descriptor.clone(), layers),
        blobs: vec![(descriptor, config), (layer, one.payload.clone())],
    }
}

/// Whether an artifact of this type holds a bundle.
#[must_use]
pub fn holds_bundle(artifact_type: &str) -> bool {
    artifact_type == bundle::MEDIA_TYPE || artifact_type.starts_with("application/vnd.dev.sigstore.bundle")
}
