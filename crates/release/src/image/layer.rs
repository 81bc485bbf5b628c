//! A tree of files becomes a layer: a tar with nothing of the machine in it, compressed in one fixed way.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::oci::media::{self, Compression};
use crate::oci::{Cache, Descriptor, Digest, Hashing, Kind, OciError, OciResult};

/// The owner of what Stoke puts into an image: the user `spark` of the official images.
pub const OWNER: u32 = stoke_runtime::image::SPARK_USER;
/// How layers are compressed; it stands in their history, since another library or level gives other bytes.
pub const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;
/// From this size on, in bytes, a layer's digest is noted, so that it is compressed once.
const WORTH_A_NOTE: u64 = 1 << 20;

/// What one path of the image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Directory,
    /// One that everybody may write to, each their own files: `/tmp`.
    Shared,
    File {
        content: Source,
        executable: bool,
    },
    /// A symbolic link, as it stands there.
    Link(String),
}

/// Where a file's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Bytes(Vec<u8>),
    Path(PathBuf),
    /// A file of a zip archive, by its position.
    Zip(PathBuf, usize),
}

/// Paths of an image (without the leading `/`) and what they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    items: BTreeMap<String, Item>,
    /// Owner and group of all of it.
    owner: Option<u32>,
}

/// A layer that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    pub descriptor: Descriptor,
    /// The digest of its tar.
    pub diff_id: Digest,
    /// What made it, for the history.
    pub made_by: String,
}

