//! File trees of images on this machine: each unpacked once for whom it is seen by, used by any number of containers, removed when no one uses it.
//!
//! `<image>.<viewer>/tree` is whole, always: it gets its name when its last layer is in it. Who uses it, in whatever process, holds a shared lock on
//! `<image>.<viewer>.lock`, which the kernel takes back when the process ends by any means; who makes or removes it holds it alone. The time of the lock file's last change is
//! when the tree was used last.

use std::fs::{File, FileTimes};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{FlockOperation, Mode, OFlags, ResolveFlags, flock, openat2};
use serde::{Deserialize, Serialize};

use super::accounts::Accounts;
use crate::oci::unpack::{Limits, Unpacking, Viewer};
use crate::oci::{Blob, Digest, Kind, OciError, OciResult, Swept, text};

/// Largest file of accounts, in bytes.
const ACCOUNTS: u64 = 4 << 20;

/// The trees.
#[derive(Debug, Clone)]
pub(super) struct Roots {
    directory: PathBuf,
    limit: u64,
}

/// A tree, which stays as long as this value does.
#[derive(Debug, Clone)]
pub struct Root {
    pub tree: PathBuf,
    _held: Arc<File>,
}

/// A tree that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The manifest's.
    pub digest: Digest,
    /// User and groups whose rights it has, `root` for all.
    pub viewer: String,
    /// In bytes.
    pub size: u64,
    pub used: SystemTime,
    pub is_in_use: bool,
}

#[derive(Serialize, Deserialize)]
struct About {
    bytes: u64,
    files: u64,
}

/// A layer to unpack: its blob, and the digest of its tar.
pub(super) type Layer = (Blob, Digest);

impl Roots {
    pub(super) fn open(directory: &Path, limit: u64) -> OciResult<Self> {
        std::fs::create_dir_all(directory).map_err(OciError::at(directory))?;
        Ok(Self {
            directory: directory.to_owned(),
            limit,
        })
    }

    /// A tree that is there.
    pub(super) fn get(&self, image: &Digest, viewer: &Viewer) -> OciResult<Option<Root>> {
        let name = name(image, viewer);
        // Without this no file is made for what was never there.
        if !self.directory.join(&name).is_dir() {
            return Ok(None);
        }
        let lock = self.lock(&name, FlockOperation::LockShared)?;
        self.held(&name, lock)
    }

    fn held(&self, name: &str, lock: Option<File>) -> OciResult<Option<Root>> {
        let tree = self.directory.join(name).join("tree");
        let Some(lock) = lock.filter(|_| tree.is_dir()) else {
            return Ok(None);
        };
        // When it cannot be marked as used it goes sooner than it should, which costs an unpacking.
        let _ = lock.set_times(FileTimes::new().set_modified(SystemTime::now()));
        Ok(Some(Root {
            tree,
            _held: Arc::new(lock),
        }))
    }

    /// Unpacks an image; `ready` finds it unpacked, perhaps by another who was at it. `viewer` is asked when the accounts of the image can be read.
    pub(super) fn unpack(
        &self,
        image: &Digest,
        layers: &[Layer],
        ready: impl Fn() -> OciResult<Option<(Root, Accounts)>>,
        viewer: impl Fn(&Accounts) -> OciResult<Viewer>,
    ) -> OciResult<(Root, Accounts)> {
        let part = format!("{}.part", image.hex());
        let alone = self.lock(&part, FlockOperation::LockExclusive)?;
        if let Some(found) = ready()? {
            return Ok(found);
        }
        let directory = self.directory.join(&part);
        remove(&directory)?;
        let made = self.fill(image, &directory, layers, viewer);
        if made.is_err() {
            // What is wrong with the image or the disk is told; that something of it stays is not worth more words.
            let _ = remove(&directory);
        }
        let _ = std::fs::remove_file(self.directory.join(format!("{part}.lock")));
        drop(alone);
        made
    }

    fn fill(
        &self,
        image: &Digest,
        directory: &Path,
        layers: &[Layer],
        viewer: impl Fn(&Accounts) -> OciResult<Viewer>,
    ) -> OciResult<(Root, Accounts)> {
        let tree = directory.join("tree");
        std::fs::create_dir_all(&tree).map_err(OciError::at(&tree))?;
        set_mode(&tree, 0o755)?;
        let mut unpacking = Unpacking::into(&tree, Limits::default())?;
        let mut about = About { bytes: 0, files: 0 };
        for (blob, diff_id) in layers {
            let descriptor = &blob.descriptor;
            let done = unpacking.layer(
                &descriptor.media_type,
                blob.reader(),
                Some(diff_id),
                descriptor.digest.short(),
            )?;
            about.bytes += done.bytes;
            about.files += done.files;
        }
        let accounts = accounts(&tree);
        let viewer = viewer(&accounts)?;
        unpacking.finish_for(&viewer)?;
        let path = directory.join("about.json");
        std::fs::write(&path, text(&about)?).map_err(OciError::at(&path))?;
        let name = name(image, &viewer);
        let target = self.directory.join(&name);
        let lock = match self.lock(&name, FlockOperation::NonBlockingLockExclusive)? {
            Some(lock) if !target.is_dir() => {
                std::fs::rename(directory, &target).map_err(OciError::at(&target))?;
                flock(&lock, FlockOperation::LockShared).map_err(|error| OciError::io(&target, &error.into()))?;
                Some(lock)
            }
            // It is there: this one turned out to be for the same user.
            other => {
                drop(other);
                remove(directory)?;
                self.lock(&name, FlockOperation::LockShared)?
            }
        };
        match self.held(&name, lock)? {
            Some(root) => Ok((root, accounts)),
            None => Err(OciError::new(
                Kind::Disk,
                format!("{} was removed as it was made", target.display()),
            )),
        }
    }

