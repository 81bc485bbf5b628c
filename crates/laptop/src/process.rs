//! A program that is run beside everything else: its output in a file, an end in time, nothing of it left behind.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use stoke_model::units::people::elapsed as duration;

use crate::error::{LaptopError, Outcome};
use crate::report::Reporter;

/// How much of an output is kept for reports, in bytes.
const KEPT: usize = 64 << 10;

/// How a program ended.
pub enum Ended {
    /// By itself.
    Exited {
        /// Exit code; none when it was killed.
        code: Option<i32>,
        /// The end of what it wrote.
        output: String,
    },
    /// It did not end in time.
    TooLong {
        /// The end of what it wrote.
        output: String,
    },
    /// It could not be started.
    NotThere(std::io::Error),
}

/// Runs a program in a process group of its own; the group is ended with it, when it takes too long, and when this process is interrupted.
///
/// # Errors
/// Interrupted, or the log cannot be written.
pub async fn run(
    mut command: Command,
    log: &Path,
    limit: Duration,
    doing: &str,
    reporter: &mut dyn Reporter,
) -> Outcome<Ended> {
    let output = File::create(log)?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .kill_on_drop(true);
    reporter.begins(doing);
    let begun = Instant::now();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Ended::NotThere(error)),
    };
    let group = Group(child.id());
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let status = loop {
        reporter.status(&format!("{doing} ({})", duration(begun.elapsed())));
        tokio::select! {
            status = child.wait() => break Some(status?),
            _ = &mut interrupted => {
                reporter.ends();
                return Err(LaptopError::environment("stoke::check::interrupted", "interrupted; nothing is left behind"));
            }
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                if begun.elapsed() > limit {
                    break None;
                }
            }
        }
    };
    drop(group);
    reporter.ends();
    let text = std::fs::read(log).unwrap_or_default();
    let output = String::from_utf8_lossy(&text[text.len().saturating_sub(KEPT)..]).into_owned();
    Ok(match status {
        Some(status) => Ended::Exited {
            code: status.code(),
            output,
        },
        None => Ended::TooLong { output },
    })
}

/// The processes of a program, ended when this is dropped.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self
            .0
            .and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(leader) = leader {
            // No one of the group may be left, which is fine.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}
