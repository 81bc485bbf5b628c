//! Room `sandbox`: one container as a process tree in its own user, mount, UTS, IPC and PID namespaces.
//!
//! In: a [`Spec`] (command, environment, user, mounts, memory limit, log file). Out: a running [`Sandbox`] that reports its
//! exact end ([`Exit`]), takes signals for the main process only, runs further commands inside (on pipes or on a terminal), lets
//! others listen to its output and write to its input, and keeps the log.
//!
//! Three processes make one container: the *warden* (outside; keeps the log and holds the namespaces), the *init* (process 1
//! inside; mounts, reaps, forwards signals, enforces memory) and the main process. The first two are this very executable,
//! started with the hidden first argument [`ARGUMENT`]: a binary that uses this room calls [`main_if_sandboxed`] first in its `main`.
//!
//! The file tree begins with an empty directory in memory, or with one that an image was unpacked into ([`Root`]): what the container
//! changes is then kept apart from it.
//!
//! Everything inside dies when the process that started it dies, by any means: parent-death signals, the PID namespace and the
//! end of the control socket each suffice. No privileges are needed and none are given to the workload.
//! This room never decides what to run or restart, and never talks to Kubernetes.
//!
//! ```no_run
//! use stoke_sandbox::{Launcher, Spec, main_if_sandboxed};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     main_if_sandboxed();
//!     let directory = std::env::temp_dir();
//!     // Says what this machine lacks, before anything is started.
//!     Launcher::default().check(directory.join("sandbox.log"))?;
//!     Ok(())
//! }
//! ```

mod error;
mod host;
mod init;
mod keeper;
mod launch;
mod log;
mod memory;
mod namespace;
mod plan;
mod rootfs;
mod signals;
mod sockets;
mod spec;
mod terminal;
mod tree;
mod warden;
mod wire;

pub use error::Error;
pub use host::{account_files, has_foreign_loader, machine_mounts, system_mounts};
pub use launch::{ExecHandle, Launcher, Sandbox};
pub use log::{CRI_ROTATED_SUFFIX, LOG_ROTATION_BYTES};
pub use sockets::{Listening, listening};
pub use spec::{Changes, Exec, Exit, Input, Mount, Root, Source, Spec, Usage};
pub use terminal::resize;
pub use tree::{copy_tree, remove_tree};

/// The hidden first argument with which the executable starts itself inside the sandbox.
pub const ARGUMENT: &str = "__sandbox";

/// Runs this process as a part of a sandbox if it was started as one, and then never returns.
///
/// Call it first in `main`, before any thread exists: a process with threads cannot enter a user namespace.
pub fn main_if_sandboxed() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != ARGUMENT) {
        return;
    }
    let code = match arguments.next().as_deref().and_then(|role| role.to_str()) {
        Some("warden") => warden::main(),
        Some("init") => init::main(),
        Some("terminal") => terminal::main(arguments),
        _ => 64,
    };
    std::process::exit(code);
}
