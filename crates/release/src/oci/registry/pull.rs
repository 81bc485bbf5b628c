//! What is read: manifests, blobs, tags.

use std::fs::File;

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LINK, RANGE};
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;

use super::client::{Call, Registry};
use crate::oci::cache::Cache;
use crate::oci::error::{Kind, OciError, OciResult};
use crate::oci::model::{Descriptor, MAX_MANIFEST};
use crate::oci::repository::Fetched;
use crate::oci::{Digest, media};

/// The header that names what was answered.
pub(super) const DIGEST: &str = "docker-content-digest";
/// Largest list of tags, in bytes of one page; and most pages.
const PAGE: u64 = 4 << 20;
const PAGES: usize = 10_000;

impl Registry {
    /// A manifest or index, by tag or digest.
    ///
    /// # Errors
    /// Not there, refused, not reached; bytes that are not what was asked for, or not what the registry says they are.
    pub async fn manifest(&self, repository: &str, name: &str) -> OciResult<Fetched> {
        let place = format!("{}/{repository}", self.host());
        let mut call = Call::new(
            Method::GET,
            format!("/v2/{repository}/manifests/{name}"),
            repository,
            "pull",
        );
        call = call.header(ACCEPT, &media::ACCEPTED.join(", "));
        let answer = self.send(&call).await.map_err(|error| named(error, &place, name))?;
        let headers = answer.headers().clone();
        let bytes = self.collect(answer, MAX_MANIFEST, "a manifest").await?.to_vec();
        let media_type = content_type(&headers, &bytes);
        let descriptor = Descriptor::of(&media_type, &bytes);
        let said = headers.get(DIGEST).and_then(|value| value.to_str().ok());
        let wrong = |what: &str, other: &str| {
            OciError::new(
                Kind::Digest,
                format!("{place}: what was given as {other} ({what}) is {}", descriptor.digest),
            )
        };
        if name.starts_with("sha256:") && descriptor.digest.as_str() != name {
            return Err(wrong("the digest that was asked for", name));
        }
        if let Some(said) = said.filter(|said| said.starts_with("sha256:") && *said != descriptor.digest.as_str()) {
            return Err(wrong("by the registry's header", said));
        }
        Ok(Fetched { descriptor, bytes })
    }

