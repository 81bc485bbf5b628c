//! The root of a container out of the tree of its image: the tree is not changed, what the container changes is its own.
//!
//! Changes are laid over the tree by the kernel (overlayfs), on the node's disk. Where it does not do that on this disk (a directory of a Docker container is one), they are
//! kept in memory; where it does not do it at all, each container has a copy. Which of them it is stays so for the node's life, and is told once.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

use stoke_sandbox::{Changes, Error, Root, copy_tree};

/// Most that a container may change when it is kept in memory, in bytes.
pub(super) const IN_MEMORY: u64 = 1 << 30;

/// What works on this node, as far as it was tried.
#[derive(Debug, Default)]
pub(crate) struct Layering(AtomicU8);

/// How a container's changes are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Disk,
    Memory,
    Copy,
}

impl Way {
    fn from_number(number: u8) -> Way {
        match number {
            0 => Way::Disk,
            1 => Way::Memory,
            _ => Way::Copy,
        }
    }

    fn next(self) -> Option<Way> {
        match self {
            Way::Disk => Some(Way::Memory),
            Way::Memory => Some(Way::Copy),
            Way::Copy => None,
        }
    }
}

impl Layering {
    pub(super) fn way(&self) -> Way {
        Way::from_number(self.0.load(Ordering::Relaxed))
    }

    /// What to try after a way that the kernel refused; true when this is the first to hear of it.
    pub(super) fn after(&self, refused: Way) -> Option<(Way, bool)> {
        let next = refused.next()?;
        let before = self.0.fetch_max(next as u8, Ordering::Relaxed);
        Some((next, before < next as u8))
    }
}

/// The sentence that tells of it.
pub(super) fn told(way: Way, why: &Error) -> String {
    let instead = match way {
        Way::Memory => "what containers change of their images is kept in memory, 1 GiB at most",
        Way::Disk | Way::Copy => "each container has a copy of its image, which takes time and space",
    };
    format!("{why}; {instead}")
}

/// Makes the root. `own` is the container's directory, `copies` where a copy goes; both are gone with the container.
pub(super) fn make(tree: &Path, way: Way, own: &Path, copies: &Path) -> io::Result<Root> {
    let overlay = |changes| Root::Overlay {
        lower: tree.to_owned(),
        changes,
    };
    Ok(match way {
        Way::Disk => {
            let changes = own.join("changes");
            std::fs::create_dir_all(&changes)?;
            overlay(Changes::Directory(changes))
        }
        Way::Memory => overlay(Changes::Memory { size: IN_MEMORY }),
        Way::Copy => {
            // Not in the container's directory, whose size counts as what the container wrote.
            stoke_sandbox::remove_tree(copies)?;
            let parent: PathBuf = copies.parent().map(Path::to_path_buf).unwrap_or_default();
            std::fs::create_dir_all(parent)?;
            copy_tree(tree, copies)?;
            Root::Directory(copies.to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_not_tried_again_and_told_once() {
        let layering = Layering::default();
        assert_eq!(layering.way(), Way::Disk);
        assert_eq!(layering.after(Way::Disk), Some((Way::Memory, true)));
        assert_eq!(layering.after(Way::Disk), Some((Way::Memory, false)));
        assert_eq!(layering.after(Way::Memory), Some((Way::Copy, true)));
        // One that began before comes later.
        assert_eq!(layering.after(Way::Disk), Some((Way::Memory, false)));
        assert_eq!((layering.way(), layering.after(Way::Copy)), (Way::Copy, None));
    }

    #[test]
    fn a_copy_is_made_afresh() {
        let directory = tempfile::tempdir().unwrap();
        let (tree, own, copies) = (
            directory.path().join("t"),
            directory.path().join("o"),
            directory.path().join("c/0"),
        );
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::write(tree.join("f"), "image").unwrap();
        for _ in 0..2 {
            assert_eq!(
                make(&tree, Way::Copy, &own, &copies).unwrap(),
                Root::Directory(copies.clone())
            );
            assert_eq!(std::fs::read_to_string(copies.join("f")).unwrap(), "image");
            std::fs::write(copies.join("f"), "changed").unwrap();
        }
        let Root::Overlay { lower, changes } = make(&tree, Way::Disk, &own, &copies).unwrap() else {
            panic!("no overlay");
        };
        assert_eq!((lower, changes), (tree, Changes::Directory(own.join("changes"))));
    }
}