    /// A lock on a name; none when it is wanted at once and another has it.
    fn lock(&self, name: &str, operation: FlockOperation) -> OciResult<Option<File>> {
        let path = self.directory.join(format!("{name}.lock"));
        loop {
            let open = File::options().create(true).truncate(false).write(true).open(&path);
            let file = open.map_err(OciError::at(&path))?;
            match flock(&file, operation) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(OciError::io(&path, &error.into())),
            }
            // Who held it before may have removed it: then it is another file now.
            let mine = file.metadata().map_err(OciError::at(&path))?.ino();
            if path.metadata().is_ok_and(|there| there.ino() == mine) {
                return Ok(Some(file));
            }
        }
    }

    /// What is there, the one used longest ago first.
    pub(super) fn list(&self) -> OciResult<Vec<Unpacked>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(OciError::at(&self.directory))? {
            let entry = entry.map_err(OciError::at(&self.directory))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((hex, viewer)) = name.split_once('.') else {
                continue;
            };
            let Ok(digest) = format!("sha256:{hex}").parse() else {
                continue;
            };
            if viewer.ends_with("part") || viewer.ends_with("lock") {
                continue;
            }
            // Another process may have removed it.
            let Ok(about) = std::fs::read(entry.path().join("about.json")) else {
                continue;
            };
            let size = serde_json::from_slice::<About>(&about).map_or(0, |about| about.bytes);
            let lock = self.directory.join(format!("{name}.lock"));
            let used = lock.metadata().and_then(|meta| meta.modified());
            all.push(Unpacked {
                digest,
                viewer: viewer.to_owned(),
                size,
                used: used.unwrap_or(SystemTime::UNIX_EPOCH),
                is_in_use: self.lock(&name, FlockOperation::NonBlockingLockExclusive)?.is_none(),
            });
        }
        all.sort_by(|a, b| (a.used, &a.digest, &a.viewer).cmp(&(b.used, &b.digest, &b.viewer)));
        Ok(all)
    }

    /// Removes what was used longest ago until the rest fits into the limit.
    pub(super) fn fit(&self) -> OciResult<Swept> {
        self.prune(self.limit)
    }

    /// Removes what no container uses and was used longest ago, until at most `most` bytes are left; and what was left half made.
    pub(super) fn prune(&self, most: u64) -> OciResult<Swept> {
        let mut swept = Swept::default();
        let all = self.list()?;
        swept.kept = all.iter().map(|tree| tree.size).sum();
        for tree in all {
            if swept.kept <= most {
                break;
            }
            let name = format!("{}.{}", tree.digest.hex(), tree.viewer);
            if self.remove(&name)? {
                swept.blobs += 1;
                swept.freed += tree.size;
                swept.kept -= tree.size;
            }
        }
        for entry in std::fs::read_dir(&self.directory)
            .map_err(OciError::at(&self.directory))?
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".part") {
                self.remove(&name)?;
            }
        }
        Ok(swept)
    }

    /// Removes a tree, unless it is in use.
    fn remove(&self, name: &str) -> OciResult<bool> {
        let Some(_alone) = self.lock(name, FlockOperation::NonBlockingLockExclusive)? else {
            return Ok(false);
        };
        let (tree, going) = (self.directory.join(name), self.directory.join(format!("{name}.part")));
        // It loses its name at once: a removal that breaks off leaves nothing that looks whole.
        let going = match name.ends_with(".part") || std::fs::rename(&tree, &going).is_err() {
            true => tree,
            false => going,
        };
        remove(&going)?;
        let lock = self.directory.join(format!("{name}.lock"));
        std::fs::remove_file(&lock).map_err(OciError::at(&lock))?;
        Ok(true)
    }
}

/// `<hex>.<user>.<group>…`; one tree for all who are root.
fn name(image: &Digest, viewer: &Viewer) -> String {
    let mut name = format!("{}.", image.hex());
    if viewer.user == 0 {
        return name + "root";
    }
    name.push_str(&viewer.user.to_string());
    for group in &viewer.groups {
        name.push_str(&format!(".{group}"));
    }
    name
}

/// Who is who in a tree. A file that is not there names no one.
fn accounts(tree: &Path) -> Accounts {
    let read = |path: &str| -> Option<String> {
        let root = File::open(tree).ok()?;
        // Links of the image mean files of the image.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()?;
        let mut bytes = Vec::new();
        File::from(file).take(ACCOUNTS).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let [passwd, group] = ["etc/passwd", "etc/group"].map(|path| read(path).unwrap_or_default());
    Accounts::parse(&passwd, &group)
}

fn set_mode(path: &Path, mode: u32) -> OciResult<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(OciError::at(path))
}

fn remove(directory: &Path) -> OciResult<()> {
    stoke_sandbox::remove_tree(directory).map_err(OciError::at(directory))
}
