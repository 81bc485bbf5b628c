//! What is about an image: the list of referrers, by the API of the specification 1.1, and by a tag where a registry has no such API.

use http::Method;
use http::header::ACCEPT;

use super::client::{Call, Registry};
use super::pull::next_page;
use crate::oci::error::{Kind, OciError, OciResult};
use crate::oci::layout::{referrer, text};
use crate::oci::model::{Descriptor, Index, MAX_MANIFEST, Manifest};
use crate::oci::{Digest, media};

/// How often a list under a tag is written again, when another wrote it at the same time.
const ROUNDS: usize = 5;
const PAGES: usize = 1000;

/// The tag of a list of referrers (distribution specification, "Referrers Tag Schema").
pub(super) fn tag_of(digest: &Digest) -> String {
    format!("sha256-{}", digest.hex())
}

impl Registry {
    /// What is about an image.
    ///
    /// # Errors
    /// Refused, not reached; a list that is not one.
    pub async fn referrers(&self, repository: &str, digest: &Digest) -> OciResult<Vec<Descriptor>> {
        let mut found = Vec::new();
        let mut next = Some(format!("/v2/{repository}/referrers/{digest}"));
        for _ in 0..PAGES {
            let Some(to) = next else { return Ok(found) };
            let call = Call::new(Method::GET, to, repository, "pull").header(ACCEPT, media::INDEX);
            let answer = match self.send(&call).await {
                Ok(answer) => answer,
                // Registries of before, and those that have the path for something else.
                Err(error) if found.is_empty() && matches!(error.kind(), Kind::NotFound | Kind::Malformed) => {
                    return Ok(self.listed(repository, digest).await?.1.manifests);
                }
                Err(error) => return Err(error),
            };
            next = next_page(answer.headers());
            let is_index = answer
                .headers()
                .get(http::header::CONTENT_TYPE)
                .and_then(|value| value.to_str().ok());
            if !is_index.is_some_and(|kind| kind.starts_with(media::INDEX)) {
                return Ok(self.listed(repository, digest).await?.1.manifests);
            }
            let bytes = self.collect(answer, MAX_MANIFEST, "a list of referrers").await?;
            let page: Index =
                serde_json::from_slice(&bytes).map_err(|_| self.malformed("a list of referrers that is not one"))?;
            found.extend(page.manifests);
        }
        Err(self.malformed("a list of referrers without an end"))
    }

    /// The list under the tag, and whether there is one.
    async fn listed(&self, repository: &str, digest: &Digest) -> OciResult<(bool, Index)> {
        match self.manifest(repository, &tag_of(digest)).await {
            Ok(fetched) if media::is_index(&fetched.descriptor.media_type) => {
                let index = serde_json::from_slice(&fetched.bytes);
                Ok((
                    true,
                    index.map_err(|_| self.malformed("a list of referrers that is not one"))?,
                ))
            }
            // An image that happens to have that tag.
            Ok(_) => Err(self.malformed(&format!(
                "the tag {} is an image, not a list of referrers",
                tag_of(digest)
            ))),
            Err(error) if error.kind() == Kind::NotFound => Ok((false, Index::new(Vec::new()))),
            Err(error) => Err(error),
        }
    }

    /// Puts a manifest with a subject, whose blobs are there, and sees to it that the list of referrers names it.
    ///
    /// # Errors
    /// A manifest without a subject; refused, not reached; a list that others write all the time.
    pub async fn attach(&self, repository: &str, descriptor: &Descriptor, bytes: &[u8]) -> OciResult<()> {
        let manifest: Manifest = serde_json::from_slice(bytes)
            .map_err(|error| OciError::new(Kind::Malformed, format!("{}: {error}", descriptor.digest)))?;
        let Some(subject) = &manifest.subject else {
            return Err(OciError::new(
                Kind::Malformed,
                format!("{} is about no other image", descriptor.digest),
            ));
        };
        let keeps = self
            .put_manifest(repository, descriptor.digest.as_str(), descriptor, bytes)
            .await?;
        if keeps {
            return Ok(());
        }
        let entry = referrer(descriptor, &manifest);
        for _ in 0..ROUNDS {
            let (_, mut index) = self.listed(repository, &subject.digest).await?;
            if index.manifests.iter().any(|known| known.digest == descriptor.digest) {
                return Ok(());
            }
            index.manifests.push(entry.clone());
            index.media_type = Some(media::INDEX.to_owned());
            let list = text(&index)?;
            self.put_manifest(
                repository,
                &tag_of(&subject.digest),
                &Descriptor::of(media::INDEX, &list),
                &list,
            )
            .await?;
            // Registries take writes without a condition: another one at the same time may have replaced it, which the next round sees.
        }
        let (_, index) = self.listed(repository, &subject.digest).await?;
        match index.manifests.iter().any(|known| known.digest == descriptor.digest) {
            true => Ok(()),
            false => Err(self.unavailable(&format!(
                "others write the list of referrers of {} at the same time",
                subject.digest
            ))),
        }
    }
}
