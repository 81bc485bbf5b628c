//! Entering namespaces: one user namespace that owns the others, and a second one inside it for the workload.

use std::io;

use rustix::process::{getegid, geteuid, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;

use crate::error::Error;

/// Leaves the parent's namespaces. The caller becomes user 0 of a user namespace that owns the new mount, UTS, IPC and PID
/// namespaces; its next child is process 1.
pub(crate) fn enter_outer() -> Result<(), Error> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let flags = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWPID;
    unshare(flags).map_err(|error| Error::namespaces("unshare", error))?;
    write_maps((0, user), (0, group)).map_err(|error| Error::namespaces("write /proc/self/uid_map", error))
}

/// Enters the workload's own user namespace, in which it has the ids it asked for and no power over the outer one.
pub(crate) fn enter_inner(user: u32, group: u32) -> Result<(), Error> {
    unshare(UnshareFlags::NEWUSER).map_err(|error| Error::namespaces("unshare (inner)", error))?;
    write_maps((user, 0), (group, 0)).map_err(|error| Error::namespaces("write /proc/self/uid_map (inner)", error))
}

/// Asks the kernel to kill this process when its parent dies, and checks that the parent still lives.
/// Needed again after every change of credentials, which clears it.
pub(crate) fn die_with_parent(parent: Option<u32>) -> Result<(), Error> {
    set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| Error::start("prctl(PR_SET_PDEATHSIG)", error))?;
    match parent {
        Some(expected) if std::os::unix::process::parent_id() != expected => Err(Error::Gone),
        _ => Ok(()),
    }
}

/// `unshare(2)`. The function is marked deprecated because of `CLONE_FILES`, which no one here passes.
#[expect(deprecated, reason = "the safe form is only unsound with UnshareFlags::FILES")]
fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    rustix::thread::unshare(flags)
}

/// Maps one user and one group: (inside, outside).
fn write_maps(user: (u32, u32), group: (u32, u32)) -> io::Result<()> {
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{} {} 1", user.0, user.1))?;
    std::fs::write("/proc/self/gid_map", format!("{} {} 1", group.0, group.1))
}
