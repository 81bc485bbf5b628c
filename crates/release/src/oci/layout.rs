//! An OCI image layout: a directory with `oci-layout`, `index.json` and `blobs/sha256/…`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

use super::cache::Swept;
use super::digest::{Digest, Verified};
use super::error::{Kind, OciError, OciResult};
use super::media;
use super::model::{Descriptor, Index, MAX_MANIFEST, Manifest, Parsed};
use super::repository::Fetched;

/// The annotation that names an image in `index.json`.
pub const NAME: &str = "org.opencontainers.image.ref.name";
/// What stands in the file `oci-layout`.
pub const VERSION: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";

/// How long an image may take to be written.
const WRITING: Duration = Duration::from_secs(3600);

/// A layout in a directory. Writers take turns; a reader sees the index before or after, never half of it.
#[derive(Debug, Clone)]
pub struct Layout {
    directory: PathBuf,
}

impl Layout {
    /// One that is there.
    ///
    /// # Errors
    /// No such directory, or none with the marks of a layout.
    pub fn open(directory: &Path) -> OciResult<Self> {
        let mark = directory.join("oci-layout");
        if !mark.is_file() {
            let message = format!(
                "{} is not an OCI image layout: it has no file `oci-layout`",
                directory.display()
            );
            return Err(OciError::new(Kind::NotFound, message).with_fix(
                "name a directory that `stoke image build --to oci:DIRECTORY` or `skopeo copy … oci:DIRECTORY` wrote",
            ));
        }
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// One to write to: made when it is not there.
    ///
    /// # Errors
    /// A directory that holds something else, or that cannot be written.
    pub fn create(directory: &Path) -> OciResult<Self> {
        let here = Self {
            directory: directory.to_owned(),
        };
        if directory.join("oci-layout").is_file() {
            return Ok(here);
        }
        if std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
            let message = format!("{} has other files and is not an OCI image layout", directory.display());
            return Err(OciError::new(Kind::Disk, message).with_fix("name an empty or a new directory"));
        }
        let blobs = directory.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).map_err(OciError::at(&blobs))?;
        here.write("index.json", &text(&Index::new(Vec::new()))?)?;
        here.write("oci-layout", VERSION.as_bytes())?;
        Ok(here)
    }

    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a blob is.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs/sha256").join(digest.hex())
    }

    /// Its list of images.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn index(&self) -> OciResult<Index> {
        let path = self.directory.join("index.json");
        let bytes = limited(&path, MAX_MANIFEST)?;
        read_index(&bytes, &path)
    }

    /// The image of a name (tag or digest), or the only one.
    ///
    /// # Errors
    /// No such image; several, and none is named.
    pub fn find(&self, name: Option<&str>) -> OciResult<Descriptor> {
        find(
            &self.index()?,
            name,
            &format!("oci:{}", self.directory.display()),
            |digest| {
                let path = self.blob_path(digest);
                limited(&path, MAX_MANIFEST).ok()
            },
        )
    }

    /// The bytes of a manifest or index.
    ///
    /// # Errors
    /// Not there, or not as its digest says.
    pub fn manifest(&self, descriptor: &Descriptor) -> OciResult<Fetched> {
        let path = self.blob_path(&descriptor.digest);
        if descriptor.size > MAX_MANIFEST {
            return Err(too_large(&path, descriptor.size));
        }
        let file = File::open(&path).map_err(|error| missing(&path, &error))?;
        let mut bytes = Vec::new();
        let mut verified = Verified::new(file, descriptor.clone(), path.display().to_string());
        verified.read_to_end(&mut bytes).map_err(OciError::at(&path))?;
        Ok(Fetched {
            descriptor: descriptor.clone(),
            bytes,
        })
    }

    /// A blob, not yet verified.
    ///
    /// # Errors
    /// Not there.
    pub fn blob(&self, digest: &Digest) -> OciResult<File> {
        let path = self.blob_path(digest);
        File::open(&path).map_err(|error| missing(&path, &error))
    }

    /// Writes a blob: it has its name only when all of it is there and right. One that is there is not written again.
    ///
    /// # Errors
    /// Content that is not what the descriptor says; a directory that cannot be written.
    pub fn put_blob(&self, descriptor: &Descriptor, content: impl Read) -> OciResult<()> {
        let path = self.blob_path(&descriptor.digest);
        if self.has(descriptor) {
            return Ok(());
        }
        let folder = self.directory.join("blobs/sha256");
        let mut file = temporary(&folder)?;
        let mut verified = Verified::new(content, descriptor.clone(), descriptor.digest.to_string());
        std::io::copy(&mut verified, &mut file).map_err(OciError::at(&path))?;
        persist(file, &path)
    }

    /// Writes a manifest and gives it a name; the image that had the name loses it.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn put_manifest(&self, mut descriptor: Descriptor, bytes: &[u8], name: Option<&str>) -> OciResult<()> {
        self.put_blob(&descriptor, bytes)?;
        let _turn = self.lock()?;
        let mut index = self.index()?;
        if let Some(name) = name {
            descriptor.annotations.insert(NAME.to_owned(), name.to_owned());
        }
        let is_named = |entry: &Descriptor| name.is_some() && entry.annotations.get(NAME).map(String::as_str) == name;
        let is_same = |entry: &Descriptor| {
            entry.digest == descriptor.digest && (name.is_none() || !entry.annotations.contains_key(NAME))
        };
        if name.is_none() && index.manifests.iter().any(|entry| entry.digest == descriptor.digest) {
            return Ok(());
        }
        index.manifests.retain(|entry| !is_named(entry) && !is_same(entry));
        index.manifests.push(descriptor);
        self.write("index.json", &text(&index)?)
    }

    /// Takes a name away; what it led to stays until [`Layout::sweep`].
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn forget(&self, name: &str) -> OciResult<()> {
        let _turn = self.lock()?;
        let mut index = self.index()?;
        index
            .manifests
            .retain(|entry| entry.annotations.get(NAME).map(String::as_str) != Some(name));
        self.write("index.json", &text(&index)?)
    }

    /// Removes blobs that nothing in the index leads to. Those of the last hour stay: who writes an image writes its blobs first.
    ///
    /// # Errors
    /// A manifest that cannot be read, since what it leads to is not known then: nothing is removed.
    pub fn sweep(&self, now: SystemTime) -> OciResult<Swept> {
        let _turn = self.lock()?;
        let mut wanted = BTreeSet::new();
        let mut open = self.index()?.manifests;
        while let Some(entry) = open.pop() {
            if !wanted.insert(entry.digest.clone()) {
                continue;
            }
            let place = self.blob_path(&entry.digest).display().to_string();
            // An index may name images of platforms that were not copied.
            if !self.has(&entry) {
                continue;
            }
            match self.manifest(&entry)?.parse(&place)? {
                Parsed::Index(index) => open.extend(index.manifests),
                Parsed::Manifest(manifest) => {
                    wanted.insert(manifest.config.digest);
                    wanted.extend(manifest.layers.into_iter().map(|layer| layer.digest));
                }
            }
        }
        let mut swept = Swept::default();
        let folder = self.directory.join("blobs/sha256");
        for entry in std::fs::read_dir(&folder).map_err(OciError::at(&folder))? {
            let entry = entry.map_err(OciError::at(&folder))?;
            let Ok(meta) = entry.metadata() else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_wanted = format!("sha256:{name}")
                .parse()
                .is_ok_and(|digest| wanted.contains(&digest));
            let age = meta
                .modified()
                .ok()
                .and_then(|time| now.duration_since(time).ok())
                .unwrap_or_default();
            if is_wanted || age < WRITING {
                swept.kept += meta.len();
                continue;
            }
            std::fs::remove_file(entry.path()).map_err(OciError::at(&entry.path()))?;
            swept.blobs += 1;
            swept.freed += meta.len();
        }
        Ok(swept)
    }

    /// Its names.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn tags(&self) -> OciResult<Vec<String>> {
        let index = self.index()?;
        let names = index
            .manifests
            .iter()
            .filter_map(|entry| entry.annotations.get(NAME).cloned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        Ok(names)
    }

    /// What is about an image: manifests of the index whose subject it is.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn referrers(&self, digest: &Digest) -> OciResult<Vec<Descriptor>> {
        about(&self.index()?, digest, |entry| self.manifest(entry))
    }

    /// Whether a blob of this name and size is there.
    #[must_use]
    pub fn has(&self, descriptor: &Descriptor) -> bool {
        let known = self.blob_path(&descriptor.digest).metadata();
        known.is_ok_and(|known| known.len() == descriptor.size)
    }

    fn lock(&self) -> OciResult<File> {
        let path = self.directory.join(".lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(OciError::at(&path))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| OciError::io(&path, &error.into()))?;
        Ok(file)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> OciResult<()> {
        let path = self.directory.join(name);
        let mut file = temporary(&self.directory)?;
        file.write_all(bytes).map_err(OciError::at(&path))?;
        persist(file, &path)
    }
}

/// Entries of an index that are about an image.
pub(super) fn about(
    index: &Index,
    digest: &Digest,
    load: impl Fn(&Descriptor) -> OciResult<Fetched>,
) -> OciResult<Vec<Descriptor>> {
    let mut found = Vec::new();
    for entry in index
        .manifests
        .iter()
        .filter(|entry| media::is_manifest(&entry.media_type))
    {
        let fetched = load(entry)?;
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&fetched.bytes) else {
            continue;
        };
        if manifest
            .subject
            .as_ref()
            .is_some_and(|subject| subject.digest == *digest)
        {
            found.push(referrer(entry, &manifest));
        }
    }
    found.dedup_by(|a, b| a.digest == b.digest);
    Ok(found)
}