    /// What a tag means now, without its bytes; none when it is not there.
    ///
    /// # Errors
    /// Refused, not reached.
    pub async fn digest_of(&self, repository: &str, name: &str) -> OciResult<Option<Digest>> {
        let mut call = Call::new(
            Method::HEAD,
            format!("/v2/{repository}/manifests/{name}"),
            repository,
            "pull",
        );
        call = call.header(ACCEPT, &media::ACCEPTED.join(", "));
        match self.send(&call).await {
            Ok(answer) => match answer.headers().get(DIGEST).and_then(|value| value.to_str().ok()) {
                Some(digest) => digest.parse().map(Some),
                // Old registries leave it out.
                None => Ok(Some(self.manifest(repository, name).await?.descriptor.digest)),
            },
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a blob is there.
    ///
    /// # Errors
    /// Refused, not reached.
    pub async fn has_blob(&self, repository: &str, digest: &Digest) -> OciResult<bool> {
        let call = Call::new(
            Method::HEAD,
            format!("/v2/{repository}/blobs/{digest}"),
            repository,
            "pull",
        );
        match self.send(&call).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A blob as a file of the cache. What is broken off goes on where it ended, in this call or in the next.
    ///
    /// `moved` is called with the number of bytes that arrived.
    ///
    /// # Errors
    /// Not there, refused, not reached; content that is not what its digest and size say; a disk that is full.
    pub async fn blob(
        &self,
        repository: &str,
        wanted: &Descriptor,
        cache: &Cache,
        moved: &(dyn Fn(u64) + Sync),
    ) -> OciResult<File> {
        if let Some(file) = cache.get(wanted) {
            return Ok(file);
        }
        let mut ingest = {
            let (cache, wanted) = (cache.clone(), wanted.clone());
            // It may wait for another process, and reads what is there.
            let begun = tokio::task::spawn_blocking(move || match cache.get(&wanted) {
                Some(file) => Ok(Err(file)),
                None => cache.ingest(&wanted, false).map(Ok),
            });
            match begun.await.map_err(|error| self.unavailable(&error.to_string()))?? {
                Ok(ingest) => ingest,
                Err(file) => return Ok(file),
            }
        };
        // Another process may have brought it while this one waited.
        if let Some(file) = cache.get(wanted) {
            return Ok(file);
        }
        let place = format!("{}/{repository}", self.host());
        let mut failures = 0;
        let mut wait = self.settings().wait;
        while ingest.count() < wanted.size {
            let from = ingest.count();
            let mut call = Call::new(
                Method::GET,
                format!("/v2/{repository}/blobs/{}", wanted.digest),
                repository,
                "pull",
            );
            if from > 0 {
                call = call.header(RANGE, &format!("bytes={from}-{}", wanted.size - 1));
            }
            let answer = match self.send(&call).await {
                Err(error) if from > 0 && error.message().contains("416") => {
                    ingest.restart()?;
                    continue;
                }
                Err(error) => return Err(named(error, &place, wanted.digest.as_str())),
                Ok(answer) => answer,
            };
            if from > 0 && !continues(answer.status(), answer.headers(), from) {
                // It has no ranges, and begins again.
                ingest.restart()?;
            }
            let left = wanted.size - ingest.count();
            let length = answer
                .headers()
                .get(CONTENT_LENGTH)
                .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            if length.is_some_and(|length| length > left) {
                let message = format!(
                    "{place}: {} is said to have {} bytes, and the registry sends {} more",
                    wanted.digest,
                    wanted.size,
                    length.unwrap_or(0)
                );
                return Err(OciError::new(Kind::Size, message));
            }
            let mut body = answer.into_body();
            let before = ingest.count();
            let broken = loop {
                match self.frame(&mut body).await {
                    Ok(Some(bytes)) => {
                        ingest.write(&bytes, &place)?;
                        moved(bytes.len() as u64);
                    }
                    Ok(None) if ingest.count() < wanted.size => {
                        let message = format!(
                            "{place}: {} ends after {} of {} bytes",
                            wanted.digest,
                            ingest.count(),
                            wanted.size
                        );
                        break Some(OciError::new(Kind::Size, message));
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            if let Some(error) = broken {
                // As long as something comes, it goes on.
                failures = if ingest.count() > before { 1 } else { failures + 1 };
                let short = error.kind() == Kind::Size && ingest.count() == before;
                if failures >= self.settings().tries || short {
                    return Err(error);
                }
                tracing::debug!(%error, "going on with a blob");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(std::time::Duration::from_secs(10));
            }
        }
        ingest.finish(&place)
    }

    /// Tags of a repository, in the registry's order.
    ///
    /// # Errors
    /// Not there, refused, not reached.
    pub async fn tags(&self, repository: &str) -> OciResult<Vec<String>> {
        #[derive(Deserialize)]
        struct Tags {
            /// Registries write `null` for a repository whose tags were deleted.
            tags: Option<Vec<String>>,
        }
        let mut all = Vec::new();
        let mut next = Some(format!("/v2/{repository}/tags/list?n=1000"));
        for _ in 0..PAGES {
            let Some(to) = next else { return Ok(all) };
            let answer = self.send(&Call::new(Method::GET, to, repository, "pull")).await?;
            next = next_page(answer.headers());
            let bytes = self.collect(answer, PAGE, "a list of tags").await?;
            let page: Tags =
                serde_json::from_slice(&bytes).map_err(|_| self.malformed("a list of tags that is not one"))?;
            all.extend(page.tags.unwrap_or_default());
        }
        Err(self.malformed(&format!("a list of tags with more than {PAGES} pages")))
    }
}

/// An error that names what was asked for.
pub(super) fn named(error: OciError, place: &str, name: &str) -> OciError {
    match error.kind() {
        Kind::NotFound => {
            let separator = if name.starts_with("sha256:") { '@' } else { ':' };
            OciError::new(Kind::NotFound, format!("{place}{separator}{name} is not there"))
        }
        _ => error,
    }
}

/// What the registry says it is; where it says nothing of use, what the manifest says of itself.
fn content_type(headers: &HeaderMap, bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Own {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let said = said
        .and_then(|said| said.split(';').next())
        .map(str::trim)
        .unwrap_or_default();
    if media::is_index(said)
        || media::is_manifest(said)
        || !matches!(
            said,
            "" | "application/json" | "application/octet-stream" | "text/plain"
        )
    {
        return said.to_owned();
    }
    match serde_json::from_slice::<Own>(bytes) {
        Ok(Own {
            media_type: Some(own), ..
        }) => own,
        Ok(Own { manifests: Some(_), .. }) => media::INDEX.to_owned(),
        _ => media::MANIFEST.to_owned(),
    }
}

/// Whether an answer goes on from where it was asked to.
fn continues(status: StatusCode, headers: &HeaderMap, from: u64) -> bool {
    let range = headers
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let begins = range
        .strip_prefix("bytes ")
        .and_then(|range| range.split('-').next()?.parse::<u64>().ok());
    status == StatusCode::PARTIAL_CONTENT && begins == Some(from)
}

/// `Link: </v2/…?last=x>; rel="next"` (RFC 8288).
pub(super) fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    links.flat_map(|text| text.split(',')).find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters
            .split(';')
            .any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| target.to_owned())
    })
}
