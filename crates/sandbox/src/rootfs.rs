//! Building the container's file tree: an empty tree in memory, the planned steps, `/proc`, and the change of root.

use std::ffi::CString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};

use crate::error::{Error, plain};
use crate::host::device_mounts;
use crate::plan::{Plan, Step, plan};
use crate::spec::{Changes, Root, Source, Spec};
use crate::tree::{check, within};

/// Where the container's tree is while it is built.
const NEW: &str = "/new";
/// Where the host's tree is while it is built.
const OLD: &str = "/old";
/// The tree of an image, and what is changed of it, while they are put together.
const LOWER: &str = "/lower";
const CHANGES: &str = "/changes";

/// Builds the tree of `spec` and makes it the root. Runs as process 1, as user 0 of the namespace that owns the mounts.
pub(crate) fn build(spec: &Spec) -> Result<(), Error> {
    let mut mounts = device_mounts();
    mounts.extend(spec.mounts.iter().cloned());
    if let Some(tree) = spec.root.tree() {
        check(tree)?;
        for mount in &mut mounts {
            // A link takes the place of what has its name; everything else is put where that leads.
            mount.target = match (&mount.source, mount.target.parent(), mount.target.file_name()) {
                (Source::Symlink(_), Some(parent), Some(name)) => within(tree, parent)?.join(name),
                _ => within(tree, &mount.target)?,
            };
        }
    }
    let plan = plan(&mounts)?;

    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| Error::namespaces("mount --make-rprivate /", error))?;
    let base = ["/tmp", "/run", "/mnt", "/var"]
        .into_iter()
        .map(Path::new)
        .find(|path| path.is_dir());
    let base = base.ok_or_else(|| Error::Invalid("the machine has no /tmp, /run, /mnt or /var".to_owned()))?;
    tmpfs(base, None, 0o755).map_err(|error| Error::namespaces("mount tmpfs", error))?;
    let (new, old) = (base.join(&NEW[1..]), base.join(&OLD[1..]));
    make_directory(&new)?;
    make_directory(&old)?;
    pivot_root(base, &old).map_err(|error| Error::start("pivot_root", error))?;
    chdir("/").map_err(|error| Error::start("chdir /", error))?;

    begin(&spec.root)?;
    process_files()?;
    for step in &plan.steps {
        perform(step)?;
    }
    terminals()?;
    seal(&plan)?;

    let options = mount_points(&table()?)
        .into_iter()
        .rev()
        .find(|(path, _)| path == Path::new(NEW));
    chdir(NEW).map_err(|error| Error::start("chdir to the new root", error))?;
    pivot_root(".", ".").map_err(|error| Error::start("pivot_root", error))?;
    unmount(".", UnmountFlags::DETACH).map_err(|error| Error::start("unmount the old root", error))?;
    chdir("/").map_err(|error| Error::start("chdir /", error))?;

    // A container runtime makes the working directory; where the image forbids it, entering it will say so.
    let _ = std::fs::create_dir_all(&spec.working_directory);
    if spec.read_only_root {
        let options = options.map(|(_, options)| options).unwrap_or_default();
        remount_read_only(Path::new("/"), &options).map_err(|error| Error::start("make the root read-only", error))?;
    }
    Ok(())
}

/// What the tree begins with.
fn begin(root: &Root) -> Result<(), Error> {
    let memory = |at: &str, size: u64| tmpfs(Path::new(at), Some(size), 0o755);
    match root {
        Root::Memory { size } => {
            memory(NEW, *size).map_err(|error| Error::start("mount the root", error))?;
            for directory in ["tmp", "var/tmp", "run"] {
                let path = Path::new(NEW).join(directory);
                make_directory(&path)?;
                let mode = if directory == "run" { 0o755 } else { 0o1777 };
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
                    .map_err(|error| Error::start("chmod", error))?;
            }
            Ok(())
        }
        Root::Directory(directory) => {
            mount_bind(on_host(directory), NEW).map_err(|error| mount_error(Path::new("/"), Some(directory), error))
        }
        Root::Overlay { lower, changes } => {
            let refused = |error: std::io::Error| Error::Overlay {
                tree: lower.clone(),
                cause: plain(&error),
            };
            make_directory(Path::new(LOWER))?;
            make_directory(Path::new(CHANGES))?;
            // Under names of our own, no path has to be written in the options of the mount.
            mount_bind(on_host(lower), LOWER).map_err(|error| mount_error(Path::new("/"), Some(lower), error))?;
            match changes {
                Changes::Directory(directory) => mount_bind(on_host(directory), CHANGES)
                    .map_err(|error| mount_error(Path::new("/"), Some(directory), error))?,
                Changes::Memory { size } => memory(CHANGES, *size).map_err(|error| refused(error.into()))?,
            }
            let [upper, work] = ["upper", "work"].map(|name| Path::new(CHANGES).join(name));
            make_directory(&upper)?;
            make_directory(&work)?;
            // The root of the tree has the mode of the upper one. Nothing of it outlives the container, so nothing is synced to the disk.
            let mode = std::fs::metadata(LOWER).map_err(refused)?.permissions();
            std::fs::set_permissions(&upper, mode).map_err(refused)?;
            mount(
                "overlay",
                NEW,
                "overlay",
                MountFlags::NOSUID | MountFlags::NODEV,
                Some(c"lowerdir=/lower,upperdir=/changes/upper,workdir=/changes/work,userxattr,volatile"),
            )
            .map_err(|error| refused(error.into()))
        }
    }
}

/// Where a path of the host is while the tree is built.
fn on_host(path: &Path) -> PathBuf {
    Path::new(OLD).join(path.strip_prefix("/").unwrap_or(path))
}