/// The entry of a list of referrers.
pub(super) fn referrer(descriptor: &Descriptor, manifest: &Manifest) -> Descriptor {
    let mut entry = Descriptor::new(&descriptor.media_type, descriptor.digest.clone(), descriptor.size);
    entry.artifact_type = Some(manifest.kind().to_owned());
    entry.annotations.clone_from(&manifest.annotations);
    entry
}

/// The entry of an index that a name means. A digest may be that of a manifest below an entry: `load` gives its bytes then.
pub(super) fn find(
    index: &Index,
    name: Option<&str>,
    place: &str,
    load: impl Fn(&Digest) -> Option<Vec<u8>>,
) -> OciResult<Descriptor> {
    fn tag<'a>(entry: &&'a Descriptor) -> Option<&'a str> {
        entry.annotations.get(NAME).map(String::as_str)
    }
    let Some(name) = name else {
        // Referrers stand in the index beside the images they are about.
        let is_about_another = |entry: &Descriptor| {
            let bytes = load(&entry.digest).unwrap_or_default();
            serde_json::from_slice::<Manifest>(&bytes).is_ok_and(|manifest| manifest.subject.is_some())
        };
        let mut images: Vec<&Descriptor> = index.manifests.iter().collect();
        images.dedup_by(|a, b| a.digest == b.digest);
        if images.len() > 1 {
            images.retain(|entry| !is_about_another(entry));
        }
        return match images[..] {
            [only] => Ok(only.clone()),
            [] => Err(OciError::new(Kind::NotFound, format!("{place} has no image"))),
            _ => {
                let names: Vec<&str> = images.iter().filter_map(tag).collect();
                let message = format!("{place} has {} images, and none is named", images.len());
                Err(OciError::new(Kind::Reference, message).with_fix(format!("add :TAG; it has {}", names.join(", "))))
            }
        };
    };
    let named = |entry: &&Descriptor| {
        entry.digest.as_str() == name
            || tag(entry).is_some_and(|known| {
                known == name
                    || known
                        .rsplit_once(':')
                        .is_some_and(|(before, last)| last == name && !before.is_empty())
            })
    };
    if let Some(found) = index.manifests.iter().find(named) {
        return Ok(found.clone());
    }
    if let Ok(digest) = name.parse::<Digest>() {
        for entry in index
            .manifests
            .iter()
            .filter(|entry| media::is_index(&entry.media_type))
        {
            let below = load(&entry.digest).and_then(|bytes| serde_json::from_slice::<Index>(&bytes).ok());
            let below = below.into_iter().flat_map(|index| index.manifests);
            if let Some(found) = below.into_iter().find(|entry| entry.digest == digest) {
                return Ok(found);
            }
        }
    }
    let names: Vec<&str> = index.manifests.iter().filter_map(|entry| tag(&entry)).collect();
    let message = format!(
        "{place} has no image `{name}`: it has {}",
        if names.is_empty() {
            "no tags".to_owned()
        } else {
            names.join(", ")
        }
    );
    Err(OciError::new(Kind::NotFound, message).with_fix("write one of its tags, or none"))
}

