//! Layers become a directory: whiteouts remove what lower layers brought, links are followed inside of the directory only.
//!
//! Rules are those of the OCI image specification ("Image Layer Filesystem Changeset"). All files belong to who unpacks them: owners need root. What an owner
//! may do is kept all the same, for one [`Viewer`]. Extended attributes are left out. Device nodes below `dev/` are left out, since a container has its own;
//! others are refused.

mod inside;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use tar::EntryType;

use super::digest::{Digest, Hashing};
use super::error::{Kind, OciError, OciResult};
use super::media::{Compression, compression};
use inside::{children, failed, locate, remove};

/// What an image may grow to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together, before compression.
    pub bytes: u64,
    pub files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 32 << 30,
            files: 2_000_000,
        }
    }
}

/// Longest path, in bytes; what Linux has.
const PATH: usize = 4096;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Whose rights a tree has. In a container of one who is not root all files of the tree are that user's own; so the rights that the user has in the image, as
/// owner, by group or as anyone, become those of the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    pub user: u32,
    pub groups: Vec<u32>,
}

impl Viewer {
    /// The mode of a file of this owner and group, for the viewer.
    #[must_use]
    pub fn mode(&self, mode: u32, user: u32, group: u32) -> u32 {
        if self.user == 0 || self.user == user {
            return mode;
        }
        let rights = match self.groups.contains(&group) {
            true => (mode >> 3) & 0o7,
            false => mode & 0o7,
        };
        (mode & !0o700) | (rights << 6)
    }
}

/// Mode, user and group, as a layer says.
#[derive(Debug, Clone, Copy)]
struct Owned {
    mode: u32,
    user: u32,
    group: u32,
    is_directory: bool,
}

/// A directory that files are in and no layer says anything of.
const IMPLIED: Owned = Owned {
    mode: 0o755,
    user: 0,
    group: 0,
    is_directory: true,
};

/// A directory that layers are unpacked into, the lowest first.
pub struct Unpacking {
    root: OwnedFd,
    limits: Limits,
    bytes: u64,
    files: u64,
    /// Modes that directories get at the end, since until then all may be written to, and whose files are.
    owned: BTreeMap<PathBuf, Owned>,
}

/// What one layer did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    pub files: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Device nodes that were left out.
    pub devices: u64,
}

/// A reader that stops at a limit, and keeps a digest of what it gave.
struct Bounded<R> {
    inner: R,
    left: u64,
    sum: Hashing,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count as u64 > self.left {
            return Err(OciError::new(Kind::Layer, "it is larger unpacked than the limit of the image").into());
        }
        self.left -= count as u64;
        self.sum.update(&buffer[..count]);
        Ok(count)
    }
}

/// A layer's tar out of its blob; none for kinds that are not layers.
///
/// # Errors
/// A decompressor that cannot be made.
pub fn decompressed<'a>(media_type: &str, blob: impl Read + 'a) -> OciResult<Option<Box<dyn Read + 'a>>> {
    let blob = io::BufReader::with_capacity(1 << 16, blob);
    Ok(match compression(media_type) {
        None => None,
        Some(Compression::None) => Some(Box::new(blob)),
        Some(Compression::Gzip) => Some(Box::new(flate2::bufread::MultiGzDecoder::new(blob))),
        Some(Compression::Zstd) => {
            let decoder = zstd::stream::read::Decoder::with_buffer(blob);
            Some(Box::new(decoder.map_err(|error| {
                OciError::new(Kind::Malformed, format!("zstd: {error}"))
            })?))
        }
    })
}

impl Unpacking {
    /// Into an empty directory.
    ///
    /// # Errors
    /// A directory that is not there or has something in it.
    pub fn into(directory: &Path, limits: Limits) -> OciResult<Self> {
        let mut entries = std::fs::read_dir(directory).map_err(OciError::at(directory))?;
        if entries.next().is_some() {
            return Err(OciError::new(
                Kind::Disk,
                format!("{} is not empty", directory.display()),
            ));
        }
        let root = File::open(directory).map_err(OciError::at(directory))?;
        Ok(Self {
            root: root.into(),
            limits,
            bytes: 0,
            files: 0,
            owned: BTreeMap::new(),
        })
    }