impl Tree {
    /// One whose files belong to another than [`OWNER`].
    #[must_use]
    pub fn owned_by(owner: u32) -> Self {
        Self {
            items: BTreeMap::new(),
            owner: Some(owner),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.items.contains_key(path)
    }

    pub fn items(&self) -> impl Iterator<Item = (&str, &Item)> {
        self.items.iter().map(|(path, item)| (path.as_str(), item))
    }

    /// Puts something at a path; what was there is gone.
    pub fn put(&mut self, path: impl Into<String>, item: Item) {
        self.items.insert(path.into(), item);
    }

    /// Puts a directory and all between it and a file below it. Directories above are the base's, whose owner and mode stay.
    pub fn put_directories(&mut self, root: &str, path: &str) {
        let mut at = root.len();
        self.items.entry(root.to_owned()).or_insert(Item::Directory);
        while let Some(next) = path[at..].find('/').map(|next| at + next) {
            if next > root.len() {
                self.items.entry(path[..next].to_owned()).or_insert(Item::Directory);
            }
            at = next + 1;
        }
    }

    /// Writes it as a layer of the cache. A large one that this Stoke compressed before is taken as it was: reading it costs a tenth of compressing it.
    ///
    /// # Errors
    /// A file that cannot be read or changed while it was; a cache that cannot be written.
    pub fn write(&self, compression: Compression, epoch: u64, cache: &Cache, made_by: String) -> OciResult<Layer> {
        let (name, media_type) = match compression {
            Compression::Gzip => (format!("gzip-{GZIP_LEVEL}"), media::LAYER_GZIP),
            Compression::Zstd => (format!("zstd-{ZSTD_LEVEL}"), media::LAYER_ZSTD),
            Compression::None => return self.compressed(compression, epoch, cache, made_by),
        };
        if self.size() < WORTH_A_NOTE {
            return self.compressed(compression, epoch, cache, made_by);
        }
        let folder = cache.directory().join("layers");
        let (diff_id, _) = self.tar(std::io::sink(), epoch, &folder)?;
        // Another version may compress to other bytes.
        let note = folder.join(format!("{}-{name}-{}", diff_id.hex(), env!("CARGO_PKG_VERSION")));
        let known: Option<(Digest, u64)> = std::fs::read(&note)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some((digest, size)) = known {
            let descriptor = Descriptor::new(media_type, digest, size);
            if cache.get(&descriptor).is_some() {
                return Ok(Layer {
                    descriptor,
                    diff_id,
                    made_by,
                });
            }
        }
        let layer = self.compressed(compression, epoch, cache, made_by)?;
        // Without the note it is compressed again the next time, no more.
        if layer.diff_id == diff_id
            && let Ok(text) = serde_json::to_vec(&(&layer.descriptor.digest, layer.descriptor.size))
            && std::fs::create_dir_all(&folder).is_ok()
        {
            let _ = std::fs::write(&note, text);
        }
        Ok(layer)
    }

    /// Bytes of its files, as far as they are known without reading them.
    fn size(&self) -> u64 {
        let bytes = |item: &Item| match item {
            Item::File { content, .. } => match content {
                Source::Bytes(bytes) => bytes.len() as u64,
                Source::Path(path) => std::fs::metadata(path).map_or(0, |about| about.len()),
                Source::Zip(..) => 0,
            },
            _ => 0,
        };
        self.items.values().map(bytes).sum()
    }

    fn compressed(&self, compression: Compression, epoch: u64, cache: &Cache, made_by: String) -> OciResult<Layer> {
        let folder = cache.directory().join("ingest");
        let file = tempfile::NamedTempFile::new_in(&folder).map_err(OciError::at(&folder))?;
        let path = file.path().to_owned();
        let out = Summing {
            inner: std::io::BufWriter::with_capacity(1 << 18, file),
            sum: Hashing::new(),
        };
        let (media_type, diff_id, out) = match compression {
            Compression::None => {
                let (diff_id, out) = self.tar(out, epoch, &path)?;
                (media::LAYER_TAR, diff_id, out)
            }
            Compression::Gzip => {
                // The header names no file, no time, and no operating system.
                let level = flate2::Compression::new(GZIP_LEVEL);
                let encoder = flate2::GzBuilder::new()
                    .mtime(0)
                    .operating_system(255)
                    .write(out, level);
                let (diff_id, encoder) = self.tar(encoder, epoch, &path)?;
                (
                    media::LAYER_GZIP,
                    diff_id,
                    encoder.finish().map_err(OciError::at(&path))?,
                )
            }
            Compression::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL).map_err(OciError::at(&path))?;
                let (diff_id, encoder) = self.tar(encoder, epoch, &path)?;
                (
                    media::LAYER_ZSTD,
                    diff_id,
                    encoder.finish().map_err(OciError::at(&path))?,
                )
            }
        };
        let size = out.sum.count();
        let digest = out.sum.end();
        let file = out
            .inner
            .into_inner()
            .map_err(|error| OciError::io(&path, error.error()))?;
        let descriptor = Descriptor::new(media_type, digest, size);
        cache.adopt(file, &descriptor.digest)?;
        Ok(Layer {
            descriptor,
            diff_id,
            made_by,
        })
    }

    fn tar<W: Write>(&self, out: W, epoch: u64, path: &Path) -> OciResult<(Digest, W)> {
        let summing = Summing {
            inner: out,
            sum: Hashing::new(),
        };
        let mut tar = tar::Builder::new(summing);
        let mut zips = Zips::default();
        for (name, item) in &self.items {
            let mut header = tar::Header::new_gnu();
            let owner = u64::from(self.owner.unwrap_or(OWNER));
            header.set_uid(owner);
            header.set_gid(owner);
            header.set_mtime(epoch);
            header.set_size(0);
            match item {
                Item::Directory | Item::Shared => {
                    header.set_entry_type(tar::EntryType::Directory);
                    header.set_mode(if *item == Item::Shared { 0o1777 } else { 0o755 });
                    tar.append_data(&mut header, format!("{name}/"), std::io::empty())
                        .map_err(OciError::at(path))?;
                }
                Item::Link(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_mode(0o777);
                    tar.append_link(&mut header, name, target).map_err(OciError::at(path))?;
                }
                Item::File { content, executable } => {
                    header.set_entry_type(tar::EntryType::Regular);
                    header.set_mode(if *executable { 0o755 } else { 0o644 });
                    match content {
                        Source::Bytes(bytes) => {
                            header.set_size(bytes.len() as u64);
                            tar.append_data(&mut header, name, &bytes[..])
                                .map_err(OciError::at(path))?;
                        }
                        Source::Path(source) => {
                            let file = File::open(source).map_err(OciError::at(source))?;
                            let size = file.metadata().map_err(OciError::at(source))?.len();
                            header.set_size(size);
                            let mut counted = Counted { inner: file, count: 0 };
                            tar.append_data(&mut header, name, (&mut counted).take(size))
                                .map_err(OciError::at(path))?;
                            let mut more = [0; 1];
                            let grew = counted.read(&mut more).map_err(OciError::at(source))? > 0;
                            if counted.count != size || grew {
                                let message = format!("{} changed while it was read", source.display());
                                return Err(OciError::new(Kind::Disk, message)
                                    .with_fix("give the command again when nothing writes there"));
                            }
                        }
                        Source::Zip(archive, position) => {
                            let bytes = zips.read(archive, *position)?;
                            header.set_size(bytes.len() as u64);
                            tar.append_data(&mut header, name, &bytes[..])
                                .map_err(OciError::at(path))?;
                        }
                    }
                }
            }
        }
        let summing = tar.into_inner().map_err(OciError::at(path))?;
        Ok((summing.sum.end(), summing.inner))
    }
}

