//! From the mounts asked for to the steps that make them, in order.
//!
//! The difficulty is a mount point that does not exist inside a read-only directory, as with `/opt/spark/conf` inside a Spark
//! distribution: that directory is then *exploded*, that is, shown as a directory in memory whose entries are the original
//! ones, with room for the mount point. Inside a writable directory the mount point is simply made, as container runtimes do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, plain};
use crate::spec::{Mount, Source};

/// One step of building the file tree. Paths are those inside the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make a directory and its parents unless they exist.
    Directory(PathBuf),
    /// Make an empty file, and its parents, unless it exists.
    File(PathBuf),
    /// Make a file with this content.
    Content(PathBuf, String),
    /// Make a symbolic link: where, to what.
    Symlink(PathBuf, PathBuf),
    /// Mount memory.
    Tmpfs { at: PathBuf, size: Option<u64>, mode: u32 },
    /// Show a host path.
    Bind { source: PathBuf, at: PathBuf },
}

/// How to build a file tree.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// Which mounts were asked for, and whether they are read-only. It holds for everything mounted below them too, down to
    /// the next one asked for.
    pub read_only: BTreeMap<PathBuf, bool>,
}

/// What a placed mount is to later mounts inside it.
enum Place {
    /// A directory in memory: mount points can be made.
    Memory,
    /// A host directory that may be written.
    Writable,
    /// A host directory that may not; room for mounts inside was made in advance.
    ReadOnly,
    /// A file: nothing can be inside.
    File,
}

/// The plan for `mounts`. Looks at the host's files, changes nothing.
pub(crate) fn plan(mounts: &[Mount]) -> Result<Plan, Error> {
    let mounts = ordered(mounts)?;
    let mut steps = Vec::new();
    let mut read_only = BTreeMap::new();
    let mut places: BTreeMap<PathBuf, Place> = BTreeMap::new();

    for (target, mount) in &mounts {
        let (around, place) = nearest(&places, target);
        if matches!(place, Some(Place::File)) {
            return Err(Error::Invalid(format!(
                "{} is inside the file {}",
                target.display(),
                around.display()
            )));
        }
        match &mount.source {
            Source::Content(_) | Source::Symlink(_) if matches!(place, Some(Place::Writable)) => {
                // A volume covers this part of the tree; what the image would have there is hidden by it.
                continue;
            }
            Source::Content(content) => {
                steps.push(Step::Content(target.clone(), content.clone()));
                places.insert(target.clone(), Place::File);
            }
            Source::Symlink(to) => steps.push(Step::Symlink(target.clone(), to.clone())),
            Source::Tmpfs { size, mode } => {
                steps.push(Step::Directory(target.clone()));
                steps.push(Step::Tmpfs {
                    at: target.clone(),
                    size: *size,
                    mode: *mode,
                });
                read_only.insert(target.clone(), mount.read_only);
                places.insert(target.clone(), Place::Memory);
            }
            Source::Bind(source) => {
                let failed = |error: &std::io::Error| Error::Mount {
                    target: target.clone(),
                    source_path: Some(source.clone()),
                    cause: plain(error),
                };
                let source = std::fs::canonicalize(source).map_err(|error| failed(&error))?;
                if !source.is_dir() {
                    steps.push(Step::File(target.clone()));
                    steps.push(Step::Bind {
                        source,
                        at: target.clone(),
                    });
                    places.insert(target.clone(), Place::File);
                } else if !mount.read_only {
                    steps.push(Step::Directory(target.clone()));
                    steps.push(Step::Bind {
                        source,
                        at: target.clone(),
                    });
                    places.insert(target.clone(), Place::Writable);
                } else {
                    let exploded = to_explode(&source, target, &mounts);
                    steps.push(Step::Directory(target.clone()));
                    if exploded.is_empty() {
                        steps.push(Step::Bind {
                            source: source.clone(),
                            at: target.clone(),
                        });
                    } else {
                        steps.push(Step::Tmpfs {
                            at: target.clone(),
                            size: Some(16 << 20),
                            mode: 0o755,
                        });
                        explode(&source, target, Path::new(""), &exploded, &mounts, &mut steps)
                            .map_err(|error| failed(&error))?;
                    }
                    places.insert(target.clone(), Place::ReadOnly);
                }
                read_only.insert(target.clone(), mount.read_only);
            }
        }
    }
    Ok(Plan { steps, read_only })
}

