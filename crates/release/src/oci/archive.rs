//! Tar files with images: of OCI layouts, and of `docker save`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::digest::{Digest, Hashing};
use super::error::{Kind, OciError, OciResult};
use super::layout::{NAME, VERSION, find, persist, read_index, text, too_large};
use super::media;
use super::model::{Config, Descriptor, Index, MAX_CONFIG, MAX_MANIFEST, Manifest};
use super::repository::Fetched;

/// Largest number of files of an archive.
const MOST: usize = 1_000_000;

/// An archive: what is where in it was read once, and its blobs are read in place.
#[derive(Debug, Clone)]
pub struct Archive {
    path: PathBuf,
    file: Arc<File>,
    blobs: BTreeMap<Digest, Range>,
    index: Index,
    /// Manifests that were made here for images of `docker save`.
    made: BTreeMap<Digest, Vec<u8>>,
}

/// Bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub offset: u64,
    pub size: u64,
}

/// A part of a file as a reader; readers do not disturb each other.
#[derive(Debug)]
pub struct Section {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Section {
    pub(super) fn new(file: Arc<File>, range: Range) -> Self {
        Self {
            file,
            at: range.offset,
            end: range.offset + range.size,
        }
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.end - self.at)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Where each file of the tar is; a link means what it leads to.
fn entries(file: &File, path: &Path) -> OciResult<BTreeMap<String, Range>> {
    let malformed = |why: String| OciError::new(Kind::Malformed, format!("{}: {why}", path.display()));
    let mut magic = [0; 4];
    let read = file.read_at(&mut magic, 0).map_err(OciError::at(path))?;
    if magic[..read].starts_with(&[0x1f, 0x8b]) || magic == [0x28, 0xb5, 0x2f, 0xfd] {
        let message = format!(
            "{} is compressed; blobs are read in place, which needs a plain tar",
            path.display()
        );
        return Err(OciError::new(Kind::Unsupported, message).with_fix("unpack it first: `gunzip` or `unzstd`"));
    }
    let mut found: BTreeMap<String, Range> = BTreeMap::new();
    let mut links: Vec<(String, String)> = Vec::new();
    let mut reader = file.try_clone().map_err(OciError::at(path))?;
    reader.seek(SeekFrom::Start(0)).map_err(OciError::at(path))?;
    let length = file.metadata().map_err(OciError::at(path))?.len();
    let mut tar = tar::Archive::new(reader);
    let all = tar.entries_with_seek().map_err(|error| malformed(error.to_string()))?;
    for entry in all {
        let entry = entry.map_err(|error| malformed(format!("not a tar file: {error}")))?;
        let name = entry.path().map_err(|error| malformed(error.to_string()))?;
        let name = name.to_string_lossy().trim_start_matches("./").to_owned();
        let range = Range {
            offset: entry.raw_file_position(),
            size: entry.size(),
        };
        if found.len() + links.len() > MOST {
            return Err(OciError::new(
                Kind::Limit,
                format!("{}: more than {MOST} files", path.display()),
            ));
        }
        match entry.header().entry_type() {
            tar::EntryType::Regular => {
                if range.offset.checked_add(range.size).is_none_or(|end| end > length) {
                    return Err(OciError::new(
                        Kind::Size,
                        format!("{}: it ends inside of {name}", path.display()),
                    ));
                }
                found.insert(name, range);
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let target = entry.link_name().ok().flatten();
                let target = target
                    .map(|target| target.to_string_lossy().into_owned())
                    .unwrap_or_default();
                let base = match entry.header().entry_type() {
                    tar::EntryType::Symlink => Path::new(&name).parent().unwrap_or(Path::new("")).to_owned(),
                    _ => PathBuf::new(),
                };
                links.push((name, within(&base.join(target))));
            }
            _ => {}
        }
    }
    // Old archives have layers that are links to those of other images.
    for (name, target) in links {
        if let Some(range) = found.get(&target).copied() {
            found.insert(name, range);
        }
    }
    Ok(found)
}

/// A path with its `..` taken out.
fn within(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.to_str().unwrap_or_default().split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

impl Archive {
    /// Reads what is in it.
    ///
    /// # Errors
    /// Not a tar file, one that is compressed or cut off, one without images.
    pub fn open(path: &Path) -> OciResult<Self> {
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                OciError::new(Kind::NotFound, format!("{} is not there", path.display())).with_fix("check the path")
            }
            _ => OciError::io(path, &error),
        })?;
        let entries = entries(&file, path)?;
        let file = Arc::new(file);
        let mut archive = Self {
            path: path.to_owned(),
            file,
            blobs: BTreeMap::new(),
            index: Index::new(Vec::new()),
            made: BTreeMap::new(),
        };
        let index = entries.get("index.json").filter(|_| entries.contains_key("oci-layout"));
        if let Some(index) = index {
            archive.index = read_index(&archive.bytes(*index, MAX_MANIFEST)?, path)?;
            for (name, range) in &entries {
                if let Some(hex) = name.strip_prefix("blobs/sha256/")
                    && let Ok(digest) = format!("sha256:{hex}").parse()
                {
                    archive.blobs.insert(digest, *range);
                }
            }
            return Ok(archive);
        }
        let Some(list) = entries.get("manifest.json") else {
            let message = format!(
                "{}: neither an OCI image layout nor of `docker save`: it has no index.json and no manifest.json",
                path.display()
            );
            return Err(OciError::new(Kind::Malformed, message));
        };
        let list = archive.bytes(*list, MAX_MANIFEST)?;
        let saved: Vec<Saved> = serde_json::from_slice(&list)
            .map_err(|error| OciError::new(Kind::Malformed, format!("{}: manifest.json: {error}", path.display())))?;
        for image in saved {
            archive.take_saved(&image, &entries)?;
        }
        Ok(archive)
    }

