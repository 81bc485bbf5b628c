//! Evidence beside its image: fetched from there, and put there.

use super::attach::{self, Artifact};
use super::bundle;
use super::policy::Raw;
use super::simple::{self, Simple};
use crate::oci::{Cache, Descriptor, Digest, Fetched, Kind, Manifest, OciError, OciResult, Parsed, Repository};

/// Most artifacts beside one image that are looked at.
const MOST: usize = 1000;

/// All evidence of an image, in each of cosign's forms. What is there and cannot be read is [`Raw::Unreadable`].
///
/// # Errors
/// A registry that does not list what there is: then nothing is known of the image.
pub async fn gather(repository: &Repository, digest: &Digest, cache: &Cache) -> OciResult<Vec<Raw>> {
    let mut found = Vec::new();
    let mut referrers = repository.referrers(digest).await?;
    referrers.retain(|entry| entry.artifact_type.as_deref().is_none_or(attach::holds_bundle));
    if referrers.len() > MOST {
        let message = format!(
            "{}: {} artifacts are beside {digest}, more than {MOST}",
            repository.place(),
            referrers.len()
        );
        return Err(OciError::new(Kind::Limit, message).with_fix("remove those that are not needed"));
    }
    for entry in &referrers {
        match bundles(repository, entry, cache).await {
            Ok(bundles) => found.extend(bundles.into_iter().map(Raw::Bundle)),
            Err(error) => found.push(Raw::Unreadable(error.message().to_owned())),
        }
    }
    for (tag, media_type) in [
        (attach::signature_tag(digest), simple::MEDIA_TYPE),
        (attach::attestation_tag(digest), attach::ENVELOPE),
    ] {
        let Some(manifest) = tagged(repository, &tag).await? else {
            continue;
        };
        for layer in manifest
            .layers
            .iter()
            .filter(|layer| layer.media_type == media_type)
            .take(MOST)
        {
            found.push(older(repository, layer, cache).await);
        }
    }
    Ok(found)
}

async fn bundles(repository: &Repository, entry: &Descriptor, cache: &Cache) -> OciResult<Vec<Vec<u8>>> {
    let fetched = repository.fetch_entry(entry).await?;
    let Parsed::Manifest(manifest) = fetched.parse(&repository.place())? else {
        return Ok(Vec::new());
    };
    let mut bundles = Vec::new();
    for layer in manifest
        .layers
        .iter()
        .filter(|layer| attach::holds_bundle(&layer.media_type))
    {
        bundles.push(repository.small(layer, bundle::MOST_BYTES, cache).await?);
    }
    Ok(bundles)
}

/// The image at a tag; none where there is none.
async fn tagged(repository: &Repository, tag: &str) -> OciResult<Option<Manifest>> {
    let fetched = match repository.fetch(Some(tag)).await {
        Ok(fetched) => fetched,
        Err(error) if error.kind() == Kind::NotFound => return Ok(None),
        // A layout names its tags in its index; a name that is not there is not a failure of the place.
        Err(error) if error.kind() == Kind::Reference => return Ok(None),
        Err(error) => return Err(error),
    };
    match fetched.parse(&repository.place())? {
        Parsed::Manifest(manifest) => Ok(Some(*manifest)),
        Parsed::Index(_) => Ok(None),
    }
}

async fn older(repository: &Repository, layer: &Descriptor, cache: &Cache) -> Raw {
    let content = match repository.small(layer, bundle::MOST_BYTES, cache).await {
        Ok(content) => content,
        Err(error) => return Raw::Unreadable(error.message().to_owned()),
    };
    if layer.media_type == attach::ENVELOPE {
        return Raw::Envelope(content);
    }
    if layer.annotations.contains_key(simple::CERTIFICATE) {
        return Raw::Unreadable("a signature of an identity in cosign's older form; sign again as a bundle".to_owned());
    }
    let signature = layer.annotations.get(simple::SIGNATURE).cloned().unwrap_or_default();
    Raw::Simple(Simple {
        payload: content,
        signature,
    })
}

/// Puts a referrer beside its image.
///
/// # Errors
/// A place that cannot be written.
pub async fn put(repository: &Repository, artifact: &Artifact) -> OciResult<Descriptor> {
    let layers = &artifact.manifest.layers;
    let content = |layer: &Descriptor| {
        let mut blobs = artifact.blobs.iter();
        blobs
            .find(|(descriptor, _)| descriptor.digest == layer.digest)
            .map(|(_, bytes)| bytes.as_slice())
    };
    let blobs: Vec<&[u8]> = layers.iter().filter_map(content).collect();
    repository.attach(&artifact.manifest, &blobs).await
}

/// Puts a signature in cosign's older form, beside those that are there.
///
/// # Errors
/// A place that cannot be written.
pub async fn put_simple(repository: &Repository, digest: &Digest, one: &Simple) -> OciResult<Descriptor> {
    let tag = attach::signature_tag(digest);
    let old = tagged(repository, &tag).await?;
    let artifact = attach::simple_image(old.as_ref(), one);
    for (descriptor, bytes) in &artifact.blobs {
        repository.put_bytes(descriptor, bytes).await?;
    }
    let bytes =
        serde_json::to_vec(&artifact.manifest).map_err(|error| OciError::new(Kind::Malformed, error.to_string()))?;
    let descriptor = Descriptor::of(crate::oci::media::MANIFEST, &bytes);
    let fetched = Fetched {
        descriptor: descriptor.clone(),
        bytes,
    };
    repository.put_manifest(&fetched, Some(&tag)).await?;
    Ok(descriptor)
}