/// The zip archive that is open.
#[derive(Default)]
struct Zips {
    open: Option<(PathBuf, zip::ZipArchive<File>)>,
}

impl Zips {
    fn read(&mut self, path: &Path, position: usize) -> OciResult<Vec<u8>> {
        let failed =
            |error: zip::result::ZipError| OciError::new(Kind::Malformed, format!("{}: {error}", path.display()));
        if self.open.as_ref().is_none_or(|(known, _)| known != path) {
            let file = File::open(path).map_err(OciError::at(path))?;
            self.open = Some((path.to_owned(), zip::ZipArchive::new(file).map_err(failed)?));
        }
        let mut bytes = Vec::new();
        if let Some((_, archive)) = &mut self.open {
            let mut entry = archive.by_index(position).map_err(failed)?;
            entry.read_to_end(&mut bytes).map_err(OciError::at(path))?;
        }
        Ok(bytes)
    }
}

struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// A writer that keeps a digest of what it passes on.
struct Summing<W> {
    inner: W,
    sum: Hashing,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sum.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::oci::unpack::{Limits, Unpacking};

    fn tree(directory: &Path) -> Tree {
        let mut tree = Tree::default();
        let long = format!("opt/app/{}/deep.py", "a".repeat(150));
        tree.put_directories("opt/app", &long);
        tree.put(
            long,
            Item::File {
                content: Source::Bytes(b"x".to_vec()),
                executable: false,
            },
        );
        tree.put(
            "opt/app/main.py",
            Item::File {
                content: Source::Path(directory.join("main.py")),
                executable: true,
            },
        );
        tree.put("opt/app/link", Item::Link("main.py".into()));
        tree
    }

    #[test]
    fn a_large_layer_is_compressed_once() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), 1 << 30).unwrap();
        let tree = |last: u8| {
            let mut tree = Tree::default();
            let mut bytes = vec![7; 2 << 20];
            bytes.push(last);
            let content = Source::Bytes(bytes);
            tree.put(
                "a",
                Item::File {
                    content,
                    executable: false,
                },
            );
            tree
        };
        for compression in [Compression::Gzip, Compression::Zstd] {
            let write = |last: u8| tree(last).write(compression, 0, &cache, "test".into()).unwrap();
            let first = write(1);
            let blob = cache.path(&first.descriptor.digest);
            let written = || std::fs::metadata(&blob).unwrap().ino();
            let before = written();
            assert_eq!(write(1), first);
            assert_eq!(written(), before, "it was written again");
            assert_ne!(write(2).diff_id, first.diff_id);
            // A blob that is gone, a note that says nothing.
            std::fs::remove_file(&blob).unwrap();
            assert_eq!(write(1), first);
            for note in std::fs::read_dir(directory.path().join("layers")).unwrap() {
                std::fs::write(note.unwrap().path(), "{").unwrap();
            }
            assert_eq!(write(1), first);
        }
    }

    #[test]
    fn the_same_tree_has_the_same_bits() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut digests = Vec::new();
        for directory in [&one, &two] {
            std::fs::write(directory.path().join("main.py"), "print(1)\n").unwrap();
            let cache = Cache::open(&directory.path().join("cache"), 1 << 30).unwrap();
            for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let layer = tree(directory.path())
                    .write(compression, 0, &cache, "test".into())
                    .unwrap();
                digests.push((layer.descriptor.digest.clone(), layer.diff_id.clone()));
                // What was written is what the unpacker takes.
                let root = tempfile::tempdir().unwrap();
                let mut unpacking = Unpacking::into(root.path(), Limits::default()).unwrap();
                let blob = cache.get(&layer.descriptor).unwrap();
                unpacking
                    .layer(&layer.descriptor.media_type, blob, Some(&layer.diff_id), "layer")
                    .unwrap();
                assert_eq!(
                    std::fs::read_to_string(root.path().join("opt/app/link")).unwrap(),
                    "print(1)\n"
                );
                assert!(
                    root.path()
                        .join(format!("opt/app/{}/deep.py", "a".repeat(150)))
                        .exists()
                );
            }
        }
        assert_eq!(digests[..3], digests[3..]);
        assert!(digests[..3].iter().all(|(_, diff_id)| *diff_id == digests[0].1));
    }

    #[test]
    fn directories_of_the_base_are_left_alone() {
        let mut tree = Tree::default();
        tree.put_directories("opt/app", "opt/app/a/b/c.py");
        let paths: Vec<&str> = tree.items().map(|(path, _)| path).collect();
        assert_eq!(paths, ["opt/app", "opt/app/a", "opt/app/a/b"]);
    }
}
