//! `stoke down`: ends the embedded cluster.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::cli::Context;
use crate::failure::{Failure, Outcome};

/// Arguments of `stoke down`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Remove the cluster's data too: objects, volumes, logs, uploads
    #[arg(long)]
    wipe: bool,
}

/// Time the cluster has to end its pods before it is killed.
const PATIENCE: Duration = Duration::from_secs(40);

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let directory = context.home.default_cluster();
    let running = process_of(&directory);
    match running {
        Some(pid) => {
            end(pid, &directory).await?;
            context.terminal.out("the embedded cluster has ended");
        }
        None => context.terminal.out("the embedded cluster was not running"),
    }
    let _ = std::fs::remove_file(directory.join("kubeconfig"));
    let _ = std::fs::remove_file(directory.join("pid"));
    stoke_laptop::object_store::forget_endpoint(&directory);
    if arguments.wipe && directory.exists() {
        std::fs::remove_dir_all(&directory).map_err(|error| {
            Failure::environment(
                "stoke::cluster::wipe",
                format!("{} cannot be removed whole: {error}", directory.display()),
            )
        })?;
        context.terminal.out(format!("removed {}", directory.display()));
    }
    Ok(0)
}

/// The process of `stoke up`, if it lives.
pub fn process_of(directory: &Path) -> Option<Pid> {
    let pid: i32 = std::fs::read_to_string(directory.join("pid"))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    // The number may have passed to another program since.
    let ours = command.split(|byte| *byte == 0).any(|argument| argument == b"up");
    ours.then(|| Pid::from_raw(pid)).flatten()
}

/// Ends a process and waits until it has: what it held in memory given back, its files closed, its locks free. Its command line and its `pid` file go
/// earlier than that.
async fn end(pid: Pid, directory: &Path) -> Outcome<()> {
    let refused = |error| {
        Failure::environment(
            "stoke::cluster::down",
            format!("process {} cannot be ended: {error}", pid.as_raw_nonzero()),
        )
    };
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(Errno::SRCH) => return Ok(()),
        Err(error) => return Err(refused(error)),
    };
    // The number may have passed to another program before it was opened; what is open stays the same.
    if process_of(directory) != Some(pid) {
        return Ok(());
    }
    let signal = |signal| match pidfd_send_signal(&process, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(refused(error)),
    };
    signal(Signal::TERM)?;
    let deadline = Instant::now() + PATIENCE;
    let mut killed = false;
    while !has_ended(&process)? {
        if Instant::now() > deadline && !killed {
            // Its pods die with it.
            signal(Signal::KILL)?;
            killed = true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Whether a process has ended: its descriptor becomes readable then, whether or not its parent has asked for it.
fn has_ended(process: &OwnedFd) -> Outcome<bool> {
    let mut watched = [PollFd::new(process, PollFlags::IN)];
    match poll(&mut watched, Some(&Timespec::default())) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(std::io::Error::from(error).into()),
    }
}
