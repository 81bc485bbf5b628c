//! Ways inside of a directory that is to be a root: no link leads out of it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::oci::error::{Kind, OciError, OciResult};

/// Most links that one path leads through; what Linux has.
const LINKS: usize = 40;

pub fn failed(path: &Path, error: Errno) -> OciError {
    OciError::io(path, &error.into())
}

/// The directory that a path is in, and its last name. Links on the way are followed as if the root were `/`. Directories that are missing are made when their
/// mode is given.
pub fn locate(root: rustix::fd::BorrowedFd<'_>, path: &Path, make: Option<u32>) -> OciResult<(OwnedFd, OsString)> {
    let mut parts: VecDeque<OsString> = VecDeque::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push_back(part.to_owned()),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(OciError::new(
                    Kind::Layer,
                    format!("`{}` leads outside of the image", path.display()),
                ));
            }
        }
    }
    let Some(last) = parts.pop_back() else {
        return Err(OciError::new(
            Kind::Layer,
            format!("`{}` names no file", path.display()),
        ));
    };
    let directory = |at: rustix::fd::BorrowedFd<'_>, name: &OsStr| {
        rustix::fs::openat(
            at,
            name,
            OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
    };
    let mut stack: Vec<OwnedFd> = vec![root.try_clone_to_owned().map_err(OciError::at(path))?];
    let mut links = 0;
    while let Some(part) = parts.pop_front() {
        let Some(here) = stack.last() else { break };
        if part == ".." {
            if stack.len() > 1 {
                stack.pop();
            }
            continue;
        }
        match directory(here.as_fd(), &part) {
            Ok(next) => stack.push(next),
            Err(Errno::NOENT) => {
                let Some(mode) = make else {
                    return Err(failed(path, Errno::NOENT));
                };
                rustix::fs::mkdirat(here, &part, Mode::from_raw_mode(mode)).map_err(|error| failed(path, error))?;
                let next = directory(here.as_fd(), &part).map_err(|error| failed(path, error))?;
                stack.push(next);
            }
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let Ok(target) = rustix::fs::readlinkat(here, &part, Vec::new()) else {
                    return Err(OciError::new(
                        Kind::Layer,
                        format!("`{}` goes through a file that is not a directory", path.display()),
                    ));
                };
                links += 1;
                if links > LINKS {
                    return Err(OciError::new(
                        Kind::Layer,
                        format!("`{}` goes through too many links", path.display()),
                    ));
                }
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if target.is_absolute() {
                    stack.truncate(1);
                }
                for component in target.components().rev() {
                    match component {
                        Component::Normal(part) => parts.push_front(part.to_owned()),
                        Component::ParentDir => parts.push_front(OsString::from("..")),
                        _ => {}
                    }
                }
            }
            Err(error) => return Err(failed(path, error)),
        }
    }
    match stack.pop() {
        Some(found) => Ok((found, last)),
        None => Err(failed(path, Errno::NOENT)),
    }
}

/// Removes a file, a link, or a directory with all that is in it. What is not there is fine.
pub fn remove(parent: rustix::fd::BorrowedFd<'_>, name: &OsStr, depth: usize) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    if depth > 1024 {
        return Err(Errno::NAMETOOLONG);
    }
    let directory = rustix::fs::openat(
        parent,
        name,
        OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    for entry in children(&directory)? {
        remove(directory.as_fd(), &entry, depth + 1)?;
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}

pub fn children(directory: &OwnedFd) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}