    /// An image of `docker save` becomes an OCI image of the same layers, which are not compressed there.
    fn take_saved(&mut self, image: &Saved, entries: &BTreeMap<String, Range>) -> OciResult<()> {
        let place = self.path.display().to_string();
        let find = |name: &String| {
            let range = entries.get(name.trim_start_matches("./")).copied();
            range.ok_or_else(|| OciError::new(Kind::Malformed, format!("{place}: {name} is not in it")))
        };
        let range = find(&image.config)?;
        let bytes = self.bytes(range, MAX_CONFIG)?;
        let config: Config = serde_json::from_slice(&bytes)
            .map_err(|error| OciError::new(Kind::Malformed, format!("{place}: {}: {error}", image.config)))?;
        if config.rootfs.diff_ids.len() != image.layers.len() {
            return Err(OciError::new(
                Kind::Malformed,
                format!(
                    "{place}: {} layers, and {} in the configuration",
                    image.layers.len(),
                    config.rootfs.diff_ids.len()
                ),
            ));
        }
        let descriptor = Descriptor::of(media::CONFIG, &bytes);
        self.blobs.insert(descriptor.digest.clone(), range);
        let mut layers = Vec::new();
        for (name, diff_id) in image.layers.iter().zip(&config.rootfs.diff_ids) {
            let range = find(name)?;
            let mut head = [0; 2];
            self.file
                .read_at(&mut head, range.offset)
                .map_err(OciError::at(&self.path))?;
            // New ones may keep what was pushed, compressed: it has another digest than its content.
            let (kind, digest) = match head == [0x1f, 0x8b] {
                true => (media::LAYER_GZIP, self.sum(range)?),
                false => (media::LAYER_TAR, diff_id.clone()),
            };
            self.blobs.insert(digest.clone(), range);
            layers.push(Descriptor::new(kind, digest, range.size));
        }
        let bytes = text(&Manifest::image(descriptor, layers))?;
        let mut entry = Descriptor::of(media::MANIFEST, &bytes);
        entry.platform = Some(super::model::Platform {
            other: serde_json::Map::new(),
            ..config.platform
        });
        self.made.insert(entry.digest.clone(), bytes);
        let names = image.repo_tags.clone().unwrap_or_default();
        if names.is_empty() {
            self.index.manifests.push(entry.clone());
        }
        for name in names {
            let mut named = entry.clone();
            named.annotations.insert(NAME.to_owned(), name);
            self.index.manifests.push(named);
        }
        Ok(())
    }

