//! Images from one place to another: blobs are moved as they are, and only those that are not there.

use std::path::Path;

use super::cache::Cache;
use super::digest::Digest;
use super::error::{Kind, OciError, OciResult};
use super::media;
use super::model::{Descriptor, Parsed, Platform};
use super::registry::Pushed;
use super::repository::{Fetched, Repository};

/// Which of an index are copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Platforms {
    /// The index itself with all it names.
    All,
    /// The image for one.
    One(Platform),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub digest: Digest,
    /// Blobs that were there.
    pub found: u64,
    /// Blobs that the registry took from another repository of its own.
    pub mounted: u64,
    /// Blobs that were sent.
    pub sent: u64,
    /// Bytes of those that were sent.
    pub bytes: u64,
}

/// Gets the progress of a copy.
pub trait Watch: Sync {
    /// Bytes that arrived since the last call.
    fn moved(&self, bytes: u64);
    /// A blob is begun.
    fn begins(&self, descriptor: &Descriptor);
}

/// Says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Quiet;

impl Watch for Quiet {
    fn moved(&self, _bytes: u64) {}
    fn begins(&self, _descriptor: &Descriptor) {}
}

/// Copies an image: blobs first, then manifests, the name last, so that a name never leads to something that is not whole.
///
/// # Errors
/// What either place says; nothing has the new name then.
pub async fn copy(
    source: &Repository,
    name: Option<&str>,
    target: &Repository,
    tag: Option<&str>,
    platforms: &Platforms,
    cache: &Cache,
    watch: &dyn Watch,
) -> OciResult<Copied> {
    let root = match platforms {
        Platforms::All => source.fetch(name).await?,
        Platforms::One(platform) => source.image(name, platform).await?.0,
    };
    let mut copied = Copied {
        digest: root.descriptor.digest.clone(),
        found: 0,
        mounted: 0,
        sent: 0,
        bytes: 0,
    };
    below(source, &root, target, cache, watch, &mut copied).await?;
    target.put_manifest(&root, tag).await?;
    Ok(copied)
}

/// Everything that a manifest or index names, in the order in which it may be named.
async fn below(
    source: &Repository,
    root: &Fetched,
    target: &Repository,
    cache: &Cache,
    watch: &dyn Watch,
    copied: &mut Copied,
) -> OciResult<()> {
    let mut open = vec![root.clone()];
    let mut entries = Vec::new();
    while let Some(fetched) = open.pop() {
        match fetched.parse(&source.place())? {
            Parsed::Index(index) => {
                if entries.len() > 1000 {
                    return Err(OciError::new(
                        Kind::Limit,
                        format!("{}: an index with more than 1000 images", source.place()),
                    ));
                }
                for entry in &index.manifests {
                    if media::is_index(&entry.media_type) || media::is_manifest(&entry.media_type) {
                        let below = source.fetch_entry(entry).await?;
                        entries.push(below.clone());
                        open.push(below);
                    } else {
                        put(source, entry, target, cache, watch, copied).await?;
                    }
                }
            }
            Parsed::Manifest(manifest) => {
                for blob in manifest.layers.iter().chain([&manifest.config]) {
                    put(source, blob, target, cache, watch, copied).await?;
                }
            }
        }
    }
    for entry in entries.iter().rev() {
        target.put_entry(entry).await?;
    }
    Ok(())
}

async fn put(
    source: &Repository,
    blob: &Descriptor,
    target: &Repository,
    cache: &Cache,
    watch: &dyn Watch,
    copied: &mut Copied,
) -> OciResult<()> {
    watch.begins(blob);
    let moved = |bytes| watch.moved(bytes);
    match target.put_from(source, blob, cache, &moved).await? {
        Pushed::Found => copied.found += 1,
        Pushed::Mounted => copied.mounted += 1,
        Pushed::Sent => {
            copied.sent += 1;
            copied.bytes += blob.size;
        }
    }
    Ok(())
}

/// Copies an image into a new archive, by way of a layout beside it.
///
/// # Errors
/// As [`copy`]; a file that cannot be written.
pub async fn copy_to_archive(
    source: &Repository,
    name: Option<&str>,
    path: &Path,
    tag: Option<&str>,
    platforms: &Platforms,
    cache: &Cache,
    watch: &dyn Watch,
) -> OciResult<Copied> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(OciError::at(directory))?;
    let staging = tempfile::Builder::new()
        .prefix(".image-")
        .tempdir_in(directory)
        .map_err(OciError::at(directory))?;
    let layout = super::Layout::create(staging.path())?;
    let copied = copy(
        source,
        name,
        &Repository::Layout(layout.clone()),
        tag,
        platforms,
        cache,
        watch,
    )
    .await?;
    super::write_archive(&layout, path)?;
    Ok(copied)
}
