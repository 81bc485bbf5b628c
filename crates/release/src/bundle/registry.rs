//! Releases in a repository of a registry, as OCI artifacts.
//!
//! A release is one manifest: its canonical JSON is the first layer, its files are the others, with their paths as titles. It has no time, so the same release is the same manifest
//! everywhere. Its tag is made of the release's digest, and is written last: a release that is there is whole. Evidence is an artifact of its own, since registries remove blobs that no
//! manifest names.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Part, Release, ReleaseError};
use crate::oci::{
    Cache, Descriptor, Digest, Fetched, Kind, Location, Manifest, OciError, OciResult, Parsed, Repository, Settings,
    media, text,
};

/// What the artifact of a release is.
pub const RELEASE: &str = "application/vnd.dev.stoke.release.v1";
/// What the first layer of a release is.
const CONTENT: &str = "application/vnd.dev.stoke.release.v1+json";
/// What the artifact of evidence is.
pub const EVIDENCE: &str = "application/vnd.dev.stoke.evidence.v1";
/// What files and evidence are.
const FILE: &str = "application/vnd.dev.stoke.file.v1";
/// By which `oras pull` names files.
const TITLE: &str = "org.opencontainers.image.title";
/// What tags begin with; the digest's digits follow.
const RELEASE_TAG: &str = "release-";
const EVIDENCE_TAG: &str = "evidence-";
/// Largest content that is read as one piece, in bytes.
const MOST: u64 = 1 << 30;

/// A repository of releases. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ReleaseRepository {
    repository: Repository,
    /// Of this process only: what is verified is what the registry has now.
    cache: Cache,
    _directory: Arc<tempfile::TempDir>,
}

/// The repository that a URL names: `oci://REGISTRY/REPOSITORY`, as Helm writes it, or `docker://…`; none for what is not such a URL.
///
/// # Errors
/// A URL that names no repository, or a tag in it.
pub fn repository_of(text: &str) -> Option<OciResult<Location>> {
    let name = text.strip_prefix("oci://").or_else(|| text.strip_prefix("docker://"))?;
    let wrong = |why: &str| {
        OciError::new(
            Kind::Reference,
            format!("`{text}` is not a repository of a registry: {why}"),
        )
        .with_fix("write oci://REGISTRY/REPOSITORY, without a tag")
    };
    Some(match format!("docker://{name}").parse() {
        Ok(Location::Registry(reference)) if reference.tag.is_some() || reference.digest.is_some() => {
            Err(wrong("it has a tag or a digest, and each release has its own"))
        }
        Ok(Location::Registry(_)) if !name.contains('/') => Err(wrong("it names no registry")),
        Ok(location) => Ok(location),
        Err(error) => Err(wrong(error.message())),
    })
}

impl ReleaseRepository {
    pub(super) fn open(location: &Location, settings: &Settings) -> OciResult<Self> {
        let directory = tempfile::tempdir().map_err(OciError::at(&std::env::temp_dir()))?;
        Ok(Self {
            repository: Repository::open(location, settings)?,
            cache: Cache::open(directory.path(), MOST)?,
            _directory: Arc::new(directory),
        })
    }

    pub(super) fn url(&self) -> String {
        format!("oci://{}", self.repository.place())
    }

    pub(super) async fn put(&self, release: &Release, contents: &[(Digest, Vec<u8>)]) -> Result<(), ReleaseError> {
        let written = release.text().into_bytes();
        for part in &release.parts {
            let found = contents.iter().find(|(digest, _)| *digest == part.digest);
            let (_, bytes) = found.ok_or_else(|| self.missing(&part.digest))?;
            self.repository.put_bytes(&descriptor(part), bytes).await?;
        }
        let content = Descriptor::of(CONTENT, &written);
        self.repository.put_bytes(&content, &written).await?;
        let mut layers = vec![content];
        layers.extend(release.parts.iter().map(|part| {
            let mut layer = descriptor(part);
            layer.annotations.insert(TITLE.to_owned(), part.path.clone());
            layer
        }));
        let mut manifest = Manifest::artifact(RELEASE, layers, None);
        manifest.annotations.insert(TITLE.to_owned(), release.name.clone());
        self.name(&manifest, &tag(RELEASE_TAG, &release.digest())).await
    }

