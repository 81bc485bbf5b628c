//! The warden: the process outside the container that holds its namespaces open and keeps its log.

use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::keeper::Keeper;
use crate::log::{LOG_ROTATION_BYTES, Log};
use crate::namespace::{die_with_parent, enter_outer};
use crate::wire::{receive, report_failure};

/// What the warden needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// The process that started it.
    pub parent: u32,
    /// Where the log goes.
    pub log: PathBuf,
    /// Whether the main process gets a terminal, which then comes through the gallery.
    pub terminal: bool,
}

/// Runs the warden on the control socket at standard input; the result is the exit code.
pub(crate) fn main() -> i32 {
    report_failure(run)
}

fn run(socket: BorrowedFd<'_>) -> Result<(), Error> {
    let (orders, files) = receive::<Orders>(socket)
        .map_err(|error| Error::start("read the orders", error))?
        .ok_or(Error::Gone)?;
    die_with_parent(Some(orders.parent))?;
    enter_outer()?;
    die_with_parent(Some(orders.parent))?;
    let log = Log::open(&orders.log, LOG_ROTATION_BYTES)
        .map_err(|error| Error::start(format!("open the log {}", orders.log.display()), error))?;

    let pipe = || std::io::pipe().map_err(|error| Error::start("pipe", error));
    let ((out_reader, out_writer), (err_reader, err_writer)) = (pipe()?, pipe()?);
    for reader in [&out_reader, &err_reader] {
        // A larger pipe means fewer wake-ups; where the user's allowance is used up, the ordinary size does.
        let _ = rustix::pipe::fcntl_setpipe_size(reader, 256 << 10);
    }
    let control = socket
        .try_clone_to_owned()
        .map_err(|error| Error::start("dup", error))?;
    let mut init = Command::new("/proc/self/exe")
        .args([crate::ARGUMENT, "init"])
        .env_clear()
        .stdin(Stdio::from(control))
        .stdout(out_writer)
        .stderr(err_writer)
        .process_group(0)
        .spawn()
        .map_err(|error| Error::start("start the init", error))?;
    let streams = [out_reader.into(), err_reader.into()];
    Keeper::new(log, streams, files.into_iter().next(), orders.terminal).keep();
    init.wait().map_err(|error| Error::start("wait for the init", error))?;
    Ok(())
}