    /// Unpacks a layer over what is there. `blob` verifies itself (as [`super::Blob::reader`] does); `diff_id` is the digest of its tar.
    ///
    /// # Errors
    /// A layer that leads outside, makes devices, is larger than the limits or not what its digests say; a disk that is full. The directory is of no use then.
    pub fn layer(
        &mut self,
        media_type: &str,
        blob: impl Read,
        diff_id: Option<&Digest>,
        name: &str,
    ) -> OciResult<Unpacked> {
        let Some(tar) = decompressed(media_type, blob)? else {
            return Err(OciError::new(
                Kind::Unsupported,
                format!("{name}: {media_type} is not a layer of files"),
            ));
        };
        // What headers and padding take on top of files is little, except in a bomb of empty files, which the limit of files ends.
        let left =
            (self.limits.bytes - self.bytes).saturating_add((self.limits.files - self.files).saturating_mul(2048));
        let bounded = Bounded {
            inner: tar,
            left,
            sum: Hashing::new(),
        };
        let mut archive = tar::Archive::new(bounded);
        let mut layer = Layer {
            unpacking: self,
            name,
            created: BTreeSet::new(),
            done: Unpacked::default(),
            parent: None,
        };
        layer.all(&mut archive)?;
        let done = layer.done;
        let mut bounded = archive.into_inner();
        // The end of a tar comes before the end of its blob, whose digest is only seen there.
        let path = PathBuf::from(name);
        io::copy(&mut bounded, &mut io::sink()).map_err(OciError::at(&path))?;
        let found = bounded.sum.end();
        match diff_id {
            Some(wanted) if *wanted != found => Err(OciError::new(
                Kind::Digest,
                format!("{name}: unpacked it is {found}, and the configuration says {wanted}"),
            )),
            _ => Ok(done),
        }
    }

    /// Gives directories their modes.
    ///
    /// # Errors
    /// A directory that cannot be changed.
    pub fn finish(self) -> OciResult<()> {
        self.end(None)
    }

    /// Gives directories their modes, and all files the rights that one user has.
    ///
    /// # Errors
    /// A file that cannot be changed.
    pub fn finish_for(self, viewer: &Viewer) -> OciResult<()> {
        self.end(Some(viewer))
    }

    fn end(self, viewer: Option<&Viewer>) -> OciResult<()> {
        // The deepest first: one without the right to enter must be the last of its branch.
        for (path, owned) in self.owned.iter().rev() {
            let mode = match viewer {
                Some(viewer) => viewer.mode(owned.mode, owned.user, owned.group),
                None => owned.mode,
            };
            if !owned.is_directory && mode == owned.mode {
                continue;
            }
            if path.as_os_str().is_empty() {
                rustix::fs::fchmod(&self.root, Mode::from_raw_mode(mode)).map_err(|error| failed(path, error))?;
                continue;
            }
            let Ok((parent, name)) = locate(self.root.as_fd(), path, None) else {
                continue;
            };
            let wanted = if owned.is_directory {
                OFlags::DIRECTORY
            } else {
                OFlags::NONBLOCK
            };
            match rustix::fs::openat(
                &parent,
                &name,
                wanted | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            ) {
                Ok(file) => {
                    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(|error| failed(path, error))?
                }
                // A later layer removed it; or no one may read it, in which case there are no rights to take away.
                Err(_) => continue,
            }
        }
        Ok(())
    }
}

/// One layer on its way.
struct Layer<'a> {
    unpacking: &'a mut Unpacking,
    name: &'a str,
    /// What this layer brought: its own whiteouts do not remove it.
    created: BTreeSet<PathBuf>,
    done: Unpacked,
    /// The directory of the entry before, which is mostly that of the next one.
    parent: Option<(PathBuf, OwnedFd)>,
}