    fn sum(&self, range: Range) -> OciResult<Digest> {
        let mut reader = Section::new(Arc::clone(&self.file), range);
        let mut sum = Hashing::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = reader.read(&mut buffer).map_err(OciError::at(&self.path))?;
            if count == 0 {
                return Ok(sum.end());
            }
            sum.update(&buffer[..count]);
        }
    }

    fn bytes(&self, range: Range, limit: u64) -> OciResult<Vec<u8>> {
        if range.size > limit {
            return Err(too_large(&self.path, range.size));
        }
        let mut bytes = Vec::new();
        let mut section = Section::new(Arc::clone(&self.file), range);
        section.read_to_end(&mut bytes).map_err(OciError::at(&self.path))?;
        Ok(bytes)
    }

    /// Its list of images.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The image of a name (tag or digest), or the only one.
    ///
    /// # Errors
    /// No such image; several, and none is named.
    pub fn find(&self, name: Option<&str>) -> OciResult<Descriptor> {
        find(
            &self.index,
            name,
            &format!("archive:{}", self.path.display()),
            |digest| self.load(digest),
        )
    }

    fn load(&self, digest: &Digest) -> Option<Vec<u8>> {
        let made = self.made.get(digest).cloned();
        made.or_else(|| self.bytes(*self.blobs.get(digest)?, MAX_MANIFEST).ok())
    }

    /// The bytes of a manifest or index.
    ///
    /// # Errors
    /// Not there, or not as its digest says.
    pub fn manifest(&self, descriptor: &Descriptor) -> OciResult<Fetched> {
        let place = self.path.display().to_string();
        let bytes = self
            .load(&descriptor.digest)
            .ok_or_else(|| self.missing(&descriptor.digest))?;
        let mut sum = Hashing::new();
        sum.update(&bytes);
        sum.check(descriptor, &place)?;
        Ok(Fetched {
            descriptor: descriptor.clone(),
            bytes,
        })
    }

    /// A blob, not yet verified: the file and the bytes of it.
    pub(super) fn blob(&self, digest: &Digest) -> OciResult<(Arc<File>, Range)> {
        let range = self.blobs.get(digest).ok_or_else(|| self.missing(digest))?;
        Ok((Arc::clone(&self.file), *range))
    }

    fn missing(&self, digest: &Digest) -> OciError {
        let message = format!("{} has no {digest}", self.path.display());
        OciError::new(Kind::NotFound, message).with_fix("the archive is not whole; make it again")
    }

    /// Its names.
    #[must_use]
    pub fn tags(&self) -> Vec<String> {
        let names = self
            .index
            .manifests
            .iter()
            .filter_map(|entry| entry.annotations.get(NAME).cloned());
        names.collect()
    }
}

/// Writes a layout as a tar file that `docker load`, `podman load`, `skopeo` and this room read; the same layout gives the same bytes.
/// An image for one platform also has the `manifest.json` of `docker save`.
///
/// # Errors
/// A layout that is not whole, a file that cannot be written.
pub fn write_archive(layout: &super::Layout, path: &Path) -> OciResult<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(OciError::at(directory))?;
    let file = super::layout::temporary(directory)?;
    let mut tar = tar::Builder::new(std::io::BufWriter::new(file));
    let index = layout.index()?;
    append(&mut tar, "oci-layout", VERSION.as_bytes(), path)?;
    append(&mut tar, "index.json", &text(&index)?, path)?;
    if let Some(saved) = saved(layout, &index)? {
        append(&mut tar, "manifest.json", &saved, path)?;
    }
    let blobs = layout.directory().join("blobs/sha256");
    let mut names: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&blobs).map_err(OciError::at(&blobs))? {
        names.push(entry.map_err(OciError::at(&blobs))?.path());
    }
    names.sort();
    for blob in names {
        let hex = blob.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if format!("sha256:{hex}").parse::<Digest>().is_err() {
            continue;
        }
        let file = File::open(&blob).map_err(OciError::at(&blob))?;
        let size = file.metadata().map_err(OciError::at(&blob))?.len();
        tar.append_data(&mut header(size), format!("blobs/sha256/{hex}"), file)
            .map_err(OciError::at(path))?;
    }
    let writer = tar.into_inner().map_err(OciError::at(path))?;
    let file = writer.into_inner().map_err(|error| OciError::io(path, error.error()))?;
    persist(file, path)
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8], path: &Path) -> OciResult<()> {
    tar.append_data(&mut header(bytes.len() as u64), name, bytes)
        .map_err(OciError::at(path))
}

fn saved(layout: &super::Layout, index: &Index) -> OciResult<Option<Vec<u8>>> {
    let mut all = Vec::new();
    for entry in &index.manifests {
        let fetched = layout.manifest(entry)?;
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&fetched.bytes) else {
            return Ok(None);
        };
        if media::is_index(&entry.media_type) || !media::is_image_config(&manifest.config.media_type) {
            return Ok(None);
        }
        let tags: Vec<&String> = entry
            .annotations
            .get(NAME)
            .filter(|name| name.contains(':'))
            .into_iter()
            .collect();
        let path = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
        let layers: Vec<String> = manifest.layers.iter().map(|layer| path(&layer.digest)).collect();
        all.push(json!({ "Config": path(&manifest.config.digest), "RepoTags": tags, "Layers": layers }));
    }
    text(&all).map(Some)
}