/// Mounts `/proc` of the new PID namespace. Where the machine is itself a container with a partly hidden `/proc`, the kernel
/// refuses, and the host's is shown: process numbers are then those of the host, everything else is the same.
fn process_files() -> Result<(), Error> {
    let target = Path::new(NEW).join("proc");
    make_directory(&target)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    if mount("proc", &target, "proc", flags, None).is_ok() {
        return Ok(());
    }
    let host = Path::new(OLD).join("proc");
    mount_bind_recursive(&host, &target)
        .map_err(|error| mount_error(Path::new("/proc"), Some(Path::new("/proc")), error))
}

/// Mounts the container's own terminals. A volume over `/dev` or a kernel without them leaves the container without.
fn terminals() -> Result<(), Error> {
    let target = Path::new(NEW).join("dev/pts");
    make_directory(&target)?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    let _ = mount(
        "devpts",
        &target,
        "devpts",
        flags,
        Some(c"newinstance,ptmxmode=0666,mode=0620"),
    );
    Ok(())
}

fn perform(step: &Step) -> Result<(), Error> {
    match step {
        Step::Directory(path) => make_directory(&inside(path)),
        Step::File(path) => make_file(&inside(path), None),
        Step::Content(path, content) => make_file(&inside(path), Some(content)),
        Step::Symlink(path, to) => {
            let path = inside(path);
            if let Some(parent) = path.parent() {
                make_directory(parent)?;
            }
            match std::os::unix::fs::symlink(to, &path) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    Err(mount_error(&path, None, errno(&error)))
                }
                _ => Ok(()),
            }
        }
        Step::Tmpfs { at, size, mode } => {
            tmpfs(&inside(at), *size, *mode).map_err(|error| mount_error(at, None, error))
        }
        Step::Bind { source, at } => {
            mount_bind_recursive(on_host(source), inside(at)).map_err(|error| mount_error(at, Some(source), error))
        }
    }
}

/// Makes read-only what was asked for so: the mount itself, what the host had mounted inside its source, and the single
/// entries of an exploded directory; but not a writable mount further inside.
fn seal(plan: &Plan) -> Result<(), Error> {
    if !plan.read_only.values().any(|sealed| *sealed) {
        return Ok(());
    }
    for (path, options) in mount_points(&table()?) {
        let Ok(relative) = path.strip_prefix(NEW) else { continue };
        let path = Path::new("/").join(relative);
        if path.ancestors().find_map(|ancestor| plan.read_only.get(ancestor)) == Some(&true) {
            remount_read_only(&inside(&path), &options).map_err(|error| mount_error(&path, None, error))?;
        }
    }
    Ok(())
}

/// All mounts of this process.
fn table() -> Result<String, Error> {
    std::fs::read_to_string(Path::new(OLD).join("proc/self/mountinfo"))
        .map_err(|error| Error::start("read /proc/self/mountinfo", error))
}

/// Mount points and their per-mount options, from `/proc/self/mountinfo`.
fn mount_points(table: &str) -> Vec<(PathBuf, String)> {
    table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(4);
            let (path, options) = (fields.next()?, fields.next()?);
            Some((PathBuf::from(unescape(path)), options.to_owned()))
        })
        .collect()
}

/// Undoes the octal escapes of mountinfo (`\040` is a blank).
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (*first, code.and_then(|digits| u8::from_str_radix(digits, 8).ok())) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Remounts read-only, keeping the flags that an unprivileged user may not take away.
fn remount_read_only(path: &Path, options: &str) -> rustix::io::Result<()> {
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    for option in options.split(',') {
        flags |= match option {
            "nosuid" => MountFlags::NOSUID,
            "nodev" => MountFlags::NODEV,
            "noexec" => MountFlags::NOEXEC,
            "noatime" => MountFlags::NOATIME,
            "nodiratime" => MountFlags::NODIRATIME,
            "relatime" => MountFlags::RELATIME,
            _ => MountFlags::empty(),
        };
    }
    mount_remount(path, flags, "")
}

fn tmpfs(path: &Path, size: Option<u64>, mode: u32) -> rustix::io::Result<()> {
    let data = match size {
        Some(size) => format!("mode={mode:o},size={size}"),
        None => format!("mode={mode:o}"),
    };
    let data = CString::new(data).unwrap_or_default();
    mount(
        "tmpfs",
        path,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        Some(data.as_c_str()),
    )
}

fn inside(path: &Path) -> PathBuf {
    Path::new(NEW).join(path.strip_prefix("/").unwrap_or(path))
}

fn make_directory(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|error| mount_error(path, None, errno(&error)))
}

fn make_file(path: &Path, content: Option<&str>) -> Result<(), Error> {
    if content.is_none() && std::fs::symlink_metadata(path).is_ok() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    std::fs::write(path, content.unwrap_or_default()).map_err(|error| mount_error(path, None, errno(&error)))
}

fn errno(error: &std::io::Error) -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO)
}

fn mount_error(target: &Path, source: Option<&Path>, error: rustix::io::Errno) -> Error {
    let target = target
        .strip_prefix(NEW)
        .map(|relative| Path::new("/").join(relative))
        .unwrap_or_else(|_| target.to_owned());
    Error::Mount {
        target,
        source_path: source.map(Path::to_owned),
        cause: plain(&error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_escapes_and_options() {
        let table = "23 28 0:21 / /new/usr\\040local ro,nosuid,relatime shared:1 - ext4 /dev/vda rw\nbroken\n";
        assert_eq!(
            mount_points(table),
            [(PathBuf::from("/new/usr local"), "ro,nosuid,relatime".to_owned())]
        );
    }
}
