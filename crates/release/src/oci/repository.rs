//! One place of images, wherever it is: a repository of a registry, a layout, an archive.

use std::sync::Arc;

use bytes::Bytes;

use super::archive::Archive;
use super::cache::Cache;
use super::digest::{Digest, Verified};
use super::error::{Kind, OciError, OciResult};
use super::layout::Layout;
use super::location::Location;
use super::media;
use super::model::{Config, Descriptor, MAX_CONFIG, Manifest, Parsed, Platform, parse};
use super::registry::{Content, Pushed, Registry, Settings};

/// A manifest or index, as it was written, with its digest seen to be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub descriptor: Descriptor,
    pub bytes: Vec<u8>,
}

impl Fetched {
    /// What it says.
    ///
    /// # Errors
    /// Bytes that are neither a manifest nor an index.
    pub fn parse(&self, place: &str) -> OciResult<Parsed> {
        parse(&self.descriptor.media_type, &self.bytes, place)
    }
}

/// A blob that can be read, any number of times.
#[derive(Debug, Clone)]
pub struct Blob {
    pub descriptor: Descriptor,
    content: Content,
    place: String,
}

impl Blob {
    /// Its bytes; the reader fails at the end when they are not what the digest says.
    #[must_use]
    pub fn reader(&self) -> impl std::io::Read + Send + use<> {
        Verified::new(self.content.reader(), self.descriptor.clone(), self.place.clone())
    }

    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }
}

/// A place of images, open.
#[derive(Debug, Clone)]
pub enum Repository {
    Registry { registry: Registry, path: String },
    Layout(Layout),
    Archive(Archive),
}

impl Repository {
    /// Opens a place to read from. A registry is not asked yet.
    ///
    /// # Errors
    /// A layout or archive that is not there or not one.
    pub fn open(location: &Location, settings: &Settings) -> OciResult<Self> {
        match location {
            Location::Registry(reference) => {
                let (host, path) = reference.address();
                let registry = Registry::new(host, settings)?;
                Ok(Self::Registry { registry, path })
            }
            Location::Layout(directory, _) => Layout::open(directory).map(Self::Layout),
            Location::Archive(path, _) => Archive::open(path).map(Self::Archive),
        }
    }

    /// Opens a place to write to; a layout is made when it is not there.
    ///
    /// # Errors
    /// As [`Repository::open`]; an archive, which is written as a whole ([`super::write_archive`]).
    pub fn create(location: &Location, settings: &Settings) -> OciResult<Self> {
        match location {
            Location::Layout(directory, _) => Layout::create(directory).map(Self::Layout),
            Location::Archive(path, _) => {
                let message = format!("archive:{} is not written in parts", path.display());
                Err(OciError::new(Kind::Unsupported, message).with_fix("write an oci:DIRECTORY"))
            }
            Location::Registry(_) => Self::open(location, settings),
        }
    }