pub(super) fn read_index(bytes: &[u8], path: &Path) -> OciResult<Index> {
    serde_json::from_slice(bytes)
        .map_err(|error| OciError::new(Kind::Malformed, format!("{}: {error}", path.display())))
}

pub(super) fn too_large(path: &Path, size: u64) -> OciError {
    OciError::new(
        Kind::Limit,
        format!(
            "{}: a manifest of {size} bytes; the limit is {MAX_MANIFEST}",
            path.display()
        ),
    )
}

/// A file that is not larger than it may be.
fn limited(path: &Path, limit: u64) -> OciResult<Vec<u8>> {
    let file = File::open(path).map_err(|error| missing(path, &error))?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(OciError::at(path))?;
    if bytes.len() as u64 > limit {
        return Err(too_large(path, bytes.len() as u64));
    }
    Ok(bytes)
}

fn missing(path: &Path, error: &std::io::Error) -> OciError {
    match error.kind() {
        std::io::ErrorKind::NotFound => OciError::new(Kind::NotFound, format!("{} is not there", path.display()))
            .with_fix("the layout is not whole; copy it again"),
        _ => OciError::io(path, error),
    }
}

/// A file without a name in a directory, which must not stay when it is not finished.
pub(super) fn temporary(directory: &Path) -> OciResult<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(".part-")
        .permissions(std::fs::Permissions::from_mode(0o644));
    builder.tempfile_in(directory).map_err(OciError::at(directory))
}

/// Gives it its name.
pub(super) fn persist(file: tempfile::NamedTempFile, path: &Path) -> OciResult<()> {
    file.as_file().sync_data().map_err(OciError::at(path))?;
    file.persist(path).map_err(|error| OciError::io(path, &error.error))?;
    Ok(())
}

/// A manifest or an index as it is written: the same value has the same bytes.
///
/// # Errors
/// None in practice: all keys are texts.
pub fn text<T: serde::Serialize>(value: &T) -> OciResult<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| OciError::new(Kind::Malformed, error.to_string()))
}
