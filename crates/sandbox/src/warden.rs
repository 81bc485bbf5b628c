//! The warden: the process outside the container that holds its namespaces open and keeps its log.

use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::log::{Cutter, LOG_ROTATION_BYTES, Log, Stream, now};
use crate::namespace::{die_with_parent, enter_outer};
use crate::wire::{receive, report_failure};

/// What the warden needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// The process that started it.
    pub parent: u32,
    /// Where the log goes.
    pub log: PathBuf,
}

/// Runs the warden on the control socket at standard input; the result is the exit code.
pub(crate) fn main() -> i32 {
    report_failure(run)
}

fn run(socket: BorrowedFd<'_>) -> Result<(), Error> {
    let (orders, _) = receive::<Orders>(socket)
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
    keep_log(log, out_reader, err_reader);
    init.wait().map_err(|error| Error::start("wait for the init", error))?;
    Ok(())
}

/// Copies both streams to the log until every process of the container has closed them.
fn keep_log(mut log: Log, out: PipeReader, err: PipeReader) {
    let mut streams = [
        Some((out, Cutter::new(Stream::Out))),
        Some((err, Cutter::new(Stream::Err))),
    ];
    let mut buffer = vec![0_u8; 64 << 10];
    let mut lines = Vec::with_capacity(128 << 10);
    while streams.iter().any(Option::is_some) {
        let ready: Vec<usize> = {
            let open: Vec<usize> = (0..streams.len()).filter(|index| streams[*index].is_some()).collect();
            let mut polled: Vec<PollFd<'_>> = streams
                .iter()
                .flatten()
                .map(|(reader, _)| PollFd::from_borrowed_fd(reader.as_fd(), PollFlags::IN))
                .collect();
            match poll(&mut polled, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            }
            std::iter::zip(open, &polled)
                .filter(|(_, polled)| !polled.revents().is_empty())
                .map(|(index, _)| index)
                .collect()
        };
        for index in ready {
            let Some((reader, cutter)) = &mut streams[index] else {
                continue;
            };
            let time = now();
            lines.clear();
            match reader.read(&mut buffer) {
                Ok(count) if count > 0 => cutter.push(&time, &buffer[..count], &mut lines),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                _ => {
                    cutter.finish(&time, &mut lines);
                    streams[index] = None;
                }
            }
            if !lines.is_empty() {
                log.write(&time, &lines);
            }
        }
    }
}
