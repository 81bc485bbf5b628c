//! File trees of images on the host: where their links lead, copies, removal.
//!
//! A link of an image means a file of the image. Here, outside of it, following one by the kernel would lead into the host.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

use crate::error::Error;

/// Most links that one path leads through; what Linux has.
const LINKS: usize = 40;

/// Refuses a tree in which a directory of the kernel's is something else.
pub(crate) fn check(tree: &Path) -> Result<(), Error> {
    if !tree.is_dir() {
        return Err(Error::Invalid(format!("{} is not a directory", tree.display())));
    }
    for name in ["proc", "dev", "sys"] {
        if std::fs::symlink_metadata(tree.join(name)).is_ok_and(|found| !found.is_dir()) {
            return Err(Error::Invalid(format!("/{name} of the image is not a directory")));
        }
    }
    Ok(())
}

/// Where a path of the container leads when links of the tree are followed as if the tree were `/`. What is not there is taken as it is
/// written.
pub(crate) fn within(tree: &Path, path: &Path) -> Result<PathBuf, Error> {
    let mut parts: VecDeque<OsString> = named(path);
    let mut found = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = parts.pop_front() {
        if part == ".." {
            found.pop();
            continue;
        }
        let next = found.join(&part);
        let Ok(to) = std::fs::read_link(tree.join(next.strip_prefix("/").unwrap_or(&next))) else {
            found = next;
            continue;
        };
        links += 1;
        if links > LINKS {
            return Err(Error::Invalid(format!(
                "{} leads through too many links of the image",
                path.display()
            )));
        }
        if to.is_absolute() {
            found = PathBuf::from("/");
        }
        for part in named(&to).into_iter().rev() {
            parts.push_front(part);
        }
    }
    Ok(found)
}

fn named(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|component| match component {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    parts.collect()
}

/// Copies a tree: files with their modes and times, links as links. `to` is not there yet. A file that its owner may not read becomes an
/// empty one with the same mode, which a container can read as little.
///
/// # Errors
/// A file that cannot be read or written.
pub fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&source)?, &target)?;
        } else if kind.is_fifo() {
            let mode = Mode::from_raw_mode(entry.metadata()?.permissions().mode());
            mknodat(CWD, &target, FileType::Fifo, mode, 0)?;
        } else {
            copy_file(&source, &target)?;
        }
    }
    // The last, since a directory may be one that its owner cannot write to.
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())
}

fn copy_file(source: &Path, target: &Path) -> io::Result<()> {
    let found = std::fs::metadata(source)?;
    match std::fs::copy(source, target) {
        Ok(_) => {
            let time = Timespec {
                tv_sec: found.mtime(),
                tv_nsec: found.mtime_nsec(),
            };
            let times = Timestamps {
                last_access: time,
                last_modification: time,
            };
            // An owner may do so also with a file that cannot be opened for writing.
            Ok(utimensat(CWD, target, &times, AtFlags::SYMLINK_NOFOLLOW)?)
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            std::fs::write(target, "")?;
            std::fs::set_permissions(target, found.permissions())
        }
        Err(error) => Err(error),
    }
}

/// Removes a tree, also one with directories that their owner may not write to or enter. One that is not there is fine.
///
/// # Errors
/// What cannot be removed all the same.
pub fn remove_tree(tree: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(tree) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
        done => return done,
    }
    open_up(tree)?;
    std::fs::remove_dir_all(tree)
}

fn open_up(directory: &Path) -> io::Result<()> {
    std::fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_inside_of_the_tree() {
        let tree = tempfile::tempdir().unwrap();
        let tree = tree.path();
        std::fs::create_dir_all(tree.join("usr/run")).unwrap();
        std::fs::create_dir_all(tree.join("var")).unwrap();
        for (at, to) in [
            ("var/run", "/run"),
            ("run", "../../usr/run"),
            ("out", "/../../etc"),
            ("a", "b"),
            ("b", "a"),
            ("var/up", "../../../usr"),
        ] {
            symlink(to, tree.join(at)).unwrap();
        }
        for (path, found) in [
            ("/etc/hosts", "/etc/hosts"),
            ("/var/run/secrets/x", "/usr/run/secrets/x"),
            ("/out/passwd", "/etc/passwd"),
            ("/var/up/y", "/usr/y"),
        ] {
            assert_eq!(within(tree, Path::new(path)).unwrap(), Path::new(found), "{path}");
        }
        assert!(within(tree, Path::new("/a/x")).is_err());
        assert!(check(tree).is_ok());
        symlink("usr", tree.join("proc")).unwrap();
        assert!(check(tree).unwrap_err().to_string().contains("/proc of the image"));
    }

    #[test]
    fn a_copy_is_the_same_and_can_be_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        std::fs::create_dir_all(from.join("closed/inner")).unwrap();
        std::fs::write(from.join("closed/inner/f"), "text").unwrap();
        symlink("nowhere", from.join("link")).unwrap();
        std::fs::set_permissions(from.join("closed/inner/f"), Permissions::from_mode(0o444)).unwrap();
        std::fs::set_permissions(from.join("closed"), Permissions::from_mode(0o555)).unwrap();
        copy_tree(&from, &to).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("closed/inner/f")).unwrap(), "text");
        assert_eq!(std::fs::read_link(to.join("link")).unwrap(), Path::new("nowhere"));
        let mode = |path: &str| to.join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("closed"), mode("closed/inner/f")), (0o555, 0o444));
        remove_tree(&to).unwrap();
        remove_tree(&to).unwrap();
        assert!(!to.exists());
    }
}