/// Checks and normalises the targets, follows links among them, lets later mounts replace earlier ones, parents first.
fn ordered(mounts: &[Mount]) -> Result<BTreeMap<PathBuf, &Mount>, Error> {
    let mut targets = Vec::with_capacity(mounts.len());
    for mount in mounts {
        targets.push(normal(&mount.target)?);
    }
    let links: BTreeMap<&Path, PathBuf> = std::iter::zip(&targets, mounts)
        .filter_map(|(target, mount)| match &mount.source {
            Source::Symlink(to) => Some((target.as_path(), target.parent().unwrap_or(Path::new("/")).join(to))),
            _ => None,
        })
        .collect();
    let mut ordered = BTreeMap::new();
    for (target, mount) in std::iter::zip(&targets, mounts) {
        let through = target.ancestors().skip(1).find_map(|ancestor| {
            let to = links.get(ancestor)?;
            Some(to.join(target.strip_prefix(ancestor).ok()?))
        });
        ordered.insert(through.unwrap_or_else(|| target.clone()), mount);
    }
    Ok(ordered)
}

/// An absolute path without `.`, `..` and doubled slashes.
fn normal(path: &Path) -> Result<PathBuf, Error> {
    let refuse = |why: &str| {
        Err(Error::Invalid(format!(
            "mount path {:?} {why}",
            path.display().to_string()
        )))
    };
    if !path.is_absolute() {
        return refuse("is not absolute");
    }
    let mut normal = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir => return refuse("contains '..'"),
            _ => {}
        }
    }
    if normal == Path::new("/") {
        return refuse("is the root");
    }
    if normal.starts_with("/proc") {
        return refuse("is inside /proc");
    }
    Ok(normal)
}

/// The nearest placed mount around `target`; none means the root.
fn nearest<'a>(places: &'a BTreeMap<PathBuf, Place>, target: &Path) -> (PathBuf, Option<&'a Place>) {
    for ancestor in target.ancestors().skip(1) {
        if let Some(place) = places.get(ancestor) {
            return (ancestor.to_owned(), Some(place));
        }
    }
    (PathBuf::from("/"), None)
}

/// The directories of `source`, relative to it, that must be exploded because a mount inside needs a mount point made there.
fn to_explode(source: &Path, at: &Path, mounts: &BTreeMap<PathBuf, &Mount>) -> BTreeSet<PathBuf> {
    let mut exploded = BTreeSet::new();
    for (target, mount) in mounts {
        let Ok(relative) = target.strip_prefix(at) else {
            continue;
        };
        if relative.as_os_str().is_empty() || covered(at, target, mounts) || fits(&source.join(relative), mount) {
            continue;
        }
        for ancestor in relative.ancestors().skip(1) {
            let original = source.join(ancestor);
            if original.is_dir() && !original.is_symlink() || ancestor.as_os_str().is_empty() {
                exploded.insert(ancestor.to_owned());
            }
        }
    }
    exploded
}

/// Whether another mount lies between `at` and `target`.
fn covered(at: &Path, target: &Path, mounts: &BTreeMap<PathBuf, &Mount>) -> bool {
    target
        .ancestors()
        .skip(1)
        .take_while(|ancestor| *ancestor != at)
        .any(|ancestor| mounts.contains_key(ancestor))
}

/// Whether `path` on the host can serve as the mount point of `mount`.
fn fits(path: &Path, mount: &Mount) -> bool {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return false;
    };
    match &mount.source {
        Source::Bind(source) => !metadata.is_symlink() && metadata.is_dir() == source.is_dir(),
        Source::Tmpfs { .. } => metadata.is_dir(),
        Source::Content(_) | Source::Symlink(_) => false,
    }
}