    /// How it is named in messages.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Registry { registry, path } => format!("{}/{path}", registry.host()),
            Self::Layout(layout) => format!("oci:{}", layout.directory().display()),
            Self::Archive(_) => "archive".to_owned(),
        }
    }

    /// The manifest or index of a tag or digest; without one, the only image, or the tag `latest` of a registry.
    ///
    /// # Errors
    /// Not there, refused, not reached, not what its digest says.
    pub async fn fetch(&self, name: Option<&str>) -> OciResult<Fetched> {
        match self {
            Self::Registry { registry, path } => registry.manifest(path, name.unwrap_or("latest")).await,
            Self::Layout(layout) => layout.manifest(&layout.find(name)?),
            Self::Archive(archive) => archive.manifest(&archive.find(name)?),
        }
    }

    /// The manifest that an entry of an index names.
    ///
    /// # Errors
    /// As [`Repository::fetch`].
    pub async fn fetch_entry(&self, entry: &Descriptor) -> OciResult<Fetched> {
        let mut fetched = match self {
            Self::Registry { registry, path } => registry.manifest(path, entry.digest.as_str()).await?,
            Self::Layout(layout) => layout.manifest(entry)?,
            Self::Archive(archive) => archive.manifest(entry)?,
        };
        if fetched.bytes.len() as u64 != entry.size {
            let message = format!(
                "{}: {} has {} bytes, not {}",
                self.place(),
                entry.digest,
                fetched.bytes.len(),
                entry.size
            );
            return Err(OciError::new(Kind::Size, message));
        }
        fetched.descriptor = entry.clone();
        Ok(fetched)
    }

    /// The image for a platform: its manifest, and itself parsed. An index is looked through.
    ///
    /// # Errors
    /// As [`Repository::fetch`]; no image for the platform.
    pub async fn image(&self, name: Option<&str>, platform: &Platform) -> OciResult<(Fetched, Manifest)> {
        let root = self.fetch(name).await?;
        self.below(root, platform).await
    }

    /// The image for a platform that a manifest or index leads to.
    ///
    /// # Errors
    /// As [`Repository::image`].
    pub async fn below(&self, root: Fetched, platform: &Platform) -> OciResult<(Fetched, Manifest)> {
        let mut fetched = root;
        // An index may name others; two deep is more than any in use.
        for _ in 0..3 {
            match fetched.parse(&self.place())? {
                Parsed::Manifest(manifest) => return Ok((fetched, *manifest)),
                Parsed::Index(index) => {
                    let entry = index.choose(platform, &self.place())?.clone();
                    fetched = self.fetch_entry(&entry).await?;
                }
            }
        }
        Err(OciError::new(
            Kind::Unsupported,
            format!("{}: an index of indexes of indexes", self.place()),
        ))
    }

    /// The configuration of an image.
    ///
    /// # Errors
    /// As [`Repository::blob`]; an artifact that is not an image.
    pub async fn config(&self, manifest: &Manifest, cache: &Cache) -> OciResult<(Vec<u8>, Config)> {
        let place = self.place();
        if !media::is_image_config(&manifest.config.media_type) {
            let message = format!("{place}: {} is not an image that runs", manifest.config.media_type);
            return Err(OciError::new(Kind::Unsupported, message).with_fix("name an image with a file system"));
        }
        let bytes = self.small(&manifest.config, MAX_CONFIG, cache).await?;
        let config: Config = serde_json::from_slice(&bytes)
            .map_err(|error| OciError::new(Kind::Malformed, format!("{place}: the configuration: {error}")))?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            let message = format!(
                "{place}: {} layers, and {} in the configuration",
                manifest.layers.len(),
                config.rootfs.diff_ids.len()
            );
            return Err(OciError::new(Kind::Malformed, message));
        }
        Ok((bytes, config))
    }

    /// A blob as bytes, of a limited size.
    ///
    /// # Errors
    /// As [`Repository::blob`]; one that is larger.
    pub async fn small(&self, descriptor: &Descriptor, limit: u64, cache: &Cache) -> OciResult<Vec<u8>> {
        if descriptor.size > limit {
            let message = format!(
                "{}: {} has {} bytes; the limit is {limit}",
                self.place(),
                descriptor.digest,
                descriptor.size
            );
            return Err(OciError::new(Kind::Limit, message));
        }
        let blob = self.blob(descriptor, cache, &|_| {}).await?;
        let mut bytes = Vec::new();
        let path = std::path::PathBuf::from(self.place());
        std::io::Read::read_to_end(&mut blob.reader(), &mut bytes).map_err(OciError::at(&path))?;
        Ok(bytes)
    }

    /// A blob. One of a registry is fetched into the cache when it is not there; `moved` is called with the number of bytes that arrived.
    ///
    /// # Errors
    /// Not there, refused, not reached, not what its digest says; a disk that is full.
    pub async fn blob(&self, descriptor: &Descriptor, cache: &Cache, moved: &(dyn Fn(u64) + Sync)) -> OciResult<Blob> {
        let content = match self {
            Self::Registry { registry, path } => {
                if media::is_foreign(&descriptor.media_type) {
                    let message = format!(
                        "{}: {} is a layer that its owner lets no registry keep",
                        self.place(),
                        descriptor.digest
                    );
                    return Err(
                        OciError::new(Kind::Unsupported, message).with_fix("use an image without layers of Windows")
                    );
                }
                let file = registry.blob(path, descriptor, cache, moved).await?;
                Content::of(file).map_err(OciError::at(&cache.path(&descriptor.digest)))?
            }
            Self::Layout(layout) => {
                Content::of(layout.blob(&descriptor.digest)?).map_err(OciError::at(layout.directory()))?
            }
            Self::Archive(archive) => {
                let (file, range) = archive.blob(&descriptor.digest)?;
                Content::File {
                    file: Arc::clone(&file),
                    offset: range.offset,
                    size: range.size,
                }
            }
        };
        Ok(Blob {
            descriptor: descriptor.clone(),
            content,
            place: self.place(),
        })
    }

    /// Puts a blob from another place: nothing when it is there; mounted where both are repositories of one registry.
    ///
    /// # Errors
    /// As [`Repository::blob`], and a place that cannot be written.
    pub async fn put_from(
        &self,
        source: &Repository,
        descriptor: &Descriptor,
        cache: &Cache,
        moved: &(dyn Fn(u64) + Sync),
    ) -> OciResult<Pushed> {
        match self {
            Self::Registry { registry, path } => {
                let from = match source {
                    Self::Registry { registry: other, path } if other.host() == registry.host() => Some(path.as_str()),
                    _ => None,
                };
                let content = async || source.blob(descriptor, cache, moved).await.map(|blob| blob.content);
                registry.put_blob(path, descriptor, from, content).await
            }
            Self::Layout(layout) => {
                if layout.has(descriptor) {
                    return Ok(Pushed::Found);
                }
                let blob = source.blob(descriptor, cache, moved).await?;
                layout.put_blob(descriptor, blob.content.reader())?;
                Ok(Pushed::Sent)
            }
            Self::Archive(_) => Err(self.read_only()),
        }
    }

    /// Puts a blob that is at hand.
    ///
    /// # Errors
    /// A place that cannot be written.
    pub async fn put_content(&self, descriptor: &Descriptor, content: Content) -> OciResult<Pushed> {
        match self {
            Self::Registry { registry, path } => registry.put_blob(path, descriptor, None, async || Ok(content)).await,
            Self::Layout(layout) => {
                if layout.has(descriptor) {
                    return Ok(Pushed::Found);
                }
                layout.put_blob(descriptor, content.reader()).map(|()| Pushed::Sent)
            }
            Self::Archive(_) => Err(self.read_only()),
        }
    }

    /// Puts bytes as a blob.
    ///
    /// # Errors
    /// A place that cannot be written.
    pub async fn put_bytes(&self, descriptor: &Descriptor, bytes: &[u8]) -> OciResult<Pushed> {
        self.put_content(descriptor, Content::Bytes(Bytes::copy_from_slice(bytes)))
            .await
    }

    /// Puts a manifest or index; its blobs and entries are there. It is named when a tag is given.
    ///
    /// # Errors
    /// A place that cannot be written.
    pub async fn put_manifest(&self, fetched: &Fetched, tag: Option<&str>) -> OciResult<()> {
        let Fetched { descriptor, bytes } = fetched;
        match self {
            Self::Registry { registry, path } => {
                let name = tag.unwrap_or(descriptor.digest.as_str());
                registry.put_manifest(path, name, descriptor, bytes).await.map(drop)
            }
            Self::Layout(layout) => layout.put_manifest(descriptor.clone(), bytes, tag),
            Self::Archive(_) => Err(self.read_only()),
        }
    }

    /// Puts a manifest that an index names.
    ///
    /// # Errors
    /// A place that cannot be written.
    pub async fn put_entry(&self, fetched: &Fetched) -> OciResult<()> {
        match self {
            Self::Layout(layout) => layout.put_blob(&fetched.descriptor, &fetched.bytes[..]),
            _ => self.put_manifest(fetched, None).await,
        }
    }

    /// What is about an image: SBOMs, signatures, attestations.
    ///
    /// # Errors
    /// Refused, not reached.
    pub async fn referrers(&self, digest: &Digest) -> OciResult<Vec<Descriptor>> {
        match self {
            Self::Registry { registry, path } => registry.referrers(path, digest).await,
            Self::Layout(layout) => layout.referrers(digest),
            // An archive of OCI may have them; `docker save` has none.
            Self::Archive(archive) => super::layout::about(archive.index(), digest, |entry| archive.manifest(entry)),
        }
    }

    /// Puts an artifact about an image beside it: its blobs, its manifest, and the list of referrers. `blobs` are the contents of `manifest.layers`, in order.
    /// Gives the artifact's descriptor; doing it again changes nothing.
    ///
    /// # Errors
    /// A manifest without subject, blobs that are not those it names, a place that cannot be written.
    pub async fn attach(&self, manifest: &Manifest, blobs: &[&[u8]]) -> OciResult<Descriptor> {
        let malformed = |why: &str| OciError::new(Kind::Malformed, format!("{}: {why}", self.place()));
        if manifest.subject.is_none() {
            return Err(malformed("an artifact that is about no image"));
        }
        if manifest.layers.len() != blobs.len() {
            return Err(malformed("an artifact with other blobs than it names"));
        }
        for (layer, bytes) in manifest.layers.iter().zip(blobs) {
            if layer.digest != Digest::of(bytes) {
                return Err(malformed("an artifact with other blobs than it names"));
            }
            self.put_bytes(layer, bytes).await?;
        }
        if manifest.config.media_type == media::EMPTY {
            self.put_bytes(&manifest.config, Manifest::EMPTY).await?;
        }
        let bytes = super::layout::text(manifest)?;
        let mut descriptor = Descriptor::of(media::MANIFEST, &bytes);
        match self {
            Self::Registry { registry, path } => registry.attach(path, &descriptor, &bytes).await?,
            Self::Layout(layout) => layout.put_manifest(descriptor.clone(), &bytes, None)?,
            Self::Archive(_) => return Err(self.read_only()),
        }
        descriptor.artifact_type = Some(manifest.kind().to_owned());
        Ok(descriptor)
    }

    /// Its tags.
    ///
    /// # Errors
    /// Refused, not reached.
    pub async fn tags(&self) -> OciResult<Vec<String>> {
        match self {
            Self::Registry { registry, path } => registry.tags(path).await,
            Self::Layout(layout) => layout.tags(),
            Self::Archive(archive) => Ok(archive.tags()),
        }
    }

    fn read_only(&self) -> OciError {
        OciError::new(Kind::Unsupported, format!("{}: an archive is only read", self.place()))
            .with_fix("name a layout or a registry")
    }
}