impl Layer<'_> {
    fn all(&mut self, archive: &mut tar::Archive<impl Read>) -> OciResult<()> {
        let place = PathBuf::from(self.name);
        for entry in archive.entries().map_err(OciError::at(&place))? {
            let mut entry = entry.map_err(|error| match OciError::at(&place)(error) {
                // The reader of tar has no kind for what it cannot read.
                error if error.kind() == Kind::Disk => OciError::new(Kind::Malformed, error.message().to_owned()),
                error => error,
            })?;
            self.one(&mut entry).map_err(|error| match error.kind() {
                Kind::DiskFull | Kind::Digest | Kind::Size => error,
                kind => OciError::new(kind, format!("{}: {}", self.name, error.message())),
            })?;
        }
        Ok(())
    }

    fn one(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> OciResult<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let raw = entry.path_bytes().into_owned();
        let path = normal(Path::new(OsStr::from_bytes(&raw)))?;
        self.unpacking.files += 1;
        self.done.files += 1;
        if self.unpacking.files > self.unpacking.limits.files {
            return Err(OciError::new(
                Kind::Layer,
                format!("more than {} files", self.unpacking.limits.files),
            ));
        }
        let mode = entry.header().mode().map_err(OciError::at(&path))? & 0o7777;
        let id = |read: io::Result<u64>| read.ok().and_then(|id| u32::try_from(id).ok()).unwrap_or(u32::MAX);
        let owned = Owned {
            mode,
            user: id(entry.header().uid()),
            group: id(entry.header().gid()),
            is_directory: kind == EntryType::Directory,
        };
        if path.as_os_str().is_empty() {
            self.unpacking.owned.insert(path, owned);
            return Ok(());
        }
        let name = path.file_name().unwrap_or_default();
        if name.as_bytes().starts_with(WHITEOUT) {
            return self.whiteout(&path);
        }
        let parent = self.parent(&path)?;
        let name = name.to_owned();
        match kind {
            EntryType::Directory => {
                match rustix::fs::mkdirat(&parent, &name, Mode::from_raw_mode(0o755)) {
                    Ok(()) => {}
                    Err(Errno::EXIST) if self.is_directory(&parent, &name) => {}
                    Err(Errno::EXIST) => {
                        self.clear(&parent, &name, &path)?;
                        rustix::fs::mkdirat(&parent, &name, Mode::from_raw_mode(0o755))
                            .map_err(|error| failed(&path, error))?;
                    }
                    Err(error) => return Err(failed(&path, error)),
                }
                self.unpacking.owned.insert(path.clone(), owned);
                self.parent = None;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let size = entry.size();
                self.unpacking.bytes = self.unpacking.bytes.saturating_add(size);
                if self.unpacking.bytes > self.unpacking.limits.bytes {
                    return Err(OciError::new(
                        Kind::Layer,
                        format!("more than {} bytes in all", self.unpacking.limits.bytes),
                    ));
                }
                self.clear(&parent, &name, &path)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&parent, &name, flags, Mode::from_raw_mode(0o600))
                    .map_err(|error| failed(&path, error))?;
                let mut file = File::from(file);
                let written = io::copy(entry, &mut file).map_err(OciError::at(&path))?;
                if written != size {
                    return Err(OciError::new(
                        Kind::Malformed,
                        format!("`{}` ends after {written} of {size} bytes", path.display()),
                    ));
                }
                self.done.bytes += size;
                rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(|error| failed(&path, error))?;
                let time = Timespec {
                    tv_sec: entry
                        .header()
                        .mtime()
                        .ok()
                        .and_then(|time| i64::try_from(time).ok())
                        .unwrap_or(0),
                    tv_nsec: 0,
                };
                let times = Timestamps {
                    last_access: time,
                    last_modification: time,
                };
                rustix::fs::futimens(&file, &times).map_err(|error| failed(&path, error))?;
                self.unpacking.owned.insert(path.clone(), owned);
            }
            EntryType::Symlink => {
                let target = self.target(entry, &path)?;
                self.clear(&parent, &name, &path)?;
                rustix::fs::symlinkat(&target, &parent, &name).map_err(|error| failed(&path, error))?;
                self.parent = None;
            }
            EntryType::Link => {
                let target = normal(&self.target(entry, &path)?)?;
                let (from, last) = locate(self.unpacking.root.as_fd(), &target, None).map_err(|_| {
                    OciError::new(
                        Kind::Layer,
                        format!(
                            "`{}` is a link to `{}`, which is not there",
                            path.display(),
                            target.display()
                        ),
                    )
                })?;
                if target != path {
                    self.clear(&parent, &name, &path)?;
                    rustix::fs::linkat(&from, &last, &parent, &name, AtFlags::empty()).map_err(|error| {
                        OciError::new(
                            Kind::Layer,
                            format!("`{}` is a link to `{}`: {error}", path.display(), target.display()),
                        )
                    })?;
                }
            }
            EntryType::Fifo => {
                self.clear(&parent, &name, &path)?;
                rustix::fs::mknodat(&parent, &name, FileType::Fifo, Mode::from_raw_mode(mode), 0)
                    .map_err(|error| failed(&path, error))?;
            }
            EntryType::Char | EntryType::Block => {
                if !path.starts_with("dev") {
                    return Err(OciError::new(Kind::Layer, format!("`{}` is a device", path.display())));
                }
                self.done.devices += 1;
                return Ok(());
            }
            other => {
                return Err(OciError::new(
                    Kind::Layer,
                    format!("`{}` is of a kind that images do not have ({other:?})", path.display()),
                ));
            }
        }
        self.created.insert(path);
        Ok(())
    }

    /// What a link leads to, as it stands there.
    fn target(&self, entry: &tar::Entry<'_, impl Read>, path: &Path) -> OciResult<PathBuf> {
        let target = entry
            .link_name_bytes()
            .map(|target| PathBuf::from(OsString::from_vec(target.into_owned())));
        let target = target.filter(|target| !target.as_os_str().is_empty() && target.as_os_str().len() <= PATH);
        target.ok_or_else(|| OciError::new(Kind::Layer, format!("`{}` is a link to nothing", path.display())))
    }

    fn parent(&mut self, path: &Path) -> OciResult<OwnedFd> {
        let directory = path.parent().unwrap_or(Path::new(""));
        if let Some((known, found)) = &self.parent
            && known == directory
        {
            return found.try_clone().map_err(OciError::at(path));
        }
        let (found, _) = locate(self.unpacking.root.as_fd(), path, Some(IMPLIED.mode))?;
        for above in directory.ancestors() {
            self.unpacking.owned.entry(above.to_owned()).or_insert(IMPLIED);
        }
        self.parent = Some((directory.to_owned(), found.try_clone().map_err(OciError::at(path))?));
        Ok(found)
    }

    fn is_directory(&self, parent: &OwnedFd, name: &OsStr) -> bool {
        let found = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory)
    }

    /// Makes room for what is not a directory.
    fn clear(&mut self, parent: &OwnedFd, name: &OsStr, path: &Path) -> OciResult<()> {
        if self.is_directory(parent, name) {
            self.parent = None;
            self.unpacking.owned.retain(|known, _| !known.starts_with(path));
        } else {
            self.unpacking.owned.remove(path);
        }
        remove(parent.as_fd(), name, 0).map_err(|error| failed(path, error))
    }

    fn whiteout(&mut self, path: &Path) -> OciResult<()> {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let directory = path.parent().unwrap_or(Path::new(""));
        let hidden = &name[WHITEOUT.len()..];
        if hidden.is_empty() || hidden == b"." || hidden == b".." {
            return Err(OciError::new(
                Kind::Layer,
                format!("`{}` removes no file that can be named", path.display()),
            ));
        }
        self.parent = None;
        // A directory that is not there has nothing to remove.
        let Ok((parent, _)) = locate(self.unpacking.root.as_fd(), path, None) else {
            return Ok(());
        };
        if name == OPAQUE {
            for child in children(&parent).map_err(|error| failed(path, error))? {
                self.hide(&parent, &child, &directory.join(&child))?;
            }
            return Ok(());
        }
        if hidden.starts_with(WHITEOUT) {
            // Records of AUFS, which mean nothing elsewhere.
            return Ok(());
        }
        let hidden = OsStr::from_bytes(hidden).to_owned();
        let target = directory.join(&hidden);
        self.hide(&parent, &hidden, &target)
    }

    /// Removes what lower layers brought; what this one brought stays.
    fn hide(&mut self, parent: &OwnedFd, name: &OsStr, path: &Path) -> OciResult<()> {
        let own = self
            .created
            .range(path.to_owned()..)
            .next()
            .is_some_and(|created| created.starts_with(path));
        if !own {
            return self.clear(parent, name, path);
        }
        if !self.is_directory(parent, name) {
            return Ok(());
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(|error| failed(path, error))?;
        for child in children(&directory).map_err(|error| failed(path, error))? {
            self.hide(&directory, &child, &path.join(&child))?;
        }
        Ok(())
    }
}

/// A path of an entry below the root: `./a//b/` is `a/b`.
fn normal(path: &Path) -> OciResult<PathBuf> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() > PATH || bytes.contains(&0) {
        return Err(OciError::new(
            Kind::Layer,
            format!("a path of {} bytes, or with a null byte", bytes.len()),
        ));
    }
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => normal.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(OciError::new(
                    Kind::Layer,
                    format!("`{}` leads outside of the image", path.display()),
                ));
            }
        }
    }
    Ok(normal)
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