/// Shows the entries of `source`/`relative` one by one, leaving out those that are mounts themselves.
fn explode(
    source: &Path,
    at: &Path,
    relative: &Path,
    exploded: &BTreeSet<PathBuf>,
    mounts: &BTreeMap<PathBuf, &Mount>,
    steps: &mut Vec<Step>,
) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(source.join(relative))?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let inside = relative.join(entry.file_name());
        let target = at.join(&inside);
        let kind = entry.file_type()?;
        if exploded.contains(&inside) {
            steps.push(Step::Directory(target));
            explode(source, at, &inside, exploded, mounts, steps)?;
        } else if mounts.contains_key(&target) {
            // The mount itself makes its mount point.
        } else if kind.is_symlink() {
            steps.push(Step::Symlink(target, std::fs::read_link(entry.path())?));
        } else {
            steps.push(if kind.is_dir() {
                Step::Directory(target.clone())
            } else {
                Step::File(target.clone())
            });
            steps.push(Step::Bind {
                source: entry.path(),
                at: target,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spark() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for directory in ["jars", "python/lib", "conf"] {
            std::fs::create_dir_all(home.path().join(directory)).unwrap();
        }
        std::fs::write(home.path().join("RELEASE"), "").unwrap();
        std::os::unix::fs::symlink("jars", home.path().join("link")).unwrap();
        home
    }

    #[test]
    fn a_mount_point_that_exists_needs_nothing() {
        let (home, volume) = (spark(), tempfile::tempdir().unwrap());
        let steps = plan(&[
            Mount::bind(volume.path(), "/opt/spark/conf", true),
            Mount::bind(home.path(), "/opt/spark", true),
        ])
        .unwrap();
        let source = |path: &Path| std::fs::canonicalize(path).unwrap();
        assert_eq!(
            steps.read_only,
            BTreeMap::from([("/opt/spark".into(), true), ("/opt/spark/conf".into(), true)])
        );
        assert_eq!(
            steps.steps,
            [
                Step::Directory("/opt/spark".into()),
                Step::Bind {
                    source: source(home.path()),
                    at: "/opt/spark".into()
                },
                Step::Directory("/opt/spark/conf".into()),
                Step::Bind {
                    source: source(volume.path()),
                    at: "/opt/spark/conf".into()
                },
            ]
        );
    }

    #[test]
    fn a_missing_mount_point_explodes_only_the_way_to_it() {
        let (home, volume) = (spark(), tempfile::tempdir().unwrap());
        let steps = plan(&[
            Mount::bind(home.path(), "/opt/spark", true),
            Mount::bind(volume.path(), "/opt/spark/python/extra/deep", false),
            Mount::tmpfs("/opt/spark/work-dir", None),
        ])
        .unwrap()
        .steps;
        let binds: Vec<&Path> = steps
            .iter()
            .filter_map(|step| {
                if let Step::Bind { at, .. } = step {
                    Some(at.as_path())
                } else {
                    None
                }
            })
            .collect();
        let expected = ["RELEASE", "conf", "jars", "python/lib", "python/extra/deep"];
        assert_eq!(binds, expected.map(|name| Path::new("/opt/spark").join(name)));
        assert!(steps.contains(&Step::Symlink("/opt/spark/link".into(), "jars".into())));
        assert!(steps.contains(&Step::Tmpfs {
            at: "/opt/spark/work-dir".into(),
            size: None,
            mode: 0o1777
        }));
    }

    #[test]
    fn a_writable_volume_gets_its_mount_points_made_and_hides_generated_files() {
        let (outer, inner) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let steps = plan(&[
            Mount::bind(outer.path(), "/etc", false),
            Mount::file("/etc/passwd", "x"),
            Mount::bind(inner.path(), "/etc/new", false),
        ])
        .unwrap()
        .steps;
        assert!(
            !steps
                .iter()
                .any(|step| matches!(step, Step::Content(..) | Step::Tmpfs { .. }))
        );
        assert!(steps.contains(&Step::Directory("/etc/new".into())));
    }

    #[test]
    fn the_later_of_two_mounts_wins_and_links_are_followed() {
        let steps = plan(&[
            Mount {
                target: "/var/run".into(),
                source: Source::Symlink("/run".into()),
                read_only: false,
            },
            Mount::tmpfs("/dev/shm", Some(1)),
            Mount::tmpfs("/dev/shm/", Some(2)),
            Mount::file("/var/run/secrets/token", "t"),
        ])
        .unwrap()
        .steps;
        assert!(steps.contains(&Step::Content("/run/secrets/token".into(), "t".into())));
        assert!(steps.contains(&Step::Tmpfs {
            at: "/dev/shm".into(),
            size: Some(2),
            mode: 0o1777
        }));
        assert!(
            !steps
                .iter()
                .any(|step| matches!(step, Step::Tmpfs { size: Some(1), .. }))
        );
    }

    #[test]
    fn impossible_mounts_are_refused_with_their_path() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let table = [
            (vec![Mount::tmpfs("relative", None)], "is not absolute"),
            (vec![Mount::tmpfs("/a/../b", None)], "contains '..'"),
            (vec![Mount::tmpfs("/", None)], "is the root"),
            (vec![Mount::tmpfs("/proc/sys", None)], "is inside /proc"),
            (vec![Mount::bind("/nonexistent-source", "/a", true)], "No such file"),
            (
                vec![Mount::bind(file.path(), "/f", true), Mount::tmpfs("/f/x", None)],
                "is inside the file",
            ),
        ];
        for (mounts, expected) in table {
            let error = plan(&mounts).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