    /// Keeps evidence.
    pub(super) async fn put_evidence(&self, digest: &Digest, bytes: &[u8]) -> Result<(), ReleaseError> {
        let layer = Descriptor::of(FILE, bytes);
        self.repository.put_bytes(&layer, bytes).await?;
        let manifest = Manifest::artifact(EVIDENCE, vec![layer], None);
        self.name(&manifest, &tag(EVIDENCE_TAG, digest)).await
    }

    /// Puts a manifest under its tag, unless it is there; its blobs are. Then asks whether the tag means it.
    async fn name(&self, manifest: &Manifest, tag: &str) -> Result<(), ReleaseError> {
        let bytes = text(manifest)?;
        let descriptor = Descriptor::of(media::MANIFEST, &bytes);
        self.repository.put_bytes(&manifest.config, Manifest::EMPTY).await?;
        let fetched = Fetched { descriptor, bytes };
        if self.means(tag).await?.as_ref() == Some(&fetched.descriptor.digest) {
            return Ok(());
        }
        self.repository.put_manifest(&fetched, Some(tag)).await?;
        match self.means(tag).await? {
            Some(digest) if digest == fetched.descriptor.digest => Ok(()),
            found => Err(ReleaseError::Moved {
                place: self.url(),
                tag: tag.to_owned(),
                found: found.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string()),
            }),
        }
    }

    /// What a tag means now.
    async fn means(&self, tag: &str) -> Result<Option<Digest>, ReleaseError> {
        match self.repository.fetch(Some(tag)).await {
            Ok(fetched) => Ok(Some(fetched.descriptor.digest)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A release as it was written.
    pub(super) async fn release(&self, digest: &Digest) -> Result<Vec<u8>, ReleaseError> {
        self.first(&tag(RELEASE_TAG, digest), digest).await
    }

    pub(super) async fn evidence(&self, digest: &Digest) -> Result<Vec<u8>, ReleaseError> {
        self.first(&tag(EVIDENCE_TAG, digest), digest).await
    }

    /// The first layer of what a tag means, which must have this digest.
    async fn first(&self, tag: &str, digest: &Digest) -> Result<Vec<u8>, ReleaseError> {
        let fetched = match self.repository.fetch(Some(tag)).await {
            Err(error) if error.kind() == Kind::NotFound => return Err(self.missing(digest)),
            fetched => fetched?,
        };
        let moved = |found: String| ReleaseError::Moved {
            place: self.url(),
            tag: tag.to_owned(),
            found,
        };
        let Parsed::Manifest(manifest) = fetched.parse(&self.repository.place())? else {
            return Err(moved(format!("the index {}", fetched.descriptor.digest)));
        };
        match manifest.layers.first() {
            Some(layer) if layer.digest == *digest => self.blob(layer).await,
            _ => Err(moved(format!("{} {}", manifest.kind(), fetched.descriptor.digest))),
        }
    }

    /// A file of a release.
    pub(super) async fn part(&self, part: &Part) -> Result<Vec<u8>, ReleaseError> {
        self.blob(&descriptor(part)).await
    }

    async fn blob(&self, wanted: &Descriptor) -> Result<Vec<u8>, ReleaseError> {
        match self.repository.small(wanted, MOST, &self.cache).await {
            Err(error) if error.kind() == Kind::NotFound => Err(self.missing(&wanted.digest)),
            Err(error) => Err(error.into()),
            Ok(bytes) => Ok(bytes),
        }
    }

    /// Digests of the releases that are there, by their tags.
    pub(super) async fn releases(&self) -> Result<BTreeSet<Digest>, ReleaseError> {
        let tags = match self.repository.tags().await {
            // A repository begins with its first push.
            Err(error) if error.kind() == Kind::NotFound => Vec::new(),
            tags => tags?,
        };
        let digests = tags.iter().filter_map(|tag| tag.strip_prefix(RELEASE_TAG));
        Ok(digests.filter_map(|hex| format!("sha256:{hex}").parse().ok()).collect())
    }

    fn missing(&self, digest: &Digest) -> ReleaseError {
        ReleaseError::Missing {
            place: self.url(),
            digest: digest.clone(),
        }
    }
}

/// A file of a release as a blob.
fn descriptor(part: &Part) -> Descriptor {
    Descriptor::new(FILE, part.digest.clone(), part.size)
}

fn tag(prefix: &str, digest: &Digest) -> String {
    format!("{prefix}{}", digest.hex())
}
