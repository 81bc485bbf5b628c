//! `stoke down`: ends the embedded cluster.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

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
    crate::object_store::forget_endpoint(&directory);
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

async fn end(pid: Pid, directory: &Path) -> Outcome<()> {
    // One that ended and whose parent does not ask for it is gone too, though its number is not.
    let gone = || test_kill_process(pid).is_err() || process_of(directory) != Some(pid);
    kill_process(pid, Signal::TERM).map_err(|error| {
        Failure::environment(
            "stoke::cluster::down",
            format!("process {} cannot be ended: {error}", pid.as_raw_nonzero()),
        )
    })?;
    let deadline = Instant::now() + PATIENCE;
    while !gone() {
        if Instant::now() > deadline {
            // Its pods die with it.
            let _ = kill_process(pid, Signal::KILL);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
